//! The members of all groups: listed, and changed when an operator asks.
//!
//! Every group has members of its own; an order without a group is meant for
//! all of them, at once.
//!
//! Not here: how a group does it (`raftlet`), the bytes (`admin/members.rs`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::shard::ports::Group;
use raftlet::ChangeError;
use raftlet::core::{self, Incarnation, Index, Member, MemberRole, NodeId, PRIORITY_DEFAULT};

/// The change before this one is committed within some flushes as a rule: a
/// script that gives one order after the other need not know. A change that
/// waits for members to catch up lasts longer, and is refused by its name.
const SETTLE_PAUSE: Duration = Duration::from_millis(50);
const SETTLE_TRIES: u32 = 40;

/// What an operator wants done.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    Add,
    Promote,
    Demote,
    Remove,
    Update,
    Cancel,
}

/// An order about one member.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) op: Op,
    /// Which member; left out to cancel.
    #[serde(default)]
    pub(crate) node: u64,
    /// Where other nodes connect to it: to add and to update.
    #[serde(default)]
    pub(crate) address: String,
    /// Who should lead rather, the higher: to add and to update.
    #[serde(default)]
    pub(crate) priority: Option<u8>,
    /// Of its data directory, hexadecimal: to add.
    #[serde(default)]
    pub(crate) incarnation: String,
    /// One group; else all.
    #[serde(default)]
    pub(crate) group: Option<u64>,
}

/// How it went with one group.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    pub(crate) group: u64,
    /// Where the configuration stands that has it so, committed.
    pub(crate) index: Option<u64>,
    /// Why it is not so.
    pub(crate) error: Option<String>,
}

/// What a node tells of the cluster: enough to join it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Roster {
    pub(crate) cluster_id: String,
    pub(crate) cluster_name: String,
    /// The cluster's first members, which its id is made of.
    pub(crate) founders: String,
    pub(crate) groups: Vec<GroupMembers>,
}

/// The members of one group, as the asked node has them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct GroupMembers {
    pub(crate) group: u64,
    pub(crate) leader: Option<u64>,
    /// Where the configuration stands in the log.
    pub(crate) index: u64,
    /// Whether it is committed, as far as that node knows.
    pub(crate) is_committed: bool,
    pub(crate) members: Vec<MemberLine>,
    /// Members on their way out; empty unless two sets must agree.
    pub(crate) outgoing: Vec<MemberLine>,
    /// Members that a change waits for; known where the group is led.
    pub(crate) catching_up: Vec<CatchingUp>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct MemberLine {
    pub(crate) node: u64,
    /// `voter` or `learner`.
    pub(crate) role: String,
    /// Who should lead rather: the higher.
    #[serde(default = "priority_default")]
    pub(crate) priority: u8,
    pub(crate) address: String,
    pub(crate) incarnation: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct CatchingUp {
    pub(crate) node: u64,
    pub(crate) matched: u64,
    pub(crate) goal: u64,
}

/// Of members of nodes that do not tell one.
const fn priority_default() -> u8 {
    PRIORITY_DEFAULT
}

/// A node that knows members and can be asked to change them.
pub(crate) trait HasMembers: 'static {
    /// The members of all groups.
    fn roster(&self) -> Roster;
    /// Does what the order says in every group that it means.
    ///
    /// # Errors
    /// In words: the order cannot be carried out by anybody.
    fn change(&self, order: Order) -> impl Future<Output = Result<Vec<Outcome>, String>>;
}

/// The members of one group.
pub(crate) fn of_group(group: &Group) -> GroupMembers {
    let status = group.status();
    let core = status.core;
    let line = |member: &Member| MemberLine {
        node: member.node.get(),
        role: match member.role {
            MemberRole::Voter => "voter".to_owned(),
            MemberRole::Learner => "learner".to_owned(),
        },
        priority: member.priority,
        address: member.address.clone(),
        incarnation: format!("{:032x}", member.incarnation.0),
    };
    let catching_up = core.catching_up.iter().map(|wait| CatchingUp {
        node: wait.node.get(),
        matched: wait.matched.get(),
        goal: wait.goal.get(),
    });
    GroupMembers {
        group: status.group.get(),
        leader: core.leader.map(NodeId::get),
        index: core.configuration_index.get(),
        is_committed: core.configuration_index <= core.commit_index,
        members: core.configuration.members().iter().map(line).collect(),
        outgoing: core.configuration.outgoing().iter().map(line).collect(),
        catching_up: catching_up.collect(),
    }
}

/// Whether another change is in the way.
fn is_unsettled(result: &Result<Index, ChangeError>) -> bool {
    matches!(result, Err(ChangeError::Refused(core::ChangeError::InProgress { .. })))
}

/// A number as it is printed.
pub(crate) fn incarnation(text: &str) -> Option<Incarnation> {
    let number = u128::from_str_radix(text.trim(), 16).ok()?;
    (number != 0).then_some(Incarnation(number))
}

/// Carries out an order in the groups that it means, and waits for all.
///
/// # Errors
/// In words: the order lacks something.
pub(crate) async fn change(groups: &[Group], order: &Order) -> Result<Vec<Outcome>, String> {
    let node = NodeId::new(order.node);
    if order.node == 0 && order.op != Op::Cancel {
        return Err("say which node; ids start at 1".to_owned());
    }
    if order.address.is_empty() && order.op == Op::Add {
        return Err("say where other nodes connect to it, HOST:PORT".to_owned());
    }
    if order.address.is_empty() && order.priority.is_none() && order.op == Op::Update {
        return Err("say where other nodes connect to it, HOST:PORT, or its priority".to_owned());
    }
    let incarnation = match (order.op, incarnation(&order.incarnation)) {
        (Op::Add, None) => {
            return Err("say the incarnation of its data directory, as the node prints it; \
                        `raftlet serve --join` knows it by itself"
                .to_owned());
        }
        (_, known) => known.unwrap_or_default(),
    };
    let address = order.address.clone();
    let priority = order.priority.unwrap_or(PRIORITY_DEFAULT);
    let moved = Some(address.clone()).filter(|address| !address.is_empty());
    let member = Member { node, incarnation, role: MemberRole::Learner, priority, address };
    let begin = |group: &Group| match order.op {
        Op::Add => group.add_learner(member.clone()),
        Op::Promote => group.promote(node),
        Op::Demote => group.demote(node),
        Op::Remove => group.remove(node),
        Op::Update => group.update_member(node, moved.clone(), order.priority),
        Op::Cancel => group.cancel_change(),
    };
    let ids = groups.iter().map(|group| (group.status().group.get(), group));
    let meant = ids.filter(|(id, _)| order.group.is_none_or(|meant| meant == *id));
    // The call begins each; awaiting one after the other waits for the slowest.
    let begun: Vec<_> = meant.map(|(id, group)| (id, group, begin(group))).collect();
    if begun.is_empty() {
        return Err("no such group on this node, or it does not serve yet".to_owned());
    }
    let mut outcomes = Vec::with_capacity(begun.len());
    for (group, of, changing) in begun {
        let mut result = changing.await;
        for _ in 0..SETTLE_TRIES {
            if !is_unsettled(&result) {
                break;
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
            result = begin(of).await;
        }
        outcomes.push(Outcome {
            group,
            index: result.as_ref().ok().map(|index| index.get()),
            error: result.err().map(|error| error.to_string()),
        });
    }
    Ok(outcomes)
}
