//! Deadlines of tens of thousands of groups.
//!
//! A heap of (time, slot) that is corrected lazily: a deadline that moves
//! later costs nothing until the earlier moment comes, and only then is asked
//! what the deadline is by now. A group without deadline is not in it at all,
//! so an idle group costs nothing (D2).
//!
//! Invariants
//! - A group with a deadline has an entry at or before it.
//! - Entries that no longer count are at most as many as groups, and 64.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use raftlet_core::Time;

/// Where a shard keeps a group.
pub(crate) type Slot = usize;

/// The deadlines of one shard.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Time, Slot)>>,
    /// By slot: the entry that counts.
    armed: Vec<Option<Time>>,
}

impl Timers {
    /// Makes sure that `slot` is due no later than at `deadline`.
    pub(crate) fn arm(&mut self, slot: Slot, deadline: Option<Time>) {
        let Some(deadline) = deadline else {
            return;
        };
        if self.armed.len() <= slot {
            self.armed.resize(slot + 1, None);
        }
        let Some(armed) = self.armed.get_mut(slot) else {
            return;
        };
        if armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        *armed = Some(deadline);
        self.heap.push(Reverse((deadline, slot)));
        if self.heap.len() > 2 * self.armed.len() + 64 {
            self.sweep();
        }
    }

    /// The next moment at which something may be due.
    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((time, _))| *time)
    }

    /// Removes and returns a slot whose moment has come. What it waits for may
    /// lie later by now: ask, and arm again.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<Slot> {
        loop {
            let Reverse((time, slot)) = *self.heap.peek()?;
            if time > now {
                return None;
            }
            self.heap.pop();
            let armed = self.armed.get_mut(slot)?;
            if *armed == Some(time) {
                *armed = None;
                return Some(slot);
            }
        }
    }

    /// Keeps only the entries that count, each once.
    fn sweep(&mut self) {
        self.heap.clear();
        let armed = self.armed.iter().enumerate();
        let counting = armed.filter_map(|(slot, armed)| armed.map(|time| Reverse((time, slot))));
        self.heap.extend(counting);
    }
}

#[cfg(test)]
mod tests {
    use super::Timers;
    use raftlet_core::Time;

    fn ms(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    #[test]
    fn slots_come_due_in_the_order_of_their_deadlines() {
        let mut timers = Timers::default();
        timers.arm(2, Some(ms(30)));
        timers.arm(0, Some(ms(10)));
        timers.arm(1, None);
        assert_eq!(timers.next(), Some(ms(10)));
        assert_eq!(timers.take_due(ms(9)), None);
        assert_eq!(timers.take_due(ms(40)), Some(0));
        assert_eq!(timers.take_due(ms(40)), Some(2));
        assert_eq!((timers.take_due(ms(40)), timers.next()), (None, None));
    }

    #[test]
    fn an_earlier_deadline_replaces_and_a_later_one_waits_for_the_earlier() {
        let mut timers = Timers::default();
        timers.arm(0, Some(ms(30)));
        timers.arm(0, Some(ms(10)));
        timers.arm(0, Some(ms(20)));
        assert_eq!(timers.take_due(ms(10)), Some(0));
        timers.arm(0, Some(ms(50)));
        assert_eq!(timers.take_due(ms(30)), None, "the old entry does not count");
        assert_eq!(timers.take_due(ms(50)), Some(0));
    }

    #[test]
    fn entries_that_no_longer_count_stay_bounded() {
        let mut timers = Timers::default();
        for step in 0..10_000 {
            timers.arm(step % 7, Some(ms(1_000_000 - u64::try_from(step).unwrap())));
            assert!(timers.heap.len() <= 2 * 7 + 64);
        }
        assert_eq!(timers.take_due(ms(1_000_000)), Some(9_999 % 7));
    }

    #[test]
    fn a_far_deadline_armed_again_and_again_stays_bounded() {
        let mut timers = Timers::default();
        for step in 0..10_000 {
            timers.arm(0, Some(ms(1_000_000)));
            timers.arm(0, Some(ms(step)));
            assert_eq!(timers.take_due(ms(step)), Some(0));
            assert!(timers.heap.len() <= 2 + 64);
        }
    }
}
