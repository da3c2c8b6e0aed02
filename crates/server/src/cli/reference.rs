//! `raftlet completions` and `raftlet man`: the command line, for shells and
//! for readers.

use clap::Args;
use clap_complete::Shell;

/// To standard output; a shell's manual says where it looks for it.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// For which shell.
    pub(crate) shell: Shell,
}

/// To standard output, as `man -l -` reads it.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Of one command; without, of them all together.
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
}
