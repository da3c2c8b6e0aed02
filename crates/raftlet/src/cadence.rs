//! When proposals go: with which write.
//!
//! A write costs every member about as much whatever it holds, so it pays that
//! those who ask again and again ask together. Two things bring them together
//! (D50): proposals wait for the commit of what went before, where that is known
//! to come soon after the own write's end; and those who were answered then get
//! a moment to ask again before the next write leaves without them.
//!
//! Invariants
//! - Nothing here waits for a time: what waits for a commit could not be
//!   committed before it, and the moment is a bounded number of looks at the
//!   sockets, which ends when nobody comes.
//! - Where commits take longer than writes nothing waits for them: on a long way
//!   between members many batches are under way.
//!
//! Not here: the turn that asks (`shard/turn.rs`), the looks (`shard.rs`).

use crate::timers::Slot;
use raftlet_core::{Index, Time};

/// Who is waited for at most: as many as one group gets in a turn. What a write
/// costs is little among so many.
const GATHERED_LEN_MAX: usize = 256;

/// What a shard knows of its writes, and of those whom it answers.
#[derive(Debug, Default)]
pub(crate) struct Cadence {
    write_began: Time,
    /// What the last write took, in nanoseconds.
    write_ns: u64,
    /// What the last write left uncommitted of a group, and when it ended.
    awaited: Option<(Slot, Index, Time)>,
    /// From the end of a write to the commit of what it held, in nanoseconds.
    lag_ns: u64,
    /// Proposals done since some last left.
    answered: usize,
    /// Proposals that came since the first of those.
    came: usize,
}

impl Cadence {
    pub(crate) const fn on_write_began(&mut self, now: Time) {
        self.write_began = now;
    }

    pub(crate) fn on_write_ended(&mut self, now: Time) {
        self.write_ns = now.since(self.write_began);
        if let Some((_, _, since)) = self.awaited.take() {
            // Overtaken by a whole write.
            self.lag_ns = now.since(since);
        }
    }

    /// A write that has just ended held this last of a group that is led here.
    pub(crate) const fn on_led(&mut self, now: Time, slot: Slot, last: Index) {
        if self.awaited.is_none() {
            self.awaited = Some((slot, last, now));
        }
    }

    /// A group's log is committed so far.
    #[inline]
    pub(crate) fn on_commit(&mut self, now: Time, slot: Slot, committed: Index) {
        if let Some((awaited, last, since)) = self.awaited
            && awaited == slot
            && committed >= last
        {
            self.awaited = None;
            self.lag_ns = now.since(since);
        }
    }

    /// Whether commits follow the ends of writes within another write's time.
    pub(crate) fn commits_soon(&self, now: Time) -> bool {
        let so_far = self.awaited.map_or(0, |(_, _, since)| now.since(since));
        self.lag_ns.max(so_far) <= self.write_ns
    }

    /// Proposals of a group that is led here were done.
    pub(crate) const fn on_answered(&mut self, len: usize) {
        if self.answered == 0 {
            self.came = 0;
        }
        self.answered += len;
    }

    pub(crate) const fn on_proposed(&mut self) {
        self.came += 1;
    }

    /// Some left: the next ones are gathered anew.
    pub(crate) const fn on_left(&mut self) {
        self.answered = 0;
    }

    /// How many came, while more of those who were answered may.
    pub(crate) fn still_to_come(&self) -> Option<usize> {
        (self.came < self.answered.min(GATHERED_LEN_MAX)).then_some(self.came)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cadence, GATHERED_LEN_MAX};
    use raftlet_core::{Index, Time};

    fn us(us: u64) -> Time {
        Time::from_ns(us * 1_000)
    }

    /// A write of 100 µs from 0 on, and the commit of what it held.
    fn committed_after(lag_us: u64) -> Cadence {
        let mut cadence = Cadence::default();
        cadence.on_write_began(us(0));
        cadence.on_write_ended(us(100));
        cadence.on_led(us(100), 3, Index::new(7));
        cadence.on_commit(us(101), 2, Index::new(9));
        cadence.on_commit(us(102), 3, Index::new(6));
        cadence.on_commit(us(100 + lag_us), 3, Index::new(7));
        cadence
    }

    #[test]
    fn commits_are_waited_for_where_they_take_no_longer_than_a_write() {
        assert!(committed_after(100).commits_soon(us(900)));
        assert!(!committed_after(101).commits_soon(us(900)));
    }

    #[test]
    fn a_commit_that_does_not_come_is_waited_for_no_longer_than_a_write_took() {
        let mut cadence = committed_after(10);
        cadence.on_write_began(us(300));
        cadence.on_write_ended(us(400));
        cadence.on_led(us(400), 3, Index::new(8));
        assert!(cadence.commits_soon(us(500)));
        assert!(!cadence.commits_soon(us(501)));
        // The next write ends before it: it was long.
        cadence.on_write_began(us(501));
        cadence.on_write_ended(us(551));
        assert!(!cadence.commits_soon(us(551)));
    }

    #[test]
    fn who_was_answered_is_waited_for_until_as_many_have_come_or_some_left() {
        let mut cadence = Cadence::default();
        cadence.on_proposed();
        assert_eq!(cadence.still_to_come(), None, "nobody was answered");
        cadence.on_answered(1);
        cadence.on_answered(1);
        assert_eq!(cadence.still_to_come(), Some(0));
        cadence.on_proposed();
        assert_eq!(cadence.still_to_come(), Some(1));
        cadence.on_proposed();
        assert_eq!(cadence.still_to_come(), None);
        cadence.on_answered(2);
        cadence.on_left();
        assert_eq!(cadence.still_to_come(), None);
    }

    #[test]
    fn a_write_waits_for_no_more_than_one_turn_takes_of_a_group() {
        let mut cadence = Cadence::default();
        cadence.on_answered(2 * GATHERED_LEN_MAX);
        (1..GATHERED_LEN_MAX).for_each(|_| cadence.on_proposed());
        assert!(cadence.still_to_come().is_some());
        cadence.on_proposed();
        assert_eq!(cadence.still_to_come(), None);
    }
}
