//! Arguments of commands on hashes.

use bytes::Bytes;

use crate::command::parse::collection::{pick, scan};
use crate::command::parse::{Parsed, integer, read, required, write};
use crate::errors;
use crate::long_double::LongDouble;
use crate::operation::hash::{HashChange, HashCommand, HashPart, HashQuery, HashQuestion};
use crate::resp::args::Args;
use crate::resp::reply::Reply;

fn ask(args: &Args, question: HashQuestion<Bytes>) -> Parsed {
    read(HashQuery { key: required(args, 1), question })
}

fn change(args: &Args, change: HashChange<Bytes>) -> Parsed {
    write(HashCommand { key: required(args, 1), change })
}

fn pairs(args: &Args, name: &str) -> Result<Vec<(Bytes, Bytes)>, Reply> {
    if !args.len().is_multiple_of(2) {
        return Err(errors::wrong_arity(name));
    }
    Ok(args.bytes_from(2).step_by(2).zip(args.bytes_from(3).step_by(2)).collect())
}

pub(crate) fn hset(args: &Args) -> Parsed {
    change(args, HashChange::Set(pairs(args, "hset")?))
}

pub(crate) fn hmset(args: &Args) -> Parsed {
    change(args, HashChange::SetQuietly(pairs(args, "hmset")?))
}

pub(crate) fn hsetnx(args: &Args) -> Parsed {
    change(args, HashChange::SetNew(Box::new((required(args, 2), required(args, 3)))))
}

pub(crate) fn hget(args: &Args) -> Parsed {
    ask(args, HashQuestion::Get(required(args, 2)))
}

pub(crate) fn hmget(args: &Args) -> Parsed {
    ask(args, HashQuestion::GetEach(args.bytes_from(2).collect()))
}

pub(crate) fn hgetall(args: &Args) -> Parsed {
    ask(args, HashQuestion::All(HashPart::Both))
}

pub(crate) fn hkeys(args: &Args) -> Parsed {
    ask(args, HashQuestion::All(HashPart::Fields))
}

pub(crate) fn hvals(args: &Args) -> Parsed {
    ask(args, HashQuestion::All(HashPart::Values))
}

pub(crate) fn hlen(args: &Args) -> Parsed {
    ask(args, HashQuestion::Len)
}

pub(crate) fn hexists(args: &Args) -> Parsed {
    ask(args, HashQuestion::Contains(required(args, 2)))
}

pub(crate) fn hstrlen(args: &Args) -> Parsed {
    ask(args, HashQuestion::ValueLen(required(args, 2)))
}

pub(crate) fn hrandfield(args: &Args) -> Parsed {
    ask(args, HashQuestion::Random(pick(args, Some("withvalues"))?))
}

pub(crate) fn hscan(args: &Args) -> Parsed {
    ask(args, HashQuestion::Scan(scan(args)?))
}

pub(crate) fn hdel(args: &Args) -> Parsed {
    change(args, HashChange::Remove(args.bytes_from(2).collect()))
}

pub(crate) fn hincrby(args: &Args) -> Parsed {
    let by = integer(args, 3)?;
    change(args, HashChange::IncrBy { field: Box::new(required(args, 2)), by })
}

pub(crate) fn hincrbyfloat(args: &Args) -> Parsed {
    let by = required(args, 3);
    let Some(number) = LongDouble::parse(&by) else {
        return Err(Reply::error(errors::collection::NOT_A_FLOAT));
    };
    if number.plus(LongDouble::ZERO).is_none() {
        return Err(Reply::error(errors::collection::NOT_FINITE));
    }
    let field = Box::new(required(args, 2));
    change(args, HashChange::IncrByFloat { field, by: Box::new(by) })
}
