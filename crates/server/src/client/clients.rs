//! The clients that are connected now, as others among them may see them.
//!
//! Each entry is a client's place in the list from its accept to its end. What
//! only the connection knows is asked of the connection itself, so that
//! serving requests costs the list nothing.
//!
//! Invariant: an entry leaves with its [`Seat`], however the session ends. The
//! list is as long as there are clients, and `--clients-max` bounds those.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use tokio::sync::Notify;

use crate::fill::{ClientFill, ClientsFill};
use raftlet_kv::{ClientInfo, Connection};

/// The clients that are connected now.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    entries: RefCell<BTreeMap<u64, Rc<Entry>>>,
}

/// One client's place in the list, until dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    id: u64,
    entry: Rc<Entry>,
    clients: Rc<Clients>,
}

#[derive(Debug)]
struct Entry {
    peer_addr: String,
    local_addr: String,
    since_ms: u64,
    heard_ms: Cell<u64>,
    /// Replies that its socket has not taken.
    output_bytes: Cell<usize>,
    connection: RefCell<Weak<RefCell<Connection>>>,
    killed: Notify,
}

impl Clients {
    /// Takes a client in.
    pub(crate) fn seat(
        self: &Rc<Self>,
        id: u64,
        (peer_addr, local_addr): (&str, &str),
        now_ms: u64,
    ) -> Seat {
        let entry = Rc::new(Entry {
            peer_addr: peer_addr.to_owned(),
            local_addr: local_addr.to_owned(),
            since_ms: now_ms,
            heard_ms: Cell::new(now_ms),
            output_bytes: Cell::new(0),
            connection: RefCell::default(),
            killed: Notify::new(),
        });
        self.entries.borrow_mut().insert(id, Rc::clone(&entry));
        Seat { id, entry, clients: Rc::clone(self) }
    }

    /// All of them, in order of their numbers. A client that is being served
    /// at this moment, which is the one that asks, is described by its address
    /// only.
    pub(crate) fn list(&self, now_ms: u64) -> Vec<ClientInfo> {
        let age_s = |since_ms: u64| now_ms.saturating_sub(since_ms) / 1_000;
        let entries = self.entries.borrow();
        let described = entries.iter().map(|(id, entry)| {
            let connection = entry.connection.borrow().upgrade();
            let state = connection.and_then(|it| Some(it.try_borrow().ok()?.client_state()));
            ClientInfo {
                id: *id,
                peer_addr: entry.peer_addr.clone(),
                local_addr: entry.local_addr.clone(),
                age_s: age_s(entry.since_ms),
                idle_s: age_s(entry.heard_ms.get()),
                state: state.unwrap_or_default(),
            }
        });
        described.collect()
    }

    /// What they make the node hold. One that is being served at this moment
    /// is left out.
    pub(crate) fn fill(&self) -> ClientsFill {
        let mut fill = ClientsFill::default();
        for entry in self.entries.borrow().values() {
            let Some(connection) = entry.connection.borrow().upgrade() else { continue };
            let Ok(connection) = connection.try_borrow() else { continue };
            let (transaction_len, transaction_bytes) = connection.transaction_fill();
            fill.add(ClientFill {
                pipeline_len: connection.unanswered_len(),
                held_bytes: connection.held_bytes(),
                output_bytes: entry.output_bytes.get(),
                transaction_len,
                transaction_bytes,
            });
        }
        fill
    }

    /// Ends those of these numbers, once they have what they are owed.
    pub(crate) fn kill(&self, ids: &[u64]) {
        let entries = self.entries.borrow();
        for entry in ids.iter().filter_map(|id| entries.get(id)) {
            entry.killed.notify_one();
        }
    }
}

impl Seat {
    /// Its connection is served from now on.
    pub(crate) fn serve(&self, connection: &Rc<RefCell<Connection>>) {
        self.entry.connection.replace(Rc::downgrade(connection));
    }

    /// The client was heard.
    pub(crate) fn heard(&self, now_ms: u64) {
        self.entry.heard_ms.set(now_ms);
    }

    /// So much was written out for it that its socket has not taken.
    pub(crate) fn owes(&self, output_bytes: usize) {
        self.entry.output_bytes.set(output_bytes);
    }

    /// When it was last heard.
    pub(crate) fn heard_ms(&self) -> u64 {
        self.entry.heard_ms.get()
    }

    /// When it connected.
    pub(crate) fn since_ms(&self) -> u64 {
        self.entry.since_ms
    }

    /// Waits until somebody asks for its end.
    pub(crate) async fn killed(&self) {
        self.entry.killed.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.clients.entries.borrow_mut().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::Clients;
    use raftlet_kv::{Connection, ConnectionInfo, Limits, SlotMap};

    #[test]
    fn the_list_is_of_those_who_are_there_and_as_they_are() {
        let clients = Rc::new(Clients::default());
        let seat = clients.seat(7, ("a:1", "b:2"), 5_000);
        let connection =
            Connection::new(ConnectionInfo::default(), Limits::default(), SlotMap::ONE_GROUP);
        let connection = Rc::new(RefCell::new(connection));
        seat.serve(&connection);
        let other = clients.seat(9, ("c:3", "b:2"), 6_000);
        seat.heard(7_000);
        let [first, second] = &clients.list(9_999)[..] else { panic!("two") };
        assert_eq!((first.id, first.age_s, first.idle_s), (7, 4, 2));
        assert_eq!((first.peer_addr.as_str(), first.state.protocol), ("a:1", 2));
        assert_eq!((second.id, second.state.protocol), (9, 0));
        connection.borrow_mut().input().extend_from_slice(b"half a request");
        seat.owes(100);
        let fill = clients.fill();
        assert_eq!((fill.held_bytes, fill.fullest.output_bytes), (114, 100));
        let _served = connection.borrow_mut();
        assert_eq!(clients.fill().held_bytes, 0);
        assert_eq!(clients.list(9_999)[0].state.protocol, 0);
        drop(other);
        assert_eq!(clients.list(9_999).len(), 1);
    }
}
