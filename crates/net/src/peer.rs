//! What this process holds of one peer: the outbox, the connection in each
//! direction, what is known of its identity.
//!
//! Invariants
//! - At most one connection per direction counts. A newer one of the same peer
//!   ends the older, and what still arrives on that is dropped.
//! - No borrow outlives a method: tasks of one thread share a peer.
//!
//! Not here: the tasks (`dial.rs`, `listen.rs`, `pulse.rs`).

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{Notify, oneshot};

use crate::connection::ConnectionError;
use crate::disowned::Disowning;
use crate::frame::{FrameKind, FrameSeal};
use crate::handshake::{Known, Standing};
use crate::introduction::NodeAddresses;
use crate::outbox::Outbox;
use crate::stats::PeerStats;
use crate::writer::{Progress, Writer};
use raftlet::core::{Incarnation, NodeId, Sender};

/// One peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    address: RefCell<String>,
    /// The socket would not take what waits, or broke.
    pub(crate) stuck: Notify,
    /// The peer was heard of: dial now rather than later.
    pub(crate) dial: Notify,
    known: Cell<Known>,
    outbox: RefCell<Outbox>,
    writer: RefCell<Writer>,
    outbound: RefCell<Option<Link>>,
    inbound: RefCell<Option<Link>>,
    stats: RefCell<PeerStats>,
    /// Bytes that arrived on its connections, for heartbeats.
    received: Cell<u64>,
    /// Its other doors, as it last introduced itself.
    addresses: RefCell<Option<NodeAddresses>>,
    /// What it must unlearn.
    pub(crate) disowning: RefCell<Disowning>,
}

/// An established connection in one direction.
#[derive(Debug)]
struct Link {
    sender: Sender,
    /// Its place in the order of connections (`rollcall.rs`).
    order: u64,
    /// Ticks since it was established, or since bytes arrived on it.
    quiet_ticks: u32,
    end: oneshot::Sender<ConnectionError>,
}

/// Resolves when a link must end.
pub(crate) type LinkEnd = oneshot::Receiver<ConnectionError>;

impl Peer {
    pub(crate) fn new(node: NodeId, address: String, known: Known, outbox: Outbox) -> Self {
        Self {
            node,
            address: RefCell::new(address),
            stuck: Notify::new(),
            dial: Notify::new(),
            known: Cell::new(known),
            outbox: RefCell::new(outbox),
            writer: RefCell::default(),
            outbound: RefCell::new(None),
            inbound: RefCell::new(None),
            stats: RefCell::default(),
            received: Cell::new(0),
            addresses: RefCell::default(),
            disowning: RefCell::default(),
        }
    }

    /// Where it listens, `host:port`.
    pub(crate) fn address(&self) -> String {
        self.address.borrow().clone()
    }

    /// It listens there from now on: the next dial goes there.
    pub(crate) fn set_address(&self, address: String) {
        let former = self.address.replace(address);
        if former != *self.address.borrow() {
            self.dial.notify_one();
        }
    }

    /// It is no peer any more: its connections end.
    pub(crate) fn leave(&self) {
        end(&self.inbound, ConnectionError::Unexpected);
        end(&self.outbound, ConnectionError::Unexpected);
        self.outbox.borrow_mut().close();
    }

    /// What is known of its identity.
    pub(crate) const fn known(&self) -> Known {
        self.known.get()
    }

    /// Its run, and the incarnation it belongs to, are durably remembered.
    pub(crate) fn set_remembered(&self, sender: Sender) {
        let mut known = self.known.get();
        let same = known.remembered.filter(|(i, _)| *i == sender.incarnation);
        let run = same.map_or(sender.run, |(_, highest)| highest.max(sender.run));
        known.remembered = Some((sender.incarnation, run));
        self.known.set(known);
    }

    /// The configuration names this incarnation. Connections under another one
    /// end; the next handshake says why.
    pub(crate) fn set_expected(&self, incarnation: Incarnation) {
        let mut known = self.known.get();
        known.expected = Some(incarnation);
        self.known.set(known);
        let falls = |link: &RefCell<Option<Link>>| {
            let link = link.borrow();
            link.as_ref().is_some_and(|link| link.sender.incarnation != incarnation)
        };
        if falls(&self.inbound) {
            end(&self.inbound, ConnectionError::Unexpected);
        }
        if falls(&self.outbound) {
            end(&self.outbound, ConnectionError::Unexpected);
            self.outbox.borrow_mut().close();
        } else {
            self.outbox.borrow_mut().set_may_send(true);
        }
    }

    /// Whether messages may be exchanged with it under this incarnation.
    pub(crate) fn is_member(&self, incarnation: Incarnation) -> bool {
        self.known.get().expected == Some(incarnation)
    }

    /// Our connection is established, and this is its socket.
    pub(crate) fn open_outbound(
        &self,
        (sender, standing): (Sender, Standing),
        order: u64,
        seal: FrameSeal,
        socket: Rc<OwnedWriteHalf>,
    ) -> LinkEnd {
        let may_send = standing == Standing::Member;
        self.outbox.borrow_mut().open(seal, may_send);
        self.writer.borrow_mut().open(socket);
        begin(&self.outbound, sender, order)
    }

    /// Our connection ended.
    pub(crate) fn close_outbound(&self) {
        self.outbox.borrow_mut().close();
        self.writer.replace(Writer::default());
        self.outbound.replace(None);
    }

    /// Its connection is established. `None` when a newer one is, or one of a
    /// later run.
    pub(crate) fn open_inbound(&self, sender: Sender, order: u64) -> Option<LinkEnd> {
        let newer = |link: &Link| {
            let is_same_life = link.sender.incarnation == sender.incarnation;
            link.order > order || (is_same_life && link.sender.run > sender.run)
        };
        if self.inbound.borrow().as_ref().is_some_and(newer) {
            return None;
        }
        end(&self.inbound, ConnectionError::Replaced);
        Some(begin(&self.inbound, sender, order))
    }

    /// Its connection of this order ended.
    pub(crate) fn close_inbound(&self, order: u64) {
        let mut inbound = self.inbound.borrow_mut();
        if inbound.as_ref().is_some_and(|link| link.order == order) {
            *inbound = None;
        }
    }

    /// Bytes that arrived from it in this run.
    pub(crate) const fn received(&self) -> u64 {
        self.received.get()
    }

    /// Bytes arrived on its connection of this order. False when another one
    /// has taken its place: what it brings is dropped.
    pub(crate) fn hear_inbound(&self, order: u64, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.received.set(self.received.get().saturating_add(bytes));
        match self.inbound.borrow_mut().as_mut() {
            Some(link) if link.order == order => {
                link.quiet_ticks = 0;
                true
            }
            _ => false,
        }
    }

    /// A tick passed: ends the connections over which nothing is proved any
    /// more. `is_proved` tells of round trips.
    pub(crate) fn end_silent_links(&self, idle_ticks: u32, is_proved: bool) {
        for (link, is_proved) in [(&self.outbound, is_proved), (&self.inbound, false)] {
            let is_silent = link.borrow_mut().as_mut().is_some_and(|link| {
                link.quiet_ticks = if is_proved { 0 } else { link.quiet_ticks + 1 };
                link.quiet_ticks > idle_ticks
            });
            if is_silent {
                end(link, ConnectionError::Silent);
            }
        }
    }

    /// It introduced itself.
    pub(crate) fn set_addresses(&self, addresses: NodeAddresses) {
        self.addresses.replace(Some(addresses));
    }

    /// Its other doors; `None` before it was met in this run.
    pub(crate) fn addresses(&self) -> Option<NodeAddresses> {
        self.addresses.borrow().clone()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.outbox.borrow().is_open()
    }

    /// Does something with the outbox, then writes what the socket takes at
    /// once: no task stands between a turn and its sends.
    pub(crate) fn send(&self, push: impl FnOnce(&mut Outbox, &mut PeerStats)) {
        push(&mut self.outbox.borrow_mut(), &mut self.stats.borrow_mut());
        match self.write() {
            Ok(Progress::Done) => {}
            Ok(Progress::Stuck) => self.stuck.notify_one(),
            Err(error) => {
                self.writer.borrow_mut().fail(error);
                self.stuck.notify_one();
            }
        }
    }

    /// Writes what waits, as far as the socket takes it.
    ///
    /// # Errors
    /// The connection broke, now or in a send before.
    pub(crate) fn write(&self) -> io::Result<Progress> {
        self.writer.borrow_mut().write(&mut self.outbox.borrow_mut())
    }

    /// Sends a frame of the lane in front.
    pub(crate) fn send_control(&self, kind: FrameKind, write: impl FnOnce(&mut bytes::BytesMut)) {
        self.send(|outbox, stats| outbox.push_control(kind, stats, write));
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut PeerStats)) {
        count(&mut self.stats.borrow_mut());
    }

    pub(crate) fn stats(&self) -> PeerStats {
        let outbox_bytes = self.outbox.borrow().bytes();
        PeerStats {
            outbox_bytes: u64::try_from(outbox_bytes).unwrap_or(u64::MAX),
            ..*self.stats.borrow()
        }
    }
}

fn begin(link: &RefCell<Option<Link>>, sender: Sender, order: u64) -> LinkEnd {
    let (end, ended) = oneshot::channel();
    link.replace(Some(Link { sender, order, quiet_ticks: 0, end }));
    ended
}

fn end(link: &RefCell<Option<Link>>, cause: ConnectionError) {
    if let Some(link) = link.take() {
        // A task that has ended by itself does not listen any more.
        let _ = link.end.send(cause);
    }
}
