//! Looks at keys ahead of time.
//!
//! A table larger than the caches waits for memory at every key: bucket, item,
//! value, one after the other. Looked for together, a dozen of keys wait for it
//! together. So those who know what comes, a batch of commands, the reads of a
//! round or a walk, have it looked for before.
//!
//! Nothing depends on it but time.

use std::hint::black_box;

use crate::store::table::head::Head;
use crate::store::table::{Hashed, KEYS_PER_BUCKET_MAX, NOWHERE, POSITION_END, Table};

/// Items of a chain that are looked at ahead. At one key a bucket, and two in those
/// that are split next, one key in a hundred lies behind so many others.
const WARMED_PER_CHAIN: usize = 4;

/// Buckets that are looked at ahead of a walk, one key in each on average: as
/// many as keys are looked for together before they are written.
const WARMED_BUCKETS: usize = 32;

/// What comes behind a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Before {
    Reads,
    Writes,
}

/// A look along a chain, ahead of time.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Where it has come to.
    at: usize,
    /// Of the key that it is for. `None`: for all of them.
    hash: Option<u64>,
}

impl<V> Table<V> {
    /// Looks where keys are, or would be, and does nothing else. `touch` looks at
    /// a value; before writes, buckets that keys split which are new are looked at
    /// as well.
    pub(in crate::store) fn warm(
        &self,
        keys: impl Iterator<Item = Hashed>,
        before: Before,
        touch: impl Fn(&V) -> u64,
    ) {
        // All hashes, then all heads, then all items: each a row of loads with
        // nothing between them, as many as the processor has under way.
        // Room for all at once: of keys that are filtered as they come a list is
        // made for four, and moved as it grows.
        let mut looks = Vec::with_capacity(keys.size_hint().1.unwrap_or_default());
        let in_bucket = |key: Hashed| Look { at: self.bucket_of(key.hash), hash: Some(key.hash) };
        looks.extend(keys.map(in_bucket));
        for look in &mut looks {
            let head = self.head_of(look.at);
            look.at = look.hash.map_or(NOWHERE, |hash| head.first_for(hash));
        }
        let new = self.look_along(looks, touch);
        if before == Before::Writes && new > 0 {
            let split = self.next_to_split(new).map(|at| Look { at, hash: None });
            self.look_along(split.collect(), |_| 0);
        }
    }

    /// Looks where the next walks from `position` on come by, and does nothing
    /// else. How far it looked: the first position behind that.
    pub(in crate::store) fn warm_walk(&self, position: u64, touch: impl Fn(&V) -> u64) -> u64 {
        let mut looks = Vec::with_capacity(WARMED_BUCKETS);
        let mut until = position;
        while until < POSITION_END && looks.len() < WARMED_BUCKETS {
            let (bucket, next) = self.bucket_at(until);
            looks.push(Look { at: self.head_of(bucket).first(), hash: None });
            until = next.unwrap_or(POSITION_END);
        }
        self.look_along(looks, touch);
        until
    }

    /// Looks along chains, item by item of all of them, until what each is for is
    /// there. How many came to an end in vain.
    #[inline]
    fn look_along(&self, mut looks: Vec<Look>, touch: impl Fn(&V) -> u64) -> usize {
        let (mut seen, mut vain) = (0, 0);
        for _ in 0..WARMED_PER_CHAIN {
            let items = looks.iter().filter_map(|look| self.items.get(look.at));
            black_box(items.fold(0, |seen, item| seen ^ item.hash));
            looks.retain_mut(|look| {
                let Some(item) = self.items.get(look.at) else {
                    vain += 1;
                    return false;
                };
                if look.hash.is_none_or(|hash| hash == item.hash) {
                    seen ^= touch(&item.value);
                }
                look.at = item.next;
                look.hash != Some(item.hash)
            });
        }
        black_box(seen);
        vain
    }

    /// Where the chains of several begin that are split if `len` keys are new.
    fn next_to_split(&self, len: usize) -> impl Iterator<Item = usize> {
        let buckets = (self.items.len() + len).div_ceil(KEYS_PER_BUCKET_MAX);
        let len = buckets.saturating_sub(self.heads.len());
        let source = self.heads.len() - (1 << self.level);
        let heads = (source..source + len).map(|bucket| self.head_of(bucket));
        heads.filter(|head| head.has_more()).map(Head::first)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::{Before, WARMED_BUCKETS};
    use crate::store::table::{POSITION_END, Table};

    fn key(number: u64) -> Vec<u8> {
        format!("key-{number}").into_bytes()
    }

    fn filled() -> Table<u64> {
        let mut table = Table::new(1);
        for number in 0..1_000 {
            table.insert(&key(number), number);
        }
        table
    }

    #[test]
    fn looks_meet_the_values_of_keys_that_are_there_behind_others_too_and_no_others() {
        let table = Table::<u64>::new(1);
        table.warm([table.hashed(&key(1))].into_iter(), Before::Writes, |_| panic!("nothing"));
        let table = filled();
        for before in [Before::Reads, Before::Writes] {
            let met = RefCell::new(Vec::new());
            // The oldest lie behind others.
            let asked = (0..100).chain(1_000..1_100).map(|number| table.hashed(&key(number)));
            table.warm(asked, before, |value| {
                met.borrow_mut().push(*value);
                0
            });
            let met = met.into_inner();
            assert!(met.iter().all(|value| (0..100).contains(value)), "{met:?}");
            // All but those behind four others.
            assert!(met.len() >= 97, "{} of 100 that are there", met.len());
        }
    }

    #[test]
    fn looks_ahead_of_a_walk_meet_what_it_meets_and_end_where_it_goes_on() {
        let table = filled();
        let (mut position, mut looks, mut looked_at) = (0, 0, 0);
        while position < POSITION_END {
            let looked = RefCell::new(Vec::new());
            let until = table.warm_walk(position, |value| {
                looked.borrow_mut().push(*value);
                0
            });
            let mut met = Vec::new();
            while position < until {
                let mut items = Vec::new();
                position = table.walk(position, &mut items).unwrap_or(POSITION_END);
                met.extend(items.into_iter().map(|(_, value)| *value));
            }
            assert_eq!(position, until);
            let looked = looked.into_inner();
            assert!(looked.iter().all(|value| met.contains(value)), "{looked:?} of {met:?}");
            looked_at += looked.len();
            looks += 1;
        }
        // All but those behind four others.
        assert!(looked_at > 980, "{looked_at} of 1 000");
        assert_eq!(looks, 1_000_usize.div_ceil(WARMED_BUCKETS));
        assert_eq!(table.warm_walk(POSITION_END, |_| panic!("nothing is there")), POSITION_END);
    }
}
