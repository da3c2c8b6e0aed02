//! What commands on keys do, whatever the keys hold.

use crate::operation::key::{KeyCommand, KeyQuery};
use crate::operation::response::Response;
use crate::store::Store;
use crate::store::view::View;

pub(super) fn answer<B: AsRef<[u8]>>(view: &View<'_>, query: &KeyQuery<B>) -> Response {
    match query {
        KeyQuery::Exists { keys } => {
            let exists = |key: &&B| view.live(key.as_ref()).is_some();
            Response::count(keys.iter().filter(exists).count())
        }
        KeyQuery::Versions { keys } => {
            let version = |key: &B| view.live(key.as_ref()).map_or(0, |it| it.version.get());
            Response::Versions(keys.iter().map(version).collect())
        }
        KeyQuery::DbSize => Response::count(view.store.keys_len()),
    }
}

pub(super) fn apply<B: AsRef<[u8]>>(store: &mut Store, command: &KeyCommand<B>) -> Response {
    match command {
        KeyCommand::Del { keys } => {
            Response::count(keys.iter().filter(|key| store.remove(key.as_ref())).count())
        }
    }
}
