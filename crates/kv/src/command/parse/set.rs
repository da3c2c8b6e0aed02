//! Arguments of commands on sets.

use bytes::Bytes;

use crate::command::parse::collection::{keys, limit_option, pick, pop_count, positive, scan};
use crate::command::parse::{Parsed, read, required, syntax_error, write};
use crate::errors;
use crate::operation::set::{SetChange, SetCommand, SetMove, SetOperation, SetQuery, SetQuestion};
use crate::resp::args::Args;
use crate::resp::reply::Reply;

fn ask(args: &Args, question: SetQuestion<Bytes>) -> Parsed {
    read(SetQuery::One { key: required(args, 1), question })
}

fn change(args: &Args, change: SetChange<Bytes>) -> Parsed {
    write(SetCommand::One { key: required(args, 1), change })
}

fn combine(args: &Args, operation: SetOperation) -> Parsed {
    read(SetQuery::Combine { operation, keys: args.bytes_from(1).collect() })
}

fn store(args: &Args, operation: SetOperation) -> Parsed {
    let keys = args.bytes_from(2).collect();
    write(SetCommand::Store { destination: required(args, 1), operation, keys })
}

pub(crate) fn sadd(args: &Args) -> Parsed {
    change(args, SetChange::Add(args.bytes_from(2).collect()))
}

pub(crate) fn srem(args: &Args) -> Parsed {
    change(args, SetChange::Remove(args.bytes_from(2).collect()))
}

pub(crate) fn spop(args: &Args) -> Parsed {
    if args.len() > 3 {
        return Err(syntax_error());
    }
    change(args, SetChange::Pop { count: pop_count(args, 2)?, seed: 0 })
}

pub(crate) fn smembers(args: &Args) -> Parsed {
    ask(args, SetQuestion::Members)
}

pub(crate) fn sismember(args: &Args) -> Parsed {
    ask(args, SetQuestion::Contains(required(args, 2)))
}

pub(crate) fn smismember(args: &Args) -> Parsed {
    ask(args, SetQuestion::ContainsEach(args.bytes_from(2).collect()))
}

pub(crate) fn scard(args: &Args) -> Parsed {
    ask(args, SetQuestion::Len)
}

pub(crate) fn srandmember(args: &Args) -> Parsed {
    ask(args, SetQuestion::Random(pick(args, None)?))
}

pub(crate) fn sscan(args: &Args) -> Parsed {
    ask(args, SetQuestion::Scan(scan(args)?))
}

pub(crate) fn smove(args: &Args) -> Parsed {
    let (from, to, member) = (required(args, 1), required(args, 2), required(args, 3));
    write(SetCommand::Move(Box::new(SetMove { from, to, member })))
}

pub(crate) fn sinter(args: &Args) -> Parsed {
    combine(args, SetOperation::Intersection)
}

pub(crate) fn sunion(args: &Args) -> Parsed {
    combine(args, SetOperation::Union)
}

pub(crate) fn sdiff(args: &Args) -> Parsed {
    combine(args, SetOperation::Difference)
}

pub(crate) fn sinterstore(args: &Args) -> Parsed {
    store(args, SetOperation::Intersection)
}

pub(crate) fn sunionstore(args: &Args) -> Parsed {
    store(args, SetOperation::Union)
}

pub(crate) fn sdiffstore(args: &Args) -> Parsed {
    store(args, SetOperation::Difference)
}

/// `SINTERCARD numkeys key [key ...] [LIMIT limit]`
pub(crate) fn sintercard(args: &Args) -> Parsed {
    let len = positive(args, 1, errors::collection::NO_KEYS)?;
    let len = usize::try_from(len).ok().filter(|len| *len <= args.len() - 2);
    let len = len.ok_or_else(|| Reply::error(errors::collection::TOO_MANY_KEYS))?;
    let limit = limit_option(args, 2 + len)?;
    read(SetQuery::IntersectionLen { keys: keys(args, 2, len), limit })
}
