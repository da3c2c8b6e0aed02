//! Elements of collections on their way into a response.
//!
//! What a response shows is copied once, into one allocation that its parts
//! share: a collection's elements are too small to be shared one by one. The
//! copying ends at `ELEMENTS_BYTES_MAX`, before anything is changed.

use std::ops::Range;

use bytes::Bytes;

use crate::glob;
use crate::operation::collection::{Pick, Scan};
use crate::operation::response::{DataError, ELEMENTS_BYTES_MAX, PICKS_LEN_MAX, Response};
use crate::resp::reply::Reply;
use crate::value::random::Random;
use crate::value::score::Score;

/// Copies of elements that share one allocation.
///
/// # Errors
/// [`DataError::TooManyBytes`]
pub(super) fn copies<'a>(
    elements: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Bytes>, DataError> {
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    for element in elements {
        bytes.extend_from_slice(element);
        ends.push(bytes.len());
        if bytes.len() > ELEMENTS_BYTES_MAX {
            return Err(DataError::TooManyBytes);
        }
    }
    let bytes = Bytes::from(bytes);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    Ok(starts.zip(ends.iter().copied()).map(|(start, end)| bytes.slice(start..end)).collect())
}

/// As [`copies`], as bulk strings.
pub(super) fn bulks<'a>(
    elements: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Reply>, DataError> {
    Ok(copies(elements)?.into_iter().map(Reply::Bulk).collect())
}

/// As [`bulks`], of elements of two.
pub(super) fn bulk_pairs<'a>(
    pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<Vec<(Reply, Reply)>, DataError> {
    let mut bulks = bulks(pairs.into_iter().flat_map(|(left, right)| [left, right]))?.into_iter();
    let mut pairs = Vec::with_capacity(bulks.len() / 2);
    while let (Some(left), Some(right)) = (bulks.next(), bulks.next()) {
        pairs.push((left, right));
    }
    Ok(pairs)
}

/// Members, with their scores or without.
pub(super) fn members(members: &[(&[u8], Score)], with_scores: bool) -> Result<Reply, DataError> {
    let bulks = bulks(members.iter().map(|(member, _)| *member))?;
    if !with_scores {
        return Ok(Reply::Array(bulks));
    }
    let scores = members.iter().map(|(_, score)| Reply::Double(score.value()));
    Ok(Reply::Pairs(bulks.into_iter().zip(scores).collect()))
}

/// The positions in a collection of `len` that a pick picks.
///
/// # Errors
/// [`DataError::TooManyPicks`]
pub(super) fn picked(pick: &Pick, len: usize) -> Result<Vec<usize>, DataError> {
    let mut random = Random::new(pick.seed);
    if len == 0 {
        return Ok(Vec::new());
    }
    let count = pick.count.unwrap_or(-1);
    if let Ok(wanted) = u64::try_from(count) {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        if wanted >= len {
            return Ok((0..len).collect());
        }
        return Ok(random.distinct_positions(len, wanted));
    }
    if count.unsigned_abs() > PICKS_LEN_MAX {
        return Err(DataError::TooManyPicks);
    }
    Ok((0..count.unsigned_abs()).map(|_| random.position(len)).collect())
}

/// A step of a walk as a client sees it: the next cursor, and what it shows.
pub(super) fn walk(cursor: u64, shown: Vec<Reply>) -> Response {
    let cursor = Reply::Bulk(Bytes::from(cursor.to_string()));
    Response::Reply(Reply::Array(vec![cursor, Reply::Array(shown)]))
}

/// How many elements a step of a walk looks at.
pub(super) fn walk_len<B>(scan: &Scan<B>) -> usize {
    usize::try_from(scan.count).unwrap_or(usize::MAX)
}

/// Whether a walk shows this element.
pub(super) fn is_shown<B: AsRef<[u8]>>(scan: &Scan<B>, element: &[u8]) -> bool {
    scan.pattern.as_ref().is_none_or(|pattern| glob::matches(pattern.as_ref(), element))
}

/// The positions from `start` to `stop`, both included and either counted from
/// the end if negative, that a collection of `len` has.
pub(super) fn span(start: i64, stop: i64, len: usize) -> Range<usize> {
    let signed_len = i64::try_from(len).unwrap_or(i64::MAX);
    let from_front = |at: i64| if at < 0 { at.saturating_add(signed_len) } else { at };
    let start = usize::try_from(from_front(start).max(0)).unwrap_or(usize::MAX);
    let end = from_front(stop).saturating_add(1).clamp(0, signed_len);
    let end = usize::try_from(end).unwrap_or(usize::MAX);
    if start < end { start..end } else { 0..0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_what_a_vector_has_between_the_two_positions() {
        for len in 0..5_usize {
            for start in -7..7_i64 {
                for stop in -7..7_i64 {
                    let signed_len = i64::try_from(len).unwrap();
                    let resolved = |at: i64| if at < 0 { at + signed_len } else { at };
                    let wanted = resolved(start)..=resolved(stop);
                    let expected: Vec<i64> =
                        (0..signed_len).filter(|at| wanted.contains(at)).collect();
                    let span = span(start, stop, len);
                    let found: Vec<i64> = span.map(|at| i64::try_from(at).unwrap()).collect();
                    assert_eq!(found, expected, "{start} to {stop} of {len}");
                }
            }
        }
        assert_eq!(span(i64::MIN, i64::MAX, 3), 0..3);
        assert_eq!(span(i64::MAX, i64::MIN, 3), 0..0);
    }

    #[test]
    fn more_bytes_than_a_reply_may_have_are_refused_while_they_are_copied() {
        let element = vec![0; ELEMENTS_BYTES_MAX / 2];
        assert_eq!(copies([&element[..]; 2]).unwrap().len(), 2);
        assert_eq!(copies([&element[..], &element, b"x"]), Err(DataError::TooManyBytes));
    }

    #[test]
    fn a_pick_picks_as_many_as_it_may_and_no_more() {
        let pick = |count| Pick { count, with_values: false, seed: 1 };
        assert_eq!(picked(&pick(None), 5).unwrap().len(), 1);
        assert_eq!(picked(&pick(Some(7)), 5).unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(picked(&pick(Some(3)), 5).unwrap().len(), 3);
        assert_eq!(picked(&pick(Some(-30)), 5).unwrap().len(), 30);
        assert!(picked(&pick(Some(-30)), 0).unwrap().is_empty());
        for count in [i64::MIN, -i64::MAX, -(1 << 20) - 1] {
            assert_eq!(picked(&pick(Some(count)), 5), Err(DataError::TooManyPicks));
        }
    }
}
