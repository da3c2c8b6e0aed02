//! The command line: what an operator may say, with every default.
//!
//! One file a subcommand in `cli/`. A flag wins over its `RAFTLET_…` variable,
//! that over the configuration file, that over the default. What does not
//! parse ends with code 2 here; what parses and cannot stand is refused in
//! `config.rs` with code 3.
//!
//! Invariant: plain `raftlet serve` is a whole cluster of one node on
//! loopback.
//!
//! Not here: what the commands do.

pub(crate) mod ask;
pub(crate) mod clients;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod leader;
pub(crate) mod log;
pub(crate) mod logging;
pub(crate) mod member;
pub(crate) mod reference;
pub(crate) mod serve;
pub(crate) mod snapshot;
pub(crate) mod status;

use clap::{Parser, Subcommand};

use config::ConfigArgs;
use demo::DemoArgs;
use leader::LeaderCommand;
use log::LogCommand;
use member::MemberCommand;
use reference::{CompletionsArgs, ManArgs};
use serve::ServeArgs;
use snapshot::TakeSnapshotArgs;
use status::StatusArgs;

/// What scripts branch on; `failure.rs` decides.
const ENDINGS: &str = "Exit codes: 0 done, 1 failed while running, 2 usage, 3 flags or members \
that cannot stand, 4 data directory, 5 address taken, 6 nobody answers, 7 not ready, 8 stopped \
before all had ended";

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
    /// Look at a configuration file.
    Config(ConfigArgs),
    /// Who leads, and who is to lead.
    #[command(subcommand)]
    Leader(LeaderCommand),
    /// Look at the log of a node that is stopped.
    #[command(subcommand)]
    Log(LogCommand),
    /// Who belongs to the cluster: add, promote, demote, remove.
    #[command(subcommand)]
    Member(MemberCommand),
    /// Write groups down now and let their logs go.
    Snapshot(TakeSnapshotArgs),
    /// Start a cluster, kill its leader under load, and judge what clients saw.
    Demo(DemoArgs),
    /// Print what a shell needs to complete this command line.
    Completions(CompletionsArgs),
    /// Print the manual.
    Man(ManArgs),
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
