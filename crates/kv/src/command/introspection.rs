//! What `COMMAND` and the `HELP` subcommands tell of the table.
//!
//! The shape is that of Redis 7.0: ten fields a command. Tips and key
//! specifications are left empty; clients then go by first key, last key and
//! step, as they do with older servers.

use crate::command::{Keys, Row, table};
use crate::errors;
use crate::resp::args::Args;
use crate::resp::reply::Reply;

/// Names that `COMMAND INFO` and `COMMAND DOCS` take at once: a few times more
/// than there are commands. Each makes a reply of about a kilobyte.
pub(crate) const NAMES_LEN_MAX: usize = 1_024;

/// `COMMAND` and `COMMAND INFO`: the details of `rows`.
pub(crate) fn rows(rows: &'static [Row]) -> Reply {
    Reply::Array(rows.iter().map(details).collect())
}

/// The details of one command, a null if there is none of that name. A
/// subcommand goes by `container|subcommand`.
pub(crate) fn row_named(name: &[u8]) -> Reply {
    find_full_name(name).map_or(Reply::Null, details)
}

/// `COMMAND COUNT`.
pub(crate) fn count() -> Reply {
    Reply::Integer(i64::try_from(table::ROWS.len()).unwrap_or(i64::MAX))
}

/// `COMMAND LIST`: all names, subcommands too.
pub(crate) fn names() -> Reply {
    let with_subcommands = |row: &'static Row| std::iter::once(row).chain(row.subcommands);
    let rows = table::ROWS.iter().flat_map(with_subcommands);
    Reply::Array(rows.map(|row| Reply::bulk_static(row.name)).collect())
}

/// `COMMAND DOCS`: of the commands named, or of all. Unknown ones are left out.
pub(crate) fn docs<'a>(names: impl Iterator<Item = &'a [u8]>) -> Reply {
    let mut names = names.peekable();
    if names.peek().is_none() {
        return Reply::Map(table::ROWS.iter().map(doc).collect());
    }
    Reply::Map(names.filter_map(find_full_name).map(doc).collect())
}

/// `COMMAND GETKEYS`: the keys of the request behind the first two arguments.
pub(crate) fn keys_of(args: &Args) -> Result<Reply, Reply> {
    let name = args.get(2).unwrap_or_default();
    let row = table::find(name).ok_or_else(|| Reply::error(errors::INVALID_COMMAND))?;
    if row.keys == Keys::None {
        return Err(Reply::error(errors::NO_KEY_ARGUMENTS));
    }
    if !row.takes(args.len().saturating_sub(2)) {
        return Err(Reply::error(errors::INVALID_ARGUMENTS_LEN));
    }
    let keys = row.keys_among(args.bytes_from(3));
    Ok(Reply::Array(keys.map(Reply::Bulk).collect()))
}

/// The `HELP` subcommand of a container.
pub(crate) fn help(container: &str) -> Reply {
    let name = container.to_uppercase();
    let head = format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let mut lines = vec![head];
    let subcommands = table::find(container.as_bytes()).map_or(&[][..], |row| row.subcommands);
    for row in subcommands {
        lines.push(row.own_name().to_uppercase());
        lines.push(format!("    {}", row.doc.summary));
    }
    Reply::Array(lines.into_iter().map(|line| Reply::Simple(line.into())).collect())
}

fn find_full_name(name: &[u8]) -> Option<&'static Row> {
    match name.iter().position(|byte| *byte == b'|') {
        None => table::find(name),
        Some(bar) => {
            let (container, own) = name.split_at_checked(bar)?;
            table::find_subcommand(table::find(container)?, own.get(1..)?)
        }
    }
}

fn details(row: &'static Row) -> Reply {
    let (first, last, step) = match row.keys {
        Keys::None => (0, 0, 0),
        Keys::One => (1, 1, 1),
        Keys::All { step } => (1, -1, i64::from(step)),
    };
    let flags = row.flags.iter().map(|flag| Reply::simple_static(flag));
    let categories = row.categories.iter().map(|name| Reply::Simple(format!("@{name}").into()));
    Reply::Array(vec![
        Reply::bulk_static(row.name),
        Reply::Integer(i64::from(row.arity)),
        Reply::Set(flags.collect()),
        Reply::Integer(first),
        Reply::Integer(last),
        Reply::Integer(step),
        Reply::Set(categories.collect()),
        Reply::Set(Vec::new()),
        Reply::Set(Vec::new()),
        rows(row.subcommands),
    ])
}

fn doc(row: &'static Row) -> (Reply, Reply) {
    let mut fields = vec![
        (Reply::bulk_static("summary"), Reply::bulk_static(row.doc.summary)),
        (Reply::bulk_static("since"), Reply::bulk_static(row.doc.since)),
        (Reply::bulk_static("group"), Reply::bulk_static(row.doc.group)),
    ];
    if !row.subcommands.is_empty() {
        let subcommands = row.subcommands.iter().map(doc).collect();
        fields.push((Reply::bulk_static("subcommands"), Reply::Map(subcommands)));
    }
    (Reply::bulk_static(row.name), Reply::Map(fields))
}
