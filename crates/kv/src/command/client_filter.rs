//! Which clients `CLIENT LIST` and `CLIENT KILL` mean.
//!
//! There are no users, replicas and subscribers: of the types of clients only
//! `normal` has any.
//!
//! Not here: its arguments (`command/parse/clients.rs`), and how clients are
//! described (`session/clients.rs`).

use bytes::Bytes;

use crate::node::ClientInfo;

/// Which clients are meant; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientFilter {
    /// Any of these numbers.
    pub(crate) ids: Option<Vec<u64>>,
    pub(crate) peer_addr: Option<Bytes>,
    pub(crate) local_addr: Option<Bytes>,
    /// Named a type, or a user, that nobody has.
    pub(crate) is_nobody: bool,
    /// Not the one that asks.
    pub(crate) skips_me: bool,
}

impl ClientFilter {
    /// Whether `client` is meant, if client `me` asks.
    pub(crate) fn matches(&self, client: &ClientInfo, me: u64) -> bool {
        let is = |wanted: &Option<Bytes>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found.as_bytes())
        };
        let is_excluded = self.is_nobody || (self.skips_me && client.id == me);
        !is_excluded
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&client.id))
            && is(&self.peer_addr, &client.peer_addr)
            && is(&self.local_addr, &client.local_addr)
    }

    /// The numbers of those of `clients` that are meant.
    pub(crate) fn ids_among(&self, clients: &[ClientInfo], me: u64) -> Vec<u64> {
        clients.iter().filter(|it| self.matches(it, me)).map(|it| it.id).collect()
    }
}
