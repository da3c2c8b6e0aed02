//! What commands on keys do, whatever the keys hold.
//!
//! Not here: walks over all keys (`store/scan.rs`).

use crate::operation::key::{DeadlineForm, ExpireCondition, KeyCommand, KeyQuery, When};
use crate::operation::response::{DataError, Response};
use crate::resp::reply::Reply;
use crate::store::Store;
use crate::store::deadlines::Deadline;
use crate::store::scan;
use crate::store::view::View;

type Result = std::result::Result<Response, DataError>;

pub(super) fn answer<B: AsRef<[u8]>>(view: &View<'_>, query: &KeyQuery<B>) -> Response {
    let live = |key: &B| view.live(key.as_ref());
    match query {
        KeyQuery::Exists { keys } => {
            Response::count(keys.iter().filter(|key| live(key).is_some()).count())
        }
        KeyQuery::Versions { keys } => {
            let version = |key: &B| view.live(key.as_ref()).map_or(0, |it| it.version.get());
            Response::Versions(keys.iter().map(version).collect())
        }
        KeyQuery::DbSize => Response::count(view.store.keys_len()),
        KeyQuery::Type { key } => {
            let name = live(key).map_or("none", |entry| entry.value.type_name());
            Reply::simple_static(name).into()
        }
        KeyQuery::Deadline { key, form } => match live(key) {
            None => Response::Integer(-2),
            Some(entry) => {
                Response::Integer(entry.deadline.map_or(-1, |deadline| told(view, deadline, *form)))
            }
        },
        KeyQuery::RandomKey { seed } => Response::Value(scan::random_key(view, *seed)),
        KeyQuery::Keys { pattern } => Response::Values(scan::keys(view, pattern.as_ref())),
        KeyQuery::Scan(scan) => scan::scan(view, scan).into(),
        KeyQuery::InSlot { slot, len_max: None } => {
            Response::count(scan::in_slot(view, *slot, usize::MAX).len())
        }
        KeyQuery::InSlot { slot, len_max: Some(len_max) } => {
            let len_max = usize::try_from(*len_max).unwrap_or(usize::MAX);
            let keys = scan::in_slot(view, *slot, len_max);
            Response::Values(keys.into_iter().map(Some).collect())
        }
        KeyQuery::Encoding { key } => match live(key) {
            None => Response::Value(None),
            Some(entry) => Reply::bulk_static(entry.value.encoding()).into(),
        },
        KeyQuery::RefCount { key } => match live(key) {
            None => Response::Value(None),
            Some(entry) => Response::Integer(entry.value.refcount()),
        },
        KeyQuery::IdleTime { key } => match live(key) {
            None => Response::Value(None),
            Some(_) => Response::Integer(0),
        },
        KeyQuery::Frequency { key } => match live(key) {
            None => Response::Value(None),
            Some(_) => Response::Refused(DataError::NoFrequency),
        },
        KeyQuery::MemoryUsage { key } => match live(key) {
            None => Response::Value(None),
            Some(entry) => {
                let bytes = entry.used_bytes(key.as_ref());
                Response::Integer(i64::try_from(bytes).unwrap_or(i64::MAX))
            }
        },
    }
}

pub(super) fn apply<B: AsRef<[u8]>>(store: &mut Store, command: &KeyCommand<B>) -> Result {
    Ok(match command {
        KeyCommand::Del { keys } => {
            Response::count(keys.iter().filter(|key| store.remove(key.as_ref())).count())
        }
        KeyCommand::Expire { key, when, condition } => {
            Response::yes_or_no(expire(store, key.as_ref(), *when, *condition))
        }
        KeyCommand::Persist { key } => {
            let has_one = store.live(key.as_ref()).is_some_and(|entry| entry.deadline.is_some());
            if has_one {
                store.set_deadline(key.as_ref(), None);
            }
            Response::yes_or_no(has_one)
        }
        KeyCommand::Rename { from, to, if_missing } => {
            let renamed = rename(store, (from.as_ref(), to.as_ref()), *if_missing)?;
            if *if_missing { Response::yes_or_no(renamed) } else { Response::Ok }
        }
        KeyCommand::Copy { from, to, replaces } => {
            let is_free = *replaces || store.live(to.as_ref()).is_none();
            let source = store.live(from.as_ref()).filter(|_| is_free);
            let Some((value, deadline)) = source.map(|entry| (entry.value.clone(), entry.deadline))
            else {
                return Ok(Response::Integer(0));
            };
            store.put(to.as_ref(), value, deadline);
            Response::Integer(1)
        }
        KeyCommand::Flush => {
            store.clear();
            Response::Ok
        }
    })
}

/// A deadline, or what is left until then by the clock that is nearest to the
/// leader's.
fn told(view: &View<'_>, deadline: Deadline, form: DeadlineForm) -> i64 {
    let ms = if form.is_relative {
        deadline.ms().saturating_sub(view.clock_ms())
    } else {
        deadline.ms()
    };
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    if form.in_ms { ms } else { ms.saturating_add(500) / 1_000 }
}

/// Whether the key has that deadline now, or is gone because it is past.
fn expire(store: &mut Store, key: &[u8], when: When, condition: ExpireCondition) -> bool {
    let Some(entry) = store.live(key) else { return false };
    let log_time_ms = i64::try_from(store.log_time_ms).unwrap_or(i64::MAX);
    let at_ms = match when {
        When::In(ms) => log_time_ms.saturating_add(ms),
        When::At(ms) => ms,
    };
    let current_ms = entry.deadline.map(|deadline| i64::try_from(deadline.ms()));
    let current_ms = current_ms.map(|ms| ms.unwrap_or(i64::MAX));
    let is_refused = match current_ms {
        None => condition.has(ExpireCondition::HAS_ONE) || condition.has(ExpireCondition::LATER),
        Some(current_ms) => {
            condition.has(ExpireCondition::NONE_YET)
                || condition.has(ExpireCondition::LATER) && at_ms <= current_ms
                || condition.has(ExpireCondition::EARLIER) && at_ms >= current_ms
        }
    };
    if is_refused {
        return false;
    }
    let deadline = u64::try_from(at_ms).ok().and_then(Deadline::at_ms);
    match deadline.filter(|_| at_ms > log_time_ms) {
        Some(deadline) => store.set_deadline(key, Some(deadline)),
        None => {
            store.remove(key);
        }
    }
    true
}

fn rename(
    store: &mut Store,
    (from, to): (&[u8], &[u8]),
    if_missing: bool,
) -> std::result::Result<bool, DataError> {
    if store.live(from).is_none() {
        return Err(DataError::NoSuchKey);
    }
    if from == to {
        return Ok(!if_missing);
    }
    if if_missing && store.live(to).is_some() {
        return Ok(false);
    }
    if let Some(entry) = store.take(from) {
        store.put(to, entry.value, entry.deadline);
    }
    Ok(true)
}
