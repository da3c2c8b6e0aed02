//! `raftlet member`: who belongs to the cluster.

use clap::{Args, Subcommand};

use crate::cli::ask::GroupsAskArgs;

/// What can be done about members. Any node may be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// List the members of every group.
    List(GroupsAskArgs),
    /// Add a learner by hand. `raftlet serve --join` does this by itself.
    Add(AddArgs),
    /// Make a learner a voter, once it has caught up.
    Promote(NodeArgs),
    /// Make a voter a learner.
    Demote(NodeArgs),
    /// Remove a member. Its id must not be used again.
    Remove(NodeArgs),
    /// Say where a member is reached from now on, or whether it should lead.
    Update(UpdateArgs),
    /// Give up a change that waits for members to catch up.
    Cancel(GroupsAskArgs),
}

/// A member, by its node id.
#[derive(Args, Debug)]
pub(crate) struct NodeArgs {
    /// The member's node id.
    #[arg(value_name = "N")]
    pub(crate) node: u64,
    #[command(flatten)]
    pub(crate) ask: GroupsAskArgs,
}

/// A new member.
#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// Its node id, never used before.
    #[arg(value_name = "N")]
    pub(crate) node: u64,
    /// Where other nodes connect to it.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) peer_addr: String,
    /// The incarnation of its data directory, as it prints it.
    #[arg(long, value_name = "HEX")]
    pub(crate) incarnation: String,
    /// Who should lead rather: the higher, from 0 to 255.
    #[arg(long, value_name = "P", default_value_t = raftlet::core::PRIORITY_DEFAULT)]
    pub(crate) priority: u8,
    #[command(flatten)]
    pub(crate) ask: GroupsAskArgs,
}

/// A member that moved, or that should lead rather than others or less.
#[derive(Args, Debug)]
#[group(id = "what", required = true, multiple = true, args = ["peer_addr", "priority"])]
pub(crate) struct UpdateArgs {
    /// The member's node id.
    #[arg(value_name = "N")]
    pub(crate) node: u64,
    /// Where other nodes connect to it from now on.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) peer_addr: Option<String>,
    /// Who should lead rather: the higher, from 0 to 255, 100 at first. Whoever
    /// can be elected leads, and gives way to a better one that keeps up.
    #[arg(long, value_name = "P")]
    pub(crate) priority: Option<u8>,
    #[command(flatten)]
    pub(crate) ask: GroupsAskArgs,
}
