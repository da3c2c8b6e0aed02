//! Arguments of commands on keys, whatever they hold.

use crate::command::parse::{Parsed, read, write};
use crate::operation::key::{KeyCommand, KeyQuery};
use crate::resp::args::Args;

pub(crate) fn exists(args: &Args) -> Parsed {
    read(KeyQuery::Exists { keys: args.bytes_from(1).collect() })
}

pub(crate) fn del(args: &Args) -> Parsed {
    write(KeyCommand::Del { keys: args.bytes_from(1).collect() })
}
