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
    Row::new("append", 3, parse::append)
        .flags(&["write", "denyoom", "fast"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "fast"])
        .doc("string", "2.0.0", "Append a value to a key"),
    Row::new("decr", 2, parse::decr)
        .flags(&["write", "denyoom", "fast"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "fast"])
        .doc("string", "1.0.0", "Decrement the integer value of a key by one"),
    Row::new("decrby", 3, parse::decrby)
        .flags(&["write", "denyoom", "fast"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "fast"])
        .doc("string", "1.0.0", "Decrement the integer value of a key by the given number"),
    Row::new("getdel", 2, parse::getdel)
        .flags(&["write", "fast"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "fast"])
        .doc("string", "6.2.0", "Get the value of a key and delete the key"),
    Row::new("getex", -2, parse::getex)
        .flags(&["write", "fast"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "fast"])
        .doc("string", "6.2.0", "Get the value of a key and optionally set its expiration"),
    Row::new("getrange", 4, parse::getrange)
        .flags(&["readonly"])
        .keys(Keys::ONE)
        .categories(&["read", "string", "slow"])
        .doc("string", "2.4.0", "Get a substring of the string stored at a key"),
    Row::new("getset", 3, parse::getset)
        .flags(&["write", "denyoom", "fast"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "fast"])
        .doc("string", "1.0.0", "Set the string value of a key and return its old value"),
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
    Row::new("incrbyfloat", 3, parse::incrbyfloat)
        .flags(&["write", "denyoom", "fast"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "fast"])
        .doc("string", "2.6.0", "Increment the float value of a key by the given amount"),
    Row::new("lcs", -3, parse::lcs)
        .flags(&["readonly"])
        .keys(Keys::Span { first: 1, last: 2, step: 1 })
        .categories(&["read", "string", "slow"])
        .doc("string", "7.0.0", "Find longest common substring"),
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
    Row::new("msetnx", -3, parse::msetnx)
        .flags(&["write", "denyoom"])
        .keys(Keys::EVERY_OTHER)
        .categories(&["write", "string", "slow"])
        .doc(
            "string",
            "1.0.1",
            "Set multiple keys to multiple values, only if none of the keys exist",
        ),
    Row::new("psetex", 4, parse::psetex)
        .flags(&["write", "denyoom"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "slow"])
        .doc("string", "2.6.0", "Set the value and expiration in milliseconds of a key"),
    Row::new("setex", 4, parse::setex)
        .flags(&["write", "denyoom"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "slow"])
        .doc("string", "2.0.0", "Set the value and expiration of a key"),
    Row::new("setnx", 3, parse::setnx)
        .flags(&["write", "denyoom", "fast"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "fast"])
        .doc("string", "1.0.0", "Set the value of a key, only if the key does not exist"),
    Row::new("setrange", 4, parse::setrange)
        .flags(&["write", "denyoom"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "slow"])
        .doc(
            "string",
            "2.2.0",
            "Overwrite part of a string at key starting at the specified offset",
        ),
    Row::new("strlen", 2, parse::strlen)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(&["read", "string", "fast"])
        .doc("string", "2.2.0", "Get the length of the value stored in a key"),
    Row::new("substr", 4, parse::substr)
        .flags(&["readonly"])
        .keys(Keys::ONE)
        .categories(&["read", "string", "slow"])
        .doc("string", "1.0.0", "Get a substring of the string stored at a key"),
    Row::new("delifeq", 3, parse::delifeq)
        .flags(&["write", "fast"])
        .keys(Keys::ONE)
        .categories(&["write", "string", "fast"])
        .doc("string", "9.0.0", "Delete a key if it holds exactly the given string (as in Valkey)"),
];
