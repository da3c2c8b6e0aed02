//! Rows of commands about scripts and functions.

use crate::command::parse::{container, script as parse};
use crate::command::{Keys, Row};

const EVAL_FLAGS: &[&str] =
    &["noscript", "stale", "skip_monitor", "no_mandatory_keys", "movablekeys"];
const SLOW: &[&str] = &["slow", "scripting"];

pub(super) static ROWS: &[Row] = &[
    Row::new("eval", -3, parse::eval)
        .flags(EVAL_FLAGS)
        .keys(Keys::Counted { at: 2, stores: false })
        .categories(SLOW)
        .doc("scripting", "2.6.0", "Execute a Lua script server side"),
    Row::new("evalsha", -3, parse::evalsha)
        .flags(EVAL_FLAGS)
        .keys(Keys::Counted { at: 2, stores: false })
        .categories(SLOW)
        .doc("scripting", "2.6.0", "Execute a Lua script server side"),
    Row::new("function", -2, container)
        .categories(&["slow"])
        .doc("scripting", "7.0.0", "A container for function commands")
        .subcommands(FUNCTION),
    Row::new("script", -2, container)
        .categories(&["slow"])
        .doc("scripting", "2.6.0", "A container for Lua scripts management commands")
        .subcommands(SCRIPT),
];

static FUNCTION: &[Row] = &[
    Row::new("function|flush", -2, parse::function_flush)
        .flags(&["write", "noscript"])
        .categories(&["write", "slow", "scripting"])
        .doc("scripting", "7.0.0", "Deleting all functions"),
    Row::new("function|help", 2, parse::function_help)
        .flags(&["loading", "stale"])
        .categories(SLOW)
        .doc("scripting", "7.0.0", "Show helpful text about the different subcommands"),
    Row::new("function|list", -2, parse::function_list).flags(&["noscript"]).categories(SLOW).doc(
        "scripting",
        "7.0.0",
        "List information about all the functions",
    ),
];

static SCRIPT: &[Row] = &[
    Row::new("script|exists", -3, parse::exists).flags(&["noscript"]).categories(SLOW).doc(
        "scripting",
        "2.6.0",
        "Check existence of scripts in the script cache.",
    ),
    Row::new("script|flush", -2, parse::flush).flags(&["noscript"]).categories(SLOW).doc(
        "scripting",
        "2.6.0",
        "Remove all the scripts from the script cache.",
    ),
    Row::new("script|help", 2, parse::help).flags(&["loading", "stale"]).categories(SLOW).doc(
        "scripting",
        "5.0.0",
        "Show helpful text about the different subcommands",
    ),
    Row::new("script|kill", 2, parse::kill)
        .flags(&["noscript", "allow_busy"])
        .categories(SLOW)
        .doc("scripting", "2.6.0", "Kill the script currently in execution."),
    Row::new("script|load", 3, parse::load).flags(&["noscript", "stale"]).categories(SLOW).doc(
        "scripting",
        "2.6.0",
        "Load the specified Lua script into the script cache.",
    ),
];
