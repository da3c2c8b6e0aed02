//! Logs of each format, kept as files: every release must read them, and a
//! release that writes other bytes has changed the format (rule 45).
//!
//! `UPDATE=1` writes the newest, together with a new version of the format only. Lines
//! are `file`, then 32 bytes each that are not all zero.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::fixture::{Change, Model, apply, held, started, write};
use raftlet_log::{FORMAT_VERSION, MemoryDisk, TailState, block_on};

fn path(version: u32) -> PathBuf {
    let name = format!("tests/golden/log-{version}.txt");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What the log of a version holds.
fn script(version: u32) -> Vec<Vec<Change>> {
    let mut script = vec![
        vec![Change::of(1).vote(1, 1).append(1, 1, 2, 40), Change::of(7).vote(3, 2)],
        vec![Change::of(1).vote(2, 0).truncate(2).append(2, 2, 3, 10)],
    ];
    if version >= 2 {
        script.push(vec![Change::of(1).compact(2, 2).snapshot(3, 2).append(5, 2, 1, 9)]);
        script.push(vec![Change::of(8).compact(9, 4).snapshot(9, 4)]);
    }
    script.push(vec![Change { generation: 2, ..Change::of(7) }.vote(4, 3).append(1, 4, 1, 5000)]);
    script
}

fn model(version: u32) -> Model {
    let mut model = Model::new();
    script(version).iter().for_each(|changes| apply(&mut model, changes));
    model
}

/// Two runs, so that a link to a former run is part of it.
fn written() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (log, _) = started(&disk);
    let mut script = script(FORMAT_VERSION);
    let last = script.pop().unwrap();
    for changes in script {
        block_on(write(&log, &changes)).unwrap();
    }
    block_on(log.close()).unwrap();
    drop(log);
    let (log, _) = started(&disk);
    block_on(write(&log, &last)).unwrap();
    block_on(log.close()).unwrap();
    disk
}

fn to_text(disk: &MemoryDisk) -> String {
    let mut text = format!("# Two runs of a log, format {FORMAT_VERSION}.\n");
    for name in disk.names() {
        let bytes = disk.bytes(&name).unwrap_or_default();
        writeln!(text, "{name} {}", bytes.len()).unwrap();
        for (at, line) in bytes.chunks(32).enumerate() {
            if line.iter().any(|byte| *byte != 0) {
                let hex: String = line.iter().fold(String::new(), |mut hex, byte| {
                    write!(hex, "{byte:02x}").unwrap();
                    hex
                });
                writeln!(text, "  {:x} {hex}", at * 32).unwrap();
            }
        }
    }
    text
}

fn from_text(text: &str) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut file: Option<(String, Vec<u8>)> = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (left, right) = line.trim_start().split_once(' ').unwrap();
        if let Some(bytes) = line.starts_with(' ').then(|| &mut file.as_mut().unwrap().1) {
            let at = usize::from_str_radix(left, 16).unwrap();
            for (nth, pair) in right.as_bytes().chunks(2).enumerate() {
                let pair = std::str::from_utf8(pair).unwrap();
                bytes[at + nth] = u8::from_str_radix(pair, 16).unwrap();
            }
            continue;
        }
        if let Some((name, bytes)) = file.take() {
            disk.put(&name, Some(bytes));
        }
        file = Some((left.to_owned(), vec![0; right.parse().unwrap()]));
    }
    let (name, bytes) = file.unwrap();
    disk.put(&name, Some(bytes));
    disk
}

#[test]
fn logs_kept_as_files_are_read_exactly_and_the_newest_is_written_again_to_the_byte() {
    let now = to_text(&written());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path(FORMAT_VERSION), &now).unwrap();
    }
    let kept = std::fs::read_to_string(path(FORMAT_VERSION)).unwrap();
    let differs = kept.lines().zip(now.lines()).find(|(kept, now)| kept != now);
    assert_eq!(differs, None, "the format of the log has changed");
    assert_eq!(kept.len(), now.len(), "the format of the log has changed");
    for version in 1..=FORMAT_VERSION {
        let kept = std::fs::read_to_string(path(version)).unwrap();
        let (log, report) = started(&from_text(&kept));
        assert_eq!(report.tail, TailState::Marked, "version {version}");
        assert_eq!(block_on(held(&log)).unwrap(), model(version), "version {version}");
    }
}
