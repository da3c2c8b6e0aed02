//! The ordinary life of a log, on both disks.

use std::path::Path;

use crate::fixture::{
    BLOCK, Change, Model, apply, batch, claims, configuration_write, held, small, start, started,
    write,
};
use raftlet::core::{GroupId, Index};
use raftlet::{Storage, StorageError, WriteBatch};
use raftlet_log::{
    Disk, DiskMode, LogOptions, MemoryDisk, RealDisk, ShardLog, TailState, block_on, open_data_dir,
};

/// Batches that touch everything: votes, several groups, truncation within a
/// frame and across frames, a new life of a group, many segments.
fn script() -> Vec<Vec<Change>> {
    let mut script = vec![
        vec![Change::of(1).vote(1, 1).append(1, 1, 3, 100)],
        vec![Change::of(2).vote(1, 2), Change::of(1).append(4, 1, 2, 5000)],
        vec![Change::of(1).vote(2, 0).truncate(3).append(3, 2, 4, 10)],
        vec![Change::of(3).append(1, 1, 1, 0), Change::of(2).append(1, 1, 2, 9000)],
        vec![Change::of(1).truncate(5)],
        vec![Change::of(1).append(5, 2, 1, 20_000)],
        vec![Change::of(3).append(2, 1, 1, 1), Change::of(3).truncate(2).append(2, 4, 3, 7)],
        vec![Change { generation: 2, ..Change::of(2) }.vote(1, 3).append(1, 1, 2, 11)],
    ];
    for index in 5..30 {
        script.push(vec![Change::of(3).append(index, 5, 1, 3000)]);
    }
    script
}

async fn live_and_restart<D: Disk>(open: impl AsyncFn() -> (ShardLog<D>, TailState)) {
    let mut model = Model::new();
    let (log, tail) = open().await;
    assert_eq!(tail, TailState::New);
    for (at, changes) in script().iter().enumerate() {
        write(&log, changes).await.unwrap();
        apply(&mut model, changes);
        if at % 5 == 0 {
            assert_eq!(held(&log).await.unwrap(), model, "after step {at}");
        }
    }
    assert!(log.segments() >= 3, "{} segments", log.segments());
    drop(log);
    for _ in 0..3 {
        let (log, tail) = open().await;
        assert_eq!(held(&log).await.unwrap(), model);
        assert_ne!(tail, TailState::Torn);
        log.close().await.unwrap();
    }
    let (log, _) = open().await;
    let more = [Change::of(1).append(6, 9, 2, 50)];
    write(&log, &more).await.unwrap();
    apply(&mut model, &more);
    drop(log);
    let (log, _) = open().await;
    assert_eq!(held(&log).await.unwrap(), model);
}

async fn open_real(path: &Path, mode: DiskMode) -> ShardLog<RealDisk> {
    let (disk, home) = open_data_dir(path, &claims(), mode).await.unwrap();
    ShardLog::open(disk, home, &small()).await.unwrap().0
}

#[test]
fn what_was_written_is_there_after_a_restart_in_memory() {
    let disk = MemoryDisk::new();
    block_on(live_and_restart(async || {
        let (log, report) = started(&disk);
        (log, report.tail)
    }));
}

#[test]
fn what_was_written_is_there_after_a_restart_on_a_real_disk_in_each_mode() {
    for mode in [DiskMode::Probe, DiskMode::Buffered] {
        let dir = tempfile::tempdir().unwrap();
        block_on(live_and_restart(async || {
            let (disk, home) = open_data_dir(dir.path(), &claims(), mode).await.unwrap();
            let (log, report) = ShardLog::open(disk, home, &small()).await.unwrap();
            (log, report.tail)
        }));
    }
}

#[test]
fn a_log_written_in_one_mode_is_read_in_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::new();
    block_on(async {
        for (at, mode) in
            [DiskMode::Buffered, DiskMode::Probe, DiskMode::Buffered].iter().enumerate()
        {
            let log = open_real(dir.path(), *mode).await;
            let changes = [Change::of(1).append(at as u64 + 1, 1, 1, 100)];
            write(&log, &changes).await.unwrap();
            apply(&mut model, &changes);
            assert_eq!(held(&log).await.unwrap(), model);
        }
    });
}

#[test]
fn the_shape_of_a_log_is_loaded_with_its_configurations() {
    let disk = MemoryDisk::new();
    let (change, payload) = configuration_write(7);
    block_on(async {
        let (log, _) = started(&disk);
        let batch = WriteBatch { writes: vec![change] };
        log.write(batch).await.1.unwrap();
        for log in [log, started(&disk).0] {
            let loaded = log.load_log(GroupId::new(7)).await.unwrap();
            assert_eq!(loaded.configurations.len(), 1);
            assert_eq!(loaded.configurations[0].0, Index::FIRST);
            assert_eq!(&loaded.configurations[0].1[..], &payload[..]);
            assert_eq!(log.load_log(GroupId::new(8)).await.unwrap(), Default::default());
        }
    });
}

#[test]
fn a_batch_comes_back_for_reuse_and_an_empty_one_costs_nothing() {
    let (log, _) = started(&MemoryDisk::new());
    let before = log.counters();
    let (given, result) = block_on(log.write(batch(&[])));
    assert_eq!((given.writes.len(), result), (0, Ok(())));
    assert_eq!(log.counters(), before);
}

#[test]
fn one_batch_costs_one_write_and_one_flush_whatever_it_holds() {
    // Rule 30; turns that were gathered are one batch and one frame.
    let disk = MemoryDisk::new();
    let (log, _) = started(&disk);
    for round in 1..=20u64 {
        let (ours, device) = (log.counters(), disk.counters());
        let changes: Vec<_> =
            (1..=round * 5).map(|group| Change::of(group).vote(round, 1)).collect();
        block_on(write(&log, &changes)).unwrap();
        let (ours_after, device_after) = (log.counters(), disk.counters());
        assert_eq!(ours_after.log_writes, ours.log_writes + 1);
        assert_eq!(ours_after.log_flushes, ours.log_flushes + 1);
        assert_eq!(device_after.durable_writes, device.durable_writes + 1);
        let prepared = ours_after.prepare_flushes - ours.prepare_flushes;
        assert!(device_after.flushes - device.flushes <= prepared);
    }
}

#[test]
fn in_prepared_space_a_write_touches_nothing_but_its_blocks() {
    // Rule 27
    let disk = MemoryDisk::new();
    let (log, _) = block_on(start(&disk, &LogOptions::default())).unwrap();
    let before = disk.counters();
    for index in 1..=50 {
        block_on(write(&log, &[Change::of(1).append(index, 1, 1, 200)])).unwrap();
    }
    let after = disk.counters();
    assert_eq!(after.changes - before.changes, 50);
    assert_eq!(after.durable_writes - before.durable_writes, 50);
}

#[test]
fn reads_return_what_was_asked_for_and_no_more() {
    let (log, _) = started(&MemoryDisk::new());
    let group = GroupId::new(1);
    block_on(async {
        write(&log, &[Change::of(1).append(1, 1, 10, 100)]).await.unwrap();
        let read = async |first: u64, last: u64, bytes: usize| {
            let read = log.read(group, Index::new(first), Index::new(last), bytes).await;
            read.map(|entries| {
                (entries.first().unwrap().get(), entries.last().unwrap().index.get())
            })
        };
        assert_eq!(read(1, 10, usize::MAX).await, Ok((1, 10)));
        assert_eq!(read(3, 5, usize::MAX).await, Ok((3, 5)));
        assert_eq!(read(3, 10, 0).await, Ok((3, 3)));
        assert_eq!(read(3, 10, 300).await, Ok((3, 4)));
        let missing = |index| StorageError::Missing { group, index: Index::new(index) };
        assert_eq!(read(11, 12, 100).await, Err(missing(11)));
        assert_eq!(read(0, 12, 100).await, Err(missing(0)));
    });
}

#[test]
fn a_batch_above_the_frame_limit_is_several_frames_and_comes_back_whole() {
    // The largest entry, and a frame that just fits, and one that does not.
    let disk = MemoryDisk::new();
    let (log, _) = started(&disk);
    let mut model = Model::new();
    let changes = [
        Change::of(1).vote(1, 1).append(1, 1, 3, 700 << 10),
        Change::of(2).append(1, 1, 1, 4 << 20),
        Change::of(1).append(4, 1, 2, 10),
    ];
    let before = log.counters().log_writes;
    block_on(write(&log, &changes)).unwrap();
    assert!(log.counters().log_writes - before >= 4);
    apply(&mut model, &changes);
    for blocks in 1..=20usize {
        let index = model[&2].entries.len() as u64 + 1;
        let changes = [Change::of(2).append(index, 1, 1, blocks * (BLOCK - 32) - 120)];
        block_on(write(&log, &changes)).unwrap();
        apply(&mut model, &changes);
    }
    assert_eq!(block_on(held(&log)).unwrap(), model);
    drop(log);
    assert_eq!(block_on(held(&started(&disk).0)).unwrap(), model);
}

#[test]
fn a_reader_that_goes_on_beside_writes_reads_what_was_written() {
    // It reads ahead, and no further than what is durable then: behind that are
    // blocks that are written later.
    let disk = MemoryDisk::new();
    let options = LogOptions { segment_bytes_max: 8 << 20, ..LogOptions::default() };
    let (log, _) = block_on(start(&disk, &options)).unwrap();
    let group = GroupId::new(1);
    let mut model = Model::new();
    let (mut written, mut read) = (0, 0);
    for round in 0..40u64 {
        let mut changes = vec![Change::of(1).append(written + 1, 1, 30, 9000)];
        if round % 7 == 6 {
            // What nobody has read yet is replaced.
            changes.insert(0, Change::of(1).truncate(written - 10));
            changes[1] = Change::of(1).append(written - 10, 1, 41, 8000);
        }
        for change in changes {
            block_on(write(&log, std::slice::from_ref(&change))).unwrap();
            apply(&mut model, &[change]);
        }
        written += 30;
        while read + 15 < written {
            let (first, last) = (Index::new(read + 1), Index::new(written - 15));
            let found = block_on(log.read(group, first, last, 100_000)).unwrap();
            for entry in found.iter() {
                let expected = &model[&1].entries[usize::try_from(read).unwrap()].1;
                assert_eq!((entry.index.get(), entry.payload), (read + 1, &expected[..]));
                read += 1;
            }
        }
    }
    assert!(read > 1_000 && log.segments() > 1);
}

#[test]
fn a_frame_that_many_reads_share_is_read_once_and_not_believed_behind_a_truncation() {
    let (log, _) = block_on(start(&MemoryDisk::new(), &LogOptions::default())).unwrap();
    let group = GroupId::new(1);
    let read = |first: u64, last: u64| {
        let read = log.read(group, Index::new(first), Index::new(last), usize::MAX);
        block_on(read).unwrap()
    };
    block_on(write(&log, &[Change::of(1).append(1, 1, 2_000, 1_000)])).unwrap();
    let before = log.counters().cold_read_bytes;
    // Half a megabyte past the first read of the device's.
    for first in (1..1_500).step_by(10) {
        let entries = read(first, first + 9);
        assert_eq!((entries.first(), entries.iter().count()), (Some(Index::new(first)), 10));
    }
    let bytes = log.counters().cold_read_bytes - before;
    assert!(bytes < 4_000_000, "{bytes} bytes read of two million");
    // What the frame holds from here on was replaced.
    block_on(write(&log, &[Change::of(1).truncate(1_501)])).unwrap();
    block_on(write(&log, &[Change::of(1).append(1_501, 2, 5, 70)])).unwrap();
    let entries = read(1_501, 1_505);
    assert!(entries.iter().all(|entry| entry.term.get() == 2 && entry.payload.len() == 70));
    assert_eq!(entries.iter().count(), 5);
}

#[test]
fn reads_that_end_where_frames_end_go_on_without_reading_these_again() {
    // As an applier's do: it takes as many entries at once as a turn writes.
    let options = LogOptions { replay_bytes_max: 0, ..LogOptions::default() };
    let (log, _) = block_on(start(&MemoryDisk::new(), &options)).unwrap();
    let group = GroupId::new(1);
    for nth in 0..60 {
        block_on(write(&log, &[Change::of(1).append(1 + 100 * nth, 1, 100, 3_000)])).unwrap();
    }
    for nth in 0..60 {
        let (first, last) = (Index::new(1 + 100 * nth), Index::new(100 + 100 * nth));
        let entries = block_on(log.read(group, first, last, usize::MAX)).unwrap();
        assert_eq!((entries.first(), entries.iter().count()), (Some(first), 100));
    }
    let bytes = log.counters().cold_read_bytes;
    assert!(bytes < 22_000_000, "{bytes} bytes read of eighteen million");
}
