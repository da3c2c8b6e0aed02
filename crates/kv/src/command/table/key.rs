//! Rows of commands on keys, whatever they hold.

use crate::command::parse::{key as parse, sort};
use crate::command::table::FAST_READ;
use crate::command::{Keys, Row};

pub(super) static ROWS: &[Row] = &[
    Row::new("sort", -2, sort::sort)
        .flags(&["write", "denyoom", "movablekeys"])
        .keys(Keys::Sort)
        .categories(&["write", "set", "sortedset", "list", "slow", "dangerous"])
        .doc("generic", "1.0.0", "Sort the elements in a list, set or sorted set"),
    Row::new("sort_ro", -2, sort::sort_ro)
        .flags(&["readonly", "movablekeys"])
        .keys(Keys::ONE)
        .categories(&["read", "set", "sortedset", "list", "slow", "dangerous"])
        .doc(
            "generic",
            "7.0.0",
            "Sort the elements in a list, set or sorted set. Read-only variant of SORT.",
        ),
    Row::new("del", -2, parse::del)
        .flags(&["write"])
        .keys(Keys::ALL)
        .categories(&["keyspace", "write", "slow"])
        .doc("generic", "1.0.0", "Delete a key"),
    Row::new("exists", -2, parse::exists)
        .flags(FAST_READ)
        .keys(Keys::ALL)
        .categories(&["keyspace", "read", "fast"])
        .doc("generic", "1.0.0", "Determine if a key exists"),
];
