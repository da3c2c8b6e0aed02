//! Rows of commands about the node and about these tables.

use crate::command::Row;
use crate::command::parse::{container, server as parse};
use crate::command::table::{ALWAYS, SLOW_CONNECTION};

pub(super) static ROWS: &[Row] = &[
    Row::new("config", -2, container)
        .categories(&["slow"])
        .doc("server", "2.0.0", "A container for server configuration commands")
        .subcommands(CONFIG),
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
    Row::new("waitaof", 4, parse::waitaof).flags(&["noscript"]).categories(SLOW_CONNECTION).doc(
        "generic",
        "7.2.0",
        "Wait until the write commands of the current connection are on disks",
    ),
];

const ADMIN: &[&str] = &["admin", "noscript", "loading", "stale"];
const DANGEROUS: &[&str] = &["admin", "slow", "dangerous"];

static CONFIG: &[Row] = &[
    Row::new("config|get", -3, parse::config_get).flags(ADMIN).categories(DANGEROUS).doc(
        "server",
        "2.0.0",
        "Get the values of configuration parameters",
    ),
    Row::new("config|help", 2, parse::config_help).flags(ALWAYS).categories(&["slow"]).doc(
        "server",
        "5.0.0",
        "Show helpful text about the different subcommands",
    ),
    Row::new("config|resetstat", 2, parse::config_resetstat)
        .flags(ADMIN)
        .categories(DANGEROUS)
        .doc("server", "2.0.0", "Reset the stats returned by INFO"),
    Row::new("config|set", -4, parse::config_set).flags(ADMIN).categories(DANGEROUS).doc(
        "server",
        "2.0.0",
        "Set configuration parameters to the given values",
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
