//! How a node did lately: one sample a second, for five minutes.
//!
//! The dashboard draws it, also of the time before somebody looked. A sample
//! is what changed between two readings of the counters.
//!
//! Invariant: at most [`SAMPLES_MAX`] samples are kept (rule 42).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use raftlet::Histogram;

/// Between two samples.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Five minutes: what an operator wants to have seen when the phone rings.
const SAMPLES_MAX: usize = 300;

/// Counters at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Nanoseconds since this run began.
    pub(crate) at_ns: u64,
    pub(crate) requests: u64,
    pub(crate) flushes: u64,
    pub(crate) proposal_times: Histogram,
    pub(crate) write_times: Histogram,
    /// Now, not a counter.
    pub(crate) proposals_pending: usize,
}

/// A second of a node's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sample {
    /// Its number in this run, from 1.
    pub(crate) number: u64,
    pub(crate) requests_per_s: u64,
    pub(crate) flushes_per_s: u64,
    /// Half of the writes took at most as long, microseconds; absent without
    /// any.
    pub(crate) write_p50_us: Option<u64>,
    pub(crate) write_p99_us: Option<u64>,
    /// The same of the log's flushes.
    pub(crate) flush_p50_us: Option<u64>,
    pub(crate) flush_p99_us: Option<u64>,
    pub(crate) proposals_pending: usize,
}

/// The samples.
#[derive(Debug, Default)]
pub(crate) struct History(RefCell<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last: Reading,
    samples: VecDeque<Sample>,
}

impl History {
    /// One more second has passed.
    pub(crate) fn push(&self, reading: Reading) {
        let mut inner = self.0.borrow_mut();
        let number = inner.samples.back().map_or(1, |last| last.number + 1);
        let sample = Sample { number, ..sample(&inner.last, &reading) };
        if inner.samples.len() >= SAMPLES_MAX {
            inner.samples.pop_front();
        }
        inner.samples.push_back(sample);
        inner.last = reading;
    }

    /// The last `len` samples, oldest first.
    pub(crate) fn last(&self, len: usize) -> Vec<Sample> {
        let inner = self.0.borrow();
        let skipped = inner.samples.len().saturating_sub(len);
        inner.samples.iter().skip(skipped).copied().collect()
    }
}

fn sample(before: &Reading, now: &Reading) -> Sample {
    let ns = u128::from(now.at_ns.saturating_sub(before.at_ns).max(1));
    let per_s = |before: u64, now: u64| {
        let rate = u128::from(now.saturating_sub(before)) * 1_000_000_000 / ns;
        u64::try_from(rate).unwrap_or(u64::MAX)
    };
    let writes = now.proposal_times.since(&before.proposal_times);
    let flushes = now.write_times.since(&before.write_times);
    Sample {
        number: 0,
        requests_per_s: per_s(before.requests, now.requests),
        flushes_per_s: per_s(before.flushes, now.flushes),
        write_p50_us: writes.quantile_us(50),
        write_p99_us: writes.quantile_us(99),
        flush_p50_us: flushes.quantile_us(50),
        flush_p99_us: flushes.quantile_us(99),
        proposals_pending: now.proposals_pending,
    }
}

#[cfg(test)]
mod tests {
    use super::{History, Reading, SAMPLES_MAX};

    #[test]
    fn a_sample_is_what_changed() {
        let history = History::default();
        let first = Reading { at_ns: 1_000_000_000, requests: 10, ..Reading::default() };
        history.push(first);
        let mut second = Reading { at_ns: 3_000_000_000, requests: 30, flushes: 4, ..first };
        second.write_times.observe(200_000);
        history.push(second);
        let samples = history.last(2);
        assert_eq!((samples[0].requests_per_s, samples[0].flush_p50_us), (10, None));
        assert_eq!((samples[1].requests_per_s, samples[1].flushes_per_s), (10, 2));
        assert!(samples[1].flush_p99_us.is_some_and(|us| (100..=250).contains(&us)));
        assert_eq!(samples[1].write_p99_us, None);
    }

    #[test]
    fn old_samples_go() {
        let history = History::default();
        for second in 0..1_000 {
            history.push(Reading { at_ns: second, ..Reading::default() });
        }
        let samples = history.last(usize::MAX);
        assert_eq!(samples.len(), SAMPLES_MAX);
        assert_eq!(samples.last().unwrap().number, 1_000);
        assert_eq!(history.last(1), samples[SAMPLES_MAX - 1..]);
    }
}
