//! What the steps of lock libraries do.
//!
//! Each does what its script would: a token is compared as bytes, a key of
//! another type is an error before anything is changed.

use crate::operation::lock::{LockCommand, LockStep};
use crate::operation::response::{DataError, Response};
use crate::store::Store;
use crate::store::deadlines::Deadline;

pub(super) fn apply<B: AsRef<[u8]>>(
    store: &mut Store,
    command: &LockCommand<B>,
) -> Result<Response, DataError> {
    let LockCommand { step, keys, token, lifetime_ms } = command;
    let mut owned = Vec::new();
    let mut held_len = 0;
    for key in keys {
        let key = key.as_ref();
        let is_owned = match step {
            // It looks for any value, of whatever type.
            LockStep::AcquireAll => {
                held_len += usize::from(store.live(key).is_some());
                false
            }
            _ => {
                let held = store.typed::<bytes::Bytes>(key)?;
                held_len += usize::from(held.is_some());
                held.is_some_and(|held| held == token.as_ref())
            }
        };
        if is_owned {
            owned.push(key);
        }
    }
    let is_all = owned.len() == keys.len();
    let done = match step {
        LockStep::Release | LockStep::ReleaseAll => released(store, &owned),
        LockStep::ReleaseHeld if held_len == 0 => return Ok(Response::Integer(-1)),
        LockStep::ReleaseHeld => released(store, &owned),
        LockStep::Extend if is_all => extended(store, &owned, *lifetime_ms),
        LockStep::Prolong if is_all => prolonged(store, &owned, *lifetime_ms),
        LockStep::ExtendMortal if is_all && left_ms(store, &owned).is_some() => {
            extended(store, &owned, *lifetime_ms)
        }
        LockStep::ExtendAll if is_all => written(store, keys, token.as_ref(), *lifetime_ms),
        LockStep::AcquireAll if held_len == 0 => written(store, keys, token.as_ref(), *lifetime_ms),
        LockStep::Extend
        | LockStep::ExtendMortal
        | LockStep::Prolong
        | LockStep::ExtendAll
        | LockStep::AcquireAll => 0,
    };
    Ok(Response::count(done))
}

fn released(store: &mut Store, keys: &[&[u8]]) -> usize {
    keys.iter().filter(|key| store.remove(key)).count()
}

/// A deadline that has passed already removes, as `PEXPIRE` does.
fn extended(store: &mut Store, keys: &[&[u8]], lifetime_ms: i64) -> usize {
    for key in keys {
        match deadline(store.log_time_ms(), lifetime_ms) {
            Some(deadline) => store.set_deadline(key, Some(deadline)),
            None => drop(store.remove(key)),
        }
    }
    keys.len()
}

fn prolonged(store: &mut Store, keys: &[&[u8]], more_ms: i64) -> usize {
    match left_ms(store, keys) {
        Some(left_ms) => extended(store, keys, left_ms.saturating_add(more_ms)),
        None => 0,
    }
}

/// What is left to the first key, if it lapses at all.
fn left_ms(store: &Store, keys: &[&[u8]]) -> Option<i64> {
    let deadline = store.live(keys.first()?)?.deadline?;
    i64::try_from(deadline.ms().saturating_sub(store.log_time_ms())).ok()
}

fn written<B: AsRef<[u8]>>(store: &mut Store, keys: &[B], token: &[u8], lifetime_ms: i64) -> usize {
    let deadline = deadline(store.log_time_ms(), lifetime_ms);
    for key in keys {
        store.put_string(key.as_ref(), token, deadline);
    }
    keys.len()
}

/// So long after `now_ms`, unless that has passed.
fn deadline(now_ms: u64, lifetime_ms: i64) -> Option<Deadline> {
    let lifetime_ms = u64::try_from(lifetime_ms).ok().filter(|ms| *ms > 0)?;
    Deadline::at_ms(now_ms.saturating_add(lifetime_ms))
}
