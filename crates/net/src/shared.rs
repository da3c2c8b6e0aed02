//! What the tasks of one transport share, on one thread.
//!
//! Invariant: nothing here is borrowed across an `.await` or while the sink is
//! called (rule 43).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::control::{Heartbeat, HeartbeatReply};
use crate::detector::{Detector, DetectorTimings};
use crate::frame::FrameKind;
use crate::handshake::{Identity, Known};
use crate::options::{NetOptions, NetOptionsError, PeerOptions, RollCallStart};
use crate::outbox::Outbox;
use crate::peer::Peer;
use crate::random::Random;
use crate::rollcall::{RollCall, RollCallMember};
use crate::sink::Sink;
use crate::stats::{NetStatus, PeerStatus};
use raftlet::core::{Incarnation, NodeId, Sender, Time};

/// Reads the node's monotonic clock; it never goes backwards (D2).
pub type TimeSource = Rc<dyn Fn() -> Time>;

pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) options: NetOptions,
    /// Changes with the configuration.
    pub(crate) peers: RefCell<BTreeMap<NodeId, Rc<Peer>>>,
    pub(crate) peers_changed: Notify,
    pub(crate) detector: RefCell<Detector>,
    pub(crate) roll_call: RefCell<Option<RollCall>>,
    pub(crate) roll_call_changed: Notify,
    /// Those of its fields that are no peer's.
    pub(crate) counters: RefCell<NetStatus>,
    time: TimeSource,
    orders: Cell<u64>,
    random: RefCell<Random>,
}

impl Shared {
    pub(crate) fn new(mut options: NetOptions, time: TimeSource) -> Result<Self, NetOptionsError> {
        options.check()?;
        let Sender { node: me, incarnation, .. } = options.identity.seat;
        let roll_call = match &options.roll_call {
            RollCallStart::Begins(initial) => Some(RollCall::new(me, incarnation, initial)?),
            RollCallStart::Written(list) => Some(RollCall::written(me, list.clone())),
            RollCallStart::Over => None,
        };
        let peers = std::mem::take(&mut options.peers);
        let peers: BTreeMap<_, _> = peers
            .into_iter()
            .filter(|peer| peer.node != me)
            .map(|peer| (peer.node, Rc::new(made(peer, options.outbox_bytes_max))))
            .collect();
        let timings = DetectorTimings {
            heartbeat_interval: options.heartbeat_interval,
            suspect_after: options.suspect_after,
        };
        Ok(Self {
            identity: options.identity,
            detector: RefCell::new(Detector::new(timings, time(), peers.keys().copied())),
            peers: RefCell::new(peers),
            peers_changed: Notify::new(),
            roll_call: RefCell::new(roll_call),
            roll_call_changed: Notify::new(),
            counters: RefCell::default(),
            time,
            orders: Cell::new(0),
            random: RefCell::new(Random::new(options.seed)),
            options,
        })
    }

    pub(crate) fn now(&self) -> Time {
        (self.time)()
    }

    /// The next place in the order of connections; taken when one exists and
    /// before anything is asked over it (`rollcall.rs`).
    pub(crate) fn next_order(&self) -> u64 {
        let order = self.orders.get() + 1;
        self.orders.set(order);
        order
    }

    pub(crate) fn nonce(&self) -> u64 {
        self.random.borrow_mut().next()
    }

    /// `sender` proved to live, on the connection of this order. False when it
    /// is a leftover of a former life.
    pub(crate) fn met(&self, sender: Sender, order: u64) -> bool {
        let mut roll_call = self.roll_call.borrow_mut();
        let is_present =
            roll_call.as_mut().is_none_or(|call| call.met(sender.node, sender.incarnation, order));
        drop(roll_call);
        if is_present {
            let now = self.now();
            let mut detector = self.detector.borrow_mut();
            detector.on_run(now, sender.node, sender.run);
        }
        self.roll_call_changed.notify_one();
        is_present
    }

    pub(crate) fn set_expected(&self, node: NodeId, incarnation: Incarnation) {
        if let Some(peer) = self.peer(node) {
            peer.set_expected(incarnation);
        }
    }

    /// The peer of this id.
    pub(crate) fn peer(&self, node: NodeId) -> Option<Rc<Peer>> {
        self.peers.borrow().get(&node).map(Rc::clone)
    }

    /// All of them, as of now.
    pub(crate) fn all_peers(&self) -> Vec<Rc<Peer>> {
        self.peers.borrow().values().map(Rc::clone).collect()
    }

    /// These are the peers from now on. Who stays keeps its connections, who
    /// goes loses them.
    pub(crate) fn set_peers(&self, peers: Vec<PeerOptions>) {
        let me = self.identity.seat.node;
        let now = self.now();
        let former = self.peers.take();
        let mut next = BTreeMap::new();
        for options in peers.into_iter().filter(|peer| peer.node != me) {
            let node = options.node;
            let peer = match former.get(&node) {
                Some(peer) => {
                    peer.set_address(options.address);
                    if let Some(expected) = options.expected
                        && peer.known().expected != Some(expected)
                    {
                        peer.set_expected(expected);
                    }
                    Rc::clone(peer)
                }
                None => {
                    self.detector.borrow_mut().watch(now, node);
                    Rc::new(made(options, self.options.outbox_bytes_max))
                }
            };
            next.insert(node, peer);
        }
        for (node, peer) in former {
            if !next.contains_key(&node) {
                self.detector.borrow_mut().forget(node);
                peer.leave();
            }
        }
        self.peers.replace(next);
        self.peers_changed.notify_one();
    }

    /// Closes a complete roll call; its members are expected from here on.
    pub(crate) fn close_roll_call(&self) -> Option<Vec<RollCallMember>> {
        let list = self.roll_call.borrow_mut().as_mut()?.close()?;
        for member in &list {
            self.set_expected(member.node, member.incarnation);
        }
        self.show_roll_call();
        Some(list)
    }

    /// Shows every peer where the roll call stands here.
    pub(crate) fn show_roll_call(&self) {
        for peer in &self.all_peers() {
            self.show_roll_call_to(peer);
        }
    }

    pub(crate) fn show_roll_call_to(&self, peer: &Peer) {
        let showing = self.roll_call.borrow().as_ref().map(RollCall::showing);
        if let Some(showing) = showing {
            peer.send_control(FrameKind::RollCall, |into| showing.encode(into));
        }
    }

    /// Tells a peer where this node's other doors are.
    pub(crate) fn introduce_to(&self, peer: &Peer) {
        let addresses = &self.options.addresses;
        peer.send_control(FrameKind::Introduction, |into| addresses.encode(into));
    }

    pub(crate) fn send_heartbeat(&self, peer: &Peer, turns: &[u64]) {
        let stamp = self.now();
        let disowned = peer.disowning.borrow_mut().tell(stamp);
        let (received, turns) = (peer.received(), turns.to_vec());
        let heartbeat = Heartbeat { stamp, received, turns, disowned };
        peer.send_control(FrameKind::Heartbeat, |into| heartbeat.encode(into));
    }

    pub(crate) fn answer_heartbeat(peer: &Peer, sender: Sender, heartbeat: &Heartbeat) {
        let reply = HeartbeatReply { run: sender.run, stamp: heartbeat.stamp };
        peer.send_control(FrameKind::HeartbeatReply, |into| reply.encode(into));
    }

    /// Tells the sink what the detector changed.
    pub(crate) fn report_liveness(&self, sink: &impl Sink) {
        let changes = self.detector.borrow_mut().take_changes();
        for (node, liveness) in changes {
            sink.liveness(node, liveness);
        }
    }

    pub(crate) fn status(&self) -> NetStatus {
        let detector = self.detector.borrow();
        let peers = self.peers.borrow();
        let peers = peers.values().map(|peer| PeerStatus {
            node: peer.node,
            liveness: detector.liveness(peer.node),
            is_connected: peer.is_connected(),
            stats: peer.stats(),
        });
        let outbox_bytes_max = self.options.outbox_bytes_max;
        NetStatus { peers: peers.collect(), outbox_bytes_max, ..self.counters.borrow().clone() }
    }
}

fn made(peer: PeerOptions, outbox_bytes_max: usize) -> Peer {
    let known = Known { expected: peer.expected, remembered: peer.remembered };
    Peer::new(peer.node, peer.address, known, Outbox::new(outbox_bytes_max))
}
