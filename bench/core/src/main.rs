//! Table `core`: what the protocol itself costs, ours against its peers.
//!
//! ```text
//! core            the whole table, then one JSON object
//! core --quick    ours and the floor alone: what the gate compares
//! core work ...   one run, under callgrind or alone (started by the table)
//! ```
//!
//! Instructions per entry are (I(2N) - I(N)) / N of two runs under callgrind:
//! start, election and end cancel out. Counts are exact to about one percent;
//! times are told beside them and prove little on a shared machine.
//!
//! Read next: `load.rs` (what everybody is asked), `ours.rs`, `resp.rs` (our
//! client path), then the peers (`peers.rs`) and the floor (`null.rs`);
//! `probe.rs` starts runs, `table.rs` says which.

mod gate;
mod job;
mod load;
mod null;
mod ours;
mod peers;
mod plot;
mod probe;
mod resp;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::job::Job;

#[global_allocator]
static ALLOCATOR: bench_counting::CountingAllocator = &bench_counting::INSTRUMENTED_SYSTEM;

/// The protocol core against its peers.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    work: Option<Work>,
    /// Ours and the floor alone.
    #[arg(long)]
    quick: bool,
    /// Compare counts with this baseline; more than 5 % above it fails.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Write the counts as the new baseline.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    update: Option<PathBuf>,
    /// Where the plot goes; beside this program if not said.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// One run; prints what it cost.
    Work(Job),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Work::Work(job)) = cli.work {
        return match job.run() {
            Ok(told) => {
                println!("{told}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("{why}");
                ExitCode::FAILURE
            }
        };
    }
    let report = table::measure(cli.quick || cli.check.is_some() || cli.update.is_some());
    let verdict = match (&cli.check, &cli.update) {
        (Some(file), _) => gate::check(&report, file),
        (_, Some(file)) => gate::update(&report, file),
        _ => Ok(()),
    };
    let plot = plot::of(&report);
    bench_report::finish(report, &plot, cli.svg.as_deref());
    match verdict {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("core: {why}");
            ExitCode::FAILURE
        }
    }
}
