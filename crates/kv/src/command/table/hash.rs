//! Rows of commands on hashes.

use crate::command::parse::hash as parse;
use crate::command::table::{FAST_GROWTH, FAST_READ, FAST_WRITE, READ};
use crate::command::{Keys, Row};

pub(super) static ROWS: &[Row] = &[
    Row::new("hdel", -3, parse::hdel)
        .flags(FAST_WRITE)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("hash", "2.0.0", "Delete one or more hash fields"),
    Row::new("hexists", 3, parse::hexists)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(FAST_READS)
        .doc("hash", "2.0.0", "Determine if a hash field exists"),
    Row::new("hget", 3, parse::hget).flags(FAST_READ).keys(Keys::ONE).categories(FAST_READS).doc(
        "hash",
        "2.0.0",
        "Get the value of a hash field",
    ),
    Row::new("hgetall", 2, parse::hgetall).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc(
        "hash",
        "2.0.0",
        "Get all the fields and values in a hash",
    ),
    Row::new("hincrby", 4, parse::hincrby)
        .flags(FAST_GROWTH)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("hash", "2.0.0", "Increment the integer value of a hash field by the given number"),
    Row::new("hincrbyfloat", 4, parse::hincrbyfloat)
        .flags(FAST_GROWTH)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("hash", "2.6.0", "Increment the float value of a hash field by the given amount"),
    Row::new("hkeys", 2, parse::hkeys).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc(
        "hash",
        "2.0.0",
        "Get all the fields in a hash",
    ),
    Row::new("hlen", 2, parse::hlen).flags(FAST_READ).keys(Keys::ONE).categories(FAST_READS).doc(
        "hash",
        "2.0.0",
        "Get the number of fields in a hash",
    ),
    Row::new("hmget", -3, parse::hmget)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(FAST_READS)
        .doc("hash", "2.0.0", "Get the values of all the given hash fields"),
    Row::new("hmset", -4, parse::hmset)
        .flags(FAST_GROWTH)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("hash", "2.0.0", "Set multiple hash fields to multiple values"),
    Row::new("hrandfield", -2, parse::hrandfield)
        .flags(READ)
        .keys(Keys::ONE)
        .categories(SLOW_READS)
        .doc("hash", "6.2.0", "Get one or multiple random fields from a hash"),
    Row::new("hscan", -3, parse::hscan).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc(
        "hash",
        "2.8.0",
        "Incrementally iterate hash fields and associated values",
    ),
    Row::new("hset", -4, parse::hset)
        .flags(FAST_GROWTH)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("hash", "2.0.0", "Set the string value of a hash field"),
    Row::new("hsetnx", 4, parse::hsetnx)
        .flags(FAST_GROWTH)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("hash", "2.0.0", "Set the value of a hash field, only if the field does not exist"),
    Row::new("hstrlen", 3, parse::hstrlen)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(FAST_READS)
        .doc("hash", "3.2.0", "Get the length of the value of a hash field"),
    Row::new("hvals", 2, parse::hvals).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc(
        "hash",
        "2.0.0",
        "Get all the values in a hash",
    ),
];

const FAST_READS: &[&str] = &["read", "hash", "fast"];
const FAST_WRITES: &[&str] = &["write", "hash", "fast"];
const SLOW_READS: &[&str] = &["read", "hash", "slow"];
