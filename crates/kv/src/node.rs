//! What a connection asks of the node it came to.
//!
//! Most requests are answered by the connection or by a group. A few are about
//! the node as a whole: its numbers, its clients, its place in the cluster. The
//! server answers these by a [`Node`] that it lends to each turn. Everything has
//! a default that says nothing, so a test brings only what it is about.
//!
//! Not here: how the answers look (`session.rs` and its folder, `info.rs`).

use crate::info::NodeInfo;
use crate::scripts::Scripts;

/// The node that a connection came to. Asked only when a client asks.
pub trait Node {
    /// What `INFO` tells.
    fn info(&mut self) -> NodeInfo;

    /// The calendar, in microseconds since 1970: what `TIME` tells. Nothing is
    /// decided by it.
    fn wall_us(&mut self) -> u64 {
        0
    }

    /// Who leads what.
    fn cluster(&mut self) -> ClusterInfo {
        ClusterInfo::default()
    }

    /// All clients of the node, in order of their numbers. The asking one may
    /// be described as of an earlier turn.
    fn clients(&mut self) -> Vec<ClientInfo> {
        Vec::new()
    }

    /// Ends the connections of these clients, once what they are owed is
    /// written. Numbers that are nobody's are ignored.
    fn kill_clients(&mut self, _ids: &[u64]) {}

    /// Whether writes that grow the data are to be refused. Asked every turn.
    fn is_out_of_memory(&mut self) -> bool {
        false
    }

    /// A setting that can be changed while the node runs; `None`: not one of
    /// them.
    fn setting(&mut self, _setting: Setting) -> Option<i64> {
        None
    }

    /// Changes a setting. False: not to this value.
    fn set_setting(&mut self, _setting: Setting, _value: i64) -> bool {
        false
    }

    /// Lends the scripts that clients have loaded to `use_them`. By default
    /// there is no place for any.
    fn scripts(&mut self, _use_them: &mut dyn FnMut(&mut Scripts)) {}

    /// Starts the counters of `INFO` anew.
    fn reset_stats(&mut self) {}
}

/// A closure that answers `INFO` is a node about which nothing else is known.
impl<F: FnMut() -> NodeInfo> Node for F {
    fn info(&mut self) -> NodeInfo {
        self()
    }
}

/// What `CONFIG SET` can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Bytes of data above which writes that grow are refused; 0: no limit.
    MemoryBytesMax,
    /// Clients at once.
    ClientsMax,
    /// Seconds of silence after which a client is closed; 0: never.
    ClientIdleS,
    /// When Redis would keep a value otherwise, by a number of its own: kept
    /// and told, without an effect.
    Representation(u8),
}

/// The cluster as the node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterInfo {
    /// Tells apart clusters, and so the ids of their nodes.
    pub cluster_id: u128,
    /// The node's own number.
    pub node_id: u64,
    /// All nodes, this one among them, in order of their numbers.
    pub nodes: Vec<ClusterNode>,
    /// Who leads each group, in order of group indexes; `None`: not known.
    pub leaders: Vec<Option<u64>>,
    /// The highest term of a group.
    pub term: u64,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its number.
    pub node_id: u64,
    /// Where clients reach it, `host:port`; `None`: not known here.
    pub client_addr: Option<String>,
    /// Whether it is thought to run.
    pub is_alive: bool,
}

/// A client of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// Its number.
    pub id: u64,
    /// Where it is.
    pub peer_addr: String,
    /// Where it connected to.
    pub local_addr: String,
    /// Seconds since it connected.
    pub age_s: u64,
    /// Seconds since it was last heard.
    pub idle_s: u64,
    /// What it says of itself.
    pub state: ClientState,
}

/// What of a client only its own connection knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientState {
    /// Its name; empty if it has none.
    pub name: String,
    /// The name of its library.
    pub library_name: String,
    /// The version of its library.
    pub library_version: String,
    /// The protocol version it speaks: 2 or 3.
    pub protocol: u8,
    /// Commands queued since `MULTI`; `None` outside of a transaction.
    pub queued_len: Option<usize>,
    /// The command it last sent.
    pub last_command: &'static str,
}
