//! Arguments of commands on ranges of sorted sets.

use bytes::Bytes;

use crate::command::parse::sorted_set::{ask, change};
use crate::command::parse::{Parsed, integer, is, required, syntax_error, write};
use crate::errors;
use crate::operation::sorted_set::{
    Direction, LexBound, Range, RangeRequest, ScoreBound, SortedSetChange, SortedSetCommand,
    SortedSetQuestion, StoreRange,
};
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::value::score::Score;

/// What bounds are made of.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Rank,
    Score,
    Lex,
}

/// What a command's name says already; the rest is up to options.
#[derive(Default)]
struct Form {
    kind: Option<Kind>,
    direction: Option<Direction>,
    stores: bool,
}

pub(crate) fn zrange(args: &Args) -> Parsed {
    show(args, Form::default())
}

pub(crate) fn zrevrange(args: &Args) -> Parsed {
    show(args, Form::of(Kind::Rank, Direction::Downwards))
}

pub(crate) fn zrangebyscore(args: &Args) -> Parsed {
    show(args, Form::of(Kind::Score, Direction::Upwards))
}

pub(crate) fn zrevrangebyscore(args: &Args) -> Parsed {
    show(args, Form::of(Kind::Score, Direction::Downwards))
}

pub(crate) fn zrangebylex(args: &Args) -> Parsed {
    show(args, Form::of(Kind::Lex, Direction::Upwards))
}

pub(crate) fn zrevrangebylex(args: &Args) -> Parsed {
    show(args, Form::of(Kind::Lex, Direction::Downwards))
}

pub(crate) fn zrangestore(args: &Args) -> Parsed {
    let (request, _) = request(args, 3, Form { stores: true, ..Form::default() })?;
    let (destination, source) = (required(args, 1), required(args, 2));
    write(SortedSetCommand::StoreRange(Box::new(StoreRange { destination, source, request })))
}

pub(crate) fn zcount(args: &Args) -> Parsed {
    let range = range(args, Kind::Score, (2, 3))?;
    ask(args, SortedSetQuestion::Count(Box::new(range)))
}

pub(crate) fn zlexcount(args: &Args) -> Parsed {
    let range = range(args, Kind::Lex, (2, 3))?;
    ask(args, SortedSetQuestion::Count(Box::new(range)))
}

pub(crate) fn zremrangebyrank(args: &Args) -> Parsed {
    remove(args, Kind::Rank)
}

pub(crate) fn zremrangebyscore(args: &Args) -> Parsed {
    remove(args, Kind::Score)
}

pub(crate) fn zremrangebylex(args: &Args) -> Parsed {
    remove(args, Kind::Lex)
}

fn remove(args: &Args, kind: Kind) -> Parsed {
    let range = range(args, kind, (2, 3))?;
    change(args, SortedSetChange::RemoveRange(Box::new(range)))
}

fn show(args: &Args, form: Form) -> Parsed {
    let (request, with_scores) = request(args, 2, form)?;
    ask(args, SortedSetQuestion::Range { request: Box::new(request), with_scores })
}

impl Form {
    fn of(kind: Kind, direction: Direction) -> Self {
        Self { kind: Some(kind), direction: Some(direction), stores: false }
    }
}

/// `min max [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]` from
/// `first` on, as far as the form leaves it open; and whether scores are asked.
fn request(args: &Args, first: usize, form: Form) -> Result<(RangeRequest<Bytes>, bool), Reply> {
    let Form { mut kind, mut direction, stores } = form;
    let (mut with_scores, mut limit) = (false, None);
    let mut position = first + 2;
    while args.len() > position {
        match args.get(position) {
            word if is(word, "withscores") && !stores => with_scores = true,
            word if is(word, "limit") && args.len() > position + 2 => {
                limit = Some((integer(args, position + 1)?, integer(args, position + 2)?));
                position += 2;
            }
            word if is(word, "rev") && direction.is_none() => {
                direction = Some(Direction::Downwards);
            }
            word if is(word, "bylex") && kind.is_none() => kind = Some(Kind::Lex),
            word if is(word, "byscore") && kind.is_none() => kind = Some(Kind::Score),
            _ => return Err(syntax_error()),
        }
        position += 1;
    }
    let kind = kind.unwrap_or(Kind::Rank);
    let direction = direction.unwrap_or(Direction::Upwards);
    // "All" is what there is without a limit anyway.
    if limit.is_some_and(|(_, count)| count != -1) && kind == Kind::Rank {
        return Err(Reply::error(errors::collection::LIMIT_BY_RANK));
    }
    if with_scores && kind == Kind::Lex {
        return Err(Reply::error(errors::collection::SCORES_BY_LEX));
    }
    let bounds = match (kind, direction) {
        (Kind::Rank, _) | (_, Direction::Upwards) => (first, first + 1),
        (_, Direction::Downwards) => (first + 1, first),
    };
    let range = range(args, kind, bounds)?;
    let limit = limit.filter(|_| kind != Kind::Rank);
    Ok((RangeRequest { range, direction, limit }, with_scores))
}

/// The range whose lower and upper bounds stand at these positions.
fn range(args: &Args, kind: Kind, (low, high): (usize, usize)) -> Result<Range<Bytes>, Reply> {
    Ok(match kind {
        Kind::Rank => Range::Rank { start: integer(args, low)?, stop: integer(args, high)? },
        Kind::Score => Range::Score { min: score_bound(args, low)?, max: score_bound(args, high)? },
        Kind::Lex => Range::Lex { min: lex_bound(args, low)?, max: lex_bound(args, high)? },
    })
}

/// `1.5`, `(1.5`, `-inf` and so on.
fn score_bound(args: &Args, position: usize) -> Result<ScoreBound, Reply> {
    let text = args.get(position).unwrap_or_default();
    let (is_included, number) = match text {
        [b'(', number @ ..] => (false, number),
        number => (true, number),
    };
    match Score::parse_bound(number) {
        Some(score) => Ok(ScoreBound { score, is_included }),
        None => Err(Reply::error(errors::collection::SCORE_BOUND)),
    }
}

/// `-`, `+`, `[member` or `(member`.
fn lex_bound(args: &Args, position: usize) -> Result<LexBound<Bytes>, Reply> {
    let text = required(args, position);
    match text.first() {
        Some(b'-') if text.len() == 1 => Ok(LexBound::Lowest),
        Some(b'+') if text.len() == 1 => Ok(LexBound::Highest),
        Some(b'[') => Ok(LexBound::Included(text.slice(1..))),
        Some(b'(') => Ok(LexBound::Excluded(text.slice(1..))),
        _ => Err(Reply::error(errors::collection::LEX_BOUND)),
    }
}
