//! Every byte of a small log, flipped and cut: never a shorter acknowledged log
//! without an error. The gate tries a part of the bytes; all of them:
//! `RAFTLET_ALL=1 cargo test --release -p raftlet-log sweep -- --nocapture`.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use crate::crash::{Hurried, nudge, wants_all};
use crate::fixture::{
    BLOCK, Change, Model, Verdict, apply, held, held_snapshot, start, verdict_of, write,
};
use raftlet::Storage;
use raftlet_log::{LogOptions, MemoryDisk, TailState, block_on};

/// Segments of 8 blocks, the smallest there are.
fn tiny() -> LogOptions {
    let block = BLOCK as u64;
    LogOptions {
        segment_bytes_first: 8 * block,
        segment_bytes_max: 8 * block,
        prepare_bytes: 8 * block,
        throttle_bytes: block,
        reserve_bytes: 0,
        log_bytes_soft: 16 * block,
        ..LogOptions::default()
    }
}

/// Several segments with statements, a compaction, a snapshot and moved entries;
/// four groups, one of them idle; a frame of more than one block; a mark at the
/// end.
fn small_log() -> (MemoryDisk, Model) {
    let (disk, model, _) = small_log_with_past();
    (disk, model)
}

/// The same, and every block that ever stood at a place of a segment: files are
/// used again under other numbers.
fn small_log_with_past() -> (MemoryDisk, Model, BTreeMap<usize, BTreeSet<Vec<u8>>>) {
    let mut past: BTreeMap<usize, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    let script = [
        vec![Change::of(1).vote(1, 1).append(1, 1, 2, 40), Change::of(2).vote(3, 2)],
        vec![Change::of(3).append(1, 1, 1, 4500), Change::of(4).vote(2, 1).append(1, 2, 2, 30)],
        vec![Change::of(1).truncate(2).append(2, 2, 2, 30)],
        vec![Change::of(2).vote(4, 1).append(1, 4, 1, 50)],
        vec![Change::of(1).vote(5, 0), Change::of(3).append(2, 2, 3, 20)],
        vec![Change::of(3).append(5, 2, 1, 9000)],
        vec![Change::of(2).truncate(1).append(1, 5, 2, 9)],
        vec![Change::of(3).compact(4, 2).snapshot(5, 2)],
        vec![Change::of(1).append(4, 5, 1, 6000)],
        vec![Change::of(3).append(6, 5, 1, 100), Change::of(2).vote(6, 2)],
    ];
    block_on(async {
        let (log, _) = start(&disk, &tiny()).await.unwrap();
        let mut maintenance = pin!(log.maintain(Hurried::default()));
        for changes in &script {
            write(&log, changes).await.unwrap();
            apply(&mut model, changes);
            nudge(maintenance.as_mut()).await;
            for (name, _) in segments(&disk) {
                let content = disk.bytes(&name).unwrap();
                for (place, block) in content.chunks(BLOCK).enumerate() {
                    past.entry(place).or_default().insert(block.to_vec());
                }
            }
        }
        assert!(log.segments() >= 3, "{} segments", log.segments());
        let counters = log.counters();
        assert!(counters.move_writes > 0 && counters.segments_freed > 0, "{counters:?}");
        log.close().await.unwrap();
    });
    (disk, model, past)
}

/// Starts on the disk; fails the test on a log that is not the acknowledged one.
fn judge(disk: &MemoryDisk, model: &Model, what: impl Fn() -> String) -> Verdict {
    block_on(async {
        match start(disk, &tiny()).await {
            Ok((log, report)) => verdict_of(&log, &report, model, &what()).await,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("log-") && !text.contains('\n'), "{}: {text}", what());
                Verdict::Refused
            }
        }
    })
}

fn segments(disk: &MemoryDisk) -> Vec<(String, usize)> {
    let names = disk.names().into_iter().filter(|name| name.starts_with("log-"));
    names.map(|name| (name.clone(), disk.bytes(&name).unwrap().len())).collect()
}

/// What a block of a file is: 1 head, 2 frame, 3 mark, 0 what counts for nothing:
/// empty, or left from the file's former life.
fn kind(bytes: &[u8], block: usize) -> u8 {
    let stamp = |block: usize| &bytes[block * BLOCK + 8..][..8];
    if stamp(block) == stamp(0) { bytes[block * BLOCK + 4] } else { 0 }
}

fn holds_frame(bytes: &[u8], block: usize) -> bool {
    kind(bytes, block) == 2
}

/// The newest segment with frames, and the block of its mark.
fn newest(disk: &MemoryDisk) -> (String, usize) {
    let mark = |(name, bytes): (String, usize)| {
        let content = disk.bytes(&name).unwrap();
        let mark = (0..bytes / BLOCK).find(|block| kind(&content, *block) == 3);
        mark.map(|mark| (name, mark))
    };
    segments(disk).into_iter().rev().find_map(mark).expect("a log that was closed")
}

/// How many trials ended how.
#[derive(Debug, Default)]
struct Tally(BTreeMap<Verdict, u64>);

impl Tally {
    fn add(&mut self, verdict: Verdict) {
        *self.0.entry(verdict).or_default() += 1;
    }

    fn print(&self, what: &str) {
        let all: u64 = self.0.values().sum();
        println!("{what}: {all} trials, {:?}", self.0);
    }
}

/// Every byte where a block says what it is; of the others every one when all
/// is wanted, else a part.
fn bytes_to_try(len: usize, step: usize) -> Vec<usize> {
    let step = if wants_all() { 1 } else { step };
    (0..len).filter(|at| at % BLOCK < 33 || at % step == 0).collect()
}

#[test]
fn every_flipped_byte_is_harmless_or_told_or_refused() {
    // Damage to the last frame is known by the mark behind it.
    let (disk, model) = small_log();
    for (name, bytes) in segments(&disk) {
        let mut tally = Tally::default();
        let content = disk.bytes(&name).unwrap();
        for at in bytes_to_try(bytes, 23) {
            let copy = disk.fork();
            copy.edit(&name, |content| content[at] ^= 1 << (at % 8)).unwrap();
            let verdict = judge(&copy, &model, || format!("{name} byte {at}"));
            let is_found = verdict != Verdict::Whole;
            assert_eq!(is_found, holds_frame(&content, at / BLOCK), "{name} byte {at}");
            // One bad block is always kept to the groups that it held.
            assert!(verdict != Verdict::Refused, "{name} byte {at}");
            tally.add(verdict);
        }
        tally.print(&name);
    }
}

#[test]
fn every_cut_is_harmless_or_told_or_refused() {
    let (disk, model) = small_log();
    let (newest, _) = newest(&disk);
    let mut tally = Tally::default();
    for (name, bytes) in segments(&disk) {
        let content = disk.bytes(&name).unwrap();
        let frames_end = (0..bytes / BLOCK).rev().find(|block| holds_frame(&content, *block));
        let needed = frames_end.map_or(0, |last| (last + 1) * BLOCK);
        for len in bytes_to_try(bytes, 101) {
            let copy = disk.fork();
            copy.edit(&name, |content| content.truncate(len)).unwrap();
            let verdict = judge(&copy, &model, || format!("{name} cut to {len}"));
            assert!(verdict != Verdict::Whole || len >= needed, "{name} cut to {len}");
            // What follows tells what is missing, unless nothing does.
            assert_eq!(verdict == Verdict::Refused, name >= newest, "{name} cut to {len}");
            tally.add(verdict);
        }
    }
    tally.print("cuts");
}

#[test]
fn every_flip_and_cut_of_identity_and_snapshot_is_harmless_or_told_or_refused() {
    let (disk, model) = small_log();
    let others = disk.names().into_iter().filter(|name| !name.starts_with("log-"));
    let mut kinds = BTreeSet::new();
    for name in others {
        let content = disk.bytes(&name).unwrap();
        let is_snapshot = name.starts_with("snap");
        kinds.insert(is_snapshot);
        let (mut flips, mut cuts) = (Tally::default(), Tally::default());
        for at in bytes_to_try(content.len(), 211) {
            let copy = disk.fork();
            copy.edit(&name, |content| content[at] ^= 1 << (at % 8)).unwrap();
            let verdict = judge_others(&copy, &model, &name, || format!("{name} byte {at}"));
            assert_eq!(is_snapshot, verdict == Verdict::Told, "{name} byte {at}: {verdict:?}");
            // Each of the two copies stands in for the other.
            assert!(is_snapshot || verdict == Verdict::Whole, "{name} byte {at}");
            flips.add(verdict);
            let copy = disk.fork();
            copy.edit(&name, |content| content.truncate(at)).unwrap();
            let verdict = judge_others(&copy, &model, &name, || format!("{name} cut to {at}"));
            assert_eq!(is_snapshot, verdict == Verdict::Told, "{name} cut to {at}: {verdict:?}");
            cuts.add(verdict);
        }
        flips.print(&name);
        cuts.print(&format!("{name}, cut"));
    }
    assert_eq!(kinds.len(), 2, "a snapshot and the identity");
}

/// As [`judge`], where another file than a segment is spoilt. A snapshot that is
/// damaged is told when it is looked at, and its group alone is hit.
fn judge_others(
    disk: &MemoryDisk,
    model: &Model,
    name: &str,
    what: impl Fn() -> String,
) -> Verdict {
    block_on(async {
        match start(disk, &tiny()).await {
            Ok((log, report)) => {
                let verdict = verdict_of(&log, &report, model, &what()).await;
                let mut is_told = false;
                for info in log.groups().await.unwrap() {
                    is_told |= log.load_snapshot(info.group).await.is_err()
                        || held_snapshot(&log, info.group).await.is_err();
                }
                if is_told && verdict == Verdict::Whole { Verdict::Told } else { verdict }
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(name) && !text.contains('\n'), "{}: {text}", what());
                Verdict::Refused
            }
        }
    })
}

/// All blocks of all segments.
fn blocks(disk: &MemoryDisk) -> Vec<(String, usize)> {
    let blocks_of =
        |(name, bytes): (String, usize)| (0..bytes / BLOCK).map(move |block| (name.clone(), block));
    segments(disk).into_iter().flat_map(blocks_of).collect()
}

#[test]
fn every_pair_of_bad_blocks_is_harmless_or_told_or_refused() {
    // Neighbours, far apart, in different segments; zeroed or garbled.
    let (disk, model) = small_log();
    let blocks = blocks(&disk);
    let spoil = |disk: &MemoryDisk, (name, block): &(String, usize), byte: Option<u8>| {
        disk.edit(name, |content| match byte {
            Some(byte) => content[block * BLOCK..][..BLOCK].fill(byte),
            None => content[block * BLOCK + 99] ^= 4,
        });
    };
    // The last frame and the mark behind it, both gone: what is left looks
    // exactly like a log that was shorter.
    let (newest, mark) = newest(&disk);
    let mut tally = Tally::default();
    for (at, first) in blocks.iter().enumerate() {
        for second in &blocks[at + 1..] {
            for byte in [None, Some(0), Some(0x5a)] {
                let copy = disk.fork();
                spoil(&copy, first, byte);
                spoil(&copy, second, byte);
                let is_ambiguous =
                    first.0 == newest && second == &(newest.clone(), mark) && first.1 + 1 == mark;
                if !is_ambiguous {
                    let what = || format!("{first:?} and {second:?} as {byte:?}");
                    tally.add(judge(&copy, &model, what));
                }
            }
        }
    }
    tally.print("pairs");
}

#[test]
fn blocks_of_other_places_segments_and_times_never_pass_for_what_belongs_there() {
    // Each block replaced by each other one.
    let (disk, model) = small_log();
    let blocks = blocks(&disk);
    let mut tally = Tally::default();
    for (name, to) in &blocks {
        let content = disk.bytes(name).unwrap();
        for (other, from) in &blocks {
            if (name, to) == (other, from) {
                continue;
            }
            let copy = disk.fork();
            let foreign = disk.bytes(other).unwrap()[from * BLOCK..][..BLOCK].to_vec();
            copy.edit(name, |content| content[to * BLOCK..][..BLOCK].copy_from_slice(&foreign));
            let what = || format!("{other} {from} over {name} {to}");
            let verdict = judge(&copy, &model, what);
            let is_frame = holds_frame(&content, *to);
            assert!(verdict != Verdict::Whole || !is_frame, "{}", what());
            tally.add(verdict);
        }
    }
    tally.print("blocks over others");
}

#[test]
fn writes_that_were_lost_are_told_whatever_stood_there_before() {
    // Each run of blocks of a segment, as if none of its writes had reached the
    // disk: zeros, or what ever stood there in this or a former use of a file.
    let (disk, model, past) = small_log_with_past();
    let (newest, mark) = newest(&disk);
    let (mut lost, mut stale) = (Tally::default(), Tally::default());
    for (name, bytes) in segments(&disk) {
        let content = disk.bytes(&name).unwrap();
        for (from, to) in (0..bytes / BLOCK).flat_map(|from| (from..8).map(move |to| (from, to))) {
            let copy = disk.fork();
            let end = bytes.min((to + 1) * BLOCK);
            copy.edit(&name, |content| content[from * BLOCK..end].fill(0));
            let what = || format!("{name} blocks {from} to {to} never written");
            // The end of the log with its mark: as if it had been shorter.
            if name == newest && to >= mark && (1..=mark).contains(&from) {
                continue;
            }
            let verdict = judge(&copy, &model, what);
            let is_hit = (from..end / BLOCK).any(|block| holds_frame(&content, block));
            assert!(verdict != Verdict::Whole || !is_hit, "{}", what());
            lost.add(verdict);
        }
        for place in 0..bytes / BLOCK {
            let now = &content[place * BLOCK..][..BLOCK];
            for (at, former) in past[&place].iter().enumerate().filter(|(_, it)| *it != now) {
                let copy = disk.fork();
                copy.edit(&name, |it| it[place * BLOCK..][..BLOCK].copy_from_slice(former));
                let what = || format!("{name} block {place} as in state {at}");
                let verdict = judge(&copy, &model, what);
                assert!(verdict != Verdict::Whole || !holds_frame(&content, place), "{}", what());
                stale.add(verdict);
            }
        }
    }
    lost.print("lost writes");
    stale.print("stale blocks");
    let trials = |tally: &Tally| tally.0.values().sum::<u64>();
    assert!(trials(&lost) > 100 && trials(&stale) > 100);
}

#[test]
fn a_refused_start_changes_nothing_of_the_log() {
    let (disk, _) = small_log();
    // The end of the log is cut off: nothing behind tells what it held.
    let (newest, _) = newest(&disk);
    disk.edit(&newest, |content| content.truncate(3 * BLOCK));
    let before: Vec<_> = disk.names().iter().map(|name| disk.bytes(name)).collect();
    assert!(block_on(start(&disk, &tiny())).is_err());
    let after: Vec<_> = disk.names().iter().map(|name| disk.bytes(name)).collect();
    let identity = disk.names().iter().position(|name| name == "IDENTITY").unwrap();
    for at in 0..before.len() {
        assert!(at == identity || before[at] == after[at]);
    }
    assert_eq!(before.len(), after.len());
}

#[test]
fn marks_tell_a_proven_tail_from_an_ambiguous_one() {
    let (disk, model) = small_log();
    let (name, mark) = newest(&disk);
    let marked = disk.fork();
    let (log, report) = block_on(start(&marked, &tiny())).unwrap();
    assert_eq!(report.tail, TailState::Marked);
    drop(log);
    disk.edit(&name, |content| content[mark * BLOCK..][..BLOCK].fill(0));
    let (log, report) = block_on(start(&disk, &tiny())).unwrap();
    assert_eq!(report.tail, TailState::Ambiguous);
    assert_eq!(block_on(held(&log)).unwrap(), model);
}
