//! Arguments of commands about the node and about the tables of commands.

use bytes::Bytes;

use crate::command::parse::{Parsed, answered, integer, is, syntax_error, table};
use crate::command::{ConfigRequest, Request, TableRequest};
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::{decimal, errors};

/// Names that `COMMAND INFO` and `COMMAND DOCS` take at once: many times more
/// than there are commands. Each makes a reply of about a kilobyte.
const COMMAND_NAMES_LEN_MAX: usize = 1_024;

pub(crate) fn info(args: &Args) -> Parsed {
    let sections = args.iter_from(1);
    let lower = |section: &[u8]| String::from_utf8_lossy(section).to_ascii_lowercase();
    Ok(Request::Info(sections.map(lower).collect()))
}

pub(crate) fn command(_: &Args) -> Parsed {
    table(TableRequest::All)
}

pub(crate) fn command_count(_: &Args) -> Parsed {
    table(TableRequest::Count)
}

pub(crate) fn command_info(args: &Args) -> Parsed {
    match names(args)? {
        names if names.is_empty() => table(TableRequest::All),
        names => table(TableRequest::Details(names)),
    }
}

pub(crate) fn command_docs(args: &Args) -> Parsed {
    table(TableRequest::Docs(names(args)?))
}

fn names(args: &Args) -> Result<Vec<Bytes>, Reply> {
    let names_len = args.len().saturating_sub(2);
    if names_len > COMMAND_NAMES_LEN_MAX {
        return Err(errors::too_many_names(names_len, COMMAND_NAMES_LEN_MAX));
    }
    Ok(args.bytes_from(2).collect())
}

pub(crate) fn command_list(args: &Args) -> Parsed {
    match args.get(2) {
        None => table(TableRequest::Names),
        filter if is(filter, "filterby") => Err(errors::unsupported(
            "COMMAND LIST FILTERBY",
            "use COMMAND LIST and filter what it returns",
        )),
        _ => Err(syntax_error()),
    }
}

pub(crate) fn command_getkeys(args: &Args) -> Parsed {
    table(TableRequest::KeysOf(args.bytes_from(2).collect()))
}

pub(crate) fn command_help(_: &Args) -> Parsed {
    table(TableRequest::Help("command"))
}

pub(crate) fn time(_: &Args) -> Parsed {
    Ok(Request::Time)
}

/// As in `INFO`: every node takes writes, and nobody follows it.
pub(crate) fn role(_: &Args) -> Parsed {
    let nobody = Reply::Array(Vec::new());
    answered(Reply::Array(vec![Reply::bulk_static("master"), Reply::Integer(0), nobody]))
}

/// `WAIT numreplicas timeout`
pub(crate) fn wait(args: &Args) -> Parsed {
    integer(args, 1)?;
    match args.get(2).and_then(decimal::parse_i64) {
        None => Err(Reply::error(errors::TIMEOUT_NOT_AN_INTEGER)),
        Some(..0) => Err(Reply::error(errors::NEGATIVE_TIMEOUT)),
        Some(0..) => Ok(Request::Wait),
    }
}

/// `WAITAOF numlocal numreplicas timeout`, of Redis 7.2.
pub(crate) fn waitaof(args: &Args) -> Parsed {
    for position in [1, 2] {
        if integer(args, position)? < 0 {
            return Err(Reply::error(errors::OUT_OF_POSITIVE_RANGE));
        }
    }
    match args.get(3).and_then(decimal::parse_i64) {
        None => Err(Reply::error(errors::TIMEOUT_NOT_AN_INTEGER)),
        Some(..0) => Err(Reply::error(errors::NEGATIVE_TIMEOUT)),
        Some(0..) => Ok(Request::WaitAof),
    }
}

pub(crate) fn config_get(args: &Args) -> Parsed {
    Ok(Request::Config(ConfigRequest::Get(args.bytes_from(2).collect())))
}

pub(crate) fn config_set(args: &Args) -> Parsed {
    if !args.len().is_multiple_of(2) {
        return Err(errors::wrong_arity("config|set"));
    }
    let pairs = args.bytes_from(2).step_by(2).zip(args.bytes_from(3).step_by(2));
    Ok(Request::Config(ConfigRequest::Set(pairs.collect())))
}

pub(crate) fn config_resetstat(_: &Args) -> Parsed {
    Ok(Request::Config(ConfigRequest::ResetStat))
}

pub(crate) fn config_help(_: &Args) -> Parsed {
    table(TableRequest::Help("config"))
}
