//! A failure detector that is told what to say.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::cell::ShardCell;
use crate::port::FailureDetector;
use raftlet_core::{Liveness, NodeId};

/// Says of each node what it was last told; `Unknown` before. Clones are the
/// same detector.
///
/// Law 2 is the teller's: after `set`, call `Inbox::liveness` too.
#[derive(Clone, Debug, Default)]
pub struct ManualDetector(Rc<ShardCell<BTreeMap<NodeId, Liveness>>>);

impl ManualDetector {
    /// A detector that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on `node` is doing like this.
    pub fn set(&self, node: NodeId, liveness: Liveness) {
        self.0.with(|nodes| nodes.insert(node, liveness));
    }
}

impl FailureDetector for ManualDetector {
    fn liveness(&self, node: NodeId) -> Liveness {
        self.0.with(|nodes| nodes.get(&node).copied().unwrap_or_default())
    }
}
