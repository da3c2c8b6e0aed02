//! What time it is, and where.
//!
//! The world has one true time in nanoseconds that nobody sees. Each run of a
//! member has a monotonic clock with an origin and a rate of its own, and a
//! calendar that may jump.

use crate::random::Random;
use raftlet::core::{Now, Time, WallMs};

/// The rate of an honest clock, per thousand.
pub(crate) const HONEST: (u64, u64) = (1_000, 1_000);

/// A member's clocks during one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// True time at which this clock started.
    started: u64,
    /// What it showed then.
    origin: u64,
    /// Nanoseconds it shows per thousand true ones.
    rate: u64,
    /// Milliseconds that its calendar is ahead of the truth, or behind.
    calendar: i64,
}

impl Clock {
    /// One that starts now, at a rate between these, per thousand.
    pub(crate) fn start(random: &mut Random, true_ns: u64, rates: (u64, u64)) -> Self {
        // The ends of the range break most: they come in half of the cases.
        let rate = match random.below(4) {
            0 => rates.0,
            1 => rates.1,
            _ => random.between(rates.0, rates.1),
        };
        let mut clock = Self { started: true_ns, origin: random.below(1 << 40), rate, calendar: 0 };
        clock.jump(random);
        clock
    }

    /// Goes on at the true rate.
    pub(crate) fn become_honest(&mut self, true_ns: u64) {
        self.go_on_at(true_ns, HONEST.0);
    }

    /// Goes on at another rate, per thousand.
    pub(crate) fn go_on_at(&mut self, true_ns: u64, rate: u64) {
        self.origin = self.now(true_ns).time.ns();
        self.started = true_ns;
        self.rate = rate;
    }

    /// The calendar jumps, by up to a day.
    pub(crate) fn jump(&mut self, random: &mut Random) {
        const DAY_MS: u64 = 86_400_000;
        let jump = i64::try_from(random.octaves(1, DAY_MS)).expect("a day");
        self.calendar = if random.coin() { jump } else { -jump };
    }

    pub(crate) fn now(&self, true_ns: u64) -> Now {
        let passed = scaled(true_ns - self.started, self.rate, 1_000);
        let true_ms = CALENDAR_START_MS + true_ns / 1_000_000;
        Now {
            time: Time::from_ns(self.origin + passed),
            wall: WallMs(true_ms.saturating_add_signed(self.calendar)),
        }
    }

    /// The first true time at which this clock shows `time` or more.
    pub(crate) fn when(&self, time: Time) -> u64 {
        let ahead = time.since(Time::from_ns(self.origin));
        self.started.saturating_add(scaled(ahead, 1_000, self.rate).saturating_add(1))
    }
}

fn scaled(ns: u64, by: u64, over: u64) -> u64 {
    let wide = u128::from(ns) * u128::from(by) / u128::from(over);
    u64::try_from(wide).unwrap_or(u64::MAX)
}

/// 2026-01-01, in milliseconds since 1970.
const CALENDAR_START_MS: u64 = 1_767_225_600_000;

#[cfg(test)]
mod tests {
    use super::{Clock, HONEST};
    use crate::random::Random;
    use raftlet::core::Time;

    #[test]
    fn a_clock_shows_a_time_at_the_true_time_it_named_for_it() {
        let mut random = Random::new(3, 3);
        for _ in 0..1_000 {
            let start = random.below(1 << 40);
            let clock = Clock::start(&mut random, start, (500, 2_000));
            let wanted = clock.now(start).time.after_ns(random.below(1 << 40));
            let when = clock.when(wanted);
            assert!(clock.now(when).time >= wanted);
            assert!(clock.now(when - 4).time <= wanted || when - 4 < start);
        }
        let honest = Clock::start(&mut random, 5, HONEST);
        assert_eq!(honest.when(Time::ZERO), 6);
    }
}
