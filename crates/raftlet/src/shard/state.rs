//! What the tasks of one shard share, and its doors: what handles and the
//! transport leave, what is asked, how it all ends.
//!
//! Invariants
//! - Nothing acts in here: what is due stands in `due` (`effects.rs`).
//! - Members and lanes are numbered alike, by slot; a slot is never reused.
//! - Once the phase is `Ended` nothing is taken and nothing leaves.
//!
//! Not here: the turn (`shard/turn.rs`), waiting, ports and wakers (`shard.rs`,
//! `shard/act.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use crate::answer::Answer;
use crate::applier::{Applied, Start};
use crate::cadence::Cadence;
use crate::change::Changes;
use crate::couriers::{Couriers, Restored};
use crate::effects::{Effects, StorageRead};
use crate::error::{Halt, NotDone, ProposeError, ReadError, ShardError, SnapshotError, Unknown};
use crate::histogram::Histogram;
use crate::idle::IdlePoll;
use crate::inbox::Lanes;
use crate::member::Member;
use crate::observe::{Note, Observer};
use crate::offices::Watchers;
use crate::options::{ShardOptions, ShardSettings};
use crate::port::{GroupInfo, Incoming, SnapshotMeta, StateMachine, StorageError};
use crate::proposal::{Budget, Encoded, Proposal};
use crate::reads::ReadJob;
use crate::reopening::{Ended, Reopenings};
use crate::shard::writer::Writer;
use crate::space::Space;
use crate::status::{GroupStatus, ShardCounters, ShardStatus, StateDigest};
use crate::timers::{Slot, Timers};
use crate::transfer::Transfers;
use raftlet_core::{
    Arena, Configuration, Generation, GroupId, Index, Liveness, LogId, NodeId, Now, Output, Sender,
    Settings, Term, Time,
};

/// Proposals are copied into blocks of this size.
const PAYLOAD_BLOCK_BYTES: usize = 64 << 10;
/// Largest encoding buffer kept between proposals.
const ENCODED_BYTES_KEPT: usize = 64 << 10;

/// What a task beside the loop has finished.
pub(crate) enum Completion<M: StateMachine> {
    /// A read from storage.
    Read(StorageRead, Result<raftlet_core::Entries, StorageError>),
    /// A batch that took its time.
    Applied(Slot, Applied<M>),
    /// A machine that was being restored.
    Restored(Slot, Restored<M>),
    /// A snapshot was written, up to this index, or not.
    Taken(Slot, Result<LogId, SnapshotError>),
    /// Sending to a member is over; perhaps because the snapshot cannot be read.
    Sent(Slot, NodeId, Option<StorageError>),
    /// A snapshot was received whole and its file is finished; or not.
    Received(Slot, u64, Result<Option<SnapshotMeta>, StorageError>),
    /// What storage holds of a group was found damaged, and it was opened again.
    Reopened(Slot, Box<Ended<M>>),
    /// A task ended without its result.
    Lost,
}

/// A proposal that was not taken in: whom to tell what.
type Refused<R> = (Answer<Result<R, ProposeError>>, NotDone);

/// How far the loop is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    New,
    Running,
    /// Nothing is taken any more.
    Ended(Result<(), ShardError>),
}

/// News of one node on its way to all groups.
pub(super) struct Sweep {
    pub(super) node: NodeId,
    pub(super) liveness: Liveness,
    pub(super) next: Slot,
}

/// Everything the tasks of one shard share.
pub(crate) struct State<M: StateMachine> {
    pub(crate) options: ShardOptions,
    pub(crate) group_settings: Rc<Settings>,
    pub(crate) phase: Phase,
    pub(crate) stop_asked: bool,
    pub(crate) due: Effects<M>,
    pub(crate) writer: Writer,
    pub(super) cadence: Cadence,
    pub(super) idle: IdlePoll,
    pub(crate) completions: VecDeque<Completion<M>>,
    /// Lent to handles for encoding.
    pub(crate) encoded: Encoded,
    pub(super) members: Vec<Member<M>>,
    pub(super) by_group: BTreeMap<GroupId, Slot>,
    /// What storage held at the start of this run, and what was made since.
    /// Asked once: a shard opens tens of thousands of groups.
    stored: Option<BTreeMap<GroupId, Generation>>,
    pub(super) lanes: Lanes<M::Response, M>,
    pub(super) budget: Budget,
    pub(super) payloads: BytesMut,
    pub(super) arena: Arena,
    pub(super) output: Output,
    pub(super) timers: Timers,
    pub(super) dirty: Vec<Slot>,
    /// The last turn applied as much as it may, and more is committed.
    pub(crate) is_backlogged: bool,
    /// Groups whose proposals wait for the gathering write to start, or for the
    /// one under way to end.
    pub(super) stalled: Vec<Slot>,
    pub(super) sweeps: VecDeque<Sweep>,
    pub(super) liveness: BTreeMap<NodeId, Liveness>,
    pub(super) storage_reads: VecDeque<StorageRead>,
    /// Whose they are; `fetches_max` at most.
    pub(super) storage_reads_under_way: Vec<Slot>,
    pub(super) log_bytes: usize,
    pub(super) release_next: Slot,
    pub(super) transfers: Transfers,
    pub(super) watchers: Watchers,
    /// What other nodes disowned, to be told to groups.
    pub(super) disowned: VecDeque<(Slot, Sender, Term)>,
    pub(super) changes: Changes,
    pub(super) couriers: Couriers,
    pub(super) reopenings: Reopenings,
    pub(super) space: Space,
    pub(super) counters: ShardCounters,
    pub(super) observer: Observer,
    /// From the turn that took a proposal in to the one that applied it; one
    /// a batch.
    pub(super) proposal_times: Histogram,
    /// Of the group opened last.
    configuration: Configuration,
    pub(super) now: Now,
}

impl<M: StateMachine> State<M> {
    pub(crate) fn new(settings: ShardSettings) -> Self {
        let ShardSettings { options, group } = settings;
        Self {
            configuration: Configuration::empty(),
            group_settings: Rc::new(group),
            phase: Phase::New,
            stop_asked: false,
            due: Effects::new(),
            writer: Writer::default(),
            cadence: Cadence::default(),
            idle: IdlePoll::new(options.idle_poll),
            completions: VecDeque::new(),
            encoded: Encoded::default(),
            members: Vec::new(),
            by_group: BTreeMap::new(),
            stored: None,
            lanes: Lanes::new(&options),
            budget: Budget::new(options.proposals_max, options.proposal_bytes_max),
            payloads: BytesMut::new(),
            arena: Arena::default(),
            output: Output::default(),
            timers: Timers::default(),
            dirty: Vec::new(),
            is_backlogged: false,
            stalled: Vec::new(),
            sweeps: VecDeque::new(),
            liveness: BTreeMap::new(),
            storage_reads: VecDeque::new(),
            storage_reads_under_way: Vec::new(),
            log_bytes: 0,
            release_next: 0,
            transfers: Transfers::default(),
            watchers: Watchers::default(),
            disowned: VecDeque::new(),
            changes: Changes::default(),
            couriers: Couriers::default(),
            reopenings: Reopenings::new(),
            space: Space::default(),
            counters: ShardCounters::default(),
            observer: Observer::default(),
            proposal_times: Histogram::default(),
            now: Now::default(),
            options,
        }
    }

    /// Takes everything due out, into `fx`, and closes the books on it.
    pub(crate) fn swap_due(&mut self, fx: &mut Effects<M>) {
        for ended in &self.due.ended {
            self.budget.release(ended);
            self.counters.proposals_failed += u64::from(ended.outcome.is_err());
        }
        self.counters.reads_failed += u64::try_from(self.due.refused.len()).unwrap_or(u64::MAX);
        self.lanes.release_reads(std::mem::take(&mut self.due.reads_ended));
        std::mem::swap(&mut self.due, fx);
    }

    // ---- ends

    pub(super) fn halt(&mut self, now: Now, slot: Slot, halt: &Halt) {
        if let Some(member) = self.members.get(slot)
            && member.halted.is_none()
        {
            self.due.notes.push(Note::Halted { group: member.group, halt: halt.clone() });
        }
        self.halt_silently(now, slot, halt);
    }

    pub(super) fn halt_silently(&mut self, now: Now, slot: Slot, halt: &Halt) {
        if let Some(member) = self.members.get_mut(slot) {
            member.halt(now, halt, &mut self.due);
            self.end_transfers(Some(slot), Some(halt));
            self.end_changes(Some(slot), Some(halt));
            self.mark_dirty(slot);
        }
    }

    /// Storage failed: every group halts and the loop ends (rule 9).
    pub(super) fn poison(&mut self, now: Now, error: &StorageError) {
        let halt = Halt::Storage(error.clone());
        for slot in 0..self.members.len() {
            self.halt_silently(now, slot, &halt);
        }
        self.due.notes.push(Note::Poisoned { error: error.clone() });
        let not_done = ProposeError::NotDone(NotDone::Halted(halt.clone()));
        self.empty_lanes(&not_done, &ReadError::Halted(halt));
        self.phase = Phase::Ended(Err(ShardError::Storage(error.clone())));
        self.due.silence();
    }

    /// How the loop ended, once it has or was asked to.
    pub(crate) fn ended(&self) -> Option<Result<(), ShardError>> {
        match &self.phase {
            Phase::Ended(end) => Some(end.clone()),
            _ if self.stop_asked => Some(Ok(())),
            _ => None,
        }
    }

    /// The loop ends, or was dropped: nobody is left waiting.
    pub(crate) fn stop(&mut self) {
        if let Phase::Ended(_) = self.phase {
            return;
        }
        self.phase = Phase::Ended(Ok(()));
        let not_done = ProposeError::NotDone(NotDone::Stopped);
        let unknown = ProposeError::Unknown(Unknown::Stopped);
        for member in &mut self.members {
            member.end_all(&not_done, &unknown, &ReadError::Stopped, &mut self.due);
            let asked = member.policy.take_asked().into_iter();
            let stopped = asked.map(|asked| (asked, Err(SnapshotError::Stopped)));
            self.due.snapshots_ended.extend(stopped);
        }
        self.empty_lanes(&not_done, &ReadError::Stopped);
        self.end_transfers(None, None);
        self.watchers.close(&mut self.due.wakers);
        self.end_changes(None, None);
        self.due.silence();
    }

    fn empty_lanes(&mut self, not_done: &ProposeError, unread: &ReadError) {
        while let Some(slot) = self.lanes.next() {
            while self.lanes.take_message(slot).is_some() {}
            let Some(lane) = self.lanes.lane(slot) else {
                continue;
            };
            let proposals = lane.proposals.drain(..);
            self.due.ended.extend(proposals.map(|held| held.end(Err(not_done.clone()))));
            self.due.refuse_reads(std::mem::take(&mut lane.reads), unread);
        }
    }

    // ---- what handles and the transport leave

    /// Adds a member; its group must not be here yet.
    pub(crate) fn add(
        &mut self,
        now: Now,
        core: raftlet_core::Group,
        (machine, start): (M, Start),
    ) -> Slot {
        let slot = self.lanes.add();
        let group = core.seat().group;
        let before = self.by_group.insert(group, slot);
        assert!(before.is_none(), "a group opened twice");
        self.members.push(Member::new(core, slot, machine, start));
        assert_eq!(self.members.len(), slot + 1, "lanes and members go together");
        self.tell_liveness(now, slot);
        slot
    }

    /// Most groups of a shard have the same members: they hold them once.
    pub(crate) fn share(&mut self, configuration: &mut Configuration) {
        if *configuration == self.configuration {
            configuration.clone_from(&self.configuration);
        } else {
            self.configuration.clone_from(configuration);
        }
    }

    pub(crate) fn is_open(&self, group: GroupId) -> bool {
        self.by_group.contains_key(&group)
    }

    /// Whether storage was asked which groups it holds.
    pub(crate) fn knows_stored(&self) -> bool {
        self.stored.is_some()
    }

    pub(crate) fn set_stored(&mut self, groups: Vec<GroupInfo>) {
        let known = groups.into_iter().map(|info| (info.group, info.generation));
        self.stored.get_or_insert_default().extend(known);
    }

    /// The generation of a group that storage holds.
    pub(crate) fn stored(&self, group: GroupId) -> Option<Generation> {
        self.stored.as_ref()?.get(&group).copied()
    }

    pub(crate) fn deliver(&mut self, from: Sender, messages: &mut Vec<Incoming>) {
        for Incoming { group, message } in messages.drain(..) {
            match self.by_group.get(&group) {
                Some(slot) if self.phase == Phase::Running => {
                    self.lanes.push_message(*slot, from, message);
                }
                _ => self.lanes.drop_one(),
            }
        }
    }

    pub(crate) fn on_liveness(&mut self, node: NodeId, liveness: Liveness) {
        if self.liveness.insert(node, liveness) == Some(liveness) {
            return;
        }
        self.sweeps.retain(|sweep| sweep.node != node);
        if !self.members.is_empty() {
            self.sweeps.push_back(Sweep { node, liveness, next: 0 });
        }
    }

    /// Takes proposals in, in order. The answers of those that are refused come
    /// back with the reason.
    pub(crate) fn accept_proposals(
        &mut self,
        slot: Slot,
        encoded: &Encoded,
        tied_to: Term,
        answers: impl Iterator<Item = Answer<Result<M::Response, ProposeError>>>,
    ) -> Vec<Refused<M::Response>> {
        let mut refused = Vec::new();
        let mut payloads = self.keep_payloads(&encoded.bytes);
        for (len, answer) in encoded.lens.iter().zip(answers) {
            let payload = payloads.split_to(*len);
            if let Err(refusal) = self.admit_proposal(slot, *len) {
                self.counters.proposals_refused += 1;
                refused.push((answer, refusal));
                continue;
            }
            self.cadence.on_proposed();
            let (deadline, index) = (Time::ZERO, Index::ZERO);
            self.lanes.push_proposal(slot, Proposal { payload, tied_to, deadline, index, answer });
        }
        refused
    }

    /// Keeps what was lent for encoding for the next time.
    pub(crate) fn keep_encoded(&mut self, encoded: Encoded) {
        if encoded.bytes.capacity() <= ENCODED_BYTES_KEPT {
            self.encoded = encoded;
        }
    }

    fn admit_proposal(&mut self, slot: Slot, bytes: usize) -> Result<(), NotDone> {
        if let Some(halt) = self.members.get(slot).and_then(|member| member.halted.clone()) {
            return Err(NotDone::Halted(halt));
        }
        if let Phase::Ended(_) = self.phase {
            return Err(NotDone::Stopped);
        }
        let limit = self.options.group.command_bytes_max;
        if bytes > limit {
            return Err(NotDone::TooLarge { bytes, limit });
        }
        if let Some(refusal) = self.space_refusal() {
            return Err(refusal);
        }
        self.budget.admit(bytes)
    }

    fn keep_payloads(&mut self, payloads: &[u8]) -> Bytes {
        if self.payloads.capacity() < payloads.len() {
            self.payloads = BytesMut::with_capacity(payloads.len().max(PAYLOAD_BLOCK_BYTES));
        }
        self.payloads.extend_from_slice(payloads);
        self.payloads.split().freeze()
    }

    /// Whether the group's proposals wait for a turn that comes by itself: another
    /// one before would only look at them (`shard/turn.rs`).
    pub(crate) fn proposals_wait(&self, slot: Slot) -> bool {
        (self.writer.ends_with_a_turn() || self.cadence.commits_soon(self.now.time))
            && self.members.get(slot).is_some_and(Member::leads_undecided)
    }

    /// How many proposals came since others were done, while the next write could
    /// start but more may come.
    pub(crate) fn gathers(&self) -> Option<usize> {
        let came = self.cadence.still_to_come().filter(|_| !self.writer.is_under_way())?;
        // Some came, or waited before: a late ack alone starts no write.
        let is_due = (came > 0 && !self.lanes.is_empty()) || !self.dirty.is_empty();
        is_due.then_some(came)
    }

    /// Takes a read in, or gives it back with the reason.
    pub(crate) fn accept_read(
        &mut self,
        slot: Slot,
        job: ReadJob<M>,
    ) -> Result<(), (ReadJob<M>, ReadError)> {
        if let Some(halt) = self.members.get(slot).and_then(|member| member.halted.clone()) {
            return Err((job, ReadError::Halted(halt)));
        }
        if let Phase::Ended(_) = self.phase {
            return Err((job, ReadError::Stopped));
        }
        self.lanes.push_read(slot, job)
    }

    // ---- what is asked

    pub(crate) const fn counters_mut(&mut self) -> &mut ShardCounters {
        &mut self.counters
    }

    pub(crate) fn group_status(&self, slot: Slot) -> Option<GroupStatus> {
        let member = self.members.get(slot)?;
        let seat = member.core.seat();
        Some(GroupStatus {
            group: seat.group,
            generation: seat.generation,
            core: member.core.status(),
            applied_index: member.applier.applied(),
            digest: None,
            halted: member.halted.clone(),
            log_memory_bytes: member.log_bytes,
            snapshots: self.snapshots_status(slot),
            counters: *member.core.counters(),
        })
    }

    /// What a command proposed now would be stamped with, if this member leads.
    pub(crate) fn log_time_ms(&self, slot: Slot, now: Now) -> Option<u64> {
        self.members.get(slot)?.core.log_time_ms(now)
    }

    pub(crate) fn appended_by_others(&self, slot: Slot) -> u64 {
        self.members.get(slot).map_or(0, |member| member.forwards.appended_by_others())
    }

    /// Lends a group's machine, with the index up to which it is applied.
    pub(crate) fn lend(&mut self, slot: Slot) -> Option<(Box<M>, StateDigest)> {
        let applier = &mut self.members.get_mut(slot)?.applier;
        let index = applier.applied();
        Some((applier.lend()?, StateDigest { digest: 0, index }))
    }

    pub(crate) fn status(&self) -> ShardStatus {
        let (proposals, proposal_bytes) = self.budget.fill();
        let (inbox_messages, inbox_bytes) = self.lanes.fill();
        ShardStatus {
            groups: self.members.len(),
            log_memory_bytes: self.log_bytes,
            log_memory_bytes_max: self.options.log_memory_bytes_max,
            proposals,
            proposal_bytes,
            reads: self.lanes.reads(),
            proposals_max: self.options.proposals_max,
            proposal_bytes_max: self.options.proposal_bytes_max,
            reads_max: self.options.reads_max,
            inbox_messages_max: self.options.inbox_messages_max,
            inbox_bytes_max: self.options.inbox_bytes_max,
            inbox_messages,
            inbox_bytes,
            storage_reads_waiting: self.storage_reads.len(),
            storage_reads_under_way: self.storage_reads_under_way.len(),
            storage_reads_max: self.options.fetches_max,
            snapshots: self.snapshot_fills(),
            is_full: self.space_refusal().is_some(),
            shortage: self.shortage(),
            pinned_groups: self.space.pinned(),
            proposal_times: self.proposal_times,
            counters: ShardCounters { messages_dropped: self.lanes.dropped(), ..self.counters },
        }
    }
}
