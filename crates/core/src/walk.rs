//! Turns of many members, one after another, with memory asked for ahead.
//!
//! A turn of a member runs some hundred instructions over some fifteen lines of
//! memory. One member alone has them near. Of a thousand that take turns each
//! finds them far away, and a turn waits for one line after another, because most
//! are found by what stands in the one before. Whoever knows who is next can
//! *touch* lines of several members at once, reading a word of each for nothing:
//! these waits then overlap, and with the turn before (D44).
//!
//! ```text
//! touch 0..4 ─▶ touch 4..8, touch what 0..4 hold ─▶ visit 0..4 ─▶ touch 8..12, ...
//! ```
//!
//! Invariants
//! - Each is touched once before its visit, what it holds later than itself: the
//!   way there is then near.
//! - One alone is only visited.
//!
//! Not here: which words (`group/touch.rs`).

/// Members that are asked for together: enough for their waits to overlap, few
/// enough for a core's nearest cache to hold them and the next as many (about 25
/// lines each, of 512).
const TOGETHER: usize = 4;

/// Goes through members whose order is known.
pub trait Walk {
    /// Asks for what the one at `at` is in itself.
    fn touch(&self, at: usize);

    /// Asks for what the one at `at` holds elsewhere.
    fn touch_held(&self, at: usize);

    /// Its turn.
    fn visit(&mut self, at: usize);
}

/// Visits all of `len` in order, asking for the memory of those that come ahead.
#[inline]
pub fn walk(members: &mut impl Walk, len: usize) {
    if len < 2 {
        if len > 0 {
            members.visit(0);
        }
        return;
    }
    for at in 0..len.min(TOGETHER) {
        members.touch(at);
    }
    for first in (0..len).step_by(TOGETHER) {
        let next = len.min(first + TOGETHER);
        for at in next..len.min(next + TOGETHER) {
            members.touch(at);
        }
        for at in first..next {
            members.touch_held(at);
        }
        for at in first..next {
            members.visit(at);
        }
    }
}

/// Reads a word of each of these fields, for nothing. Tests know where they lie.
macro_rules! touches {
    ($of:ty: $($field:ident $(. $part:tt)*),+ $(,)?) => {
        impl $of {
            /// Asks for the lines of memory that it lies in (`walk.rs`).
            #[inline]
            pub(crate) fn touch(&self) {
                $(std::hint::black_box(self.$field $(.$part)*);)+
            }

            /// Where the touched words lie.
            #[cfg(test)]
            pub(crate) const TOUCHED: &[usize] =
                &[$(std::mem::offset_of!($of, $field $(.$part)*)),+];
        }
    };
}

pub(crate) use touches;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::{TOGETHER, Walk, walk};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Step {
        Touched(usize),
        TouchedHeld(usize),
        Visited(usize),
    }

    #[derive(Default)]
    struct Diary(RefCell<Vec<Step>>);

    impl Walk for Diary {
        fn touch(&self, at: usize) {
            self.0.borrow_mut().push(Step::Touched(at));
        }

        fn touch_held(&self, at: usize) {
            self.0.borrow_mut().push(Step::TouchedHeld(at));
        }

        fn visit(&mut self, at: usize) {
            self.0.borrow_mut().push(Step::Visited(at));
        }
    }

    fn steps(len: usize) -> Vec<Step> {
        let mut diary = Diary::default();
        walk(&mut diary, len);
        diary.0.into_inner()
    }

    #[test]
    fn one_alone_is_only_visited_and_nobody_not_at_all() {
        assert_eq!(steps(1), [Step::Visited(0)]);
        assert_eq!(steps(0), []);
    }

    #[test]
    fn each_is_touched_then_what_it_holds_then_visited_once_and_in_order() {
        for len in 2..4 * TOGETHER {
            let steps = steps(len);
            assert_eq!(steps.len(), 3 * len);
            let place = |step| steps.iter().position(|known| *known == step).unwrap();
            for at in 0..len {
                assert!(place(Step::Touched(at)) < place(Step::TouchedHeld(at)), "{at} of {len}");
                assert!(place(Step::TouchedHeld(at)) < place(Step::Visited(at)), "{at} of {len}");
                let next = place(Step::Visited(at));
                assert!(at == 0 || place(Step::Visited(at - 1)) < next, "{at} of {len}");
            }
        }
    }

    #[test]
    fn whoever_is_visited_was_asked_for_before_the_members_in_front_of_it_had_their_turns() {
        let steps = steps(3 * TOGETHER);
        let place = |step| steps.iter().position(|known| *known == step).unwrap();
        for at in TOGETHER..3 * TOGETHER {
            let before = at - at % TOGETHER - TOGETHER;
            assert!(place(Step::Touched(at)) < place(Step::Visited(before)), "{at}");
        }
    }
}
