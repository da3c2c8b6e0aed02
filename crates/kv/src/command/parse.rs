//! From arguments to a [`Request`], one function per command.
//!
//! The table has checked the arity, so an argument it demands is there; where
//! the type can't say so, a missing one reads as empty.

use bytes::Bytes;

use crate::command::{
    ConnectionRequest, Credentials, Hello, LibraryField, ReplyMode, Request, TableRequest,
};
use crate::operation::{Command, Query};
use crate::resp::ProtocolVersion;
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::{decimal, errors};

/// What a connection keeps as a client's name, its library's name or version.
/// Redis sets no limit; libraries send some dozens of bytes.
const CLIENT_NAME_BYTES_MAX: usize = 1_024;

/// Names that `COMMAND INFO` and `COMMAND DOCS` take at once: many times more
/// than there are commands. Each makes a reply of about a kilobyte.
const COMMAND_NAMES_LEN_MAX: usize = 1_024;

type Parsed = Result<Request, Reply>;

fn answered(reply: Reply) -> Parsed {
    Ok(Request::Answered(reply))
}

fn connection(request: ConnectionRequest) -> Parsed {
    Ok(Request::Connection(request))
}

fn required(args: &Args, position: usize) -> Bytes {
    args.bytes(position).unwrap_or_default()
}

fn is(arg: Option<&[u8]>, word: &str) -> bool {
    arg.is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
}

// Connection.

pub(crate) fn ping(args: &Args) -> Parsed {
    match args.len() {
        1 => answered(Reply::simple_static("PONG")),
        2 => answered(Reply::Bulk(required(args, 1))),
        _ => Err(errors::wrong_arity("ping")),
    }
}

pub(crate) fn echo(args: &Args) -> Parsed {
    answered(Reply::Bulk(required(args, 1)))
}

pub(crate) fn quit(_: &Args) -> Parsed {
    connection(ConnectionRequest::Quit)
}

pub(crate) fn select(args: &Args) -> Parsed {
    let database = args.get(1).and_then(decimal::parse_i64);
    match database.map(i32::try_from) {
        Some(Ok(0)) => answered(Reply::OK),
        Some(Ok(_)) => Err(Reply::error(errors::DATABASE_OUT_OF_RANGE)),
        _ => Err(Reply::error(errors::NOT_AN_INTEGER)),
    }
}

pub(crate) fn auth(args: &Args) -> Parsed {
    let credentials = match args.len() {
        2 => Credentials { user: None, password: required(args, 1) },
        3 => Credentials { user: args.bytes(1), password: required(args, 2) },
        _ => return Err(Reply::error(errors::SYNTAX)),
    };
    connection(ConnectionRequest::Auth(credentials))
}

/// `HELLO [protover [AUTH username password] [SETNAME clientname]]`
pub(crate) fn hello(args: &Args) -> Parsed {
    let mut hello = Hello::default();
    if let Some(version) = args.get(1) {
        hello.version = Some(match decimal::parse_i64(version) {
            Some(2) => ProtocolVersion::Resp2,
            Some(3) => ProtocolVersion::Resp3,
            Some(_) => return Err(Reply::error(errors::UNSUPPORTED_PROTOCOL)),
            None => return Err(Reply::error(errors::PROTOCOL_NOT_AN_INTEGER)),
        });
    }
    let mut position = 2;
    while let Some(option) = args.get(position) {
        let left = args.len() - position - 1;
        if is(Some(option), "auth") && left >= 2 {
            let user = args.bytes(position + 1);
            let password = required(args, position + 2);
            hello.credentials = Some(Credentials { user, password });
            position += 3;
        } else if is(Some(option), "setname") && left >= 1 {
            hello.name = Some(client_name(args, position + 1)?);
            position += 2;
        } else {
            return Err(errors::hello_option(option));
        }
    }
    connection(ConnectionRequest::Hello(hello))
}

/// A container without a subcommand; its arity has refused that already.
pub(crate) fn container(args: &Args) -> Parsed {
    Err(errors::unknown_command(args))
}

pub(crate) fn client_id(_: &Args) -> Parsed {
    connection(ConnectionRequest::ClientId)
}

pub(crate) fn client_info(_: &Args) -> Parsed {
    connection(ConnectionRequest::ClientInfo)
}

pub(crate) fn client_getname(_: &Args) -> Parsed {
    connection(ConnectionRequest::ClientGetName)
}

pub(crate) fn client_setname(args: &Args) -> Parsed {
    connection(ConnectionRequest::ClientSetName(client_name(args, 2)?))
}

pub(crate) fn client_setinfo(args: &Args) -> Parsed {
    let field = args.get(2).unwrap_or_default();
    let (field, name) = if is(Some(field), "lib-name") {
        (LibraryField::Name, "lib-name")
    } else if is(Some(field), "lib-ver") {
        (LibraryField::Version, "lib-ver")
    } else {
        return Err(errors::unrecognized_option(field));
    };
    let value = required(args, 3);
    if !is_plain(&value) {
        return Err(errors::library_field(name));
    }
    check_name_bytes(&value)?;
    connection(ConnectionRequest::ClientSetInfo(field, value))
}

/// There is no eviction, so there is nothing to switch.
pub(crate) fn client_no_evict(args: &Args) -> Parsed {
    let switch = args.get(2);
    if is(switch, "on") || is(switch, "off") {
        return answered(Reply::OK);
    }
    Err(Reply::error(errors::SYNTAX))
}

pub(crate) fn client_reply(args: &Args) -> Parsed {
    let mode = match args.get(2) {
        mode if is(mode, "on") => ReplyMode::On,
        mode if is(mode, "off") => ReplyMode::Off,
        mode if is(mode, "skip") => ReplyMode::SkipNext,
        _ => return Err(Reply::error(errors::SYNTAX)),
    };
    connection(ConnectionRequest::ClientReply(mode))
}

pub(crate) fn client_help(_: &Args) -> Parsed {
    table(TableRequest::Help("client"))
}

fn client_name(args: &Args, position: usize) -> Result<Bytes, Reply> {
    let name = required(args, position);
    if !is_plain(&name) {
        return Err(Reply::error(errors::CLIENT_NAME));
    }
    check_name_bytes(&name)?;
    Ok(name)
}

fn check_name_bytes(name: &[u8]) -> Result<(), Reply> {
    if name.len() > CLIENT_NAME_BYTES_MAX {
        return Err(errors::too_long_name(name.len(), CLIENT_NAME_BYTES_MAX));
    }
    Ok(())
}

/// What names and versions of clients may consist of.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

// Server.

pub(crate) fn info(args: &Args) -> Parsed {
    let sections = args.iter_from(1);
    let lower = |section: &[u8]| String::from_utf8_lossy(section).to_ascii_lowercase();
    Ok(Request::Info(sections.map(lower).collect()))
}

fn table(request: TableRequest) -> Parsed {
    Ok(Request::Table(request))
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
        _ => Err(Reply::error(errors::SYNTAX)),
    }
}

pub(crate) fn command_getkeys(args: &Args) -> Parsed {
    table(TableRequest::KeysOf(args.bytes_from(2).collect()))
}

pub(crate) fn command_help(_: &Args) -> Parsed {
    table(TableRequest::Help("command"))
}

pub(crate) fn dbsize(_: &Args) -> Parsed {
    Ok(Request::ReadEveryGroup(Query::DbSize))
}

// Keys and strings.

pub(crate) fn get(args: &Args) -> Parsed {
    Ok(Request::Read(Query::Get { key: required(args, 1) }))
}

pub(crate) fn mget(args: &Args) -> Parsed {
    Ok(Request::Read(Query::MGet { keys: args.bytes_from(1).collect() }))
}

pub(crate) fn exists(args: &Args) -> Parsed {
    Ok(Request::Read(Query::Exists { keys: args.bytes_from(1).collect() }))
}

pub(crate) fn del(args: &Args) -> Parsed {
    Ok(Request::Write(Command::Del { keys: args.bytes_from(1).collect() }))
}

pub(crate) fn incr(args: &Args) -> Parsed {
    Ok(Request::Write(Command::IncrBy { key: required(args, 1), by: 1 }))
}

pub(crate) fn incrby(args: &Args) -> Parsed {
    let by = args
        .get(2)
        .and_then(decimal::parse_i64)
        .ok_or_else(|| Reply::error(errors::NOT_AN_INTEGER))?;
    Ok(Request::Write(Command::IncrBy { key: required(args, 1), by }))
}

/// `SET key value`, without options so far: those of Redis are refused by
/// name, so that nobody believes in a lifetime or a condition that isn't kept.
pub(crate) fn set(args: &Args) -> Parsed {
    const OPTIONS: &[&str] = &["NX", "XX", "GET", "EX", "PX", "EXAT", "PXAT", "KEEPTTL", "IFEQ"];
    match args.get(3) {
        None => {
            Ok(Request::Write(Command::Set { key: required(args, 1), value: required(args, 2) }))
        }
        Some(option) => match OPTIONS.iter().find(|known| is(Some(option), known)) {
            Some(known) => Err(errors::unsupported(&format!("SET {known}"), "use SET key value")),
            None => Err(Reply::error(errors::SYNTAX)),
        },
    }
}

pub(crate) fn mset(args: &Args) -> Parsed {
    if args.len().is_multiple_of(2) {
        return Err(errors::wrong_arity("mset"));
    }
    let pairs = args.bytes_from(1).step_by(2).zip(args.bytes_from(2).step_by(2));
    Ok(Request::Write(Command::MSet { pairs: pairs.collect() }))
}
