//! From arguments to a [`Request`], one function per command, by family in
//! `command/parse/`.
//!
//! The table has checked the arity, so an argument it demands is there; where
//! the type can't say so, a missing one reads as empty.

pub(crate) mod clients;
pub(crate) mod cluster;
pub(crate) mod collection;
pub(crate) mod combination;
pub(crate) mod connection;
pub(crate) mod expiry;
pub(crate) mod hash;
pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod range;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod set;
pub(crate) mod sort;
pub(crate) mod sorted_set;
pub(crate) mod string;
pub(crate) mod transaction;

use bytes::Bytes;

use crate::command::{Request, TableRequest};
use crate::operation::{Command, Query};
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::{decimal, errors};

type Parsed = Result<Request, Reply>;

fn answered(reply: Reply) -> Parsed {
    Ok(Request::Answered(reply))
}

fn table(request: TableRequest) -> Parsed {
    Ok(Request::Table(request))
}

fn read(query: impl Into<Query<Bytes>>) -> Parsed {
    Ok(Request::Read(query.into()))
}

fn write(command: impl Into<Command<Bytes>>) -> Parsed {
    Ok(Request::Write(command.into()))
}

fn required(args: &Args, position: usize) -> Bytes {
    args.bytes(position).unwrap_or_default()
}

/// The argument at `position` as an integer.
fn integer(args: &Args, position: usize) -> Result<i64, Reply> {
    let value = args.get(position).and_then(decimal::parse_i64);
    value.ok_or_else(|| Reply::error(errors::NOT_AN_INTEGER))
}

fn syntax_error() -> Reply {
    Reply::error(errors::SYNTAX)
}

fn is(arg: Option<&[u8]>, word: &str) -> bool {
    arg.is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
}

/// A container without a subcommand; its arity has refused that already.
pub(crate) fn container(args: &Args) -> Parsed {
    Err(errors::unknown_command(args))
}
