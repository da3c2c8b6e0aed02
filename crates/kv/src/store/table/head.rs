//! What a bucket says of its chain, in one word.
//!
//! ```text
//! bits  0..36  place of the first item; all ones: there is none
//!      36      whether others follow it
//!      37..64  the low 27 bits of the first one's hash
//! ```
//!
//! Most chains have one item, and most lookups of a new key meet an empty bucket
//! or an item of another hash: the bits that did not choose the bucket tell that,
//! seven at a million keys. A bucket is split by a bit of its items' hashes, which
//! is here, too, up to 2^27 buckets; beyond, items are looked at.
//!
//! Invariant: what a head says is so. It is never the only ground for saying that
//! a key is there.

use crate::store::table::NOWHERE;

const PLACE_BITS: u32 = 36;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;
const MORE: u64 = 1 << PLACE_BITS;
const HASH_SHIFT: u32 = PLACE_BITS + 1;
const HASH_BITS: u32 = u64::BITS - HASH_SHIFT;
const HASH_MASK: u64 = (1 << HASH_BITS) - 1;

/// Where a chain begins, and what is known of that without a look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head(u64);

impl Head {
    /// Of a chain without items.
    pub(super) const EMPTY: Self = Self(PLACE_MASK);

    /// Of a chain whose first item is at place `first`, has this hash and is
    /// followed by the one at `next`.
    pub(super) fn of(first: usize, hash: u64, next: usize) -> Self {
        let head = Self::EMPTY.preceded_by(first, hash);
        Self(if next == NOWHERE { head.0 } else { head.0 | MORE })
    }

    /// The same chain with another item before it.
    ///
    /// # Panics
    /// With more items than fit in any memory: 2^36.
    #[inline]
    pub(super) fn preceded_by(self, place: usize, hash: u64) -> Self {
        let place = u64::try_from(place).unwrap_or(PLACE_MASK);
        assert!(place < PLACE_MASK, "a table of 2^36 items");
        let more = if self == Self::EMPTY { 0 } else { MORE };
        Self(hash << HASH_SHIFT | more | place)
    }

    /// The place of the first item, or none.
    #[inline]
    pub(super) fn first(self) -> usize {
        match self.0 & PLACE_MASK {
            PLACE_MASK => NOWHERE,
            place => usize::try_from(place).unwrap_or(NOWHERE),
        }
    }

    /// The same for who looks for a hash: none where the chain does not have it.
    #[inline]
    pub(super) fn first_for(self, hash: u64) -> usize {
        let is_possible = self.has_more() || self.0 >> HASH_SHIFT == hash & HASH_MASK;
        if is_possible { self.first() } else { NOWHERE }
    }

    /// Whether there is more than one item.
    #[inline]
    pub(super) fn has_more(self) -> bool {
        self.0 & MORE != 0
    }

    /// Whether the hash of the only item, or of none, has this bit, where that is
    /// known.
    #[inline]
    pub(super) fn only_one_has(self, bit: u64) -> Option<bool> {
        let is_known = self == Self::EMPTY || (!self.has_more() && bit & HASH_MASK != 0);
        is_known.then_some(self.0 >> HASH_SHIFT & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{HASH_MASK, Head, PLACE_MASK};
    use crate::store::table::NOWHERE;

    #[test]
    fn a_head_says_what_is_so_and_denies_no_hash_that_may_be_there() {
        for hash in [0, 1, HASH_MASK, HASH_MASK + 1, u64::MAX, 0x1234_5678_9abc_def0] {
            for place in [0, 1, 77_777, usize::try_from(PLACE_MASK - 1).unwrap()] {
                let one = Head::of(place, hash, NOWHERE);
                assert_eq!((one.first(), one.has_more()), (place, false));
                assert_eq!(one.first_for(hash), place);
                assert_eq!(one.first_for(hash ^ 1), NOWHERE);
                assert_eq!(one.first_for(hash ^ (HASH_MASK + 1)), place, "beyond what is known");
                for shift in 0..64 {
                    let told = one.only_one_has(1 << shift);
                    assert_eq!(told, (shift < 27).then_some(hash >> shift & 1 != 0), "{shift}");
                }
                let two = one.preceded_by(5, !hash);
                assert_eq!(two, Head::of(5, !hash, place));
                assert_eq!((two.first_for(hash), two.has_more()), (5, true));
                assert_eq!(two.only_one_has(1), None);
            }
        }
        assert_eq!((Head::EMPTY.first(), Head::EMPTY.has_more()), (NOWHERE, false));
        assert_eq!(Head::EMPTY.first_for(0), NOWHERE);
        assert_eq!(Head::EMPTY.only_one_has(1 << 40), Some(false));
    }
}
