//! A failure detector that is told what to say.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::cell::ShardCell;
use crate::port::FailureDetector;
use raftlet_core::{Generation, GroupId, Liveness, NodeId, Term};

/// Groups that a member leads no more, and in which term.
type Disowned = (GroupId, Generation, Term);

/// Disowned groups kept until they are taken; older ones give way.
const DISOWNED_MAX: usize = 1 << 10;

/// Says of each node what it was last told; `Unknown` before. Clones are the
/// same detector.
///
/// Laws 2 and 4 are the teller's: after `set` call `Inbox::liveness` too, and
/// pass on what [`ManualDetector::take_disowned`] gives.
#[derive(Clone, Debug, Default)]
pub struct ManualDetector(Rc<ShardCell<Told>>);

#[derive(Debug, Default)]
struct Told {
    nodes: BTreeMap<NodeId, Liveness>,
    disowned: VecDeque<Disowned>,
}

impl ManualDetector {
    /// A detector that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on `node` is doing like this.
    pub fn set(&self, node: NodeId, liveness: Liveness) {
        self.0.with(|told| told.nodes.insert(node, liveness));
    }

    /// What the shard has disowned since the last call.
    #[must_use]
    pub fn take_disowned(&self) -> Vec<Disowned> {
        self.0.with(|told| told.disowned.drain(..).collect())
    }
}

impl FailureDetector for ManualDetector {
    fn liveness(&self, node: NodeId) -> Liveness {
        self.0.with(|told| told.nodes.get(&node).copied().unwrap_or_default())
    }

    fn disown(&self, group: GroupId, generation: Generation, term: Term) {
        self.0.with(|told| {
            if told.disowned.len() >= DISOWNED_MAX {
                told.disowned.pop_front();
            }
            told.disowned.push_back((group, generation, term));
        });
    }
}
