//! Which answered operations may come next?
//!
//! Calls and returns of one key in the order of time, as a doubly linked list.
//! An operation may come next if its call stands before the first return: then
//! nothing that is still to be ordered had ended before it began. Taking an
//! operation unlinks its call and its return in O(1); putting it back relinks
//! them, in the reverse order of taking.
//!
//! Invariants
//! - The first event is always a call, that of the earliest operation left.
//! - At equal times calls stand before returns: what touches is concurrent.
//!
//! Not here: operations of unknown outcome, which never return (`pool.rs`).

#![expect(
    clippy::indexing_slicing,
    reason = "events are numbered by this list, and none leaves it"
)]

/// When an answered operation ran.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) invoke_ns: u64,
    pub(super) return_ns: u64,
}

/// Operation `i` has the events `2 i` (call) and `2 i + 1` (return); the one
/// after the last is both ends of the list.
#[derive(Debug)]
pub(super) struct Timeline {
    next: Vec<usize>,
    previous: Vec<usize>,
}

impl Timeline {
    /// The events of `spans`, which are numbered by position.
    pub(super) fn new(spans: &[Span]) -> Self {
        let mut events: Vec<(u64, usize, usize)> = Vec::with_capacity(2 * spans.len());
        for (op, span) in spans.iter().enumerate() {
            events.push((span.invoke_ns, 0, 2 * op));
            events.push((span.return_ns, 1, 2 * op + 1));
        }
        events.sort_unstable();
        let end = events.len();
        let mut timeline = Self { next: vec![end; end + 1], previous: vec![end; end + 1] };
        let mut last = end;
        for (_, _, event) in events {
            timeline.next[last] = event;
            timeline.previous[event] = last;
            last = event;
        }
        timeline.next[last] = end;
        timeline.previous[end] = last;
        timeline
    }

    /// Takes an operation out.
    pub(super) fn take(&mut self, op: usize) {
        self.unlink(2 * op);
        self.unlink(2 * op + 1);
    }

    /// Undoes the last `take` that is not undone, which was of `op`.
    pub(super) fn put_back(&mut self, op: usize) {
        self.relink(2 * op + 1);
        self.relink(2 * op);
    }

    /// The earliest operation left.
    pub(super) fn first(&self) -> Option<usize> {
        let event = self.next[self.end()];
        (event != self.end()).then_some(event / 2)
    }

    /// The operations that may come next, from the earliest call on.
    pub(super) fn candidates(&self) -> impl Iterator<Item = usize> {
        self.calls_from(self.next[self.end()])
    }

    /// Those of the candidates that follow the candidate `op`.
    pub(super) fn candidates_after(&self, op: usize) -> impl Iterator<Item = usize> {
        self.calls_from(self.next[2 * op])
    }

    /// The operation whose return is the first.
    pub(super) fn first_to_return(&self) -> Option<usize> {
        let mut event = self.next[self.end()];
        while event != self.end() {
            if event % 2 == 1 {
                return Some(event / 2);
            }
            event = self.next[event];
        }
        None
    }

    fn calls_from(&self, event: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(event), |event| Some(self.next[*event]))
            .take_while(|event| event.is_multiple_of(2) && *event != self.end())
            .map(|event| event / 2)
    }

    fn end(&self) -> usize {
        self.next.len() - 1
    }

    fn unlink(&mut self, event: usize) {
        let (before, after) = (self.previous[event], self.next[event]);
        self.next[before] = after;
        self.previous[after] = before;
    }

    fn relink(&mut self, event: usize) {
        let (before, after) = (self.previous[event], self.next[event]);
        self.next[before] = event;
        self.previous[after] = event;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(spans: &[(u64, u64)]) -> Timeline {
        let span = |&(invoke_ns, return_ns)| Span { invoke_ns, return_ns };
        Timeline::new(&spans.iter().map(span).collect::<Vec<_>>())
    }

    fn candidates(timeline: &Timeline) -> Vec<usize> {
        timeline.candidates().collect()
    }

    #[test]
    fn only_what_began_before_the_first_return_may_come_next() {
        let mut line = timeline(&[(0, 10), (5, 20), (11, 30)]);
        assert_eq!(candidates(&line), [0, 1]);
        assert_eq!(line.candidates_after(0).collect::<Vec<_>>(), [1]);
        assert_eq!(line.first_to_return(), Some(0));
        line.take(0);
        assert_eq!(candidates(&line), [1, 2]);
        line.take(2);
        assert_eq!((line.first(), line.first_to_return()), (Some(1), Some(1)));
        line.take(1);
        assert_eq!((line.first(), line.first_to_return()), (None, None));
        for op in [1, 2, 0] {
            line.put_back(op);
        }
        assert_eq!(candidates(&line), [0, 1]);
    }

    #[test]
    fn operations_that_touch_are_concurrent() {
        assert_eq!(candidates(&timeline(&[(0, 10), (10, 20), (11, 12)])), [0, 1]);
    }

    #[test]
    fn nothing_has_no_candidates() {
        let empty = timeline(&[]);
        assert_eq!((candidates(&empty), empty.first_to_return()), (vec![], None));
    }
}
