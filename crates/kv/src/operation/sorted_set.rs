//! Questions about sorted sets, and their changes.
//!
//! Not here: what they do (`store/sorted_set.rs`), their bytes in the log
//! (`operation/codec/sorted_set.rs`).

use crate::operation::collection::{Pick, Scan};
use crate::operation::set::SetOperation;
use crate::value::score::Score;

/// A question about sorted sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortedSetQuery<B> {
    /// About one.
    One {
        /// Its key.
        key: B,
        /// What is asked.
        question: SortedSetQuestion<B>,
    },
    /// The members of several taken together, upwards.
    Combine {
        /// Of which, and how.
        combination: Box<Combination<B>>,
        /// Whether scores are told too.
        with_scores: bool,
    },
    /// How many members several have in common.
    IntersectionLen {
        /// Their keys.
        keys: Vec<B>,
        /// Counts no further than this, unless it is 0.
        limit: u64,
    },
}

/// What is asked about one sorted set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortedSetQuestion<B> {
    /// The score of a member.
    Score(B),
    /// The scores of members, in order.
    ScoreEach(Vec<B>),
    /// How many members there are.
    Len,
    /// How many of them are in a range.
    Count(Box<Range<B>>),
    /// How many come before a member.
    Rank {
        /// That member.
        member: B,
        /// Seen from which side.
        direction: Direction,
    },
    /// The members in a range.
    Range {
        /// Which range.
        request: Box<RangeRequest<B>>,
        /// Whether scores are told too.
        with_scores: bool,
    },
    /// Some members.
    Random(Pick),
    /// A step of a walk over the members.
    Scan(Box<Scan<B>>),
}

/// A change of sorted sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortedSetCommand<B> {
    /// Of one.
    One {
        /// Its key.
        key: B,
        /// What is changed.
        change: SortedSetChange<B>,
    },
    /// Takes members off the first that has any.
    PopFirst {
        /// The keys.
        keys: Vec<B>,
        /// `Upwards`: those with the lowest scores.
        direction: Direction,
        /// How many at most.
        count: u64,
    },
    /// Makes one of several.
    Store {
        /// Where it goes, whatever was there.
        destination: B,
        /// Of which, and how.
        combination: Box<Combination<B>>,
    },
    /// Makes one of a part of another.
    StoreRange(Box<StoreRange<B>>),
}

/// What is changed in one sorted set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortedSetChange<B> {
    /// Gives members scores.
    Add {
        /// When, and what is told.
        rule: AddRule,
        /// Scores and members.
        members: Vec<(Score, B)>,
    },
    /// Takes members out.
    Remove(Vec<B>),
    /// Takes out the members in a range.
    RemoveRange(Box<Range<B>>),
    /// Takes members off an end and tells which.
    Pop {
        /// `Upwards`: those with the lowest scores.
        direction: Direction,
        /// How many at most; `None` asks for one by itself.
        count: Option<u64>,
    },
}

/// When a member gets its score, and what is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddRule {
    /// Of which members.
    pub members: AddTo,
    /// Of which scores, if the member has one.
    pub scores: AddIf,
    /// What is told.
    pub reply: AddReply,
}

/// Which members get a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddTo {
    /// All.
    #[default]
    Any,
    /// Those that aren't there.
    New,
    /// Those that are there.
    Existing,
}

/// Which scores replace a present one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddIf {
    /// All.
    #[default]
    Any,
    /// Greater ones.
    Greater,
    /// Smaller ones.
    Less,
}

/// What is told about scores given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddReply {
    /// How many members are new.
    #[default]
    Added,
    /// How many are new or got another score.
    Changed,
    /// The score is added to the present one, and the sum told.
    Sum,
}

/// Towards which side members are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest score.
    Upwards,
    /// From the highest.
    Downwards,
}

/// A range of members; in any direction the lower bound comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range<B> {
    /// By rank in the direction, or from its end if negative; both included.
    Rank {
        /// The first.
        start: i64,
        /// The last.
        stop: i64,
    },
    /// By score.
    Score {
        /// The lower bound.
        min: ScoreBound,
        /// The upper bound.
        max: ScoreBound,
    },
    /// By bytes, among members of one score.
    Lex {
        /// The lower bound.
        min: LexBound<B>,
        /// The upper bound.
        max: LexBound<B>,
    },
}

/// A bound of scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScoreBound {
    /// The score.
    pub score: Score,
    /// Whether it is within.
    pub is_included: bool,
}

/// A bound of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LexBound<B> {
    /// Before all.
    Lowest,
    /// Behind all.
    Highest,
    /// This one, within.
    Included(B),
    /// This one, not within.
    Excluded(B),
}

/// A range as a client walks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRequest<B> {
    /// Which members.
    pub range: Range<B>,
    /// Towards which side.
    pub direction: Direction,
    /// Leaves out so many, then shows so many; a negative number of them shows
    /// all, a negative number to leave out shows none.
    pub limit: Option<(i64, i64)>,
}

/// A range of one sorted set that becomes another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRange<B> {
    /// Where it goes, whatever was there.
    pub destination: B,
    /// Where it comes from.
    pub source: B,
    /// Which part.
    pub request: RangeRequest<B>,
}

/// Several sorted sets taken together. A plain set counts as one whose scores
/// are 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combination<B> {
    /// How.
    pub operation: SetOperation,
    /// Keys, each with what its scores are multiplied by.
    pub sources: Vec<(Score, B)>,
    /// What becomes of a member's scores.
    pub aggregate: Aggregate,
}

/// What becomes of a member's scores in several sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// Their sum.
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl<B> SortedSetQuery<B> {
    /// As [`crate::Query`]'s.
    pub(crate) fn draw(&mut self, draw: impl FnOnce() -> u64) {
        if let Self::One { question: SortedSetQuestion::Random(pick), .. } = self {
            pick.seed = draw();
        }
    }
}
