//! What the transport delivers, passed on: messages and liveness to the shard,
//! peers' runs to the data directory, news to the operator.
//!
//! Invariant: a refusal for this node's identity ends the node, whoever dialled
//! whom (rules 3, 4). A refusal that may be the other's fault does not: a
//! healthy member must survive a stranger at a peer's address. An old copy of
//! the directory is marked as one first: each further start would raise its
//! counter, in the end above the one that betrayed it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tracing::{debug, info, warn};

use crate::process::failure::{Exit, Failure};
use crate::shard::ports::{NodePorts, Shard};
use raftlet::core::{Liveness, NodeId, Sender};
use raftlet::{Inbox, Incoming};
use raftlet_log::{Home, RealDisk};
use raftlet_net::{Disowned, NetEvent, Refusal, RefusalReason, Sink};

/// The glue between transport and shard.
#[derive(Debug)]
pub(crate) struct ShardSink {
    seat: Sender,
    shard: Rc<Shard>,
    inbox: Inbox<NodePorts>,
    home: Home<RealDisk>,
    /// Taken by the first refusal of this node's identity.
    refused: RefCell<Option<oneshot::Sender<Failure>>>,
    /// What was last said about an address, so that a peer that is dialled
    /// every second is complained about once. Holds configured addresses and,
    /// for connections to us, nothing.
    said: RefCell<BTreeMap<NodeId, String>>,
}

impl ShardSink {
    /// The sink, and what tells that this node may not live.
    pub(crate) fn new(
        seat: Sender,
        shard: Rc<Shard>,
        home: Home<RealDisk>,
    ) -> (Self, oneshot::Receiver<Failure>) {
        let (tell, told) = oneshot::channel();
        let sink = Self {
            seat,
            inbox: shard.inbox(),
            shard,
            home,
            refused: RefCell::new(Some(tell)),
            said: RefCell::new(BTreeMap::new()),
        };
        (sink, told)
    }

    fn on_refused_by(&self, node: NodeId, refusal: &Refusal) {
        if ends_the_node(refusal.reason) {
            let message = format!("node {} refuses this node: {}", node.get(), refusal.text);
            if let Some(tell) = self.refused.borrow_mut().take() {
                let (home, is_old_copy) =
                    (self.home.clone(), refusal.reason == RefusalReason::StaleRun);
                spawn_local(async move {
                    // Where even that cannot be written, nothing else can.
                    if is_old_copy && let Err(error) = home.mark_outdated().await {
                        warn!(%error, "this old copy cannot be marked as one");
                    }
                    // Nobody listens when the node is on its way out anyway.
                    let _ = tell.send(Failure::new(Exit::Data, message));
                });
            }
            return;
        }
        let last = self.said.borrow_mut().insert(node, refusal.text.clone());
        if last.as_ref() != Some(&refusal.text) {
            warn!(node = node.get(), "refused by a peer: {}", refusal.text);
        }
    }
}

/// Whether this node's data directory is the reason.
fn ends_the_node(reason: RefusalReason) -> bool {
    matches!(reason, RefusalReason::Incarnation | RefusalReason::StaleRun)
}

impl Sink for ShardSink {
    fn deliver(&self, from: Sender, messages: &mut Vec<Incoming>) {
        self.inbox.deliver(from, messages);
    }

    fn liveness(&self, node: NodeId, liveness: Liveness) {
        match liveness {
            Liveness::Suspected => info!(node = node.get(), "a peer is suspected"),
            Liveness::Alive { run } => info!(node = node.get(), run = run.get(), "a peer is alive"),
            Liveness::Unknown => {}
        }
        self.inbox.liveness(node, liveness);
    }

    fn disowned(&self, from: Sender, disowned: Disowned) {
        let Disowned { group, generation, term } = disowned;
        self.inbox.disowned(from, group, generation, term);
    }

    async fn remember(&self, peer: Sender) -> io::Result<()> {
        self.home.remember_run(peer).await.map_err(io::Error::other)
    }

    fn shard_turns(&self, turns: &mut Vec<u64>) {
        turns.push(self.shard.status().counters.turns);
        // An idle loop turns once for this, and so shows at the next heartbeat
        // that it can.
        self.inbox.deliver(self.seat, &mut Vec::new());
    }

    fn event(&self, event: NetEvent) {
        match event {
            NetEvent::Connected { node, run } => {
                self.said.borrow_mut().remove(&node);
                info!(node = node.get(), run = run.get(), "connected to a peer");
            }
            NetEvent::Accepted { node, run } => {
                info!(node = node.get(), run = run.get(), "a peer connected");
            }
            NetEvent::Closed { node, cause } => {
                info!(node = node.get(), %cause, "a connection to a peer ended");
            }
            NetEvent::DialFailed { node, address, cause } => {
                debug!(node = node.get(), address, %cause, "a peer could not be reached");
            }
            NetEvent::Refused { address, refusal } => {
                debug!(address, "refused a connection: {}", refusal.text);
            }
            NetEvent::RefusedBy { node, refusal, .. } => self.on_refused_by(node, &refusal),
            other => debug!(?other, "a transport event"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ends_the_node;
    use raftlet_net::RefusalReason;

    #[test]
    fn only_a_fault_of_the_own_directory_ends_the_node() {
        assert!(ends_the_node(RefusalReason::Incarnation));
        assert!(ends_the_node(RefusalReason::StaleRun));
        for reason in [
            RefusalReason::Cluster,
            RefusalReason::Stranger,
            RefusalReason::NotNow,
            RefusalReason::Version,
        ] {
            assert!(!ends_the_node(reason), "{reason:?}");
        }
    }
}
