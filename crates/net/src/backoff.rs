//! When to dial again. Pure.
//!
//! The first retry is immediate: its refusal is what tells that a process is
//! gone (D7). Then delays double up to a limit, each drawn from its upper half,
//! so that nodes do not dial in step.

use std::time::Duration;

use crate::random::Random;

/// The delays of one peer.
#[derive(Debug)]
pub(crate) struct Backoff {
    random: Random,
    min: Duration,
    max: Duration,
    next: Option<Duration>,
}

impl Backoff {
    pub(crate) const fn new(seed: u64, min: Duration, max: Duration) -> Self {
        Self { random: Random::new(seed), min, max, next: None }
    }

    /// The next attempt is worth making at once.
    pub(crate) const fn reset(&mut self) {
        self.next = None;
    }

    /// How long to wait before the next attempt.
    pub(crate) fn delay(&mut self) -> Duration {
        let Some(full) = self.next else {
            self.next = Some(self.min);
            return Duration::ZERO;
        };
        self.next = Some(full.saturating_mul(2).min(self.max));
        let half = full / 2;
        let jitter_ns = self.random.below(u64::try_from(half.as_nanos()).unwrap_or(u64::MAX));
        half + Duration::from_nanos(jitter_ns)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn the_first_retry_is_immediate_and_later_ones_double_within_bounds() {
        let (min, max) = (Duration::from_millis(50), Duration::from_millis(300));
        let mut backoff = Backoff::new(1, min, max);
        for _ in 0..2 {
            assert_eq!(backoff.delay(), Duration::ZERO);
            for full in [50, 100, 200, 300, 300] {
                let full = Duration::from_millis(full);
                let delay = backoff.delay();
                assert!(delay >= full / 2 && delay < full, "{delay:?} of {full:?}");
            }
            backoff.reset();
        }
    }

    #[test]
    fn two_seeds_do_not_dial_in_step() {
        let bounds = (Duration::from_millis(50), Duration::from_secs(1));
        let delays = |seed| {
            let mut backoff = Backoff::new(seed, bounds.0, bounds.1);
            (0..8).map(|_| backoff.delay()).collect::<Vec<_>>()
        };
        assert_ne!(delays(1), delays(2));
        assert_eq!(delays(1), delays(1));
    }
}
