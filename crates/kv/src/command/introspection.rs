//! What `COMMAND` and the `HELP` subcommands tell of the table.
//!
//! The shape is that of Redis 7.0: ten fields a command. Tips and key
//! specifications are left empty; clients then go by first key, last key and
//! step, as they do with older servers.

use bytes::Bytes;

use crate::command::{Keys, Row, TableRequest, table};
use crate::errors;
use crate::resp::reply::Reply;

/// Answers a question about the table.
pub(crate) fn answer(request: &TableRequest) -> Reply {
    match request {
        TableRequest::All => rows(table::ROWS),
        TableRequest::Count => Reply::Integer(i64::try_from(table::ROWS.len()).unwrap_or(i64::MAX)),
        TableRequest::Names => names(),
        TableRequest::Details(names) => {
            Reply::Array(names.iter().map(|name| details_of(name)).collect())
        }
        TableRequest::Docs(names) if names.is_empty() => {
            Reply::Map(table::ROWS.iter().map(doc).collect())
        }
        TableRequest::Docs(names) => {
            Reply::Map(names.iter().filter_map(|name| find_full_name(name)).map(doc).collect())
        }
        TableRequest::KeysOf(request) => keys_of(request),
        TableRequest::Help(container) => help(container),
    }
}

fn rows(rows: &'static [Row]) -> Reply {
    Reply::Array(rows.iter().map(details).collect())
}

/// A null if there is no command of that name. A subcommand goes by
/// `container|subcommand`.
fn details_of(name: &[u8]) -> Reply {
    find_full_name(name).map_or(Reply::Null, details)
}

/// All names, those of subcommands too.
fn names() -> Reply {
    let with_subcommands = |row: &'static Row| std::iter::once(row).chain(row.subcommands);
    let rows = table::ROWS.iter().flat_map(with_subcommands);
    Reply::Array(rows.map(|row| Reply::bulk_static(row.name)).collect())
}

fn keys_of(request: &[Bytes]) -> Reply {
    let Some((name, arguments)) = request.split_first() else {
        return errors::wrong_arity("command|getkeys");
    };
    let Some(row) = table::find(name) else { return Reply::error(errors::INVALID_COMMAND) };
    if row.keys == Keys::None {
        return Reply::error(errors::NO_KEY_ARGUMENTS);
    }
    if !row.takes(request.len()) {
        return Reply::error(errors::INVALID_ARGUMENTS_LEN);
    }
    let keys = row.keys_among(arguments.iter().cloned());
    Reply::Array(keys.map(Reply::Bulk).collect())
}

fn help(container: &str) -> Reply {
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
