//! Messages between the shards of one process.
//!
//! Each link can be cut, slowed or made to lose messages; what is lost is
//! drawn from the network's seed. Messages of one send travel together.
//!
//! Invariant: a message is delivered by a task of its own, never from inside
//! of the sender's turn.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use crate::cell::ShardCell;
use crate::memory::clock::VirtualClock;
use crate::memory::executor::{Executor, Owner, Spawner};
use crate::port::{Clock, Incoming, Rpc, Spawn};
use raftlet_core::{NodeId, Sender};

/// The network's own tasks.
const NETWORK: Owner = Owner(u64::MAX);

type Deliver = Rc<dyn Fn(Sender, &mut Vec<Incoming>)>;
type Filter = Rc<dyn Fn(NodeId, NodeId, &Incoming) -> bool>;

struct Links {
    ends: BTreeMap<NodeId, Deliver>,
    cut: BTreeSet<(NodeId, NodeId)>,
    delay: Duration,
    jitter: Duration,
    lost_per_mille: u64,
    filter: Option<Filter>,
    random: u64,
}

impl Links {
    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }
}

/// A network in memory. Clones are the same network.
#[derive(Clone)]
pub struct Network {
    links: Rc<ShardCell<Links>>,
    clock: VirtualClock,
    spawner: Spawner,
}

impl Network {
    /// A network without delay or loss, on an executor's time.
    #[must_use]
    pub fn new(executor: &Executor, seed: u64) -> Self {
        let links = Links {
            ends: BTreeMap::new(),
            cut: BTreeSet::new(),
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            lost_per_mille: 0,
            filter: None,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        };
        Self {
            links: Rc::new(ShardCell::new(links)),
            clock: executor.clock(),
            spawner: executor.spawner(NETWORK),
        }
    }

    /// What a node sends with.
    #[must_use]
    pub fn rpc(&self, sender: Sender) -> NetworkRpc {
        NetworkRpc { network: self.clone(), sender }
    }

    /// From now on messages for `node` are handed to `deliver`.
    pub fn join(&self, node: NodeId, deliver: impl Fn(Sender, &mut Vec<Incoming>) + 'static) {
        let former = self.links.with(|links| links.ends.insert(node, Rc::new(deliver)));
        drop(former);
    }

    /// Messages for `node` are lost until it joins again.
    pub fn leave(&self, node: NodeId) {
        let former = self.links.with(|links| links.ends.remove(&node));
        drop(former);
    }

    /// Cuts two nodes off from each other.
    pub fn cut(&self, a: NodeId, b: NodeId) {
        self.links.with(|links| links.cut.extend([(a, b), (b, a)]));
    }

    /// Cuts a node off from all that have joined.
    pub fn isolate(&self, node: NodeId) {
        let others: Vec<NodeId> = self.links.with(|links| links.ends.keys().copied().collect());
        for other in others {
            self.cut(node, other);
        }
    }

    /// Mends all cuts and takes the filter away.
    pub fn heal(&self) {
        let filter = self.links.with(|links| {
            links.cut.clear();
            links.filter.take()
        });
        drop(filter);
    }

    /// Messages take `delay`, and up to `jitter` more: then they overtake one
    /// another.
    pub fn set_delay(&self, delay: Duration, jitter: Duration) {
        self.links.with(|links| (links.delay, links.jitter) = (delay, jitter));
    }

    /// So many of a thousand messages are lost.
    pub fn set_loss(&self, lost_per_mille: u64) {
        self.links.with(|links| links.lost_per_mille = lost_per_mille);
    }

    /// Only messages for which `passes(from, to, message)` holds arrive, until
    /// `heal`. It must not use the network.
    pub fn set_filter(&self, passes: impl Fn(NodeId, NodeId, &Incoming) -> bool + 'static) {
        let former = self.links.with(|links| links.filter.replace(Rc::new(passes)));
        drop(former);
    }

    fn send(&self, from: Sender, to: NodeId, messages: &mut Vec<Incoming>) {
        let mut sent = std::mem::take(messages);
        let filter = self.links.with(|links| links.filter.clone());
        if let Some(passes) = filter {
            sent.retain(|message| passes(from.node, to, message));
        }
        let delay = self.links.with(|links| {
            if links.cut.contains(&(from.node, to)) {
                return None;
            }
            let lost_per_mille = links.lost_per_mille;
            if lost_per_mille > 0 {
                sent.retain(|_| links.draw(1_000) >= lost_per_mille);
            }
            let jitter = u64::try_from(links.jitter.as_nanos()).unwrap_or(u64::MAX);
            Some(links.delay + Duration::from_nanos(links.draw(jitter)))
        });
        let Some(delay) = delay.filter(|_| !sent.is_empty()) else {
            return;
        };
        let network = self.clone();
        self.spawner.spawn(async move {
            network.clock.sleep_until(network.clock.now().time.after(delay)).await;
            let deliver = network.links.with(|links| links.ends.get(&to).cloned());
            if let Some(deliver) = deliver {
                deliver(from, &mut sent);
            }
        });
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

/// What one node sends with.
#[derive(Clone, Debug)]
pub struct NetworkRpc {
    network: Network,
    sender: Sender,
}

impl Rpc for NetworkRpc {
    fn send(&self, to: NodeId, messages: &mut Vec<Incoming>) {
        self.network.send(self.sender, to, messages);
    }
}
