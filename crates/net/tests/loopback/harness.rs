//! Nodes that record what they are told.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use raftlet::core::{
    Body, ClusterId, Generation, GroupId, Incarnation, Liveness, Message, NodeId, ReadId, Run,
    Sender, Term, Time,
};
use raftlet::{FailureDetector, Incoming, Rpc};
use raftlet_net::{
    Disowned, Identity, Net, NetDetector, NetEvent, NetHandle, NetListener, NetOptions, NetRpc,
    PeerOptions, PeerStats, RefusalReason, RollCallStart, Sink,
};

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// For a whole test: a connection made by hand has no deadline of its own.
const LONGEST: Duration = Duration::from_secs(180);

/// Runs a test on one thread, as a shard runs.
pub(crate) fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded = async { timeout(LONGEST, test).await };
    let ended = runtime.block_on(LocalSet::new().run_until(bounded));
    assert!(ended.is_ok(), "not ended after {} s", LONGEST.as_secs());
}

pub(crate) fn id(node: u64) -> NodeId {
    NodeId::new(node)
}

pub(crate) fn seat(node: u64, incarnation: u128, run: u64) -> Sender {
    Sender { node: id(node), incarnation: Incarnation(incarnation), run: Run::new(run) }
}

/// A message that can be told apart by its number.
pub(crate) fn numbered(number: u64) -> Incoming {
    Incoming {
        group: GroupId::new(7),
        message: Message {
            generation: Generation::new(1),
            term: Term::new(3),
            body: Body::Read { run: Run::new(1), read: ReadId::new(number) },
        },
    }
}

/// What a node was told.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) received: RefCell<Vec<(Sender, Incoming)>>,
    pub(crate) liveness: RefCell<Vec<(NodeId, Liveness)>>,
    pub(crate) disowned: RefCell<Vec<(NodeId, Disowned)>>,
    pub(crate) refused: RefCell<Vec<(RefusalReason, String)>>,
    pub(crate) refused_by: RefCell<Vec<(RefusalReason, String)>>,
    pub(crate) remembered: RefCell<Vec<Sender>>,
    pub(crate) closed: RefCell<Vec<String>>,
    /// Turns of the node's one shard; it turns at every heartbeat unless stuck.
    pub(crate) turns: Cell<u64>,
    pub(crate) is_stuck: Cell<bool>,
    pub(crate) cannot_remember: Cell<bool>,
    /// Something happened; at least every heartbeat.
    changed: Notify,
}

impl Sink for Recorder {
    fn deliver(&self, from: Sender, messages: &mut Vec<Incoming>) {
        let messages = messages.drain(..).map(|message| (from, message));
        self.received.borrow_mut().extend(messages);
        self.changed.notify_one();
    }

    fn liveness(&self, node: NodeId, liveness: Liveness) {
        self.liveness.borrow_mut().push((node, liveness));
        self.changed.notify_one();
    }

    fn disowned(&self, from: Sender, disowned: Disowned) {
        self.disowned.borrow_mut().push((from.node, disowned));
        self.changed.notify_one();
    }

    async fn remember(&self, peer: Sender) -> io::Result<()> {
        tokio::task::yield_now().await;
        if self.cannot_remember.get() {
            return Err(io::Error::other("disk full"));
        }
        self.remembered.borrow_mut().push(peer);
        Ok(())
    }

    fn shard_turns(&self, turns: &mut Vec<u64>) {
        if !self.is_stuck.get() {
            self.turns.set(self.turns.get() + 1);
        }
        turns.push(self.turns.get());
        self.changed.notify_one();
    }

    fn event(&self, event: NetEvent) {
        match event {
            NetEvent::Refused { refusal, .. } => {
                let refused = (refusal.reason, refusal.text);
                self.refused.borrow_mut().push(refused);
            }
            NetEvent::RefusedBy { refusal, .. } => {
                let refused = (refusal.reason, refusal.text);
                self.refused_by.borrow_mut().push(refused);
            }
            NetEvent::Closed { cause, .. } => self.closed.borrow_mut().push(cause.to_string()),
            _ => {}
        }
        self.changed.notify_one();
    }
}

impl Recorder {
    /// Waits until `holds`, looking whenever something happened.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                self.changed.notified().await;
            }
        };
        assert!(timeout(PATIENCE, wait).await.is_ok(), "never came: {what}");
    }

    pub(crate) fn was_refused(&self, reason: RefusalReason) -> bool {
        self.refused.borrow().iter().any(|(r, _)| *r == reason)
    }

    pub(crate) fn was_refused_by(&self, reason: RefusalReason) -> Option<String> {
        let refused = self.refused_by.borrow();
        let found = refused.iter().find(|(r, _)| *r == reason);
        found.map(|(_, text)| text.clone())
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        let received = self.received.borrow();
        received.iter().map(|(_, message)| number(message)).collect()
    }
}

fn number(incoming: &Incoming) -> u64 {
    match incoming.message.body {
        Body::Read { read, .. } => read.get(),
        _ => 0,
    }
}

/// A port that is taken, and what will run on it.
pub(crate) struct Seat {
    listener: NetListener,
    pub(crate) address: String,
    pub(crate) sender: Sender,
}

impl Seat {
    pub(crate) async fn take(sender: Sender) -> Self {
        Self::take_at(sender, "127.0.0.1:0").await
    }

    /// Takes a given address, which a former process may just have left.
    pub(crate) async fn take_at(sender: Sender, address: &str) -> Self {
        let listener = NetListener::bind(address).await.unwrap();
        Self { address: listener.local_addr().unwrap().to_string(), listener, sender }
    }

    /// As another node knows it, its incarnation expected.
    pub(crate) fn as_peer(&self) -> PeerOptions {
        peer(self.sender, &self.address)
    }
}

pub(crate) fn peer(sender: Sender, address: &str) -> PeerOptions {
    PeerOptions {
        node: sender.node,
        address: address.to_owned(),
        expected: Some(sender.incarnation),
        remembered: None,
    }
}

/// A running node. Dropping it ends its process, as far as others can tell.
pub(crate) struct Node {
    pub(crate) recorder: Rc<Recorder>,
    pub(crate) rpc: NetRpc,
    pub(crate) detector: NetDetector,
    pub(crate) handle: NetHandle,
    pub(crate) address: String,
    tasks: JoinSet<()>,
}

impl Node {
    /// Starts a node with quick timings, changed by `change`.
    pub(crate) fn start(
        seat: Seat,
        peers: Vec<PeerOptions>,
        change: impl FnOnce(&mut NetOptions),
    ) -> Self {
        let identity = Identity { cluster: ClusterId(77), seat: seat.sender };
        let seed = seat.sender.node.get();
        let mut options = NetOptions::new(identity, peers, RollCallStart::Over, seed);
        options.heartbeat_interval = Duration::from_millis(20);
        options.suspect_after = Duration::from_secs(20);
        options.idle_after = Duration::from_secs(40);
        options.redial_min = Duration::from_millis(5);
        options.redial_max = Duration::from_millis(50);
        change(&mut options);
        let mut tasks = JoinSet::new();
        let time = Rc::new(Cell::new(Time::ZERO));
        tasks.spawn_local(tell_time(Rc::clone(&time)));
        let net = Net::new(seat.listener, options, Rc::new(move || time.get())).unwrap();
        let recorder = Rc::new(Recorder::default());
        let (rpc, detector, handle) = (net.rpc(), net.detector(), net.handle());
        tasks.spawn_local(net.run(Rc::clone(&recorder)));
        Self { rpc, detector, handle, address: seat.address, tasks, recorder }
    }

    pub(crate) fn send(&self, to: u64, numbers: impl Iterator<Item = u64>) {
        let mut messages = numbers.map(numbered).collect();
        self.rpc.send(id(to), &mut messages);
        assert!(messages.is_empty());
    }

    pub(crate) fn stats(&self, peer: u64) -> PeerStats {
        let status = self.handle.status();
        let peer = status.peers.iter().find(|p| p.node == id(peer));
        peer.unwrap().stats
    }

    pub(crate) fn is_connected(&self, peer: u64) -> bool {
        let status = self.handle.status();
        let peer = status.peers.iter().find(|p| p.node == id(peer));
        peer.unwrap().is_connected
    }

    pub(crate) fn liveness(&self, peer: u64) -> Liveness {
        self.detector.liveness(id(peer))
    }

    pub(crate) async fn until_alive(&self, peer: u64, run: u64) {
        let run = Run::new(run);
        self.until("alive", |node| node.liveness(peer) == Liveness::Alive { run }).await;
    }

    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        self.recorder.until(what, |_| holds(self)).await;
    }

    /// Ends the process and waits until its sockets are closed.
    pub(crate) async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

/// A node's clock, in steps of a millisecond.
async fn tell_time(time: Rc<Cell<Time>>) {
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let start = ticks.tick().await;
    loop {
        let now = ticks.tick().await;
        time.set(Time::ZERO.after(now - start));
    }
}

/// `count` nodes that know and expect one another, ids from 1.
pub(crate) async fn cluster(count: u64) -> Vec<Node> {
    let mut seats = Vec::new();
    for node in 1..=count {
        seats.push(Seat::take(seat(node, u128::from(node) * 100, 1)).await);
    }
    let peers: Vec<PeerOptions> = seats.iter().map(Seat::as_peer).collect();
    let start = |seat| Node::start(seat, peers.clone(), |_| {});
    seats.into_iter().map(start).collect()
}
