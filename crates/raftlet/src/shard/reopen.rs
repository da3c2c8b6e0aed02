//! A group whose storage is found damaged while it runs is opened again, by the way
//! that a start takes (D55).
//!
//! ```text
//! damage met ─▶ halt ─▶ nothing of it is under way ─▶ Courier::Reopen
//!     storage is told ─▶ the term after is durable ─▶ the machine is reset
//!     ─▶ `prepare`, as of a start ─▶ Reopened ─▶ takes part, to be refilled
//! ```
//!
//! Invariants
//! - From the moment in which damage is met the member is halted: it votes,
//!   acknowledges and serves nothing before it knows what it lost.
//! - It comes back in a term behind all in which it has said anything. So what it
//!   had acknowledged counts with nobody who leads from then on, and an ack that
//!   comes late counts with nobody either: an ack is of the leader's own term.
//!   Within a run that is what the start counter is between two (D39).
//! - Nothing that was begun for the member before comes to the one after: it waits
//!   until writes, reads, transfers, snapshots and the machine are back.
//!
//! Not here: what is lost, which storage tells (law 9 of its port), and how long the
//! member gives no vote (`refill.rs` of the core).

use std::rc::Rc;

use crate::effects::Courier;
use crate::error::{Halt, OpenError};
use crate::observe::Note;
use crate::port::{
    Clock, GroupInfo, GroupWrite, Ports, Spawn, StateMachine, Storage, StorageError, WriteBatch,
};
use crate::reopening::{Ended, Lost, Prepared, Reopening};
use crate::shard::Shared;
use crate::shard::act::Task;
use crate::shard::open::WritePermit;
use crate::shard::state::{Completion, Phase, State};
use crate::timers::Slot;
use raftlet_core::{HardState, Index, Now, mutants};

/// How long a term rests that found no space to be written.
const NO_SPACE_PAUSE_NS: u64 = 200_000_000;

impl<M: StateMachine> State<M> {
    /// A group halts; where storage is damaged and other members have what it holds,
    /// until it is opened again.
    pub(super) fn halt_or_reopen(&mut self, now: Now, slot: Slot, halt: Halt, lost: Lost) {
        let Some(member) = self.members.get(slot) else {
            return;
        };
        let cause = match halt {
            Halt::Storage(cause @ StorageError::Damaged { .. })
                if member.has_others() && member.halted.is_none() =>
            {
                cause
            }
            halt => return self.halt(now, slot, &halt),
        };
        self.halt_silently(now, slot, &Halt::Storage(cause.clone()));
        self.couriers.leave(slot);
        self.reopenings.insert(slot, Reopening { lost, cause, has_begun: false });
    }

    /// Begins with those of which nothing is under way any more.
    pub(super) fn start_reopenings(&mut self) {
        if self.reopenings.is_empty() {
            return;
        }
        let waiting = self.reopenings.iter().filter(|(_, reopening)| !reopening.has_begun);
        let quiet: Vec<Slot> =
            waiting.map(|(slot, _)| *slot).filter(|slot| self.is_quiet(*slot)).collect();
        for slot in quiet {
            let (Some(member), Some(reopening)) =
                (self.members.get(slot), self.reopenings.get_mut(&slot))
            else {
                continue;
            };
            reopening.has_begun = true;
            let (group, generation) = (member.group, member.core.seat().generation);
            let group = GroupInfo { group, generation };
            self.due.couriers.push(Courier::Reopen { slot, group });
        }
    }

    /// Whether nothing that was begun for a group can still come back.
    fn is_quiet(&self, slot: Slot) -> bool {
        let reads = self.storage_reads.iter().chain(&self.due.fetches);
        let mut reading = reads.map(|read| read.slot).chain(self.storage_reads_under_way.clone());
        self.members.get(slot).is_some_and(|member| {
            !member.is_dirty && !member.policy.is_taking() && member.applier.is_at_home()
        }) && !self.writer.holds(slot)
            && !self.couriers.carries(slot)
            && !reading.any(|of| of == slot)
    }

    /// What is to be done, with the machine to do it; `None` when all is over.
    fn begin_reopening(&mut self, slot: Slot) -> Option<(Box<M>, Lost, StorageError)> {
        let reopening = self.reopenings.get(&slot)?;
        let machine = self.members.get_mut(slot)?.applier.lend()?;
        Some((machine, reopening.lost, reopening.cause.clone()))
    }

    /// A group was opened again, or could not be.
    pub(super) fn on_reopened(&mut self, now: Now, slot: Slot, ended: Ended<M>) {
        let (Some(Reopening { cause: why, lost, .. }), Some(member)) =
            (self.reopenings.remove(&slot), self.members.get_mut(slot))
        else {
            return;
        };
        let (group, machine) = (member.group, ended.machine);
        match ended.result {
            Ok(Prepared { core, start, .. }) => {
                let is_lost = core.status().refill_until.is_some();
                member.begin_again(core, *machine, start);
                self.observer.forget(slot);
                self.due.notes.push(match lost {
                    _ if !is_lost => Note::Spared { group, why },
                    Lost::Snapshot => Note::Forsaken { group, why },
                    Lost::Entries { .. } | Lost::Unread { .. } => Note::Lost { group, why },
                });
                self.tell_liveness(now, slot);
            }
            Err(Halt::Storage(error @ StorageError::Poisoned { .. })) => {
                member.applier.give_back(machine);
                self.poison(now, &error);
            }
            Err(halt) => {
                member.applier.give_back(machine);
                member.halted = Some(halt.clone());
                self.due.notes.push(Note::Halted { group, halt });
            }
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }
}

impl<P: Ports> Shared<P> {
    /// Opens a halted group again beside the loop.
    pub(in crate::shard) fn start_reopening(self: &Rc<Self>, slot: Slot, group: GroupInfo) {
        let shared = Rc::clone(self);
        self.spawn.spawn(async move {
            let mut task = Task::new(&shared);
            let begun = shared.state.with(|state| state.begin_reopening(slot));
            let (mut machine, lost, cause) = begun.expect("it was at home, and nobody else asks");
            let result = shared.reopen(group, machine.as_mut(), lost, cause).await;
            if result.is_ok() {
                shared.storage.unstrand(group.group);
            }
            let ended = Box::new(Ended { machine, result });
            task.finish(Completion::Reopened(slot, ended));
        });
    }

    /// Storage learns what is lost, and says what is left; the machine begins anew.
    ///
    /// # Errors
    /// Why the group stays halted.
    async fn reopen(
        &self,
        group: GroupInfo,
        machine: &mut P::Machine,
        lost: Lost,
        cause: StorageError,
    ) -> Result<Prepared, Halt> {
        let lost_from = match lost {
            Lost::Snapshot => {
                self.storage.condemn_snapshot(group.group).await?;
                None
            }
            Lost::Entries { first, last } => {
                // Where every one is given back now, one was not.
                Some(self.first_lost(group, first, last).await.unwrap_or(first))
            }
            Lost::Unread { first, last } => self.first_lost(group, first, last).await,
        };
        self.enter_next_term(group, lost_from).await?;
        if !machine.reset().await {
            return Err(Halt::until_a_start(cause));
        }
        self.prepare(group, machine).await.map_err(|error| match error {
            OpenError::Storage { source, .. } => Halt::Storage(source),
            error => Halt::until_a_start(StorageError::Damaged {
                group: group.group,
                detail: format!("{cause}: {error}"),
            }),
        })
    }

    /// The first of these entries that is not given back.
    async fn first_lost(&self, group: GroupInfo, first: Index, last: Index) -> Option<Index> {
        let mut next = first;
        while next <= last {
            let read = self.storage.read(group.group, next, last, 1).await;
            let Some(read) = read.ok().and_then(|entries| entries.last()) else {
                return Some(next);
            };
            next = read.index.next();
        }
        None
    }

    /// Whether the loop has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.state.with(|state| state.has_ended())
    }

    /// Makes the term after the present one durable, and in the same write what is
    /// lost. No vote is given in it: what holds for an election that timed out holds
    /// here (rule 6).
    async fn enter_next_term(
        &self,
        group: GroupInfo,
        lost_from: Option<Index>,
    ) -> Result<(), StorageError> {
        let GroupInfo { group, generation } = group;
        loop {
            let permit = WritePermit::take(self).await;
            let HardState { term, .. } = self.storage.load_term_and_vote(group).await?;
            if term.is_exhausted() || self.has_ended() {
                let detail = "it halted, and was not opened again".to_owned();
                return Err(StorageError::Damaged { group, detail });
            }
            let next = HardState { term: term.next(), vote: None };
            let hard_state = Some(next).filter(|_| !mutants::is_active(173));
            let lost_from = lost_from.filter(|_| !mutants::is_active(175));
            let write = GroupWrite { hard_state, lost_from, ..GroupWrite::new(group, generation) };
            let (_, result) = self.storage.write(WriteBatch { writes: vec![write] }).await;
            drop(permit);
            match result {
                Err(StorageError::NoSpace { .. }) => {
                    let later = self.now().time.after_ns(NO_SPACE_PAUSE_NS);
                    self.clock.sleep_until(later).await;
                }
                result => return result,
            }
        }
    }
}
