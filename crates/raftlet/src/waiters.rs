//! Proposals that this member appended as leader and that wait to be applied.
//!
//! Invariants
//! - All of them are of one term, in index order: none is proposed in a later
//!   term while one of an earlier is undecided (`member.rs`), so that a
//!   member's proposals take effect in the order they were made.
//! - Truncation decides nothing: an entry that is gone here may live elsewhere
//!   and come back. Only what was *applied* decides: the entry itself is done,
//!   an entry of a higher term proves all that are left dead (§3.6.1).
//!
//! Not here: forwarded proposals (`forward.rs`).

use std::collections::VecDeque;

use crate::proposal::{Proposal, move_first};
use raftlet_core::{Index, LogId, Term, Time, mutants};

/// The proposals that wait, in index order.
#[derive(Debug)]
pub(crate) struct Waiters<R> {
    term: Term,
    queue: VecDeque<Proposal<R>>,
}

impl<R> Waiters<R> {
    pub(crate) const fn new() -> Self {
        Self { term: Term::ZERO, queue: VecDeque::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether proposals of `term` may be added.
    pub(crate) fn accept(&self, term: Term) -> bool {
        self.queue.is_empty() || self.term == term
    }

    /// Adds the first `len` of `from`, which were appended as `first` and those
    /// behind it.
    pub(crate) fn take_in(&mut self, from: &mut VecDeque<Proposal<R>>, len: usize, first: LogId) {
        let LogId { term, mut index } = first;
        assert!(self.accept(term), "an earlier term is still undecided");
        let last = self.queue.back();
        assert!(last.is_none_or(|last| last.index < index), "waiters out of order");
        self.term = term;
        for proposal in from.iter_mut().take(len) {
            proposal.index = index;
            index = index.next();
        }
        move_first(from, len, &mut self.queue);
    }

    /// The waiter of the entry that was just applied.
    pub(crate) fn take_done(&mut self, index: Index, term: Term) -> Option<Proposal<R>> {
        let is_other = self.term != term && !mutants::is_active(70);
        if is_other || self.queue.front()?.index != index {
            return None;
        }
        self.queue.pop_front()
    }

    /// Those that an applied entry of `term` proves dead.
    pub(crate) fn take_dead(
        &mut self,
        term: Term,
    ) -> Option<impl DoubleEndedIterator<Item = Proposal<R>>> {
        if self.queue.is_empty() || term <= self.term || mutants::is_active(70) {
            return None;
        }
        Some(self.take_all())
    }

    /// Those of entries up to `index`.
    pub(crate) fn take_until(&mut self, index: Index) -> impl Iterator<Item = Proposal<R>> {
        let taken = self.queue.partition_point(|waiting| waiting.index <= index);
        self.queue.drain(..taken)
    }

    /// Those of entries behind `index`.
    pub(crate) fn take_behind(
        &mut self,
        index: Index,
    ) -> impl DoubleEndedIterator<Item = Proposal<R>> {
        let kept = self.queue.partition_point(|waiting| waiting.index <= index);
        self.queue.split_off(kept).into_iter()
    }

    pub(crate) fn take_all(&mut self) -> impl DoubleEndedIterator<Item = Proposal<R>> {
        self.queue.drain(..)
    }

    /// Removes the first one if its time is up.
    pub(crate) fn take_expired(&mut self, now: Time) -> Option<Proposal<R>> {
        if self.queue.front()?.deadline > now {
            return None;
        }
        self.queue.pop_front()
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.queue.front().map(|proposal| proposal.deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;

    use super::Waiters;
    use crate::answer::answer;
    use crate::proposal::Proposal;
    use raftlet_core::{Index, LogId, Term, Time};

    fn proposal(deadline_ms: u64) -> Proposal<u64> {
        Proposal {
            payload: Bytes::new(),
            tied_to: Term::ZERO,
            deadline: Time::from_ms(deadline_ms),
            index: Index::ZERO,
            answer: answer().0,
        }
    }

    fn waiting(term: u64, indexes: &[u64]) -> Waiters<u64> {
        let mut waiters = Waiters::new();
        for &index in indexes {
            let at = LogId { term: Term::new(term), index: Index::new(index) };
            waiters.take_in(&mut VecDeque::from([proposal(index)]), 1, at);
        }
        waiters
    }

    #[test]
    fn an_applied_entry_ends_exactly_its_own_waiter() {
        let mut waiters = waiting(2, &[4, 6]);
        let mut done = |index, term| waiters.take_done(Index::new(index), Term::new(term));
        assert!(done(4, 1).is_none(), "another term's entry");
        assert!(done(5, 2).is_none(), "somebody else's entry between them");
        assert!(done(4, 2).is_some());
        assert!(done(4, 2).is_none(), "it ends once");
        assert!(done(6, 2).is_some());
        assert!(waiters.is_empty());
    }

    #[test]
    fn only_an_applied_entry_of_a_higher_term_proves_waiters_dead() {
        let mut waiters = waiting(2, &[4, 6]);
        assert!(waiters.take_dead(Term::new(1)).is_none());
        assert!(waiters.take_dead(Term::new(2)).is_none());
        assert_eq!(waiters.take_dead(Term::new(3)).map(Iterator::count), Some(2));
    }

    #[test]
    fn those_of_one_append_are_its_entries_in_order_and_the_rest_stay() {
        let mut waiters = waiting(2, &[4]);
        let mut held: VecDeque<_> = [10, 20, 30].map(proposal).into();
        let at = |index| LogId { term: Term::new(2), index: Index::new(index) };
        waiters.take_in(&mut held, 2, at(6));
        assert_eq!(held.len(), 1);
        waiters.take_in(&mut held, 1, at(9));
        assert!(held.is_empty());
        let done = [4, 6, 7, 9].map(|index| {
            let done = waiters.take_done(Index::new(index), Term::new(2));
            done.map(|proposal| proposal.deadline)
        });
        assert_eq!(done, [4, 10, 20, 30].map(|ms| Some(Time::from_ms(ms))));
    }

    #[test]
    fn a_later_term_waits_until_the_earlier_is_decided() {
        let mut waiters = waiting(2, &[4]);
        assert!(waiters.accept(Term::new(2)) && !waiters.accept(Term::new(3)));
        assert!(waiters.take_done(Index::new(4), Term::new(2)).is_some());
        assert!(waiters.accept(Term::new(3)));
    }

    #[test]
    fn who_steps_down_keeps_the_waiters_of_what_is_committed() {
        let mut waiters = waiting(2, &[4, 6, 7]);
        assert_eq!(waiters.take_behind(Index::new(6)).count(), 1);
        assert!(waiters.take_done(Index::new(4), Term::new(2)).is_some());
        assert!(waiters.take_done(Index::new(6), Term::new(2)).is_some());
        assert!(waiters.is_empty());
    }

    #[test]
    fn waiters_expire_in_order_and_not_before_their_time() {
        let mut waiters = waiting(2, &[4, 6]);
        assert!(waiters.take_expired(Time::from_ms(3)).is_none());
        assert!(waiters.take_expired(Time::from_ms(5)).is_some());
        assert!(waiters.take_expired(Time::from_ms(5)).is_none());
        assert_eq!(waiters.next_deadline(), Some(Time::from_ms(6)));
    }
}
