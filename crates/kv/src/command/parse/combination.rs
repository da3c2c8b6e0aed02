//! Arguments of commands that take several sorted sets together.

use bytes::Bytes;

use crate::command::parse::collection::{keys, limit_option};
use crate::command::parse::{Parsed, integer, is, read, required, syntax_error, write};
use crate::errors;
use crate::operation::set::SetOperation;
use crate::operation::sorted_set::{Aggregate, Combination, SortedSetCommand, SortedSetQuery};
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::value::score::Score;

pub(crate) fn zunion(args: &Args) -> Parsed {
    show(args, SetOperation::Union, "zunion")
}

pub(crate) fn zinter(args: &Args) -> Parsed {
    show(args, SetOperation::Intersection, "zinter")
}

pub(crate) fn zdiff(args: &Args) -> Parsed {
    show(args, SetOperation::Difference, "zdiff")
}

pub(crate) fn zunionstore(args: &Args) -> Parsed {
    store(args, SetOperation::Union, "zunionstore")
}

pub(crate) fn zinterstore(args: &Args) -> Parsed {
    store(args, SetOperation::Intersection, "zinterstore")
}

pub(crate) fn zdiffstore(args: &Args) -> Parsed {
    store(args, SetOperation::Difference, "zdiffstore")
}

/// `ZINTERCARD numkeys key [key ...] [LIMIT limit]`
pub(crate) fn zintercard(args: &Args) -> Parsed {
    let (keys, behind) = sources(args, 1, "zintercard")?;
    read(SortedSetQuery::IntersectionLen { keys, limit: limit_option(args, behind)? })
}

fn show(args: &Args, operation: SetOperation, name: &str) -> Parsed {
    let (keys, behind) = sources(args, 1, name)?;
    let mut options = Options::new(keys.len());
    options.parse(args, behind, operation, true)?;
    let with_scores = options.with_scores;
    let combination = Box::new(options.combination(operation, keys));
    read(SortedSetQuery::Combine { combination, with_scores })
}

fn store(args: &Args, operation: SetOperation, name: &str) -> Parsed {
    let (keys, behind) = sources(args, 2, name)?;
    let mut options = Options::new(keys.len());
    options.parse(args, behind, operation, false)?;
    let combination = Box::new(options.combination(operation, keys));
    write(SortedSetCommand::Store { destination: required(args, 1), combination })
}

/// `numkeys key [key ...]` from `position` on, and the position behind it.
fn sources(args: &Args, position: usize, name: &str) -> Result<(Vec<Bytes>, usize), Reply> {
    let len = integer(args, position)?;
    if len < 1 {
        return Err(errors::collection::no_input_keys(name));
    }
    let room = args.len() - (position + 1);
    let len = usize::try_from(len).ok().filter(|len| *len <= room);
    let len = len.ok_or_else(syntax_error)?;
    Ok((keys(args, position + 1, len), position + 1 + len))
}

struct Options {
    weights: Vec<Score>,
    aggregate: Aggregate,
    with_scores: bool,
}

impl Options {
    fn new(keys_len: usize) -> Self {
        let weights = vec![Score::ONE; keys_len];
        Self { weights, aggregate: Aggregate::Sum, with_scores: false }
    }

    /// `[WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]`
    fn parse(
        &mut self,
        args: &Args,
        mut position: usize,
        operation: SetOperation,
        shows: bool,
    ) -> Result<(), Reply> {
        let weighs = operation != SetOperation::Difference;
        while args.len() > position {
            let left = args.len() - position - 1;
            match args.get(position) {
                word if weighs && is(word, "weights") && left >= self.weights.len() => {
                    for weight in &mut self.weights {
                        position += 1;
                        let text = args.get(position).and_then(Score::parse);
                        let text = text.ok_or_else(|| Reply::error(errors::collection::WEIGHT));
                        *weight = text?;
                    }
                }
                word if weighs && is(word, "aggregate") && left >= 1 => {
                    position += 1;
                    self.aggregate = aggregate(args.get(position))?;
                }
                word if shows && is(word, "withscores") => self.with_scores = true,
                _ => return Err(syntax_error()),
            }
            position += 1;
        }
        Ok(())
    }

    fn combination(self, operation: SetOperation, keys: Vec<Bytes>) -> Combination<Bytes> {
        let sources = self.weights.into_iter().zip(keys).collect();
        Combination { operation, sources, aggregate: self.aggregate }
    }
}

fn aggregate(word: Option<&[u8]>) -> Result<Aggregate, Reply> {
    match word {
        word if is(word, "sum") => Ok(Aggregate::Sum),
        word if is(word, "min") => Ok(Aggregate::Min),
        word if is(word, "max") => Ok(Aggregate::Max),
        _ => Err(syntax_error()),
    }
}
