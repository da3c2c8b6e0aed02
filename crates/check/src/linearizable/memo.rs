//! Where the search has been.
//!
//! A configuration is which operations are ordered and the state they led to.
//! What can follow depends on nothing else, so a configuration reached a second
//! time by another order need not be searched again.
//!
//! Invariants
//! - Configurations are compared in full. A hash only says where to look: two
//!   that share one are still two.
//! - Nothing is ever iterated, and the hash has no random key: runs repeat.

use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasherDefault, Hash};

/// Set of configurations with a hash that is the same in every run.
#[expect(
    clippy::disallowed_types,
    reason = "fixed hash, never iterated: only asked whether it holds an element"
)]
type FixedHashSet<T> = std::collections::HashSet<T, BuildHasherDefault<DefaultHasher>>;

/// Which operations are ordered, and the state after them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Configuration<S> {
    ordered: Box<[u64]>,
    state: S,
}

impl<S> Configuration<S> {
    /// `first_left` is the earliest operation not in `ordered`; `used_words`
    /// says which of the operations of unknown outcome are used.
    pub(super) fn new(
        ordered: &OrderedSet,
        first_left: usize,
        used_words: &[u64],
        state: S,
    ) -> Self {
        Self { ordered: ordered.encode(first_left, used_words), state }
    }
}

/// The configurations met so far.
#[derive(Debug)]
pub(super) struct Memo<S> {
    seen: FixedHashSet<Configuration<S>>,
}

impl<S: Eq + Hash> Memo<S> {
    pub(super) fn new() -> Self {
        Self { seen: FixedHashSet::default() }
    }

    /// Adds a configuration; says whether it is new.
    pub(super) fn insert(&mut self, configuration: Configuration<S>) -> bool {
        self.seen.insert(configuration)
    }

    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.seen.len()).unwrap_or(u64::MAX)
    }
}

/// Which answered operations are ordered, one bit each, numbered by time of
/// invocation. All but a short window are ordered or not: only the window is
/// kept in a configuration.
#[derive(Debug)]
pub(super) struct OrderedSet {
    words: Vec<u64>,
    len: usize,
}

impl OrderedSet {
    pub(super) fn new(operations_len: usize) -> Self {
        Self { words: vec![0; operations_len.div_ceil(64)], len: 0 }
    }

    pub(super) fn insert(&mut self, op: usize) {
        if let Some(word) = self.words.get_mut(op / 64) {
            *word |= 1 << (op % 64);
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, op: usize) {
        if let Some(word) = self.words.get_mut(op / 64) {
            *word &= !(1 << (op % 64));
            self.len -= 1;
        }
    }

    /// How many operations are in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many words are full, how many of the next are not empty, those, then
    /// `used_words`. Equal exactly for equal sets.
    fn encode(&self, first_left: usize, used_words: &[u64]) -> Box<[u64]> {
        let full_len = first_left / 64;
        let mut left = self.len - full_len * 64;
        let mut code = vec![u64::try_from(full_len).unwrap_or(u64::MAX), 0];
        for word in self.words.iter().skip(full_len) {
            if left == 0 {
                break;
            }
            left -= usize::try_from(word.count_ones()).unwrap_or(0);
            code.push(*word);
        }
        let window_len = u64::try_from(code.len() - 2).unwrap_or(u64::MAX);
        if let Some(header) = code.get_mut(1) {
            *header = window_len;
        }
        code.extend_from_slice(used_words);
        code.into_boxed_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(ops: &[usize], used_words: &[u64]) -> Configuration<u8> {
        let mut ordered = OrderedSet::new(200);
        for op in ops {
            ordered.insert(*op);
        }
        let first_left = (0..).find(|op| !ops.contains(op)).unwrap();
        Configuration::new(&ordered, first_left, used_words, 0)
    }

    #[test]
    fn configurations_are_equal_exactly_when_their_sets_are() {
        let upto = |end: usize| (0..end).collect::<Vec<_>>();
        let with = |end: usize, op: usize| [upto(end), vec![op]].concat();
        let all = [
            configuration(&upto(0), &[]),
            configuration(&upto(0), &[1]),
            configuration(&upto(0), &[0, 1]),
            configuration(&upto(1), &[]),
            configuration(&[64], &[]),
            configuration(&[128], &[]),
            configuration(&upto(63), &[]),
            configuration(&upto(64), &[]),
            configuration(&upto(65), &[]),
            configuration(&with(64, 66), &[]),
            configuration(&with(64, 128), &[]),
            configuration(&with(64, 64), &[1]),
        ];
        for (number, one) in all.iter().enumerate() {
            for (other_number, other) in all.iter().enumerate() {
                assert_eq!(one == other, number == other_number, "{one:?} {other:?}");
            }
        }
        assert_eq!(configuration(&[3, 1], &[]), configuration(&[1, 3], &[]));
    }
}
