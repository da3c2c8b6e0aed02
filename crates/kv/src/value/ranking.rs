//! Members by score, then by bytes, with their ranks.
//!
//! Chunks of neighbours, each sorted, in sorted order; beside them a Fenwick
//! tree of the chunks' lengths. A place is found by two binary searches, a rank
//! by one walk of the tree: O(log n). A change moves at most one chunk of
//! `CHUNK_LEN_MAX` elements; making or dropping a chunk costs the number of
//! chunks, and happens once in tens of changes.
//!
//! Invariants: no chunk is empty; elements differ.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::value::score::Score;

/// Elements of a chunk: 3 KiB to move at most, and a million elements have
/// some 10,000 chunks.
const CHUNK_LEN_MAX: usize = 128;
/// A chunk that fell below this is put together with a neighbour, if both are
/// then still well below the maximum.
const CHUNK_LEN_LOW: usize = CHUNK_LEN_MAX / 4;

/// A member with its score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranked {
    pub(crate) score: Score,
    pub(crate) member: Arc<[u8]>,
}

/// Members by score, then by bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranking {
    chunks: Vec<Vec<Ranked>>,
    lens: Fenwick,
}

impl Ranking {
    /// Takes in an element that isn't there.
    pub(crate) fn insert(&mut self, ranked: Ranked) {
        let at =
            self.chunk_of(ranked.score, &ranked.member).min(self.chunks.len().saturating_sub(1));
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(vec![ranked]);
            self.lens.build(self.chunks.iter().map(Vec::len));
            return;
        };
        let offset = chunk.partition_point(|held| {
            order(held.score, &held.member, ranked.score, &ranked.member).is_lt()
        });
        chunk.insert(offset, ranked);
        if chunk.len() <= CHUNK_LEN_MAX {
            self.lens.add(at, 1);
            return;
        }
        // A chunk that grew at its end is likely to go on growing there.
        let middle = if offset + 1 == chunk.len() {
            CHUNK_LEN_MAX - CHUNK_LEN_LOW
        } else {
            CHUNK_LEN_MAX / 2
        };
        let upper = chunk.split_off(middle);
        self.chunks.insert(at + 1, upper);
        self.lens.build(self.chunks.iter().map(Vec::len));
    }

    /// Takes an element out.
    pub(crate) fn remove(&mut self, score: Score, member: &[u8]) -> Option<Ranked> {
        let at = self.chunk_of(score, member);
        let chunk = self.chunks.get_mut(at)?;
        let held = |held: &Ranked| order(held.score, &held.member, score, member);
        let offset = chunk.binary_search_by(held).ok()?;
        let removed = chunk.remove(offset);
        if chunk.len() < CHUNK_LEN_LOW && self.join(at) {
            self.lens.build(self.chunks.iter().map(Vec::len));
        } else {
            self.lens.subtract(at, 1);
        }
        Some(removed)
    }

    /// How many elements come before this one, which need not be there.
    pub(crate) fn rank(&self, score: Score, member: &[u8]) -> usize {
        self.rank_where(|held| order(held.score, &held.member, score, member).is_lt())
    }

    /// How many elements come before the first for which `is_before` is false;
    /// it must be true of none behind that.
    pub(crate) fn rank_where(&self, is_before: impl Fn(&Ranked) -> bool) -> usize {
        let at = self.chunks.partition_point(|chunk| chunk.last().is_some_and(&is_before));
        let offset = self.chunks.get(at).map_or(0, |chunk| chunk.partition_point(&is_before));
        self.lens.sum(at) + offset
    }

    /// The elements from `start` on, in order.
    pub(crate) fn iter_from(&self, start: usize) -> impl Iterator<Item = &Ranked> {
        let (at, offset) = self.lens.find(start);
        self.chunks.get(at..).unwrap_or_default().iter().flatten().skip(offset)
    }

    /// The `end` first elements, the last of them first.
    pub(crate) fn iter_back_from(&self, end: usize) -> impl Iterator<Item = &Ranked> {
        let (at, offset) = self.lens.find(end);
        let partial = self.chunks.get(at).and_then(|chunk| chunk.get(..offset)).unwrap_or_default();
        let whole = self.chunks.get(..at).unwrap_or_default();
        partial.iter().rev().chain(whole.iter().rev().flat_map(|chunk| chunk.iter().rev()))
    }

    /// Drops up to `len` elements, or a chunk more, and leaves a ruin.
    pub(crate) fn shed(&mut self, len: usize) -> bool {
        self.chunks.truncate(self.chunks.len().saturating_sub(len.div_ceil(CHUNK_LEN_LOW)));
        !self.chunks.is_empty()
    }

    /// The chunk where an element is, or where it would have to be.
    fn chunk_of(&self, score: Score, member: &[u8]) -> usize {
        self.chunks.partition_point(|chunk| {
            let last = chunk.last();
            last.is_some_and(|last| order(last.score, &last.member, score, member).is_lt())
        })
    }

    /// Puts a chunk that became small together with a neighbour, or drops it if
    /// nothing is left of it. False: it stays as it is.
    fn join(&mut self, at: usize) -> bool {
        let len = |at: usize| self.chunks.get(at).map_or(usize::MAX, Vec::len);
        let fits = |other: usize| len(other).saturating_add(len(at)) <= CHUNK_LEN_MAX / 2;
        let lower = match at.checked_sub(1) {
            _ if len(at) == 0 => {
                self.chunks.remove(at);
                return true;
            }
            Some(before) if fits(before) => before,
            _ if fits(at + 1) => at,
            _ => return false,
        };
        let upper = self.chunks.remove(lower + 1);
        if let Some(chunk) = self.chunks.get_mut(lower) {
            chunk.extend(upper);
        }
        true
    }
}

/// How one element stands to another.
fn order(score: Score, member: &[u8], other_score: Score, other_member: &[u8]) -> Ordering {
    score.cmp(&other_score).then_with(|| member.cmp(other_member))
}

/// Lengths whose prefixes can be summed and searched in O(log n).
#[derive(Clone, Debug, Default)]
struct Fenwick {
    /// At `i - 1`: the sum of as many lengths before `i` as `i`'s lowest bit
    /// says.
    sums: Vec<usize>,
}

impl Fenwick {
    fn build(&mut self, lens: impl Iterator<Item = usize>) {
        self.sums.clear();
        self.sums.extend(lens);
        for number in 1..=self.sums.len() {
            let above = number + lowest_bit(number);
            let sum = self.sums.get(number - 1).copied().unwrap_or_default();
            if let Some(above) = self.sums.get_mut(above - 1) {
                *above += sum;
            }
        }
    }

    fn add(&mut self, at: usize, len: usize) {
        self.change(at, |sum| sum + len);
    }

    fn subtract(&mut self, at: usize, len: usize) {
        self.change(at, |sum| sum - len);
    }

    fn change(&mut self, at: usize, change: impl Fn(usize) -> usize) {
        let mut number = at + 1;
        while let Some(sum) = self.sums.get_mut(number - 1) {
            *sum = change(*sum);
            number += lowest_bit(number);
        }
    }

    /// The sum of the first `len` lengths.
    fn sum(&self, len: usize) -> usize {
        let mut number = len.min(self.sums.len());
        let mut sum = 0;
        while number > 0 {
            sum += self.sums.get(number - 1).copied().unwrap_or_default();
            number -= lowest_bit(number);
        }
        sum
    }

    /// The part in which the element at `rank` is, and its place in it.
    fn find(&self, rank: usize) -> (usize, usize) {
        let (mut at, mut left) = (0, rank);
        let mut step = self.sums.len().checked_ilog2().map_or(0, |bits| 1 << bits);
        while step > 0 {
            if let Some(sum) = self.sums.get(at + step - 1)
                && *sum <= left
            {
                at += step;
                left -= sum;
            }
            step /= 2;
        }
        (at, left)
    }
}

fn lowest_bit(number: usize) -> usize {
    number & number.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::random::Random;

    fn ranked(score: u64, member: u64) -> Ranked {
        Ranked {
            score: Score::new(f64::from(u32::try_from(score).unwrap())).unwrap(),
            member: member.to_string().into_bytes().into(),
        }
    }

    fn check(ranking: &Ranking, naive: &[Ranked], random: &mut Random) {
        assert!(ranking.chunks.iter().all(|chunk| (1..=CHUNK_LEN_MAX).contains(&chunk.len())));
        let start = random.position(naive.len() + 2);
        let behind: Vec<&Ranked> = ranking.iter_from(start).take(5).collect();
        assert_eq!(behind, naive.iter().skip(start).take(5).collect::<Vec<_>>());
        let before: Vec<&Ranked> = ranking.iter_back_from(start).take(5).collect();
        let end = start.min(naive.len());
        assert_eq!(before, naive[..end].iter().rev().take(5).collect::<Vec<_>>());
        let probe = ranked(random.below(50), random.below(3_000));
        let rank = naive.partition_point(|held| {
            order(held.score, &held.member, probe.score, &probe.member).is_lt()
        });
        assert_eq!(ranking.rank(probe.score, &probe.member), rank);
    }

    #[test]
    fn a_ranking_answers_as_a_sorted_vector_does() {
        let mut random = Random::new(8);
        let mut ranking = Ranking::default();
        let mut naive: Vec<Ranked> = Vec::new();
        for step in 0..40_000_u64 {
            let element = ranked(random.below(50), random.below(3_000));
            let found = naive.binary_search_by(|held| {
                order(held.score, &held.member, element.score, &element.member)
            });
            // Long stretches of growth, then of decline.
            match (step / 8_000 % 2 == 0, found) {
                (true, Err(at)) => {
                    naive.insert(at, element.clone());
                    ranking.insert(element);
                }
                (false, Ok(at)) => {
                    let removed = ranking.remove(element.score, &element.member);
                    assert_eq!(removed, Some(naive.remove(at)));
                }
                (false, Err(_)) => {
                    assert!(ranking.remove(element.score, &element.member).is_none());
                }
                (true, Ok(_)) => {}
            }
            check(&ranking, &naive, &mut random);
        }
        while let Some(first) = naive.first() {
            ranking.remove(first.score, &first.member).unwrap();
            naive.remove(0);
        }
        assert!(ranking.chunks.is_empty());
    }

    /// Each of the two ends, again and again: where chunks come and go.
    #[test]
    fn a_ranking_used_as_a_queue_stays_compact() {
        let mut ranking = Ranking::default();
        for number in 0..20_000 {
            ranking.insert(ranked(number, number));
            if number >= 1_000 {
                let first = ranked(number - 1_000, number - 1_000);
                assert!(ranking.remove(first.score, &first.member).is_some());
            }
        }
        assert_eq!(ranking.iter_from(0).count(), 1_000);
        assert!(ranking.chunks.len() <= 2 * 1_000 / CHUNK_LEN_LOW);
    }
}
