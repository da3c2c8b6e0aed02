//! Texts about arguments of commands on collections, Redis 7.0's.

use crate::resp::reply::Reply;

pub(crate) const NOT_A_FLOAT: &str = "ERR value is not a valid float";
pub(crate) const NOT_FINITE: &str = "ERR value is NaN or Infinity";
pub(crate) const OUT_OF_RANGE: &str = "ERR value is out of range";
pub(crate) const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";
pub(crate) const NEGATIVE_LIMIT: &str = "ERR LIMIT can't be negative";
pub(crate) const NEGATIVE_COUNT: &str = "ERR COUNT can't be negative";
pub(crate) const NEGATIVE_MAXLEN: &str = "ERR MAXLEN can't be negative";
pub(crate) const ZERO_RANK: &str = "ERR RANK can't be zero: use 1 to start from the first match, \
     2 from the second ... or use negative to start from the end of the list";
pub(crate) const NO_COUNT: &str = "ERR count should be greater than 0";
pub(crate) const NO_KEYS: &str = "ERR numkeys should be greater than 0";
pub(crate) const TOO_MANY_KEYS: &str = "ERR Number of keys can't be greater than number of args";
pub(crate) const CURSOR: &str = "ERR invalid cursor";
pub(crate) const NEW_OR_EXISTING: &str =
    "ERR XX and NX options at the same time are not compatible";
pub(crate) const GREATER_OR_LESS: &str =
    "ERR GT, LT, and/or NX options at the same time are not compatible";
pub(crate) const ONE_INCREMENT: &str = "ERR INCR option supports a single increment-element pair";
pub(crate) const SCORE_BOUND: &str = "ERR min or max is not a float";
pub(crate) const LEX_BOUND: &str = "ERR min or max not valid string range item";
pub(crate) const LIMIT_BY_RANK: &str = "ERR syntax error, LIMIT is only supported in combination \
     with either BYSCORE or BYLEX";
pub(crate) const SCORES_BY_LEX: &str =
    "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
pub(crate) const SORT_BY_PATTERN: &str = "ERR BY option of SORT denied in Cluster mode.";
pub(crate) const SORT_GET: &str = "ERR GET option of SORT denied in Cluster mode.";
pub(crate) const WEIGHT: &str = "ERR weight value is not a float";

/// For a number that may be anything but the lowest of 64 bits.
pub(crate) fn lowest_integer() -> Reply {
    let (min, max) = (-i64::MAX, i64::MAX);
    Reply::error(format!("ERR value is out of range, value must between {min} and {max}"))
}

pub(crate) fn no_input_keys(command: &str) -> Reply {
    Reply::error(format!("ERR at least 1 input key is needed for '{command}' command"))
}
