//! A collection's elements in another order: `SORT`.
//!
//! Not here: what it does (`store/sort.rs`), its bytes in the log
//! (`operation/codec/sort.rs`).

use crate::operation::sorted_set::Direction;

/// The elements of a list, set or sorted set, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort<B> {
    /// The collection's key.
    pub key: B,
    /// What they are sorted by.
    pub by: SortBy,
    /// Towards which side.
    pub direction: Direction,
    /// Leaves out so many, then shows so many; a negative number of them shows
    /// all.
    pub limit: (i64, i64),
}

/// What elements are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// The number that each is.
    Number,
    /// Their bytes.
    Bytes,
    /// Nothing: they stay in the collection's order.
    Nothing,
}

/// Sorted elements that become a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortStore<B> {
    /// Where they go, whatever was there.
    pub destination: B,
    /// Which, and how.
    pub sort: Sort<B>,
}
