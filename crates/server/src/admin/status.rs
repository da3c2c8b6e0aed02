//! `/status`: all that a node knows of itself, as JSON.
//!
//! Not here: the schema (`crate::status`).

use crate::admin::{Inspect, Router};
use crate::http::{Response, Status};

pub(super) fn routes<N: Inspect>() -> Router<N> {
    Router::new().get(
        "/status",
        "the node and its groups as JSON",
        async |node: std::rc::Rc<N>, _| Response::json(Status::OK, &node.status()),
    )
}
