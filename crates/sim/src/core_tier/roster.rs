//! Who sits where: seats are nodes counted from 0, and node ids from 1.

use raftlet::core::{Configuration, Incarnation, Index, Member, MemberRole, NodeId};

/// Members that somebody wants, and the configuration that he looked at.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) expected: Index,
    pub(crate) members: Vec<Member>,
}

/// The node at a seat.
pub(crate) fn node_at(seat: usize) -> NodeId {
    NodeId::new(u64::try_from(seat).expect("a small number") + 1)
}

/// The seat of a node.
pub(crate) fn seat_of(node: NodeId) -> Option<usize> {
    usize::try_from(node.get()).ok()?.checked_sub(1)
}

/// The incarnation of a seat's only data directory.
pub(crate) fn incarnation_of(seat: usize) -> Incarnation {
    Incarnation(u128::from(node_at(seat).get()) << 64 | 0xd15c)
}

/// A node's seat in a configuration.
pub(crate) fn seated(seat: usize, role: MemberRole, priority: u8) -> Member {
    let node = node_at(seat);
    Member {
        node,
        incarnation: incarnation_of(seat),
        role,
        priority,
        address: format!("n{node}:1"),
    }
}

/// Whether a majority of each active set holds.
pub(crate) fn is_quorum(configuration: &Configuration, holds: impl Fn(usize) -> bool) -> bool {
    let majority = |set: &[Member]| {
        let voters = set.iter().filter(|member| member.role == MemberRole::Voter);
        let votes: Vec<bool> = voters.map(|m| seat_of(m.node).is_some_and(&holds)).collect();
        votes.iter().filter(|held| **held).count() * 2 > votes.len()
    };
    let outgoing = configuration.outgoing();
    majority(configuration.members()) && (outgoing.is_empty() || majority(outgoing))
}
