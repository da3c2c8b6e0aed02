//! Questions about strings, and their changes.
//!
//! Not here: what they do (`store/string.rs`), their bytes in the log
//! (`operation/codec/string.rs`).

use crate::operation::response::DataError;

/// A question about strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StringQuery<B> {
    /// The value of a key.
    Get {
        /// That key.
        key: B,
    },
    /// The values of keys, in order; a key of another type has none.
    MGet {
        /// Those keys.
        keys: Vec<B>,
    },
    /// How many bytes a value has.
    StrLen {
        /// Its key.
        key: B,
    },
    /// Bytes of a value.
    GetRange {
        /// Its key.
        key: B,
        /// The first; negative: counted from the end.
        start: i64,
        /// The last, itself included; negative: counted from the end.
        end: i64,
    },
    /// The longest common subsequence of two values.
    Lcs(Box<Lcs<B>>),
}

/// Which longest common subsequence is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lcs<B> {
    /// The keys of the two values.
    pub keys: (B, B),
    /// What to tell of it.
    pub form: LcsForm,
}

/// What to tell of a longest common subsequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LcsForm {
    /// The bytes of it.
    Text,
    /// How many bytes it has.
    Len,
    /// Where its pieces stand in both values.
    Places {
        /// Shorter pieces are left out.
        len_min: i64,
        /// Whether the length of each piece is told, too.
        has_len: bool,
    },
}

/// A change of strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StringCommand<B> {
    /// Gives a key a value and no deadline, whatever it held before.
    Set {
        /// That key.
        key: B,
        /// Its value from now on.
        value: B,
    },
    /// Gives a key a value, under conditions and with a deadline.
    SetWith {
        /// That key.
        key: B,
        /// Which, and how exactly.
        options: Box<SetOptions<B>>,
    },
    /// Gives keys values, all at once; of a key named twice the last counts.
    MSet {
        /// Keys with their values.
        pairs: Vec<(B, B)>,
    },
    /// As `MSet`, if none of the keys exists.
    MSetNx {
        /// Keys with their values.
        pairs: Vec<(B, B)>,
    },
    /// Adds to the integer a key holds; a missing key holds 0.
    IncrBy {
        /// That key.
        key: B,
        /// What is added.
        by: i64,
    },
    /// Adds to the number a key holds; a missing key holds 0.
    IncrByFloat {
        /// That key.
        key: B,
        /// What is added, as text.
        by: B,
    },
    /// Puts bytes behind the value of a key; a missing key holds none.
    Append {
        /// That key.
        key: B,
        /// Those bytes.
        suffix: B,
    },
    /// Writes over a part of the value of a key.
    SetRange {
        /// That key.
        key: B,
        /// Where the part begins. What lies before it and isn't there is zeros.
        offset: u32,
        /// What it becomes.
        part: B,
    },
    /// Removes a key and tells its value.
    GetDel {
        /// That key.
        key: B,
    },
    /// Tells the value of a key and changes its deadline.
    GetEx {
        /// That key.
        key: B,
        /// How; or why it can't be changed, which only matters if the key is
        /// there.
        expiry: Result<Expiry, DataError>,
    },
    /// Removes a key that holds exactly this value.
    DelIfEq {
        /// That key.
        key: B,
        /// That value.
        value: B,
    },
}

/// How a key is given a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetOptions<B> {
    /// The value from now on.
    pub value: B,
    /// When it is.
    pub condition: SetCondition<B>,
    /// What becomes of its deadline.
    pub expiry: Expiry,
    /// What the answer is.
    pub answer: SetAnswer,
}

/// When a key is given a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetCondition<B> {
    /// In any case.
    Always,
    /// If there is no such key.
    Missing,
    /// If there is such a key.
    Present,
    /// If it holds exactly this string.
    Equal(B),
}

/// What becomes of the deadline of a key that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It has none any more.
    Never,
    /// It keeps what it has.
    Keep,
    /// So many milliseconds from the log's time on.
    In(u64),
    /// This time, in milliseconds.
    At(u64),
}

/// How a write of a value is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAnswer {
    /// OK if it was written, else nothing.
    Done,
    /// 1 if it was written, else 0.
    Flag,
    /// The value it held before.
    Previous,
}
