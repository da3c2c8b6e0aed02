//! Rows of commands about the node and about these tables.

use crate::command::Row;
use crate::command::parse::server as parse;
use crate::command::table::{ALWAYS, SLOW_CONNECTION};

pub(super) static ROWS: &[Row] = &[
    Row::new("command", -1, parse::command)
        .flags(ALWAYS)
        .categories(SLOW_CONNECTION)
        .doc("server", "2.8.13", "Get array of Redis command details")
        .subcommands(COMMAND),
    Row::new("info", -1, parse::info).flags(ALWAYS).categories(&["slow", "dangerous"]).doc(
        "server",
        "1.0.0",
        "Get information and statistics about the server",
    ),
    Row::new("role", 1, parse::role)
        .flags(&["noscript", "loading", "stale", "fast"])
        .categories(&["admin", "fast", "dangerous"])
        .doc("server", "2.8.12", "Return the role of the instance in the context of replication"),
    Row::new("time", 1, parse::time)
        .flags(&["loading", "stale", "fast"])
        .categories(&["fast"])
        .doc("server", "2.6.0", "Return the current server time"),
    Row::new("wait", 3, parse::wait).flags(&["noscript"]).categories(SLOW_CONNECTION).doc(
        "generic",
        "3.0.0",
        "Wait for the synchronous replication of all the write commands sent in the context of \
         the current connection",
    ),
];

static COMMAND: &[Row] = &[
    Row::new("command|count", 2, parse::command_count)
        .flags(ALWAYS)
        .categories(SLOW_CONNECTION)
        .doc("server", "2.8.13", "Get total number of Redis commands"),
    Row::new("command|docs", -2, parse::command_docs)
        .flags(ALWAYS)
        .categories(SLOW_CONNECTION)
        .doc("server", "7.0.0", "Get array of specific Redis command documentation"),
    Row::new("command|getkeys", -4, parse::command_getkeys)
        .flags(ALWAYS)
        .categories(SLOW_CONNECTION)
        .doc("server", "2.8.13", "Extract keys given a full Redis command"),
    Row::new("command|help", 2, parse::command_help).flags(ALWAYS).categories(SLOW_CONNECTION).doc(
        "server",
        "5.0.0",
        "Show helpful text about the different subcommands",
    ),
    Row::new("command|info", -2, parse::command_info)
        .flags(ALWAYS)
        .categories(SLOW_CONNECTION)
        .doc("server", "2.8.13", "Get array of specific Redis command details"),
    Row::new("command|list", -2, parse::command_list)
        .flags(ALWAYS)
        .categories(SLOW_CONNECTION)
        .doc("server", "7.0.0", "Get an array of Redis command names"),
];
