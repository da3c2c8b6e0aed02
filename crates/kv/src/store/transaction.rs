//! Several commands at one place of the log, or none of them.
//!
//! A watched key's version is the index of the entry that wrote it last, 0 if
//! it isn't there; so a key that has lapsed since, or was removed and written
//! anew, differs, and one that was missing and is missing again does not.

use crate::operation::response::Response;
use crate::operation::transaction::Transaction;
use crate::store::Store;

pub(super) fn apply<B: AsRef<[u8]>>(store: &mut Store, transaction: &Transaction<B>) -> Response {
    let Transaction { watched, commands } = transaction;
    let has_changed = |(key, version): &(B, u64)| {
        store.live(key.as_ref()).map_or(0, |entry| entry.version.get()) != *version
    };
    if watched.iter().any(has_changed) {
        return Response::Executed(None);
    }
    Response::Executed(Some(commands.iter().map(|command| store.execute(command)).collect()))
}
