//! The log's time (D12).
//!
//! A leader stamps entries with a time of its own making: from the log time at
//! its election it moves with the monotonic clock and leans towards the
//! calendar by at most a tenth of the time that passes. A wrong calendar of
//! one leader thus cannot expire the world. A larger gap is jumped only when a
//! quorum's calendars, carried in acks, have passed it.
//!
//! Invariants
//! - Stamps never fall, not even when calendars do.

use crate::ids::NodeId;
use crate::quorum;
use crate::state::State;
use crate::time::{Now, Time, WallMs};

/// A gap to the calendar above this is jumped, if confirmed, not leant over.
const JUMP_MS: u64 = 1_000;

/// Makes stamps for one leadership.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogClock {
    ms: u64,
    at: Time,
    /// Milliseconds that passed without a whole one to lean by; below ten.
    unleant_ms: u64,
}

impl LogClock {
    pub(crate) fn new(log_time_ms: u64, now: Time) -> Self {
        Self { ms: log_time_ms, at: now, unleant_ms: 0 }
    }

    /// The stamp for entries made at `now`. `wall_of` estimates the calendar
    /// of another member, where known.
    pub(crate) fn stamp(
        &mut self,
        state: &State,
        now: Now,
        wall_of: impl Fn(NodeId) -> Option<WallMs>,
    ) -> u64 {
        let passed_ms = now.time.since(self.at) / 1_000_000;
        self.at = self.at.after_ns(passed_ms * 1_000_000);
        // Stamps may come every millisecond: what is too little to lean by adds up.
        let leanable_ms = passed_ms.saturating_add(self.unleant_ms);
        let lean = leanable_ms / 10;
        self.unleant_ms = leanable_ms % 10;
        let even = self.ms.saturating_add(passed_ms);
        let leant = now.wall.0.clamp(even.saturating_sub(lean), even.saturating_add(lean));
        self.ms = self.ms.max(leant);
        if now.wall.0.saturating_sub(self.ms) > JUMP_MS {
            let own = state.seat.node;
            let confirmed = quorum::reached(state.configuration(), |member| {
                if member.node == own { now.wall } else { wall_of(member.node).unwrap_or_default() }
            });
            let target = confirmed.0.min(now.wall.0);
            if target.saturating_sub(self.ms) > JUMP_MS {
                self.ms = target;
            }
        }
        self.ms
    }
}
