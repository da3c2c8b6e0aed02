//! Does what a turn decided: sends, starts reads, runs machines, answers.
//!
//! Runs outside of the shard's state, so ports and wakers may call back into
//! handles. A machine is polled once in place; only one that must wait becomes
//! a task. So a machine that never waits costs no hop between commit and
//! answer.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::applier::{Applied, Job, apply};
use crate::effects::{Courier, Effects, StorageRead, Work};
use crate::observe;
use crate::port::{Clock, FailureDetector, Ports, Rpc, Spawn, StateMachine, Storage};
use crate::reads::ReadJob;
use crate::shard::Shared;
use crate::shard::state::Completion;
use crate::timers::Slot;
use raftlet_core::{Now, mutants};

impl<P: Ports> Shared<P> {
    /// Does everything in `fx` and what follows from it; `fx` is empty then.
    pub(crate) fn act(self: &Rc<Self>, now: Now, fx: &mut Effects<P::Machine>) {
        loop {
            self.send(fx);
            for (group, generation, term) in fx.disowned.drain(..) {
                self.detector.disown(group, generation, term);
            }
            observe::tell(&mut fx.notes);
            for read in fx.fetches.drain(..) {
                self.start_read(read);
            }
            for courier in fx.couriers.drain(..) {
                match courier {
                    Courier::Send { slot, group, to } => self.start_send(slot, group, to),
                    Courier::Receive { slot, group, number } => {
                        self.start_receive(slot, group, number);
                    }
                    Courier::Reopen { slot, group } => self.start_reopening(slot, group),
                }
            }
            let worked = !fx.work.is_empty();
            while let Some(work) = fx.work.pop_front() {
                match work {
                    Work::Apply { slot, job } => self.run_apply(now, slot, job),
                    Work::Snapshot { slot, machine, group, meta } => {
                        self.run_snapshot(slot, machine, group, meta);
                    }
                    Work::Restore { slot, machine, group, last } => {
                        self.run_restore(slot, machine, group, last);
                    }
                    Work::Reads { slot, machine, jobs } => self.run_reads(slot, machine, jobs),
                }
            }
            answer(fx);
            if !worked {
                return;
            }
            self.state.with(|state| state.swap_due(fx));
        }
    }

    /// Hands the transport what is to leave.
    pub(crate) fn send(&self, fx: &mut Effects<P::Machine>) {
        let (mut sends, mut messages) = (0, 0);
        for (to, outbox) in &mut fx.outboxes {
            if !outbox.is_empty() {
                sends += 1;
                messages += outbox.len();
                self.rpc.send(*to, outbox);
                outbox.clear();
            }
        }
        if sends > 0 {
            self.state.with(|state| {
                let counters = state.counters_mut();
                counters.sends += sends;
                counters.messages_sent += u64::try_from(messages).unwrap_or(u64::MAX);
            });
        }
    }

    fn start_read(self: &Rc<Self>, read: StorageRead) {
        let shared = Rc::clone(self);
        self.spawn.spawn(async move {
            let mut task = Task::new(&shared);
            let StorageRead { group, first, last, bytes_max, .. } = read;
            let result = shared.storage.read(group, first, last, bytes_max).await;
            task.finish(Completion::Read(read, result));
        });
    }

    fn run_apply(self: &Rc<Self>, now: Now, slot: Slot, job: Job<P::Machine>) {
        let mut applying = Box::pin(apply(job));
        let polled = applying.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let is_done = polled.is_ready();
        self.state.with(|state| {
            let counters = state.counters_mut();
            counters.applies += 1;
            counters.applies_spawned += u64::from(!is_done);
            if let Poll::Ready(applied) = polled {
                state.on_applied(now, slot, applied);
            }
        });
        if !is_done {
            self.spawn_apply(slot, applying);
        }
    }

    fn spawn_apply(
        self: &Rc<Self>,
        slot: Slot,
        applying: Pin<Box<impl Future<Output = Applied<P::Machine>> + 'static>>,
    ) {
        let shared = Rc::clone(self);
        self.spawn.spawn(async move {
            let mut task = Task::new(&shared);
            let applied = applying.await;
            task.finish(Completion::Applied(slot, applied));
        });
    }

    fn run_reads(&self, slot: Slot, machine: Box<P::Machine>, jobs: Vec<ReadJob<P::Machine>>) {
        for job in jobs {
            job(Ok(&machine));
        }
        self.state.with(|state| state.give_back(slot, machine));
    }

    /// Reads the clock.
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }
}

pub(crate) fn answer<M: StateMachine>(fx: &mut Effects<M>) {
    for ended in fx.ended.drain(..) {
        ended.answer.give(ended.outcome);
    }
    for (job, error) in fx.refused.drain(..) {
        job(Err(error));
    }
    for (asked, outcome) in fx.snapshots_ended.drain(..) {
        asked.give(outcome);
    }
    for ended in fx.transfers_ended.drain(..) {
        ended.answer.give(ended.outcome);
    }
    for ended in fx.changes_ended.drain(..) {
        ended.answer.give(ended.outcome);
    }
    fx.unclaimed.clear();
    for waker in fx.wakers.drain(..) {
        waker.wake();
    }
}

/// A task beside the loop: the loop hears how it ended, whatever happens.
pub(super) struct Task<'a, P: Ports> {
    shared: &'a Rc<Shared<P>>,
    is_done: bool,
}

impl<'a, P: Ports> Task<'a, P> {
    pub(super) fn new(shared: &'a Rc<Shared<P>>) -> Self {
        Self { shared, is_done: false }
    }

    pub(super) fn finish(&mut self, completion: Completion<P::Machine>) {
        self.is_done = true;
        self.tell(completion);
    }

    fn tell(&self, completion: Completion<P::Machine>) {
        self.shared.state.with(|state| state.completions.push_back(completion));
        if !mutants::is_active(68) {
            self.shared.signal.raise();
        }
    }
}

impl<P: Ports> Drop for Task<'_, P> {
    fn drop(&mut self) {
        if !self.is_done {
            self.tell(Completion::Lost);
        }
    }
}
