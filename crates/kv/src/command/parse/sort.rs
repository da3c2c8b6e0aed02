//! Arguments of `SORT`.
//!
//! `GET` and `BY` with a pattern read keys that the request doesn't name. They
//! are refused, as by every Redis in cluster mode: those keys may be in another
//! group.

use bytes::Bytes;

use crate::command::Request;
use crate::command::parse::{Parsed, integer, is, required, syntax_error};
use crate::errors;
use crate::operation::sort::{Sort, SortBy, SortStore};
use crate::operation::sorted_set::Direction;
use crate::operation::{Command, Query};
use crate::resp::args::Args;
use crate::resp::reply::Reply;

pub(crate) fn sort(args: &Args) -> Parsed {
    let (sort, destination) = options(args, true)?;
    Ok(match destination {
        None => Request::Read(Query::Sort(Box::new(sort))),
        Some(destination) => {
            Request::Write(Command::Sort(Box::new(SortStore { destination, sort })))
        }
    })
}

pub(crate) fn sort_ro(args: &Args) -> Parsed {
    let (sort, _) = options(args, false)?;
    Ok(Request::Read(Query::Sort(Box::new(sort))))
}

/// `key [BY nothing] [LIMIT offset count] [ASC|DESC] [ALPHA] [STORE key]`
fn options(args: &Args, may_store: bool) -> Result<(Sort<Bytes>, Option<Bytes>), Reply> {
    let mut sort = Sort {
        key: required(args, 1),
        by: SortBy::Number,
        direction: Direction::Upwards,
        limit: (0, -1),
    };
    let (mut is_unsorted, mut destination) = (false, None);
    let mut position = 2;
    while args.len() > position {
        let left = args.len() - position - 1;
        match args.get(position) {
            word if is(word, "asc") => sort.direction = Direction::Upwards,
            word if is(word, "desc") => sort.direction = Direction::Downwards,
            word if is(word, "alpha") => sort.by = SortBy::Bytes,
            word if is(word, "limit") && left >= 2 => {
                sort.limit = (integer(args, position + 1)?, integer(args, position + 2)?);
                position += 2;
            }
            word if is(word, "store") && left >= 1 && may_store => {
                position += 1;
                destination = args.bytes(position);
            }
            word if is(word, "by") && left >= 1 => {
                position += 1;
                if args.get(position).is_some_and(|pattern| pattern.contains(&b'*')) {
                    return Err(Reply::error(errors::collection::SORT_BY_PATTERN));
                }
                is_unsorted = true;
            }
            word if is(word, "get") && left >= 1 => {
                return Err(Reply::error(errors::collection::SORT_GET));
            }
            _ => return Err(syntax_error()),
        }
        position += 1;
    }
    if is_unsorted {
        sort.by = SortBy::Nothing;
    }
    Ok((sort, destination))
}
