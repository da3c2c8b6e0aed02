//! The dashboard: the whole cluster on one page, from any node.
//!
//! ```text
//! page ── GET /cluster?history ──▶ node ── GET /report?history ──▶ each other node
//!      ◀─ GET /events (live) ──── feed ── GET /report ───────────▶ each other node
//! ```
//!
//! A node knows where the others' admin ports are from what they said when they
//! connected (D21). It asks them all at once, and waits [`ANSWER_WITHIN`]: who
//! has not answered by then is shown as not reached, with the reason.
//!
//! Invariants
//! - Nobody is asked while nobody looks; one feed serves all who do.
//! - At most `WATCHERS_MAX` (`fill.rs`) live pages; a page that is too slow misses
//!   pictures, it does not hold them (rule 42).
//! - The page is `dashboard/page.html` alone, and may load nothing from
//!   elsewhere.
//!
//! Not here: routes (`admin/dashboard.rs`), what a node tells of itself
//! (`inspect.rs`).

mod feed;
mod gather;

use std::time::Duration;

pub(crate) use feed::Watchers;
pub(crate) use gather::{NodeReport, gather};

/// For another node's answer. A page is to show a dead leader, and its
/// successor, within two seconds; this and [`FEED_EVERY`] leave one for the
/// election.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);
/// Between two pictures of the cluster.
const FEED_EVERY: Duration = Duration::from_millis(500);

/// The page; `NONCE` stands where its own style and script prove that they are
/// its own.
pub(crate) const PAGE: &str = include_str!("dashboard/page.html");
