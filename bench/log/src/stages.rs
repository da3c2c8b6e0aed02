//! What a batch costs beside the device: to be made by the caller, before its bytes are
//! handed over, while the device is at work, and after.
//!
//! The log runs as it does in the table `log`, on a disk whose writes take no time
//! and go nowhere: what is left is its own. Batches are those of that table, told
//! are medians of microseconds over `--writes` of them. A processor that others
//! use too shows in few of them, so this says something on a laden machine as well.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bench_log::{Source, open_written_by, runtime};
use bench_report::{Table, short};
use clap::Parser;
use tokio::task::LocalSet;

use raftlet::{Storage, WriteBatch};
use raftlet_log::disk::buffer::Buffer;
use raftlet_log::{Descriptor, LogOptions, LogWriter, RealDisk, ShardLog, Writing};

/// Bytes of an entry's payload.
const PAYLOAD_BYTES: usize = 256;
/// Batches before the first that counts.
const WARM: usize = 64;

/// A batch beside the device.
#[derive(Debug, Parser)]
struct Cli {
    /// Batches of each point.
    #[arg(long, default_value_t = 2000)]
    writes: usize,
    /// Only the point of so many groups and entries, as `1000-256`.
    #[arg(long, default_value = "")]
    only: String,
}

/// Takes writes and forgets them, one poll later.
#[derive(Debug)]
struct Nowhere {
    handed: Cell<Instant>,
    ended: Cell<Instant>,
}

impl LogWriter for Nowhere {
    fn name(&self) -> &'static str {
        "nowhere"
    }

    fn write(&self, _: Descriptor, _: u64, from: Buffer) -> Writing<'_> {
        let mut from = Some(from);
        let mut is_handed = false;
        Box::pin(poll_fn(move |context| {
            if !std::mem::replace(&mut is_handed, true) {
                self.handed.set(Instant::now());
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.ended.set(Instant::now());
            let from = from.take().expect("polled once after it was handed over");
            Poll::Ready((from, Ok::<(), io::Error>(())))
        }))
    }

    fn settled(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {})
    }
}

/// Medians: made, before, while, after.
fn measure(dir: &Path, groups: u64, batch: usize, writes: usize) -> Result<[f64; 4], String> {
    let runtime = runtime()?;
    let tasks = LocalSet::new();
    let now = Instant::now();
    let nowhere = Rc::new(Nowhere { handed: Cell::new(now), ended: Cell::new(now) });
    let writer: Rc<dyn LogWriter> = Rc::clone(&nowhere) as _;
    let options = LogOptions::default();
    let opened = open_written_by(dir, &options, writer);
    let log: ShardLog<RealDisk> = tasks.block_on(&runtime, opened)?.log;
    let mut source = Source::new(groups, batch, PAYLOAD_BYTES);
    let mut kept = WriteBatch::default();
    let mut took: [Vec<f64>; 4] = Default::default();
    for at in 0..WARM + writes {
        let since = Instant::now();
        source.fill(&mut kept);
        let made = Instant::now();
        let written = tasks.block_on(&runtime, log.write(std::mem::take(&mut kept)));
        let (handed, ended, end) = (nowhere.handed.get(), nowhere.ended.get(), Instant::now());
        kept = written.0;
        written.1.map_err(|error| error.to_string())?;
        if at >= WARM {
            let stages = [made - since, handed - made, ended - handed, end - ended];
            let us = |stage: Duration| stage.as_secs_f64() * 1e6;
            took.iter_mut().zip(stages).for_each(|(took, stage)| took.push(us(stage)));
        }
    }
    Ok(took.map(|mut took| {
        took.sort_by(f64::total_cmp);
        took[took.len() / 2]
    }))
}

fn main() {
    let cli = Cli::parse();
    let mut table =
        Table::new(&["groups", "batch", "made", "before", "while", "after", "not while"]);
    for groups in [1, 1000, 10_000] {
        for batch in [1, 16, 256] {
            if !cli.only.is_empty() && cli.only != format!("{groups}-{batch}") {
                continue;
            }
            let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(".");
            let dir = dir.map_err(|error| error.to_string());
            let told = dir.and_then(|dir| measure(dir.path(), groups, batch, cli.writes));
            let mut row = vec![groups.to_string(), batch.to_string()];
            match told {
                Ok([made, before, during, after]) => {
                    row.extend([made, before, during, after, made + before + after].map(short));
                }
                Err(why) => row.push(why),
            }
            table.row(row);
        }
    }
    table.print();
}
