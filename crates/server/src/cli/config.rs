//! `raftlet config`: what is to be done with a configuration file.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// A configuration file of `serve`.
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say what in a configuration file cannot stand, line by line.
    Check(CheckArgs),
}

/// Ends with code 3 where `serve` would.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The file, as for `serve --config`.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
