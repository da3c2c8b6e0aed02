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
//! member   0   1   2   3   4   5   6   7   ...
//!        └─visited─┴─beyond┴─held──┴─itself┘  and all go on by two
//! ```
//!
//! Invariants
//! - Each is touched three times before its visit, nearest things first: what
//!   leads to the rest is there when the rest is asked for, so that in one step
//!   nothing waits for anything else of that step.
//! - One alone is only visited.
//!
//! Not here: which words (`group/touch.rs`).

use std::ops::Range;

use crate::time::{Time, WallMs};

/// Members that are asked for together: enough for their waits to overlap, few
/// enough for a core's nearest cache to hold what four times as many need (15 to
/// 25 lines each, of 512; a place may stand for the three members of a group).
const TOGETHER: usize = 2;
/// A block is visited so many blocks behind the one that is touched first.
const BLOCKS: usize = 3;

/// What of a member is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The memory that it lies in.
    Itself,
    /// What it leads to: it is near.
    Held,
    /// What that leads to: both are near.
    Beyond,
}

/// Goes through members whose order is known.
pub trait Walk {
    /// Asks for memory of the one at `at`, without any effect.
    fn touch(&self, at: usize, reach: Reach);

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
    for first in (0..len + BLOCKS * TOGETHER).step_by(TOGETHER) {
        for (behind, reach) in [Reach::Itself, Reach::Held, Reach::Beyond].into_iter().enumerate() {
            for at in block(first, behind, len) {
                members.touch(at, reach);
            }
        }
        for at in block(first, BLOCKS, len) {
            members.visit(at);
        }
    }
}

/// Who of `len` is in the block so many behind the one that begins at `first`.
#[inline]
fn block(first: usize, behind: usize, len: usize) -> Range<usize> {
    match first.checked_sub(behind * TOGETHER) {
        Some(first) => first.min(len)..(first + TOGETHER).min(len),
        None => 0..0,
    }
}

/// What can be read for nothing.
pub(crate) trait Word: Copy {
    fn word(self) -> u64;
}

impl Word for u64 {
    #[inline]
    fn word(self) -> u64 {
        self
    }
}

impl Word for bool {
    #[inline]
    fn word(self) -> u64 {
        u64::from(self)
    }
}

impl Word for Time {
    #[inline]
    fn word(self) -> u64 {
        self.ns()
    }
}

impl Word for WallMs {
    #[inline]
    fn word(self) -> u64 {
        self.0
    }
}

/// Reads a word of each of these fields, for nothing. Tests know where they lie.
macro_rules! touches {
    ($of:ty: $($field:ident $(. $part:tt)*),+ $(,)?) => {
        impl $of {
            /// Asks for the lines of memory that it lies in (`walk.rs`).
            #[inline]
            pub(crate) fn touch(&self) {
                // Together: the loads wait for nothing but memory.
                std::hint::black_box(0 $(| $crate::walk::Word::word(self.$field $(.$part)*))+);
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

    use super::{BLOCKS, Reach, TOGETHER, Walk, walk};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Step {
        Touched(usize, Reach),
        Visited(usize),
    }

    #[derive(Default)]
    struct Diary(RefCell<Vec<Step>>);

    impl Walk for Diary {
        fn touch(&self, at: usize, reach: Reach) {
            self.0.borrow_mut().push(Step::Touched(at, reach));
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
    fn each_is_touched_nearest_things_first_then_visited_once_and_in_order() {
        for len in 2..6 * TOGETHER {
            let steps = steps(len);
            assert_eq!(steps.len(), 4 * len);
            let place = |step| steps.iter().position(|known| *known == step).unwrap();
            for at in 0..len {
                let touched = [Reach::Itself, Reach::Held, Reach::Beyond];
                let touched = touched.map(|reach| place(Step::Touched(at, reach)));
                let visited = place(Step::Visited(at));
                assert!(touched.is_sorted() && touched[2] < visited, "{at} of {len}");
                assert!(at == 0 || place(Step::Visited(at - 1)) < visited, "{at} of {len}");
            }
        }
    }

    #[test]
    fn between_two_touches_of_a_member_and_before_its_visit_others_have_their_turns() {
        let steps = steps(8 * TOGETHER);
        let place = |step| steps.iter().position(|known| *known == step).unwrap();
        for at in BLOCKS * TOGETHER..8 * TOGETHER {
            let waits = [Reach::Itself, Reach::Held, Reach::Beyond];
            for (reach, blocks) in waits.into_iter().zip((1..=BLOCKS).rev()) {
                let other = at - at % TOGETHER - blocks * TOGETHER;
                assert!(place(Step::Touched(at, reach)) < place(Step::Visited(other)), "{at}");
            }
        }
    }
}
