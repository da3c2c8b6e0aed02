//! Hands leadership of groups to other nodes: when an operator asks, and
//! before this node stops (rule 36).
//!
//! All groups at once: each costs a few flushes, and none waits for another.
//!
//! Not here: how a group does it (`raftlet`), the bytes (`admin/leader.rs`).

use serde::{Deserialize, Serialize};

use crate::shard::ports::Group;
use raftlet::TransferError;
use raftlet::core::{self, NodeId, Role};

/// What an operator asks for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Order {
    /// One group; without it every group that the asked node leads.
    pub(crate) group: Option<u64>,
    /// The node that is to lead; without it the best one.
    pub(crate) to: Option<u64>,
}

/// How it went with one group.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    pub(crate) group: u64,
    /// The node that was asked.
    pub(crate) from: u64,
    /// Who leads now, if that changed.
    pub(crate) to: Option<u64>,
    /// Why it did not change.
    pub(crate) error: Option<String>,
    /// Who leads instead, where the asked node does not.
    pub(crate) leader: Option<u64>,
    /// Where that one's operators ask.
    pub(crate) leader_admin: Option<String>,
}

/// A node that can be asked to hand over.
pub(crate) trait HandsOver: 'static {
    /// Hands over what the order names.
    fn hand_over(&self, order: Order) -> impl Future<Output = Vec<Outcome>>;
}

/// Hands over what the order names, and tells of each group how it went.
pub(crate) async fn hand_over(groups: &[Group], order: Order) -> Vec<Outcome> {
    let named = |group: &&Group| {
        let status = group.status();
        match order.group {
            Some(id) => status.group.get() == id,
            None => status.core.role == Role::Leader,
        }
    };
    let to = order.to.map(NodeId::new);
    // The call begins each; awaiting one after the other waits for the slowest.
    let begun: Vec<_> =
        groups.iter().filter(named).map(|group| (group, group.transfer_leadership(to))).collect();
    let mut outcomes = Vec::with_capacity(begun.len());
    for (group, transfer) in begun {
        outcomes.push(outcome(group, transfer.await));
    }
    outcomes
}

fn outcome(group: &Group, result: Result<NodeId, TransferError>) -> Outcome {
    let result = match result {
        // As asked, and so it is done.
        Err(TransferError::Refused(core::TransferError::LeadsAlready { node })) => Ok(node),
        result => result,
    };
    let leader = match &result {
        Err(TransferError::Refused(core::TransferError::NotLeader { leader, .. })) => *leader,
        _ => None,
    };
    Outcome {
        group: group.status().group.get(),
        from: group.node().get(),
        to: result.as_ref().ok().map(|node| node.get()),
        error: result.err().map(|error| error.to_string()),
        leader: leader.map(NodeId::get),
        leader_admin: None,
    }
}
