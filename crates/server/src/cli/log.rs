//! `raftlet log`: a data directory looked at while its node is stopped.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What can be asked of a log.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Read all of a log and its snapshots, and say whatever is wrong. Ends with
    /// code 4 when something that counts is damaged.
    Verify(LogArgs),
    /// Show every record of every segment, also of a log that would not open.
    Dump(DumpArgs),
    /// Show what a log holds: segments, groups, snapshots.
    Stat(LogArgs),
}

/// Which directory, and in which form.
#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// The data directory of a node that is stopped. Nothing in it is changed.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to show of it.
#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Only records of this group.
    #[arg(long, value_name = "G")]
    pub(crate) group: Option<u64>,
}
