//! Arguments of commands on lists.

use bytes::Bytes;

use crate::command::parse::collection::{count_option, counted_keys, natural, pop_count};
use crate::command::parse::{Parsed, integer, is, read, required, syntax_error, write};
use crate::errors;
use crate::operation::list::{Find, ListChange, ListCommand, ListMove, ListQuery, ListQuestion};
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::value::list::End;

fn ask(args: &Args, question: ListQuestion<Bytes>) -> Parsed {
    read(ListQuery { key: required(args, 1), question })
}

fn change(args: &Args, change: ListChange<Bytes>) -> Parsed {
    write(ListCommand::One { key: required(args, 1), change })
}

fn push(args: &Args, end: End, only_existing: bool) -> Parsed {
    let elements = args.bytes_from(2).collect();
    change(args, ListChange::Push { end, only_existing, elements })
}

fn pop(args: &Args, end: End, name: &str) -> Parsed {
    if args.len() > 3 {
        return Err(errors::wrong_arity(name));
    }
    change(args, ListChange::Pop { end, count: pop_count(args, 2)? })
}

fn end(args: &Args, position: usize) -> Result<End, Reply> {
    match args.get(position) {
        word if is(word, "left") => Ok(End::Front),
        word if is(word, "right") => Ok(End::Back),
        _ => Err(syntax_error()),
    }
}

pub(crate) fn lpush(args: &Args) -> Parsed {
    push(args, End::Front, false)
}

pub(crate) fn rpush(args: &Args) -> Parsed {
    push(args, End::Back, false)
}

pub(crate) fn lpushx(args: &Args) -> Parsed {
    push(args, End::Front, true)
}

pub(crate) fn rpushx(args: &Args) -> Parsed {
    push(args, End::Back, true)
}

pub(crate) fn lpop(args: &Args) -> Parsed {
    pop(args, End::Front, "lpop")
}

pub(crate) fn rpop(args: &Args) -> Parsed {
    pop(args, End::Back, "rpop")
}

pub(crate) fn llen(args: &Args) -> Parsed {
    ask(args, ListQuestion::Len)
}

pub(crate) fn lrange(args: &Args) -> Parsed {
    ask(args, ListQuestion::Range { start: integer(args, 2)?, stop: integer(args, 3)? })
}

pub(crate) fn lindex(args: &Args) -> Parsed {
    ask(args, ListQuestion::At(integer(args, 2)?))
}

pub(crate) fn lset(args: &Args) -> Parsed {
    let element = Box::new(required(args, 3));
    change(args, ListChange::Set { position: integer(args, 2)?, element })
}

/// `LINSERT key BEFORE|AFTER pivot element`
pub(crate) fn linsert(args: &Args) -> Parsed {
    let side = match args.get(2) {
        word if is(word, "before") => End::Front,
        word if is(word, "after") => End::Back,
        _ => return Err(syntax_error()),
    };
    let pivot_and_element = Box::new((required(args, 3), required(args, 4)));
    change(args, ListChange::Insert { side, pivot_and_element })
}

pub(crate) fn lrem(args: &Args) -> Parsed {
    let element = Box::new(required(args, 3));
    change(args, ListChange::Remove { count: integer(args, 2)?, element })
}

pub(crate) fn ltrim(args: &Args) -> Parsed {
    change(args, ListChange::Trim { start: integer(args, 2)?, stop: integer(args, 3)? })
}

/// `LPOS key element [RANK rank] [COUNT count] [MAXLEN len]`
pub(crate) fn lpos(args: &Args) -> Parsed {
    let mut find = Find { element: required(args, 2), rank: 1, count: None, len_max: 0 };
    let mut position = 3;
    while args.len() > position {
        let option = args.get(position);
        if args.len() == position + 1 {
            return Err(syntax_error());
        }
        if is(option, "rank") {
            find.rank = integer(args, position + 1)?;
            if find.rank == 0 {
                return Err(Reply::error(errors::collection::ZERO_RANK));
            }
        } else if is(option, "count") {
            let count = natural(args, position + 1, errors::collection::NEGATIVE_COUNT)?;
            find.count = Some(count);
        } else if is(option, "maxlen") {
            find.len_max = natural(args, position + 1, errors::collection::NEGATIVE_MAXLEN)?;
        } else {
            return Err(syntax_error());
        }
        position += 2;
    }
    ask(args, ListQuestion::Find(Box::new(find)))
}

/// `LMOVE source destination LEFT|RIGHT LEFT|RIGHT`
pub(crate) fn lmove(args: &Args) -> Parsed {
    let (from_end, to_end) = (end(args, 3)?, end(args, 4)?);
    let (from, to) = (required(args, 1), required(args, 2));
    write(ListCommand::Move(Box::new(ListMove { from, to, from_end, to_end })))
}

pub(crate) fn rpoplpush(args: &Args) -> Parsed {
    let (from, to) = (required(args, 1), required(args, 2));
    let (from_end, to_end) = (End::Back, End::Front);
    write(ListCommand::Move(Box::new(ListMove { from, to, from_end, to_end })))
}

/// `LMPOP numkeys key [key ...] LEFT|RIGHT [COUNT count]`
pub(crate) fn lmpop(args: &Args) -> Parsed {
    let (keys, behind) = counted_keys(args, 1)?;
    let end = end(args, behind)?;
    write(ListCommand::PopFirst { keys, end, count: count_option(args, behind + 1)? })
}
