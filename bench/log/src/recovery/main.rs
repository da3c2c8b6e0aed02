//! Table `recovery`: how long a shard log takes to be opened, against one plain
//! read of the same files with one pass of checksums over them; and what its
//! index takes in memory.
//!
//! A log is filled once, then read by each way in turn, in another order each
//! round. *direct* reads past the page cache; *buffered* reads through it, and
//! the log drops its pages before it trusts them, so the floor does too. So each
//! reading comes from the device.
//!
//! What the index should not depend on is how many entries there are: the same
//! bytes are measured with few large entries and with ten times as many.
//!
//! It ends with status 1 where one of these is more than it must be (`musts`).

mod fill;
mod floor;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use bench_counting::{CountingAllocator, INSTRUMENTED_SYSTEM, live_bytes};
use bench_report::{Musts, Panel, Plot, Shape, Spread, Table, conclude, missing, short};
use clap::Parser;
use serde_json::{Value, json};

use crate::fill::{fill, open};
use raftlet_log::DiskMode;

#[global_allocator]
static ALLOCATOR: CountingAllocator = &INSTRUMENTED_SYSTEM;

/// Opens a shard log again and again.
#[derive(Debug, Parser)]
struct Cli {
    /// Directory on the disk to be measured; the run takes a directory of its
    /// own in it and removes it.
    #[arg(long, default_value = ".")]
    data_dir: PathBuf,
    /// MiB of log.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// Groups of the larger points.
    #[arg(long, default_value_t = 10_000)]
    groups: u64,
    /// Times that each way reads all of it; one more warms up.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measures only points whose name holds this.
    #[arg(long, default_value = "")]
    only: String,
    /// For profilers: opens the log in this directory once, buffered, and
    /// measures nothing. Where there is none it is filled as the first point
    /// that `--only` leaves, and not opened.
    #[arg(long, value_name = "DIR")]
    once: Option<PathBuf>,
    /// Where the plot goes; beside this program if not said.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// One log.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) name: String,
    pub(crate) groups: u64,
    /// Bytes of an entry's payload, and entries of a batch.
    pub(crate) payload: usize,
    pub(crate) batch: usize,
    pub(crate) mib: u64,
}

const GIB: f64 = (1 << 30) as f64;
/// Seconds that a start may take for each GiB beyond reading and checksums.
const ABOVE_S_MAX: f64 = 0.5;
/// The index's bound in bytes: of a group itself with its term and vote, of a group
/// in a segment (one span), and of each MiB, for a group that has much in a segment
/// has a span for every few MiB of it.
const INDEX_GROUP_BYTES: u64 = 512;
const INDEX_SEGMENT_BYTES: u64 = 64;
const INDEX_MIB_BYTES: u64 = 64;
/// What ten times as many entries may make of it: a group whose few entries lie
/// in some of the segments has spans in these.
const INDEX_RATIO_MAX: f64 = 1.5;
/// What an entry takes beside its payload, a record of its own included.
const ENTRY_BYTES: usize = 34;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(dir) = &cli.once {
        return match open_once(&cli, dir) {
            Ok(what) => {
                eprintln!("{what}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("error: {why}");
                ExitCode::FAILURE
            }
        };
    }
    let report = match tempfile::Builder::new().prefix("bench-").tempdir_in(&cli.data_dir) {
        Ok(dir) => measure(&cli, dir.path()),
        Err(error) => missing("recovery", &format!("no directory for data: {error}")),
    };
    let plot = plot(&report);
    conclude(report.clone(), &musts(&report), &plot, cli.svg.as_deref())
}

/// Each way of reading each log; and the index, which is O(groups × segments):
/// within its bound, and of ten times as many entries about the same.
fn musts(report: &Value) -> Musts {
    let mut musts = Musts::default();
    let mut of_many: Vec<(u64, f64)> = Vec::new();
    for row in report["rows"].as_array().into_iter().flatten() {
        let point = row["point"].as_str().unwrap_or_default();
        let (system, index) = (row["system"].as_str().unwrap_or_default(), &row["index"]);
        let mode = system.rsplit(' ').next().unwrap_or_default();
        let above = &row["above_floor_s_per_gib"]["median"];
        musts.at_most(format!("{point}, {mode}, above the floor"), above, ABOVE_S_MAX, "s/GiB");
        // Both modes read one log, whose index counts once.
        if mode == "buffered" {
            continue;
        }
        let to_bound = &index["to_bound"];
        let each = index["bytes_per_group_and_segment"].as_f64().map_or("-".to_owned(), short);
        let what = format!("{point}, index to its bound ({each} B a group and segment)");
        musts.at_most(what, to_bound, 1.0, "times");
        let bytes = index["bytes"].as_f64().filter(|_| row["groups"] != 1);
        of_many.extend(row["entries"].as_u64().zip(bytes));
    }
    of_many.sort_by_key(|of| of.0);
    if let [(_, few), .., (_, many)] = of_many[..] {
        let what = "index of many small entries to that of few large ones, as many bytes";
        musts.at_most(what, &json!(many / few), INDEX_RATIO_MAX, "times");
    }
    musts
}

fn open_once(cli: &Cli, dir: &Path) -> Result<String, String> {
    if dir.exists() {
        let report = open(dir, DiskMode::Buffered)?.report;
        return Ok(format!("{} bytes, {} groups", report.bytes_read, report.groups));
    }
    let point = points(cli).into_iter().next().ok_or("no point has such a name")?;
    let filled = fill(dir, &point)?;
    Ok(format!("{}: {} entries, {} bytes", point.name, filled.entries, filled.bytes))
}

fn points(cli: &Cli) -> Vec<Point> {
    let many = format!("{} groups", cli.groups);
    let larger = 10 * (256 + ENTRY_BYTES) - ENTRY_BYTES;
    let points = [
        ("1 group, 256 B".to_owned(), 1, 256, 256),
        (format!("{many}, 256 B"), cli.groups, 256, 256),
        (format!("{many}, {larger} B"), cli.groups, larger, 26),
    ];
    let points = points.into_iter().map(|(name, groups, payload, batch)| Point {
        name,
        groups,
        payload,
        batch,
        mib: cli.mib,
    });
    points.filter(|point| point.name.contains(&cli.only)).collect()
}

fn measure(cli: &Cli, dir: &Path) -> Value {
    let mut rows = Vec::new();
    for (at, point) in points(cli).iter().enumerate() {
        eprintln!("recovery: {}", point.name);
        let dir = dir.join(at.to_string());
        match measure_point(&dir, point, cli.rounds.max(1)) {
            Ok(measured) => rows.extend(measured),
            Err(why) => {
                let mut row = missing("raftlet-log", &why);
                row["point"] = json!(point.name);
                rows.push(row);
            }
        }
        // The next one needs the space.
        if let Err(error) = std::fs::remove_dir_all(&dir) {
            eprintln!("{} is left: {error}", dir.display());
        }
    }
    print(&rows);
    json!({ "table": "recovery", "rounds": cli.rounds, "rows": rows })
}

/// What the rounds of one mode took, seconds per GiB.
#[derive(Debug, Default)]
struct Taken {
    read: Vec<f64>,
    floor: Vec<f64>,
    recovery: Vec<f64>,
    above: Vec<f64>,
    ratio: Vec<f64>,
}

fn measure_point(dir: &Path, point: &Point, rounds: usize) -> Result<Vec<Value>, String> {
    let filled = fill(dir, point)?;
    let modes = [("direct", DiskMode::Direct), ("buffered", DiskMode::Buffered)];
    let mut taken = [Taken::default(), Taken::default()];
    let mut index = Value::Null;
    for round in 0..=rounds {
        for turn in 0..modes.len() {
            let at = (turn + round) % modes.len();
            let (name, mode) = modes[at];
            // Another order each time: what is read first finds other caches.
            let (floor, recovery);
            if round % 2 == 0 {
                floor = floor::read(dir, mode)?;
                recovery = recover(dir, mode)?;
            } else {
                recovery = recover(dir, mode)?;
                floor = floor::read(dir, mode)?;
            }
            eprintln!(
                "  {name}: read {:.3} with checksums {:.3} recovery {:.3} s/GiB",
                floor.read_s_per_gib, floor.s_per_gib, recovery.s_per_gib
            );
            if round > 0 {
                let taken = &mut taken[at];
                taken.read.push(floor.read_s_per_gib);
                taken.floor.push(floor.s_per_gib);
                taken.recovery.push(recovery.s_per_gib);
                taken.above.push(recovery.s_per_gib - floor.s_per_gib);
                taken.ratio.push(recovery.s_per_gib / floor.s_per_gib);
            }
            index = recovery.index;
        }
    }
    let rows = modes.iter().zip(&taken).map(|((name, _), taken)| {
        let spread = |values: &[f64]| Spread::of(values).map(Spread::json);
        json!({
            "system": format!("raftlet-log, {name}"),
            "point": point.name,
            "groups": point.groups,
            "entries": filled.entries,
            "log_mib": filled.bytes as f64 / f64::from(1 << 20),
            "fill_s": filled.seconds,
            "read_s_per_gib": spread(&taken.read),
            "floor_s_per_gib": spread(&taken.floor),
            "recovery_s_per_gib": spread(&taken.recovery),
            "above_floor_s_per_gib": spread(&taken.above),
            "to_floor": spread(&taken.ratio),
            "index": index,
        })
    });
    Ok(rows.collect())
}

struct Recovery {
    s_per_gib: f64,
    index: Value,
}

/// Opens the log as a start does.
fn recover(dir: &Path, mode: DiskMode) -> Result<Recovery, String> {
    let before = live_bytes();
    let since = Instant::now();
    let opened = open(dir, mode)?;
    let seconds = since.elapsed().as_secs_f64();
    let live = live_bytes().saturating_sub(before);
    let report = &opened.report;
    let bytes = opened.log.index_bytes();
    let per = |count: u64| bytes as f64 / count.max(1) as f64;
    let bound = report.groups * (INDEX_GROUP_BYTES + report.segments * INDEX_SEGMENT_BYTES)
        + (report.bytes_read >> 20) * INDEX_MIB_BYTES;
    let index = json!({
        "bytes": bytes,
        "bytes_per_group": per(report.groups),
        "bytes_per_group_and_segment": per(report.groups * report.segments),
        "segments": report.segments,
        "bound": bound,
        "to_bound": per(bound),
        // Buffers included.
        "heap_bytes_of_the_open_log": live,
    });
    Ok(Recovery { s_per_gib: seconds / (report.bytes_read as f64 / GIB), index })
}

fn text(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), short)
}

fn print(rows: &[Value]) {
    let mut table = Table::new(&[
        "recovery, s per GiB",
        "mode",
        "read",
        "and checksums (floor)",
        "recovery",
        "above floor",
        "min..max",
        "index KiB",
        "B a group and segment",
    ]);
    for row in rows {
        let above = &row["above_floor_s_per_gib"];
        let system = row["system"].as_str().unwrap_or_default();
        let index = &row["index"];
        table.row(vec![
            row["point"].as_str().unwrap_or_default().to_owned(),
            system.rsplit(' ').next().unwrap_or_default().to_owned(),
            text(&row["read_s_per_gib"]["median"]),
            text(&row["floor_s_per_gib"]["median"]),
            text(&row["recovery_s_per_gib"]["median"]),
            text(&above["median"]),
            format!("{}..{}", text(&above["min"]), text(&above["max"])),
            index["bytes"].as_f64().map_or("-".to_owned(), |bytes| short(bytes / 1024.0)),
            text(&index["bytes_per_group_and_segment"]),
        ]);
    }
    table.print();
}

/// The report as a picture.
fn plot(report: &Value) -> Plot {
    let rows = report["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let mut plot = Plot::new(
        "Table recovery: opening a log against reading its files with checksums",
        "Median over rounds, whiskers smallest and largest. Less is better.",
    );
    for mode in ["direct", "buffered"] {
        let mut panel = Panel::new(&format!("Seconds per GiB, {mode}"), Shape::Bars);
        for row in rows.iter() {
            if row["system"].as_str().is_some_and(|system| system.ends_with(mode)) {
                let point = row["point"].as_str().unwrap_or_default();
                for (name, field) in [
                    ("read", "read_s_per_gib"),
                    ("read and checksums", "floor_s_per_gib"),
                    ("recovery", "recovery_s_per_gib"),
                ] {
                    panel.figure(name, point, Spread::of_json(&row[field]));
                }
            }
        }
        plot.panel(panel);
    }
    plot
}
