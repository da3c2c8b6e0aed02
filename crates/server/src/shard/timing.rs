//! What one group's machine says of time, where those who wait for it can see
//! it: reads, and the task that proposes entries of time (`expiry.rs`).
//!
//! Invariant: costs one comparison an apply while no key has a deadline.

use std::cell::Cell;

use tokio::sync::Notify;

use crate::process::clock::TokioClock;
use raftlet_kv::Store;

/// What one group's machine says of time, where others can see it.
#[derive(Debug)]
pub(crate) struct Timing {
    clock: TokioClock,
    last: Cell<Last>,
    /// Told when the earliest deadline becomes another.
    changed: Notify,
}

/// As of the last apply.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Last {
    pub(crate) next_deadline_ms: Option<u64>,
    log_time_ms: u64,
    /// When that was, on the node's own clock.
    applied_ms: u64,
    pub(crate) is_seeded: bool,
}

impl Timing {
    pub(crate) fn new(clock: TokioClock) -> Self {
        Self { clock, last: Cell::default(), changed: Notify::new() }
    }

    /// The machine has applied something.
    pub(crate) fn on_applied(&self, store: &Store) {
        let before = self.last.get();
        let next_deadline_ms = store.next_deadline_ms();
        let is_seeded = store.is_seeded();
        if next_deadline_ms.is_none() && before.next_deadline_ms.is_none() && before.is_seeded {
            // Nothing to wait for: the clock needs no look.
            return;
        }
        self.last.set(Last {
            next_deadline_ms,
            log_time_ms: store.log_time_ms(),
            applied_ms: self.elapsed_ms(),
            is_seeded,
        });
        if next_deadline_ms != before.next_deadline_ms || is_seeded != before.is_seeded {
            self.changed.notify_one();
        }
    }

    /// As of the last apply.
    pub(crate) fn last(&self) -> Last {
        self.last.get()
    }

    /// Ends when the earliest deadline becomes another.
    ///
    /// # Cancel safety
    /// Dropping it stops waiting; a change meanwhile is told to the next.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What the leader's clock shows, guessed from the last entry's time and
    /// the monotonic clock since.
    pub(crate) fn guess_ms(&self, last: Last) -> u64 {
        let passed_ms = self.elapsed_ms().saturating_sub(last.applied_ms);
        last.log_time_ms.saturating_add(passed_ms)
    }

    fn elapsed_ms(&self) -> u64 {
        self.clock.elapsed_ns() / 1_000_000
    }
}
