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
        TableRequest::All => Reply::Array(table::rows().map(details).collect()),
        TableRequest::Count => {
            Reply::Integer(i64::try_from(table::rows().count()).unwrap_or(i64::MAX))
        }
        TableRequest::Names => names(),
        TableRequest::Details(names) => {
            Reply::Array(names.iter().map(|name| details_of(name)).collect())
        }
        TableRequest::Docs(names) if names.is_empty() => {
            Reply::Map(table::rows().map(doc).collect())
        }
        TableRequest::Docs(names) => {
            Reply::Map(names.iter().filter_map(|name| find_full_name(name)).map(doc).collect())
        }
        TableRequest::KeysOf(request) => keys_of(request),
        TableRequest::Help(container) => help(container),
    }
}

/// A null if there is no command of that name. A subcommand goes by
/// `container|subcommand`.
fn details_of(name: &[u8]) -> Reply {
    find_full_name(name).map_or(Reply::Null, details)
}

/// All names, those of subcommands too.
fn names() -> Reply {
    let with_subcommands = |row: &'static Row| std::iter::once(row).chain(row.subcommands);
    let rows = table::rows().flat_map(with_subcommands);
    Reply::Array(rows.map(|row| Reply::bulk_static(row.name)).collect())
}

fn keys_of(request: &[Bytes]) -> Reply {
    let Some(name) = request.first() else {
        return errors::wrong_arity("command|getkeys");
    };
    let Some(row) = table::find(name) else { return Reply::error(errors::INVALID_COMMAND) };
    if row.keys == Keys::None {
        return Reply::error(errors::NO_KEY_ARGUMENTS);
    }
    if !row.takes(request.len()) {
        return Reply::error(errors::INVALID_ARGUMENTS_LEN);
    }
    let argument = |at: usize| request.get(at).map(|word| &word[..]);
    let keys = row.keys.positions(request.len(), argument).filter_map(|at| request.get(at));
    Reply::Array(keys.cloned().map(Reply::Bulk).collect())
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
        Keys::Span { first, last, step } => {
            // All small, as written in the table.
            let first = i64::try_from(first).unwrap_or_default();
            let last = i64::try_from(last).unwrap_or_default();
            (first, last, i64::try_from(step).unwrap_or_default())
        }
        Keys::Sort => (1, 1, 1),
        // What can't be said in three numbers is asked by `COMMAND GETKEYS`.
        Keys::Counted { stores, .. } => {
            let stored = i64::from(stores);
            (stored, stored, stored)
        }
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
        Reply::Array(row.subcommands.iter().map(details).collect()),
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
