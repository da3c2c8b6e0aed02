//! Devices that fail, lie, miss or are full, and files that are not where they
//! belong.

use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::task::{Context, Waker};

use crate::crash::{Hurried, nudge};
use crate::fixture::{
    BLOCK, Change, Model, StartError, apply, batch, claims, held, small, start, started, write,
};
use raftlet::{Storage, StorageError};
use raftlet_log::disk::memory::{Fate, Fault, Wrong};
use raftlet_log::{
    DataDirError, DiskMode, Home, LockError, MemoryDisk, OpenError, ShardLog, TailState, block_on,
    open_data_dir,
};

fn fault(operation: &'static str, file: &str, wrong: Wrong) -> Fault {
    Fault { operation, file: file.to_owned(), skip: 0, times: 1, wrong }
}

fn refused(disk: &MemoryDisk) -> OpenError {
    match block_on(start(disk, &small())) {
        Ok(_) => panic!("a log that must not open"),
        Err(StartError::Open(error)) => error,
        Err(StartError::Identity(error)) => panic!("{error}"),
    }
}

/// The groups that a start names as harmed.
fn harmed(disk: &MemoryDisk) -> Vec<u64> {
    let (_, report) = started(disk);
    assert!(!report.damage.is_empty());
    report.harmed.iter().map(|harmed| harmed.group.get()).collect()
}

fn is_damage(error: &OpenError) -> bool {
    matches!(error, OpenError::Damaged(_))
}

/// A log of one segment with a batch of each of three groups.
fn three_batches(disk: &MemoryDisk) -> (ShardLog<MemoryDisk>, Model) {
    let (log, _) = started(disk);
    let mut model = Model::new();
    for group in 1..=3 {
        let changes = [Change::of(group).vote(1, 1).append(1, 1, 1, 100)];
        block_on(write(&log, &changes)).unwrap();
        apply(&mut model, &changes);
    }
    (log, model)
}

fn segment_names(disk: &MemoryDisk) -> Vec<String> {
    let names = disk.names().into_iter();
    names.filter(|name| name.starts_with("log-")).collect()
}

#[test]
fn after_a_failed_write_nothing_is_written_or_promised_any_more() {
    // Rule 9
    for kind in [
        ErrorKind::Other,
        ErrorKind::WriteZero,
        ErrorKind::StorageFull,
        ErrorKind::ReadOnlyFilesystem,
    ] {
        let disk = MemoryDisk::new();
        let (log, model) = three_batches(&disk);
        disk.inject(fault("write", "spare-", Wrong::Fails(kind)));
        let failed = block_on(write(&log, &[Change::of(1).append(2, 1, 1, 10)])).unwrap_err();
        assert!(matches!(failed, StorageError::Poisoned { .. }), "{failed}");
        disk.heal();
        let changes = disk.counters().changes;
        for _ in 0..3 {
            let again = block_on(write(&log, &[Change::of(2).vote(5, 5)])).unwrap_err();
            assert_eq!(again, failed, "the first cause is kept");
        }
        assert!(block_on(log.close()).is_err());
        let mut maintenance = pin!(log.maintain(Hurried::default()));
        block_on(nudge(maintenance.as_mut()));
        assert_eq!(disk.counters().changes, changes, "something was tried again");
        assert_eq!(block_on(held(&log)).unwrap(), model);
    }
}

#[test]
fn a_failed_flush_poisons_and_is_never_tried_again() {
    // The first MiB was flushed; the next flush is for more space.
    let disk = MemoryDisk::new();
    let (log, model) = three_batches(&disk);
    disk.inject(fault("flush", "", Wrong::Fails(ErrorKind::Other)));
    let flushes = disk.counters().flushes;
    let failed = block_on(write(&log, &[Change::of(1).append(2, 1, 1, 30_000)])).unwrap_err();
    assert!(matches!(failed, StorageError::Poisoned { .. }), "{failed}");
    let _ = block_on(write(&log, &[Change::of(1).append(2, 1, 1, 30_000)]));
    assert_eq!(disk.counters().flushes, flushes + 1);
    drop(log);
    disk.crash(|_| Fate::Lost);
    let (log, _) = started(&disk);
    assert_eq!(block_on(held(&log)).unwrap(), model);
}

#[test]
fn a_write_that_its_caller_gives_up_leaves_the_log_poisoned() {
    let disk = MemoryDisk::new();
    let (log, _) = three_batches(&disk);
    disk.set_manual(true);
    {
        let mut abandoned = pin!(log.write(batch(&[Change::of(1).append(2, 1, 1, 10)])));
        let polled = abandoned.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    let next = block_on(write(&log, &[Change::of(1).append(2, 1, 1, 10)]));
    assert!(matches!(next, Err(StorageError::Poisoned { .. })));
}

#[test]
fn a_write_that_the_disk_lost_is_found_by_the_one_behind_it() {
    let disk = MemoryDisk::new();
    let (log, _) = three_batches(&disk);
    disk.inject(fault("write", "", Wrong::Lies));
    block_on(write(&log, &[Change::of(2).append(2, 1, 1, 10)])).unwrap();
    block_on(write(&log, &[Change::of(3).append(2, 1, 1, 10)])).unwrap();
    drop(log);
    assert_eq!(harmed(&disk), vec![2]);
}

#[test]
fn a_lost_last_write_is_found_by_its_mark_and_called_ambiguous_without() {
    for has_mark in [true, false] {
        let disk = MemoryDisk::new();
        let (log, model) = three_batches(&disk);
        disk.inject(fault("write", "", Wrong::Lies));
        block_on(write(&log, &[Change::of(2).append(2, 1, 1, 10)])).unwrap();
        if has_mark {
            block_on(log.close()).unwrap();
            drop(log);
            assert_eq!(harmed(&disk), vec![2]);
        } else {
            drop(log);
            let (log, report) = started(&disk);
            assert_eq!(report.tail, TailState::Ambiguous);
            assert_eq!(block_on(held(&log)).unwrap(), model);
        }
    }
}

#[test]
fn a_write_that_lands_elsewhere_in_its_segment_is_found_at_both_places() {
    for has_follower in [true, false] {
        let disk = MemoryDisk::new();
        let (log, _) = three_batches(&disk);
        disk.inject(fault("write", "", Wrong::Misses(2)));
        block_on(write(&log, &[Change::of(2).append(2, 1, 1, 10)])).unwrap();
        if has_follower {
            block_on(write(&log, &[Change::of(3).append(2, 1, 1, 10)])).unwrap();
        }
        drop(log);
        assert!(is_damage(&refused(&disk)));
    }
}

#[test]
fn blocks_of_other_segments_are_strangers_wherever_they_land() {
    // Behind the tail they are nothing, over a frame they
    // are damage. The foreign ones carry higher frame numbers.
    let other = MemoryDisk::new();
    let (log, _) = three_batches(&other);
    for index in 2..6 {
        block_on(write(&log, &[Change::of(1).append(index, 1, 1, 10)])).unwrap();
    }
    drop(log);
    let (log, _) = started(&other);
    drop(log);
    let foreign = other.bytes(&segment_names(&other)[0]).unwrap();

    let disk = MemoryDisk::new();
    let (log, _) = started(&disk);
    drop(log);
    drop(three_batches(&disk));
    let name = segment_names(&disk).pop().unwrap();
    let tail = disk.fork();
    tail.edit(&name, |bytes| {
        bytes[6 * BLOCK..8 * BLOCK].copy_from_slice(&foreign[7 * BLOCK..9 * BLOCK]);
    });
    let (log, _) = started(&tail);
    assert_eq!(block_on(held(&log)).unwrap().len(), 3);
    disk.edit(&name, |bytes| {
        bytes[3 * BLOCK..4 * BLOCK].copy_from_slice(&foreign[3 * BLOCK..4 * BLOCK]);
    });
    assert_eq!(harmed(&disk), vec![1]);
}

#[test]
fn a_segment_under_another_name_or_of_another_directory_is_refused() {
    let disk = MemoryDisk::new();
    drop(three_batches(&disk));
    let name = segment_names(&disk).pop().unwrap();
    let copied = disk.fork();
    copied.put("log-0000000000000002.wal", disk.bytes(&name));
    let error = refused(&copied);
    assert!(matches!(&error, OpenError::Foreign { field: "number", .. }), "{error}");

    let foreign = MemoryDisk::new();
    block_on(async {
        let claims = claims();
        let other = || Ok(raftlet::core::Incarnation(99));
        let home = Home::open(foreign.clone(), &claims, other).await.unwrap();
        ShardLog::open(foreign.clone(), home, &small()).await.unwrap();
    });
    disk.put(&name, foreign.bytes(&name));
    let error = refused(&disk);
    assert!(matches!(&error, OpenError::Foreign { field: "directory", .. }), "{error}");
}

#[test]
fn a_segment_removed_by_hand_is_missed_by_name() {
    let disk = MemoryDisk::new();
    let (log, _) = started(&disk);
    for index in 1..40 {
        block_on(write(&log, &[Change::of(1).append(index, 1, 1, 5000)])).unwrap();
    }
    drop(log);
    let names = segment_names(&disk);
    assert!(names.len() >= 3);
    for name in names {
        let copy = disk.fork();
        copy.put(&name, None);
        match refused(&copy) {
            OpenError::MissingSegment { file, .. } => assert_eq!(file, name),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_tail_that_cannot_be_read_is_never_trimmed() {
    let disk = MemoryDisk::new();
    let (log, model) = three_batches(&disk);
    drop(log);
    for skip in 0..6 {
        let copy = disk.fork();
        let wrong = Wrong::Fails(ErrorKind::Other);
        copy.inject(Fault { skip, ..fault("read", "log-", wrong) });
        let result = block_on(start(&copy, &small()));
        copy.heal();
        match result {
            Err(StartError::Open(OpenError::Unreadable(_))) => {}
            Ok((log, _)) => assert_eq!(block_on(held(&log)).unwrap(), model),
            Err(error) => panic!("{error}"),
        }
        let (log, _) = started(&copy);
        assert_eq!(block_on(held(&log)).unwrap(), model, "nothing was changed");
    }
}

#[test]
fn rot_behind_a_running_log_is_found_by_the_read_that_meets_it() {
    let disk = MemoryDisk::new();
    let (log, _) = three_batches(&disk);
    let name = segment_names(&disk).pop().unwrap();
    disk.edit(&name, |bytes| bytes[4 * BLOCK + 150] ^= 1);
    let error = block_on(held(&log)).unwrap_err();
    assert!(matches!(&error, StorageError::Damaged { group, .. } if group.get() == 2), "{error}");
}

#[test]
fn a_full_disk_refuses_entries_and_leaves_room_for_votes() {
    let disk = MemoryDisk::new();
    let (log, mut model) = three_batches(&disk);
    let used: usize = disk.names().iter().map(|name| disk.bytes(name).unwrap().len()).sum();
    disk.set_capacity(Some(used as u64));
    let mut index = 2;
    let full = loop {
        let changes = [Change::of(1).append(index, 1, 1, 3000)];
        match block_on(write(&log, &changes)) {
            Ok(()) => apply(&mut model, &changes),
            Err(error) => break error,
        }
        index += 1;
    };
    assert!(matches!(full, StorageError::NoSpace { .. }), "{full}");
    assert_eq!(log.counters().no_space, 1);
    let vote = [Change::of(2).vote(9, 3)];
    block_on(write(&log, &vote)).unwrap();
    apply(&mut model, &vote);
    let exhausted = (10..20).find_map(|term| {
        block_on(write(&log, &[Change::of(3).vote(term, 1)])).err().map(|error| (term, error))
    });
    let (term, error) = exhausted.expect("the reserve is bounded");
    assert!(matches!(error, StorageError::NoSpace { .. }), "{error}");
    for term in 10..term {
        apply(&mut model, &[Change::of(3).vote(term, 1)]);
    }
    assert_eq!(block_on(held(&log)).unwrap(), model);

    disk.set_capacity(None);
    let changes = [Change::of(1).append(index, 1, 1, 3000)];
    block_on(write(&log, &changes)).unwrap();
    apply(&mut model, &changes);
    drop(log);
    disk.crash(|_| Fate::Lost);
    assert_eq!(block_on(held(&started(&disk).0)).unwrap(), model);
}

#[test]
fn one_bad_copy_of_a_head_is_a_warning_and_so_are_two() {
    // The stamp follows from name and identity.
    let disk = MemoryDisk::new();
    let (log, model) = three_batches(&disk);
    drop(log);
    let name = segment_names(&disk).pop().unwrap();
    for bad in 1..=2 {
        disk.edit(&name, |bytes| bytes[(bad - 1) * BLOCK + 70] ^= 1);
        let copy = disk.fork();
        let (log, report) = started(&copy);
        assert_eq!(report.warnings.len(), bad, "{:?}", report.warnings);
        assert_eq!(block_on(held(&log)).unwrap(), model);
    }
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let disk = MemoryDisk::new();
    drop(three_batches(&disk));
    let name = segment_names(&disk).pop().unwrap();
    disk.edit(&name, |bytes| {
        for block in bytes[..2 * BLOCK].chunks_mut(BLOCK) {
            block[40..44].copy_from_slice(&7u32.to_le_bytes());
            let checksum = raftlet::core::crc32c(0x626c_6f63, &block[4..]);
            block[..4].copy_from_slice(&checksum.to_le_bytes());
        }
    });
    let error = refused(&disk);
    assert!(matches!(&error, OpenError::UnknownFormat { found: 7, .. }), "{error}");
}

#[test]
fn foreign_files_are_left_alone_and_spares_are_cleared_away() {
    let disk = MemoryDisk::new();
    disk.put("spare-0000000000000009.wal", Some(vec![0; BLOCK]));
    let (log, report) = started(&disk);
    assert_eq!(report.tail, TailState::New);
    drop(log);
    disk.put("notes.txt", Some(vec![1]));
    let (log, report) = started(&disk);
    assert_eq!(report.warnings.len(), 1);
    drop(log);
    assert!(disk.names().contains(&"notes.txt".to_owned()));
    assert!(!disk.names().iter().any(|name| name.starts_with("spare-")));
}

#[test]
fn a_torn_first_frame_makes_its_segment_void() {
    let disk = MemoryDisk::new();
    let (log, mut model) = three_batches(&disk);
    for index in 1.. {
        let changes = [Change::of(9).append(index, 1, 1, 9000)];
        block_on(write(&log, &changes)).unwrap();
        if log.segments() == 2 {
            break;
        }
        apply(&mut model, &changes);
    }
    drop(log);
    // The last one is the first frame of its segment; now it is torn.
    let name = segment_names(&disk).pop().unwrap();
    disk.edit(&name, |bytes| bytes[3 * BLOCK..5 * BLOCK].fill(0));
    let (log, _) = started(&disk);
    assert_eq!(block_on(held(&log)).unwrap(), model);
    assert!(!segment_names(&disk).contains(&name), "the void segment is removed");
    drop(log);
    assert_eq!(block_on(held(&started(&disk).0)).unwrap(), model);
}

#[test]
fn a_directory_in_use_is_refused_and_a_wrong_node_too_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let open = async |claims| open_data_dir(dir.path(), &claims, DiskMode::Probe).await;
        let first = open(claims()).await.unwrap();
        let error = open(claims()).await.unwrap_err();
        assert!(matches!(&error, DataDirError::Lock(LockError::Locked { .. })), "{error}");
        drop(first);
        let mut other = claims();
        other.node = raftlet::core::NodeId::new(2);
        let error = open(other).await.unwrap_err();
        assert!(matches!(&error, DataDirError::Identity(_)), "{error}");
        assert!(error.to_string().contains("use the directory of this node"));
        open(claims()).await.unwrap();
    });
}
