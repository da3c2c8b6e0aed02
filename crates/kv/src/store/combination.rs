//! Several sorted sets, and plain sets among them, taken together.
//!
//! Scores are added up in the order in which Redis does it, from the smallest
//! set to the largest, because the sum of doubles depends on it.

use crate::operation::response::DataError;
use crate::operation::set::SetOperation;
use crate::operation::sorted_set::{Aggregate, Combination};
use crate::store::view::View;
use crate::value::score::Score;
use crate::value::set::Set;
use crate::value::sorted_set::SortedSet;
use crate::value::{Collection, Value};

/// What a key contributes.
#[derive(Clone, Copy)]
enum Source<'a> {
    Nothing,
    Set(&'a Set),
    SortedSet(&'a SortedSet),
}

impl<'a> Source<'a> {
    fn of(view: &View<'a>, key: &[u8]) -> Result<Self, DataError> {
        match view.live(key).map(|entry| &entry.value) {
            None => Ok(Self::Nothing),
            Some(Value::Set(set)) => Ok(Self::Set(set)),
            Some(Value::SortedSet(set)) => Ok(Self::SortedSet(set)),
            Some(_) => Err(DataError::WrongType),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Set(set) => set.len(),
            Self::SortedSet(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<Score> {
        match self {
            Self::Nothing => None,
            Self::Set(set) => set.contains(member).then_some(Score::ONE),
            Self::SortedSet(set) => set.score(member),
        }
    }

    fn iter(self) -> impl Iterator<Item = (&'a [u8], Score)> {
        let (set, sorted_set) = match self {
            Self::Nothing => (None, None),
            Self::Set(set) => (Some(set), None),
            Self::SortedSet(set) => (None, Some(set)),
        };
        let plain = set.into_iter().flat_map(Set::iter).map(|member| (member, Score::ONE));
        plain.chain(sorted_set.into_iter().flat_map(SortedSet::iter))
    }
}

/// What several make together.
///
/// # Errors
/// [`DataError::WrongType`]: one of them is neither a sorted set nor a set.
pub(super) fn make<B: AsRef<[u8]>>(
    view: &View<'_>,
    combination: &Combination<B>,
) -> Result<SortedSet, DataError> {
    let sources = combination.sources.iter();
    let mut sources: Vec<(Score, Source<'_>)> = sources
        .map(|(weight, key)| Ok((*weight, Source::of(view, key.as_ref())?)))
        .collect::<Result<_, DataError>>()?;
    if combination.operation != SetOperation::Difference {
        sources.sort_by_key(|(_, source)| source.len());
    }
    let mut made = SortedSet::empty(view.seed());
    let Some(((weight, first), others)) = sources.split_first() else { return Ok(made) };
    match combination.operation {
        SetOperation::Union => {
            for (weight, source) in &sources {
                for (member, score) in source.iter() {
                    let score = weighted(score, *weight);
                    let sum = match made.score(member) {
                        None => score,
                        Some(sum) => aggregated(sum, Some(score), combination.aggregate),
                    };
                    made.set(member, sum);
                }
            }
        }
        SetOperation::Intersection => {
            for (member, score) in first.iter() {
                let all = others.iter().try_fold(weighted(score, *weight), |sum, other| {
                    let (weight, source) = other;
                    let score = source.score(member)?.times(*weight);
                    Some(aggregated(sum, score, combination.aggregate))
                });
                if let Some(score) = all {
                    made.set(member, score);
                }
            }
        }
        SetOperation::Difference => {
            let is_elsewhere =
                |member: &[u8]| others.iter().any(|(_, other)| other.score(member).is_some());
            for (member, score) in first.iter().filter(|(member, _)| !is_elsewhere(member)) {
                made.set(member, score);
            }
        }
    }
    Ok(made)
}

/// How many members all have, counted up to `limit` unless it is 0.
///
/// # Errors
/// As [`make`].
pub(super) fn intersection_len<B: AsRef<[u8]>>(
    view: &View<'_>,
    keys: &[B],
    limit: u64,
) -> Result<usize, DataError> {
    let mut sources: Vec<Source<'_>> =
        keys.iter().map(|key| Source::of(view, key.as_ref())).collect::<Result<_, _>>()?;
    sources.sort_by_key(|source| source.len());
    let Some((first, others)) = sources.split_first() else { return Ok(0) };
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let is_common = |member: &[u8]| others.iter().all(|other| other.score(member).is_some());
    Ok(first.iter().filter(|(member, _)| is_common(member)).take(limit).count())
}

/// Zero times infinity counts as zero.
fn weighted(score: Score, weight: Score) -> Score {
    score.times(weight).unwrap_or(Score::ZERO)
}

/// Infinity less infinity counts as zero, and so does the sum with a score that
/// is undefined; as a lowest or highest score that one counts for nothing.
fn aggregated(one: Score, other: Option<Score>, aggregate: Aggregate) -> Score {
    match (aggregate, other) {
        (Aggregate::Sum, Some(other)) => one.plus(other).unwrap_or(Score::ZERO),
        (Aggregate::Sum, None) => Score::ZERO,
        (Aggregate::Min, Some(other)) => one.min(other),
        (Aggregate::Max, Some(other)) => one.max(other),
        (Aggregate::Min | Aggregate::Max, None) => one,
    }
}
