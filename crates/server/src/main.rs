//! The binary `raftlet`: a Redis-protocol cluster that never loses an
//! acknowledged write.
//!
//! Where what is, from the top floor down; a floor knows only those below it:
//! - `node.rs`: a node put together, its first start, its orderly end.
//! - `admin.rs`: the admin port, on `http.rs`; `observe.rs`: what a node tells
//!   of itself there (`status.rs` is its schema, `fill.rs` how full it is).
//! - `demo.rs`: a cluster, killed and judged. `backup.rs`: backups.
//! - `operator.rs`: the other commands. `client.rs`: Redis clients, from their
//!   sockets to the groups that hold their keys.
//! - `shard.rs`: what runs beside the library's groups on their thread.
//! - `cli.rs`, `config.rs`: what an operator may say, and what of it stands.
//!   `logging.rs`: the node's log. `process.rs`: the process itself.
//!
//! The protocol, the log, the network and the data model are libraries: this
//! crate only moves bytes and futures between them.

mod admin;
mod backup;
mod cli;
mod client;
mod config;
mod demo;
mod fill;
mod http;
mod logging;
mod node;
mod observe;
mod operator;
mod process;
mod shard;
mod status;

use std::process::ExitCode;

use tracing::warn;

use crate::cli::Command;
use crate::cli::config::ConfigCommand;
use crate::cli::leader::LeaderCommand;
use crate::config::Config;
use crate::logging::Logging;
use crate::process::failure::Failure;
use crate::process::{huge_pages, signal};

fn main() -> ExitCode {
    match config::file::parse_command_line().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            process::print::failure(&failure);
            failure.exit.code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    // Before anything is opened: the process may begin again.
    let asked = match &command {
        Command::Serve(args) => huge_pages::ask(args.limits.huge_pages),
        _ => Ok(()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        match command {
            Command::Serve(args) => {
                let logging = Logging::start(args.logging);
                if let Err(error) = asked {
                    signal::outlive_closed_pipes()?;
                    warn!(%error, "no huge pages: this process cannot start itself again");
                }
                node::serve(Config::from_args(*args)?, logging).await
            }
            Command::Status(args) => operator::ask::status(&args).await,
            Command::Config(args) => match args.command {
                ConfigCommand::Check(args) => config::file::check(&args.file),
            },
            Command::Leader(LeaderCommand::Transfer(args)) => operator::lead::transfer(&args).await,
            Command::Log(command) => operator::logs::run(&command),
            Command::Member(command) => operator::member::run(&command).await,
            Command::Snapshot(args) => operator::snapshot::ask(&args).await,
            Command::Backup(command) => backup::run(&command).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Completions(args) => {
                operator::reference::completions(args.shell);
                Ok(())
            }
            Command::Man(args) => operator::reference::man(args.command.as_deref()),
        }
    })
}
