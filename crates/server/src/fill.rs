//! How full is what clients and operators can fill (rule 42).
//!
//! Of what every client has for itself the fullest is told, beside the limit
//! that each has; so there are as many numbers for ten thousand clients as for
//! one. Asking walks the list of clients: it is for scrapes, not for requests.
//!
//! Not here: the shard's own queues (`raftlet::ShardStatus`), the names of all
//! this (`metrics/fill.rs`).

use std::cell::Cell;

/// Admin connections at once: dashboards, probes, scrapers and some people.
pub(crate) const CONNECTIONS_MAX: usize = 64;
/// Live pages of one node: a wall and some people.
pub(crate) const WATCHERS_MAX: usize = 16;

/// What clients fill, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientsFill {
    /// What all clients together make the node hold, in bytes; stored values
    /// that replies share apart.
    pub(crate) held_bytes: usize,
    /// The fullest of each.
    pub(crate) fullest: ClientFill,
}

/// What one client fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientFill {
    /// Requests without an answer.
    pub(crate) pipeline_len: usize,
    /// Bytes of those, of input that is no request yet, and of a transaction.
    pub(crate) held_bytes: usize,
    /// Replies that were written out and not taken.
    pub(crate) output_bytes: usize,
    /// Commands queued since `MULTI`.
    pub(crate) transaction_len: usize,
    /// Bytes of those and of watched keys.
    pub(crate) transaction_bytes: usize,
}

impl ClientsFill {
    /// One more client.
    pub(crate) fn add(&mut self, client: ClientFill) {
        self.held_bytes =
            self.held_bytes.saturating_add(client.held_bytes).saturating_add(client.output_bytes);
        let fullest = &mut self.fullest;
        *fullest = ClientFill {
            pipeline_len: fullest.pipeline_len.max(client.pipeline_len),
            held_bytes: fullest.held_bytes.max(client.held_bytes),
            output_bytes: fullest.output_bytes.max(client.output_bytes),
            transaction_len: fullest.transaction_len.max(client.transaction_len),
            transaction_bytes: fullest.transaction_bytes.max(client.transaction_bytes),
        };
    }
}

/// What the admin port's users fill. Kept by those who count them.
#[derive(Debug, Default)]
pub(crate) struct AdminFill {
    /// Connections now.
    pub(crate) connections: Cell<usize>,
    /// Live dashboards now.
    pub(crate) watchers: Cell<usize>,
}
