//! `raftlet backup`: a cluster's data, out of it and into another one.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::ask::AskArgs;

/// What can be done with backups.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Take a backup of a running cluster: of each group its state at one entry
    /// of its log, with everything that was acknowledged before the command.
    Create(CreateArgs),
    /// Read all of a backup, say what is in it and whatever is wrong. Ends with
    /// code 4 when something is damaged.
    Verify(VerifyArgs),
    /// Make the data directory of one member of a new cluster that begins with
    /// a backup. Run it once for each member, then start them all.
    Restore(RestoreArgs),
}

/// What to back up, and where to.
#[derive(Args, Debug)]
#[command(mut_arg("timeout_ms", |arg| arg
    .default_value("600000")
    .help("How long the node may be silent: it writes its state down first")))]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(crate) ask: AskArgs,
    /// A group; may be said several times. Default: every group. Only a backup
    /// of all can be restored.
    #[arg(long, value_name = "G")]
    pub(crate) group: Vec<u64>,
    /// The file to make, or a directory that is there: then the file in it is
    /// named after the cluster and the time, and ends in `.backup`.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) out: PathBuf,
    /// Take what the asked node has, without asking a majority whether that is
    /// all: for a cluster that has lost its majority for good.
    #[arg(long)]
    pub(crate) stale: bool,
}

/// Which backup to look at.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// A backup, or a directory: then every `.backup` in it.
    #[arg(value_name = "FILE|DIR")]
    pub(crate) path: PathBuf,
    /// One JSON object a backup instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a new member begins with.
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The backup; or a directory with one `.backup` in it.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) from: PathBuf,
    /// The data directory to make: one that is not there, or is empty.
    #[arg(long, visible_alias = "dir", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// The node that it is for.
    #[arg(long, visible_alias = "id", value_name = "N")]
    pub(crate) node_id: u64,
    /// The first members of the new cluster by peer address, this one among
    /// them: the same list for each, here and for `raftlet serve`.
    #[arg(long, value_name = "1=HOST:PORT,2=HOST:PORT,…")]
    pub(crate) initial_members: String,
    /// The new cluster's name, as `raftlet serve` is told. Default: the name of
    /// the cluster that was backed up. Its id is another one in any case.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster_name: Option<String>,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}
