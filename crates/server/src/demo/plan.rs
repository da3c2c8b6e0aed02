//! What the demo's clients ask, drawn from a seed.
//!
//! Clients form neighbourhoods of at most eight, and each neighbourhood has
//! keys of its own: the judge's search stays short with up to eight clients a
//! key. Values are unique in a run, so a stale read is always seen as one.
//! Registers are read and written; counters are counted up and read.

use raftlet_check::{Call, Key, Value};

/// Clients that share keys, at most.
const NEIGHBOURS_MAX: usize = 8;
/// Operations that one key sees, about.
const OPERATIONS_PER_KEY: u64 = 250;
/// Keys of a neighbourhood, at most: enough to spread, few enough to read all.
const KEYS_MAX: u64 = 256;
/// Of 100 operations this many are reads, and this many counts.
const READS_PERCENT: u64 = 45;
const COUNTS_PERCENT: u64 = 15;
/// Of the keys every so manieth is a counter.
const COUNTER_EVERY: u64 = 5;

/// The keys of a run.
#[derive(Clone, Debug)]
pub(super) struct KeySpace {
    /// Tells this run's keys from those of earlier ones on the same data.
    tag: String,
    neighbourhoods: u64,
    keys_each: u64,
    neighbours_max: usize,
}

/// One client's part of the plan.
#[derive(Debug)]
pub(super) struct Plan {
    space: KeySpace,
    neighbourhood: u64,
    slot: usize,
    random: Random,
    writes: u64,
}

impl KeySpace {
    /// Keys for `clients` clients that complete `operations` operations.
    /// `reader` says that one more client will read all keys in between.
    pub(super) fn new(tag: String, clients: usize, operations: u64, reader: bool) -> Self {
        let neighbours_max = NEIGHBOURS_MAX - usize::from(reader);
        let neighbourhoods = clients.div_ceil(neighbours_max).max(1);
        let neighbourhoods = u64::try_from(neighbourhoods).unwrap_or(1);
        let keys_each = (operations / neighbourhoods / OPERATIONS_PER_KEY).clamp(5, KEYS_MAX);
        Self { tag, neighbourhoods, keys_each, neighbours_max }
    }

    /// All keys, registers and counters.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        (0..self.neighbourhoods).flat_map(move |neighbourhood| {
            (0..self.keys_each).map(move |number| self.key(neighbourhood, number))
        })
    }

    /// The plan of the client in `slot`.
    pub(super) fn plan(&self, seed: u64, slot: usize) -> Plan {
        let number = u64::try_from(slot).unwrap_or(0);
        let neighbourhood = u64::try_from(slot / self.neighbours_max).unwrap_or(0);
        Plan {
            space: self.clone(),
            neighbourhood,
            slot,
            random: Random(seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93)),
            writes: 0,
        }
    }

    fn key(&self, neighbourhood: u64, number: u64) -> Key {
        let kind = if is_counter(number) { 'c' } else { 'r' };
        Key::from(format!("demo:{}:{neighbourhood}:{kind}{number}", self.tag))
    }
}

impl Plan {
    /// The next operation.
    pub(super) fn next(&mut self) -> (Key, Call) {
        let draw = self.random.below(100);
        let number = self.random.below(self.space.keys_each);
        if draw < READS_PERCENT {
            return (self.space.key(self.neighbourhood, number), Call::Read);
        }
        let number = number - number % COUNTER_EVERY;
        if draw < READS_PERCENT + COUNTS_PERCENT {
            return (self.space.key(self.neighbourhood, number), Call::Incr(1));
        }
        let behind_counter =
            (number + 1 + self.random.below(COUNTER_EVERY - 1)).min(self.space.keys_each - 1);
        let register = if is_counter(behind_counter) { behind_counter - 1 } else { behind_counter };
        self.writes += 1;
        let value = Value::from(format!("client {} write {}", self.slot, self.writes));
        (self.space.key(self.neighbourhood, register), Call::Write(value))
    }
}

fn is_counter(number: u64) -> bool {
    number.is_multiple_of(COUNTER_EVERY)
}

/// SplitMix64: small, seeded, good enough to spread load.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::KeySpace;
    use raftlet_check::{Call, Key};

    fn calls(space: &KeySpace, seed: u64, clients: usize) -> Vec<(usize, Key, Call)> {
        let mut all = Vec::new();
        for slot in 0..clients {
            let mut plan = space.plan(seed, slot);
            all.extend((0..500).map(|_| {
                let (key, call) = plan.next();
                (slot, key, call)
            }));
        }
        all
    }

    #[test]
    fn no_key_has_more_than_eight_clients_and_every_key_is_known() {
        let space = KeySpace::new("t".to_owned(), 20, 10_000, false);
        let known: BTreeSet<Key> = space.keys().collect();
        let mut clients: BTreeMap<Key, BTreeSet<usize>> = BTreeMap::new();
        for (slot, key, _) in calls(&space, 7, 20) {
            assert!(known.contains(&key));
            clients.entry(key).or_default().insert(slot);
        }
        assert!(clients.values().all(|slots| slots.len() <= 8));
        assert!(clients.values().any(|slots| slots.len() > 1));
    }

    #[test]
    fn written_values_are_unique_and_counters_are_never_written() {
        let space = KeySpace::new("t".to_owned(), 9, 4_500, true);
        let mut values = BTreeSet::new();
        let mut counters = BTreeSet::new();
        let mut registers = BTreeSet::new();
        for (_, key, call) in calls(&space, 3, 9) {
            match call {
                Call::Write(value) => {
                    assert!(values.insert(value), "a value twice");
                    registers.insert(key);
                }
                Call::Incr(_) => {
                    counters.insert(key);
                }
                Call::Read | Call::Delete => {}
            }
        }
        assert!(!counters.is_empty() && !registers.is_empty());
        assert!(counters.is_disjoint(&registers));
    }

    #[test]
    fn the_same_seed_asks_the_same() {
        let space = KeySpace::new("t".to_owned(), 4, 2_000, false);
        assert_eq!(calls(&space, 5, 4), calls(&space, 5, 4));
        assert_ne!(calls(&space, 5, 4), calls(&space, 6, 4));
    }
}
