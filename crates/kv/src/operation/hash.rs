//! Questions about hashes, and their changes.
//!
//! Not here: what they do (`store/hash.rs`), their bytes in the log
//! (`operation/codec/hash.rs`).

use crate::operation::collection::{Pick, Scan};

/// A question about a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashQuery<B> {
    /// The hash's key.
    pub key: B,
    /// What is asked.
    pub question: HashQuestion<B>,
}

/// What is asked about a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashQuestion<B> {
    /// The value of a field.
    Get(B),
    /// The values of fields, in order.
    GetEach(Vec<B>),
    /// All of it.
    All(HashPart),
    /// How many fields there are.
    Len,
    /// Whether there is this field.
    Contains(B),
    /// How long a field's value is.
    ValueLen(B),
    /// Some fields.
    Random(Pick),
    /// A step of a walk over the fields.
    Scan(Box<Scan<B>>),
}

/// Of what "all" is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashPart {
    /// Fields.
    Fields,
    /// Values.
    Values,
    /// Fields with their values.
    Both,
}

/// A change of a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashCommand<B> {
    /// The hash's key.
    pub key: B,
    /// What is changed.
    pub change: HashChange<B>,
}

/// What is changed in a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashChange<B> {
    /// Gives fields values; tells how many are new.
    Set(Vec<(B, B)>),
    /// The same; tells only that it is done.
    SetQuietly(Vec<(B, B)>),
    /// Gives a field a value unless it has one.
    SetNew(Box<(B, B)>),
    /// Removes fields.
    Remove(Vec<B>),
    /// Adds to the integer a field holds; a missing one holds 0.
    IncrBy {
        /// That field.
        field: Box<B>,
        /// What is added.
        by: i64,
    },
    /// Adds to the number a field holds; a missing one holds 0.
    IncrByFloat {
        /// That field.
        field: Box<B>,
        /// What is added, in decimal: more digits than a double has count.
        by: Box<B>,
    },
}

impl<B> HashQuery<B> {
    /// As [`crate::Query`]'s.
    pub(crate) fn draw(&mut self, draw: impl FnOnce() -> u64) {
        if let HashQuestion::Random(pick) = &mut self.question {
            pick.seed = draw();
        }
    }
}
