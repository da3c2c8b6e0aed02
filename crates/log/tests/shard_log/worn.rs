//! Blocks that the device cannot give back: disks, and file systems with
//! checksums of their own, tell of rot by a failed read.

use std::io::ErrorKind;

use crate::fixture::{
    BLOCK, Change, Model, StartError, apply, small, start, started, verdict_of, write,
};
use raftlet_log::disk::memory::{Fault, Wrong};
use raftlet_log::inspect::{Depth, dump, inspect, inspect_refused};
use raftlet_log::{LogOptions, MemoryDisk, OpenError, TailState, block_on};

fn logs(disk: &MemoryDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.starts_with("log-")).collect()
}

/// Two runs of three groups over several segments.
fn some_log() -> (MemoryDisk, Model) {
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    for run in 1..=2u64 {
        let (log, _) = started(&disk);
        for step in 0..8 {
            let last = |group: u64| model.get(&group).map_or(0, crate::fixture::GroupModel::last);
            let term = run * 10 + step;
            let changes = vec![
                Change::of(1).vote(term, 1).append(last(1) + 1, term, 3, 900),
                Change::of(1 + run).vote(term, 2).append(last(1 + run) + 1, term, 1, 6000),
            ];
            for change in changes {
                let changes = [change];
                block_on(write(&log, &changes)).unwrap();
                apply(&mut model, &changes);
            }
        }
        block_on(log.close()).unwrap();
    }
    (disk, model)
}

#[test]
fn a_block_that_cannot_be_read_is_as_one_that_rotted_unless_it_may_be_the_end() {
    let (disk, model) = some_log();
    let (mut opened, mut refused, mut told) = (0, 0, 0);
    for name in logs(&disk) {
        let blocks = disk.bytes(&name).unwrap().len() / BLOCK;
        for block in 0..blocks {
            let what = format!("{name} block {block}");
            let rotten = disk.fork();
            rotten.edit(&name, |bytes| bytes[block * BLOCK + 77] ^= 1);
            let rotten = block_on(start(&rotten, &small()));
            let worn = disk.fork();
            worn.wear_out(&name, u64::try_from(block).unwrap());
            match block_on(start(&worn, &small())) {
                Ok((log, report)) => {
                    opened += 1;
                    let (_, as_rotten) = rotten.unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert_eq!(report.harmed, as_rotten.harmed, "{what}");
                    block_on(verdict_of(&log, &report, &model, &what));
                    let names_it = |text: &String| text.contains("cannot be read");
                    told += usize::from(report.warnings.iter().any(names_it));
                }
                Err(StartError::Open(error)) => {
                    refused += 1;
                    let is_end = rotten.is_ok_and(|(_, report)| report.tail == TailState::Torn);
                    let is_read = matches!(error, OpenError::Unreadable(_));
                    assert!(is_end && is_read || !is_end && !is_read, "{what}: {error}");
                }
                Err(StartError::Identity(error)) => panic!("{error}"),
            }
        }
    }
    println!("{opened} opened, {refused} refused");
    assert!(told > 40, "the device was named {told} times");
    assert!(opened > 50 && refused > 0 && refused < 10, "{opened} opened, {refused} refused");
}

#[test]
fn a_read_that_fails_once_costs_nothing() {
    let (disk, model) = some_log();
    for name in logs(&disk) {
        for skip in 0..6 {
            let copy = disk.fork();
            let wrong = Wrong::Fails(ErrorKind::Other);
            copy.inject(Fault { operation: "read", file: name.clone(), skip, times: 1, wrong });
            let (log, report) = started(&copy);
            copy.heal();
            assert_eq!((report.damage.len(), report.warnings.len()), (0, 0));
            let what = format!("{name} read {skip}");
            block_on(verdict_of(&log, &report, &model, &what));
        }
    }
}

#[test]
fn a_device_that_is_dying_or_out_of_reach_is_not_taken_for_rot() {
    let (disk, _) = some_log();
    for (kind, times) in [(ErrorKind::Other, u64::MAX), (ErrorKind::PermissionDenied, 1)] {
        let copy = disk.fork();
        let (file, wrong) = (logs(&disk).remove(1), Wrong::Fails(kind));
        copy.inject(Fault { operation: "read", file, skip: 0, times, wrong });
        let error = block_on(start(&copy, &small())).err().map(|error| error.to_string());
        assert!(error.is_some_and(|it| it.contains("check the device")), "{kind}");
    }
    // More places than rot comes in.
    let block = BLOCK as u64;
    let options =
        LogOptions { segment_bytes_first: 512 * block, segment_bytes_max: 512 * block, ..small() };
    for (worn, opens) in [(40, true), (80, false)] {
        let disk = MemoryDisk::new();
        let (log, _) = block_on(start(&disk, &options)).unwrap();
        for index in 1..=120 {
            block_on(write(&log, &[Change::of(1).append(index, 1, 1, 5000)])).unwrap();
        }
        block_on(log.close()).unwrap();
        drop(log);
        let first = logs(&disk).remove(0);
        (0..worn).for_each(|nth| disk.wear_out(&first, 10 + 2 * nth));
        assert_eq!(block_on(start(&disk, &options)).is_ok(), opens, "{worn} blocks");
    }
}

#[test]
fn who_looks_at_a_log_sees_what_is_behind_a_block_that_cannot_be_read() {
    let (disk, _) = some_log();
    let lines = |disk: &MemoryDisk| {
        let (mut lines, options) = (Vec::new(), small());
        let dumped = dump(disk, &options, |line| {
            lines.push(line);
            true
        });
        block_on(dumped).unwrap();
        lines
    };
    let whole = lines(&disk);
    disk.wear_out(&logs(&disk)[0], 5);
    let found = lines(&disk);
    assert_eq!(found.last(), whole.last());
    let told: Vec<_> = found.iter().filter(|line| line.text.contains("cannot read")).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].offset, 5 * BLOCK as u64);
    let survey = block_on(inspect(&disk, &small(), Depth::All)).unwrap();
    assert!(survey.is_damaged());
}

#[test]
fn who_looks_at_a_log_that_is_refused_is_told_what_else_is_wrong() {
    let (disk, _) = some_log();
    let log = started(&disk).0;
    let changes = [Change::of(1).compact(20, 16).snapshot(20, 16)];
    block_on(write(&log, &changes)).unwrap();
    block_on(log.close()).unwrap();
    drop(log);
    let names = logs(&disk);
    let newest = names.last().unwrap();
    // A block that stands in the wrong place, as only a device can put it there.
    disk.edit(newest, |bytes| {
        let first = bytes[2 * BLOCK..3 * BLOCK].to_vec();
        bytes[9 * BLOCK..10 * BLOCK].copy_from_slice(&first);
    });
    disk.wear_out(&names[0], 6);
    let snapshot = disk.names().into_iter().find(|name| name.starts_with("snap-")).unwrap();
    disk.edit(&snapshot, |bytes| bytes[2 * BLOCK + 50] ^= 1);
    assert!(block_on(inspect(&disk, &small(), Depth::All)).is_err());
    let found = block_on(inspect_refused(&disk, &small())).unwrap();
    let tells = |file: &str, what: &str| {
        found.iter().any(|it| it.text.contains(file) && it.text.contains(what))
    };
    assert!(tells(newest, "byte 36864 was written for another place"), "{found:?}");
    assert!(tells(&names[0], "byte 24576 cannot be read"), "{found:?}");
    assert!(tells(&snapshot, "damaged"), "{found:?}");
    assert_eq!(found.len(), 3, "{found:?}");
}
