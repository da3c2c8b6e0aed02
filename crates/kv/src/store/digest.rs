//! One number that stands for the contents of a store.
//!
//! The sum, modulo 2^64, of a hash of every key with its value. A sum doesn't
//! know the order of its parts and can be taken apart again, so a write costs
//! the hash of what it adds (the store remembers the part of what it
//! replaces), and two histories with the same outcome end in the same number.
//! The value's hash is mixed with the key's, so swapping two keys' values
//! changes the sum. A collection keeps the hash of its contents up to date by
//! itself (`value.rs`), so a change of one element costs that element.
//!
//! It finds members that came apart by a fault; it does not resist somebody
//! who builds collisions on purpose.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::store::deadlines::Deadline;

/// The digest of nothing. Not 0, which the library takes for "no digest".
const EMPTY: u64 = 0x7261_6674_6c65_7431;

/// The running sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(EMPTY)
    }
}

impl Digest {
    pub(super) fn add(&mut self, part: u64) {
        self.0 = self.0.wrapping_add(part);
    }

    pub(super) fn remove(&mut self, part: u64) {
        self.0 = self.0.wrapping_sub(part);
    }

    pub(super) fn value(self) -> u64 {
        self.0
    }
}

/// What one key with what it holds adds to the sum. `hash` is of the value's
/// contents; the type is part of it, or an empty collection that should not be
/// there would pass for another.
pub(super) fn part(key: &[u8], hash: u64, type_name: &str, deadline: Option<Deadline>) -> u64 {
    let seed = match type_name {
        "string" => xxh3_64(key),
        other => xxh3_64_with_seed(other.as_bytes(), xxh3_64(key)),
    };
    let part = xxh3_64_with_seed(&hash.to_le_bytes(), seed);
    match deadline {
        None => part,
        Some(deadline) => xxh3_64_with_seed(&deadline.ms().to_le_bytes(), part),
    }
}
