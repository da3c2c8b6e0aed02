//! Rows of commands on strings.

use crate::command::parse::string as parse;
use crate::command::table::FAST_READ;
use crate::command::{Keys, Row};

pub(super) static ROWS: &[Row] = &[
    Row::new("get", 2, parse::get)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(&["read", "string", "fast"])
        .doc("string", "1.0.0", "Get the value of a key"),
    Row::new("set", -3, parse::set)
        .flags(&["write", "denyoom"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "slow"])
        .doc("string", "1.0.0", "Set the string value of a key"),
    Row::new("incr", 2, parse::incr)
        .flags(&["write", "denyoom", "fast"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "fast"])
        .doc("string", "1.0.0", "Increment the integer value of a key by one"),
    Row::new("incrby", 3, parse::incrby)
        .flags(&["write", "denyoom", "fast"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "fast"])
        .doc("string", "1.0.0", "Increment the integer value of a key by the given amount"),
    Row::new("mget", -2, parse::mget)
        .flags(FAST_READ)
        .keys(Keys::ALL)
        .categories(&["read", "string", "fast"])
        .doc("string", "1.0.0", "Get the values of all the given keys"),
    Row::new("mset", -3, parse::mset)
        .flags(&["write", "denyoom"])
        .keys(Keys::EVERY_OTHER)
        .categories(&["write", "string", "slow"])
        .doc("string", "1.0.1", "Set multiple keys to multiple values"),
];
