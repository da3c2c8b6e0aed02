//! Rows of commands on lists.

use crate::command::parse::list as parse;
use crate::command::table::{
    FAST_GROWTH, FAST_READ, FAST_WRITE, GROWTH, READ, WRITE, WRITE_MOVABLE,
};
use crate::command::{Keys, Row};

pub(super) static ROWS: &[Row] = &[
    Row::new("lindex", 3, parse::lindex).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc(
        "list",
        "1.0.0",
        "Get an element from a list by its index",
    ),
    Row::new("linsert", 5, parse::linsert)
        .flags(GROWTH)
        .keys(Keys::ONE)
        .categories(SLOW_WRITES)
        .doc("list", "2.2.0", "Insert an element before or after another element in a list"),
    Row::new("llen", 2, parse::llen).flags(FAST_READ).keys(Keys::ONE).categories(FAST_READS).doc(
        "list",
        "1.0.0",
        "Get the length of a list",
    ),
    Row::new("lmove", 5, parse::lmove).flags(GROWTH).keys(Keys::PAIR).categories(SLOW_WRITES).doc(
        "list",
        "6.2.0",
        "Pop an element from a list, push it to another list and return it",
    ),
    Row::new("lmpop", -4, parse::lmpop)
        .flags(WRITE_MOVABLE)
        .keys(Keys::Counted { at: 1, stores: false })
        .categories(SLOW_WRITES)
        .doc("list", "7.0.0", "Pop elements from a list"),
    Row::new("lpop", -2, parse::lpop)
        .flags(FAST_WRITE)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("list", "1.0.0", "Remove and get the first elements in a list"),
    Row::new("lpos", -3, parse::lpos).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc(
        "list",
        "6.0.6",
        "Return the index of matching elements on a list",
    ),
    Row::new("lpush", -3, parse::lpush)
        .flags(FAST_GROWTH)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("list", "1.0.0", "Prepend one or multiple elements to a list"),
    Row::new("lpushx", -3, parse::lpushx)
        .flags(FAST_GROWTH)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("list", "2.2.0", "Prepend an element to a list, only if the list exists"),
    Row::new("lrange", 4, parse::lrange).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc(
        "list",
        "1.0.0",
        "Get a range of elements from a list",
    ),
    Row::new("lrem", 4, parse::lrem).flags(WRITE).keys(Keys::ONE).categories(SLOW_WRITES).doc(
        "list",
        "1.0.0",
        "Remove elements from a list",
    ),
    Row::new("lset", 4, parse::lset).flags(GROWTH).keys(Keys::ONE).categories(SLOW_WRITES).doc(
        "list",
        "1.0.0",
        "Set the value of an element in a list by its index",
    ),
    Row::new("ltrim", 4, parse::ltrim).flags(WRITE).keys(Keys::ONE).categories(SLOW_WRITES).doc(
        "list",
        "1.0.0",
        "Trim a list to the specified range",
    ),
    Row::new("rpop", -2, parse::rpop)
        .flags(FAST_WRITE)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("list", "1.0.0", "Remove and get the last elements in a list"),
    Row::new("rpoplpush", 3, parse::rpoplpush)
        .flags(GROWTH)
        .keys(Keys::PAIR)
        .categories(SLOW_WRITES)
        .doc(
            "list",
            "1.2.0",
            "Remove the last element in a list, prepend it to another list and return it",
        ),
    Row::new("rpush", -3, parse::rpush)
        .flags(FAST_GROWTH)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("list", "1.0.0", "Append one or multiple elements to a list"),
    Row::new("rpushx", -3, parse::rpushx)
        .flags(FAST_GROWTH)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("list", "2.2.0", "Append an element to a list, only if the list exists"),
];

const FAST_READS: &[&str] = &["read", "list", "fast"];
const FAST_WRITES: &[&str] = &["write", "list", "fast"];
const SLOW_READS: &[&str] = &["read", "list", "slow"];
const SLOW_WRITES: &[&str] = &["write", "list", "slow"];
