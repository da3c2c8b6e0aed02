//! What commands on strings do.
//!
//! Not here: the longest common subsequence (`store/lcs.rs`).

use bytes::Bytes;

use crate::decimal;
use crate::long_double::LongDouble;
use crate::operation::response::{DataError, Response};
use crate::operation::string::{
    Expiry, SetAnswer, SetCondition, SetOptions, StringCommand, StringQuery,
};
use crate::store::Store;
use crate::store::deadlines::Deadline;
use crate::store::lcs;
use crate::store::view::View;

/// Longer, no string gets by `APPEND` and `SETRANGE`: as much as one reply may
/// carry, or it could never be read. Redis allows 512 MiB.
const STRING_BYTES_MAX: usize = 64 << 20;

type Result = std::result::Result<Response, DataError>;

pub(super) fn answer<B: AsRef<[u8]>>(view: &View<'_>, query: &StringQuery<B>) -> Result {
    let string = |key: &B| view.typed::<Bytes>(key.as_ref());
    Ok(match query {
        StringQuery::Get { key } => Response::Value(string(key)?.cloned()),
        StringQuery::MGet { keys } => {
            let value = |key| string(key).ok().flatten().cloned();
            Response::Values(keys.iter().map(value).collect())
        }
        StringQuery::StrLen { key } => Response::count(string(key)?.map_or(0, Bytes::len)),
        StringQuery::GetRange { key, start, end } => {
            let value = string(key)?.cloned().unwrap_or_default();
            Response::Value(Some(part(&value, *start, *end)))
        }
        StringQuery::Lcs(asked) => {
            let string = |key: &B| match string(key) {
                Ok(value) => Ok(value.cloned().unwrap_or_default()),
                Err(_) => Err(DataError::NotStrings),
            };
            let (left, right) = (string(&asked.keys.0)?, string(&asked.keys.1)?);
            lcs::answer(&left, &right, asked.form)?
        }
    })
}

pub(super) fn apply<B: AsRef<[u8]>>(store: &mut Store, command: &StringCommand<B>) -> Result {
    match command {
        StringCommand::Set { key, value } => {
            store.put_string(key.as_ref(), value.as_ref(), None);
            Ok(Response::Ok)
        }
        StringCommand::SetWith { key, options } => set_with(store, key.as_ref(), options),
        StringCommand::MSet { pairs } => {
            put_all(store, pairs);
            Ok(Response::Ok)
        }
        StringCommand::MSetNx { pairs } => {
            let is_free = pairs.iter().all(|(key, _)| store.live(key.as_ref()).is_none());
            if is_free {
                put_all(store, pairs);
            }
            Ok(Response::yes_or_no(is_free))
        }
        StringCommand::IncrBy { key, by } => increment(store, key.as_ref(), *by),
        StringCommand::IncrByFloat { key, by } => increment_float(store, key.as_ref(), by.as_ref()),
        StringCommand::Append { key, suffix } => append(store, key.as_ref(), suffix.as_ref()),
        StringCommand::SetRange { key, offset, part } => {
            set_range(store, key.as_ref(), *offset, part.as_ref())
        }
        StringCommand::GetDel { key } => {
            let value = store.typed::<Bytes>(key.as_ref())?.cloned();
            store.remove(key.as_ref());
            Ok(Response::Value(value))
        }
        StringCommand::GetEx { key, expiry } => get_ex(store, key.as_ref(), *expiry),
        StringCommand::DelIfEq { key, value } => {
            let current = store.typed::<Bytes>(key.as_ref())?;
            let is_equal = current.is_some_and(|current| current == value.as_ref());
            if is_equal {
                store.remove(key.as_ref());
            }
            Ok(Response::yes_or_no(is_equal))
        }
    }
}

fn put_all<B: AsRef<[u8]>>(store: &mut Store, pairs: &[(B, B)]) {
    for (key, value) in pairs {
        store.put_string(key.as_ref(), value.as_ref(), None);
    }
}

fn set_with<B: AsRef<[u8]>>(store: &mut Store, key: &[u8], options: &SetOptions<B>) -> Result {
    let SetOptions { value, condition, expiry, answer } = options;
    let value = value.as_ref();
    let previous = match answer {
        SetAnswer::Previous => store.typed::<Bytes>(key)?.cloned(),
        SetAnswer::Done | SetAnswer::Flag => None,
    };
    let holds = match condition {
        SetCondition::Always => true,
        SetCondition::Missing => store.live(key).is_none(),
        SetCondition::Present => store.live(key).is_some(),
        SetCondition::Equal(expected) => {
            store.typed::<Bytes>(key)?.is_some_and(|current| current == expected.as_ref())
        }
    };
    if holds {
        match due(store, key, *expiry) {
            Due::Never => store.put_string(key, value, None),
            Due::At(deadline) => store.put_string(key, value, Some(deadline)),
            Due::Past => {
                store.remove(key);
            }
        }
    }
    Ok(match answer {
        SetAnswer::Previous => Response::Value(previous),
        SetAnswer::Flag => Response::yes_or_no(holds),
        SetAnswer::Done if holds => Response::Ok,
        SetAnswer::Done => Response::Value(None),
    })
}

/// What an expiry means now.
enum Due {
    Never,
    At(Deadline),
    Past,
}

fn due(store: &Store, key: &[u8], expiry: Expiry) -> Due {
    let at_ms = match expiry {
        Expiry::Never => return Due::Never,
        Expiry::Keep => {
            let deadline = store.live(key).and_then(|entry| entry.deadline);
            return deadline.map_or(Due::Never, Due::At);
        }
        Expiry::In(ms) => store.log_time_ms.saturating_add(ms),
        Expiry::At(ms) => ms,
    };
    match Deadline::at_ms(at_ms) {
        Some(deadline) if at_ms > store.log_time_ms => Due::At(deadline),
        _ => Due::Past,
    }
}

fn get_ex(store: &mut Store, key: &[u8], expiry: std::result::Result<Expiry, DataError>) -> Result {
    let Some(value) = store.typed::<Bytes>(key)?.cloned() else {
        return Ok(Response::Value(None));
    };
    match due(store, key, expiry?) {
        Due::Never => store.set_deadline(key, None),
        Due::At(deadline) => store.set_deadline(key, Some(deadline)),
        Due::Past => {
            store.remove(key);
        }
    }
    Ok(Response::Value(Some(value)))
}

fn increment(store: &mut Store, key: &[u8], by: i64) -> Result {
    let current = match store.typed::<Bytes>(key)? {
        None => 0,
        Some(text) => decimal::parse_i64(text).ok_or(DataError::NotAnInteger)?,
    };
    let sum = current.checked_add(by).ok_or(DataError::Overflow)?;
    let mut text = Vec::new();
    decimal::push_i64(&mut text, sum);
    store.replace_string(key, &text);
    Ok(Response::Integer(sum))
}

fn increment_float(store: &mut Store, key: &[u8], by: &[u8]) -> Result {
    let current = match store.typed::<Bytes>(key)? {
        None => LongDouble::ZERO,
        Some(text) => LongDouble::parse(text).ok_or(DataError::NotAFloat)?,
    };
    let by = LongDouble::parse(by).ok_or(DataError::NotAFloat)?;
    let text = current.plus(by).ok_or(DataError::NotFinite)?.text();
    store.replace_string(key, &text);
    Ok(Response::Value(Some(text.into())))
}

fn append(store: &mut Store, key: &[u8], suffix: &[u8]) -> Result {
    let current = store.typed::<Bytes>(key)?.map_or(&[][..], |bytes| bytes);
    let sum_bytes = current.len().saturating_add(suffix.len());
    if sum_bytes > STRING_BYTES_MAX {
        return Err(DataError::TooLong);
    }
    let sum = [current, suffix].concat();
    store.replace_string(key, &sum);
    Ok(Response::count(sum_bytes))
}

fn set_range(store: &mut Store, key: &[u8], offset: u32, part: &[u8]) -> Result {
    let current = store.typed::<Bytes>(key)?.map_or(&[][..], |bytes| bytes);
    if part.is_empty() {
        return Ok(Response::count(current.len()));
    }
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = start.saturating_add(part.len());
    if end > STRING_BYTES_MAX {
        return Err(DataError::TooLong);
    }
    let mut value = current.to_vec();
    value.resize(value.len().max(end), 0);
    if let Some(place) = value.get_mut(start..end) {
        place.copy_from_slice(part);
    }
    store.replace_string(key, &value);
    Ok(Response::count(value.len()))
}

/// Bytes of a value from `start` to `end`, which is included. Negative ones
/// count from the end, -1 being the last.
fn part(value: &Bytes, start: i64, end: i64) -> Bytes {
    let len = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let from_start = |at: i64| if at < 0 { (len.saturating_add(at)).max(0) } else { at };
    // Both before the beginning and in the wrong order would else meet at 0.
    if start < 0 && end < 0 && start > end {
        return Bytes::new();
    }
    let (start, end) = (from_start(start), from_start(end).min(len - 1));
    if start > end {
        return Bytes::new();
    }
    let place = |at: i64| usize::try_from(at).unwrap_or_default();
    value.slice(place(start)..place(end) + 1)
}
