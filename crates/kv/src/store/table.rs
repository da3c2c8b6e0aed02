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
//! Items lie side by side in the order in which they came, and a bucket is a
//! chain through them: the place of its first item, and in each the place of
//! the next. So a new key costs no allocation of its own, and a bucket that is
//! split moves nothing. Where one is taken out the last one takes its place.
//!
//! A bucket knows some bits of its first item's hash and whether others follow
//! (`table/head.rs`). So a key that is not there is mostly told, and a bucket is
//! mostly split, without a look at an item, which lies in no cache as a rule.
//!
//! Invariants
//! - `2^level <= buckets < 2^(level + 1)`; a bucket below `buckets - 2^level`,
//!   or from `2^level` on, takes its keys by `level + 1` bits, others by
//!   `level`.
//! - Every item is in the chain of its hash's bucket, once.
//! - Equal contents under equal seeds are walked in equal order.
//!
//! Not here: what the values are, looks at keys ahead of time (`table/ahead.rs`),
//! and a table made of keys that come all at once (`table/building.rs`).

mod ahead;
mod building;
mod head;
mod own_key;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::store::table::head::Head;
use crate::store::table::own_key::OwnKey;
use crate::value::pages::Pages;

pub(super) use ahead::Before;
pub(super) use building::Building;

/// Bits of a position. A cursor of a client is a position and a group of 14
/// bits, and some clients keep cursors in 53 bits. Keys of one position are
/// met together, and half a trillion positions are enough to tell keys apart.
pub(super) const POSITION_BITS: u32 = 39;

/// Where all walks end.
const POSITION_END: u64 = 1 << POSITION_BITS;

/// Keys a bucket holds on average before the table grows. An empty bucket costs
/// a word, a second key in one a cache miss at each key behind it.
const KEYS_PER_BUCKET_MAX: usize = 1;

/// The place behind the end of a chain: no item has it.
const NOWHERE: usize = usize::MAX;

/// Keys and values, found by key and walked in order of position.
#[derive(Debug)]
pub(super) struct Table<V> {
    /// Where each bucket's chain begins.
    heads: Pages<Head>,
    items: Pages<Item<V>>,
    level: u32,
    seed: u64,
}

/// What a key hashed to, and under which seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashed {
    hash: u64,
    seed: u64,
}

#[derive(Debug)]
struct Item<V> {
    hash: u64,
    /// The next of its bucket.
    next: usize,
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
        let mut heads = Pages::new();
        heads.push(Head::EMPTY);
        Self { heads, items: Pages::new(), level: 0, seed }
    }

    /// Moves everything to where it belongs under another seed.
    pub(super) fn reseed(&mut self, seed: u64) {
        let old = std::mem::replace(self, Self::new(seed));
        for item in old.items.into_iter() {
            let hash = self.hash(&item.key);
            self.add(hash, item.key, item.value);
        }
    }

    /// Puts in a key that is not there.
    #[cfg(test)]
    fn insert(&mut self, key: &[u8], value: V) {
        assert!(self.put(key, value).is_none(), "a key is there twice");
    }

    /// Puts in a key that is not there, which hashes so.
    fn add(&mut self, hash: u64, key: OwnKey, value: V) {
        let at = self.items.len();
        let bucket = self.bucket_of(hash);
        if let Some(head) = self.heads.get_mut(bucket) {
            let next = head.first();
            *head = head.preceded_by(at, hash);
            self.items.push(Item { hash, next, key, value });
        }
        if self.items.len() > self.heads.len() * KEYS_PER_BUCKET_MAX {
            self.split_one();
        }
    }

    /// Gives a key a value. The one that it had.
    pub(super) fn put(&mut self, key: &[u8], value: V) -> Option<V> {
        let hash = self.hash(key);
        if let Some(item) = self.place_of(hash, key).and_then(|at| self.items.get_mut(at)) {
            return Some(std::mem::replace(&mut item.value, value));
        }
        self.add(hash, OwnKey::from(key), value);
        None
    }

    /// What a key hashes to, for who asks more than once for it.
    #[inline]
    pub(super) fn hashed(&self, key: &[u8]) -> Hashed {
        Hashed { hash: self.hash(key), seed: self.seed }
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let hash = self.hash(key);
        let at = self.place_of(hash, key)?;
        let next = self.items.get(at)?.next;
        self.relink(hash, at, next);
        let last = self.items.len() - 1;
        let moved = self.items.get(last)?.hash;
        let item = self.items.swap_remove(at)?;
        if last != at {
            self.relink(moved, last, at);
        }
        // Four for one, or it would still be large when it is empty.
        for _ in 0..4 {
            if self.items.len() < self.heads.len() * KEYS_PER_BUCKET_MAX / 4 {
                self.merge_one();
            }
        }
        Some(item.value)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        self.get_mut_hashed(key, self.hashed(key))
    }

    /// The same, of a key that was hashed before.
    #[inline]
    pub(super) fn get_mut_hashed(&mut self, key: &[u8], hashed: Hashed) -> Option<&mut V> {
        // Another seed came between.
        let hash = if hashed.seed == self.seed { hashed.hash } else { self.hash(key) };
        let at = self.place_of(hash, key)?;
        self.items.get_mut(at).map(|item| &mut item.value)
    }

    #[inline]
    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        let at = self.place_of(self.hash(key), key)?;
        self.items.get(at).map(|item| &item.value)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
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
        let (bucket, next) = self.bucket_at(position);
        let is_behind = |item: &&Item<V>| position_of(item.hash) >= position;
        let mut items: Vec<&Item<V>> = self.chain(bucket).filter(is_behind).collect();
        items.sort_unstable_by_key(|item| item.rank());
        met.extend(items.into_iter().map(|item| (&*item.key, &item.value)));
        next
    }

    /// The bucket in which a position is, and where the next one begins.
    fn bucket_at(&self, position: u64) -> (usize, Option<u64>) {
        let bucket = self.bucket_of((position << (u64::BITS - POSITION_BITS)).reverse_bits());
        let bits = self.bits_of(bucket).min(POSITION_BITS);
        let width = POSITION_END >> bits;
        let next = (position / width + 1) * width;
        (bucket, (next < POSITION_END).then_some(next))
    }

    /// Takes up to `len` items off, and leaves a ruin in which nothing is to be
    /// looked for. `None`: nothing is left.
    pub(super) fn take_apart(&mut self, len: usize) -> Option<impl Iterator<Item = V> + use<V>> {
        let off = self.items.take_off(len);
        let heads = self.heads.take_off(len);
        let is_over = off.is_empty() && heads.is_empty();
        (!is_over).then(|| off.into_iter().map(|item| item.value))
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        xxh3_64_with_seed(key, self.seed)
    }

    #[inline]
    fn bucket_of(&self, hash: u64) -> usize {
        let of_bits = |bits: u32| usize::try_from(hash & ((1 << bits) - 1)).unwrap_or_default();
        let bucket = of_bits(self.level + 1);
        if bucket < self.heads.len() { bucket } else { of_bits(self.level) }
    }

    /// How many bits of the hash decide that a key is in this bucket.
    fn bits_of(&self, bucket: usize) -> u32 {
        let lower = 1_usize << self.level;
        let is_split = bucket >= lower || bucket < self.heads.len() - lower;
        self.level + u32::from(is_split)
    }

    /// The items of a bucket.
    #[inline]
    fn chain(&self, bucket: usize) -> impl Iterator<Item = &Item<V>> {
        let first = self.items.get(self.head_of(bucket).first());
        std::iter::successors(first, |item| self.items.get(item.next))
    }

    #[inline]
    fn head_of(&self, bucket: usize) -> Head {
        self.heads.get(bucket).copied().unwrap_or(Head::EMPTY)
    }

    /// Where the item of a key is that hashes so.
    #[inline]
    fn place_of(&self, hash: u64, key: &[u8]) -> Option<usize> {
        self.place_from(self.head_of(self.bucket_of(hash)).first_for(hash), hash, key)
    }

    /// The same, in the chain from place `at` on.
    #[inline]
    fn place_from(&self, mut at: usize, hash: u64, key: &[u8]) -> Option<usize> {
        loop {
            let item = self.items.get(at)?;
            if item.hash == hash && *item.key == *key {
                return Some(at);
            }
            at = item.next;
        }
    }

    /// Has whatever points at place `from`, in the chain of a hash, point at `to`,
    /// where the item is by now that comes there.
    fn relink(&mut self, hash: u64, from: usize, to: usize) {
        let bucket = self.bucket_of(hash);
        let first = self.head_of(bucket).first();
        if first != from {
            let mut at = first;
            loop {
                let Some(item) = self.items.get_mut(at) else {
                    debug_assert!(false, "an item that is not in the chain of its bucket");
                    return;
                };
                if item.next == from {
                    item.next = to;
                    break;
                }
                at = item.next;
            }
        }
        let first = if first == from { to } else { first };
        let item = self.items.get(first);
        let known = item.map_or(Head::EMPTY, |item| Head::of(first, item.hash, item.next));
        if let Some(head) = self.heads.get_mut(bucket) {
            *head = known;
        }
    }

    /// Grows by one bucket, which takes its keys from one other.
    fn split_one(&mut self) {
        let new = self.heads.len();
        let source = new - (1 << self.level);
        let bit = 1_u64 << self.level;
        if new + 1 == 1 << (self.level + 1) {
            self.level += 1;
        }
        let head = self.head_of(source);
        let (mut stay, mut go) = (Head::EMPTY, Head::EMPTY);
        match head.only_one_has(bit) {
            Some(false) => stay = head,
            Some(true) => go = head,
            None => {
                let mut at = head.first();
                while let Some(item) = self.items.get_mut(at) {
                    let chain = if item.hash & bit == 0 { &mut stay } else { &mut go };
                    let next = std::mem::replace(&mut item.next, chain.first());
                    *chain = chain.preceded_by(at, item.hash);
                    at = next;
                }
            }
        }
        if let Some(head) = self.heads.get_mut(source) {
            *head = stay;
        }
        self.heads.push(go);
    }

    /// Shrinks by one bucket, whose keys go back to where they came from.
    fn merge_one(&mut self) {
        if self.heads.len() == 1 {
            return;
        }
        let Some(chain) = self.heads.pop() else { return };
        if self.heads.len() < 1 << self.level {
            self.level -= 1;
        }
        let target = self.heads.len() - (1 << self.level);
        let mut at = chain.first();
        while let Some(item) = self.items.get_mut(at)
            && let Some(head) = self.heads.get_mut(target)
        {
            let next = std::mem::replace(&mut item.next, head.first());
            *head = head.preceded_by(at, item.hash);
            at = next;
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

    /// What a bucket knows of its chain is so.
    pub(super) fn check_heads(table: &Table<u64>) {
        for bucket in 0..table.heads.len() {
            let head = table.head_of(bucket);
            let known = table.items.get(head.first());
            let known = known.map_or(Head::EMPTY, |it| Head::of(head.first(), it.hash, it.next));
            assert_eq!(head, known, "bucket {bucket}");
        }
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
            if step % 100 == 0 {
                check_heads(&table);
            }
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
        assert!(table.heads.len() <= 4, "{} buckets for nothing", table.heads.len());
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
