//! Time that passes when it is told to.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::cell::ShardCell;
use crate::port::Clock;
use raftlet_core::{Now, Time, WallMs};

/// What the calendar says when the clock starts: 2026-01-01.
const WALL_MS_AT_START: u64 = 1_767_225_600_000;

#[derive(Debug, Default)]
struct Timeline {
    now: Time,
    sleepers: BTreeMap<(Time, u64), Waker>,
    next_sleeper: u64,
}

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock(Rc<ShardCell<Timeline>>);

impl VirtualClock {
    /// A clock at its origin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When the next sleeper wakes; `None` when nobody sleeps.
    #[must_use]
    pub fn next_alarm(&self) -> Option<Time> {
        self.0.with(|line| line.sleepers.first_key_value().map(|((time, _), _)| *time))
    }

    /// Moves the clock on to `time`, not back, and wakes who slept until then.
    pub fn advance_to(&self, time: Time) {
        let woken = self.0.with(|line| {
            line.now = line.now.max(time);
            let later = line.sleepers.split_off(&(line.now.after_ns(1), 0));
            std::mem::replace(&mut line.sleepers, later)
        });
        for waker in woken.into_values() {
            waker.wake();
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Now {
        let time = self.0.with(|line| line.now);
        Now { time, wall: WallMs(WALL_MS_AT_START + time.ns() / 1_000_000) }
    }

    fn sleep_until(&self, deadline: Time) -> impl Future<Output = ()> {
        Sleep { clock: self.clone(), deadline, sleeper: None }
    }
}

/// Waits for a moment of a [`VirtualClock`].
#[derive(Debug)]
pub struct Sleep {
    clock: VirtualClock,
    deadline: Time,
    sleeper: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let (deadline, sleeper) = (self.deadline, self.sleeper);
        let (is_over, sleeper, former) = self.clock.0.with(|line| {
            if line.now >= deadline {
                return (true, sleeper, Some(waker));
            }
            let id = sleeper.unwrap_or_else(|| {
                line.next_sleeper += 1;
                line.next_sleeper
            });
            (false, Some(id), line.sleepers.insert((deadline, id), waker))
        });
        drop(former);
        self.sleeper = sleeper;
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.sleeper {
            let deadline = self.deadline;
            let waker = self.clock.0.with(|line| line.sleepers.remove(&(deadline, id)));
            drop(waker);
        }
    }
}
