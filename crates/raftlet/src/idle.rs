//! Whether a shard looks for more before its thread sleeps.
//!
//! Between two messages of one question a node waits for some tens of
//! microseconds. A thread that sleeps through them leaves its core idle; an idle
//! core halts, and to wake it takes as long as what was waited for, in a virtual
//! machine longer. So a shard that turns often goes on looking for a while, and
//! between two looks lets the machine's other threads have its core (D61).
//!
//! Invariants
//! - What is looked at in vain takes at most an eighth of all time.
//! - A shard that turns seldom does not look: an idle group costs nothing.
//! - Where another thread kept the core for long, who is not asleep waits for
//!   it; then nobody looks for 64 times as long as that took.
//! - Nothing is decided here: what a look finds, sleep would have found.
//!
//! Not here: the looks (`shard.rs`).

use std::time::Duration;

use raftlet_core::Time;

/// Who turns more seldom than this sleeps at once.
const SELDOM_NS: u64 = 1_000_000;

/// Of all time, this part may go by in vain.
const VAIN_SHARE: u64 = 8;

/// What is saved of it for later, in windows.
const VAIN_WINDOWS_MAX: u64 = 16;

/// A core lent for longer was not lent to somebody's answer but to a computation.
const OVERRUN_NS: u64 = 500_000;

/// After that it is not lent for so many times as long.
const REST_FACTOR: u64 = 64;

/// What a shard knows of its waits.
#[derive(Debug)]
pub(crate) struct IdlePoll {
    /// How long to look; 0 never does.
    window_ns: u64,
    /// The last turn began.
    turned: Time,
    /// It came soon after the one before.
    is_busy: bool,
    /// How long may be looked in vain, earned as time goes by.
    allowance_ns: u64,
    rests_until: Time,
}

impl IdlePoll {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window_ns: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
            turned: Time::ZERO,
            is_busy: false,
            allowance_ns: 0,
            rests_until: Time::ZERO,
        }
    }

    /// A turn begins.
    pub(crate) fn on_turn(&mut self, now: Time) {
        let since = now.since(self.turned);
        self.turned = now;
        self.is_busy = since <= SELDOM_NS;
        let saved_max_ns = self.window_ns.saturating_mul(VAIN_WINDOWS_MAX);
        let earned_ns = self.allowance_ns.saturating_add(since / VAIN_SHARE);
        self.allowance_ns = earned_ns.min(saved_max_ns);
    }

    /// Whether to look after this turn, or to sleep at once.
    pub(crate) fn may_look(&self) -> bool {
        self.window_ns > 0
            && self.is_busy
            && self.allowance_ns >= self.window_ns
            && self.rests_until <= self.turned
    }

    /// A look that began to look at `begun` found nothing and lent the core to
    /// other threads from `lent` to `now`. Whether to look on.
    pub(crate) fn looks_on(&mut self, begun: Time, lent: Time, now: Time) -> bool {
        let lent_ns = now.since(lent);
        if lent_ns > OVERRUN_NS {
            self.rests_until = now.after_ns(lent_ns.saturating_mul(REST_FACTOR));
        }
        now.since(begun) < self.window_ns
    }

    /// Nothing came while it looked for so long.
    pub(crate) fn on_vain(&mut self, looked_ns: u64) {
        self.allowance_ns = self.allowance_ns.saturating_sub(looked_ns);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::IdlePoll;
    use raftlet_core::Time;

    const WINDOW_US: u64 = 100;

    fn us(us: u64) -> Time {
        Time::from_ns(us * 1_000)
    }

    /// A shard that looks for 100 µs and has turned until then, every so often.
    fn turning(every_us: u64, until_us: u64) -> IdlePoll {
        let mut idle = IdlePoll::new(Duration::from_micros(WINDOW_US));
        (1..=until_us / every_us).for_each(|turn| idle.on_turn(us(turn * every_us)));
        idle
    }

    #[test]
    fn who_turns_often_looks_and_who_turns_seldom_sleeps() {
        assert!(turning(50, 10_000).may_look());
        assert!(turning(1_000, 10_000).may_look());
        assert!(!turning(1_001, 10_010).may_look());
    }

    #[test]
    fn without_a_window_nobody_looks() {
        let mut idle = IdlePoll::new(Duration::ZERO);
        (1..1_000).for_each(|turn| idle.on_turn(us(turn)));
        assert!(!idle.may_look());
    }

    #[test]
    fn what_is_looked_at_in_vain_takes_an_eighth_of_all_time() {
        let mut idle = turning(100, 100_000);
        let (mut now, mut vain) = (100_000, 0);
        while now < 1_100_000 {
            now += 200;
            idle.on_turn(us(now));
            if idle.may_look() {
                idle.on_vain(WINDOW_US * 1_000);
                vain += WINDOW_US;
            }
        }
        // What was saved before is spent as well.
        let saved = 16 * WINDOW_US;
        assert!((125_000..=125_000 + saved).contains(&vain), "{vain} of 1 000 000");
    }

    #[test]
    fn looks_end_with_their_window() {
        let mut idle = turning(100, 10_000);
        assert!(idle.looks_on(us(10_000), us(10_098), us(10_099)));
        assert!(!idle.looks_on(us(10_000), us(10_099), us(10_100)));
    }

    #[test]
    fn looks_that_find_something_cost_nothing_of_what_is_allowed() {
        let mut idle = turning(100, 10_000);
        for turn in 1..1_000 {
            assert!(idle.may_look());
            idle.on_turn(us(10_000 + turn));
        }
    }

    #[test]
    fn a_core_that_came_back_late_is_not_lent_for_64_times_as_long() {
        let mut idle = turning(100, 10_000);
        assert!(!idle.looks_on(us(9_990), us(10_000), us(10_500)), "that took the window");
        idle.on_turn(us(10_500));
        assert!(idle.may_look());
        assert!(!idle.looks_on(us(10_490), us(10_500), us(13_500)), "3 ms of somebody else");
        (13_501..13_600).for_each(|now| idle.on_turn(us(now)));
        assert!(!idle.may_look());
        let rested = 13_500 + 64 * 3_000;
        (rested - 99..rested).for_each(|now| idle.on_turn(us(now)));
        assert!(!idle.may_look());
        idle.on_turn(us(rested));
        assert!(idle.may_look());
    }
}
