//! Which members of a sorted set a range has.
//!
//! Every kind of range comes down to ranks, counted upwards: by score and by
//! bytes they are found by binary search. Among members of different scores a
//! range by bytes means nothing, in Redis as well; here as there, something
//! comes out and nothing breaks.

use std::ops;

use crate::operation::sorted_set::{Direction, LexBound, Range, RangeRequest};
use crate::store::elements::span;
use crate::value::score::Score;
use crate::value::sorted_set::SortedSet;

/// The members that a request shows, in its direction.
pub(super) fn requested<'a, B: AsRef<[u8]>>(
    set: &'a SortedSet,
    request: &RangeRequest<B>,
) -> Vec<(&'a [u8], Score)> {
    let ranks = ranks(set, &request.range, request.direction);
    let ranks = match request.limit {
        None => ranks,
        Some((offset, count)) => limited(ranks, request.direction, offset, count),
    };
    walked(set, ranks, request.direction)
}

/// The members of these ranks, in a direction.
pub(super) fn walked(
    set: &SortedSet,
    ranks: ops::Range<usize>,
    direction: Direction,
) -> Vec<(&[u8], Score)> {
    match direction {
        Direction::Upwards => set.range(ranks).collect(),
        Direction::Downwards => set.range_back(ranks).collect(),
    }
}

/// The ranks that a range has, counted upwards; the direction is what ranks in
/// the range itself are counted in.
pub(super) fn ranks<B: AsRef<[u8]>>(
    set: &SortedSet,
    range: &Range<B>,
    direction: Direction,
) -> ops::Range<usize> {
    let (start, end) = match range {
        Range::Rank { start, stop } => {
            let span = span(*start, *stop, set.len());
            return match direction {
                Direction::Upwards => span,
                Direction::Downwards => set.len() - span.end..set.len() - span.start,
            };
        }
        Range::Score { min, max } => (
            set.rank_where(|score, _| {
                score < min.score || (score == min.score && !min.is_included)
            }),
            set.rank_where(|score, _| score < max.score || (score == max.score && max.is_included)),
        ),
        Range::Lex { min, max } => (
            set.rank_where(|_, member| is_below(member, min)),
            set.rank_where(|_, member| !is_above(member, max)),
        ),
    };
    start..end.max(start)
}

/// Whether a member comes before a range with this lower bound.
fn is_below<B: AsRef<[u8]>>(member: &[u8], min: &LexBound<B>) -> bool {
    match min {
        LexBound::Lowest => false,
        LexBound::Highest => true,
        LexBound::Included(bound) => member < bound.as_ref(),
        LexBound::Excluded(bound) => member <= bound.as_ref(),
    }
}

/// Whether a member comes behind a range with this upper bound.
fn is_above<B: AsRef<[u8]>>(member: &[u8], max: &LexBound<B>) -> bool {
    match max {
        LexBound::Lowest => true,
        LexBound::Highest => false,
        LexBound::Included(bound) => member > bound.as_ref(),
        LexBound::Excluded(bound) => member >= bound.as_ref(),
    }
}

/// What a limit leaves of ranks that are walked in a direction.
fn limited(
    ranks: ops::Range<usize>,
    direction: Direction,
    offset: i64,
    count: i64,
) -> ops::Range<usize> {
    let Ok(offset) = usize::try_from(offset) else {
        return 0..0;
    };
    let skipped = offset.min(ranks.len());
    let len = usize::try_from(count).unwrap_or(usize::MAX).min(ranks.len() - skipped);
    match direction {
        Direction::Upwards => ranks.start + skipped..ranks.start + skipped + len,
        Direction::Downwards => ranks.end - skipped - len..ranks.end - skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_leaves_what_skipping_and_taking_leaves() {
        let ranks: Vec<usize> = (3..9).collect();
        for offset in 0..8_usize {
            for count in 0..8_usize {
                let (signed_offset, signed_count) =
                    (i64::try_from(offset).unwrap(), i64::try_from(count).unwrap());
                let up = limited(3..9, Direction::Upwards, signed_offset, signed_count);
                assert!(up.eq(ranks.iter().copied().skip(offset).take(count)));
                let down = limited(3..9, Direction::Downwards, signed_offset, signed_count);
                assert!(down.rev().eq(ranks.iter().rev().copied().skip(offset).take(count)));
            }
        }
        assert_eq!(limited(3..9, Direction::Upwards, 2, -5), 5..9);
        assert_eq!(limited(3..9, Direction::Upwards, -1, 5), 0..0);
    }
}
