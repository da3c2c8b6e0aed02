//! Arguments of commands on strings.

use crate::command::parse::{Parsed, integer, is, read, required, syntax_error, write};
use crate::errors;
use crate::operation::string::{StringCommand, StringQuery};
use crate::resp::args::Args;

pub(crate) fn get(args: &Args) -> Parsed {
    read(StringQuery::Get { key: required(args, 1) })
}

pub(crate) fn mget(args: &Args) -> Parsed {
    read(StringQuery::MGet { keys: args.bytes_from(1).collect() })
}

pub(crate) fn incr(args: &Args) -> Parsed {
    write(StringCommand::IncrBy { key: required(args, 1), by: 1 })
}

pub(crate) fn incrby(args: &Args) -> Parsed {
    write(StringCommand::IncrBy { key: required(args, 1), by: integer(args, 2)? })
}

/// `SET key value`, without options so far: those of Redis are refused by
/// name, so that nobody believes in a lifetime or a condition that isn't kept.
pub(crate) fn set(args: &Args) -> Parsed {
    const OPTIONS: &[&str] = &["NX", "XX", "GET", "EX", "PX", "EXAT", "PXAT", "KEEPTTL", "IFEQ"];
    match args.get(3) {
        None => write(StringCommand::Set { key: required(args, 1), value: required(args, 2) }),
        Some(option) => match OPTIONS.iter().find(|known| is(Some(option), known)) {
            Some(known) => Err(errors::unsupported(&format!("SET {known}"), "use SET key value")),
            None => Err(syntax_error()),
        },
    }
}

pub(crate) fn mset(args: &Args) -> Parsed {
    if args.len().is_multiple_of(2) {
        return Err(errors::wrong_arity("mset"));
    }
    let pairs = args.bytes_from(1).step_by(2).zip(args.bytes_from(2).step_by(2));
    write(StringCommand::MSet { pairs: pairs.collect() })
}
