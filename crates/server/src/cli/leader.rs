//! `raftlet leader`: who leads, and who is to lead.

use clap::{Args, Subcommand};

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
