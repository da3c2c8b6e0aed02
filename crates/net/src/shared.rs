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
use crate::options::{NetOptions, NetOptionsError, RollCallStart};
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
    pub(crate) peers: BTreeMap<NodeId, Rc<Peer>>,
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
            .map(|peer| {
                let known = Known { expected: peer.expected, remembered: peer.remembered };
                let outbox = Outbox::new(options.outbox_bytes_max);
                let made = Peer::new(peer.node, peer.address, known, outbox);
                (peer.node, Rc::new(made))
            })
            .collect();
        let timings = DetectorTimings {
            heartbeat_interval: options.heartbeat_interval,
            suspect_after: options.suspect_after,
        };
        Ok(Self {
            identity: options.identity,
            detector: RefCell::new(Detector::new(timings, time(), peers.keys().copied())),
            peers,
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
        if let Some(peer) = self.peers.get(&node) {
            peer.set_expected(incarnation);
        }
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
        for peer in self.peers.values() {
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
        let peers = self.peers.values().map(|peer| PeerStatus {
            node: peer.node,
            liveness: detector.liveness(peer.node),
            is_connected: peer.is_connected(),
            stats: peer.stats(),
        });
        let outbox_bytes_max = self.options.outbox_bytes_max;
        NetStatus { peers: peers.collect(), outbox_bytes_max, ..self.counters.borrow().clone() }
    }
}
