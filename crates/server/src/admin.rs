//! The admin port: health, status and metrics over HTTP/1.1.
//!
//! Where what is:
//! - `admin/router.rs`: which path is answered by what. A new endpoint is a
//!   file beside it with a `routes` function, named in [`routes`].
//! - `admin/health.rs`: `/livez`, `/readyz`. `admin/status.rs`: `/status`.
//!   `admin/log.rs`: `/log`, `/log-level`.
//!   `admin/metrics.rs`: `/metrics`.
//!   `admin/dashboard.rs`: `/` and what it asks.
//!   `admin/leader.rs`: `/leader/transfer`. `admin/members.rs`: `/members`.
//!   `admin/snapshot.rs`: `/snapshot`. `admin/backup.rs`: `/backup`.
//!
//! Invariants
//! - At most [`CONNECTIONS_MAX`] connections at once, one more is closed
//!   unanswered (rule 34); what one may cost stands in `http/connection.rs`.
//! - A request that changes something is a POST of JSON that no web page sent.
//!
//! Not here: what is asked of the node (`inspect.rs`, `view.rs`), the schema
//! (`status.rs`), HTTP itself (`http.rs`).

mod backup;
mod dashboard;
mod health;
mod leader;
mod log;
mod members;
mod metrics;
mod router;
mod snapshot;
mod status;

use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use crate::fill::CONNECTIONS_MAX;
use crate::http;
use crate::observe::history::SAMPLE_EVERY;
use crate::observe::inspect::Inspect;
use crate::observe::view::NodeView;
pub(crate) use router::Router;

/// Above so many none stays open behind its answer: idle ones must not shut
/// out who has something to ask.
const KEPT_MAX: usize = CONNECTIONS_MAX / 2;
/// Accepting failed, for want of descriptors as a rule: wait before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Every endpoint of a node.
pub(crate) fn routes() -> Router<NodeView> {
    Router::new()
        .and(health::routes())
        .and(status::routes())
        .and(log::routes())
        .and(metrics::routes())
        .and(dashboard::routes())
        .and(leader::routes())
        .and(members::routes())
        .and(snapshot::routes())
        .and(backup::routes())
}

/// Serves the port, and takes the samples that dashboards show, until dropped.
pub(crate) async fn serve<N: Inspect>(listener: TcpListener, node: Rc<N>, router: Router<N>) {
    tokio::select! {
        () = accept(listener, Rc::clone(&node), router) => {}
        () = take_samples(&*node) => {}
    }
}

async fn take_samples(node: &impl Inspect) {
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        node.sample();
    }
}

async fn accept<N: Inspect>(listener: TcpListener, node: Rc<N>, router: Router<N>) {
    let router = Rc::new(router);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "the admin port cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Every connection holds the router, and so does this loop.
        if Rc::strong_count(&router) > CONNECTIONS_MAX {
            continue;
        }
        let (node, router) = (Rc::clone(&node), Rc::clone(&router));
        node.admin_fill().connections.update(|open| open + 1);
        tokio::task::spawn_local(async move {
            let answered = http::serve(stream, async |request| {
                let is_crowded = Rc::strong_count(&router) > KEPT_MAX;
                router.answer(&node, request).await.last_if(is_crowded)
            })
            .await;
            if let Err(error) = answered {
                debug!(%error, "a connection to the admin port broke");
            }
            node.admin_fill().connections.update(|open| open.saturating_sub(1));
        });
    }
}
