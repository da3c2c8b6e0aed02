//! Rows of `MULTI` and its kin.

use crate::command::parse::transaction as parse;
use crate::command::{Keys, Row};

const FLAGS: &[&str] = &["noscript", "loading", "stale", "fast", "allow_busy"];
const FAST: &[&str] = &["fast", "transaction"];

pub(super) static ROWS: &[Row] = &[
    Row::new("discard", 1, parse::discard).flags(FLAGS).categories(FAST).doc(
        "transactions",
        "2.0.0",
        "Discard all commands issued after MULTI",
    ),
    Row::new("exec", 1, parse::exec)
        .flags(&["noscript", "loading", "stale", "skip_slowlog"])
        .categories(&["slow", "transaction"])
        .doc("transactions", "1.2.0", "Execute all commands issued after MULTI"),
    Row::new("multi", 1, parse::multi).flags(FLAGS).categories(FAST).doc(
        "transactions",
        "1.2.0",
        "Mark the start of a transaction block",
    ),
    Row::new("unwatch", 1, parse::unwatch).flags(FLAGS).categories(FAST).doc(
        "transactions",
        "2.2.0",
        "Forget about all watched keys",
    ),
    Row::new("watch", -2, parse::watch).flags(FLAGS).keys(Keys::ALL).categories(FAST).doc(
        "transactions",
        "2.2.0",
        "Watch the given keys to determine execution of the MULTI/EXEC block",
    ),
];
