//! Numbers that look random, from a seed that a command carries.
//!
//! The seed is drawn where a command is proposed and travels inside it, so that
//! every member picks the same elements. SplitMix64: each seed gives another
//! sequence, at one multiplication or two per number.
//!
//! Not here: where seeds come from (`session.rs`).

use std::collections::BTreeMap;

/// A sequence of numbers, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number of 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none. The bias is below `end` in
    /// 2^64.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let scaled = u128::from(self.next()) * u128::from(end);
        u64::try_from(scaled >> 64).unwrap_or_default()
    }

    /// A position in a collection of `len` elements.
    pub(crate) fn position(&mut self, len: usize) -> usize {
        let end = u64::try_from(len).unwrap_or(u64::MAX);
        usize::try_from(self.below(end)).unwrap_or_default()
    }

    /// `wanted` different positions in a collection of `len` elements, at most
    /// all; every order of every choice is as likely as any other.
    pub(crate) fn distinct_positions(&mut self, len: usize, wanted: usize) -> Vec<usize> {
        // A shuffle of 0..len stopped early; only displaced numbers are held.
        let mut displaced = BTreeMap::new();
        let mut picks = Vec::new();
        for at in 0..wanted.min(len) {
            let from = at + self.position(len - at);
            picks.push(displaced.get(&from).copied().unwrap_or(from));
            let here = displaced.remove(&at).unwrap_or(at);
            if from != at {
                displaced.insert(from, here);
            }
        }
        picks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_seed_others() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            [random.next(), random.next(), random.below(10)]
        };
        assert_eq!(numbers(5), numbers(5));
        assert_ne!(numbers(5), numbers(6));
    }

    #[test]
    fn distinct_positions_are_distinct_and_each_is_about_as_likely() {
        let mut random = Random::new(1);
        let mut picked_counts = [0_u32; 20];
        for _ in 0..20_000 {
            let mut picks = random.distinct_positions(20, 5);
            for pick in &picks {
                picked_counts[*pick] += 1;
            }
            picks.sort_unstable();
            picks.dedup();
            assert_eq!(picks.len(), 5);
        }
        // 5,000 expected, with a deviation of 61.
        assert!(picked_counts.iter().all(|len| (4_600..5_400).contains(len)), "{picked_counts:?}");
    }

    #[test]
    fn no_more_positions_are_picked_than_there_are() {
        let mut picks = Random::new(9).distinct_positions(7, usize::MAX);
        picks.sort_unstable();
        assert_eq!(picks, [0, 1, 2, 3, 4, 5, 6]);
        assert!(Random::new(9).distinct_positions(0, 3).is_empty());
    }
}
