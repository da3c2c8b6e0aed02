//! One group's member as its shard hosts it: the core, and who waits for it.
//!
//! ```text
//! lane ─▶ held ─▶ core.propose ─▶ waiters ─┐
//!           ▲ └─▶ Forward ─────▶ forwards ─┤─ applied ─▶ done
//!           └────────── proven dead ───────┘─ time is up, halted ─▶ unknown
//! ```
//!
//! Invariants
//! - A proposal ends exactly once: done; *not done* only while it is held,
//!   where no log has it; *unknown* from wherever a log may have it (D9).
//! - What is proven dead goes back to the front of `held`, so a member's
//!   proposals take effect in the order they were made. For the same reason
//!   none is proposed in a new term while one of an earlier is undecided.
//! - After `halt` nothing is taken and nothing leaves.
//!
//! Not here: whose turn it is (`shard/turn.rs`), the window that decides
//! about copies (`window.rs`).

use bytes::Bytes;

use crate::applier::{Applied, Applier, Next, Start, has_effect};
use crate::couriers::Couriers;
use crate::effects::{Effects, Purpose, StorageRead, Work};
use crate::error::{Halt, NotDone, ProposeError, ReadError, SnapshotError, Unknown};
use crate::forward::Forwards;
use crate::options::{CHUNK_COMMANDS_MAX, ShardOptions};
use crate::port::StateMachine;
use crate::proposal::Held;
use crate::reads::Reads;
use crate::snapshot::Policy;
use crate::timers::Slot;
use crate::waiters::Waiters;
use raftlet_core::{
    self as core, AckOutcome, Arena, Body, Chunk, Entry, GroupId, Index, Message, NodeId, Now,
    Origin, Role, Sender, Term, Time, mutants,
};

/// A hosted member.
pub(crate) struct Member<M: StateMachine> {
    pub(crate) core: core::Group,
    pub(crate) slot: Slot,
    pub(crate) group: GroupId,
    pub(crate) held: Held<M::Response>,
    pub(crate) waiters: Waiters<M::Response>,
    pub(crate) forwards: Forwards<M::Response>,
    pub(crate) reads: Reads<M>,
    pub(crate) applier: Applier<M>,
    pub(crate) policy: Policy,
    pub(crate) halted: Option<Halt>,
    /// Waits to be settled in this turn.
    pub(crate) is_dirty: bool,
    /// Its proposals wait for the gathering write to start, or for the one under
    /// way to end.
    pub(crate) is_stalled: bool,
    /// Bytes of its log in memory when last counted.
    pub(crate) log_bytes: usize,
    /// What a follower has acknowledged of the term that this member leads.
    pub(crate) acknowledged: Index,
    office: (Role, Term),
}

impl<M: StateMachine> Member<M> {
    pub(crate) fn new(core: core::Group, slot: Slot, machine: M, start: Start) -> Self {
        let seat = core.seat();
        let mut policy = Policy::default();
        policy.on_current(core.snapshot().index);
        Self {
            slot,
            group: seat.group,
            held: Held::new(),
            waiters: Waiters::new(),
            forwards: Forwards::new(seat.run),
            reads: Reads::new(),
            applier: Applier::new(machine, start),
            policy,
            halted: None,
            is_dirty: false,
            is_stalled: false,
            log_bytes: 0,
            acknowledged: Index::ZERO,
            office: (core.role(), core.term()),
            core,
        }
    }

    /// Takes part again after a halt, with what storage holds now. Nobody waits for
    /// it since; the numbers of what it forwards go on, which the window knows
    /// (rule 33).
    pub(crate) fn begin_again(&mut self, core: core::Group, machine: M, start: Start) {
        self.policy = Policy::default();
        self.policy.on_current(core.snapshot().index);
        self.applier = Applier::new(machine, start);
        self.halted = None;
        self.acknowledged = Index::ZERO;
        self.office = (core.role(), core.term());
        self.core = core;
    }

    /// A message for this member.
    pub(crate) fn step(
        &mut self,
        now: Now,
        arena: &mut Arena,
        from: Sender,
        message: &mut Message,
        due: &mut Effects<M>,
    ) {
        match &message.body {
            Body::ForwardReply(reply) if message.generation == self.core.seat().generation => {
                let refused = self.forwards.on_reply(from.node, message.term, reply);
                if let Some((shortage, refused)) = refused {
                    let error = NotDone::LeaderFull { leader: from.node, shortage };
                    let ended = refused.into_iter().map(|lost| lost.end(Err(error.clone().into())));
                    due.ended.extend(ended);
                }
            }
            Body::Ack(ack) if message.term == self.core.term() => {
                if let AckOutcome::Matches { durable, .. } = ack.outcome {
                    self.acknowledged = self.acknowledged.max(durable);
                }
            }
            _ => {}
        }
        self.core.step(now, arena, from, message);
    }

    /// Whether it leads and waits to hear what became of what it appended last.
    pub(crate) fn leads_undecided(&self) -> bool {
        self.core.role() == Role::Leader && self.core.commit_index() < self.core.last_index()
    }

    /// Hands held proposals to whoever leads, as far as they fit.
    pub(crate) fn dispatch(
        &mut self,
        now: Now,
        arena: &mut Arena,
        options: &ShardOptions,
        due: &mut Effects<M>,
    ) {
        if self.core.is_removed() {
            let error = ProposeError::NotDone(NotDone::NotMember);
            due.ended.extend(self.held.take_all().map(|held| held.end(Err(error.clone()))));
            due.refuse_reads(self.reads.take_all(), &ReadError::NotMember);
            return;
        }
        // Who hands over appends nothing, and the next term is another.
        let untimely = if self.core.is_transferring() {
            self.held.take_tied()
        } else {
            self.held.take_untimely(self.core.term())
        };
        if !untimely.is_empty() {
            let error = ProposeError::NotDone(NotDone::OtherTerm { term: self.core.term() });
            due.ended.extend(untimely.into_iter().map(|held| held.end(Err(error.clone()))));
        }
        while !self.held.is_empty() {
            let bytes_max = if self.core.has_short_members() {
                options.chunk_bytes_max.min(core::UNCOMMITTED_SHORT_BYTES_MAX)
            } else {
                options.chunk_bytes_max
            };
            let len = self.held.chunk_len(CHUNK_COMMANDS_MAX, bytes_max);
            let went_on = match self.core.role() {
                Role::Leader => self.propose(now, arena, len, due),
                _ => self.forward(now, len, options, due),
            };
            if !went_on {
                return;
            }
        }
    }

    /// Proposes the first `len` as one chunk. Returns whether to go on.
    fn propose(&mut self, now: Now, arena: &mut Arena, len: usize, due: &mut Effects<M>) -> bool {
        let term = self.core.term();
        if !self.forwards.is_empty() || !self.waiters.accept(term) {
            return false;
        }
        let payloads = self.held.payloads(len).map(Bytes::as_ref);
        let refusal = match self.core.propose(now, arena, payloads) {
            Ok(first) => {
                self.waiters.take_in(self.held.queue(), len, first);
                return true;
            }
            // Held back until some committed, or somebody leads.
            Err(
                core::ProposeError::Busy { .. }
                | core::ProposeError::NotLeader { .. }
                | core::ProposeError::Transferring
                | core::ProposeError::Settling,
            ) => return false,
            Err(core::ProposeError::TooLarge { bytes, limit }) => {
                NotDone::TooLarge { bytes, limit }
            }
            Err(core::ProposeError::QuorumFull) => NotDone::QuorumFull,
            Err(_) => NotDone::Exhausted,
        };
        let ended = self.held.take(len).map(|held| held.end(Err(refusal.clone().into())));
        due.ended.extend(ended);
        true
    }

    /// Passes the first `len` on to the leader. Returns whether to go on.
    fn forward(
        &mut self,
        now: Now,
        len: usize,
        options: &ShardOptions,
        due: &mut Effects<M>,
    ) -> bool {
        let leader = self.core.leader();
        if !options.forwarding {
            let refusal = ProposeError::NotDone(NotDone::NotLeader { leader });
            let ended = self.held.take_all().map(|held| held.end(Err(refusal.clone())));
            due.ended.extend(ended);
            return false;
        }
        let Some(leader) = leader else {
            return false;
        };
        let term = self.core.term();
        let len = len.min(self.forwards.room(term));
        if len == 0 || !self.waiters.is_empty() {
            return false;
        }
        let forward = self.forwards.send(now.time, term, leader, self.held.take(len));
        self.core.on_forwarded(now);
        self.tell(leader, Body::Forward(forward), due);
        true
    }

    fn tell(&self, to: NodeId, body: Body, due: &mut Effects<M>) {
        let generation = self.core.seat().generation;
        let message = Message { generation, term: self.core.term(), body };
        due.send(to, self.group, message);
    }

    /// Asks the core about reads that are not asked yet, if anybody leads.
    pub(crate) fn ask_reads(&mut self, now: Now) {
        if self.core.leader().is_none() {
            return;
        }
        while let Some(id) = self.reads.next_question(now.time) {
            if self.core.read(now, id).is_err() {
                self.reads.on_refused(now.time, id);
            }
        }
    }

    /// Whether it led when it last told of its office.
    pub(crate) fn is_in_office(&self) -> bool {
        self.office.0 == Role::Leader
    }

    /// Role, term or leader changed.
    pub(crate) fn on_office(&mut self, role: Role, term: Term, due: &mut Effects<M>) {
        let (former_role, former_term) = self.office;
        self.office = (role, term);
        if (role, term) != (former_role, former_term) {
            self.acknowledged = Index::ZERO;
        }
        // Stepping down within the term is for want of a quorum (rule 20), or
        // because the members changed: then all that waits is committed.
        if former_role == Role::Leader && role != Role::Leader && term == former_term {
            self.disown(due);
            let error = ProposeError::Unknown(Unknown::QuorumLost);
            let lost = self.waiters.take_behind(self.core.commit_index());
            if mutants::is_active(71) {
                self.held.put_back(lost);
                return;
            }
            due.ended.extend(lost.map(|lost| lost.end(Err(error.clone()))));
        }
    }

    /// Lets the others know that this member leads no more in its term: by the
    /// detector, for they may not hear the group's own messages (rule 20).
    fn disown(&self, due: &mut Effects<M>) {
        let seat = self.core.seat();
        due.disowned.push((seat.group, seat.generation, self.core.term()));
    }

    /// Whether anybody else is a member.
    pub(crate) fn has_others(&self) -> bool {
        self.core.configuration().nodes().count() > 1
    }

    /// What the applier needs, if it needs something.
    pub(crate) fn advance_apply(
        &mut self,
        now: Time,
        options: &ShardOptions,
        due: &mut Effects<M>,
    ) {
        if self.halted.is_some() {
            return;
        }
        match self.applier.next(now, &self.core, options) {
            Next::Nothing => {}
            Next::Apply(job) => due.work.push_back(Work::Apply { slot: self.slot, job }),
            Next::Restore { machine, last } => {
                let (slot, group) = (self.slot, self.group);
                due.work.push_back(Work::Restore { slot, machine, group, last });
            }
            Next::Read { first, last } => due.fetches.push(StorageRead {
                slot: self.slot,
                group: self.group,
                purpose: Purpose::Apply,
                first,
                last,
                bytes_max: options.apply_bytes_max,
            }),
        }
    }

    /// Lends the machine to the reads that may run.
    pub(crate) fn serve_reads(&mut self, due: &mut Effects<M>) {
        let applied = self.applier.applied();
        if !self.reads.is_ready(applied) {
            return;
        }
        if let Some(machine) = self.applier.lend() {
            let jobs = self.reads.take_ready(applied);
            due.reads_ended += jobs.len();
            due.work.push_back(Work::Reads { slot: self.slot, machine, jobs });
        }
    }

    /// A batch came back from the machine.
    pub(crate) fn on_applied(
        &mut self,
        applied: Applied<M>,
        options: &ShardOptions,
        due: &mut Effects<M>,
    ) -> Result<(), Halt> {
        let mut job = applied.job;
        if let Err(halt) = applied.result {
            self.applier.give_back(job.machine);
            due.unclaimed.append(&mut job.responses);
            return Err(halt);
        }
        let last = job.entries.last().expect("a batch has entries").index;
        if self.waiters.is_empty() && self.forwards.is_empty() {
            due.unclaimed.append(&mut job.responses);
        } else {
            let mut responses = std::mem::take(&mut job.responses);
            let mut drained = responses.drain(..);
            for chunk in job.entries.chunks() {
                let is_all_applied =
                    job.without_effect.is_empty() && chunk.first() > job.has_applied;
                if chunk.is_plain() && is_all_applied {
                    self.end_plain(chunk, &mut drained, due);
                    continue;
                }
                for entry in chunk.entries() {
                    let effective = has_effect(&entry, &job.without_effect, job.has_applied);
                    let response = if effective { drained.next() } else { None };
                    self.end_applied(&entry, response, due);
                }
            }
            drop(drained);
            job.responses = responses;
        }
        self.policy.on_applied(last, job.entries.bytes_len(), options);
        self.applier.on_applied(job, last);
        if self.halted.is_none() {
            self.core.on_applied(last);
            if let Some(checkpoint) = self.applier.checkpoint() {
                self.core.on_checkpoint(checkpoint);
            }
        }
        Ok(())
    }

    /// The machine came back, restored. Whether what somebody waits for is part
    /// of it is not told.
    pub(crate) fn on_restored(&mut self, machine: Box<M>, start: Start, due: &mut Effects<M>) {
        let applied = start.applied;
        self.applier.on_restored(machine, start);
        self.policy.on_current(applied);
        let error = ProposeError::Unknown(Unknown::InSnapshot);
        let waiting = self.waiters.take_until(applied);
        due.ended.extend(waiting.map(|lost| lost.end(Err(error.clone()))));
        due.ended.extend(self.forwards.take_all().map(|lost| lost.end(Err(error.clone()))));
        if self.halted.is_none() {
            self.core.on_applied(applied);
        }
    }

    /// As [`Self::end_applied`], of commands each of which was applied and none
    /// forwarded.
    fn end_plain(
        &mut self,
        chunk: &Chunk,
        responses: impl Iterator<Item = M::Response>,
        due: &mut Effects<M>,
    ) {
        let term = chunk.term();
        self.free_dead(term);
        let mut index = chunk.first();
        for response in responses.take(usize::try_from(chunk.len()).unwrap_or(usize::MAX)) {
            match self.waiters.take_done(index, term) {
                Some(proposal) => {
                    due.sample = Some(proposal.deadline);
                    due.ended.push(proposal.end(Ok(response)));
                }
                None => due.unclaimed.push(response),
            }
            index = index.next();
        }
    }

    /// Frees what an applied entry of a term proves dead.
    fn free_dead(&mut self, term: Term) {
        if let Some(dead) = self.waiters.take_dead(term) {
            self.held.put_back(dead);
        }
        if let Some(dead) = self.forwards.take_dead(term) {
            self.held.put_back(dead);
        }
    }

    /// An entry was applied: ends who waited for it, frees what it proves dead.
    fn end_applied(
        &mut self,
        entry: &Entry<'_>,
        response: Option<M::Response>,
        due: &mut Effects<M>,
    ) {
        self.free_dead(entry.term);
        let waiting = match &entry.origin {
            None => self.waiters.take_done(entry.index, entry.term),
            Some(origin) if self.is_own(origin) || mutants::is_active(72) => {
                self.forwards.take_done(origin.sequence)
            }
            Some(_) => None,
        };
        match (waiting, response) {
            (Some(proposal), Some(response)) => {
                due.sample = Some(proposal.deadline);
                due.ended.push(proposal.end(Ok(response)));
            }
            // Below the window's floor: no effect here, but it was said nowhere
            // that none came before (rule 33).
            (Some(proposal), None) => {
                due.ended.push(proposal.end(Err(Unknown::TimedOut.into())));
            }
            (None, Some(response)) => due.unclaimed.push(response),
            (None, None) => {}
        }
    }

    fn is_own(&self, origin: &Origin) -> bool {
        let seat = self.core.seat();
        (origin.node, origin.incarnation, origin.run) == (seat.node, seat.incarnation, seat.run)
    }

    /// The member's own deadlines, beside those of the core: what is out of
    /// time ends, a forward that was lost is sent again.
    pub(crate) fn on_deadline(&mut self, now: Now, due: &mut Effects<M>) {
        while let Some(held) = self.held.take_expired(now.time) {
            due.ended.push(held.end(Err(NotDone::NoLeader.into())));
        }
        while let Some(waiting) = self.waiters.take_expired(now.time) {
            due.ended.push(waiting.end(Err(Unknown::TimedOut.into())));
        }
        while let Some(waiting) = self.forwards.take_expired(now.time) {
            due.ended.push(waiting.end(Err(Unknown::TimedOut.into())));
        }
        while let Some((id, jobs)) = self.reads.take_expired(now.time) {
            self.core.forget_read(id);
            due.refuse_reads(jobs, &ReadError::TimedOut);
        }
        let (term, leader) = (self.core.term(), self.core.leader());
        if let Some((to, forward)) = self.forwards.resend(now.time, term, leader) {
            self.core.on_forwarded(now);
            self.tell(to, Body::Forward(forward), due);
        }
    }

    /// When something is due if nothing else happens first.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        if self.halted.is_some() {
            return None;
        }
        let own = [
            self.held.next_deadline(),
            self.waiters.next_deadline(),
            self.forwards.next_deadline(),
            self.reads.next_deadline(self.core.leader().is_some()),
            self.applier.next_deadline(),
            self.core.next_deadline(),
        ];
        own.into_iter().flatten().min()
    }

    /// Stops taking part, by name (rules 9, 44).
    pub(crate) fn halt(&mut self, now: Now, halt: &Halt, due: &mut Effects<M>) {
        if self.halted.is_some() {
            return;
        }
        if self.core.role() == Role::Leader {
            self.disown(due);
        }
        self.core.halt(now);
        self.halted = Some(halt.clone());
        let not_done = ProposeError::NotDone(NotDone::Halted(halt.clone()));
        let unknown = ProposeError::Unknown(Unknown::Halted(halt.clone()));
        self.end_all(&not_done, &unknown, &ReadError::Halted(halt.clone()), due);
        let error = SnapshotError::Halted(halt.clone());
        let asked = self.policy.take_asked().into_iter();
        due.snapshots_ended.extend(asked.map(|asked| (asked, Err(error.clone()))));
    }

    /// This member holds no seat any more: nobody would answer it. What it
    /// knows to be committed is still applied, and ends who waits for it.
    pub(crate) fn on_removed(&mut self, couriers: &mut Couriers, due: &mut Effects<M>) {
        due.wakers.extend(couriers.give_up_receiving(self.slot));
        let not_done = ProposeError::NotDone(NotDone::NotMember);
        let unknown = ProposeError::Unknown(Unknown::NotMember);
        let lost = self.waiters.take_behind(self.core.commit_index());
        due.ended.extend(lost.map(|lost| lost.end(Err(unknown.clone()))));
        due.ended.extend(self.forwards.take_all().map(|lost| lost.end(Err(unknown.clone()))));
        due.ended.extend(self.held.take_all().map(|held| held.end(Err(not_done.clone()))));
        due.refuse_reads(self.reads.take_all(), &ReadError::NotMember);
    }

    /// Ends everybody who waits.
    pub(crate) fn end_all(
        &mut self,
        not_done: &ProposeError,
        unknown: &ProposeError,
        unread: &ReadError,
        due: &mut Effects<M>,
    ) {
        due.ended.extend(self.held.take_all().map(|held| held.end(Err(not_done.clone()))));
        due.ended.extend(self.waiters.take_all().map(|lost| lost.end(Err(unknown.clone()))));
        due.ended.extend(self.forwards.take_all().map(|lost| lost.end(Err(unknown.clone()))));
        due.refuse_reads(self.reads.take_all(), unread);
    }
}
