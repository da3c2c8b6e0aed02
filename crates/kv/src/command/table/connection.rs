//! Rows of commands about the connection itself.

use crate::command::Row;
use crate::command::parse::{clients, connection as parse, container};
use crate::command::table::{ALWAYS, BEFORE_AUTH, FAST_CONNECTION, ON_CONNECTION, SLOW_CONNECTION};

const ADMIN: &[&str] = &["admin", "noscript", "loading", "stale"];
const ADMIN_CONNECTION: &[&str] = &["admin", "slow", "dangerous", "connection"];

pub(super) static ROWS: &[Row] = &[
    Row::new("auth", -2, parse::auth).flags(BEFORE_AUTH).categories(FAST_CONNECTION).doc(
        "connection",
        "1.0.0",
        "Authenticate to the server",
    ),
    Row::new("client", -2, container)
        .categories(&["slow"])
        .doc("connection", "2.4.0", "A container for client connection commands")
        .subcommands(CLIENT),
    Row::new("echo", 2, parse::echo)
        .flags(&["loading", "stale", "fast"])
        .categories(FAST_CONNECTION)
        .doc("connection", "1.0.0", "Echo the given string"),
    Row::new("hello", -1, parse::hello).flags(BEFORE_AUTH).categories(FAST_CONNECTION).doc(
        "connection",
        "6.0.0",
        "Handshake with Redis",
    ),
    Row::new("ping", -1, parse::ping).flags(&["fast"]).categories(FAST_CONNECTION).doc(
        "connection",
        "1.0.0",
        "Ping the server",
    ),
    Row::new("quit", -1, parse::quit).flags(BEFORE_AUTH).categories(FAST_CONNECTION).doc(
        "connection",
        "1.0.0",
        "Close the connection",
    ),
    Row::new("reset", 1, parse::reset).flags(BEFORE_AUTH).categories(FAST_CONNECTION).doc(
        "connection",
        "6.2.0",
        "Reset the connection",
    ),
    Row::new("select", 2, parse::select)
        .flags(&["loading", "stale", "fast"])
        .categories(FAST_CONNECTION)
        .doc("connection", "1.0.0", "Change the selected database for the current connection"),
];

static CLIENT: &[Row] = &[
    Row::new("client|getname", 2, parse::client_getname)
        .flags(ON_CONNECTION)
        .categories(SLOW_CONNECTION)
        .doc("connection", "2.6.9", "Get the current connection name"),
    Row::new("client|help", 2, parse::client_help).flags(ALWAYS).categories(SLOW_CONNECTION).doc(
        "connection",
        "5.0.0",
        "Show helpful text about the different subcommands",
    ),
    Row::new("client|id", 2, parse::client_id)
        .flags(ON_CONNECTION)
        .categories(SLOW_CONNECTION)
        .doc("connection", "5.0.0", "Returns the client ID for the current connection"),
    Row::new("client|info", 2, parse::client_info)
        .flags(ON_CONNECTION)
        .categories(SLOW_CONNECTION)
        .doc("connection", "6.2.0", "Returns information about the current client connection."),
    Row::new("client|no-evict", 3, clients::on_or_off)
        .flags(&["admin", "noscript", "loading", "stale"])
        .categories(SLOW_CONNECTION)
        .doc("connection", "7.0.0", "Set client eviction mode for the current connection"),
    Row::new("client|reply", 3, parse::client_reply)
        .flags(ON_CONNECTION)
        .categories(SLOW_CONNECTION)
        .doc("connection", "3.2.0", "Instruct the server whether to reply to commands"),
    Row::new("client|setinfo", 4, parse::client_setinfo)
        .flags(ON_CONNECTION)
        .categories(SLOW_CONNECTION)
        .doc("connection", "7.2.0", "Set client or connection specific info"),
    Row::new("client|setname", 3, parse::client_setname)
        .flags(ON_CONNECTION)
        .categories(SLOW_CONNECTION)
        .doc("connection", "2.6.9", "Set the current connection name"),
    Row::new("client|caching", 3, clients::caching)
        .flags(ON_CONNECTION)
        .categories(SLOW_CONNECTION)
        .doc(
            "connection",
            "6.0.0",
            "Instruct the server about tracking or not keys in the next request",
        ),
    Row::new("client|getredir", 2, clients::getredir)
        .flags(ON_CONNECTION)
        .categories(SLOW_CONNECTION)
        .doc("connection", "6.0.0", "Get tracking notifications redirection client ID if any"),
    Row::new("client|kill", -3, clients::kill).flags(ADMIN).categories(ADMIN_CONNECTION).doc(
        "connection",
        "2.4.0",
        "Kill the connection of a client",
    ),
    Row::new("client|list", -2, clients::list).flags(ADMIN).categories(ADMIN_CONNECTION).doc(
        "connection",
        "2.4.0",
        "Get the list of client connections",
    ),
    Row::new("client|no-touch", 3, clients::on_or_off)
        .flags(ON_CONNECTION)
        .categories(SLOW_CONNECTION)
        .doc(
            "connection",
            "7.2.0",
            "Controls whether commands sent by the client affect the LRU/LFU of accessed keys",
        ),
    Row::new("client|tracking", -3, clients::tracking)
        .flags(ON_CONNECTION)
        .categories(SLOW_CONNECTION)
        .doc("connection", "6.0.0", "Enable or disable server assisted client side caching support"),
    Row::new("client|trackinginfo", 2, clients::trackinginfo)
        .flags(ON_CONNECTION)
        .categories(SLOW_CONNECTION)
        .doc(
            "connection",
            "6.2.0",
            "Return information about server assisted client side caching for the current connection",
        ),
    Row::new("client|unblock", -3, clients::unblock).flags(ADMIN).categories(ADMIN_CONNECTION).doc(
        "connection",
        "5.0.0",
        "Unblock a client blocked in a blocking command from a different connection",
    ),
    Row::new("client|unpause", 2, clients::unpause).flags(ADMIN).categories(ADMIN_CONNECTION).doc(
        "connection",
        "6.2.0",
        "Resume processing of clients that were paused",
    ),
];
