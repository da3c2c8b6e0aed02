//! The commands, one row each.
//!
//! Sorted by name, which lookups rely on and a test holds. Flags and
//! categories are those of Redis 7.0, because smart clients route by them.

use crate::command::{Doc, Keys, Row, parse};

/// Longer names are looked up in vain.
const NAME_BYTES_MAX: usize = 32;

const NO_FLAGS: &[&str] = &[];
const ON_CONNECTION: &[&str] = &["noscript", "loading", "stale"];
const BEFORE_AUTH: &[&str] = &["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"];
const ALWAYS: &[&str] = &["loading", "stale"];
const FAST_READ: &[&str] = &["readonly", "fast"];
const FAST_CONNECTION: &[&str] = &["fast", "connection"];
const SLOW_CONNECTION: &[&str] = &["slow", "connection"];

const fn doc(group: &'static str, since: &'static str, summary: &'static str) -> Doc {
    Doc { summary, since, group }
}

/// All commands, sorted by name.
pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "auth",
        arity: -2,
        flags: BEFORE_AUTH,
        keys: Keys::None,
        categories: FAST_CONNECTION,
        doc: doc("connection", "1.0.0", "Authenticate to the server"),
        parse: parse::auth,
        subcommands: &[],
    },
    Row {
        name: "client",
        arity: -2,
        flags: NO_FLAGS,
        keys: Keys::None,
        categories: &["slow"],
        doc: doc("connection", "2.4.0", "A container for client connection commands"),
        parse: parse::container,
        subcommands: CLIENT,
    },
    Row {
        name: "command",
        arity: -1,
        flags: ALWAYS,
        keys: Keys::None,
        categories: SLOW_CONNECTION,
        doc: doc("server", "2.8.13", "Get array of Redis command details"),
        parse: parse::command,
        subcommands: COMMAND,
    },
    Row {
        name: "dbsize",
        arity: 1,
        flags: FAST_READ,
        keys: Keys::None,
        categories: &["keyspace", "read", "fast"],
        doc: doc("server", "1.0.0", "Return the number of keys in the selected database"),
        parse: parse::dbsize,
        subcommands: &[],
    },
    Row {
        name: "del",
        arity: -2,
        flags: &["write"],
        keys: Keys::All { step: 1 },
        categories: &["keyspace", "write", "slow"],
        doc: doc("generic", "1.0.0", "Delete a key"),
        parse: parse::del,
        subcommands: &[],
    },
    Row {
        name: "echo",
        arity: 2,
        flags: &["loading", "stale", "fast"],
        keys: Keys::None,
        categories: FAST_CONNECTION,
        doc: doc("connection", "1.0.0", "Echo the given string"),
        parse: parse::echo,
        subcommands: &[],
    },
    Row {
        name: "exists",
        arity: -2,
        flags: FAST_READ,
        keys: Keys::All { step: 1 },
        categories: &["keyspace", "read", "fast"],
        doc: doc("generic", "1.0.0", "Determine if a key exists"),
        parse: parse::exists,
        subcommands: &[],
    },
    Row {
        name: "get",
        arity: 2,
        flags: FAST_READ,
        keys: Keys::One,
        categories: &["read", "string", "fast"],
        doc: doc("string", "1.0.0", "Get the value of a key"),
        parse: parse::get,
        subcommands: &[],
    },
    Row {
        name: "hello",
        arity: -1,
        flags: BEFORE_AUTH,
        keys: Keys::None,
        categories: FAST_CONNECTION,
        doc: doc("connection", "6.0.0", "Handshake with Redis"),
        parse: parse::hello,
        subcommands: &[],
    },
    Row {
        name: "incr",
        arity: 2,
        flags: &["write", "denyoom", "fast"],
        keys: Keys::One,
        categories: &["write", "string", "fast"],
        doc: doc("string", "1.0.0", "Increment the integer value of a key by one"),
        parse: parse::incr,
        subcommands: &[],
    },
    Row {
        name: "incrby",
        arity: 3,
        flags: &["write", "denyoom", "fast"],
        keys: Keys::One,
        categories: &["write", "string", "fast"],
        doc: doc("string", "1.0.0", "Increment the integer value of a key by the given amount"),
        parse: parse::incrby,
        subcommands: &[],
    },
    Row {
        name: "info",
        arity: -1,
        flags: ALWAYS,
        keys: Keys::None,
        categories: &["slow", "dangerous"],
        doc: doc("server", "1.0.0", "Get information and statistics about the server"),
        parse: parse::info,
        subcommands: &[],
    },
    Row {
        name: "mget",
        arity: -2,
        flags: FAST_READ,
        keys: Keys::All { step: 1 },
        categories: &["read", "string", "fast"],
        doc: doc("string", "1.0.0", "Get the values of all the given keys"),
        parse: parse::mget,
        subcommands: &[],
    },
    Row {
        name: "mset",
        arity: -3,
        flags: &["write", "denyoom"],
        keys: Keys::All { step: 2 },
        categories: &["write", "string", "slow"],
        doc: doc("string", "1.0.1", "Set multiple keys to multiple values"),
        parse: parse::mset,
        subcommands: &[],
    },
    Row {
        name: "ping",
        arity: -1,
        flags: &["fast"],
        keys: Keys::None,
        categories: FAST_CONNECTION,
        doc: doc("connection", "1.0.0", "Ping the server"),
        parse: parse::ping,
        subcommands: &[],
    },
    Row {
        name: "quit",
        arity: -1,
        flags: BEFORE_AUTH,
        keys: Keys::None,
        categories: FAST_CONNECTION,
        doc: doc("connection", "1.0.0", "Close the connection"),
        parse: parse::quit,
        subcommands: &[],
    },
    Row {
        name: "select",
        arity: 2,
        flags: &["loading", "stale", "fast"],
        keys: Keys::None,
        categories: FAST_CONNECTION,
        doc: doc("connection", "1.0.0", "Change the selected database for the current connection"),
        parse: parse::select,
        subcommands: &[],
    },
    Row {
        name: "set",
        arity: -3,
        flags: &["write", "denyoom"],
        keys: Keys::One,
        categories: &["write", "string", "slow"],
        doc: doc("string", "1.0.0", "Set the string value of a key"),
        parse: parse::set,
        subcommands: &[],
    },
];

/// A subcommand that only looks at its connection or at this table.
const fn subcommand(
    name: &'static str,
    arity: i8,
    flags: &'static [&'static str],
    doc: Doc,
    parse: fn(&crate::Args) -> Result<crate::command::Request, crate::Reply>,
) -> Row {
    let categories = SLOW_CONNECTION;
    Row { name, arity, flags, keys: Keys::None, categories, doc, parse, subcommands: &[] }
}

static CLIENT: &[Row] = &[
    subcommand(
        "client|getname",
        2,
        ON_CONNECTION,
        doc("connection", "2.6.9", "Get the current connection name"),
        parse::client_getname,
    ),
    subcommand(
        "client|help",
        2,
        ALWAYS,
        doc("connection", "5.0.0", "Show helpful text about the different subcommands"),
        parse::client_help,
    ),
    subcommand(
        "client|id",
        2,
        ON_CONNECTION,
        doc("connection", "5.0.0", "Returns the client ID for the current connection"),
        parse::client_id,
    ),
    subcommand(
        "client|info",
        2,
        ON_CONNECTION,
        doc("connection", "6.2.0", "Returns information about the current client connection."),
        parse::client_info,
    ),
    subcommand(
        "client|no-evict",
        3,
        &["admin", "noscript", "loading", "stale"],
        doc("connection", "7.0.0", "Set client eviction mode for the current connection"),
        parse::client_no_evict,
    ),
    subcommand(
        "client|reply",
        3,
        ON_CONNECTION,
        doc("connection", "3.2.0", "Instruct the server whether to reply to commands"),
        parse::client_reply,
    ),
    subcommand(
        "client|setinfo",
        4,
        ON_CONNECTION,
        doc("connection", "7.2.0", "Set client or connection specific info"),
        parse::client_setinfo,
    ),
    subcommand(
        "client|setname",
        3,
        ON_CONNECTION,
        doc("connection", "2.6.9", "Set the current connection name"),
        parse::client_setname,
    ),
];

static COMMAND: &[Row] = &[
    subcommand(
        "command|count",
        2,
        ALWAYS,
        doc("server", "2.8.13", "Get total number of Redis commands"),
        parse::command_count,
    ),
    subcommand(
        "command|docs",
        -2,
        ALWAYS,
        doc("server", "7.0.0", "Get array of specific Redis command documentation"),
        parse::command_docs,
    ),
    subcommand(
        "command|getkeys",
        -4,
        ALWAYS,
        doc("server", "2.8.13", "Extract keys given a full Redis command"),
        parse::command_getkeys,
    ),
    subcommand(
        "command|help",
        2,
        ALWAYS,
        doc("server", "5.0.0", "Show helpful text about the different subcommands"),
        parse::command_help,
    ),
    subcommand(
        "command|info",
        -2,
        ALWAYS,
        doc("server", "2.8.13", "Get array of specific Redis command details"),
        parse::command_info,
    ),
    subcommand(
        "command|list",
        -2,
        ALWAYS,
        doc("server", "7.0.0", "Get an array of Redis command names"),
        parse::command_list,
    ),
];

/// The row of a command, by its name in any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Row> {
    let mut lower = [0; NAME_BYTES_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let found = ROWS.binary_search_by(|row| row.name.as_bytes().cmp(lower)).ok()?;
    ROWS.get(found)
}

/// The row of a subcommand, by its name in any case.
pub(crate) fn find_subcommand(container: &Row, name: &[u8]) -> Option<&'static Row> {
    let mut rows = container.subcommands.iter();
    rows.find(|row| row.own_name().as_bytes().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name_in_any_case() {
        assert!(ROWS.is_sorted_by_key(|row| row.name), "lookups need the table sorted");
        for row in ROWS {
            for name in [row.name.to_owned(), row.name.to_uppercase()] {
                assert!(std::ptr::eq(find(name.as_bytes()).expect("found"), row), "{name}");
            }
            for sub in row.subcommands {
                assert!(sub.name.starts_with(&format!("{}|", row.name)), "{}", sub.name);
                let found = find_subcommand(row, sub.own_name().to_uppercase().as_bytes());
                assert!(std::ptr::eq(found.expect("found"), sub), "{}", sub.name);
            }
        }
        assert!(find(b"").is_none());
        assert!(find(&[b'a'; 1_000]).is_none());
    }
}
