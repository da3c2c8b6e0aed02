//! Gives votes to others (§3.4, §3.6.1, §9.6).
//!
//! Invariants
//! - One vote a term, to a candidate whose log is at least as good; it leaves
//!   when term and vote are durable (rule 6).
//! - Who trusts a leader gives no vote at all, except on the leader's own
//!   wish (rule 19). It does not even take over the term: a member that was
//!   cut off cannot depose a leader that the others hear.
//! - A vote request is judged by log, term and trust, not by the receiver's
//!   configuration, which may be older than the candidate's (rule 22).

use crate::ids::{LogId, NodeId, Sender, Term};
use crate::message::{Body, VoteKind, VoteReply, VoteRequest};
use crate::mutants;
use crate::state::State;

/// A grant that waits for the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwedVote {
    to: NodeId,
    term: Term,
    kind: VoteKind,
    campaign: u64,
}

/// Answers a pre-vote request for `term`. Changes nothing durable.
pub(crate) fn answer_pre_vote(
    state: &mut State,
    from: Sender,
    term: Term,
    request: &VoteRequest,
    trusts_leader: bool,
) {
    let granted = term > state.term
        && !trusts_leader
        && state.refill().is_none()
        && is_log_good_enough(request.last, state.log.last());
    let reply = VoteReply { kind: VoteKind::Pre, campaign: request.campaign, granted };
    // A grant echoes the term asked for, a refusal tells the own: a candidate
    // that is behind must learn of it, or all would stand still.
    if granted {
        state.send_in(term, from.node, Body::VoteReply(reply));
    } else {
        state.send(from.node, Body::VoteReply(reply));
    }
}

/// Decides on a request of the current term, taken over before if it was
/// higher. Returns the grant that is owed once it is durable.
pub(crate) fn decide(state: &mut State, from: Sender, request: &VoteRequest) -> Option<OwedVote> {
    let is_free = state.vote.is_none_or(|vote| vote == from.node) || mutants::is_active(3);
    // Who lost entries does not know how good its log was.
    let is_whole = state.refill().is_none() || mutants::is_active(130);
    if !is_free || !is_whole || !is_log_good_enough(request.last, state.log.last()) {
        refuse(state, from, request);
        return None;
    }
    state.vote = Some(from.node);
    let (term, kind, campaign) = (state.term, request.kind, request.campaign);
    Some(OwedVote { to: from.node, term, kind, campaign })
}

/// Whether a candidate whose log ends at `theirs` may have all that is
/// committed: the later term decides, then the longer log (§3.6.1).
pub(crate) fn is_log_good_enough(theirs: LogId, own: LogId) -> bool {
    if mutants::is_active(5) {
        return true;
    }
    if mutants::is_active(6) {
        return theirs.index >= own.index;
    }
    theirs >= own
}

/// Refuses a request for a vote, in the own term.
pub(crate) fn refuse(state: &mut State, from: Sender, request: &VoteRequest) {
    let reply = VoteReply { kind: request.kind, campaign: request.campaign, granted: false };
    state.send(from.node, Body::VoteReply(reply));
}

impl OwedVote {
    /// Sends the grant if it is durable. Returns what is still owed: nothing
    /// once the term has passed.
    pub(crate) fn settle(self, state: &mut State) -> Option<Self> {
        if self.term != state.term {
            return None;
        }
        let durable = state.durability.hard_state();
        if durable.term != self.term || durable.vote != Some(self.to) {
            return Some(self);
        }
        let reply = VoteReply { kind: self.kind, campaign: self.campaign, granted: true };
        state.send(self.to, Body::VoteReply(reply));
        None
    }
}
