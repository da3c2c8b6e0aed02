//! Byte strings to values, in an order that anybody can repeat.
//!
//! Entries lie in one row and in chains, a chain per bucket of hashes, that
//! are linked through the entries. The order of the entries is a function of the
//! changes made, never of a hash, so members that apply the same commands can
//! pick "the entry at position 17" and mean the same one. Putting the entries of
//! one map into an empty one, in order, makes an equal map: that is how a
//! snapshot brings the order along.
//!
//! Linear hashing in rows of pages: buckets are added and dropped one by one, and
//! room is too, so that no change pays for moving a million entries.
//!
//! Invariants
//! - A new entry stands last; a replaced value stays where it is.
//! - While a map is small (`SMALL_LEN_MAX`), removal closes the gap, as in a
//!   small collection of Redis. In a larger one the last entry fills the gap,
//!   because closing it would cost the length of the map.
//! - A small map has no buckets; a larger one has as many as entries, or up to
//!   twice as many after removals. Every entry is in the chain of its bucket.
//! - The seed decides which keys collide and nothing else.
//!
//! Not here: what entries mean, their bytes in the accounts, their digests.

use bytes::BytesMut;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::value::element::Beside;
use crate::value::moment::Watch;
use crate::value::pages::Pages;

/// Up to this many entries a map is searched from the front and keeps its order
/// over removals. Redis's default for compact collections; 128 comparisons of
/// 4 bytes cost about as much as one cache miss in a chain would.
pub(crate) const SMALL_LEN_MAX: usize = 128;

/// Where chains end.
const NOWHERE: u32 = u32::MAX;

/// Byte strings to values, in an order that anybody can repeat.
#[derive(Clone, Debug)]
pub(crate) struct IndexMap<K, V> {
    entries: Pages<Entry<K, V>>,
    /// The position of the first entry of each chain; none while the map is
    /// small.
    buckets: Pages<u32>,
    seed: u64,
    /// While it is read out: told of what is about to change its place or value.
    watch: Watch,
}

#[derive(Clone, Debug)]
struct Entry<K, V> {
    hash: u32,
    /// The position of the next entry of its chain.
    next: u32,
    key: K,
    value: V,
}

/// The same entries in the same order, whatever the seeds.
impl<K: AsRef<[u8]>, V: Beside + PartialEq> PartialEq for IndexMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        let pair = |(key, value): (&K, &V), (other_key, other_value): (&K, &V)| {
            key.as_ref() == other_key.as_ref() && value == other_value
        };
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|(one, another)| pair(one, another))
    }
}

impl<K: AsRef<[u8]>, V: Beside + Eq> Eq for IndexMap<K, V> {}

impl<K: AsRef<[u8]>, V: Beside> IndexMap<K, V> {
    /// An empty map. `seed` scatters keys and shows nowhere.
    pub(crate) fn new(seed: u64) -> Self {
        Self { entries: Pages::new(), buckets: Pages::new(), seed, watch: Watch::default() }
    }

    /// Puts `value` at `key`, which must not be there.
    ///
    /// # Panics
    /// With 2^32 entries, which no memory holds: each takes 40 bytes and more.
    pub(crate) fn push_new(&mut self, key: K, value: V) {
        debug_assert!(self.position(key.as_ref()).is_none(), "a key stands in a map once");
        let hash = self.hash(key.as_ref());
        let position = position_of(self.entries.len());
        self.entries.push(Entry { hash, next: NOWHERE, key, value });
        if self.entries.len() <= SMALL_LEN_MAX {
            return;
        }
        if self.buckets.is_empty() {
            self.link_all();
        } else {
            self.link(position);
            self.add_bucket();
        }
    }

    /// Takes the entry at `position` out.
    pub(crate) fn remove_at(&mut self, position: usize) -> Option<(K, V)> {
        let last = self.entries.len().checked_sub(1).filter(|last| position <= *last)?;
        if self.watch.is_on() {
            self.save_moved(position, last);
        }
        let entry = if self.entries.len() <= SMALL_LEN_MAX {
            self.entries.remove_from_first(position)?
        } else {
            self.unlink(position_of(position));
            if position != last {
                self.relink(position_of(last), position_of(position));
            }
            self.entries.swap_remove(position)?
        };
        self.shrink();
        Some((entry.key, entry.value))
    }

    /// Takes the entry of `key` out.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<(K, V)> {
        self.remove_at(self.position(key)?)
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let position = self.position(key)?;
        let entry = self.entries.get_mut(position)?;
        self.watch.save(position, |into| V::put(entry.key.as_ref(), &entry.value, into));
        Some(&mut entry.value)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&V> {
        self.entries.get(self.position(key)?).map(|entry| &entry.value)
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.position(key).is_some()
    }

    /// The entry at `position`.
    pub(crate) fn at(&self, position: usize) -> Option<(&K, &V)> {
        self.entries.get(position).map(|entry| (&entry.key, &entry.value))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All entries in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        self.entries.iter().map(|entry| (&entry.key, &entry.value))
    }

    /// One step of a walk over all entries that survives changes in between:
    /// from `cursor` at most `len_max` of them, and the next cursor, 0 at the
    /// end. A small map is shown whole in one step.
    ///
    /// The walk goes from the last to the first. Whatever a removal moves comes
    /// from the end, where the walk has been, so it never misses an entry that
    /// was there all the time; it may show one twice.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        len_max: usize,
    ) -> (u64, impl Iterator<Item = (&K, &V)>) {
        let len = self.entries.len();
        let end = match usize::try_from(cursor) {
            Ok(cursor) if cursor != 0 && len > SMALL_LEN_MAX => cursor.min(len),
            _ => len,
        };
        let start = if len > SMALL_LEN_MAX { end.saturating_sub(len_max.max(1)) } else { 0 };
        let next = u64::try_from(start).unwrap_or_default();
        (next, self.entries.range(start..end).map(|entry| (&entry.key, &entry.value)))
    }

    /// Where whoever reads it out is kept.
    pub(crate) fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    /// Appends an element as it stands in a snapshot.
    pub(crate) fn put_element(&self, position: usize, into: &mut BytesMut) {
        if let Some(entry) = self.entries.get(position) {
            V::put(entry.key.as_ref(), &entry.value, into);
        }
    }

    /// Drops up to `len` entries, and with the first the means to find any.
    pub(crate) fn shed(&mut self, len: usize) -> bool {
        self.buckets = Pages::new();
        drop(self.entries.take_off(len));
        !self.entries.is_empty()
    }

    /// What a removal takes out or moves is told to whoever reads the map out.
    fn save_moved(&mut self, position: usize, last: usize) {
        let moved = if last < SMALL_LEN_MAX { position + 1..last + 1 } else { last..last + 1 };
        for position in std::iter::once(position).chain(moved) {
            if let Some(entry) = self.entries.get(position) {
                let put = |into: &mut BytesMut| V::put(entry.key.as_ref(), &entry.value, into);
                self.watch.save(position, put);
            }
        }
    }

    fn position(&self, key: &[u8]) -> Option<usize> {
        let hash = self.hash(key);
        let is_it = |entry: &Entry<K, V>| entry.hash == hash && entry.key.as_ref() == key;
        if self.buckets.is_empty() {
            return self.entries.iter().position(is_it);
        }
        let mut at = *self.buckets.get(self.bucket(hash))?;
        loop {
            let entry = self.entries.get(index_of(at))?;
            if is_it(entry) {
                return Some(index_of(at));
            }
            at = entry.next;
        }
    }

    fn hash(&self, key: &[u8]) -> u32 {
        let [a, b, c, d, ..] = xxh3_64_with_seed(key, self.seed).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// The bucket of a hash: as many of its low bits as tell all buckets apart,
    /// or one less, if that bucket hasn't been added yet.
    fn bucket(&self, hash: u32) -> usize {
        let mask = self.buckets.len().next_power_of_two() - 1;
        let bucket = index_of(hash) & mask;
        if bucket < self.buckets.len() { bucket } else { bucket & (mask >> 1) }
    }

    /// Makes buckets, and links all entries.
    fn link_all(&mut self) {
        self.buckets = Pages::new();
        for _ in 0..self.entries.len() {
            self.buckets.push(NOWHERE);
        }
        for position in 0..self.entries.len() {
            self.link(position_of(position));
        }
    }

    /// Puts an entry first in its chain.
    fn link(&mut self, position: u32) {
        let Some(hash) = self.entries.get(index_of(position)).map(|entry| entry.hash) else {
            return;
        };
        let bucket = self.bucket(hash);
        if let Some(first) = self.buckets.get_mut(bucket)
            && let Some(entry) = self.entries.get_mut(index_of(position))
        {
            entry.next = std::mem::replace(first, position);
        }
    }

    /// Takes an entry out of its chain.
    fn unlink(&mut self, position: u32) {
        let next = self.entries.get(index_of(position)).map(|entry| entry.next);
        self.relink(position, next.unwrap_or(NOWHERE));
    }

    /// Makes what leads to an entry lead elsewhere.
    fn relink(&mut self, position: u32, to: u32) {
        let Some(hash) = self.entries.get(index_of(position)).map(|entry| entry.hash) else {
            return;
        };
        let bucket = self.bucket(hash);
        let Some(first) = self.buckets.get_mut(bucket) else { return };
        if *first == position {
            *first = to;
            return;
        }
        let mut at = *first;
        while let Some(entry) = self.entries.get_mut(index_of(at)) {
            if entry.next == position {
                entry.next = to;
                return;
            }
            at = entry.next;
        }
    }

    /// Adds a bucket, which shares the entries of another.
    fn add_bucket(&mut self) {
        let added = self.buckets.len();
        let shared = added & !(1 << added.ilog2());
        self.buckets.push(NOWHERE);
        self.link_again(shared);
    }

    /// Drops the last bucket, whose entries go to the one it shared them with.
    fn drop_bucket(&mut self) {
        if let Some(first) = self.buckets.pop() {
            self.link_chain(first);
        }
    }

    /// Links the entries of a bucket once more.
    fn link_again(&mut self, bucket: usize) {
        if let Some(first) = self.buckets.get_mut(bucket) {
            let first = std::mem::replace(first, NOWHERE);
            self.link_chain(first);
        }
    }

    fn link_chain(&mut self, first: u32) {
        let mut at = first;
        while let Some(next) = self.entries.get(index_of(at)).map(|entry| entry.next) {
            self.link(at);
            at = next;
        }
    }

    /// Gives memory back after a removal; a half-empty map keeps it.
    fn shrink(&mut self) {
        let len = self.entries.len();
        if len <= SMALL_LEN_MAX {
            self.buckets = Pages::new();
        } else {
            // Two, as a rule: each removal makes room for as many less.
            while self.buckets.len() > len.saturating_mul(2) {
                self.drop_bucket();
            }
        }
        self.entries.shrink();
        self.buckets.shrink();
    }
}

fn position_of(index: usize) -> u32 {
    let position = u32::try_from(index).ok().filter(|position| *position != NOWHERE);
    position.expect("a collection has fewer than 2^32 entries of 40 bytes and more")
}

fn index_of(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::random::Random;

    impl Beside for u64 {
        fn put(key: &[u8], beside: &Self, into: &mut BytesMut) {
            Beside::put(key, &Box::<[u8]>::from(beside.to_le_bytes()), into);
        }
    }

    type Map = IndexMap<Box<[u8]>, u64>;

    fn key(number: u64) -> Box<[u8]> {
        number.to_string().into_bytes().into()
    }

    fn filled(seed: u64, len: u64) -> Map {
        let mut map = Map::new(seed);
        for number in 0..len {
            map.push_new(key(number), number);
        }
        map
    }

    fn order(map: &Map) -> Vec<u64> {
        map.iter().map(|(_, value)| *value).collect()
    }

    #[test]
    fn a_map_answers_as_a_naive_one_does_through_growing_and_shrinking() {
        let mut random = Random::new(7);
        let mut map = Map::new(1);
        let mut naive: Vec<(u64, u64)> = Vec::new();
        for step in 0..30_000_u64 {
            // Long stretches of growth, then of decline.
            let grows = step / 3_000 % 2 == 0;
            let number = random.below(900);
            let at = naive.iter().position(|(known, _)| *known == number);
            match (grows, at) {
                (true, None) => {
                    map.push_new(key(number), step);
                    naive.push((number, step));
                }
                (true, Some(at)) => {
                    naive[at].1 = step;
                    *map.get_mut(&key(number)).unwrap() = step;
                }
                (false, None) => assert!(map.remove(&key(number)).is_none()),
                (false, Some(at)) => {
                    let removed = if naive.len() <= SMALL_LEN_MAX {
                        naive.remove(at)
                    } else {
                        naive.swap_remove(at)
                    };
                    assert_eq!(map.remove(&key(number)), Some((key(number), removed.1)));
                }
            }
            let probe = random.below(900);
            let known = naive.iter().find(|(known, _)| *known == probe).map(|(_, value)| *value);
            assert_eq!(map.get(&key(probe)).copied(), known);
            assert_eq!(map.contains(&key(probe)), known.is_some());
        }
        let expected: Vec<u64> = naive.iter().map(|(_, value)| *value).collect();
        assert_eq!(order(&map), expected);
        assert!(map.len() > SMALL_LEN_MAX || map.buckets.is_empty());
    }

    /// What makes a lookup cost the same at any size.
    #[test]
    fn buckets_follow_the_entries_and_chains_stay_short() {
        let mut map = filled(1, 20_000);
        assert_eq!(map.buckets.len(), 20_000);
        let longest = |map: &Map| {
            let len = |first: &u32| {
                let mut len = 0;
                let mut at = *first;
                while let Some(entry) = map.entries.get(index_of(at)) {
                    assert_eq!(map.buckets.get(map.bucket(entry.hash)), Some(first));
                    len += 1;
                    at = entry.next;
                }
                len
            };
            let lens: Vec<usize> = map.buckets.iter().map(len).collect();
            assert_eq!(lens.iter().sum::<usize>(), map.len());
            lens.into_iter().max().unwrap()
        };
        assert!(longest(&map) < 16);
        for number in 0..19_000 {
            map.remove(&key(number)).unwrap();
        }
        assert_eq!(map.buckets.len(), 2_000);
        assert!(longest(&map) < 16);
    }

    #[test]
    fn the_order_does_not_depend_on_the_seed() {
        let (mut one, mut other) = (filled(1, 500), filled(2, 500));
        for number in [3, 499, 0, 250, 17] {
            one.remove(&key(number)).unwrap();
            other.remove(&key(number)).unwrap();
        }
        assert_eq!(order(&one), order(&other));
    }

    #[test]
    fn a_small_map_keeps_its_order_over_removals() {
        let mut map = filled(1, 5);
        map.remove(&key(1)).unwrap();
        map.push_new(key(9), 9);
        assert_eq!(order(&map), [0, 2, 3, 4, 9]);
    }

    /// A snapshot rebuilds a map by its order; later changes must not tell the
    /// rebuilt one from the first.
    #[test]
    fn a_rebuilt_map_goes_on_as_the_first_does() {
        let mut random = Random::new(3);
        let mut map = filled(1, 300);
        for _ in 0..200 {
            map.remove_at(usize::try_from(random.below(map.len() as u64)).unwrap());
        }
        let mut rebuilt = Map::new(77);
        for (key, value) in map.iter() {
            rebuilt.push_new(key.clone(), *value);
        }
        for number in 0..300 {
            assert_eq!(map.remove(&key(number)), rebuilt.remove(&key(number)));
            assert_eq!(order(&map), order(&rebuilt));
        }
    }

    #[test]
    fn a_walk_shows_everything_that_was_there_all_the_time() {
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let mut map = filled(seed, 400);
            let mut missing: Vec<u64> = (0..400).collect();
            let mut cursor = 0;
            loop {
                let (next, shown) = map.scan(cursor, 10);
                let shown: Vec<u64> = shown.map(|(_, value)| *value).collect();
                missing.retain(|number| !shown.contains(number));
                cursor = next;
                if cursor == 0 {
                    break;
                }
                // Odd numbers come and go; even ones stay.
                for _ in 0..random.below(40) {
                    let odd = random.below(200) * 2 + 1;
                    if map.remove(&key(odd)).is_none() {
                        map.push_new(key(odd), odd);
                    }
                }
            }
            missing.retain(|number| number % 2 == 0);
            assert!(missing.is_empty(), "seed {seed}: {missing:?}");
        }
    }

    #[test]
    fn a_walk_ends_at_any_cursor_a_client_makes_up() {
        let map = filled(1, 400);
        for cursor in [u64::MAX, 401, 1] {
            let (next, shown) = map.scan(cursor, 10);
            assert!(shown.count() <= 10);
            assert!(next < 400);
        }
        assert_eq!(filled(1, 9).scan(5, 1).1.count(), 9);
    }

    #[test]
    fn memory_goes_back_when_entries_go() {
        let mut map = filled(1, 10_000);
        for number in 0..9_990 {
            map.remove(&key(number)).unwrap();
        }
        assert!(map.entries.capacity() <= 10 * 4 + 8);
        assert!(map.buckets.is_empty());
    }
}
