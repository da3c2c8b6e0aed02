//! Arguments of commands on keys, whatever they hold.

use bytes::Bytes;

use crate::command::parse::expiry::{self, Unit};
use crate::command::parse::{Parsed, integer, is, read, required, syntax_error, table, write};
use crate::command::{Request, ScanRequest, TableRequest};
use crate::operation::key::{DeadlineForm, ExpireCondition, KeyCommand, KeyQuery, When};
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::{decimal, errors};

/// Keys that one step of a scan looks at, unless it says otherwise.
const SCAN_COUNT: u64 = 10;

pub(crate) fn exists(args: &Args) -> Parsed {
    read(KeyQuery::Exists { keys: args.bytes_from(1).collect() })
}

/// There are no times of access to touch, so it only counts.
pub(crate) fn touch(args: &Args) -> Parsed {
    exists(args)
}

pub(crate) fn del(args: &Args) -> Parsed {
    write(KeyCommand::Del { keys: args.bytes_from(1).collect() })
}

pub(crate) fn unlink(args: &Args) -> Parsed {
    del(args)
}

pub(crate) fn type_of(args: &Args) -> Parsed {
    read(KeyQuery::Type { key: required(args, 1) })
}

pub(crate) fn dbsize(_: &Args) -> Parsed {
    Ok(Request::ReadEveryGroup(KeyQuery::DbSize.into()))
}

pub(crate) fn expire(args: &Args) -> Parsed {
    expiring(args, Unit::Seconds, When::In)
}

pub(crate) fn pexpire(args: &Args) -> Parsed {
    expiring(args, Unit::Milliseconds, When::In)
}

pub(crate) fn expireat(args: &Args) -> Parsed {
    expiring(args, Unit::Seconds, When::At)
}

pub(crate) fn pexpireat(args: &Args) -> Parsed {
    expiring(args, Unit::Milliseconds, When::At)
}

/// `EXPIRE key time [NX] [XX] [GT] [LT]`
fn expiring(args: &Args, unit: Unit, when: fn(i64) -> When) -> Parsed {
    let mut condition = ExpireCondition::default();
    for option in args.iter_from(3) {
        let one = match option {
            option if is(Some(option), "nx") => ExpireCondition::NONE_YET,
            option if is(Some(option), "xx") => ExpireCondition::HAS_ONE,
            option if is(Some(option), "gt") => ExpireCondition::LATER,
            option if is(Some(option), "lt") => ExpireCondition::EARLIER,
            other => return Err(errors::unsupported_option(other)),
        };
        condition = condition.and(one);
    }
    let has_other = [ExpireCondition::HAS_ONE, ExpireCondition::LATER, ExpireCondition::EARLIER]
        .into_iter()
        .any(|other| condition.has(other));
    if condition.has(ExpireCondition::NONE_YET) && has_other {
        return Err(Reply::error(errors::NX_WITH_OTHERS));
    }
    if condition.has(ExpireCondition::LATER) && condition.has(ExpireCondition::EARLIER) {
        return Err(Reply::error(errors::GT_WITH_LT));
    }
    let time = integer(args, 2)?;
    let is_relative = matches!(when(0), When::In(_));
    let ms = expiry::to_ms(time, unit, is_relative)
        .ok_or_else(|| errors::invalid_expire_time(args.name()))?;
    write(KeyCommand::Expire { key: required(args, 1), when: when(ms), condition })
}

pub(crate) fn ttl(args: &Args) -> Parsed {
    deadline(args, DeadlineForm { is_relative: true, in_ms: false })
}

pub(crate) fn pttl(args: &Args) -> Parsed {
    deadline(args, DeadlineForm { is_relative: true, in_ms: true })
}

pub(crate) fn expiretime(args: &Args) -> Parsed {
    deadline(args, DeadlineForm { is_relative: false, in_ms: false })
}

pub(crate) fn pexpiretime(args: &Args) -> Parsed {
    deadline(args, DeadlineForm { is_relative: false, in_ms: true })
}

fn deadline(args: &Args, form: DeadlineForm) -> Parsed {
    read(KeyQuery::Deadline { key: required(args, 1), form })
}

pub(crate) fn persist(args: &Args) -> Parsed {
    write(KeyCommand::Persist { key: required(args, 1) })
}

pub(crate) fn rename(args: &Args) -> Parsed {
    renaming(args, false)
}

pub(crate) fn renamenx(args: &Args) -> Parsed {
    renaming(args, true)
}

fn renaming(args: &Args, if_missing: bool) -> Parsed {
    write(KeyCommand::Rename { from: required(args, 1), to: required(args, 2), if_missing })
}

/// `COPY source destination [DB database] [REPLACE]`
pub(crate) fn copy(args: &Args) -> Parsed {
    let mut replaces = false;
    let mut position = 3;
    while let Some(option) = args.get(position) {
        if is(Some(option), "replace") {
            replaces = true;
            position += 1;
        } else if is(Some(option), "db") && args.get(position + 1).is_some() {
            if integer(args, position + 1)? != 0 {
                return Err(Reply::error(errors::DATABASE_OUT_OF_RANGE));
            }
            position += 2;
        } else {
            return Err(syntax_error());
        }
    }
    if args.get(1) == args.get(2) {
        return Err(Reply::error(errors::SAME_OBJECT));
    }
    write(KeyCommand::Copy { from: required(args, 1), to: required(args, 2), replaces })
}

pub(crate) fn randomkey(_: &Args) -> Parsed {
    // The session draws the seed.
    Ok(Request::ReadEveryGroup(KeyQuery::RandomKey { seed: 0 }.into()))
}

pub(crate) fn keys(args: &Args) -> Parsed {
    Ok(Request::ReadEveryGroup(KeyQuery::Keys { pattern: required(args, 1) }.into()))
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`
pub(crate) fn scan(args: &Args) -> Parsed {
    let cursor = args.get(1).and_then(cursor).ok_or_else(|| Reply::error(errors::CURSOR))?;
    let mut scan = ScanRequest { cursor, count: SCAN_COUNT, pattern: None, type_name: None };
    let mut position = 2;
    while let Some(option) = args.get(position) {
        let Some(value) = args.bytes(position + 1) else { return Err(syntax_error()) };
        if is(Some(option), "count") {
            let count = integer(args, position + 1)?;
            scan.count =
                u64::try_from(count).ok().filter(|count| *count > 0).ok_or_else(syntax_error)?;
        } else if is(Some(option), "match") {
            scan.pattern = Some(value).filter(|pattern| &pattern[..] != b"*");
        } else if is(Some(option), "type") {
            scan.type_name = Some(Bytes::from(value.to_ascii_lowercase()));
        } else {
            return Err(syntax_error());
        }
        position += 2;
    }
    Ok(Request::Scan(scan))
}

/// A cursor, as leniently as C reads one: nothing is 0, and a negative number
/// counts from the end.
fn cursor(text: &[u8]) -> Option<u64> {
    let (is_negative, digits) = match text {
        [] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let cursor: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if is_negative { cursor.wrapping_neg() } else { cursor })
}

/// `FLUSHALL [ASYNC | SYNC]`
pub(crate) fn flushall(args: &Args) -> Parsed {
    let mode = args.get(1);
    if args.len() > 2 || mode.is_some() && !is(mode, "async") && !is(mode, "sync") {
        return Err(syntax_error());
    }
    Ok(Request::WriteEveryGroup(KeyCommand::Flush.into()))
}

pub(crate) fn flushdb(args: &Args) -> Parsed {
    flushall(args)
}

pub(crate) fn object_encoding(args: &Args) -> Parsed {
    read(KeyQuery::Encoding { key: required(args, 2) })
}

pub(crate) fn object_refcount(args: &Args) -> Parsed {
    read(KeyQuery::RefCount { key: required(args, 2) })
}

pub(crate) fn object_idletime(args: &Args) -> Parsed {
    read(KeyQuery::IdleTime { key: required(args, 2) })
}

pub(crate) fn object_freq(args: &Args) -> Parsed {
    read(KeyQuery::Frequency { key: required(args, 2) })
}

pub(crate) fn object_help(_: &Args) -> Parsed {
    table(TableRequest::Help("object"))
}

/// `MEMORY USAGE key [SAMPLES count]`
pub(crate) fn memory_usage(args: &Args) -> Parsed {
    let mut position = 3;
    while let Some(option) = args.get(position) {
        let samples = args.get(position + 1);
        if !is(Some(option), "samples") || samples.is_none() {
            return Err(syntax_error());
        }
        // Everything is counted as it is written; nothing needs sampling.
        let samples = samples.and_then(decimal::parse_i64);
        let samples = samples.ok_or_else(|| Reply::error(errors::NOT_AN_INTEGER))?;
        if samples < 0 {
            return Err(syntax_error());
        }
        position += 2;
    }
    read(KeyQuery::MemoryUsage { key: required(args, 2) })
}

pub(crate) fn memory_help(_: &Args) -> Parsed {
    table(TableRequest::Help("memory"))
}
