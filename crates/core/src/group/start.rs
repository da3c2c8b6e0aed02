//! A member that starts: has it ever taken part, and how soon does it campaign?

use std::cmp::Reverse;

use crate::ids::{Index, NodeId, Term};
use crate::state::State;

/// Whether a member that starts has never taken part.
pub(super) fn is_fresh(state: &State) -> bool {
    let is_young = state.log.last().index <= Index::FIRST && state.term <= Term::BOOTSTRAP;
    is_young && state.refill().is_none()
}

/// A voter that starts again waits this part of an election timeout, drawn: long
/// enough for connections to be made, and short for a cluster that starts as a
/// whole, which nobody leads.
pub(super) const RESTART_SHARE: u64 = 4;

/// How long a member that just started waits before its first campaign.
pub(super) fn first_patience_ns(state: &mut State) -> u64 {
    let configuration = state.configuration();
    let voters: Vec<NodeId> = configuration
        .nodes()
        .map(|member| member.node)
        .filter(|node| configuration.is_voter(*node))
        .collect();
    if voters == [state.seat.node] {
        return 0;
    }
    if !voters.contains(&state.seat.node) {
        return state.draw_patience_ns();
    }
    if !is_fresh(state) {
        // Either all were stopped, and nobody leads, or a leader is about to be
        // heard; who asks for pre-votes too early is refused by those who hear it.
        let drawn = state.draw_timeout_ns() / RESTART_SHARE;
        return drawn.saturating_add(state.deference_ns());
    }
    // All of a fresh group agree who goes first: who should lead rather, and
    // among equals the id of the group spreads the leaders of many groups.
    let len = u64::try_from(voters.len()).unwrap_or(1);
    let turn = |node: NodeId| {
        let rank = voters.iter().position(|voter| *voter == node);
        let rank = rank.and_then(|rank| u64::try_from(rank).ok()).unwrap_or_default();
        (Reverse(configuration.priority(node)), (rank + state.seat.group.get()) % len)
    };
    let own = turn(state.seat.node);
    let earlier = voters.iter().filter(|node| turn(**node) < own).count();
    let earlier = u64::try_from(earlier).unwrap_or(len);
    earlier.saturating_mul(state.settings.election_timeout_ns / 4)
}
