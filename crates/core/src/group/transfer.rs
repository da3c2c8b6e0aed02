//! A leadership transfer as the group's inputs see it: asked for, and obeyed
//! (§3.10).
//!
//! Not here: how a leader hands over (`leader/transfer.rs`).

use crate::candidate::Candidate;
use crate::error::TransferError;
use crate::group::{Group, RoleState};
use crate::ids::{LogId, NodeId, Sender, Term};
use crate::liveness::Liveness;
use crate::message::VoteKind;
use crate::mutants;
use crate::output::Role;
use crate::quorum;
use crate::time::Now;

impl Group {
    /// Hands leadership over: to a voter named, or to the first that holds the
    /// whole log. Until it has ended proposals are refused; it ends with this
    /// member's office, or after an election timeout with
    /// [`Event::NotTransferred`](crate::Event::NotTransferred).
    ///
    /// # Errors
    /// [`TransferError`]: nothing has begun.
    pub fn transfer(&mut self, now: Now, to: Option<NodeId>) -> Result<(), TransferError> {
        self.state.now = now;
        let (leader, term) = (self.leader(), self.state.term);
        match &mut self.role {
            RoleState::Leader(role) => role.transfer(&self.state, to),
            _ => Err(TransferError::NotLeader { leader, term }),
        }
    }

    /// Whether it leads and is about to hand over.
    #[must_use]
    pub fn is_transferring(&self) -> bool {
        matches!(&self.role, RoleState::Leader(role) if role.is_transferring())
    }

    /// A node says, beside the group's own messages, that it does not lead in
    /// `term` nor before: it stepped down unheard, or halted on a node that
    /// lives (rule 20). Who believes in it stops.
    pub fn on_disowned(&mut self, now: Now, from: Sender, term: Term) {
        self.state.now = now;
        let is_meant = self.state.term <= term && self.state.is_member(from);
        if let RoleState::Follower(follower) = &mut self.role
            && is_meant
        {
            follower.on_not_leader(&mut self.state, from.node);
        }
    }

    /// The leader wants this member to lead. It campaigns at once, without
    /// pre-votes, if it has all that the leader had and may lead at all.
    pub(super) fn on_take_over(&mut self, from: Sender, last: LogId) {
        let is_followed = match &mut self.role {
            RoleState::Follower(follower) if follower.leader.is_none_or(|it| it == from.node) => {
                follower.hear(&mut self.state, &from);
                follower.leader == Some(from.node)
            }
            _ => false,
        };
        let is_level = self.state.log.last() >= last || mutants::is_active(64);
        // Who cannot reach a quorum would cost an election and win none.
        let reaches_quorum = quorum::reached(self.state.configuration(), |member| {
            self.state.liveness_of(member.node) != Liveness::Suspected
        });
        if !is_followed || !is_level || !reaches_quorum || !self.state.is_electable() {
            self.state.counters.stale += 1;
            return;
        }
        self.state.campaigns += 1;
        self.reads.restart();
        self.stand_for_election(VoteKind::Transfer);
    }

    /// Votes for itself in the next term, and asks for the others' votes as
    /// soon as that is durable.
    pub(super) fn stand_for_election(&mut self, kind: VoteKind) {
        self.state.adopt_term(self.state.term.next());
        self.state.vote = Some(self.state.seat.node);
        self.state.counters.campaigns += 1;
        let campaign = self.state.campaigns;
        let candidate = Candidate::real(&mut self.state, campaign, kind);
        self.role = RoleState::Candidate(Box::new(candidate));
        self.office(Role::Candidate, None);
    }
}
