//! The hash map of a store: the one place where this crate has one.
//!
//! Its hash is seeded by the owner, so that a run repeats under the same seed
//! and a client can't choose keys that collide. Lints forbid to iterate it.

use std::hash::{BuildHasher, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Keys to values, with lookups by slice.
#[expect(
    clippy::disallowed_types,
    reason = "seeded by its owner and never iterated in an order that shows"
)]
pub(super) type KeyMap<V> = std::collections::HashMap<Box<[u8]>, V, Seeded>;

/// Hashes keys with XXH3 under a seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seeded(pub(super) u64);

impl BuildHasher for Seeded {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0)
    }
}

/// One key's hash in the making.
#[derive(Debug)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, len: usize) {
        // A key's length, which `write` covers as well.
        self.0 = self.0.wrapping_add(u64::try_from(len).unwrap_or_default());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
