//! One member of one group: inputs, dispatch by role, output.
//!
//! ```text
//! inputs (any number) ──▶ drain ──▶ obey the output, top to bottom ──▶ next_deadline
//! ```
//!
//! A role owns what only it needs; what all share is in `state.rs`. Inputs
//! find the role once and hand over.
//!
//! Invariants
//! - An input never panics, whatever a peer, client or disk supplied.
//! - A higher term ends the present role before anything of the message is
//!   handled (§3.3), pre-votes and votes refused out of trust apart.
//! - After `halt` nothing leaves any more.
//!
//! Not here: the protocol itself (`follower.rs`, `candidate.rs`, `leader.rs`,
//! `votes.rs`, `reads.rs`).

use std::mem;
use std::rc::Rc;

use crate::candidate::{Candidate, Tally};
use crate::counters::Counters;
use crate::durability::Durability;
use crate::entry::{Arena, Entries, Seal};
use crate::error::{ProposeError, ReadError};
use crate::follower::Follower;
use crate::ids::{Index, LogId, NUMBER_MAX, NodeId, ReadId, Sender, Term, Ticket};
use crate::leader::{Leader, reply_to};
use crate::liveness::Liveness;
use crate::log::{Log, RestoreError};
use crate::membership::Configuration;
use crate::message::{Body, ForwardOutcome, Message, VoteKind, VoteRequest};
use crate::options::Settings;
use crate::output::{Event, FetchId, HardState, Output, Role};
use crate::reads::Reads;
use crate::rng::Rng;
use crate::state::{Seat, State};
use crate::time::{Now, Time};
use crate::votes::{self, OwedVote};

/// What survived of a member. The default is one that never wrote anything.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Term and vote.
    pub hard_state: HardState,
    /// Index of the last entry.
    pub last: Index,
    /// First log id of each run of one term, ascending.
    pub runs: Vec<LogId>,
    /// Every configuration in the log and where it stands, ascending.
    pub configurations: Vec<(Index, Configuration)>,
    /// Log time of the last entry, milliseconds.
    pub last_log_time_ms: u64,
}

/// What a member is doing at the moment, with what only that role needs.
#[derive(Debug)]
enum RoleState {
    Follower(Follower),
    Candidate(Box<Candidate>),
    Leader(Box<Leader>),
    /// Takes no part any more, until the process starts again (rule 9).
    Halted,
}

/// One member of one group.
///
/// Give it any number of inputs, then [`drain`](Self::drain), obey the output
/// from top to bottom, then ask [`next_deadline`](Self::next_deadline).
#[derive(Debug)]
pub struct Group {
    state: State,
    role: RoleState,
    owed_vote: Option<OwedVote>,
    reads: Reads,
    campaigns: u64,
}

impl Group {
    /// A member with what survived of it, as follower of nobody.
    ///
    /// # Errors
    /// [`RestoreError`] when what storage gave is no log.
    pub fn new(
        settings: Rc<Settings>,
        seat: Seat,
        restored: Restored,
        seed: u64,
        now: Now,
    ) -> Result<Self, RestoreError> {
        let Restored { hard_state, last, runs, configurations, last_log_time_ms } = restored;
        let log = Log::restore(last, runs, configurations, last_log_time_ms)?;
        // A log whose last term passed the recorded one would be a broken
        // disk; the recorded term is what promises rest on, so take the higher.
        let term = hard_state.term.max(log.last().term);
        let vote = hard_state.vote.filter(|_| term == hard_state.term);
        let mut state = State {
            seat,
            seal: Seal::new(seat.group, seat.generation),
            settings,
            rng: Rng::new(seed),
            now,
            term,
            vote,
            durability: Durability::restore(last, hard_state),
            log,
            commit: Index::ZERO,
            applied: Index::ZERO,
            position: 0,
            liveness: Vec::new(),
            output: Output::default(),
            counters: Counters::default(),
        };
        let patience = first_patience_ns(&mut state);
        let follower = Follower::new(&mut state, patience);
        Ok(Self {
            role: RoleState::Follower(follower),
            state,
            owed_vote: None,
            reads: Reads::default(),
            campaigns: 0,
        })
    }

    /// A message arrived. Never fails and never panics, whatever it holds: a
    /// refusal is counted in [`Counters`] and, where it helps, answered.
    pub fn step(&mut self, now: Now, arena: &mut Arena, from: Sender, message: Message) {
        self.state.now = now;
        if self.is_halted() || !self.is_for_this_group(&message) {
            return;
        }
        let Message { term, body, .. } = message;
        match body {
            Body::VoteRequest(request) => self.on_vote_request(from, term, &request),
            Body::Append(_) => self.step_in_term(arena, from, term, body),
            // Whoever leads may be a stranger to an old configuration. Anybody
            // else must hold a seat to be heard (rules 3, 22).
            _ if self.state.is_member(from) => self.step_in_term(arena, from, term, body),
            _ => self.state.counters.stranger += 1,
        }
    }

    /// Appends commands if this member leads; one call becomes one chunk.
    /// Returns the log id of the first, the others follow it.
    ///
    /// # Errors
    /// [`ProposeError`]: nothing was appended.
    pub fn propose<'a>(
        &mut self,
        now: Now,
        arena: &mut Arena,
        commands: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<LogId, ProposeError> {
        self.state.now = now;
        let leader = self.leader();
        let RoleState::Leader(role) = &mut self.role else {
            return Err(ProposeError::NotLeader { leader, term: self.state.term });
        };
        role.propose(&mut self.state, arena, commands, None)
    }

    /// Asks for a linearizable read (§6.4). Any member may be asked; the
    /// answer comes as [`Output::reads`]. A read that no leader answers waits
    /// until [`forget_read`](Self::forget_read).
    ///
    /// # Errors
    /// [`ReadError::Busy`] when too many wait.
    pub fn read(&mut self, now: Now, read: ReadId) -> Result<(), ReadError> {
        self.state.now = now;
        let limit = self.state.settings.options().reads_max;
        let led = if let RoleState::Leader(leader) = &self.role { leader.reads.len() } else { 0 };
        if self.reads.len() + led >= limit {
            return Err(ReadError::Busy { limit });
        }
        match &mut self.role {
            RoleState::Leader(leader) => leader.read(&self.state, read),
            RoleState::Follower(_) | RoleState::Candidate(_) => self.reads.push(read),
            RoleState::Halted => self.state.output.reads_refused.push(read),
        }
        Ok(())
    }

    /// Nobody waits for this read any more.
    pub fn forget_read(&mut self, read: ReadId) {
        self.reads.forget(read);
        if let RoleState::Leader(leader) = &mut self.role {
            leader.reads.forget(read);
        }
    }

    /// Somebody waits for the leader: make sure that it still leads, at once
    /// (rule 20). Call it when a proposal is forwarded.
    pub fn doubt(&mut self, now: Now) {
        self.state.now = now;
        match &mut self.role {
            RoleState::Follower(follower) => follower.doubt(&mut self.state),
            RoleState::Leader(leader) => leader.doubt(),
            RoleState::Candidate(_) | RoleState::Halted => {}
        }
    }

    /// Everything handed out up to and with `ticket` is durable.
    pub fn on_persisted(&mut self, now: Now, ticket: Ticket) {
        self.state.now = now;
        if self.is_halted() || !self.state.durability.on_persisted(ticket) {
            return;
        }
        if let Some(owed) = self.owed_vote.take() {
            self.owed_vote = owed.settle(&mut self.state);
        }
        match &mut self.role {
            RoleState::Follower(follower) => follower.on_persisted(),
            RoleState::Candidate(candidate) => {
                candidate.on_persisted(&mut self.state);
                self.count_votes();
            }
            RoleState::Leader(leader) => leader.on_persisted(&mut self.state),
            RoleState::Halted => {}
        }
    }

    /// The machine has applied entries up to `index`.
    pub fn on_applied(&mut self, index: Index) {
        assert!(index <= self.state.commit, "applied what is not committed");
        self.state.applied = self.state.applied.max(index);
        let keep = self.state.settings.options().trailing_bytes_max;
        if self.state.log.bytes() > keep {
            self.evict(keep);
        }
    }

    /// Storage has answered a fetch; `None` when it cannot give the entries.
    pub fn on_fetched(&mut self, now: Now, id: FetchId, entries: Option<Entries>) {
        self.state.now = now;
        if let RoleState::Leader(leader) = &mut self.role {
            leader.on_fetched(&mut self.state, id, entries);
        }
    }

    /// The failure detector has news of a node.
    pub fn on_liveness(&mut self, now: Now, node: NodeId, liveness: Liveness) {
        self.state.now = now;
        let before = self.state.liveness_of(node);
        if before == liveness || node == self.state.seat.node {
            return;
        }
        self.state.liveness.retain(|(known, _)| *known != node);
        if self.state.configuration().find(node).is_some() {
            self.state.liveness.push((node, liveness));
        }
        match &mut self.role {
            RoleState::Follower(follower) => {
                follower.on_liveness(&mut self.state, node, liveness);
            }
            RoleState::Leader(leader) => leader.on_liveness(node, liveness),
            RoleState::Candidate(_) | RoleState::Halted => {}
        }
    }

    /// The deadline passed; harmless when it did not.
    pub fn on_deadline(&mut self, now: Now) {
        self.state.now = now;
        match &mut self.role {
            RoleState::Follower(follower) => {
                if follower.on_deadline(&mut self.state) {
                    self.campaign();
                }
            }
            RoleState::Candidate(candidate) => {
                if candidate.on_deadline(&mut self.state) {
                    self.campaign();
                }
            }
            RoleState::Leader(leader) => {
                if !leader.on_deadline(&mut self.state) {
                    self.step_down();
                }
            }
            RoleState::Halted => {}
        }
    }

    /// Stops taking part: storage is poisoned, or the machine broken. Nothing
    /// leaves from here on; a restart begins anew (rules 9, 44).
    pub fn halt(&mut self, now: Now) {
        self.state.now = now;
        let mut refused = self.reads.take();
        if let RoleState::Leader(leader) = &mut self.role {
            refused.extend(leader.reads.take_local());
        }
        self.role = RoleState::Halted;
        self.owed_vote = None;
        self.state.output.clear();
        self.state.output.reads_refused = refused;
        self.office(Role::Follower, None);
    }

    /// Moves everything due into `out`. A steady group allocates nothing here.
    pub fn drain(&mut self, out: &mut Output) {
        out.clear();
        if !self.is_halted() {
            match &mut self.role {
                RoleState::Follower(follower) => {
                    let leader = follower.leader;
                    if leader.is_some_and(|leader| self.reads.flush(&mut self.state, leader)) {
                        follower.doubt(&mut self.state);
                    }
                    follower.flush(&mut self.state);
                }
                RoleState::Leader(leader) => leader.flush(&mut self.state),
                RoleState::Candidate(_) | RoleState::Halted => {}
            }
            self.state.hand_out();
        }
        mem::swap(&mut self.state.output, out);
    }

    /// When to call [`on_deadline`](Self::on_deadline) if nothing else happens
    /// first; `None` while the group is idle. Valid after a drain.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        match &self.role {
            RoleState::Follower(follower) => {
                let reads = self.reads.next_deadline(&self.state);
                let reads = reads.filter(|_| follower.leader.is_some());
                [follower.next_deadline(&self.state), reads].into_iter().flatten().min()
            }
            RoleState::Candidate(candidate) => Some(candidate.next_deadline()),
            RoleState::Leader(leader) => leader.next_deadline(&self.state),
            RoleState::Halted => None,
        }
    }

    /// Drops entries from memory, oldest first, until at most `bytes_max`
    /// bytes are left or only entries that must stay. They come back from
    /// storage where they are needed.
    pub fn release_memory(&mut self, bytes_max: usize) {
        let safe = self.state.durability.index().min(self.state.commit);
        self.state.log.evict(safe, bytes_max);
    }

    // ---- Campaigns and changes of role ----

    fn campaign(&mut self) {
        if !self.state.is_electable() {
            let patience = self.state.draw_timeout_ns();
            self.become_follower(patience);
            return;
        }
        self.campaigns += 1;
        let candidate = Candidate::pre(&mut self.state, self.campaigns);
        self.role = RoleState::Candidate(Box::new(candidate));
        self.reads.restart();
        self.office(Role::PreCandidate, None);
        self.count_votes();
    }

    fn stand_for_election(&mut self) {
        self.state.adopt_term(self.state.term.next());
        self.state.vote = Some(self.state.seat.node);
        self.state.counters.campaigns += 1;
        let candidate = Candidate::real(&mut self.state, self.campaigns);
        self.role = RoleState::Candidate(Box::new(candidate));
        self.office(Role::Candidate, None);
    }

    fn count_votes(&mut self) {
        let RoleState::Candidate(candidate) = &self.role else {
            return;
        };
        match (candidate.tally(&self.state), candidate.kind) {
            (Tally::Open, _) => {}
            (Tally::Won, VoteKind::Pre) => self.stand_for_election(),
            (Tally::Won, VoteKind::Real | VoteKind::Transfer) => self.lead(),
            (Tally::Lost, _) => {
                let patience = self.state.draw_timeout_ns();
                self.become_follower(patience);
            }
        }
    }

    fn lead(&mut self) {
        assert!(self.state.is_term_durable(), "leads a term that a crash would undo");
        let mut leader = Leader::new(&mut self.state);
        for read in self.reads.take() {
            leader.read(&self.state, read);
        }
        self.role = RoleState::Leader(Box::new(leader));
        self.state.counters.elections_won += 1;
        self.office(Role::Leader, Some(self.state.seat.node));
    }

    /// No quorum answers: stop leading, in the same term.
    fn step_down(&mut self) {
        let patience = self.state.draw_timeout_ns();
        self.become_follower(patience);
    }

    fn become_follower(&mut self, patience_ns: u64) {
        if let RoleState::Leader(leader) = &mut self.role {
            for read in leader.reads.take_local() {
                self.reads.push(read);
            }
        }
        self.reads.restart();
        let follower = Follower::new(&mut self.state, patience_ns);
        self.role = RoleState::Follower(follower);
        self.office(Role::Follower, None);
    }

    fn office(&mut self, role: Role, leader: Option<NodeId>) {
        let term = self.state.term;
        self.state.event(Event::Office { role, term, leader });
    }

    // ---- Messages ----

    fn is_for_this_group(&mut self, message: &Message) -> bool {
        if message.generation != self.state.seat.generation {
            self.state.counters.other_generation += 1;
            return false;
        }
        if message.term.is_exhausted() || !numbers_in_range(&message.body) {
            self.state.counters.impossible += 1;
            return false;
        }
        true
    }

    fn on_vote_request(&mut self, from: Sender, term: Term, request: &VoteRequest) {
        let trusts_leader = self.trusts_leader();
        if request.kind == VoteKind::Pre {
            votes::answer_pre_vote(&mut self.state, from, term, request, trusts_leader);
            // Somebody misses the leader: make sure that it is there.
            if trusts_leader && term > self.state.term {
                let now = self.state.now;
                self.doubt(now);
            }
            return;
        }
        if term < self.state.term || (trusts_leader && request.kind == VoteKind::Real) {
            self.state.counters.stale_term += u64::from(term < self.state.term);
            votes::refuse(&mut self.state, from, request);
            return;
        }
        if term > self.state.term {
            self.adopt(term);
        }
        let owed = votes::decide(&mut self.state, from, request);
        if owed.is_some() {
            // Who gave a vote is patient with its candidate (§3.4).
            let patience = self.state.draw_timeout_ns();
            self.become_follower(patience);
        }
        if let Some(owed) = owed {
            self.owed_vote = owed.settle(&mut self.state);
        }
    }

    fn trusts_leader(&self) -> bool {
        match &self.role {
            RoleState::Follower(follower) => follower.trusts_leader(&self.state),
            RoleState::Leader(_) => true,
            RoleState::Candidate(_) | RoleState::Halted => false,
        }
    }

    /// Takes over a higher term, as follower of nobody in it.
    fn adopt(&mut self, term: Term) {
        self.state.adopt_term(term);
        let patience = self.state.draw_timeout_ns();
        self.become_follower(patience);
    }

    fn step_in_term(&mut self, arena: &mut Arena, from: Sender, term: Term, body: Body) {
        if let Body::VoteReply(reply) = &body {
            // A grant of a pre-vote speaks of a term that nobody is in yet.
            if reply.kind == VoteKind::Pre && reply.granted {
                self.on_vote_reply(from, term, &body);
                return;
            }
        }
        if term > self.state.term {
            self.adopt(term);
        } else if term < self.state.term {
            self.state.counters.stale_term += 1;
            self.answer_stale(from, body);
            return;
        }
        match body {
            Body::Append(append) => {
                if let RoleState::Candidate(_) = &self.role {
                    let patience = self.state.draw_timeout_ns();
                    self.become_follower(patience);
                }
                match &mut self.role {
                    RoleState::Follower(follower) => {
                        follower.on_append(&mut self.state, from, append);
                    }
                    // Two leaders in one term: the other's word proves nothing.
                    _ => self.state.counters.impossible += 1,
                }
            }
            Body::Ack(ack) => match &mut self.role {
                RoleState::Leader(leader) => leader.on_ack(&mut self.state, from, &ack),
                _ => self.state.counters.stale += 1,
            },
            Body::VoteReply(_) => self.on_vote_reply(from, term, &body),
            Body::NotLeader { .. } => {
                if let RoleState::Follower(follower) = &mut self.role {
                    follower.on_not_leader(&mut self.state, from.node);
                }
            }
            Body::ReadReply { run, read, index } => self.on_read_reply(from, run, read, index),
            Body::Probe | Body::Read { .. } | Body::Forward(_) => {
                self.on_request(arena, from, body);
            }
            // The driver keeps what it forwarded; here it is a sign of life.
            Body::ForwardReply(reply) => {
                if let (RoleState::Follower(follower), ForwardOutcome::Appended { .. }) =
                    (&mut self.role, reply.outcome)
                {
                    follower.hear(&mut self.state, from);
                }
            }
            Body::VoteRequest(_) => unreachable!("dispatched by step"),
        }
    }

    /// Another member asks for something that only a leader can give.
    fn on_request(&mut self, arena: &mut Arena, from: Sender, body: Body) {
        let leader = self.leader();
        match (&mut self.role, body) {
            (RoleState::Leader(role), Body::Probe) => role.on_probe(from.node),
            (RoleState::Leader(role), Body::Read { run, read }) => {
                role.on_read(&self.state, from, run, read);
            }
            (RoleState::Leader(role), Body::Forward(forward)) => {
                role.on_forward(&mut self.state, arena, from, &forward);
            }
            (_, body) => self.decline(from, leader, body),
        }
    }

    /// Answers a request as one who does not lead.
    fn decline(&mut self, from: Sender, leader: Option<NodeId>, body: Body) {
        let answer = match body {
            Body::Read { run, read } => Body::ReadReply { run, read, index: None },
            Body::Forward(forward) => {
                let outcome = ForwardOutcome::Refused { leader };
                Body::ForwardReply(reply_to(from, &forward, outcome))
            }
            _ => Body::NotLeader { leader },
        };
        self.state.send(from.node, answer);
    }

    /// A message of a past term: the answer's term is what helps (rule 19).
    fn answer_stale(&mut self, from: Sender, body: Body) {
        let leader = self.leader();
        match body {
            Body::Append(_) | Body::Probe | Body::Read { .. } | Body::Forward(_) => {
                self.decline(from, leader, body);
            }
            _ => {}
        }
    }

    fn on_vote_reply(&mut self, from: Sender, term: Term, body: &Body) {
        if let (RoleState::Candidate(candidate), Body::VoteReply(reply)) = (&mut self.role, body) {
            candidate.on_vote_reply(&mut self.state, from.node, term, reply);
            self.count_votes();
        } else {
            self.state.counters.stale += 1;
        }
    }

    fn on_read_reply(
        &mut self,
        from: Sender,
        run: crate::ids::Run,
        read: ReadId,
        index: Option<Index>,
    ) {
        let RoleState::Follower(follower) = &mut self.role else {
            self.state.counters.stale += 1;
            return;
        };
        match index {
            Some(index) => {
                if self.reads.on_reply(&mut self.state, run, read, index) {
                    follower.hear(&mut self.state, from);
                }
            }
            None => follower.on_not_leader(&mut self.state, from.node),
        }
    }

    fn evict(&mut self, keep_bytes: usize) {
        let state = &mut self.state;
        let mut until = state.durability.index().min(state.applied);
        if let RoleState::Leader(leader) = &self.role {
            until = until.min(leader.live_matched(state));
        }
        state.log.evict(until, keep_bytes);
    }
}

/// How long a member that just started waits before its first campaign.
fn first_patience_ns(state: &mut State) -> u64 {
    let configuration = state.configuration();
    let voters: Vec<NodeId> = configuration
        .nodes()
        .map(|member| member.node)
        .filter(|node| configuration.is_voter(*node))
        .collect();
    if voters == [state.seat.node] {
        return 0;
    }
    let is_fresh = state.log.last().index == Index::FIRST && state.term == Term::BOOTSTRAP;
    let rank = voters.iter().position(|node| *node == state.seat.node);
    match rank.and_then(|rank| u64::try_from(rank).ok()).filter(|_| is_fresh) {
        // All of a fresh group agree who goes first; the id of the group spreads
        // the leaders of many groups over the nodes.
        Some(rank) => {
            let voters = u64::try_from(voters.len()).unwrap_or(1);
            let turn = (rank + state.seat.group.get()) % voters;
            turn.saturating_mul(state.settings.election_timeout_ns / 4)
        }
        None => state.draw_timeout_ns(),
    }
}

/// Whether every index and term of a message leaves room for arithmetic
/// (rule 24).
fn numbers_in_range(body: &Body) -> bool {
    let fine = |id: LogId| id.index.get() < NUMBER_MAX && id.term.get() < NUMBER_MAX;
    match body {
        Body::Append(append) => {
            fine(append.previous)
                && append.commit.get() < NUMBER_MAX
                && append.configuration.get() < NUMBER_MAX
                && append.entries.first().is_none_or(|i| i == append.previous.index.next())
                && append.entries.last().is_none_or(fine)
        }
        Body::VoteRequest(request) => fine(request.last),
        Body::ReadReply { index, .. } => index.is_none_or(|index| index.get() < NUMBER_MAX),
        _ => true,
    }
}

pub(crate) mod queries;

#[cfg(test)]
mod tests;
