//! What the embedder chooses for the transport.
//!
//! [`NetOptions`] is public fields; [`Net::new`](crate::Net::new) takes them and
//! refuses, by name, what does not fit together.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::frame::{FRAME_BYTES_MAX, HEADER_BYTES};
use crate::handshake::Identity;
use crate::introduction::NodeAddresses;
use crate::rollcall::{RollCallError, RollCallMember};
use raftlet::core::{ADDRESS_BYTES_MAX, Incarnation, NodeId, Run};

/// Choices for the transport of one node.
#[derive(Clone, Debug)]
pub struct NetOptions {
    /// Who this node is.
    pub identity: Identity,
    /// The other nodes. An entry for this node is skipped.
    pub peers: Vec<PeerOptions>,
    /// Where the roll call stands.
    pub roll_call: RollCallStart,
    /// Bytes that may wait for one peer. Default 16 MiB: a window of appends
    /// (8 MiB) and as much of everything else. At least one largest frame.
    pub outbox_bytes_max: usize,
    /// Connections that may be in their handshake at once; more are closed at
    /// the door. Default 64: every member of the largest cluster.
    pub handshakes_max: usize,
    /// How long a handshake, or a connect, may take. Default 2 s.
    pub handshake_timeout: Duration,
    /// How often a heartbeat goes to every peer. Default 100 ms.
    pub heartbeat_interval: Duration,
    /// Silence that makes a node suspected. Default 500 ms; above one round
    /// trip plus two heartbeat intervals.
    pub suspect_after: Duration,
    /// A connection over which nothing was proved for so long is closed and
    /// made anew. Default 2 s, at least `suspect_after`.
    pub idle_after: Duration,
    /// Second delay between dials; the first retry is immediate. Default 50 ms.
    pub redial_min: Duration,
    /// Longest delay between dials. Default 1 s.
    pub redial_max: Duration,
    /// Where clients and operators reach this node: what peers are told of it.
    /// Default: nowhere.
    pub addresses: NodeAddresses,
    /// Seeds jitter and nonces. Different on every node and start.
    pub seed: u64,
}

/// Another node.
#[derive(Clone, Debug)]
pub struct PeerOptions {
    /// Its node id.
    pub node: NodeId,
    /// Where it listens, `host:port`.
    pub address: String,
    /// The incarnation that the configuration names, when there is one.
    pub expected: Option<Incarnation>,
    /// The highest run that was remembered, of which incarnation (rule 4).
    pub remembered: Option<(Incarnation, Run)>,
}

/// Where the roll call stands at start (rule 5).
#[derive(Clone, Debug)]
pub enum RollCallStart {
    /// Nothing is written: these are all initial members, this node included.
    Begins(Vec<(NodeId, String)>),
    /// Entry 1 is written and holds this.
    Written(Vec<RollCallMember>),
    /// This node came later than entry 1.
    Over,
}

impl NetOptions {
    /// Options with their defaults.
    #[must_use]
    pub const fn new(
        identity: Identity,
        peers: Vec<PeerOptions>,
        roll_call: RollCallStart,
        seed: u64,
    ) -> Self {
        Self {
            identity,
            peers,
            roll_call,
            outbox_bytes_max: 16 << 20,
            handshakes_max: 64,
            handshake_timeout: Duration::from_secs(2),
            heartbeat_interval: Duration::from_millis(100),
            suspect_after: Duration::from_millis(500),
            idle_after: Duration::from_secs(2),
            redial_min: Duration::from_millis(50),
            redial_max: Duration::from_secs(1),
            addresses: NodeAddresses { client: String::new(), admin: String::new() },
            seed,
        }
    }

    /// # Errors
    /// The first option that cannot stand.
    pub(crate) fn check(&self) -> Result<(), NetOptionsError> {
        let refuse =
            |field, got: String, must_be| Err(NetOptionsError::Field { field, got, must_be });
        let least = FRAME_BYTES_MAX + HEADER_BYTES;
        if self.outbox_bytes_max < least {
            let got = self.outbox_bytes_max.to_string();
            return refuse("outbox_bytes_max", got, "at least 8 MiB + 16 bytes, one frame");
        }
        if self.handshakes_max == 0 {
            return refuse("handshakes_max", "0".to_owned(), "at least 1");
        }
        let interval = self.heartbeat_interval;
        if interval.is_zero() || interval.saturating_mul(2) > self.suspect_after {
            let must_be = "above zero and at most half of suspect_after";
            return refuse("heartbeat_interval", format!("{interval:?}"), must_be);
        }
        if self.idle_after < self.suspect_after {
            let got = format!("{:?}", self.idle_after);
            return refuse("idle_after", got, "at least suspect_after");
        }
        if self.redial_min.is_zero() || self.redial_min > self.redial_max {
            let got = format!("{:?}", self.redial_min);
            return refuse("redial_min", got, "above zero and at most redial_max");
        }
        if self.handshake_timeout.is_zero() {
            return refuse("handshake_timeout", "0".to_owned(), "above zero");
        }
        if let Some(address) = self.addresses.oversized() {
            let got = format!("an address of {} bytes", address.len());
            return refuse("addresses", got, "at most 260 bytes each");
        }
        self.check_peers()
    }

    fn check_peers(&self) -> Result<(), NetOptionsError> {
        let mut seen = BTreeMap::new();
        for peer in &self.peers {
            let is_double = seen.insert(peer.node, ()).is_some();
            if is_double || peer.node == NodeId::default() {
                return Err(NetOptionsError::Peer(peer.node));
            }
            if peer.address.len() > ADDRESS_BYTES_MAX {
                return Err(NetOptionsError::Field {
                    field: "address",
                    got: format!("{} bytes long for node {}", peer.address.len(), peer.node),
                    must_be: "at most 260 bytes",
                });
            }
        }
        Ok(())
    }
}

/// Options that cannot stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetOptionsError {
    /// One value, or two that do not fit together.
    #[error("option {field} is {got}; it must be {must_be}")]
    Field {
        /// Which.
        field: &'static str,
        /// Its value.
        got: String,
        /// What would do.
        must_be: &'static str,
    },
    /// A peer listed twice, or node 0.
    #[error("peer {0} is listed twice, or is 0, which names nobody")]
    Peer(NodeId),
    /// Initial members that make no roll call.
    #[error(transparent)]
    RollCall(#[from] RollCallError),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Identity, NetOptions, NetOptionsError, PeerOptions, RollCallStart};
    use raftlet::core::{ClusterId, NodeId, Sender};

    fn options() -> NetOptions {
        let identity = Identity { cluster: ClusterId(1), seat: Sender::default() };
        NetOptions::new(identity, Vec::new(), RollCallStart::Over, 1)
    }

    fn refused(change: impl FnOnce(&mut NetOptions)) -> &'static str {
        let mut options = options();
        change(&mut options);
        match options.check() {
            Err(NetOptionsError::Field { field, .. }) => field,
            other => panic!("no field was refused: {other:?}"),
        }
    }

    #[test]
    fn the_defaults_stand_and_what_does_not_fit_is_refused_by_name() {
        assert_eq!(options().check(), Ok(()));
        assert_eq!(refused(|o| o.outbox_bytes_max = 1000), "outbox_bytes_max");
        assert_eq!(refused(|o| o.handshakes_max = 0), "handshakes_max");
        assert_eq!(refused(|o| o.suspect_after = Duration::from_millis(150)), "heartbeat_interval");
        assert_eq!(refused(|o| o.idle_after = Duration::from_millis(499)), "idle_after");
        assert_eq!(refused(|o| o.redial_max = Duration::ZERO), "redial_min");
        assert_eq!(refused(|o| o.handshake_timeout = Duration::ZERO), "handshake_timeout");
        assert_eq!(refused(|o| o.addresses.client = "x".repeat(261)), "addresses");
    }

    #[test]
    fn doubled_and_nameless_peers_are_refused() {
        let peer = |node| PeerOptions {
            node: NodeId::new(node),
            address: "host:70".to_owned(),
            expected: None,
            remembered: None,
        };
        let mut doubled = options();
        doubled.peers = vec![peer(2), peer(2)];
        let refused = NetOptionsError::Peer(NodeId::new(2));
        assert_eq!(doubled.check(), Err(refused));
        doubled.peers = vec![peer(0)];
        assert!(doubled.check().is_err());
    }
}
