//! Messages between nodes (D6).

use raftlet_core::{GroupId, Message, NodeId};

/// One message and the group it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Which group.
    pub group: GroupId,
    /// What it is told.
    pub message: Message,
}

/// Sends messages, asynchronously and unreliably.
///
/// 1. Messages may be lost, delayed, reordered and repeated; never altered and
///    never delivered to another node, group or cluster.
/// 2. `send` never waits. What does not fit its bounded outbox is dropped: the
///    protocol repairs.
/// 3. What arrives is handed to `Inbox::deliver` of the shard that hosts the
///    group, with the sender as the handshake proved it.
/// 4. Messages of one `send` call travel together: one frame a node and turn.
pub trait Rpc: 'static {
    /// Sends the messages to a node and leaves `messages` empty, its memory
    /// kept for the next turn.
    fn send(&self, to: NodeId, messages: &mut Vec<Incoming>);
}
