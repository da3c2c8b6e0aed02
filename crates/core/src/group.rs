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
//! Not here: messages of others (`group/messages.rs`), questions
//! (`group/queries.rs`), snapshots (`group/snapshots.rs`), leadership transfers
//! (`group/transfer.rs`), checkpoints (`group/checkpoints.rs`), the protocol itself (`follower.rs`, `candidate.rs`,
//! `leader.rs`, `votes.rs`, `reads.rs`).

use std::mem;
use std::rc::Rc;

use crate::candidate::{Candidate, Tally};
use crate::counters::Counts;
use crate::durability::Durability;
use crate::entry::arena::Arena;
use crate::entry::{Entries, Seal};
use crate::error::{ProposeError, ReadError};
use crate::follower::Follower;
use crate::group::start::{first_patience_ns, is_fresh};
use crate::ids::{Index, LogId, NodeId, ReadId, Ticket};
use crate::leader::Leader;
use crate::liveness::{Liveness, Others};
use crate::log::base::Head;
use crate::log::{Log, RestoreError};
use crate::membership::Configuration;
use crate::message::VoteKind;
use crate::mutants;
use crate::options::Settings;
use crate::output::outlet::{Kept, Outlet};
use crate::output::{Effects, Event, FetchId, HardState, Output, Role};
use crate::reads::Reads;
use crate::refill::Refill;
use crate::rng::Rng;
use crate::snapshot::{Compaction, Snapshot};
use crate::state::{Seat, State};
use crate::time::{Now, Pace, Time};
use crate::votes::OwedVote;

/// What survived of a member. The default is one that never wrote anything.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Term and vote.
    pub hard_state: HardState,
    /// The last entry that left the log; zero while none has.
    pub base: LogId,
    /// The current snapshot.
    pub snapshot: Option<Snapshot>,
    /// Index of the last entry; that of the base when there is none.
    pub last: Index,
    /// First log id of each run of one term, ascending.
    pub runs: Vec<LogId>,
    /// Every configuration in the log and where it stands, ascending.
    pub configurations: Vec<(Index, Configuration)>,
    /// Log time of the last entry, milliseconds.
    pub last_log_time_ms: u64,
    /// Up to here the machine has applied the log durably, by itself (rule 14);
    /// 0 for one that starts from the snapshot, or from nothing. It may be among
    /// what `refill` speaks of.
    pub machine: Index,
    /// Entries were held that are lost: until a leader has sent them again this
    /// member gives no vote (rule 10).
    pub refill: Option<Refill>,
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
    /// Rare and large.
    owed_vote: Option<Box<OwedVote>>,
    reads: Reads,
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
        let (hard_state, machine) = (restored.hard_state, restored.machine);
        let refill = restored.refill;
        let (log, durability) = restored.log()?;
        let (end, snapshot) = (log.last(), log.snapshot());
        let last = end.index;
        // Of what was lost a leader sends all again; the machine skips that.
        if machine > last && refill.is_none_or(|refill| machine > refill.until) {
            return Err(RestoreError::Machine { machine, last });
        }
        if hard_state.term < log.last().term {
            let (recorded, last) = (hard_state.term, log.last());
            return Err(RestoreError::HardState { recorded, last });
        }
        let term = if mutants::is_active(4) { log.last().term } else { hard_state.term };
        let vote = hard_state.vote.filter(|_| !mutants::is_active(2));
        let mut state = State {
            seat,
            seal: Seal::new(seat.group, seat.generation),
            settings,
            rng: Rng::new(seed),
            now,
            term,
            vote,
            durability,
            log,
            commit: Index::ZERO,
            applied: Index::ZERO,
            position: 0,
            pace: Pace::default(),
            promised_until: Time::ZERO,
            liveness: Others::default(),
            effects: Effects::default(),
            counters: Counts::default(),
            campaigns: 0,
            is_dismissed: false,
            seldom: None,
        };
        if let Some(mut refill) = refill {
            if mutants::is_active(146) {
                refill.term = hard_state.term;
            }
            let is_new = mutants::is_active(179) && end.index == Index::ZERO;
            if refill.is_over(end) || is_new {
                state.durability.on_refilled();
            } else {
                state.seldom().refill = Some(refill);
            }
        }
        // Neither was ever anything but committed (rule 14).
        state.commit_to(snapshot.index.max(machine.min(last)));
        if snapshot.index > machine || (mutants::is_active(178) && snapshot.index > Index::ZERO) {
            state.effects.rare().install = Some(snapshot);
        }
        if !is_fresh(&state) && !mutants::is_active(63) {
            // What an earlier run promised is not known: as much as it could.
            state.promise();
        }
        let patience = first_patience_ns(&mut state);
        let follower = Follower::new(&mut state, patience);
        Ok(Self {
            role: RoleState::Follower(follower),
            state,
            owed_vote: None,
            reads: Reads::default(),
        })
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
            RoleState::Halted => self.state.effects.rare().reads_refused.push(read),
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

    /// A proposal was forwarded to the leader: from now on its silence counts,
    /// whatever the failure detector says of its node (rule 20).
    pub fn on_forwarded(&mut self, now: Now) {
        self.state.now = now;
        if let RoleState::Follower(follower) = &mut self.role {
            follower.doubt(&self.state);
        }
    }

    /// Everything handed out up to and with `ticket` is durable.
    pub fn on_persisted(&mut self, now: Now, ticket: Ticket) {
        self.state.now = now;
        if !self.is_halted() && self.state.durability.on_persisted(ticket) {
            self.go_on_from_durable();
        }
    }

    /// Term and vote as handed out with `ticket` are durable, though other
    /// things under it and before it are not: how a vote leaves while entries
    /// wait for space (rule 9).
    pub fn on_hard_state_persisted(&mut self, now: Now, ticket: Ticket) {
        self.state.now = now;
        if !self.is_halted() && self.state.durability.on_hard_state_persisted(ticket) {
            self.go_on_from_durable();
        }
    }

    /// What waited for the disk and need not any more.
    #[inline]
    fn go_on_from_durable(&mut self) {
        if self.state.seldom.is_some() || self.owed_vote.is_some() {
            self.settle_debts();
        }
        match &mut self.role {
            RoleState::Follower(follower) => follower.on_persisted(),
            RoleState::Candidate(_) => self.go_on_campaigning(),
            RoleState::Leader(leader) => leader.on_persisted(),
            RoleState::Halted => {}
        }
    }

    /// A refill that may be over, a vote that may leave.
    #[cold]
    fn settle_debts(&mut self) {
        self.state.end_refill();
        if let Some(owed) = self.owed_vote.take() {
            self.owed_vote = owed.settle(&mut self.state).map(Box::new);
        }
    }

    #[cold]
    fn go_on_campaigning(&mut self) {
        if let RoleState::Candidate(candidate) = &mut self.role {
            candidate.on_persisted(&mut self.state);
            self.count_votes();
        }
    }

    /// The machine has applied entries up to `index`.
    pub fn on_applied(&mut self, index: Index) {
        assert!(index <= self.state.commit, "applied what is not committed");
        self.state.applied = self.state.applied.max(index);
        if self.state.log.bytes() > self.state.held_bytes_max() {
            self.evict(self.state.settings.options().trailing_bytes_max);
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
        self.state.note_liveness(node, liveness);
        match &mut self.role {
            RoleState::Follower(follower) => {
                follower.on_liveness(&mut self.state, node, liveness);
            }
            RoleState::Leader(leader) => leader.on_liveness(&self.state, node, liveness),
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
                } else {
                    self.count_votes();
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
        if self.is_halted() {
            return;
        }
        self.state.now = now;
        // Confirmed but not handed out is not served either.
        let due = self.state.effects.take_rare();
        let mut refused: Vec<ReadId> = due.reads.iter().map(|ready| ready.read).collect();
        refused.append(&mut self.reads.take());
        refused.extend(due.reads_refused);
        if let RoleState::Leader(leader) = &mut self.role {
            refused.extend(leader.reads.take_local());
        }
        self.role = RoleState::Halted;
        self.owed_vote = None;
        self.state.effects = Effects::default();
        self.state.effects.rare().reads_refused = refused;
        self.office(Role::Follower, None);
    }

    /// Moves everything due into `out`. Steady replication allocates nothing here.
    pub fn drain(&mut self, out: &mut Output) {
        out.clear();
        let mut kept = Kept { persist: None, messages: mem::take(&mut out.messages) };
        self.drain_into(out, &mut kept);
        (out.persist, out.messages) = (kept.persist, kept.messages);
    }

    /// The same, for who encodes and writes at once: messages and what is to be
    /// persisted go to `outlet`, the rest to `out`. What a former drain left in
    /// `out` stays there, its committed index apart.
    pub fn drain_into(&mut self, out: &mut Output, outlet: &mut impl Outlet) {
        self.state.effects.send_off(outlet);
        match &mut self.role {
            RoleState::Follower(follower) => {
                if self.reads.len() > 0 {
                    ask_reads(&mut self.state, &mut self.reads, follower);
                    self.state.effects.send_off(outlet);
                }
                follower.flush(&self.state, outlet);
            }
            RoleState::Leader(leader) => {
                leader.flush(&mut self.state, outlet);
                if leader.is_retired {
                    self.retire();
                }
                self.state.effects.send_off(outlet);
            }
            RoleState::Candidate(_) => {}
            RoleState::Halted => {
                out.add(&mut self.state.effects);
                return;
            }
        }
        self.state.hand_out(outlet);
        out.add(&mut self.state.effects);
    }

    /// The log's time by this leader's clock: what a command proposed at `now`
    /// would be stamped with (D12). `None` if it does not lead.
    #[must_use]
    pub fn log_time_ms(&self, now: Now) -> Option<u64> {
        match &self.role {
            RoleState::Leader(leader) => Some(leader.log_time_ms(&self.state, now)),
            RoleState::Follower(_) | RoleState::Candidate(_) | RoleState::Halted => None,
        }
    }

    /// When to call [`on_deadline`](Self::on_deadline) if nothing else happens
    /// first; `None` while the group is idle. Valid after a drain.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        match &self.role {
            RoleState::Follower(follower) => {
                if self.reads.is_idle() && follower.is_vouched_for(&self.state) {
                    return None;
                }
                follower.next_deadline_with(&self.state, &self.reads)
            }
            RoleState::Leader(leader) => leader.next_deadline(&self.state),
            RoleState::Candidate(candidate) => candidate.next_deadline(&self.state),
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

    fn campaign(&mut self) {
        if !self.state.is_electable() {
            let patience = self.state.draw_patience_ns();
            self.become_follower(patience);
            return;
        }
        self.state.campaigns += 1;
        let campaign = self.state.campaigns;
        let candidate = Candidate::pre(&mut self.state, campaign);
        self.role = RoleState::Candidate(Box::new(candidate));
        self.reads.restart();
        self.office(Role::PreCandidate, None);
        self.count_votes();
    }

    fn count_votes(&mut self) {
        let RoleState::Candidate(candidate) = &self.role else {
            return;
        };
        match (candidate.tally(&self.state), candidate.kind) {
            (Tally::Open, _) => {}
            (Tally::Won, VoteKind::Pre) => self.stand_for_election(VoteKind::Real),
            (Tally::Won, VoteKind::Real | VoteKind::Transfer) => self.lead(),
            (Tally::Lost, _) => {
                // Shorter than silence: who was refused knows that others live.
                let patience = self.state.draw_timeout_ns() / 4 + self.state.deference_ns();
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
        let patience = self.state.draw_patience_ns();
        self.become_follower(patience);
    }

    fn become_follower(&mut self, patience_ns: u64) {
        if let RoleState::Leader(leader) = &mut self.role {
            for read in leader.reads.take_local() {
                self.reads.push(read);
            }
            let log_time_ms = leader.log_time_ms(&self.state, self.state.now);
            self.state.pace = Pace::of(log_time_ms, self.state.time());
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

    #[inline(never)]
    fn evict(&mut self, keep_bytes: usize) {
        let state = &mut self.state;
        let mut until = state.durability.index().min(state.applied);
        if let RoleState::Leader(leader) = &self.role {
            until = until.min(leader.live_matched(state));
        }
        state.log.evict(until, keep_bytes);
    }
}

/// Asks the leader for what callers of a follower wait for.
#[cold]
fn ask_reads(state: &mut State, reads: &mut Reads, follower: &mut Follower) {
    // Nobody would answer one who holds no seat.
    if state.is_dismissed {
        let refused = reads.take();
        state.effects.rare().reads_refused.extend(refused);
    }
    if follower.leader.is_some_and(|leader| reads.flush(state, leader)) {
        follower.doubt(state);
    }
}

impl Restored {
    /// The log and what of it is durable.
    fn log(self) -> Result<(Log, Durability), RestoreError> {
        let Self { hard_state, base, last, runs, mut configurations, .. } = self;
        let mut log_time_ms = self.last_log_time_ms;
        let mut snapshot = LogId::default();
        if let Some(taken) = &self.snapshot {
            snapshot = taken.last;
            log_time_ms = log_time_ms.max(taken.log_time_ms);
            // Of what it covers, only its own is needed any more.
            configurations.retain(|(at, _)| *at > snapshot.index);
            configurations.insert(0, (taken.configuration_index, taken.configuration.clone()));
        }
        let end = last.max(snapshot.index);
        let held = if snapshot.index > last {
            // What stood behind is lost, and the snapshot has what stood before.
            Log::restore(
                Head { base: snapshot, snapshot },
                end,
                Vec::new(),
                configurations,
                log_time_ms,
            )?
        } else {
            Log::restore(Head { base, snapshot }, last, runs, configurations, log_time_ms)?
        };
        let mut durability = Durability::restore(end, hard_state, snapshot);
        if snapshot.index > last {
            durability.on_compact(Compaction { base: snapshot, snapshot: Some(snapshot) });
        }
        Ok((held, durability))
    }
}

mod checkpoints;
mod membership;
mod messages;
pub(crate) mod queries;
mod snapshots;
mod start;
mod transfer;

#[cfg(test)]
mod tests;
