//! What a node logs, and how.

use clap::{Args, ValueEnum};
use serde::Deserialize;

/// How lines of the log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged. Each level has those before it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    Off,
    /// Somebody must act.
    Error,
    /// Something works less well than it should.
    Warn,
    /// Elections, peers, starts and stops.
    Info,
    /// Every change of role and configuration, every refusal.
    Debug,
    /// More than anybody wants.
    Trace,
}

/// Logs go to standard error.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LoggingArgs {
    /// Lines for a person (text), or one JSON object each (json).
    #[arg(
        long,
        env = "RAFTLET_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    pub(crate) log_format: LogFormat,
    /// The least that is logged: off, error, warn, info, debug or trace.
    #[arg(
        long,
        env = "RAFTLET_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL",
        hide_possible_values = true
    )]
    pub(crate) log_level: LogLevel,
}
