//! Which points are measured, in what turns, and how they are told.
//!
//! Invariant: a way that fails is a row with `null` and the reason, never a
//! row that is not there.

use std::fs;
use std::path::Path;

use bench_report::{Panel, Plot, Shape, Spread, Table, missing, short};
use serde_json::{Value, json};

use crate::device::Device;
use crate::floor::Floor;
use crate::ours::{By, Ours};
use crate::way::{PAYLOAD_BYTES, Point, Way};

const BATCHES: [usize; 3] = [1, 16, 256];
const GROUPS: [u64; 2] = [1, 1000];

/// What a way did at a point.
#[derive(Default)]
struct Taken {
    /// Median of a round, microseconds.
    medians: Vec<f64>,
    device: Device,
    writes: usize,
    why: Option<String>,
}

type Entrant = Result<Box<dyn Way>, (&'static str, String)>;

/// Measures everything, tells it, and returns the report.
pub(crate) fn measure(dir: &Path, only: &str, rounds: usize, writes: usize) -> Value {
    let mut rows = Vec::new();
    for groups in GROUPS {
        for batch in BATCHES {
            let point = Point { batch, groups };
            let name = format!("{groups}-{batch}");
            if !only.is_empty() && only != name {
                continue;
            }
            let place = dir.join(name);
            eprintln!("log: {point:?}");
            match fs::create_dir(&place) {
                Ok(()) => rows.extend(measure_point(&place, point, rounds, writes)),
                Err(error) => rows.push(missing("log", &error.to_string())),
            }
            // So that the disk holds one point's data at a time.
            if let Err(error) = fs::remove_dir_all(&place) {
                eprintln!("log: {} stays: {error}", place.display());
            }
        }
    }
    print(&rows);
    json!({ "table": "log", "payload_bytes": PAYLOAD_BYTES, "rounds": rounds,
            "writes_per_round": writes, "rows": rows })
}

fn entrants(dir: &Path, point: Point) -> Vec<Entrant> {
    let floor = Floor::new(dir, point).map_err(|error| ("direct write (floor)", error.to_string()));
    let mut entrants: Vec<Entrant> = vec![floor.map(|way| Box::new(way) as Box<dyn Way>)];
    for by in [By::Thread, By::Ring, By::Caller] {
        let ours = Ours::new(dir, point, by);
        entrants.push(ours.map(|way| Box::new(way) as _).map_err(|why| (by.name(), why)));
    }
    entrants.extend(peers(dir, point));
    entrants
}

#[cfg(feature = "peers")]
fn peers(dir: &Path, point: Point) -> Vec<Entrant> {
    use crate::engine::Peer;
    let fresh = Peer::fresh(dir, point).map_err(|why| ("raft-engine 0.4.2", why));
    let prepared = Peer::prepared(dir, point).map_err(|why| ("raft-engine, prepared", why));
    vec![fresh.map(|way| Box::new(way) as _), prepared.map(|way| Box::new(way) as _)]
}

#[cfg(not(feature = "peers"))]
fn peers(_: &Path, _: Point) -> Vec<Entrant> {
    vec![Err(("raft-engine 0.4.2", "built without the feature `peers`".to_owned()))]
}

fn measure_point(dir: &Path, point: Point, rounds: usize, writes: usize) -> Vec<Value> {
    let mut entrants = entrants(dir, point);
    let mut taken: Vec<Taken> = entrants.iter().map(|_| Taken::default()).collect();
    let mut device_why = None;
    // The first round warms up.
    for round in 0..=rounds {
        let len = entrants.len();
        for turn in 0..len {
            let at = (turn + round) % len;
            let (Ok(way), taken) = (&mut entrants[at], &mut taken[at]) else {
                continue;
            };
            way.rest();
            let before = Device::under(dir);
            let median = match round_of(way.as_mut(), writes) {
                Ok(median) => median,
                Err(why) => {
                    taken.why = Some(why);
                    continue;
                }
            };
            if round > 0 {
                taken.medians.push(median);
                taken.writes += writes;
                match (before, Device::under(dir)) {
                    (Ok(before), Ok(after)) => {
                        let more = after.since(before);
                        taken.device.bytes += more.bytes;
                        taken.device.flushes += more.flushes;
                    }
                    (Err(why), _) | (_, Err(why)) => device_why = Some(why),
                }
            }
        }
    }
    let floor = std::mem::take(&mut taken[0].medians);
    taken[0].medians.clone_from(&floor);
    let told = entrants.iter().zip(&taken);
    told.map(|(entrant, taken)| row(point, entrant, taken, &floor, device_why.as_deref())).collect()
}

fn round_of(way: &mut dyn Way, writes: usize) -> Result<f64, String> {
    let mut took = Vec::with_capacity(writes);
    for _ in 0..writes {
        took.push(way.write()?.as_secs_f64() * 1e6);
    }
    Spread::of(&took).map(|spread| spread.median).ok_or_else(|| "no writes".to_owned())
}

fn row(
    point: Point,
    entrant: &Entrant,
    taken: &Taken,
    floor: &[f64],
    device_why: Option<&str>,
) -> Value {
    let way = match (entrant, &taken.why) {
        (Ok(way), None) => way,
        (Ok(way), Some(why)) => return placed(missing(way.name(), why), point),
        (Err((name, why)), _) => return placed(missing(name, why), point),
    };
    let ratios: Vec<f64> =
        taken.medians.iter().zip(floor).map(|(way, floor)| way / floor).collect();
    let per_write = |count: u64| count as f64 / taken.writes as f64;
    let told = way.told().map(|told| json!({ "bytes": told.bytes, "flushes": told.flushes }));
    let device = match device_why {
        None => json!({ "bytes_per_write": per_write(taken.device.bytes),
                        "flushes_per_write": per_write(taken.device.flushes) }),
        Some(why) => json!({ "bytes_per_write": null, "why": why }),
    };
    let row = json!({
        "system": way.name(),
        "us": Spread::of(&taken.medians).map(Spread::json),
        "to_floor": Spread::of(&ratios).map(Spread::json),
        "counted": told,
        "device": device,
    });
    placed(row, point)
}

fn placed(mut row: Value, point: Point) -> Value {
    row["batch"] = json!(point.batch);
    row["groups"] = json!(point.groups);
    row
}

fn print(rows: &[Value]) {
    let mut table = Table::new(&[
        "a durable batch of 256-byte entries",
        "groups",
        "batch",
        "us",
        "x floor",
        "min..max",
        "device KiB",
        "device flushes",
    ]);
    for row in rows {
        let text = |value: &Value| value.as_f64().map_or("-".to_owned(), short);
        let ratio = &row["to_floor"];
        let device = &row["device"];
        let kib = device["bytes_per_write"].as_f64().map(|bytes| bytes / 1024.0);
        table.row(vec![
            row["system"].as_str().unwrap_or_default().to_owned(),
            row["groups"].to_string(),
            row["batch"].to_string(),
            text(&row["us"]["median"]),
            text(&ratio["median"]),
            format!("{}..{}", text(&ratio["min"]), text(&ratio["max"])),
            kib.map_or("-".to_owned(), short),
            text(&device["flushes_per_write"]),
        ]);
    }
    table.print();
}

/// The report as a picture.
pub(crate) fn plot(report: &Value) -> Plot {
    let rows = report["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let mut plot = Plot::new(
        "Table log: a durable batch against one direct write of as many bytes",
        "Median over rounds, whiskers smallest and largest. 1 is the bare disk.",
    );
    for groups in GROUPS {
        let title = format!("Time by the floor's, groups: {groups}");
        let mut panel = Panel::new(&title, Shape::Bars);
        for row in rows.iter().filter(|row| row["groups"] == json!(groups)) {
            let name = row["system"].as_str().unwrap_or_default();
            let batch = format!("batch {}", row["batch"]);
            panel.figure(name, &batch, Spread::of_json(&row["to_floor"]));
        }
        plot.panel(panel);
    }
    plot
}
