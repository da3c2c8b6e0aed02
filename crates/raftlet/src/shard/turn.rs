//! A turn of the shard: take, step, settle, write.
//!
//! ```text
//! completed write ─┐
//! storage reads ───┤                           ┌─▶ one write
//! lanes (bounded) ─┼─▶ members ─▶ settle dirty ┼─▶ one frame a node
//! liveness ────────┤                           ├─▶ applies, reads
//! deadlines ───────┘                           └─▶ answers
//! ```
//!
//! Invariants
//! - A turn is bounded in inputs and bytes, and fair between groups
//!   (`inbox.rs`). A group that nothing happened to costs nothing in it.
//! - All proposals that a group took in a turn become one propose call, as far
//!   as `chunk_bytes_max` allows.
//! - Those that a leader gets while a write is under way and what it appended
//!   last is not committed wait for the one or the other: members write no
//!   sooner for hearing of them one by one, and each message costs a turn there
//!   (D48). Where commits come soon after the ends of writes they wait for those,
//!   to go with what the answered ask next (D50).
//! - A member that was changed is settled before the turn ends: its output
//!   drained and obeyed, its deadline armed.
//!
//! Not here: waiting, ports and wakers (`shard.rs`, `shard/act.rs`).

use crate::applier::{Applied, is_checkpoint};
use crate::effects::{Purpose, StorageRead};
use crate::error::{NotDone, ProposeError, ReadError};
use crate::member::Member;
use crate::observe::Alarms;
use crate::offices::Office;
use crate::port::{StateMachine, StorageError, WriteBatch};
use crate::shard::desk::Desk;
use crate::shard::snapshots::Piece;
use crate::shard::state::{Completion, Phase, State};
use crate::shard::writer::Durable;
use crate::timers::Slot;
use raftlet_core::{Body, Event, Fetch, Index, Now, Role, Time, mutants};

/// Inputs that one group gets before the next one's turn.
const SHARE_INPUTS: usize = 256;
/// Groups told of one node's liveness in a turn.
const SWEEP_GROUPS: usize = 1_024;
/// Groups asked for memory in a turn.
const RELEASE_GROUPS: usize = 64;

impl<M: StateMachine> State<M> {
    /// One turn: everything that happened, as far as the limits allow.
    pub(crate) fn turn(
        &mut self,
        now: Now,
        written: Option<(WriteBatch, Result<(), StorageError>)>,
    ) {
        self.now = now;
        self.counters.turns += 1;
        self.is_backlogged = false;
        self.writer.begin_turn();
        self.idle.on_turn(now.time);
        if let Some((batch, result)) = written {
            self.on_written(now, batch, result);
        }
        self.take_completions(now);
        self.take_inputs(now);
        self.take_transfers(now);
        self.take_changes(now);
        self.take_liveness(now);
        self.take_disowned(now);
        self.take_deadlines(now);
        self.settle_dirty(now);
        self.keep_memory();
        self.start_write(now);
        self.start_storage_reads();
        self.start_reopenings();
        if let Phase::Ended(_) = self.phase {
            self.due.silence();
        }
    }

    /// Whether another turn has something to do at once.
    pub(crate) fn has_work(&self) -> bool {
        !self.lanes.is_empty()
            || !self.dirty.is_empty()
            || !self.completions.is_empty()
            || !self.sweeps.is_empty()
            || self.transfers.is_asked()
            || !self.disowned.is_empty()
            || self.changes.is_asked()
            || self.writer.wants_turn(self.now.time)
    }

    /// When a turn is due if nothing else happens first.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let rare = [self.transfers.next_deadline(), self.changes.next_deadline()];
        let own = [self.writer.next_deadline(), self.space.next_deadline()];
        let rare = rare.into_iter().flatten().min();
        own.into_iter().chain([rare]).chain([self.timers.next()]).flatten().min()
    }

    fn on_written(&mut self, now: Now, batch: WriteBatch, result: Result<(), StorageError>) {
        self.wake_stalled();
        self.cadence.on_write_ended(now.time);
        match result {
            Ok(()) => {
                let (durable, waker) = self.writer.finish(batch);
                self.due.wakers.extend(waker);
                self.on_durable(now, durable);
            }
            Err(StorageError::NoSpace { .. }) => {
                let waker = self.writer.refuse(now.time, batch);
                self.due.wakers.extend(waker);
            }
            Err(error) => self.poison(now, &error),
        }
        self.note_space();
    }

    fn on_durable(&mut self, now: Now, durable: Durable) {
        let (Durable::All(parts) | Durable::HardStates(parts)) = &durable;
        let is_all = matches!(durable, Durable::All(_));
        for part in parts {
            if let Some(member) = self.members.get_mut(part.slot) {
                if is_all {
                    member.core.on_persisted(now, part.ticket);
                    if part.led_from.is_some() && member.leads_undecided() {
                        self.cadence.on_led(now.time, part.slot, member.core.last_index());
                    }
                } else {
                    member.core.on_hard_state_persisted(now, part.ticket);
                }
                self.mark_dirty(part.slot);
            }
        }
        if let Durable::All(parts) = durable {
            self.writer.reuse(parts);
        }
    }

    fn take_completions(&mut self, now: Now) {
        while let Some(completion) = self.completions.pop_front() {
            match completion {
                Completion::Read(read, result) => self.on_storage_read(now, read, result),
                Completion::Applied(slot, applied) => self.on_applied(now, slot, applied),
                Completion::Restored(slot, restored) => self.on_restored(now, slot, restored),
                Completion::Taken(slot, result) => self.on_taken(now, slot, result),
                Completion::Sent(slot, to, flaw) => self.on_sent(now, (slot, to), flaw),
                Completion::Reopened(slot, ended) => self.on_reopened(now, slot, *ended),
                Completion::Received(slot, number, result) => {
                    self.on_received(now, (slot, number), result);
                }
                // A machine or port panicked in its task: loud, not half alive
                // (rule 44).
                Completion::Lost => panic!("a task of the shard ended without its result"),
            }
        }
    }

    /// A batch came back from a machine.
    pub(crate) fn on_applied(&mut self, now: Now, slot: Slot, applied: Applied<M>) {
        let Some(member) = self.members.get_mut(slot) else {
            return;
        };
        let copies = u64::try_from(applied.job.without_effect.len()).unwrap_or(u64::MAX);
        self.counters.copies_without_effect += copies;
        let ended_before = self.due.ended.len();
        if let Err(halt) = member.on_applied(applied, &self.options, &mut self.due) {
            self.halt(now, slot, &halt);
            return;
        }
        if member.core.role() == Role::Leader {
            self.cadence.on_answered(self.due.ended.len() - ended_before);
        }
        member.serve_reads(&mut self.due);
        if let Some(deadline) = self.due.sample.take() {
            // What is waited for is taken in with its deadline, a turn's time
            // ago at least.
            let timeout =
                u64::try_from(self.options.propose_timeout.as_nanos()).unwrap_or(u64::MAX);
            let taken = deadline.ns().saturating_sub(timeout);
            self.proposal_times.observe(now.time.ns().saturating_sub(taken));
        }
        let applied = member.applier.applied();
        let goes_on = member.applier.is_behind(&member.core)
            || !member.held.is_empty()
            || is_checkpoint(applied)
            || member.policy.is_due(now.time, member.applier.reach(), &self.options)
            || member.policy.is_in_the_way(now.time, member.core.base().index, applied);
        self.is_backlogged |= member.applier.is_behind(&member.core);
        count_log_bytes(&mut self.log_bytes, member);
        if goes_on {
            self.mark_dirty(slot);
        }
    }

    /// A machine came back from reads.
    pub(crate) fn give_back(&mut self, slot: Slot, machine: Box<M>) {
        if let Some(member) = self.members.get_mut(slot) {
            member.applier.give_back(machine);
            if member.applier.is_behind(&member.core) || self.reopenings.contains_key(&slot) {
                self.mark_dirty(slot);
            }
        }
    }

    fn take_inputs(&mut self, now: Now) {
        let mut inputs = self.options.turn_inputs_max;
        let mut bytes = self.options.turn_bytes_max;
        while inputs > 0 && bytes > 0 {
            let Some(slot) = self.lanes.next() else {
                return;
            };
            let share = inputs.min(SHARE_INPUTS);
            let (taken, taken_bytes) = self.take_share(now, slot, share, bytes);
            inputs -= taken.min(inputs);
            bytes = bytes.saturating_sub(taken_bytes);
            self.lanes.put_back(slot);
            self.mark_dirty(slot);
        }
    }

    /// Takes one group's share. Returns inputs and bytes taken.
    fn take_share(&mut self, now: Now, slot: Slot, share: usize, bytes: usize) -> (usize, usize) {
        let (is_full, shortage) = (self.writer.is_full(), self.shortage());
        let Some(member) = self.members.get_mut(slot) else {
            return (0, 0);
        };
        let mut taken = 0;
        let mut taken_bytes = 0;
        let mut pieces = Vec::new();
        let alarms = Alarms::of(member.core.counters());
        while taken < share && taken_bytes < bytes {
            let Some((from, mut message, size)) = self.lanes.take_message(slot) else {
                break;
            };
            taken += 1;
            taken_bytes += size;
            if self.space.refuses(is_full, &message) {
                self.counters.appends_refused += 1;
                if let Some(shortage) = shortage {
                    member.core.refuse(now, from, &message, shortage);
                }
                continue;
            }
            if let Body::Membership(said) = &message.body {
                self.changes.note_answer(slot, said);
            }
            if let Some(piece) = Piece::of(&message.body) {
                let of = (message.generation.get(), message.term.get());
                pieces.push((from, of, piece));
            }
            member.step(now, &mut self.arena, from, &mut message, &mut self.due);
        }
        Alarms::of(member.core.counters()).note_since(alarms, member.group, &mut self.due.notes);
        for (from, of, piece) in pieces {
            self.on_piece(slot, from, of, piece);
        }
        let (Some(lane), Some(member)) = (self.lanes.lane(slot), self.members.get_mut(slot)) else {
            return (taken, taken_bytes);
        };
        if !lane.proposals.is_empty() {
            let room = (share - taken, bytes.saturating_sub(taken_bytes));
            let deadline = now.time.after(self.options.propose_timeout);
            let (len, held_bytes) = member.held.take_in(&mut lane.proposals, room, deadline);
            taken += len;
            taken_bytes += held_bytes;
            if let Some(halt) = &member.halted {
                let error = ProposeError::NotDone(NotDone::Halted(halt.clone()));
                let refused = member.held.take_all().map(|held| held.end(Err(error.clone())));
                self.due.ended.extend(refused);
            }
        }
        let jobs = std::mem::take(&mut lane.reads);
        taken += jobs.len();
        match &member.halted {
            _ if jobs.is_empty() => {}
            None => member.reads.push(jobs, now.time.after(self.options.read_timeout)),
            Some(halt) => self.due.refuse_reads(jobs, &ReadError::Halted(halt.clone())),
        }
        (taken, taken_bytes)
    }

    fn take_liveness(&mut self, now: Now) {
        let Some(sweep) = self.sweeps.front_mut() else {
            return;
        };
        let first = sweep.next;
        let (node, liveness) = (sweep.node, sweep.liveness);
        sweep.next = first.saturating_add(SWEEP_GROUPS);
        if sweep.next >= self.members.len() {
            self.sweeps.pop_front();
        }
        for slot in first..self.members.len().min(first.saturating_add(SWEEP_GROUPS)) {
            if let Some(member) = self.members.get_mut(slot)
                && member.core.configuration().find(node).is_some()
            {
                member.core.on_liveness(now, node, liveness);
                self.mark_dirty(slot);
            }
        }
    }

    fn take_deadlines(&mut self, now: Now) {
        while let Some(slot) = self.timers.take_due(now.time) {
            let Some(member) = self.members.get_mut(slot) else {
                continue;
            };
            // The entry may be older than the deadline: then only arm again.
            match member.next_deadline() {
                Some(deadline) if deadline <= now.time => {
                    member.on_deadline(now, &mut self.due);
                    member.core.on_deadline(now);
                    self.mark_dirty(slot);
                }
                _ if mutants::is_active(69) => {}
                later => self.timers.arm(slot, later),
            }
        }
    }

    fn settle_dirty(&mut self, now: Now) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for slot in dirty.drain(..) {
            self.settle(now, slot);
        }
        // Some may be dirty again; they are the next turn's.
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    /// Hands a member what waits for it, then obeys its output.
    fn settle(&mut self, now: Now, slot: Slot) {
        let refusal = self.space_refusal();
        let is_under_way = self.writer.is_under_way() || self.cadence.commits_soon(now.time);
        let Some(member) = self.members.get_mut(slot) else {
            return;
        };
        self.counters.settled += 1;
        member.is_dirty = false;
        if member.halted.is_none() {
            if let Some(refusal) = refusal {
                let error = ProposeError::NotDone(refusal);
                let refused = member.held.take_all().map(|held| held.end(Err(error.clone())));
                self.due.ended.extend(refused);
            } else if self.writer.gathered_bytes() < self.options.gather_bytes_max
                && !(is_under_way && member.leads_undecided())
            {
                if !member.held.is_empty() {
                    self.cadence.on_left();
                }
                member.dispatch(now, &mut self.arena, &self.options, &mut self.due);
            } else if !member.held.is_empty() && !member.is_stalled {
                member.is_stalled = true;
                self.stalled.push(slot);
            }
            member.ask_reads(now);
        }
        let before = member.core.commit_index();
        self.obey(now, slot);
        self.note_commit(now, slot, before);
    }

    /// What waited for a commit is looked at again: also where the machine takes
    /// its time.
    fn note_commit(&mut self, now: Now, slot: Slot, before: Index) {
        let Some(member) = self.members.get(slot) else {
            return;
        };
        let commit = member.core.commit_index();
        if commit == before {
            return;
        }
        self.cadence.on_commit(now.time, slot, commit);
        if !member.held.is_empty() {
            self.mark_dirty(slot);
        }
    }

    /// Drains a member and does what its output says, from top to bottom.
    fn obey(&mut self, now: Now, slot: Slot) {
        let is_short = self.shortage().is_some();
        let Some(member) = self.members.get_mut(slot) else {
            return;
        };
        let out = &mut self.output;
        let mut desk = Desk {
            slot,
            group: member.group,
            generation: member.core.seat().generation,
            is_leader: member.core.role() == Role::Leader,
            is_short,
            writer: &mut self.writer,
            due: &mut self.due,
        };
        member.core.drain_into(out, &mut desk);
        if let Some(last) = out.install.take() {
            member.applier.install(last);
        }
        let wanted = std::mem::take(&mut out.snapshots);
        if let Some(committed) = out.committed {
            member.applier.on_committed(committed);
        }
        for ready in out.reads.drain(..) {
            member.reads.on_confirmed(ready.read, ready.index);
        }
        for id in out.reads_refused.drain(..) {
            member.reads.on_refused(now.time, id);
        }
        for Fetch { id, first, last, bytes_max } in out.fetches.drain(..) {
            let (group, purpose) = (member.group, Purpose::Fetch(id));
            self.due.fetches.push(StorageRead { slot, group, purpose, first, last, bytes_max });
        }
        let (mut is_reconfigured, mut led_by) = (false, None);
        for event in out.events.drain(..) {
            let (of, counters) = ((slot, member.group), member.core.counters());
            let notes = &mut self.due.notes;
            self.observer.note(of, member.is_in_office(), counters, &event, notes);
            match event {
                Event::Office { role, term, leader } => {
                    let office = Office { role, term, leader };
                    self.watchers.tell(slot, office, &mut self.due.wakers);
                    member.on_office(role, term, &mut self.due);
                    if let Some(leader) = leader {
                        self.counters.leader_changes += 1;
                        member.reads.wake();
                        led_by = Some((term, leader));
                    }
                }
                Event::Configuration { .. } => is_reconfigured = true,
                Event::Removed { .. } => member.on_removed(&mut self.couriers, &mut self.due),
                Event::NotTransferred { why } => {
                    let ended = self.transfers.on_failure(slot, why);
                    self.due.transfers_ended.extend(ended);
                }
                Event::QuorumRoom { is_short } => self.counters.quorum_full += u64::from(is_short),
                Event::Diverged(_) | Event::Truncated { .. } | Event::Refilled => {}
            }
        }
        member.advance_apply(now.time, &self.options, &mut self.due);
        member.serve_reads(&mut self.due);
        self.timers.arm(slot, member.next_deadline());
        count_log_bytes(&mut self.log_bytes, member);
        self.mind_snapshots(now, slot, wanted);
        if let Some((term, leader)) = led_by {
            self.on_group_led(slot, term, leader);
        }
        if is_reconfigured {
            self.counters.configurations += 1;
            self.tell_liveness(now, slot);
        }
    }

    /// Tells a member what is known of the nodes of its configuration.
    pub(crate) fn tell_liveness(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.members.get_mut(slot) else {
            return;
        };
        for (node, liveness) in &self.liveness {
            if member.core.configuration().find(*node).is_some() {
                member.core.on_liveness(now, *node, *liveness);
            }
        }
        self.mark_dirty(slot);
    }

    /// Asks groups in turn for memory while their logs hold too much.
    fn keep_memory(&mut self) {
        let limit = self.options.log_memory_bytes_max;
        for _ in 0..self.members.len().min(RELEASE_GROUPS) {
            if self.log_bytes <= limit {
                return;
            }
            if self.release_next >= self.members.len() {
                self.release_next = 0;
            }
            let excess = self.log_bytes - limit;
            if let Some(member) = self.members.get_mut(self.release_next) {
                member.core.release_memory(member.log_bytes.saturating_sub(excess));
                count_log_bytes(&mut self.log_bytes, member);
            }
            self.release_next += 1;
        }
    }

    fn start_write(&mut self, now: Now) {
        let is_retry = self.writer.is_full();
        let Some(batch) = self.writer.start(now.time) else {
            return;
        };
        self.counters.writes_started += 1;
        self.cadence.on_write_began(now.time);
        self.due.write = Some(batch);
        if mutants::is_active(66) {
            let parts = self.writer.in_flight().to_vec();
            self.on_durable(now, Durable::All(parts));
        }
        if is_retry {
            return;
        }
        for part in self.writer.in_flight() {
            let Some(first) = part.led_from else {
                continue;
            };
            self.counters.leader_writes += 1;
            let member = self.members.get(part.slot);
            if member.is_some_and(|member| member.acknowledged < first) {
                self.counters.writes_started_before_first_ack += 1;
            }
        }
        self.wake_stalled();
    }

    /// Groups whose proposals waited for a write are looked at again.
    fn wake_stalled(&mut self) {
        for slot in std::mem::take(&mut self.stalled) {
            if let Some(member) = self.members.get_mut(slot) {
                member.is_stalled = false;
            }
            self.mark_dirty(slot);
        }
    }

    fn start_storage_reads(&mut self) {
        self.storage_reads.extend(self.due.fetches.drain(..));
        while self.storage_reads_under_way.len() < self.options.fetches_max {
            let Some(read) = self.storage_reads.pop_front() else {
                return;
            };
            self.storage_reads_under_way.push(read.slot);
            self.counters.storage_reads += 1;
            self.due.fetches.push(read);
        }
    }

    pub(super) fn mark_dirty(&mut self, slot: Slot) {
        if let Some(member) = self.members.get_mut(slot)
            && !member.is_dirty
        {
            member.is_dirty = true;
            self.dirty.push(slot);
        }
    }
}

/// Corrects the sum of memory by what a member's log has changed.
fn count_log_bytes<M: StateMachine>(sum: &mut usize, member: &mut Member<M>) {
    let bytes = member.core.log_bytes();
    *sum = *sum + bytes - member.log_bytes;
    member.log_bytes = bytes;
}
