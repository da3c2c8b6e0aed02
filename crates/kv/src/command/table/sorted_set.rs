//! Rows of commands on sorted sets.

use crate::command::parse::sorted_set as parse;
use crate::command::parse::{combination, range};
use crate::command::table::{
    FAST_GROWTH, FAST_READ, FAST_WRITE, GROWTH, GROWTH_MOVABLE, READ, READ_MOVABLE, WRITE,
    WRITE_MOVABLE,
};
use crate::command::{Keys, Row};

pub(super) static ROWS: &[Row] = &[
    Row::new("zadd", -4, parse::zadd).flags(FAST_GROWTH).keys(Keys::ONE).categories(FAST_WRITES).doc("sorted-set", "1.2.0", "Add one or more members to a sorted set, or update its score if it already exists"),
    Row::new("zcard", 2, parse::zcard).flags(FAST_READ).keys(Keys::ONE).categories(FAST_READS).doc("sorted-set", "1.2.0", "Get the number of members in a sorted set"),
    Row::new("zcount", 4, range::zcount).flags(FAST_READ).keys(Keys::ONE).categories(FAST_READS).doc("sorted-set", "2.0.0", "Count the members in a sorted set with scores within the given values"),
    Row::new("zdiff", -3, combination::zdiff).flags(READ_MOVABLE).keys(Keys::Counted { at: 1, stores: false }).categories(SLOW_READS).doc("sorted-set", "6.2.0", "Subtract multiple sorted sets"),
    Row::new("zdiffstore", -4, combination::zdiffstore).flags(GROWTH_MOVABLE).keys(Keys::Counted { at: 2, stores: true }).categories(SLOW_WRITES).doc("sorted-set", "6.2.0", "Subtract multiple sorted sets and store the resulting sorted set in a new key"),
    Row::new("zincrby", 4, parse::zincrby).flags(FAST_GROWTH).keys(Keys::ONE).categories(FAST_WRITES).doc("sorted-set", "1.2.0", "Increment the score of a member in a sorted set"),
    Row::new("zinter", -3, combination::zinter).flags(READ_MOVABLE).keys(Keys::Counted { at: 1, stores: false }).categories(SLOW_READS).doc("sorted-set", "6.2.0", "Intersect multiple sorted sets"),
    Row::new("zintercard", -3, combination::zintercard).flags(READ_MOVABLE).keys(Keys::Counted { at: 1, stores: false }).categories(SLOW_READS).doc("sorted-set", "7.0.0", "Intersect multiple sorted sets and return the cardinality of the result"),
    Row::new("zinterstore", -4, combination::zinterstore).flags(GROWTH_MOVABLE).keys(Keys::Counted { at: 2, stores: true }).categories(SLOW_WRITES).doc("sorted-set", "2.0.0", "Intersect multiple sorted sets and store the resulting sorted set in a new key"),
    Row::new("zlexcount", 4, range::zlexcount).flags(FAST_READ).keys(Keys::ONE).categories(FAST_READS).doc("sorted-set", "2.8.9", "Count the number of members in a sorted set between a given lexicographical range"),
    Row::new("zmpop", -4, parse::zmpop).flags(WRITE_MOVABLE).keys(Keys::Counted { at: 1, stores: false }).categories(SLOW_WRITES).doc("sorted-set", "7.0.0", "Remove and return members with scores in a sorted set"),
    Row::new("zmscore", -3, parse::zmscore).flags(FAST_READ).keys(Keys::ONE).categories(FAST_READS).doc("sorted-set", "6.2.0", "Get the score associated with the given members in a sorted set"),
    Row::new("zpopmax", -2, parse::zpopmax).flags(FAST_WRITE).keys(Keys::ONE).categories(FAST_WRITES).doc("sorted-set", "5.0.0", "Remove and return members with the highest scores in a sorted set"),
    Row::new("zpopmin", -2, parse::zpopmin).flags(FAST_WRITE).keys(Keys::ONE).categories(FAST_WRITES).doc("sorted-set", "5.0.0", "Remove and return members with the lowest scores in a sorted set"),
    Row::new("zrandmember", -2, parse::zrandmember).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc("sorted-set", "6.2.0", "Get one or multiple random elements from a sorted set"),
    Row::new("zrange", -4, range::zrange).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc("sorted-set", "1.2.0", "Return a range of members in a sorted set"),
    Row::new("zrangebylex", -4, range::zrangebylex).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc("sorted-set", "2.8.9", "Return a range of members in a sorted set, by lexicographical range"),
    Row::new("zrangebyscore", -4, range::zrangebyscore).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc("sorted-set", "1.0.5", "Return a range of members in a sorted set, by score"),
    Row::new("zrangestore", -5, range::zrangestore).flags(GROWTH).keys(Keys::PAIR).categories(SLOW_WRITES).doc("sorted-set", "6.2.0", "Store a range of members from sorted set into another key"),
    Row::new("zrank", 3, parse::zrank).flags(FAST_READ).keys(Keys::ONE).categories(FAST_READS).doc("sorted-set", "2.0.0", "Determine the index of a member in a sorted set"),
    Row::new("zrem", -3, parse::zrem).flags(FAST_WRITE).keys(Keys::ONE).categories(FAST_WRITES).doc("sorted-set", "1.2.0", "Remove one or more members from a sorted set"),
    Row::new("zremrangebylex", 4, range::zremrangebylex).flags(WRITE).keys(Keys::ONE).categories(SLOW_WRITES).doc("sorted-set", "2.8.9", "Remove all members in a sorted set between the given lexicographical range"),
    Row::new("zremrangebyrank", 4, range::zremrangebyrank).flags(WRITE).keys(Keys::ONE).categories(SLOW_WRITES).doc("sorted-set", "2.0.0", "Remove all members in a sorted set within the given indexes"),
    Row::new("zremrangebyscore", 4, range::zremrangebyscore).flags(WRITE).keys(Keys::ONE).categories(SLOW_WRITES).doc("sorted-set", "1.2.0", "Remove all members in a sorted set within the given scores"),
    Row::new("zrevrange", -4, range::zrevrange).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc("sorted-set", "1.2.0", "Return a range of members in a sorted set, by index, with scores ordered from high to low"),
    Row::new("zrevrangebylex", -4, range::zrevrangebylex).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc("sorted-set", "2.8.9", "Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower strings."),
    Row::new("zrevrangebyscore", -4, range::zrevrangebyscore).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc("sorted-set", "2.2.0", "Return a range of members in a sorted set, by score, with scores ordered from high to low"),
    Row::new("zrevrank", 3, parse::zrevrank).flags(FAST_READ).keys(Keys::ONE).categories(FAST_READS).doc("sorted-set", "2.0.0", "Determine the index of a member in a sorted set, with scores ordered from high to low"),
    Row::new("zscan", -3, parse::zscan).flags(READ).keys(Keys::ONE).categories(SLOW_READS).doc("sorted-set", "2.8.0", "Incrementally iterate sorted sets elements and associated scores"),
    Row::new("zscore", 3, parse::zscore).flags(FAST_READ).keys(Keys::ONE).categories(FAST_READS).doc("sorted-set", "1.2.0", "Get the score associated with the given member in a sorted set"),
    Row::new("zunion", -3, combination::zunion).flags(READ_MOVABLE).keys(Keys::Counted { at: 1, stores: false }).categories(SLOW_READS).doc("sorted-set", "6.2.0", "Add multiple sorted sets"),
    Row::new("zunionstore", -4, combination::zunionstore).flags(GROWTH_MOVABLE).keys(Keys::Counted { at: 2, stores: true }).categories(SLOW_WRITES).doc("sorted-set", "2.0.0", "Add multiple sorted sets and store the resulting sorted set in a new key"),
];

const FAST_READS: &[&str] = &["read", "sortedset", "fast"];
const FAST_WRITES: &[&str] = &["write", "sortedset", "fast"];
const SLOW_READS: &[&str] = &["read", "sortedset", "slow"];
const SLOW_WRITES: &[&str] = &["write", "sortedset", "slow"];
