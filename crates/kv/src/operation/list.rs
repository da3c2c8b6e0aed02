//! Questions about lists, and their changes.
//!
//! A position is counted from 0 at the front, or from -1 at the back.
//!
//! Not here: what they do (`store/list.rs`), their bytes in the log
//! (`operation/codec/list.rs`).

use crate::value::list::End;

/// A question about a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery<B> {
    /// The list's key.
    pub key: B,
    /// What is asked.
    pub question: ListQuestion<B>,
}

/// What is asked about a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListQuestion<B> {
    /// How many elements there are.
    Len,
    /// The element at a position.
    At(i64),
    /// The elements from one position to another, both included.
    Range {
        /// The first.
        start: i64,
        /// The last.
        stop: i64,
    },
    /// Where an element is.
    Find(Box<Find<B>>),
}

/// Which occurrences of an element are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find<B> {
    /// The element.
    pub element: B,
    /// The how manyth is the first that counts, 1 being the first from the
    /// front and -1 from the back. Not 0.
    pub rank: i64,
    /// How many at most, 0 for all; `None` asks for one by itself.
    pub count: Option<u64>,
    /// Looks at so many elements at most, unless it is 0.
    pub len_max: u64,
}

/// A change of lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListCommand<B> {
    /// Of one list.
    One {
        /// Its key.
        key: B,
        /// What is changed.
        change: ListChange<B>,
    },
    /// Moves an element.
    Move(Box<ListMove<B>>),
    /// Takes elements off the first list that has any.
    PopFirst {
        /// The lists' keys.
        keys: Vec<B>,
        /// Off which end.
        end: End,
        /// How many at most.
        count: u64,
    },
}

/// What is changed in one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListChange<B> {
    /// Puts elements at an end, one after the other.
    Push {
        /// At which.
        end: End,
        /// Only if the list is there.
        only_existing: bool,
        /// The elements.
        elements: Vec<B>,
    },
    /// Takes elements off an end.
    Pop {
        /// Off which.
        end: End,
        /// How many at most; `None` asks for one by itself.
        count: Option<u64>,
    },
    /// Replaces an element.
    Set {
        /// At which position.
        position: i64,
        /// The new element.
        element: Box<B>,
    },
    /// Puts an element beside the first that equals another.
    Insert {
        /// `Front`: before it.
        side: End,
        /// That other one, and the new element.
        pivot_and_element: Box<(B, B)>,
    },
    /// Takes out elements that equal one.
    Remove {
        /// How many at most; from the back if negative; 0 for all.
        count: i64,
        /// That one.
        element: Box<B>,
    },
    /// Keeps what is between two positions, both included.
    Trim {
        /// The first.
        start: i64,
        /// The last.
        stop: i64,
    },
}

/// Which element moves where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListMove<B> {
    /// The list it leaves.
    pub from: B,
    /// The list it enters.
    pub to: B,
    /// The end it leaves.
    pub from_end: End,
    /// The end it enters.
    pub to_end: End,
}
