//! `/metrics`: what the node counts, for Prometheus.
//!
//! Not here: which metrics there are (`crate::observe::metrics`).

use std::rc::Rc;

use crate::admin::Router;
use crate::http::{Response, Status};
use crate::observe::inspect::Inspect;
use crate::observe::metrics::CONTENT_TYPE;

pub(super) fn routes<N: Inspect>() -> Router<N> {
    Router::new().get("/metrics", "counters for Prometheus", async |node: Rc<N>, _| {
        Response::new(Status::OK, CONTENT_TYPE, node.metrics().render().into_bytes())
    })
}
