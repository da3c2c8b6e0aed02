//! What a node knows of the cluster beside its groups: who it is itself, and
//! what the transport has learnt of the others.
//!
//! Not here: who leads what (the groups), how it is told to clients (`host.rs`).

use raftlet::core::NodeId;
use raftlet_kv::ClusterNode;
use raftlet_log::Identity;
use raftlet_net::NetHandle;

/// What a node knows of its cluster beside its groups.
#[derive(Debug)]
pub(crate) struct Neighbours {
    pub(crate) identity: Identity,
    /// Where clients are told to reach this node.
    pub(crate) client_addr: String,
    pub(crate) net: NetHandle,
}

impl Neighbours {
    /// A node as clients may be told of it.
    pub(crate) fn describe(&self, node: NodeId) -> ClusterNode {
        let is_me = node == self.identity.node;
        let known = self.net.addresses(node).map(|addresses| addresses.client);
        let client_addr = if is_me { Some(self.client_addr.clone()) } else { known };
        ClusterNode {
            node_id: node.get(),
            client_addr: client_addr.filter(|address| !address.is_empty()),
            is_alive: is_me || self.net.is_alive(node),
        }
    }
}
