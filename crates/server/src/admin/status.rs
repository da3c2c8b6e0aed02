//! `/status`: all that a node knows of itself, as JSON.
//!
//! Not here: the schema (`crate::status`).

use std::rc::Rc;

use crate::admin::Router;
use crate::http::{Response, Status};
use crate::observe::inspect::Inspect;

pub(super) fn routes<N: Inspect>() -> Router<N> {
    Router::new().get("/status", "the node and its groups as JSON", async |node: Rc<N>, _| {
        Response::json(Status::OK, &node.status())
    })
}
