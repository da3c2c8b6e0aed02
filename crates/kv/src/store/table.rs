//! The hash table of a store (D25).
//!
//! Linear hashing: it grows and shrinks by one bucket at a time, so no write
//! ever pays for moving everything. And it can be walked: a key's *position*
//! is its hash with the bits reversed, cut to [`POSITION_BITS`]. Every bucket
//! holds a contiguous range of positions, whatever the table's size, so a walk
//! that remembers a position goes on behind it after any growth, and on any
//! member that hashes under the same seed.
//!
//! ```text
//! 5 buckets, level 2     bucket      0   4   2   1   3      in order of position
//!                        low bits  000 100  10  01  11      of the hashes in it
//! ```
//!
//! Invariants
//! - `2^level <= buckets < 2^(level + 1)`; a bucket below `buckets - 2^level`,
//!   or from `2^level` on, takes its keys by `level + 1` bits, others by
//!   `level`.
//! - Equal contents under equal seeds are walked in equal order.
//!
//! Not here: what the values are.

mod own_key;

use std::hint::black_box;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::store::table::own_key::OwnKey;

/// Bits of a position. A cursor of a client is a position and a group of 14
/// bits, and some clients keep cursors in 53 bits. Keys of one position are
/// met together, and half a trillion positions are enough to tell keys apart.
pub(super) const POSITION_BITS: u32 = 39;

/// Where all walks end.
const POSITION_END: u64 = 1 << POSITION_BITS;

/// Keys a bucket holds on average before the table grows. Fewer cost empty
/// buckets, more cost comparisons of hashes: at 2 a key that is there is found
/// with 1.5.
const KEYS_PER_BUCKET_MAX: usize = 2;

/// Keys and values, found by key and walked in order of position.
#[derive(Debug)]
pub(super) struct Table<V> {
    buckets: Vec<Vec<Item<V>>>,
    level: u32,
    len: usize,
    seed: u64,
}

#[derive(Debug)]
struct Item<V> {
    hash: u64,
    key: OwnKey,
    value: V,
}

impl<V> Item<V> {
    /// What walks go by; keys of one hash by themselves.
    fn rank(&self) -> (u64, &[u8]) {
        (self.hash.reverse_bits(), &self.key)
    }
}

impl<V> Table<V> {
    /// An empty table. Whoever knows `seed` can choose keys that collide.
    pub(super) fn new(seed: u64) -> Self {
        Self { buckets: vec![Vec::new()], level: 0, len: 0, seed }
    }

    /// Moves everything to where it belongs under another seed.
    pub(super) fn reseed(&mut self, seed: u64) {
        let old = std::mem::replace(self, Self::new(seed));
        for item in old.buckets.into_iter().flatten() {
            self.insert_own(item.key, item.value);
        }
    }

    /// Puts in a key that is not there.
    #[cfg(test)]
    fn insert(&mut self, key: &[u8], value: V) {
        self.insert_own(OwnKey::from(key), value);
    }

    fn insert_own(&mut self, key: OwnKey, value: V) {
        let hash = self.hash(&key);
        let bucket = self.bucket_of(hash);
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            debug_assert!(bucket.iter().all(|item| *item.key != *key), "a key is there twice");
            // Buckets are many and small: spare room in each would be most of
            // the table.
            bucket.reserve_exact(1);
            bucket.push(Item { hash, key, value });
            self.on_added();
        }
    }

    fn on_added(&mut self) {
        self.len += 1;
        if self.len > self.buckets.len().saturating_mul(KEYS_PER_BUCKET_MAX) {
            self.split_one();
        }
    }

    /// Gives a key a value. The one that it had.
    pub(super) fn put(&mut self, key: &[u8], value: V) -> Option<V> {
        let hash = self.hash(key);
        let bucket = self.bucket_of(hash);
        let bucket = self.buckets.get_mut(bucket)?;
        let item = bucket.iter_mut().find(|item| item.hash == hash && *item.key == *key);
        if let Some(item) = item {
            return Some(std::mem::replace(&mut item.value, value));
        }
        bucket.reserve_exact(1);
        bucket.push(Item { hash, key: OwnKey::from(key), value });
        self.on_added();
        None
    }

    /// Looks where keys are, or would be, and does nothing else. A table larger
    /// than the caches waits for memory at every key; looked for together, a
    /// dozen of keys wait for it together. `touch` looks at a value; buckets that
    /// are split when the keys are new are looked at as well.
    pub(super) fn warm<'a>(&self, keys: impl Iterator<Item = &'a [u8]>, touch: impl Fn(&V) -> u64) {
        let mut buckets: Vec<usize> = keys.map(|key| self.bucket_of(self.hash(key))).collect();
        if self.len + buckets.len() > self.buckets.len().saturating_mul(KEYS_PER_BUCKET_MAX) {
            let source = self.buckets.len() - (1 << self.level);
            buckets.extend(source..source + buckets.len() / KEYS_PER_BUCKET_MAX);
        }
        let items = |bucket: &usize| self.buckets.get(*bucket).map_or(0, Vec::len);
        black_box(buckets.iter().map(items).sum::<usize>());
        let all = || buckets.iter().filter_map(|bucket| self.buckets.get(*bucket)).flatten();
        black_box(all().fold(0, |seen, item| seen ^ item.hash));
        black_box(all().fold(0, |seen, item| seen ^ touch(&item.value)));
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let hash = self.hash(key);
        let bucket = self.bucket_of(hash);
        let bucket = self.buckets.get_mut(bucket)?;
        let at = bucket.iter().position(|item| item.hash == hash && *item.key == *key)?;
        let item = bucket.swap_remove(at);
        bucket.shrink_to_fit();
        self.len -= 1;
        // Two for one, or it would still be large when it is empty.
        for _ in 0..2 {
            if self.len < self.buckets.len().saturating_mul(KEYS_PER_BUCKET_MAX) / 4 {
                self.merge_one();
            }
        }
        Some(item.value)
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let hash = self.hash(key);
        let bucket = self.bucket_of(hash);
        let mut items = self.buckets.get_mut(bucket)?.iter_mut();
        let item = items.find(|item| item.hash == hash && *item.key == *key)?;
        Some(&mut item.value)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        let hash = self.hash(key);
        let mut items = self.buckets.get(self.bucket_of(hash))?.iter();
        items.find(|item| item.hash == hash && *item.key == *key).map(|item| &item.value)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What keys are hashed under.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Where walks meet a key.
    pub(super) fn position(&self, key: &[u8]) -> u64 {
        position_of(self.hash(key))
    }

    /// Appends what one bucket holds from `position` on, in order, to `met`.
    /// Where to go on; `None` at the end. Past the end there is nothing.
    pub(super) fn walk<'a>(
        &'a self,
        position: u64,
        met: &mut Vec<(&'a [u8], &'a V)>,
    ) -> Option<u64> {
        if position >= POSITION_END {
            return None;
        }
        let bucket = self.bucket_of((position << (u64::BITS - POSITION_BITS)).reverse_bits());
        let is_behind = |item: &&Item<V>| position_of(item.hash) >= position;
        let mut items: Vec<&Item<V>> = self.buckets.get(bucket)?.iter().filter(is_behind).collect();
        items.sort_unstable_by_key(|item| item.rank());
        met.extend(items.into_iter().map(|item| (&*item.key, &item.value)));
        let bits = self.bits_of(bucket).min(POSITION_BITS);
        let width = POSITION_END >> bits;
        let next = (position / width + 1) * width;
        (next < POSITION_END).then_some(next)
    }

    /// Takes up to `len` buckets off, and leaves a ruin in which nothing is found.
    /// `None`: nothing is left.
    pub(super) fn take_apart(&mut self, len: usize) -> Option<impl Iterator<Item = V>> {
        let rest = self.buckets.len().saturating_sub(len);
        let off = self.buckets.split_off(rest);
        (!off.is_empty()).then(|| off.into_iter().flatten().map(|item| item.value))
    }

    fn hash(&self, key: &[u8]) -> u64 {
        xxh3_64_with_seed(key, self.seed)
    }

    fn bucket_of(&self, hash: u64) -> usize {
        let of_bits = |bits: u32| usize::try_from(hash & ((1 << bits) - 1)).unwrap_or_default();
        let bucket = of_bits(self.level + 1);
        if bucket < self.buckets.len() { bucket } else { of_bits(self.level) }
    }

    /// How many bits of the hash decide that a key is in this bucket.
    fn bits_of(&self, bucket: usize) -> u32 {
        let lower = 1_usize << self.level;
        let is_split = bucket >= lower || bucket < self.buckets.len() - lower;
        self.level + u32::from(is_split)
    }

    /// Grows by one bucket, which takes its keys from one other.
    fn split_one(&mut self) {
        let new = self.buckets.len();
        let source = new - (1 << self.level);
        let bit = 1_u64 << self.level;
        self.buckets.push(Vec::new());
        if self.buckets.len() == 1 << (self.level + 1) {
            self.level += 1;
        }
        let Some(bucket) = self.buckets.get_mut(source) else { return };
        let moves = bucket.iter().filter(|item| item.hash & bit != 0).count();
        if moves == 0 {
            return;
        }
        let mut stay = Vec::with_capacity(bucket.len() - moves);
        let mut go = Vec::with_capacity(moves);
        for item in bucket.drain(..) {
            if item.hash & bit == 0 { stay.push(item) } else { go.push(item) }
        }
        *bucket = stay;
        if let Some(bucket) = self.buckets.get_mut(new) {
            *bucket = go;
        }
    }

    /// Shrinks by one bucket, whose keys go back to where they came from.
    fn merge_one(&mut self) {
        if self.buckets.len() == 1 {
            return;
        }
        if let Some(last) = self.buckets.pop() {
            if self.buckets.len() < 1 << self.level {
                self.level -= 1;
            }
            let target = self.buckets.len() - (1 << self.level);
            if let Some(target) = self.buckets.get_mut(target) {
                target.reserve_exact(last.len());
                target.extend(last);
            }
        }
        if self.buckets.capacity() > self.buckets.len().saturating_mul(4) {
            self.buckets.shrink_to(self.buckets.len().saturating_mul(2));
        }
    }
}

/// Where walks meet a key of this hash.
fn position_of(hash: u64) -> u64 {
    hash.reverse_bits() >> (u64::BITS - POSITION_BITS)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn key(number: u64) -> Box<[u8]> {
        format!("key-{number}").into_bytes().into()
    }

    fn walked(table: &Table<u64>, from: u64) -> (Vec<u64>, Option<u64>) {
        let mut met = Vec::new();
        let next = table.walk(from, &mut met);
        (met.into_iter().map(|(_, value)| *value).collect(), next)
    }

    fn walked_all(table: &Table<u64>) -> Vec<u64> {
        let mut all = Vec::new();
        let mut position = Some(0);
        while let Some(from) = position {
            let (met, next) = walked(table, from);
            all.extend(met);
            position = next;
        }
        all
    }

    #[test]
    fn it_holds_what_a_map_holds_through_growth_and_shrinking() {
        let mut table = Table::new(7);
        let mut model = BTreeMap::new();
        let mut random = 1_u64;
        for step in 0..40_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
            let key = key((random >> 33) % 3_000);
            // Grows for a while, then shrinks.
            let removes = if step % 20_000 < 10_000 { 3 } else { 7 };
            if (random >> 20) % 10 < removes {
                assert_eq!(table.remove(&key), model.remove(&key));
            } else if let Some(value) = table.get_mut(&key) {
                *value = step;
                model.insert(key, step);
            } else {
                table.insert(&key, step);
                assert_eq!(model.insert(key, step), None);
            }
            assert_eq!(table.len(), model.len());
        }
        assert!(model.len() > 500, "the table never was large");
        for number in 0..3_000 {
            assert_eq!(table.get(&key(number)), model.get(&key(number)));
        }
        let all: BTreeSet<u64> = walked_all(&table).into_iter().collect();
        assert_eq!(all, model.values().copied().collect());
        for number in 0..3_000 {
            table.remove(&key(number));
        }
        assert_eq!(table.len(), 0);
        assert!(table.buckets.len() <= 2, "{} buckets for nothing", table.buckets.len());
    }

    #[test]
    fn a_walk_meets_every_key_that_stays_exactly_once_whatever_else_happens() {
        for seed in 0..30 {
            let mut table = Table::new(seed);
            for number in 0..500 {
                table.insert(&key(number), number);
            }
            let mut met = Vec::new();
            let mut position = Some(0);
            let mut step = 0;
            while let Some(from) = position {
                let (values, next) = walked(&table, from);
                met.extend(values.into_iter().filter(|value| *value < 500));
                position = next;
                step += 1;
                // The table triples and shrinks below what it was.
                for number in 0..20 {
                    if step % 100 < 50 {
                        table.insert(&key(1_000 + step * 20 + number), 1_000);
                    } else {
                        table.remove(&key(1_000 + (step - 50) * 20 + number));
                    }
                }
            }
            met.sort_unstable();
            assert_eq!(met, (0..500).collect::<Vec<u64>>(), "seed {seed}");
        }
    }

    #[test]
    fn the_order_of_a_walk_follows_from_contents_and_seed_alone() {
        let mut one = Table::new(3);
        let mut other = Table::new(4);
        for number in 0..1_000 {
            one.insert(&key(number), number);
            other.insert(&key(2_000 - number), 2_000 - number);
        }
        other.reseed(3);
        for number in 1_000..=2_000 {
            other.remove(&key(number));
        }
        for number in 0..1_000 {
            other.remove(&key(number));
            other.insert(&key(number), number);
        }
        assert_eq!(walked_all(&one), walked_all(&other));
        assert!(!walked_all(&one).is_sorted(), "the order of a walk is that of the keys");
    }

    #[test]
    fn positions_past_the_end_hold_nothing() {
        let mut table = Table::new(1);
        table.insert(&key(1), 1);
        for position in [POSITION_END, u64::MAX] {
            assert_eq!(walked(&table, position), (Vec::new(), None));
        }
        assert_eq!(walked(&table, POSITION_END - 1).1, None);
    }
}
