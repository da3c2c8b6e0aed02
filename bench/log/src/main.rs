//! Table `log`: what making entries durable costs, against the bare disk.
//!
//! Each point is a batch of 256-byte entries of one group or of a thousand, made durable
//! before the next one is built. Six ways take turns, a few writes each, over
//! many rounds: one direct durable write of as many bytes into a file that was
//! written before (the floor), our shard log written in three ways (`ours.rs`),
//! raft-engine as it comes, and raft-engine with its files prepared. A figure is the median of a way's
//! writes in a round, divided by the floor's in the same round; told are
//! median, smallest and largest over the rounds.
//!
//! Building the batch is part of each write. Floor and raft-engine write on the
//! thread that waits. So does ours in one of its ways; as it comes it hands the
//! write to a thread of its own, as the server runs it to the kernel.
//!
//! Read next: `way.rs` (what a way is), `floor.rs`, `ours.rs`, `engine.rs`,
//! `device.rs` (what the device counted), `lib.rs` (what is shared with the
//! table `recovery`).

mod device;
#[cfg(feature = "peers")]
mod engine;
mod floor;
mod ours;
/// The server's own, from its source: a binary has no library to share.
#[path = "../../../crates/server/src/node/ring.rs"]
mod ring;
mod table;
mod way;

use std::path::PathBuf;

use bench_report::{finish, missing};
use clap::Parser;

/// The shard log against the bare disk and raft-engine.
#[derive(Debug, Parser)]
struct Cli {
    /// Directory on the disk to be measured; the run takes a directory of its
    /// own in it and removes it.
    #[arg(long, default_value = ".")]
    data_dir: PathBuf,
    /// Rounds of each point.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Writes of each way in a round.
    #[arg(long, default_value_t = 16)]
    writes: usize,
    /// Measures only the point of so many groups and entries, as `1000-256`.
    #[arg(long, default_value = "")]
    only: String,
    /// Where the plot goes; beside this program if not said.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn main() {
    let cli = Cli::parse();
    let report = match tempfile::Builder::new().prefix("bench-").tempdir_in(&cli.data_dir) {
        Ok(dir) => table::measure(dir.path(), &cli.only, cli.rounds.max(1), cli.writes.max(1)),
        Err(error) => missing("log", &format!("no directory for data: {error}")),
    };
    let plot = table::plot(&report);
    finish(report, &plot, cli.svg.as_deref());
}
