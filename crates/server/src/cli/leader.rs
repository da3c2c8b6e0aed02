//! `raftlet leader`: who leads, and who is to lead.

use clap::{Args, Subcommand};

use crate::cli::ask::GroupsAskArgs;

/// What can be done about leaders.
#[derive(Debug, Subcommand)]
pub(crate) enum LeaderCommand {
    /// Hand leadership to another node, without losing a write or a moment.
    Transfer(TransferArgs),
}

/// Hand leadership over: of one group, or of all that the node leads. With
/// --group any node may be asked.
#[derive(Args, Debug)]
#[command(
    mut_arg("group", |arg| arg.help(
        "The group. Default: every group that the asked node leads; where the keyspace is one \
         group, that one"
    )),
    mut_arg("timeout_ms", |arg| arg.default_value("10000"))
)]
pub(crate) struct TransferArgs {
    /// The node that is to lead. Default: the first that holds the whole log.
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<u64>,
    #[command(flatten)]
    pub(crate) ask: GroupsAskArgs,
}
