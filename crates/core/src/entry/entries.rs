//! Chunks in a row, as they travel: in a message, to the disk, to the applier.
//!
//! Mostly it is one, and a message is moved several times: so one lies in
//! place, without an allocation, and what is done in each turn tells the three
//! cases apart instead of walking a list.
//!
//! Invariant: indexes follow one another without a gap, and terms do not fall.

use std::{mem, slice};

use crate::entry::{Chunk, Entry};
use crate::ids::{Index, LogId};

/// Chunks that follow one another without a gap: what a message carries, what
/// a write makes durable, what a read returns. Often just one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries(Held);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Held {
    #[default]
    Nothing,
    One(Chunk),
    /// Seldom: messages stay small.
    Many(Box<Many>),
}

/// At least two chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Many(Vec<Chunk>);

impl Entries {
    /// No entries.
    #[must_use]
    pub const fn none() -> Self {
        Self(Held::Nothing)
    }

    /// Handles of chunks that follow one another.
    #[inline]
    pub(crate) fn of(chunks: &[Chunk]) -> Self {
        match chunks {
            [] => Self::none(),
            [chunk] => Self(Held::One(chunk.clone())),
            many => Self(Held::Many(Box::new(Many(many.to_vec())))),
        }
    }

    /// Appends a chunk.
    ///
    /// # Panics
    /// When it does not follow what is there, or has a lower term.
    #[inline]
    pub fn push(&mut self, chunk: Chunk) {
        if self.is_empty() {
            self.0 = Held::One(chunk);
        } else {
            self.push_another(chunk);
        }
    }

    #[inline(never)]
    fn push_another(&mut self, chunk: Chunk) {
        let last = self.last().unwrap_or_default();
        assert!(chunk.first() == last.index.next(), "chunks with a gap between");
        assert!(chunk.term() >= last.term, "terms fall along a log");
        self.0 = match mem::take(&mut self.0) {
            Held::Nothing => Held::One(chunk),
            Held::One(first) => Held::Many(Box::new(Many(vec![first, chunk]))),
            Held::Many(mut many) => {
                many.0.push(chunk);
                Held::Many(many)
            }
        };
    }

    /// Removes the entries from `index` on.
    pub fn truncate(&mut self, index: Index) {
        let former = mem::take(self);
        let Some(keep) = index.get().checked_sub(1).map(Index::new) else {
            return;
        };
        for kept in former.chunks().map_while(|chunk| chunk.until(keep)) {
            self.push(kept);
        }
    }

    /// Whether there is no entry.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Held::Nothing)
    }

    /// The index of the first entry.
    #[must_use]
    #[inline]
    pub fn first(&self) -> Option<Index> {
        self.as_slice().first().map(Chunk::first)
    }

    /// The log id of the last entry.
    #[must_use]
    #[inline]
    pub fn last(&self) -> Option<LogId> {
        let chunk = match &self.0 {
            Held::Nothing => return None,
            Held::One(chunk) => chunk,
            Held::Many(many) => many.0.last()?,
        };
        Some(LogId { term: chunk.term(), index: chunk.last() })
    }

    /// How many entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.chunks().map(|chunk| u64::from(chunk.len())).sum()
    }

    /// Encoded bytes of all of them.
    #[must_use]
    #[inline]
    pub fn bytes_len(&self) -> usize {
        match &self.0 {
            Held::Nothing => 0,
            Held::One(chunk) => chunk.bytes().len(),
            Held::Many(many) => many.0.iter().map(|chunk| chunk.bytes().len()).sum(),
        }
    }

    /// The chunks in order.
    #[inline]
    pub fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.as_slice().iter()
    }

    /// How many chunks.
    #[must_use]
    #[inline]
    pub fn chunks_len(&self) -> usize {
        self.as_slice().len()
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Chunk] {
        match &self.0 {
            Held::Nothing => &[],
            Held::One(chunk) => slice::from_ref(chunk),
            Held::Many(many) => &many.0,
        }
    }

    /// Gives the chunks away in order, until one is not taken. Returns whether
    /// all were.
    pub(crate) fn hand_to(self, mut take: impl FnMut(Chunk) -> bool) -> bool {
        match self.0 {
            Held::Nothing => true,
            Held::One(chunk) => take(chunk),
            Held::Many(many) => many.0.into_iter().all(take),
        }
    }

    /// Takes the chunk out if there is exactly one.
    #[inline]
    pub(crate) fn take_one(&mut self) -> Option<Chunk> {
        if !matches!(self.0, Held::One(_)) {
            return None;
        }
        match mem::take(&mut self.0) {
            Held::One(chunk) => Some(chunk),
            Held::Nothing | Held::Many(_) => None,
        }
    }

    /// Log ids of the first and the last entry, where one chunk holds them.
    #[inline]
    pub(crate) fn one_span(&self) -> Option<(LogId, LogId)> {
        let Held::One(chunk) = &self.0 else {
            return None;
        };
        let at = |index| LogId { term: chunk.term(), index };
        Some((at(chunk.first()), at(chunk.last())))
    }

    /// The entries in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.chunks().flat_map(Chunk::entries)
    }
}

impl From<Chunk> for Entries {
    #[inline]
    fn from(chunk: Chunk) -> Self {
        Self(Held::One(chunk))
    }
}
