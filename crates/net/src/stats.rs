//! What the transport counted, for status and metrics.

use raftlet::core::{Liveness, NodeId};

/// Counters of one peer; they only grow, except where said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerStats {
    /// Frames handed to the outbox.
    pub frames_sent: u64,
    /// Bytes handed to the outbox.
    pub bytes_sent: u64,
    /// Messages handed to the outbox.
    pub messages_sent: u64,
    /// Frames received whole.
    pub frames_received: u64,
    /// Bytes of those frames' bodies.
    pub bytes_received: u64,
    /// Messages handed to the sink.
    pub messages_received: u64,
    /// Messages not sent because the outbox was full.
    pub dropped_full: u64,
    /// Messages not sent because no connection was established, or the peer's
    /// incarnation was not expected.
    pub dropped_unconnected: u64,
    /// Messages not sent because they are beyond the wire's limits.
    pub dropped_oversized: u64,
    /// Heartbeats and replies not sent because the outbox was full.
    pub dropped_control: u64,
    /// Received messages that were no messages; see `MessageError`.
    pub messages_refused: u64,
    /// Received messages of a node whose incarnation is not expected yet.
    pub messages_unexpected: u64,
    /// Attempts to dial.
    pub dials: u64,
    /// Connections established by dialling.
    pub connects: u64,
    /// Connections closed for what arrived on them.
    pub protocol_errors: u64,
    /// Refusals sent.
    pub refusals_sent: u64,
    /// Refusals received.
    pub refusals_received: u64,
    /// The last round trip, nanoseconds. Moves both ways.
    pub rtt_ns: u64,
    /// Bytes in the outbox, now.
    pub outbox_bytes: u64,
}

/// One peer, as of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The node.
    pub node: NodeId,
    /// How it is doing.
    pub liveness: Liveness,
    /// Whether our connection to it is established.
    pub is_connected: bool,
    /// What was counted.
    pub stats: PeerStats,
}

/// The whole transport, as of now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetStatus {
    /// Every peer, in order of node ids.
    pub peers: Vec<PeerStatus>,
    /// What an outbox may hold, bytes.
    pub outbox_bytes_max: usize,
    /// Connections turned away because `handshakes_max` were open.
    pub turned_away: u64,
    /// Connections that ended before they were established.
    pub handshakes_failed: u64,
    /// Failed calls to accept.
    pub accept_errors: u64,
    /// Messages for nodes that are no peers.
    pub unroutable: u64,
}
