//! The transport of one node: made, handed out, run.
//!
//! [`NetListener::bind`] takes the port, [`Net::new`] makes everything that
//! needs no task, [`Net::run`] is the task. In between, the ports are handed to
//! the shard and a [`NetHandle`] is kept for the roll call and for status.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::dial::dial;
use crate::disowned::Disowned;
use crate::introduction::NodeAddresses;
use crate::listen::{listen, loud};
use crate::options::{NetOptions, NetOptionsError, PeerOptions};
use crate::peer::Peer;
use crate::pulse::pulse;
use crate::rollcall::{RollCall, RollCallMember, RollCallStatus};
use crate::shared::{Shared, TimeSource};
use crate::sink::Sink;
use crate::stats::NetStatus;
use raftlet::core::{Generation, GroupId, Incarnation, Liveness, MEMBERS_MAX, NodeId, Term};
use raftlet::{FailureDetector, Incoming, Rpc};

/// Peers at once: the members of an outgoing and of an incoming set.
const PEERS_MAX: usize = 2 * MEMBERS_MAX;

/// The peer port could not be taken.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for peers on {address}; free the port or choose another --peer-addr")]
pub struct BindError {
    /// Where.
    pub address: String,
    /// What the operating system says.
    #[source]
    pub source: io::Error,
}

/// The peer port, taken.
#[derive(Debug)]
pub struct NetListener {
    listener: TcpListener,
}

impl NetListener {
    /// Takes the port at `address` (`host:port`; port 0 for any).
    ///
    /// # Errors
    /// [`BindError`] names the address and the cause.
    pub async fn bind(address: &str) -> Result<Self, BindError> {
        match TcpListener::bind(address).await {
            Ok(listener) => Ok(Self { listener }),
            Err(source) => Err(BindError { address: address.to_owned(), source }),
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The transport of one node.
pub struct Net {
    shared: Rc<Shared>,
    listener: TcpListener,
}

impl Net {
    /// Everything but the tasks: nothing is sent or accepted before
    /// [`run`](Self::run).
    ///
    /// # Errors
    /// [`NetOptionsError`] names the option that cannot stand.
    pub fn new(
        listener: NetListener,
        options: NetOptions,
        time: TimeSource,
    ) -> Result<Self, NetOptionsError> {
        Ok(Self { shared: Rc::new(Shared::new(options, time)?), listener: listener.listener })
    }

    /// The port for messages.
    #[must_use]
    pub fn rpc(&self) -> NetRpc {
        NetRpc { shared: Rc::clone(&self.shared) }
    }

    /// The port for liveness.
    #[must_use]
    pub fn detector(&self) -> NetDetector {
        NetDetector { shared: Rc::clone(&self.shared) }
    }

    /// The roll call, expectations and status.
    #[must_use]
    pub fn handle(&self) -> NetHandle {
        NetHandle { shared: Rc::clone(&self.shared) }
    }

    /// Accepts, dials and beats for ever, on the current `LocalSet`.
    ///
    /// # Panics
    /// When the sink does (rule 44).
    ///
    /// # Cancel safety
    /// Dropping it closes the port and every connection.
    pub async fn run<S: Sink>(self, sink: Rc<S>) {
        let mut tasks = JoinSet::new();
        let mut dials = BTreeMap::new();
        tasks.spawn_local(pulse(Rc::clone(&self.shared), Rc::clone(&sink)));
        tasks.spawn_local(listen(Rc::clone(&self.shared), self.listener, Rc::clone(&sink)));
        loop {
            self.shared.keep_dialling(&mut tasks, &mut dials, &sink);
            tokio::select! {
                // Listening and beating never end by themselves.
                Some(ended) = tasks.join_next() => loud(ended),
                () = self.shared.peers_changed.notified() => {}
            }
        }
    }
}

impl Shared {
    /// One dialling task for each peer, and none for who is no peer any more.
    fn keep_dialling<S: Sink>(
        self: &Rc<Self>,
        tasks: &mut JoinSet<()>,
        dials: &mut BTreeMap<NodeId, (Rc<Peer>, AbortHandle)>,
        sink: &Rc<S>,
    ) {
        let peers = self.all_peers();
        dials.retain(|_, (dialled, task)| {
            let stays = peers.iter().any(|peer| Rc::ptr_eq(peer, dialled));
            if !stays {
                task.abort();
            }
            stays
        });
        for peer in peers {
            dials.entry(peer.node).or_insert_with(|| {
                let dialling = dial(Rc::clone(self), Rc::clone(&peer), Rc::clone(sink));
                (peer, tasks.spawn_local(dialling))
            });
        }
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}

/// Sends messages to other nodes: the shard's `Rpc` port.
#[derive(Clone)]
pub struct NetRpc {
    shared: Rc<Shared>,
}

impl Rpc for NetRpc {
    fn send(&self, to: NodeId, messages: &mut Vec<Incoming>) {
        if messages.is_empty() {
            return;
        }
        if let Some(peer) = self.shared.peers.borrow().get(&to) {
            peer.send(|outbox, stats| outbox.push_messages(messages, stats));
        } else {
            let count = u64::try_from(messages.len()).unwrap_or(u64::MAX);
            self.shared.counters.borrow_mut().unroutable += count;
            messages.clear();
        }
    }
}

impl fmt::Debug for NetRpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetRpc").finish_non_exhaustive()
    }
}

/// Tells how other nodes are doing: the shard's `FailureDetector` port.
#[derive(Clone)]
pub struct NetDetector {
    shared: Rc<Shared>,
}

impl FailureDetector for NetDetector {
    fn liveness(&self, node: NodeId) -> Liveness {
        self.shared.detector.borrow().liveness(node)
    }

    fn disown(&self, group: GroupId, generation: Generation, term: Term) {
        for peer in &self.shared.all_peers() {
            peer.disowning.borrow_mut().push(Disowned { group, generation, term });
        }
    }
}

impl fmt::Debug for NetDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetDetector").finish_non_exhaustive()
    }
}

/// What the server does with a running transport.
#[derive(Clone)]
pub struct NetHandle {
    shared: Rc<Shared>,
}

impl NetHandle {
    /// The configuration names this incarnation of `node`: from here on
    /// messages go both ways with it, and another one is refused (rule 3).
    pub fn set_expected(&self, node: NodeId, incarnation: Incarnation) {
        self.shared.set_expected(node, incarnation);
    }

    /// These are the other members from now on, as the configuration names
    /// them: who is new is dialled, and let in; who is gone is a stranger. Who
    /// stays keeps its connections and what is remembered of its runs. At most
    /// as many as two configurations name (rule 42), or the rest is left out.
    pub fn set_peers(&self, mut peers: Vec<PeerOptions>) {
        peers.truncate(PEERS_MAX);
        self.shared.set_peers(peers);
    }

    /// Where the roll call stands (rule 5); `None` when there is none.
    #[must_use]
    pub fn roll_call(&self) -> Option<RollCallStatus> {
        self.shared.roll_call.borrow().as_ref().map(RollCall::status)
    }

    /// Waits until the roll call may stand elsewhere than when last asked.
    /// For one waiter.
    ///
    /// # Cancel safety
    /// No change is missed.
    pub async fn roll_call_changed(&self) {
        self.shared.roll_call_changed.notified().await;
    }

    /// Closes a complete roll call and returns the members for entry 1; `None`
    /// while somebody is missing. They are expected from here on. To be called
    /// before entry 1 is written.
    #[must_use]
    pub fn close_roll_call(&self) -> Option<Vec<RollCallMember>> {
        self.shared.close_roll_call()
    }

    /// Entry 1 is durable and holds the closed roll call: others may take it
    /// over from here.
    ///
    /// # Panics
    /// When the roll call was not closed.
    pub fn roll_call_written(&self) {
        if let Some(call) = self.shared.roll_call.borrow_mut().as_mut() {
            call.mark_written();
        }
        self.shared.show_roll_call();
    }

    /// Where clients and operators reach `node`, as it said when it last
    /// connected; `None` when it has not in this run.
    #[must_use]
    pub fn addresses(&self, node: NodeId) -> Option<NodeAddresses> {
        self.shared.peer(node)?.addresses()
    }

    /// Whether `node` is thought to run and to be reached.
    #[must_use]
    pub fn is_alive(&self, node: NodeId) -> bool {
        matches!(self.shared.detector.borrow().liveness(node), Liveness::Alive { .. })
    }

    /// Counters and liveness, as of now.
    #[must_use]
    pub fn status(&self) -> NetStatus {
        self.shared.status()
    }
}

impl fmt::Debug for NetHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetHandle").finish_non_exhaustive()
    }
}
