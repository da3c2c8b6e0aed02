//! What commands on strings do.

use bytes::Bytes;

use crate::decimal;
use crate::operation::response::{DataError, Response};
use crate::operation::string::{StringCommand, StringQuery};
use crate::store::Store;
use crate::store::view::View;

type Result = std::result::Result<Response, DataError>;

pub(super) fn answer<B: AsRef<[u8]>>(view: &View<'_>, query: &StringQuery<B>) -> Result {
    Ok(match query {
        StringQuery::Get { key } => Response::Value(view.typed::<Bytes>(key.as_ref())?.cloned()),
        StringQuery::MGet { keys } => {
            let value = |key: &B| view.typed::<Bytes>(key.as_ref()).ok().flatten().cloned();
            Response::Values(keys.iter().map(value).collect())
        }
    })
}

pub(super) fn apply<B: AsRef<[u8]>>(store: &mut Store, command: &StringCommand<B>) -> Result {
    match command {
        StringCommand::Set { key, value } => {
            store.put_string(key.as_ref(), value.as_ref(), None);
            Ok(Response::Ok)
        }
        StringCommand::MSet { pairs } => {
            for (key, value) in pairs {
                store.put_string(key.as_ref(), value.as_ref(), None);
            }
            Ok(Response::Ok)
        }
        StringCommand::IncrBy { key, by } => increment(store, key.as_ref(), *by),
    }
}

fn increment(store: &mut Store, key: &[u8], by: i64) -> Result {
    let deadline = store.live(key).and_then(|entry| entry.deadline);
    let current = match store.typed::<Bytes>(key)? {
        None => 0,
        Some(text) => decimal::parse_i64(text).ok_or(DataError::NotAnInteger)?,
    };
    let sum = current.checked_add(by).ok_or(DataError::Overflow)?;
    let mut text = Vec::new();
    decimal::push_i64(&mut text, sum);
    store.put_string(key, &text, deadline);
    Ok(Response::Integer(sum))
}
