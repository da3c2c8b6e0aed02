//! Questions about sets, and their changes.
//!
//! Not here: what they do (`store/set.rs`), their bytes in the log
//! (`operation/codec/set.rs`).

use crate::operation::collection::{Pick, Scan};

/// A question about sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetQuery<B> {
    /// About one set.
    One {
        /// Its key.
        key: B,
        /// What is asked.
        question: SetQuestion<B>,
    },
    /// The members of several sets taken together.
    Combine {
        /// How.
        operation: SetOperation,
        /// The sets' keys.
        keys: Vec<B>,
    },
    /// How many members several sets have in common.
    IntersectionLen {
        /// The sets' keys.
        keys: Vec<B>,
        /// Counts no further than this, unless it is 0.
        limit: u64,
    },
}

/// What is asked about one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetQuestion<B> {
    /// All members.
    Members,
    /// Whether it has this member.
    Contains(B),
    /// Of each, whether it is a member.
    ContainsEach(Vec<B>),
    /// How many members there are.
    Len,
    /// Some members.
    Random(Pick),
    /// A step of a walk over the members.
    Scan(Box<Scan<B>>),
}

/// How several sets are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperation {
    /// What is in any.
    Union,
    /// What is in all.
    Intersection,
    /// What is in the first and in no other.
    Difference,
}

/// A change of sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetCommand<B> {
    /// Of one set.
    One {
        /// Its key.
        key: B,
        /// What is changed.
        change: SetChange<B>,
    },
    /// Moves a member.
    Move(Box<SetMove<B>>),
    /// Makes a set of several.
    Store {
        /// Where it goes, whatever was there.
        destination: B,
        /// How they are taken together.
        operation: SetOperation,
        /// The sets' keys.
        keys: Vec<B>,
    },
}

/// What is changed in one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetChange<B> {
    /// Takes members in.
    Add(Vec<B>),
    /// Takes members out.
    Remove(Vec<B>),
    /// Takes out some members and tells which.
    Pop {
        /// How many at most; `None` asks for one by itself.
        count: Option<u64>,
        /// Decides which; drawn once, so that every member pops alike.
        seed: u64,
    },
}

/// Which member moves where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMove<B> {
    /// The set it leaves.
    pub from: B,
    /// The set it enters.
    pub to: B,
    /// The member.
    pub member: B,
}

impl<B> SetQuery<B> {
    /// As [`crate::Query`]'s.
    pub(crate) fn draw(&mut self, draw: impl FnOnce() -> u64) {
        if let Self::One { question: SetQuestion::Random(pick), .. } = self {
            pick.seed = draw();
        }
    }
}

impl<B> SetCommand<B> {
    /// As [`crate::Command`]'s.
    pub(crate) fn draw(&mut self, draw: impl FnOnce() -> u64) {
        if let Self::One { change: SetChange::Pop { seed, .. }, .. } = self {
            *seed = draw();
        }
    }
}
