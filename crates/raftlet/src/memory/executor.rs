//! A single-thread executor with virtual time, the same run for the same seed.
//!
//! Which of the runnable tasks goes next is drawn from the seed, so that tests
//! with several seeds see several orders. When no task can run the clock moves
//! to its next alarm: a test that waits five seconds takes none.
//!
//! Invariants
//! - A task is polled only while it is not being polled, and dropped outside of the
//!   executor's own state.
//! - No call runs for ever: tasks that wake one another without end, or timers that
//!   come again while nobody gets what it waits for, end it with a panic that tells
//!   whose they are.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::cell::ShardCell;
use crate::memory::clock::VirtualClock;
use crate::port::{Clock, Spawn};
use raftlet_core::Time;

/// Polls of tasks in one call: the longest test of the driver takes 45 800 in all
/// (2026-11-30).
const POLLS_MAX: u64 = 10_000_000;

type TaskId = u64;
type BoxedTask = Pin<Box<dyn Future<Output = ()>>>;

/// Whose tasks: they can be killed together, as a process's threads are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner(pub u64);

/// Woken tasks. `Wake` demands `Send`, hence the lock; all is one thread.
type Ready = Arc<Mutex<VecDeque<TaskId>>>;

struct TaskWaker {
    id: TaskId,
    is_queued: AtomicBool,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::Relaxed) {
            lock(&self.ready).push_back(self.id);
        }
    }
}

fn lock(ready: &Ready) -> std::sync::MutexGuard<'_, VecDeque<TaskId>> {
    ready.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Task {
    owner: Owner,
    waker: Arc<TaskWaker>,
    /// `None` while it is being polled.
    future: Option<BoxedTask>,
}

struct Tasks {
    tasks: BTreeMap<TaskId, Task>,
    next: TaskId,
    random: u64,
    /// So far, and whose task had the last one.
    polls: u64,
    last: Owner,
}

/// Runs tasks on the thread that calls it.
///
/// Everything that a task waits for must come from another task or the clock.
/// Real disks and sockets do not fit: virtual time passes them by.
pub struct Executor {
    tasks: Rc<ShardCell<Tasks>>,
    ready: Ready,
    clock: VirtualClock,
}

impl Executor {
    /// An executor whose order of tasks follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let tasks =
            Tasks { tasks: BTreeMap::new(), next: 1, random, polls: 0, last: Owner::default() };
        Self {
            tasks: Rc::new(ShardCell::new(tasks)),
            ready: Ready::default(),
            clock: VirtualClock::new(),
        }
    }

    /// Its time.
    #[must_use]
    pub fn clock(&self) -> VirtualClock {
        self.clock.clone()
    }

    /// Starts tasks of one owner.
    #[must_use]
    pub fn spawner(&self, owner: Owner) -> Spawner {
        Spawner { tasks: Rc::downgrade(&self.tasks), ready: Arc::clone(&self.ready), owner }
    }

    /// Drops all tasks of an owner, in mid-flight: what a killed process does.
    pub fn kill(&self, owner: Owner) {
        let killed: Vec<Task> = self.tasks.with(|tasks| {
            let of_owner = |task: &Task| task.owner == owner;
            let ids: Vec<TaskId> =
                tasks.tasks.iter().filter(|(_, task)| of_owner(task)).map(|(id, _)| *id).collect();
            ids.iter().filter_map(|id| tasks.tasks.remove(id)).collect()
        });
        drop(killed);
    }

    /// Runs until `future` has ended; time passes as needed.
    ///
    /// # Panics
    /// When nothing can happen any more and it has not ended: all tasks wait,
    /// for one another or for something outside, and no alarm is set. When too much
    /// has happened and it has not ended.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.block_on_within(POLLS_MAX, future)
    }

    fn block_on_within<T>(&self, polls_max: u64, future: impl Future<Output = T>) -> T {
        let end = self.polls().saturating_add(polls_max);
        let mut future = pin!(future);
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        loop {
            if flag.0.swap(false, Ordering::Relaxed)
                && let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return value;
            }
            self.check(end);
            if !self.run_one() && !flag.0.load(Ordering::Relaxed) {
                let alarm = self.clock.next_alarm().expect("all tasks wait and no alarm is set");
                self.clock.advance_to(alarm);
            }
        }
    }

    /// Lets everything run for a while of virtual time.
    ///
    /// # Panics
    /// When too much happens in it.
    pub fn run_for(&self, duration: Duration) {
        let end = self.clock.now().time.after(duration);
        self.run_until(end);
    }

    /// Runs what can run, moving the clock up to `end`.
    fn run_until(&self, end: Time) {
        let polls_end = self.polls().saturating_add(POLLS_MAX);
        loop {
            while self.run_one() {
                self.check(polls_end);
            }
            match self.clock.next_alarm().filter(|alarm| *alarm <= end) {
                Some(alarm) => self.clock.advance_to(alarm),
                None => break,
            }
        }
        self.clock.advance_to(end);
        while self.run_one() {
            self.check(polls_end);
        }
    }

    fn polls(&self) -> u64 {
        self.tasks.with(|tasks| tasks.polls)
    }

    fn check(&self, end: u64) {
        self.tasks.with(|tasks| {
            assert!(
                tasks.polls < end,
                "no end at {:?} after {} polls, the last of a task of {:?}; tasks by owner: {:?}",
                self.clock.now().time,
                tasks.polls,
                tasks.last,
                tasks.by_owner()
            );
        });
    }

    /// Polls one runnable task. Returns whether there was one.
    fn run_one(&self) -> bool {
        let Some(id) = self.next_ready() else {
            return false;
        };
        let taken = self.tasks.with(|tasks| {
            let task = tasks.tasks.get_mut(&id)?;
            tasks.polls += 1;
            tasks.last = task.owner;
            Some((Arc::clone(&task.waker), task.future.take()?))
        });
        // Killed meanwhile: nothing to poll.
        let Some((waker, mut future)) = taken else {
            return true;
        };
        waker.is_queued.store(false, Ordering::Relaxed);
        let polled = future.as_mut().poll(&mut Context::from_waker(&Waker::from(waker)));
        let left = self.tasks.with(|tasks| {
            if polled.is_ready() {
                return (Some(future), tasks.tasks.remove(&id));
            }
            match tasks.tasks.get_mut(&id) {
                Some(task) => {
                    task.future = Some(future);
                    (None, None)
                }
                // It was killed from inside of its own poll.
                None => (Some(future), None),
            }
        });
        drop(left);
        true
    }

    fn next_ready(&self) -> Option<TaskId> {
        let mut ready = lock(&self.ready);
        let len = u64::try_from(ready.len()).ok().filter(|len| *len > 0)?;
        let drawn = self.tasks.with(Tasks::draw) % len;
        ready.remove(usize::try_from(drawn).ok()?)
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Tasks {
    fn by_owner(&self) -> BTreeMap<Owner, usize> {
        let mut counts = BTreeMap::new();
        for task in self.tasks.values() {
            *counts.entry(task.owner).or_default() += 1;
        }
        counts
    }

    /// xorshift: enough to vary an order.
    const fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts tasks of one owner on an [`Executor`].
#[derive(Clone)]
pub struct Spawner {
    tasks: Weak<ShardCell<Tasks>>,
    ready: Ready,
    owner: Owner,
}

impl Spawn for Spawner {
    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let Some(tasks) = self.tasks.upgrade() else {
            return;
        };
        let future: BoxedTask = Box::pin(task);
        let (owner, ready) = (self.owner, Arc::clone(&self.ready));
        let waker = tasks.with(|tasks| {
            let id = tasks.next;
            tasks.next += 1;
            let waker = Arc::new(TaskWaker { id, is_queued: AtomicBool::new(false), ready });
            let task = Task { owner, waker: Arc::clone(&waker), future: Some(future) };
            tasks.tasks.insert(id, task);
            waker
        });
        waker.wake();
    }
}

impl std::fmt::Debug for Spawner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spawner").field("owner", &self.owner).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::{pending, poll_fn};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;
    use std::task::Poll;
    use std::time::Duration;

    use super::{Executor, Owner};
    use crate::port::{Clock, Spawn};
    use raftlet_core::Time;

    #[test]
    fn time_passes_only_when_nothing_can_run() {
        let executor = Executor::new(1);
        let clock = executor.clock();
        let seen = Rc::new(RefCell::new(Vec::new()));
        for ms in [20, 10] {
            let (clock, seen) = (clock.clone(), Rc::clone(&seen));
            executor.spawner(Owner(1)).spawn(async move {
                clock.sleep_until(Time::from_ms(ms)).await;
                seen.borrow_mut().push(clock.now().time);
            });
        }
        executor.run_for(Duration::from_millis(15));
        assert_eq!(*seen.borrow(), [Time::from_ms(10)]);
        assert_eq!(clock.now().time, Time::from_ms(15));
        executor.block_on(clock.sleep_until(Time::from_ms(30)));
        assert_eq!(*seen.borrow(), [Time::from_ms(10), Time::from_ms(20)]);
    }

    #[test]
    fn a_killed_owner_runs_no_more_and_its_tasks_are_dropped() {
        let executor = Executor::new(1);
        let alive = Rc::new(Cell::new(0));
        for owner in [Owner(1), Owner(2)] {
            let (clock, alive) = (executor.clock(), Rc::clone(&alive));
            executor.spawner(owner).spawn(async move {
                clock.sleep_until(Time::from_ms(10)).await;
                alive.set(alive.get() + 1);
            });
        }
        executor.run_for(Duration::from_millis(5));
        executor.kill(Owner(1));
        executor.run_for(Duration::from_millis(10));
        assert_eq!((alive.get(), Rc::strong_count(&alive)), (1, 1));
    }

    #[test]
    fn tasks_that_wake_one_another_without_end_are_told_by_their_owner() {
        for rests in [Duration::ZERO, Duration::from_millis(1)] {
            let executor = Executor::new(1);
            let clock = executor.clock();
            executor.spawner(Owner(7)).spawn(async move {
                loop {
                    let next = clock.now().time.after(rests);
                    clock.sleep_until(next).await;
                    yield_now().await;
                }
            });
            let waiting = AssertUnwindSafe(|| executor.block_on_within(1_000, pending::<()>()));
            let told = *catch_unwind(waiting).unwrap_err().downcast::<String>().unwrap();
            assert!(told.contains("after 1000 polls, the last of a task of Owner(7)"), "{told}");
            assert!(told.contains("{Owner(7): 1}"), "{told}");
        }
    }

    async fn yield_now() {
        let mut has_yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut has_yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn the_same_seed_gives_the_same_order_and_another_seed_another() {
        let order = |seed| {
            let executor = Executor::new(seed);
            let seen = Rc::new(RefCell::new(Vec::new()));
            for task in 0..16 {
                let seen = Rc::clone(&seen);
                executor.spawner(Owner(1)).spawn(async move { seen.borrow_mut().push(task) });
            }
            executor.run_for(Duration::ZERO);
            seen.take()
        };
        assert_eq!(order(3), order(3));
        assert_ne!(order(3), order(4));
    }
}
