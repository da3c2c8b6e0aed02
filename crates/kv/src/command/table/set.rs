//! Rows of commands on sets.

use crate::command::parse::set as parse;
use crate::command::table::{FAST_GROWTH, FAST_READ, FAST_WRITE, GROWTH, READ, READ_MOVABLE};
use crate::command::{Keys, Row};

pub(super) static ROWS: &[Row] = &[
    Row::new("sadd", -3, parse::sadd)
        .flags(FAST_GROWTH)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("set", "1.0.0", "Add one or more members to a set"),
    Row::new("scard", 2, parse::scard).flags(FAST_READ).keys(Keys::ONE).categories(FAST_READS).doc(
        "set",
        "1.0.0",
        "Get the number of members in a set",
    ),
    Row::new("sdiff", -2, parse::sdiff).flags(READ).keys(Keys::ALL).categories(SLOW_READS).doc(
        "set",
        "1.0.0",
        "Subtract multiple sets",
    ),
    Row::new("sdiffstore", -3, parse::sdiffstore)
        .flags(GROWTH)
        .keys(Keys::ALL)
        .categories(SLOW_WRITES)
        .doc("set", "1.0.0", "Subtract multiple sets and store the resulting set in a key"),
    Row::new("sinter", -2, parse::sinter).flags(READ).keys(Keys::ALL).categories(SLOW_READS).doc(
        "set",
        "1.0.0",
        "Intersect multiple sets",
    ),
    Row::new("sintercard", -3, parse::sintercard)
        .flags(READ_MOVABLE)
        .keys(Keys::Counted { at: 1, stores: false })
        .categories(SLOW_READS)
        .doc("set", "7.0.0", "Intersect multiple sets and return the cardinality of the result"),
    Row::new("sinterstore", -3, parse::sinterstore)
        .flags(GROWTH)
        .keys(Keys::ALL)
        .categories(SLOW_WRITES)
        .doc("set", "1.0.0", "Intersect multiple sets and store the resulting set in a key"),
    Row::new("sismember", 3, parse::sismember)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(FAST_READS)
        .doc("set", "1.0.0", "Determine if a given value is a member of a set"),
    Row::new("smembers", 2, parse::smembers)
        .flags(READ)
        .keys(Keys::ONE)
        .categories(SLOW_READS)
        .doc("set", "1.0.0", "Get all the members in a set"),
    Row::new("smismember", -3, parse::smismember)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(FAST_READS)
        .doc("set", "6.2.0", "Returns the membership associated with the given elements for a set"),
    Row::new("smove", 4, parse::smove)
        .flags(FAST_WRITE)
        .keys(Keys::PAIR)
        .categories(FAST_WRITES)
        .doc("set", "1.0.0", "Move a member from one set to another"),
    Row::new("spop", -2, parse::spop)
        .flags(FAST_WRITE)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("set", "1.0.0", "Remove and return one or multiple random members from a set"),
    Row::new("srandmember", -2, parse::srandmember)
        .flags(READ)
        .keys(Keys::ONE)
        .categories(SLOW_READS)
        .doc("set", "1.0.0", "Get one or multiple random members from a set"),
    Row::new("srem", -3, parse::srem)
        .flags(FAST_WRITE)
        .keys(Keys::ONE)
        .categories(FAST_WRITES)
        .doc("set", "1.0.0", "Remove one or more members from a set"),
    Row::new("sscan", -3, parse::sscan).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc(
        "set",
        "2.8.0",
        "Incrementally iterate Set elements",
    ),
    Row::new("sunion", -2, parse::sunion).flags(READ).keys(Keys::ALL).categories(SLOW_READS).doc(
        "set",
        "1.0.0",
        "Add multiple sets",
    ),
    Row::new("sunionstore", -3, parse::sunionstore)
        .flags(GROWTH)
        .keys(Keys::ALL)
        .categories(SLOW_WRITES)
        .doc("set", "1.0.0", "Add multiple sets and store the resulting set in a key"),
];

const FAST_READS: &[&str] = &["read", "set", "fast"];
const FAST_WRITES: &[&str] = &["write", "set", "fast"];
const SLOW_READS: &[&str] = &["read", "set", "slow"];
const SLOW_WRITES: &[&str] = &["write", "set", "slow"];
