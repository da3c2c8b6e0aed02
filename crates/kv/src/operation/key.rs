//! Questions about keys, whatever they hold, and their changes.
//!
//! Not here: what they do (`store/key.rs`), their bytes in the log
//! (`operation/codec/key.rs`).

/// A question about keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyQuery<B> {
    /// How many of the keys exist; one named twice counts twice.
    Exists {
        /// Those keys.
        keys: Vec<B>,
    },
    /// How many keys there are.
    DbSize,
    /// The versions of keys: what a later transaction compares with.
    Versions {
        /// Those keys.
        keys: Vec<B>,
    },
}

/// A change of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyCommand<B> {
    /// Removes keys.
    Del {
        /// Those keys.
        keys: Vec<B>,
    },
}

impl<B> KeyQuery<B> {
    /// As [`crate::Query`]'s.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "no question of this family draws yet")]
    pub(crate) fn draw(&mut self, _: impl FnOnce() -> u64) {
        match self {
            Self::Exists { .. } | Self::DbSize | Self::Versions { .. } => {}
        }
    }
}
