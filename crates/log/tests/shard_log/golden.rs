//! Logs of each format, kept as files: every release must read them, and a
//! release that writes other bytes has changed the format (rule 45).
//!
//! `UPDATE=1` writes the newest, together with a new version of the format only. Lines
//! are `file`, then 32 bytes each that are not all zero.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::damage::spoil;
use crate::fixture::{Change, Model, apply, held, started, write};
use raftlet::core::{GroupId, Index, Term};
use raftlet::{DamagedRange, Storage};
use raftlet_log::{FORMAT_VERSION, MemoryDisk, TailState, block_on};

pub(crate) fn path(what: &str, version: u32) -> PathBuf {
    let name = format!("tests/golden/{what}-{version}.txt");
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

pub(crate) fn to_text(disk: &MemoryDisk) -> String {
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

pub(crate) fn from_text(text: &str) -> MemoryDisk {
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
        std::fs::write(path("log", FORMAT_VERSION), &now).unwrap();
    }
    let kept = std::fs::read_to_string(path("log", FORMAT_VERSION)).unwrap();
    let differs = kept.lines().zip(now.lines()).find(|(kept, now)| kept != now);
    assert_eq!(differs, None, "the format of the log has changed");
    assert_eq!(kept.len(), now.len(), "the format of the log has changed");
    for version in 1..=FORMAT_VERSION {
        let kept = std::fs::read_to_string(path("log", version)).unwrap();
        let (log, report) = started(&from_text(&kept));
        assert_eq!(report.tail, TailState::Marked, "version {version}");
        assert_eq!(block_on(held(&log)).unwrap(), model(version), "version {version}");
    }
}

/// Three runs, of which the second finds entries 4 to 6 of group 1 lost in term
/// 2 and gets the first of them again in term 5; the third learns of term 6.
fn harmed() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (log, _) = started(&disk);
    let first = [Change::of(1).vote(1, 1).append(1, 1, 3, 40), Change::of(2).vote(3, 2)];
    block_on(write(&log, &first)).unwrap();
    block_on(write(&log, &[Change::of(1).vote(2, 3).append(4, 2, 2, 40)])).unwrap();
    block_on(write(&log, &[Change::of(1).append(6, 2, 1, 10)])).unwrap();
    block_on(log.close()).unwrap();
    drop(log);
    spoil(&disk, 1);
    for changes in
        [Change::of(1).vote(5, 0).append(4, 2, 1, 40), Change::of(1).vote(6, 0)].map(|it| [it])
    {
        let (log, _) = started(&disk);
        block_on(write(&log, &changes)).unwrap();
        block_on(log.close()).unwrap();
    }
    disk
}

#[test]
fn logs_with_losses_are_read_and_the_newest_format_tells_their_term() {
    let now = to_text(&harmed());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path("harm", FORMAT_VERSION), &now).unwrap();
    }
    let kept = std::fs::read_to_string(path("harm", FORMAT_VERSION)).unwrap();
    let differs = kept.lines().zip(now.lines()).find(|(kept, now)| kept != now);
    assert_eq!(differs, None, "the format of the log has changed");
    assert_eq!(kept.len(), now.len(), "the format of the log has changed");
    // Before format 3 nothing tells it: the group's own one is safe.
    for (version, term) in [(2, 6), (FORMAT_VERSION, 2)] {
        let kept = std::fs::read_to_string(path("harm", version)).unwrap();
        let disk = from_text(&kept);
        for _ in 0..2 {
            let (log, _) = started(&disk);
            let loaded = block_on(log.load_log(GroupId::new(1))).unwrap();
            let (first, last) = (Index::new(5), Index::new(6));
            let damage = DamagedRange { first, last, term: Term::new(term) };
            assert_eq!((loaded.damage, loaded.last.get()), (Some(damage), 4), "version {version}");
            // Another segment states the group again.
            block_on(write(&log, &[Change::of(1).vote(6, 0)])).unwrap();
            block_on(log.close()).unwrap();
        }
    }
}
