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

use crate::proposal::Proposal;
use raftlet_core::{Index, Term, Time, mutants};

/// The proposals that wait, in index order.
#[derive(Debug)]
pub(crate) struct Waiters<R> {
    term: Term,
    queue: VecDeque<(Index, Proposal<R>)>,
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

    /// Adds one that was appended at `index` in `term`.
    pub(crate) fn push(&mut self, index: Index, term: Term, proposal: Proposal<R>) {
        assert!(self.accept(term), "an earlier term is still undecided");
        assert!(self.queue.back().is_none_or(|(last, _)| *last < index), "waiters out of order");
        self.term = term;
        self.queue.push_back((index, proposal));
    }

    /// The waiter of the entry that was just applied.
    pub(crate) fn take_done(&mut self, index: Index, term: Term) -> Option<Proposal<R>> {
        let is_other = self.term != term && !mutants::is_active(70);
        if is_other || self.queue.front()?.0 != index {
            return None;
        }
        self.queue.pop_front().map(|(_, proposal)| proposal)
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
        let taken = self.queue.partition_point(|(at, _)| *at <= index);
        self.queue.drain(..taken).map(|(_, proposal)| proposal)
    }

    /// Those of entries behind `index`.
    pub(crate) fn take_behind(
        &mut self,
        index: Index,
    ) -> impl DoubleEndedIterator<Item = Proposal<R>> {
        let kept = self.queue.partition_point(|(at, _)| *at <= index);
        self.queue.split_off(kept).into_iter().map(|(_, proposal)| proposal)
    }

    pub(crate) fn take_all(&mut self) -> impl DoubleEndedIterator<Item = Proposal<R>> {
        self.queue.drain(..).map(|(_, proposal)| proposal)
    }

    /// Removes the first one if its time is up.
    pub(crate) fn take_expired(&mut self, now: Time) -> Option<Proposal<R>> {
        if self.queue.front()?.1.deadline > now {
            return None;
        }
        self.queue.pop_front().map(|(_, proposal)| proposal)
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.queue.front().map(|(_, proposal)| proposal.deadline)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Waiters;
    use crate::answer::answer;
    use crate::proposal::Proposal;
    use raftlet_core::{Index, Term, Time};

    fn proposal(deadline_ms: u64) -> Proposal<u64> {
        Proposal {
            payload: Bytes::new(),
            tied_to: Term::ZERO,
            deadline: Time::from_ms(deadline_ms),
            answer: answer().0,
        }
    }

    fn waiting(term: u64, indexes: &[u64]) -> Waiters<u64> {
        let mut waiters = Waiters::new();
        for &index in indexes {
            waiters.push(Index::new(index), Term::new(term), proposal(index));
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
