//! `raftlet status`: whom to ask, and how to show it.

use clap::Args;

use crate::cli::ask::AskArgs;

/// How a node is.
#[derive(Args, Debug)]
#[command(mut_arg("timeout_ms", |arg| arg.default_value("5000")))]
pub(crate) struct StatusArgs {
    /// End with code 7 unless every group knows a leader and keeps up with it.
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}
