//! Whom a command asks, how long it waits, and how it shows the answer: alike
//! for every command that talks to a node's admin port.
//!
//! Not here: what is asked, each command's own; the transport (`http/client.rs`).

use std::time::Duration;

use clap::Args;

/// Whom to ask, and how long to wait. A command with another default says so
/// with `mut_arg`.
#[derive(Args, Clone, Debug)]
pub(crate) struct AskArgs {
    /// The admin address of a node.
    #[arg(
        long,
        env = "RAFTLET_ADMIN_ADDR",
        default_value = "127.0.0.1:7381",
        value_name = "HOST:PORT"
    )]
    pub(crate) admin: String,
    /// One JSON value instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// How long to wait for the answer. What was asked for goes on all the same.
    #[arg(long, default_value_t = 60_000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub(crate) timeout_ms: u64,
}

/// The same of a command that means groups.
#[derive(Args, Clone, Debug)]
pub(crate) struct GroupsAskArgs {
    /// One group. Default: every group.
    #[arg(long, value_name = "G")]
    pub(crate) group: Option<u64>,
    #[command(flatten)]
    pub(crate) node: AskArgs,
}

impl AskArgs {
    /// How long to wait for the answer.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
