//! Many seeds on several threads.
//!
//! Threads share nothing but the next seed and the list of outcomes; what is
//! reported is sorted by seed, so the number of threads does not show.

use std::io::{self, Write as _};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use raftlet_sim::core_tier::{self, Limits, Outcome, Violation};
use raftlet_sim::tally::Tally;

/// A seed that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) step: u64,
    pub(crate) violation: Violation,
}

/// What a range of seeds came to.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) seeds: Range<u64>,
    pub(crate) runs: u64,
    pub(crate) steps: u64,
    pub(crate) wall: Duration,
    pub(crate) failures: Vec<Failure>,
    pub(crate) tally: Tally,
    /// Of all runs, whatever their order.
    pub(crate) trace_digest: u64,
    pub(crate) jobs: usize,
}

/// Failures after which a batch stops: more seldom tell more.
const FAILURES_MAX: usize = 8;
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

impl Batch {
    pub(crate) fn run(arguments: &Arguments, seeds: Range<u64>) -> Self {
        let failures_max = if arguments.mutant.is_some() { 1 } else { FAILURES_MAX };
        let started = now();
        let mut batch = Self {
            seeds: seeds.clone(),
            runs: 0,
            steps: 0,
            wall: Duration::ZERO,
            failures: Vec::new(),
            tally: Tally::default(),
            trace_digest: 0,
            jobs: arguments.jobs,
        };
        let shared = Shared {
            next: AtomicU64::new(seeds.start),
            end: seeds.end,
            failed: AtomicUsize::new(0),
            failures_max,
            limits: Limits { steps: arguments.steps, tells: false },
        };
        let (send, outcomes) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..arguments.jobs {
                let send = send.clone();
                let shared = &shared;
                scope.spawn(move || shared.work(&send));
            }
            drop(send);
            let mut told = started;
            for outcome in outcomes {
                batch.take(outcome);
                if told.elapsed() >= PROGRESS_EVERY {
                    told = now();
                    batch.tell_progress(started.elapsed());
                }
            }
        });
        batch.wall = started.elapsed();
        batch.failures.sort_by_key(|failure| failure.seed);
        batch
    }

    fn take(&mut self, outcome: Outcome) {
        self.runs += 1;
        self.steps += outcome.steps;
        self.tally += outcome.tally;
        self.trace_digest ^= outcome.trace_digest;
        if let Some(violation) = outcome.violation {
            self.failures.push(Failure { seed: outcome.seed, step: outcome.steps, violation });
        }
    }

    fn tell_progress(&self, passed: Duration) {
        let of = self.seeds.end - self.seeds.start;
        let (runs, failed) = (self.runs, self.failures.len());
        let seconds = passed.as_secs();
        // Progress that nobody can read is no reason to stop.
        let _ = writeln!(
            io::stderr(),
            "{runs} of {of} seeds, {} steps, {seconds} s, {failed} failed",
            self.steps
        );
    }

    pub(crate) fn steps_per_s(&self) -> u64 {
        let us = u64::try_from(self.wall.as_micros()).unwrap_or(u64::MAX).max(1);
        self.steps.saturating_mul(1_000_000) / us
    }
}

/// What the threads of a batch share.
struct Shared {
    next: AtomicU64,
    end: u64,
    failed: AtomicUsize,
    failures_max: usize,
    limits: Limits,
}

impl Shared {
    /// Runs seeds until there are none, or enough have failed. The thread that
    /// saw a failure counts it before it takes another seed, so that one
    /// thread stops exactly there.
    fn work(&self, send: &mpsc::Sender<Outcome>) {
        while self.failed.load(Ordering::Relaxed) < self.failures_max {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.end {
                return;
            }
            let outcome = core_tier::run(seed, self.limits);
            if outcome.violation.is_some() {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            if send.send(outcome).is_err() {
                return;
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how fast runs are is told to people; nothing in a run sees it"
)]
fn now() -> Instant {
    Instant::now()
}
