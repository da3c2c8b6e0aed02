//! Arguments of the subcommands of `CLIENT` about other clients, and of those
//! that Redis answers the same way when nothing of the kind goes on.
//!
//! Not here: how clients are described (`session/clients.rs`); the
//! subcommands about the connection itself (`command/parse/connection.rs`).

use crate::command::client_filter::ClientFilter;
use crate::command::parse::{Parsed, answered, is, syntax_error};
use crate::command::{ClientsRequest, Request};
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::{decimal, errors};

/// To tune what isn't done changes nothing.
pub(crate) fn on_or_off(args: &Args) -> Parsed {
    let switch = args.get(2);
    if is(switch, "on") || is(switch, "off") { answered(Reply::OK) } else { Err(syntax_error()) }
}

pub(crate) fn caching(args: &Args) -> Parsed {
    let switch = args.get(2);
    if is(switch, "yes") || is(switch, "no") {
        return Err(Reply::error(errors::CACHING_WITHOUT_TRACKING));
    }
    Err(syntax_error())
}

pub(crate) fn getredir(_: &Args) -> Parsed {
    answered(Reply::Integer(-1))
}

pub(crate) fn trackinginfo(_: &Args) -> Parsed {
    let text = Reply::bulk_static;
    answered(Reply::Map(vec![
        (text("flags"), Reply::Set(vec![text("off")])),
        (text("redirect"), Reply::Integer(-1)),
        (text("prefixes"), Reply::Array(Vec::new())),
    ]))
}

/// Nobody is ever blocked.
pub(crate) fn unblock(args: &Args) -> Parsed {
    match args.get(2).and_then(client_id) {
        Some(_) => answered(Reply::Integer(0)),
        None => Err(Reply::error(errors::NOT_AN_INTEGER)),
    }
}

pub(crate) fn unpause(_: &Args) -> Parsed {
    answered(Reply::OK)
}

/// To switch tracking off is to leave it as it is.
pub(crate) fn tracking(args: &Args) -> Parsed {
    match args.get(2) {
        Some(switch) if is(Some(switch), "off") => Ok(Request::Answered(Reply::OK)),
        Some(switch) if is(Some(switch), "on") => Err(errors::unsupported(
            "CLIENT TRACKING",
            "there are no invalidations for a client-side cache",
        )),
        _ => Err(syntax_error()),
    }
}

/// `CLIENT LIST [TYPE type] [ID id ...]`
pub(crate) fn list(args: &Args) -> Parsed {
    let filter = match args.get(2) {
        None => ClientFilter::default(),
        Some(option) if is(Some(option), "type") && args.len() == 4 => of_type(args.get(3))?,
        Some(option) if is(Some(option), "id") && args.len() > 3 => {
            let ids = args.iter_from(3).map(client_id).collect::<Option<_>>();
            let ids = ids.ok_or_else(|| Reply::error(errors::INVALID_CLIENT_ID))?;
            ClientFilter { ids: Some(ids), ..ClientFilter::default() }
        }
        Some(_) => return Err(syntax_error()),
    };
    Ok(Request::Clients(ClientsRequest::List(filter)))
}

/// `CLIENT KILL addr`, or pairs of options and values.
pub(crate) fn kill(args: &Args) -> Parsed {
    if let (3, Some(addr)) = (args.len(), args.bytes(2)) {
        return Ok(Request::Clients(ClientsRequest::KillAt(addr)));
    }
    if args.len().is_multiple_of(2) {
        return kill_filter(args).map(|filter| Request::Clients(ClientsRequest::Kill(filter)));
    }
    Err(syntax_error())
}

fn kill_filter(args: &Args) -> Result<ClientFilter, Reply> {
    let mut filter = ClientFilter { skips_me: true, ..ClientFilter::default() };
    let pairs = args.bytes_from(2).step_by(2).zip(args.bytes_from(3).step_by(2));
    for (option, value) in pairs {
        if is(Some(&option), "id") {
            let id = client_id(&value).filter(|id| *id > 0);
            let id = id.ok_or_else(|| Reply::error(errors::CLIENT_ID_NOT_POSITIVE))?;
            filter.ids = Some(vec![id]);
        } else if is(Some(&option), "type") {
            filter.is_nobody |= of_type(Some(&value))?.is_nobody;
        } else if is(Some(&option), "addr") {
            filter.peer_addr = Some(value);
        } else if is(Some(&option), "laddr") {
            filter.local_addr = Some(value);
        } else if is(Some(&option), "user") {
            if value != b"default"[..] {
                return Err(errors::no_such_user(&value));
            }
        } else if is(Some(&option), "skipme") {
            filter.skips_me = match &value {
                value if is(Some(value), "yes") => true,
                value if is(Some(value), "no") => false,
                _ => return Err(syntax_error()),
            };
        } else {
            return Err(syntax_error());
        }
    }
    Ok(filter)
}

/// All clients are normal ones.
fn of_type(name: Option<&[u8]>) -> Result<ClientFilter, Reply> {
    const OTHERS: &[&str] = &["master", "replica", "slave", "pubsub"];
    let name = name.unwrap_or_default();
    let is_nobody = !is(Some(name), "normal");
    if is_nobody && !OTHERS.iter().any(|other| is(Some(name), other)) {
        return Err(errors::unknown_client_type(name));
    }
    Ok(ClientFilter { is_nobody, ..ClientFilter::default() })
}

fn client_id(text: &[u8]) -> Option<u64> {
    decimal::parse_i64(text).and_then(|id| u64::try_from(id).ok())
}
