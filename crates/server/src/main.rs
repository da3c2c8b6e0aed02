//! The binary `raftlet`: a Redis-protocol cluster that never loses an
//! acknowledged write.
//!
//! Where what is:
//! - `cli.rs`, `config_file.rs`, `config.rs`: what an operator may say, and what
//!   of it stands; `reference.rs`: completions and manual.
//! - `node.rs`: a node put together; `bootstrap.rs`: its first start;
//!   `groups.rs`: its groups, opened; `stop.rs`: its orderly end.
//! - `clients.rs`, `host.rs`: what clients may ask about each other and the node.
//! - `client.rs`, `session.rs`: client connections; `admin.rs`: the admin port,
//!   on `http.rs`.
//! - `ask.rs`: the `status` command; `lead.rs`: `leader transfer`; `member.rs`:
//!   `member`; `logs.rs`: `log`; `backup.rs`: `backup`; `demo.rs`: the demo.
//! - `members.rs`: members listed and changed; `roster.rs`: whom a node knows,
//!   and how it joins.
//! - `failure.rs`, `print.rs`, `logging.rs`: how the program ends and what it
//!   says.
//!
//! The protocol, the log, the network and the data model are libraries: this
//! crate only moves bytes and futures between them.

mod admin;
mod ask;
mod backup;
mod bar;
mod bootstrap;
mod cli;
mod client;
mod clients;
mod clock;
mod config;
mod config_file;
mod dashboard;
mod demo;
mod descriptors;
mod ended;
mod expiry;
mod failure;
mod fill;
mod flights;
mod groups;
mod handover;
mod history;
mod host;
mod http;
mod inspect;
mod keyspace;
mod lead;
mod logging;
mod logs;
mod member;
mod members;
mod metrics;
mod neighbours;
mod node;
mod parent;
mod ports;
mod print;
mod reference;
mod replica;
mod ring;
mod roster;
mod session;
mod shares;
mod signal;
mod sink;
mod snapshots;
mod status;
mod stop;
mod supervisor;
mod timing;
mod view;

use std::process::ExitCode;

use crate::cli::Command;
use crate::cli::config::ConfigCommand;
use crate::cli::leader::LeaderCommand;
use crate::config::Config;
use crate::failure::Failure;
use crate::logging::Logging;

fn main() -> ExitCode {
    match config_file::parse_command_line().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print::failure(&failure);
            failure.exit.code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        match command {
            Command::Serve(args) => {
                let logging = Logging::start(args.logging);
                node::serve(Config::from_args(*args)?, logging).await
            }
            Command::Status(args) => ask::status(&args).await,
            Command::Config(args) => match args.command {
                ConfigCommand::Check(args) => config_file::check(&args.file),
            },
            Command::Leader(LeaderCommand::Transfer(args)) => lead::transfer(&args).await,
            Command::Log(command) => logs::run(&command),
            Command::Member(command) => member::run(&command).await,
            Command::Snapshot(args) => snapshots::ask(&args).await,
            Command::Backup(command) => backup::run(&command).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Completions(args) => {
                reference::completions(args.shell);
                Ok(())
            }
            Command::Man(args) => reference::man(args.command.as_deref()),
        }
    })
}
