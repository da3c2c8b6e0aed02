//! The node as its clients may ask about it: [`raftlet_kv::Node`] by what the
//! server has.
//!
//! Not here: how answers look (the `kv` crate), what operators are told
//! (`status.rs`).

use crate::client::keyspace::Keyspace;
use raftlet::Clock;
use raftlet::core::NodeId;
use raftlet_kv::{ClientInfo, ClusterInfo, Node, NodeInfo, Scripts, Setting};

/// A keyspace, lent to one turn of a connection.
#[derive(Debug)]
pub(crate) struct Host<'a>(pub(crate) &'a Keyspace);

impl Node for Host<'_> {
    fn info(&mut self) -> NodeInfo {
        self.0.info()
    }

    fn wall_us(&mut self) -> u64 {
        self.0.clock().now().wall.0.saturating_mul(1_000)
    }

    fn cluster(&mut self) -> ClusterInfo {
        let neighbours = self.0.neighbours();
        let node_id = neighbours.identity.node;
        let statuses: Vec<_> = self.0.groups().iter().map(|group| group.status().core).collect();
        let members = statuses.iter().flat_map(|status| &status.members);
        let mut nodes: Vec<NodeId> = members.map(|member| member.node).collect();
        nodes.push(node_id);
        nodes.sort_unstable();
        nodes.dedup();
        ClusterInfo {
            cluster_id: neighbours.identity.cluster.0,
            node_id: node_id.get(),
            nodes: nodes.into_iter().map(|node| neighbours.describe(node)).collect(),
            leaders: statuses.iter().map(|it| it.leader.map(|node| node.get())).collect(),
            term: statuses.iter().map(|it| it.term.get()).max().unwrap_or_default(),
        }
    }

    fn clients(&mut self) -> Vec<ClientInfo> {
        self.0.client_list().list(self.0.now_ms())
    }

    fn kill_clients(&mut self, ids: &[u64]) {
        self.0.client_list().kill(ids);
    }

    fn is_out_of_memory(&mut self) -> bool {
        self.0.is_out_of_memory()
    }

    fn setting(&mut self, setting: Setting) -> Option<i64> {
        self.0.setting(setting)
    }

    fn set_setting(&mut self, setting: Setting, value: i64) -> bool {
        self.0.set_setting(setting, value)
    }

    fn scripts(&mut self, use_them: &mut dyn FnMut(&mut Scripts)) {
        use_them(&mut self.0.scripts().borrow_mut());
    }

    fn reset_stats(&mut self) {
        self.0.reset_stats();
    }
}
