//! A chunk that is looked at where it lies.
//!
//! Who replays a log sees every entry once and keeps none: a [`Chunk`] would
//! cost it two steps of a shared counter an entry, and moves through memory.

use std::fmt;

use crate::entry::{Chunk, ChunkEntries, EntryError, Marks, Seal};
use crate::ids::{Index, LogId, Term};

/// Consecutive entries of one term, well-formed and verified, whose bytes
/// belong to somebody else. What exists is as sound as a [`Chunk`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef<'a> {
    first: Index,
    term: Term,
    bytes: &'a [u8],
    pub(super) marks: Marks,
}

impl<'a> ChunkRef<'a> {
    /// Entries received or read: checks structure, checksums and position.
    ///
    /// Costs one pass over the bytes.
    ///
    /// # Errors
    /// [`EntryError`] names the first entry that is not what it should be.
    #[inline]
    pub fn decode(seal: Seal, first: LogId, len: u32, bytes: &'a [u8]) -> Result<Self, EntryError> {
        let marks = Chunk::check(seal, first, len, bytes)?;
        Ok(Self { first: first.index, term: first.term, bytes, marks })
    }

    /// The first entry's index.
    #[must_use]
    #[inline]
    pub fn first(&self) -> Index {
        self.first
    }

    /// The last entry's index.
    #[must_use]
    #[inline]
    pub fn last(&self) -> Index {
        self.marks.last(self.first)
    }

    /// The term of all its entries.
    #[must_use]
    #[inline]
    pub fn term(&self) -> Term {
        self.term
    }

    /// Log time of its last entry, milliseconds.
    #[must_use]
    #[inline]
    pub fn log_time_ms(&self) -> u64 {
        self.marks.log_time_ms
    }

    /// Whether one of its entries holds a configuration.
    #[must_use]
    #[inline]
    pub fn has_configuration(&self) -> bool {
        self.marks.configuration
    }

    /// The encoded entries.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The entries in order.
    #[must_use]
    #[inline]
    pub fn entries(&self) -> ChunkEntries<'a> {
        ChunkEntries { index: self.first, term: self.term, rest: self.bytes }
    }
}

impl<'a> From<&'a Chunk> for ChunkRef<'a> {
    #[inline]
    fn from(chunk: &'a Chunk) -> Self {
        Self { first: chunk.first, term: chunk.term, bytes: &chunk.bytes, marks: chunk.marks }
    }
}

impl fmt::Debug for ChunkRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}@{} ({} B)", self.first, self.last(), self.term, self.bytes.len())
    }
}
