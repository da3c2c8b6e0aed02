//! Whether a shard looks for more before its thread sleeps.
//!
//! Between two messages of one question a node waits for some tens of
//! microseconds. A thread that sleeps through them leaves its core idle; an idle
//! core halts, and to wake it takes as long as what was waited for, in a virtual
//! machine longer. So a shard that expects a short wait goes on looking for a
//! while, and between two looks lets the machine's other threads have its core
//! (D61).
//!
//! What it expects is what came before: after a voter's answer a leader waits for
//! its client, who may come in a moment or in a second, and always does the same;
//! after the client it waits for the voter. So it remembers of each course of
//! short and long waits how it went on, as a processor does of branches (D64).
//!
//! Invariants
//! - What is looked at in vain takes at most an eighth of all time.
//! - Who always waits long does not look: an idle group costs nothing.
//! - Where another thread kept the core for long, who is not asleep waits for
//!   it; then nobody looks for 64 times as long as that took.
//! - Nothing is decided here: what a look finds, sleep would have found.
//!
//! Not here: the looks (`shard.rs`).

use std::time::Duration;

use raftlet_core::Time;

/// Of all time, this part may go by in vain.
const VAIN_SHARE: u64 = 8;

/// What is saved of it for later, in windows.
const VAIN_WINDOWS_MAX: u64 = 16;

/// A core lent for longer was not lent to somebody's answer but to a computation.
const OVERRUN_NS: u64 = 500_000;

/// After that it is not lent for so many times as long.
const REST_FACTOR: u64 = 64;

/// Waits that make up a course: a request of one client is two or three.
const COURSE_LEN: u32 = 4;
const COURSES: usize = 1 << COURSE_LEN;

/// How sure one may be that a wait is short; half of it and more is enough to look.
const SURE: u8 = 3;

/// What a shard knows of its waits.
#[derive(Debug)]
pub(crate) struct IdlePoll {
    /// How long to look; 0 never does.
    window_ns: u64,
    /// The last turn began.
    turned: Time,
    /// It waits for the next one since, if it does.
    waits_since: Option<Time>,
    /// How long may be looked in vain, earned as time goes by.
    allowance_ns: u64,
    rests_until: Time,
    courses: Courses,
}

/// How waits went on that began after the same course of short and long ones,
/// whether anybody looked or not: what a processor knows of a branch.
#[derive(Debug)]
struct Courses {
    /// The last waits, a bit each: 1 for a short one.
    last: usize,
    /// After each course, how sure it is that a short one comes.
    sure: [u8; COURSES],
}

impl Courses {
    const fn new() -> Self {
        Self { last: 0, sure: [SURE.div_ceil(2); COURSES] }
    }

    fn note(&mut self, is_short: bool) {
        if let Some(sure) = self.sure.get_mut(self.last) {
            *sure = if is_short { (*sure + 1).min(SURE) } else { sure.saturating_sub(1) };
        }
        self.last = ((self.last << 1) | usize::from(is_short)) % COURSES;
    }

    fn expects_short(&self) -> bool {
        self.sure.get(self.last).is_some_and(|sure| *sure >= SURE.div_ceil(2))
    }
}

impl IdlePoll {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window_ns: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
            turned: Time::ZERO,
            waits_since: None,
            allowance_ns: 0,
            rests_until: Time::ZERO,
            courses: Courses::new(),
        }
    }

    /// A turn begins.
    pub(crate) fn on_turn(&mut self, now: Time) {
        let since = now.since(self.turned);
        self.turned = now;
        if let Some(began) = self.waits_since.take() {
            // What it takes to wake up is in it as well.
            self.courses.note(now.since(began) <= self.window_ns.saturating_mul(2));
        }
        let saved_max_ns = self.window_ns.saturating_mul(VAIN_WINDOWS_MAX);
        let earned_ns = self.allowance_ns.saturating_add(since / VAIN_SHARE);
        self.allowance_ns = earned_ns.min(saved_max_ns);
    }

    /// Whether a shard looks at all.
    pub(crate) const fn is_on(&self) -> bool {
        self.window_ns > 0
    }

    /// Nothing is to be done and no write under way. Whether to look, or to sleep
    /// at once.
    pub(crate) fn on_wait(&mut self, now: Time) -> bool {
        self.waits_since = Some(now);
        self.allowance_ns >= self.window_ns
            && self.rests_until <= now
            && self.courses.expects_short()
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

    /// A shard that looks for 100 µs, and the time.
    struct Shard {
        idle: IdlePoll,
        now_us: u64,
    }

    impl Shard {
        fn new() -> Self {
            Self { idle: IdlePoll::new(Duration::from_micros(WINDOW_US)), now_us: 0 }
        }

        /// Waits that long, asleep or looking; whether it looked.
        fn waits(&mut self, us_long: u64) -> bool {
            let looks = self.idle.on_wait(us(self.now_us));
            if looks && us_long > WINDOW_US {
                self.idle.on_vain(WINDOW_US * 1_000);
            }
            self.now_us += us_long;
            self.idle.on_turn(us(self.now_us));
            looks
        }

        /// After a second of waits that long each.
        fn used_to(us_long: u64) -> Self {
            let mut shard = Self::new();
            for _ in 0..1_000_000 / us_long {
                shard.waits(us_long);
            }
            shard
        }
    }

    #[test]
    fn who_waits_shortly_looks_and_who_waits_long_sleeps() {
        assert!(Shard::used_to(50).waits(50));
        assert!(!Shard::used_to(300).waits(50));
        assert!(!Shard::used_to(100_000).waits(50), "an idle group");
    }

    #[test]
    fn a_wake_up_from_sleep_does_not_make_a_short_wait_long() {
        assert!(Shard::used_to(2 * WINDOW_US).waits(50));
    }

    #[test]
    fn without_a_window_nobody_looks() {
        assert!(!IdlePoll::new(Duration::ZERO).is_on());
    }

    #[test]
    fn of_a_client_that_rests_between_its_requests_only_the_waits_for_voters_are_looked_through() {
        let mut shard = Shard::new();
        let mut request = || (shard.waits(40), shard.waits(960));
        for _ in 0..100 {
            request();
        }
        assert!((0..100).all(|_| request() == (true, false)));
    }

    #[test]
    fn who_waits_long_at_times_looks_before_all_others() {
        let mut shard = Shard::new();
        let mut round = || [30, 40, 50, 900].map(|us_long| shard.waits(us_long));
        for _ in 0..100 {
            round();
        }
        assert!((0..100).all(|_| round() == [true, true, true, false]));
    }

    #[test]
    fn habits_change() {
        let mut shard = Shard::used_to(1_000);
        assert!(!shard.waits(50));
        for _ in 0..20 {
            shard.waits(50);
        }
        assert!(shard.waits(50));
        for _ in 0..10 {
            shard.waits(1_000);
        }
        assert!(!shard.waits(1_000));
    }

    #[test]
    fn what_is_looked_at_in_vain_takes_an_eighth_of_all_time_whatever_is_expected() {
        let mut shard = Shard::used_to(150);
        let (begin_us, mut vain_us) = (shard.now_us, 0);
        while shard.now_us < begin_us + 1_000_000 {
            vain_us += u64::from(shard.waits(150)) * WINDOW_US;
        }
        assert!((120_000..=126_000).contains(&vain_us), "{vain_us} of 1 000 000");
    }

    #[test]
    fn looks_end_with_their_window() {
        let mut shard = Shard::used_to(50);
        let begun = shard.now_us;
        assert!(shard.idle.looks_on(us(begun), us(begun + 98), us(begun + 99)));
        assert!(!shard.idle.looks_on(us(begun), us(begun + 99), us(begun + 100)));
    }

    #[test]
    fn a_core_that_came_back_late_is_not_lent_for_64_times_as_long() {
        let mut shard = Shard::used_to(50);
        let lent = shard.now_us;
        assert!(!shard.idle.looks_on(us(lent - 10), us(lent), us(lent + 500)), "the window");
        assert!(shard.waits(50));
        let lent = shard.now_us;
        assert!(!shard.idle.looks_on(us(lent - 10), us(lent), us(lent + 3_000)), "somebody else");
        let rests_until = lent + 3_000 + 64 * 3_000;
        while shard.now_us < rests_until {
            assert!(!shard.waits(50));
        }
        assert!(shard.waits(50));
    }
}
