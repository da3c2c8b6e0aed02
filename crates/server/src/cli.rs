//! The command line: what an operator may say, with every default.
//!
//! A flag wins over its `RAFTLET_…` variable, that over the default. What does
//! not parse ends with code 2 here; what parses and cannot stand is refused in
//! `config.rs` with code 3.
//!
//! Invariant: plain `raftlet serve` is a whole cluster of one node on
//! loopback.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};

/// What scripts branch on; `failure.rs` decides.
const ENDINGS: &str = "Exit codes: 0 done, 1 failed while running, 2 usage, 3 flags or members \
that cannot stand, 4 data directory, 5 address taken, 6 nobody answers, 7 not ready";

/// Keeps a Redis-protocol keyspace on several machines and never loses an
/// acknowledged write.
#[derive(Debug, Parser)]
#[command(name = "raftlet", version, disable_help_subcommand = true, after_help = ENDINGS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one node.
    Serve(Box<ServeArgs>),
    /// Ask a node how it is.
    Status(StatusArgs),
    /// Who leads, and who is to lead.
    #[command(subcommand)]
    Leader(LeaderCommand),
    /// Start a cluster, kill its leader under load, and judge what clients saw.
    Demo(DemoArgs),
}

/// One node. Without flags: a cluster of its own on loopback.
#[derive(Args, Clone, Debug)]
#[command(after_help = "RAFTLET_LOG chooses what is logged: error, warn, info (the default), \
debug, trace or off")]
pub(crate) struct ServeArgs {
    /// This node's number in the cluster, from 1.
    #[arg(long, env = "RAFTLET_NODE_ID", default_value_t = 1, value_name = "N")]
    pub(crate) node_id: u64,
    /// Where this node keeps what it must not lose. Its own, never copied.
    #[arg(long, env = "RAFTLET_DATA_DIR", default_value = "./raftlet-data", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Where Redis clients connect.
    #[arg(
        long,
        env = "RAFTLET_CLIENT_ADDR",
        default_value = "127.0.0.1:7379",
        value_name = "HOST:PORT"
    )]
    pub(crate) client_addr: String,
    /// Where other nodes connect. Default: this node's address in
    /// --initial-members, else 127.0.0.1:7380.
    #[arg(long, env = "RAFTLET_PEER_ADDR", value_name = "HOST:PORT")]
    pub(crate) peer_addr: Option<String>,
    /// Where status and health are served over HTTP.
    #[arg(
        long,
        env = "RAFTLET_ADMIN_ADDR",
        default_value = "127.0.0.1:7381",
        value_name = "HOST:PORT"
    )]
    pub(crate) admin_addr: String,
    /// The cluster's first members by peer address, alike on each of them and
    /// at every start; it chooses members while the data directory is empty.
    /// Default: this node alone.
    #[arg(long, env = "RAFTLET_INITIAL_MEMBERS", value_name = "1=HOST:PORT,2=HOST:PORT,…")]
    pub(crate) initial_members: Option<String>,
    /// Groups that the keyspace is divided among. Fixed at first start.
    #[arg(long, env = "RAFTLET_GROUPS", default_value_t = 1, value_name = "G")]
    pub(crate) groups: u64,
    /// Threads that serve groups. More than 1 is not available yet.
    #[arg(long, env = "RAFTLET_SHARDS", default_value_t = 1, value_name = "S")]
    pub(crate) shards: u64,
    /// Part of the cluster's identity: nodes of clusters with different names
    /// never talk.
    #[arg(long, env = "RAFTLET_CLUSTER_NAME", default_value = "raftlet", value_name = "NAME")]
    pub(crate) cluster_name: String,
    /// The address that clients are told, where it differs from --client-addr.
    #[arg(long, env = "RAFTLET_ADVERTISE_CLIENT_ADDR", value_name = "HOST:PORT")]
    pub(crate) advertise_client_addr: Option<String>,
    /// Listen beyond loopback although nothing is encrypted or authenticated.
    #[arg(long, env = "RAFTLET_INSECURE_BIND", value_parser = BoolishValueParser::new())]
    pub(crate) insecure_bind: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Stop when standard input ends: set by a parent that must leave no
    /// orphans.
    #[arg(long, hide = true)]
    pub(crate) exit_with_stdin: bool,
}

/// Limits and timings of a node, each with its default.
#[derive(Args, Clone, Debug)]
pub(crate) struct LimitArgs {
    /// How long a command waits for a leader before it is answered
    /// CLUSTERDOWN (surely not done) or UNKNOWN.
    #[arg(long, env = "RAFTLET_PROPOSE_TIMEOUT_MS", default_value_t = 5000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) propose_timeout_ms: u64,
    /// Memory for recent log entries; older ones are read from disk.
    #[arg(long, env = "RAFTLET_LOG_MEMORY_MIB", default_value_t = 64, value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub(crate) log_memory_mib: u32,
    /// Silence after which a leader is replaced. Above ten round trips.
    #[arg(long, env = "RAFTLET_ELECTION_TIMEOUT_MS", default_value_t = 500, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(10..=600_000))]
    pub(crate) election_timeout_ms: u64,
    /// How often a leader asks members that do not answer. At most a third of
    /// the election timeout.
    #[arg(long, env = "RAFTLET_HEARTBEAT_INTERVAL_MS", default_value_t = 100, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) heartbeat_interval_ms: u64,
    /// Client connections at once; one more is told so and closed.
    #[arg(long, env = "RAFTLET_CLIENTS_MAX", default_value_t = 10_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) clients_max: u32,
    /// Close a client that has been silent this long; 0 never does.
    #[arg(long, env = "RAFTLET_CLIENT_IDLE_MS", default_value_t = 0, value_name = "MS")]
    pub(crate) client_idle_ms: u64,
}

/// How a node is.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// The node's admin address.
    #[arg(
        long,
        env = "RAFTLET_ADMIN_ADDR",
        default_value = "127.0.0.1:7381",
        value_name = "HOST:PORT"
    )]
    pub(crate) admin: String,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// End with code 7 unless every group knows a leader and keeps up with it.
    #[arg(long)]
    pub(crate) check: bool,
    /// How long to wait for the answer.
    #[arg(long, default_value_t = 5000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) timeout_ms: u64,
}

/// What can be done about leaders.
#[derive(Debug, Subcommand)]
pub(crate) enum LeaderCommand {
    /// Hand leadership to another node, without losing a write or a moment.
    Transfer(TransferArgs),
}

/// Hand leadership over: of one group, or of all that the node leads.
#[derive(Args, Debug)]
pub(crate) struct TransferArgs {
    /// The admin address of a node. With --group any node will do.
    #[arg(
        long,
        env = "RAFTLET_ADMIN_ADDR",
        default_value = "127.0.0.1:7381",
        value_name = "HOST:PORT"
    )]
    pub(crate) admin: String,
    /// The group. Default: every group that the asked node leads; where the
    /// keyspace is one group, that one.
    #[arg(long, value_name = "G")]
    pub(crate) group: Option<u64>,
    /// The node that is to lead. Default: the first that holds the whole log.
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<u64>,
    /// One JSON array instead of lines.
    #[arg(long)]
    pub(crate) json: bool,
    /// How long to wait for the answer.
    #[arg(long, default_value_t = 10_000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) timeout_ms: u64,
}

/// A cluster on this machine, its leader killed under load, and a verdict.
#[derive(Args, Clone, Debug)]
pub(crate) struct DemoArgs {
    /// Nodes of the cluster, each a process of its own.
    #[arg(long, default_value_t = 3, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(crate) nodes: u16,
    /// Operations to complete.
    #[arg(long, default_value_t = 20_000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) ops: u64,
    /// Clients at once, each waiting for its answer before it asks again.
    #[arg(long, default_value_t = 16, value_name = "C",
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) clients: u16,
    /// How often the leader is killed with SIGKILL in mid-run and restarted.
    /// Default 1, or 0 with --kill-all.
    #[arg(long, value_name = "K")]
    pub(crate) kills: Option<u16>,
    /// How often all nodes are killed at once and restarted; after each time
    /// every key is read.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) kill_all: u16,
    /// Where the nodes keep their data, with the ports for the next demo on
    /// it. Default: a directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Leave the cluster up and say how to talk to it.
    #[arg(long)]
    pub(crate) keep: bool,
    /// One JSON object on the last line of standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// Chooses keys, values and the mix of operations.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    pub(crate) seed: u64,
    /// Groups that the keyspace is divided among.
    #[arg(long, default_value_t = 1, value_name = "G")]
    pub(crate) groups: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
