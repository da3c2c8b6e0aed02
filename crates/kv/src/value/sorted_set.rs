//! Members with scores, ordered by score and then by bytes.
//!
//! A map from member to score answers what is asked about a member; a ranking
//! answers what is asked about the order. Both share the member's bytes.
//!
//! Invariant: map and ranking hold the same.
//!
//! Not here: what a score is (`value/score.rs`).

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;

use crate::value::element;
use crate::value::index_map::{IndexMap, SMALL_LEN_MAX};
use crate::value::moment::{Watch, Watched};
use crate::value::ranking::{Ranked, Ranking};
use crate::value::score::Score;

/// What a member takes beyond its bytes: an entry of 32 and a place in the
/// ranking of 24 bytes, both with spare room, up to two buckets of 4 bytes, and
/// the headers of a shared allocation.
const MEMBER_OVERHEAD_BYTES: usize = 120;

/// Members with scores.
#[derive(Clone, Debug)]
pub(crate) struct SortedSet {
    scores: IndexMap<Arc<[u8]>, Score>,
    ranking: Ranking,
    digest: u64,
    used_bytes: usize,
}

/// The same members with the same scores, in the same order of the map.
impl PartialEq for SortedSet {
    fn eq(&self, other: &Self) -> bool {
        self.scores == other.scores
    }
}

impl Eq for SortedSet {}

/// One step of a walk: the cursor for the next one, and what is shown.
pub(crate) type Walk<'a> = (u64, Vec<(&'a [u8], Score)>);

impl SortedSet {
    /// No members. About `seed` see [`IndexMap::new`].
    pub(crate) fn new(seed: u64) -> Self {
        Self { scores: IndexMap::new(seed), ranking: Ranking::default(), digest: 0, used_bytes: 0 }
    }

    /// Gives a member a score.
    pub(crate) fn set(&mut self, member: &[u8], score: Score) {
        let member = match self.scores.get_mut(member) {
            Some(held) if *held == score => return,
            Some(held) => {
                let old = std::mem::replace(held, score);
                self.digest = self.digest.wrapping_sub(part(member, old));
                match self.ranking.remove(old, member) {
                    Some(ranked) => ranked.member,
                    None => return debug_assert!(false, "map and ranking hold the same"),
                }
            }
            None => {
                let member: Arc<[u8]> = member.into();
                self.scores.push_new(Arc::clone(&member), score);
                self.used_bytes = self.used_bytes.saturating_add(member_bytes(&member));
                member
            }
        };
        self.digest = self.digest.wrapping_add(part(&member, score));
        self.ranking.insert(Ranked { score, member });
    }

    /// Takes a member out and returns its score.
    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<Score> {
        let (member, score) = self.scores.remove(member)?;
        let ranked = self.ranking.remove(score, &member);
        debug_assert!(ranked.is_some(), "map and ranking hold the same");
        self.digest = self.digest.wrapping_sub(part(&member, score));
        self.used_bytes = self.used_bytes.saturating_sub(member_bytes(&member));
        Some(score)
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<Score> {
        self.scores.get(member).copied()
    }

    /// How many members come before this one.
    pub(crate) fn rank(&self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.ranking.rank(score, member))
    }

    /// How many members come before the first for which `is_before` is false;
    /// it must be true of none behind that.
    pub(crate) fn rank_where(&self, is_before: impl Fn(Score, &[u8]) -> bool) -> usize {
        self.ranking.rank_where(|ranked| is_before(ranked.score, &ranked.member))
    }

    /// The member at a position of the map; for random picks.
    pub(crate) fn at(&self, position: usize) -> Option<(&[u8], Score)> {
        self.scores.at(position).map(|(member, score)| (member.as_ref(), *score))
    }

    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    /// Members with scores by rank, upwards.
    pub(crate) fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], Score)> {
        let len = ranks.end.saturating_sub(ranks.start);
        self.ranking.iter_from(ranks.start).take(len).map(pair)
    }

    /// Members with scores by rank, downwards.
    pub(crate) fn range_back(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], Score)> {
        let len = ranks.end.saturating_sub(ranks.start);
        self.ranking.iter_back_from(ranks.end.min(self.len())).take(len).map(pair)
    }

    /// All members with scores in the order of the map: putting them into an
    /// empty set in this order makes an equal one.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], Score)> {
        self.scores.iter().map(|(member, score)| (member.as_ref(), *score))
    }

    /// A step of a walk: see [`IndexMap::scan`]. A small set is shown by rank.
    pub(crate) fn scan(&self, cursor: u64, len_max: usize) -> Walk<'_> {
        if self.len() <= SMALL_LEN_MAX {
            return (0, self.range(0..self.len()).collect());
        }
        let (next, shown) = self.scores.scan(cursor, len_max);
        (next, shown.map(|(member, score)| (member.as_ref(), *score)).collect())
    }

    /// The sum of all members' parts; knows no order.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// Roughly the memory that members take.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes
    }
}

impl Watched for SortedSet {
    fn watch(&mut self) -> &mut Watch {
        self.scores.watch()
    }

    fn elements_len(&self) -> usize {
        self.scores.len()
    }

    fn put_element(&self, position: usize, into: &mut BytesMut) {
        self.scores.put_element(position, into);
    }

    fn shed(&mut self, len: usize) -> bool {
        self.ranking.shed(len) | self.scores.shed(len)
    }
}

fn pair(ranked: &Ranked) -> (&[u8], Score) {
    (&ranked.member, ranked.score)
}

fn part(member: &[u8], score: Score) -> u64 {
    element::pair_part(member, &score.value().to_le_bytes())
}

fn member_bytes(member: &[u8]) -> usize {
    element::len_bytes(&[member]).saturating_add(MEMBER_OVERHEAD_BYTES)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::value::random::Random;

    fn score(value: f64) -> Score {
        Score::new(value).unwrap()
    }

    fn sorted(naive: &BTreeMap<Vec<u8>, Score>) -> Vec<(&[u8], Score)> {
        let mut sorted: Vec<(&[u8], Score)> =
            naive.iter().map(|(member, score)| (&member[..], *score)).collect();
        sorted.sort_by(|one, other| one.1.cmp(&other.1).then(one.0.cmp(other.0)));
        sorted
    }

    #[test]
    fn a_sorted_set_answers_as_a_sorted_map_does() {
        let mut random = Random::new(21);
        let mut set = SortedSet::new(1);
        let mut naive: BTreeMap<Vec<u8>, Score> = BTreeMap::new();
        for step in 0..30_000_u64 {
            let member = random.below(400).to_string().into_bytes();
            if random.below(4) > 0 {
                let score = score(f64::from(u16::try_from(random.below(100)).unwrap()) / 4.0);
                set.set(&member, score);
                naive.insert(member, score);
            } else {
                assert_eq!(set.remove(&member), naive.remove(&member));
            }
            if step % 500 == 0 {
                let sorted = sorted(&naive);
                assert!(set.range(0..set.len()).eq(sorted.iter().copied()));
                assert!(
                    set.range_back(3..set.len())
                        .eq(sorted[3.min(sorted.len())..].iter().rev().copied())
                );
                for (rank, (member, score)) in sorted.iter().enumerate() {
                    assert_eq!((set.rank(member), set.score(member)), (Some(rank), Some(*score)));
                }
                let below = sorted.partition_point(|(_, score)| score.value() < 12.5);
                assert_eq!(set.rank_where(|score, _| score.value() < 12.5), below);
            }
        }
        assert_eq!(set.len(), naive.len());
    }

    #[test]
    fn digest_and_bytes_depend_on_members_and_scores_alone() {
        let mut one = SortedSet::new(1);
        let mut other = SortedSet::new(2);
        one.set(b"a", score(1.0));
        one.set(b"b", score(2.0));
        other.set(b"b", score(1.0));
        other.set(b"a", score(2.0));
        assert_ne!(one.digest(), other.digest());
        other.set(b"b", score(2.0));
        other.set(b"a", score(1.0));
        assert_eq!((one.digest(), one.used_bytes()), (other.digest(), other.used_bytes()));
        one.remove(b"a");
        one.remove(b"b");
        assert_eq!((one.digest(), one.used_bytes()), (0, 0));
    }
}
