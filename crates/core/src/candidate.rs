//! Campaigns: asks for pre-votes, then for votes (§3.4, §9.6).
//!
//! ```text
//! follower ──patience ends──▶ pre-candidate ──quorum──▶ candidate ──quorum──▶ leader
//!     ▲                        │ again after a time │      │ time is up: pre-candidate
//!     └── leader heard, higher term, refused by a quorum ──┘
//! ```
//!
//! Invariants
//! - A pre-vote changes nothing durable on either side (rule 19).
//! - Votes are asked for, and the own one is counted, only when term and own
//!   vote are durable (rule 6).
//! - An answer counts once per voter, and only for the campaign that it names.
//!
//! Not here: whether this member may campaign (`state.rs`), giving votes
//! (`votes.rs`).

use crate::ids::{NodeId, Term};
use crate::liveness::Liveness;
use crate::membership::Role;
use crate::message::{Body, VoteKind, VoteReply, VoteRequest};
use crate::mutants;
use crate::quorum;
use crate::state::State;
use crate::time::Time;

/// How a campaign stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    Open,
    Won,
    Lost,
}

/// One campaign.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) kind: VoteKind,
    campaign: u64,
    /// The term that is asked for.
    term: Term,
    /// First answer of each voter.
    votes: Vec<(NodeId, bool)>,
    /// Whether the requests have left.
    announced: bool,
    repeat_at: Time,
    /// How long it lasts, once announced.
    patience_ns: u64,
    /// A suspected voter that has not answered the first request counts as one
    /// that refused: two survivors that split the vote need not wait out the
    /// campaign for a third that is dead.
    gives_up_suspects: bool,
    ends_at: Time,
}

impl Candidate {
    /// Asks whether a campaign for the next term could succeed.
    pub(crate) fn pre(state: &mut State, campaign: u64) -> Self {
        // Shorter than a candidacy: an unanswered pre-vote costs nobody anything.
        let patience = state.draw_timeout_ns() / 4;
        let mut candidate = Self::new(state, VoteKind::Pre, campaign, patience);
        candidate.votes.push((state.seat.node, true));
        candidate.announce(state);
        candidate
    }

    /// Stands for the current term, for which the caller has just voted.
    pub(crate) fn real(state: &mut State, campaign: u64, kind: VoteKind) -> Self {
        let patience = state.draw_timeout_ns();
        let mut candidate = Self::new(state, kind, campaign, patience);
        if mutants::is_active(108) {
            candidate.votes.push((state.seat.node, true));
            candidate.announce(state);
        }
        candidate
    }

    fn new(state: &State, kind: VoteKind, campaign: u64, patience_ns: u64) -> Self {
        let now = state.time();
        Self {
            kind,
            campaign,
            term: if kind == VoteKind::Pre { state.term.next() } else { state.term },
            votes: Vec::new(),
            announced: false,
            gives_up_suspects: false,
            repeat_at: now,
            patience_ns,
            ends_at: now,
        }
    }

    /// Sends the requests as soon as the own vote is durable, and counts it.
    pub(crate) fn on_persisted(&mut self, state: &mut State) {
        let own = Some(state.seat.node);
        let durable = state.durability.hard_state();
        if !self.announced && durable.term == self.term && durable.vote == own {
            self.votes.push((state.seat.node, true));
            self.announce(state);
        }
    }

    fn announce(&mut self, state: &mut State) {
        let now = state.time();
        self.announced = true;
        self.repeat_at = now.after_ns(state.settings.heartbeat_interval_ns);
        self.ends_at = now.after_ns(self.patience_ns);
        for node in state.others() {
            self.ask(state, node);
        }
    }

    fn ask(&self, state: &mut State, node: NodeId) {
        let configuration = state.configuration();
        if !configuration.is_voter(node) && !mutants::is_active(14) {
            return;
        }
        let own = configuration.find(state.seat.node);
        let request = VoteRequest {
            kind: self.kind,
            campaign: self.campaign,
            last: state.log.last(),
            address: own.map(|member| member.address.clone()).unwrap_or_default(),
        };
        state.send_in(self.term, node, Body::VoteRequest(request));
    }

    /// Its time counts from when the requests leave: a candidate that gave up
    /// on its own slow disk would owe that disk the next term as well. Until
    /// then only the stall limit ends it (rule 28).
    #[inline(never)]
    pub(crate) fn next_deadline(&self, state: &State) -> Option<Time> {
        if self.announced { Some(self.repeat_at.min(self.ends_at)) } else { state.stall_at() }
    }

    /// Repeats lost requests; returns whether the campaign's time is up.
    pub(crate) fn on_deadline(&mut self, state: &mut State) -> bool {
        let now = state.time();
        if !self.announced {
            return state.is_stalled();
        }
        if now >= self.ends_at {
            return true;
        }
        if now >= self.repeat_at {
            self.gives_up_suspects = true;
            self.repeat_at = now.after_ns(state.settings.heartbeat_interval_ns);
            for node in state.others() {
                if !self.votes.iter().any(|(voter, _)| *voter == node) {
                    self.ask(state, node);
                }
            }
        }
        false
    }

    /// Notes an answer; `asked_term` is the term it speaks of.
    pub(crate) fn on_vote_reply(
        &mut self,
        state: &mut State,
        from: NodeId,
        asked_term: Term,
        reply: &VoteReply,
    ) {
        let is_answer = reply.kind == self.kind
            && reply.campaign == self.campaign
            && (!reply.granted || asked_term == self.term);
        let current = self.announced && (is_answer || mutants::is_active(9));
        let again = self.votes.iter().any(|(voter, _)| *voter == from);
        if !current || (again && !mutants::is_active(8)) {
            state.counters.stale += 1;
            return;
        }
        self.votes.push((from, reply.granted));
    }

    pub(crate) fn tally(&self, state: &State) -> Tally {
        let answer = |node| self.votes.iter().find(|(voter, _)| *voter == node).map(|(_, v)| *v);
        let is_dead =
            |node| self.gives_up_suspects && state.liveness_of(node) == Liveness::Suspected;
        let refused = |node| answer(node).map_or_else(|| is_dead(node), |granted| !granted);
        let configuration = state.configuration();
        if mutants::is_active(8) {
            let granted = self.votes.iter().filter(|(_, granted)| *granted).count();
            let is_won = granted > configuration.members().len() / 2;
            return if is_won { Tally::Won } else { Tally::Open };
        }
        if mutants::is_active(14) {
            let voters = configuration.members().iter().filter(|it| it.role == Role::Voter);
            let grants = self.votes.iter().filter(|(_, granted)| *granted);
            if grants.count() > voters.count() / 2 {
                return Tally::Won;
            }
        }
        if quorum::reached(configuration, |member| answer(member.node) == Some(true)) {
            Tally::Won
        } else if quorum::is_lost(configuration, |member| refused(member.node)) {
            Tally::Lost
        } else {
            Tally::Open
        }
    }
}
