//! Rows of commands on keys, whatever they hold.

use crate::command::parse::key as parse;
use crate::command::table::FAST_READ;
use crate::command::{Keys, Row};

pub(super) static ROWS: &[Row] = &[
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
