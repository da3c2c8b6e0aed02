//! Arguments of commands about the connection.

use bytes::Bytes;

use crate::command::parse::{Parsed, answered, is, required, syntax_error, table};
use crate::command::{
    ConnectionRequest, Credentials, Hello, LibraryField, ReplyMode, TableRequest,
};
use crate::resp::ProtocolVersion;
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::{decimal, errors};

/// What a connection keeps as a client's name, its library's name or version.
/// Redis sets no limit; libraries send some dozens of bytes.
const CLIENT_NAME_BYTES_MAX: usize = 1_024;

fn connection(request: ConnectionRequest) -> Parsed {
    Ok(request.into())
}

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

pub(crate) fn reset(_: &Args) -> Parsed {
    connection(ConnectionRequest::Reset)
}

pub(crate) fn select(args: &Args) -> Parsed {
    let database = args.get(1).and_then(decimal::parse_i64);
    match database.map(i32::try_from) {
        Some(Ok(0)) => answered(Reply::OK),
        Some(Ok(_)) => Err(Reply::error(errors::SELECT_IN_CLUSTER)),
        _ => Err(Reply::error(errors::NOT_AN_INTEGER)),
    }
}

pub(crate) fn auth(args: &Args) -> Parsed {
    let credentials = match args.len() {
        2 => Credentials { user: None, password: required(args, 1) },
        3 => Credentials { user: args.bytes(1), password: required(args, 2) },
        _ => return Err(syntax_error()),
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

pub(crate) fn client_reply(args: &Args) -> Parsed {
    let mode = match args.get(2) {
        mode if is(mode, "on") => ReplyMode::On,
        mode if is(mode, "off") => ReplyMode::Off,
        mode if is(mode, "skip") => ReplyMode::SkipNext,
        _ => return Err(syntax_error()),
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
