//! What a node tells of itself, and in which forms.
//!
//! - `inspect.rs`: what may be asked. `view.rs`: a running node's answers.
//! - `metrics.rs`: for Prometheus. `history.rs`: the last minutes.
//!   `dashboard.rs`: for a browser, of all nodes.
//!
//! Not here: the schema of the status (`status.rs`), the port (`admin.rs`).

pub(crate) mod dashboard;
pub(crate) mod history;
pub(crate) mod inspect;
pub(crate) mod metrics;
pub(crate) mod view;
