//! Who is alive, one answer per node pair (D7).

use raftlet_core::{Generation, GroupId, Liveness, NodeId, Term};

/// The shard's view of other nodes.
///
/// 1. `liveness` answers at once from what is known.
/// 2. Every change is also told through `Inbox::liveness` of each shard.
/// 3. It may be wrong at any time: it influences when members campaign or
///    probe, never what they believe of the log.
/// 4. What is disowned here is told to every other node until that node has
///    answered; there it goes to `Inbox::disowned` of each shard. Bounded.
pub trait FailureDetector: 'static {
    /// How a node is doing.
    fn liveness(&self, node: NodeId) -> Liveness;

    /// This node led `group` in `term` and does no more: others unlearn it.
    fn disown(&self, group: GroupId, generation: Generation, term: Term);
}
