//! Who is alive, one answer per node pair (D7).

use raftlet_core::{Liveness, NodeId};

/// The shard's view of other nodes.
///
/// 1. `liveness` answers at once from what is known.
/// 2. Every change is also told through `Inbox::liveness` of each shard.
/// 3. It may be wrong at any time: it influences when members campaign or
///    probe, never what they believe of the log.
pub trait FailureDetector: 'static {
    /// How a node is doing.
    fn liveness(&self, node: NodeId) -> Liveness;
}
