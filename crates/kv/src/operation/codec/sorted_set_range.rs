//! The bytes of ranges and combinations of sorted sets.
//!
//! ```text
//! score        u64 bits of a double, not NaN
//! direction    u8: 0 upwards, 1 downwards
//! range        u8 kind, then by kind:
//!   0 rank     i64 start, i64 stop
//!   1 score    2 times (score, boolean is_included)
//!   2 lex      2 times (u8 kind: 0 lowest, 1 highest, 2 included, 3 excluded;
//!              of the last two: bytes member)
//! request      range, direction, optional (i64 offset, i64 count)
//! combination  operation, u8 aggregate: 0 sum, 1 min, 2 max,
//!              list of (score weight, bytes key)
//! ```

use crate::operation::codec::DecodeError;
use crate::operation::codec::collection::{optional, push_optional};
use crate::operation::codec::reader::{Reader, push_bytes, push_f64, push_i64, push_len};
use crate::operation::codec::set::{operation, push_operation};
use crate::operation::sorted_set::{
    Aggregate, Combination, Direction, LexBound, Range, RangeRequest, ScoreBound,
};
use crate::value::score::Score;

const RANK: u8 = 0;
const SCORE: u8 = 1;
const LEX: u8 = 2;

const LOWEST: u8 = 0;
const HIGHEST: u8 = 1;
const INCLUDED: u8 = 2;
const EXCLUDED: u8 = 3;

pub(super) fn push_scored<B: AsRef<[u8]>>(out: &mut Vec<u8>, scored: &[(Score, B)]) {
    push_len(out, scored.len());
    for (score, bytes) in scored {
        push_f64(out, score.value());
        push_bytes(out, bytes);
    }
}

pub(super) fn scored<'a>(reader: &mut Reader<'a>) -> Result<(Score, &'a [u8]), DecodeError> {
    Ok((score(reader)?, reader.bytes()?))
}

pub(super) fn push_direction(out: &mut Vec<u8>, direction: Direction) {
    out.push(u8::from(direction == Direction::Downwards));
}

pub(super) fn direction(reader: &mut Reader<'_>) -> Result<Direction, DecodeError> {
    Ok(if reader.boolean()? { Direction::Downwards } else { Direction::Upwards })
}

pub(super) fn push_range<B: AsRef<[u8]>>(out: &mut Vec<u8>, range: &Range<B>) {
    match range {
        Range::Rank { start, stop } => {
            out.push(RANK);
            push_i64(out, *start);
            push_i64(out, *stop);
        }
        Range::Score { min, max } => {
            out.push(SCORE);
            for bound in [min, max] {
                push_f64(out, bound.score.value());
                out.push(u8::from(bound.is_included));
            }
        }
        Range::Lex { min, max } => {
            out.push(LEX);
            push_lex_bound(out, min);
            push_lex_bound(out, max);
        }
    }
}

pub(super) fn range<'a>(reader: &mut Reader<'a>) -> Result<Range<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    Ok(match reader.byte()? {
        RANK => Range::Rank { start: reader.i64()?, stop: reader.i64()? },
        SCORE => Range::Score { min: score_bound(reader)?, max: score_bound(reader)? },
        LEX => Range::Lex { min: lex_bound(reader)?, max: lex_bound(reader)? },
        found => return Err(DecodeError::UnknownOption { found, offset }),
    })
}

pub(super) fn push_request<B: AsRef<[u8]>>(out: &mut Vec<u8>, request: &RangeRequest<B>) {
    push_range(out, &request.range);
    push_direction(out, request.direction);
    push_optional(out, request.limit.as_ref(), |out, (offset, count)| {
        push_i64(out, *offset);
        push_i64(out, *count);
    });
}

pub(super) fn request<'a>(reader: &mut Reader<'a>) -> Result<RangeRequest<&'a [u8]>, DecodeError> {
    let (range, direction) = (range(reader)?, direction(reader)?);
    let limit = optional(reader, |reader| Ok((reader.i64()?, reader.i64()?)))?;
    Ok(RangeRequest { range, direction, limit })
}

pub(super) fn push_combination<B: AsRef<[u8]>>(out: &mut Vec<u8>, combination: &Combination<B>) {
    push_operation(out, combination.operation);
    out.push(match combination.aggregate {
        Aggregate::Sum => 0,
        Aggregate::Min => 1,
        Aggregate::Max => 2,
    });
    push_scored(out, &combination.sources);
}

pub(super) fn combination<'a>(
    reader: &mut Reader<'a>,
) -> Result<Box<Combination<&'a [u8]>>, DecodeError> {
    let operation = operation(reader)?;
    let aggregate = reader.choice(|byte| match byte {
        0 => Some(Aggregate::Sum),
        1 => Some(Aggregate::Min),
        2 => Some(Aggregate::Max),
        _ => None,
    })?;
    Ok(Box::new(Combination { operation, sources: reader.list(scored)?, aggregate }))
}

fn score(reader: &mut Reader<'_>) -> Result<Score, DecodeError> {
    let offset = reader.offset();
    Score::new(reader.f64()?).ok_or(DecodeError::NotANumber { offset })
}

fn score_bound(reader: &mut Reader<'_>) -> Result<ScoreBound, DecodeError> {
    Ok(ScoreBound { score: score(reader)?, is_included: reader.boolean()? })
}

fn push_lex_bound<B: AsRef<[u8]>>(out: &mut Vec<u8>, bound: &LexBound<B>) {
    match bound {
        LexBound::Lowest => out.push(LOWEST),
        LexBound::Highest => out.push(HIGHEST),
        LexBound::Included(member) => {
            out.push(INCLUDED);
            push_bytes(out, member);
        }
        LexBound::Excluded(member) => {
            out.push(EXCLUDED);
            push_bytes(out, member);
        }
    }
}

fn lex_bound<'a>(reader: &mut Reader<'a>) -> Result<LexBound<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    Ok(match reader.byte()? {
        LOWEST => LexBound::Lowest,
        HIGHEST => LexBound::Highest,
        INCLUDED => LexBound::Included(reader.bytes()?),
        EXCLUDED => LexBound::Excluded(reader.bytes()?),
        found => return Err(DecodeError::UnknownOption { found, offset }),
    })
}
