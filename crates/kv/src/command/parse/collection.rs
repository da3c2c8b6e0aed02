//! Arguments that commands on collections have in common.

use bytes::Bytes;

use crate::command::parse::{integer, is, required, syntax_error};
use crate::operation::collection::{Pick, Scan};
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::{decimal, errors};

/// What `SCAN` and its like look at without `COUNT`, as in Redis.
const SCAN_COUNT_DEFAULT: u64 = 10;

/// A number that isn't negative, or else an error of `text`.
pub(super) fn natural(args: &Args, position: usize, text: &'static str) -> Result<u64, Reply> {
    let value = args.get(position).and_then(decimal::parse_u64);
    value.ok_or_else(|| Reply::error(text))
}

/// A number from 1 on, or else an error of `text`.
pub(super) fn positive(args: &Args, position: usize, text: &'static str) -> Result<u64, Reply> {
    match natural(args, position, text)? {
        0 => Err(Reply::error(text)),
        value => Ok(value),
    }
}

/// `[count]` at the end, at `position`, of what is popped.
pub(super) fn pop_count(args: &Args, position: usize) -> Result<Option<u64>, Reply> {
    if args.len() <= position {
        return Ok(None);
    }
    natural(args, position, errors::collection::NOT_POSITIVE).map(Some)
}

/// `key [count [values]]`, `values` being the option's name, if there is one.
pub(super) fn pick(args: &Args, values: Option<&str>) -> Result<Pick, Reply> {
    let mut pick = Pick { count: None, with_values: false, seed: 0 };
    if args.len() == 2 {
        return Ok(pick);
    }
    let count = integer(args, 2)?;
    if count == i64::MIN {
        return Err(errors::collection::lowest_integer());
    }
    pick.count = Some(count);
    pick.with_values = match (args.len(), values) {
        (3, _) => false,
        (4, Some(values)) if is(args.get(3), values) => true,
        _ => return Err(syntax_error()),
    };
    if pick.with_values && count.unsigned_abs() > i64::MAX.unsigned_abs() / 2 {
        return Err(Reply::error(errors::collection::OUT_OF_RANGE));
    }
    Ok(pick)
}

/// `key cursor [MATCH pattern] [COUNT count]`
pub(super) fn scan(args: &Args) -> Result<Box<Scan<Bytes>>, Reply> {
    let cursor = natural(args, 2, errors::collection::CURSOR)?;
    let mut scan = Scan { cursor, count: SCAN_COUNT_DEFAULT, pattern: None };
    let mut position = 3;
    while args.len() > position {
        let option = args.get(position);
        if args.len() == position + 1 {
            return Err(syntax_error());
        }
        if is(option, "count") {
            let count = integer(args, position + 1)?;
            scan.count = u64::try_from(count).unwrap_or_default();
            if scan.count == 0 {
                return Err(syntax_error());
            }
        } else if is(option, "match") {
            scan.pattern = Some(required(args, position + 1));
        } else {
            return Err(syntax_error());
        }
        position += 2;
    }
    Ok(Box::new(scan))
}

/// `len` keys from `position` on.
pub(super) fn keys(args: &Args, position: usize, len: usize) -> Vec<Bytes> {
    args.bytes_from(position).take(len).collect()
}

/// `numkeys key [key ...]` from `position` on, for commands that pop, and the
/// position behind it.
pub(super) fn counted_keys(args: &Args, position: usize) -> Result<(Vec<Bytes>, usize), Reply> {
    let len = positive(args, position, errors::collection::NO_KEYS)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let behind = (position + 1).saturating_add(len);
    // A word must follow.
    if behind >= args.len() {
        return Err(syntax_error());
    }
    Ok((keys(args, position + 1, len), behind))
}

/// `[COUNT count]` from `position` on, of what is popped; 1 without.
pub(super) fn count_option(args: &Args, position: usize) -> Result<u64, Reply> {
    match args.len().saturating_sub(position) {
        0 => Ok(1),
        2 if is(args.get(position), "count") => {
            positive(args, position + 1, errors::collection::NO_COUNT)
        }
        // A second count is a mistake, whatever it says.
        left if left > 2 && is(args.get(position), "count") => {
            positive(args, position + 1, errors::collection::NO_COUNT)?;
            Err(syntax_error())
        }
        _ => Err(syntax_error()),
    }
}

/// `[LIMIT limit]` from `position` on; 0 without.
pub(super) fn limit_option(args: &Args, position: usize) -> Result<u64, Reply> {
    let mut limit = 0;
    let mut position = position;
    while args.len() > position {
        if !is(args.get(position), "limit") || args.len() == position + 1 {
            return Err(syntax_error());
        }
        limit = natural(args, position + 1, errors::collection::NEGATIVE_LIMIT)?;
        position += 2;
    }
    Ok(limit)
}
