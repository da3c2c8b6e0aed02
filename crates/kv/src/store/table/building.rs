//! A table that is made of keys which come all at once, as those of a snapshot
//! do.
//!
//! A snapshot is a walk of a table, so its keys come in the order of their
//! hashes' low bits. Put one by one into a table that grows with them, they
//! crowd in the few buckets of the bits met so far: of a snapshot of which a
//! tenth is read, ten keys stand where one will, and each new one is compared
//! with all of them, which lie in no cache. So items are laid down first, and
//! the chains are made when all are there and the number of buckets is known.
//!
//! Invariant: what comes of it is what putting one after another would have
//! given; of a key that came more than once, one of the values.

use crate::store::table::head::Head;
use crate::store::table::own_key::OwnKey;
use crate::store::table::{Item, KEYS_PER_BUCKET_MAX, NOWHERE, Table};

/// Empty buckets that are made in the time of one item.
const HEADS_PER_ITEM: usize = 64;

/// A table in the making.
#[derive(Debug)]
pub(in crate::store) struct Building<V> {
    /// Its items are there; of the buckets as many as have been made.
    table: Table<V>,
    /// Items that are in the chains of their buckets: the first so many.
    linked: usize,
}

impl<V> Building<V> {
    /// Nothing yet. About `seed` see [`Table::new`].
    pub(in crate::store) fn new(seed: u64) -> Self {
        Self { table: Table::new(seed), linked: 0 }
    }

    /// Lays a key down. None is to be laid down once chains are made.
    pub(in crate::store) fn put(&mut self, key: &[u8], value: V) {
        debug_assert!(self.linked == 0, "keys come before chains");
        let hash = self.table.hash(key);
        self.table.items.push(Item { hash, next: NOWHERE, key: OwnKey::from(key), value });
    }

    /// Makes chains of up to `len` items, and tells of values whose key came
    /// again: its key, the value that is gone, the one that is there now. False:
    /// nothing is left to do.
    pub(in crate::store) fn step(
        &mut self,
        len: usize,
        mut replaced: impl FnMut(&[u8], &V, &V),
    ) -> bool {
        if self.linked == self.table.items.len() {
            return false;
        }
        let wanted = self.table.items.len().div_ceil(KEYS_PER_BUCKET_MAX).max(1);
        // Of keys that are there twice one goes, and the buckets stay.
        if self.linked == 0 && self.table.heads.len() < wanted {
            let missing = wanted - self.table.heads.len();
            for _ in 0..missing.min(len.saturating_mul(HEADS_PER_ITEM)) {
                self.table.heads.push(Head::EMPTY);
            }
            self.table.level = self.table.heads.len().ilog2();
            return true;
        }
        for _ in 0..len {
            self.link_next(&mut replaced);
        }
        true
    }

    /// Puts the next item into its chain, or, if the key is there, its value.
    fn link_next(&mut self, replaced: &mut impl FnMut(&[u8], &V, &V)) {
        let Some(item) = self.table.items.get(self.linked) else {
            return;
        };
        let hash = item.hash;
        let bucket = self.table.bucket_of(hash);
        let head = self.table.head_of(bucket);
        if let Some(known) = self.table.place_from(head.first_for(hash), hash, &item.key) {
            // The last item takes its place and is linked next.
            if let Some(again) = self.table.items.swap_remove(self.linked)
                && let Some(known) = self.table.items.get_mut(known)
            {
                let former = std::mem::replace(&mut known.value, again.value);
                replaced(&known.key, &former, &known.value);
            }
            return;
        }
        if let Some(item) = self.table.items.get_mut(self.linked) {
            item.next = head.first();
        }
        if let Some(head) = self.table.heads.get_mut(bucket) {
            *head = head.preceded_by(self.linked, hash);
        }
        self.linked += 1;
    }

    /// The table, once [`step`](Self::step) has nothing left to do.
    pub(in crate::store) fn finish(self) -> Table<V> {
        assert!(self.linked == self.table.items.len(), "an item is in no chain");
        self.table
    }
}

#[cfg(test)]
mod tests {
    use super::Building;
    use crate::store::table::Table;
    use crate::store::table::tests::check_heads;

    fn key(number: u64) -> Vec<u8> {
        format!("key-{number}").into_bytes()
    }

    fn walked(table: &Table<u64>) -> Vec<(&[u8], u64)> {
        let mut met = Vec::new();
        let mut position = Some(0);
        while let Some(from) = position {
            position = table.walk(from, &mut met);
        }
        met.into_iter().map(|(key, value)| (key, *value)).collect()
    }

    #[test]
    fn it_becomes_the_table_that_putting_one_by_one_makes_whatever_comes_twice() {
        for len in [0, 1, 2, 3, 7, 1_023, 1_024, 1_025, 5_000] {
            let mut one_by_one = Table::new(5);
            let mut building = Building::new(5);
            let mut put = |key: &[u8], value| {
                one_by_one.put(key, value);
                building.put(key, value);
            };
            for number in 0..len {
                put(&key(number), number);
                if number % 5 == 0 {
                    // Some later, the last at once, some three times.
                    put(&key(number / 2), number / 2);
                    put(&key(number), number);
                }
            }
            let mut gone = 0;
            while building.step(10, |key, former, value| {
                assert_eq!(former, value, "{key:?}");
                gone += 1;
            }) {}
            assert_eq!(gone, 2 * len.div_ceil(5), "{len} keys");
            let mut table = building.finish();
            assert_eq!(walked(&table), walked(&one_by_one), "{len} keys");
            // It goes on as a table.
            for number in 0..2 * len {
                assert_eq!(table.get(&key(number)).is_some(), number < len);
                table.put(&key(number), 1);
            }
            for number in 0..2 * len {
                assert_eq!(table.remove(&key(number)), Some(1));
            }
            assert_eq!((table.len(), walked(&table)), (0, Vec::new()));
        }
    }

    #[test]
    fn keys_in_the_order_of_a_walk_are_as_cheap_as_others() {
        let mut table = Table::new(9);
        for number in 0..20_000 {
            table.put(&key(number), number);
        }
        let mut building = Building::new(9);
        for (key, value) in walked(&table) {
            building.put(key, value);
        }
        let mut steps = 0;
        while building.step(64, |_, _, _| {}) {
            steps += 1;
        }
        assert!(steps < 20_000 / 64 + 10, "{steps} steps");
        let built = building.finish();
        check_heads(&built);
        let longest = (0..built.heads.len()).map(|bucket| built.chain(bucket).count()).max();
        assert!(longest.is_some_and(|longest| longest < 12), "a chain of {longest:?}");
    }
}
