//! Time as an argument (D2).
//!
//! The core never asks for the time: every input brings a [`Now`], and
//! deadlines are results. [`Time`] is monotonic and decides what happens when;
//! [`WallMs`] is the calendar, goes only into entries, and decides nothing
//! about safety or elections (D12).

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// Nanoseconds on the node's monotonic clock, from an origin of its own choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The clock's origin.
    pub const ZERO: Self = Self(0);
    /// Later than everything.
    pub const MAX: Self = Self(u64::MAX);

    /// `ns` nanoseconds after the origin.
    #[must_use]
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// `ms` milliseconds after the origin.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn ns(self) -> u64 {
        self.0
    }

    /// This much later, at most [`Time::MAX`].
    #[must_use]
    pub const fn after_ns(self, ns: u64) -> Self {
        Self(self.0.saturating_add(ns))
    }

    /// This much later, at most [`Time::MAX`].
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        self.after_ns(duration_ns(duration))
    }

    /// Nanoseconds since `earlier`; 0 where the clock went backwards.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}ms", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Nanoseconds of a duration, at most `u64::MAX` (584 years).
#[must_use]
pub(crate) fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Milliseconds since the Unix epoch, as some node's calendar has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallMs(pub u64);

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub time: Time,
    /// The calendar.
    pub wall: WallMs,
}

/// How far the log's time is ahead of the own monotonic clock, as of the last
/// entries that this member took in this run: milliseconds, wrapping.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace(Option<NonZeroU64>);

impl Pace {
    /// The log's time was this just now.
    pub(crate) fn of(log_time_ms: u64, now: Time) -> Self {
        Self(NonZeroU64::new(log_time_ms.wrapping_sub(whole_ms(now))))
    }

    /// What it is now; `None`: no entries were taken yet.
    pub(crate) fn log_time_ms(self, now: Time) -> Option<u64> {
        Some(self.0?.get().wrapping_add(whole_ms(now)))
    }
}

fn whole_ms(time: Time) -> u64 {
    time.ns() / 1_000_000
}
