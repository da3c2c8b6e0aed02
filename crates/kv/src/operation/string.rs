//! Questions about strings, and their changes.
//!
//! Not here: what they do (`store/string.rs`), their bytes in the log
//! (`operation/codec/string.rs`).

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
    /// Gives keys values, all at once; of a key named twice the last counts.
    MSet {
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
}
