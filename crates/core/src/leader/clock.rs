//! The log's time (D12).
//!
//! A leader stamps entries with a time of its own making. It goes on from the
//! log's time as this member last heard of it, moves with the monotonic clock,
//! and leans towards the calendar by at most a tenth of the time that passes.
//! Where its own calendar is far from the log's time, a quorum's calendars,
//! carried in acks, stand in for it: neither one calendar that is ahead nor one
//! that is behind moves anything. A large gap forward is jumped, if a quorum's
//! calendars have passed it.
//!
//! What is stamped before a jump lives shorter by the jump. After an outage of
//! everybody the gap is known to be there from the start, so a new leader
//! *settles* first: it takes no command before a quorum has told its calendars
//! along with the acks of the no-op.
//!
//! Invariants
//! - Stamps never fall, not even when calendars do.

use crate::ids::NodeId;
use crate::quorum;
use crate::state::State;
use crate::time::{Now, Time, WallMs};

/// A calendar farther than this from the log's time is believed only if a
/// quorum's agree; a gap to those is jumped, not leant over.
const JUMP_MS: u64 = 1_000;

/// Makes stamps for one leadership.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogClock {
    ms: u64,
    at: Time,
    /// Milliseconds that passed without a whole one to lean by; below ten.
    unleant_ms: u8,
    /// The time may yet jump for an outage that is over.
    is_settling: bool,
}

impl LogClock {
    /// Goes on from where the log's time is, as far as this member can know.
    pub(crate) fn new(state: &State) -> Self {
        let Now { time, wall } = state.now;
        let stamped_ms = state.log.last_log_time_ms();
        let paced_ms = state.pace.log_time_ms(time);
        let ms = stamped_ms.max(paced_ms.unwrap_or_default());
        let gap_ms = wall.0.saturating_sub(ms);
        let is_settling = if paced_ms.is_some() { gap_ms > JUMP_MS } else { gap_ms > 0 };
        Self { ms, at: time, unleant_ms: 0, is_settling }
    }

    /// Whether a quorum's calendars may yet move the time by a jump.
    pub(crate) fn is_settling(&self) -> bool {
        self.is_settling
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
        let leanable_ms = passed_ms.saturating_add(u64::from(self.unleant_ms));
        let lean = leanable_ms / 10;
        self.unleant_ms = (leanable_ms % 10) as u8;
        let even = self.ms.saturating_add(passed_ms);
        let mut target = now.wall.0;
        if self.is_settling || target.abs_diff(even) > JUMP_MS {
            target = self.confirmed(state, even, now, wall_of);
        }
        let leant = target.clamp(even.saturating_sub(lean), even.saturating_add(lean));
        self.ms = self.ms.max(leant);
        self.ms
    }

    /// What a quorum's calendars have passed, jumped to where that is due; the
    /// time as it is where too few are known.
    #[cold]
    fn confirmed(
        &mut self,
        state: &State,
        even: u64,
        now: Now,
        wall_of: impl Fn(NodeId) -> Option<WallMs>,
    ) -> u64 {
        let own = state.seat.node;
        let WallMs(confirmed) = quorum::reached(state.configuration(), |member| {
            if member.node == own { now.wall } else { wall_of(member.node).unwrap_or_default() }
        });
        if confirmed == 0 {
            return even;
        }
        let jumps_from_ms = if self.is_settling { 0 } else { JUMP_MS };
        self.is_settling = false;
        if confirmed.saturating_sub(even) > jumps_from_ms {
            self.ms = confirmed;
        }
        confirmed
    }
}
