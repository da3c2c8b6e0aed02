//! `raftlet demo`: how large a cluster, how much work, how many outages.

use std::path::PathBuf;

use clap::Args;

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
    /// Instead of kills: every member is replaced under load. Two nodes join
    /// and are promoted, the leader is removed, a wiped node is replaced as its
    /// refusal says, the last first member is removed. --ops does not count.
    #[arg(long, conflicts_with_all = ["kills", "kill_all", "data_dir", "keep", "ops"])]
    pub(crate) members: bool,
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
