//! `raftlet status`: whom to ask, and how to show it.

use clap::Args;

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
