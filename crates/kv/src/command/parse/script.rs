//! Arguments of commands about scripts and functions, which are not run.
//!
//! Not here: which scripts are known all the same (`scripts.rs`).

use bytes::Bytes;

use crate::command::parse::{Parsed, answered, integer, is, required, syntax_error, table};
use crate::command::{Request, ScriptRequest, TableRequest};
use crate::errors;
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::scripts::Script;
use crate::sha1;

/// What to use instead, everywhere.
const INSTEAD: &str = "use plain commands and MULTI with WATCH; only the compare-and-delete and \
                       compare-and-extend scripts of lock libraries are known";

/// `EVAL script numkeys [key ...] [arg ...]`
pub(crate) fn eval(args: &Args) -> Parsed {
    let (keys, arguments) = keys_and_arguments(args)?;
    let Some(script) = Script::of_text(&required(args, 1)) else {
        return Err(errors::unsupported("EVAL", INSTEAD));
    };
    script.command(keys, &arguments).map(Request::Write)
}

/// `EVALSHA sha1 numkeys [key ...] [arg ...]`
pub(crate) fn evalsha(args: &Args) -> Parsed {
    let (keys, arguments) = keys_and_arguments(args)?;
    let Some(digest) = sha1::parse(&required(args, 1)) else {
        return Err(Reply::error(errors::NO_SUCH_SCRIPT));
    };
    Ok(Request::Script(ScriptRequest::EvalSha { digest, keys, arguments }))
}

fn keys_and_arguments(args: &Args) -> Result<(Vec<Bytes>, Vec<Bytes>), Reply> {
    let keys_len =
        usize::try_from(integer(args, 2)?).map_err(|_| Reply::error(errors::NEGATIVE_KEYS_LEN))?;
    if keys_len > args.len() - 3 {
        return Err(Reply::error(errors::TOO_MANY_KEYS));
    }
    let mut rest: Vec<Bytes> = args.bytes_from(3).collect();
    let arguments = rest.split_off(keys_len);
    Ok((rest, arguments))
}

/// `SCRIPT LOAD script`
pub(crate) fn load(args: &Args) -> Parsed {
    let text = required(args, 2);
    let Some(script) = Script::of_text(&text) else {
        return Err(errors::unsupported("SCRIPT LOAD", INSTEAD));
    };
    Ok(Request::Script(ScriptRequest::Load { digest: sha1::sha1(&text), script }))
}

/// `SCRIPT EXISTS sha1 [sha1 ...]`
pub(crate) fn exists(args: &Args) -> Parsed {
    Ok(Request::Script(ScriptRequest::Exist(args.iter_from(2).map(sha1::parse).collect())))
}

/// `SCRIPT FLUSH [ASYNC | SYNC]`
pub(crate) fn flush(args: &Args) -> Parsed {
    let mode = args.get(2);
    if args.len() > 3 || !(mode.is_none() || is(mode, "async") || is(mode, "sync")) {
        return Err(Reply::error(errors::SCRIPT_FLUSH_MODE));
    }
    Ok(Request::Script(ScriptRequest::Flush))
}

pub(crate) fn kill(_: &Args) -> Parsed {
    Err(Reply::error(errors::NO_SCRIPT_RUNS))
}

pub(crate) fn function_help(_: &Args) -> Parsed {
    table(TableRequest::Help("function"))
}

pub(crate) fn help(_: &Args) -> Parsed {
    table(TableRequest::Help("script"))
}

/// `FUNCTION FLUSH [ASYNC | SYNC]`: there are none.
pub(crate) fn function_flush(args: &Args) -> Parsed {
    let mode = args.get(2);
    if args.len() > 3 || !(mode.is_none() || is(mode, "async") || is(mode, "sync")) {
        return Err(syntax_error());
    }
    answered(Reply::OK)
}

/// `FUNCTION LIST`: there are none.
pub(crate) fn function_list(_: &Args) -> Parsed {
    answered(Reply::Array(Vec::new()))
}
