//! Snapshot files: whole or not there, in use by one record, kept while read.

use std::io::ErrorKind;
use std::pin::pin;

use bytes::Bytes;

use crate::crash::{Hurried, nudge, wants_all};
use crate::fixture::{
    BLOCK, Change, Model, apply, batch, held, held_snapshot, log_id, make_snapshot, small,
    snapshot_chunks, snapshot_meta, start, started, write,
};
use raftlet::core::{Generation, GroupId, Index};
use raftlet::{
    GroupInfo, SNAPSHOT_CHUNK_BYTES_MAX, SnapshotReader, SnapshotWriter, Storage, StorageError,
};
use raftlet_log::disk::memory::{Fate, Fault, Wrong};
use raftlet_log::{DiskMode, MemoryDisk, ShardLog, block_on, open_data_dir};

const GROUP: GroupId = GroupId::new(1);

fn info() -> GroupInfo {
    GroupInfo { group: GROUP, generation: Generation::new(1) }
}

fn snapshot_files(disk: &MemoryDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.starts_with("snap-")).collect()
}

/// Lets maintenance do what is left to do.
fn tidy(log: &ShardLog<MemoryDisk>) {
    let mut maintenance = pin!(log.maintain(Hurried::default()));
    block_on(nudge(maintenance.as_mut()));
}

/// A group of ten entries with a snapshot of the first five in use.
fn with_snapshot(disk: &MemoryDisk) -> (ShardLog<MemoryDisk>, Model) {
    let (log, _) = started(disk);
    let mut model = Model::new();
    for changes in [
        [Change::of(1).vote(1, 1).append(1, 1, 10, 50)],
        [Change::of(1).compact(5, 1).snapshot(5, 1)],
    ] {
        block_on(write(&log, &changes)).unwrap();
        apply(&mut model, &changes);
    }
    (log, model)
}

#[test]
fn a_snapshot_comes_back_whole_after_a_restart_on_a_real_disk_in_each_mode() {
    for mode in [DiskMode::Probe, DiskMode::Buffered] {
        let dir = tempfile::tempdir().unwrap();
        block_on(async {
            let open = async || {
                let claims = crate::fixture::claims();
                let (disk, home) = open_data_dir(dir.path(), &claims, mode).await.unwrap();
                ShardLog::open(disk, home, &small()).await.unwrap().0
            };
            let log = open().await;
            write(&log, &[Change::of(1).append(1, 1, 3, 9).compact(0, 0)]).await.unwrap();
            write(&log, &[Change::of(1).compact(2, 1).snapshot(3, 1)]).await.unwrap();
            assert_eq!(held_snapshot(&log, GROUP).await, Ok(Some((3, 1))));
            drop(log);
            let log = open().await;
            assert_eq!(held_snapshot(&log, GROUP).await, Ok(Some((3, 1))));
            let large = vec![5; SNAPSHOT_CHUNK_BYTES_MAX];
            let meta = snapshot_meta(1, (9, 2));
            let mut writer = log.create_snapshot(info(), &meta).await.unwrap();
            for _ in 0..6 {
                writer.write(large.clone().into()).await.unwrap();
            }
            let made = writer.finish().await.unwrap();
            assert_eq!((made.chunks, made.bytes), (6, 6 << 20));
            assert!(log.counters().snapshot_flushes >= 3, "nothing was flushed on the way");
            let naming = Change { snapshot: Some((9, 2)), ..Change::of(1).compact(9, 2) };
            log.write(batch(&[naming])).await.1.unwrap();
            let reader = log.open_snapshot(GROUP).await.unwrap().unwrap();
            assert_eq!(reader.info(), made);
            assert_eq!(reader.read_chunk(5).await.unwrap(), large);
        });
    }
}

/// Chunks of different lengths, more than a reader reads ahead.
fn many_chunks() -> Vec<Vec<u8>> {
    let chunk = |number: usize| vec![u8::try_from(number).unwrap(); 200_000 + number * 1_000];
    (1..=40).map(chunk).collect()
}

async fn with_many_chunks(disk: &MemoryDisk) -> ShardLog<MemoryDisk> {
    let (log, _) = with_snapshot(disk);
    let mut writer = log.create_snapshot(info(), &snapshot_meta(1, (8, 1))).await.unwrap();
    for chunk in many_chunks() {
        writer.write(chunk.into()).await.unwrap();
    }
    writer.finish().await.unwrap();
    let naming = Change { snapshot: Some((8, 1)), ..Change::of(1).compact(8, 1) };
    log.write(batch(&[naming])).await.1.unwrap();
    tidy(&log);
    log
}

#[test]
fn what_is_read_ahead_of_many_readers_is_bounded_and_given_back() {
    let disk = MemoryDisk::new();
    block_on(async {
        let log = with_many_chunks(&disk).await;
        let mut readers = Vec::new();
        for _ in 0..20 {
            readers.push(log.open_snapshot(GROUP).await.unwrap().unwrap());
        }
        readers.iter().for_each(SnapshotReader::read_ahead);
        let mut most = 0;
        for (number, wanted) in (0..).zip(many_chunks()) {
            for reader in &readers {
                assert_eq!(reader.read_chunk(number).await.unwrap(), wanted);
                let space = log.space();
                assert!(space.snapshot_ahead_bytes <= space.snapshot_ahead_bytes_max);
                most = most.max(space.snapshot_ahead_bytes);
            }
        }
        assert!(most > log.space().snapshot_ahead_bytes_max / 2, "{most}");
        drop(readers);
        assert_eq!(log.space().snapshot_ahead_bytes, 0);
    });
}

#[test]
fn a_block_that_cannot_be_read_costs_its_own_chunk_and_no_other() {
    let disk = MemoryDisk::new();
    block_on(async {
        let log = with_many_chunks(&disk).await;
        let name = snapshot_files(&disk).pop().unwrap();
        let bytes = disk.bytes(&name).unwrap();
        // In the middle of the seventh chunk, which is read with others.
        let at = bytes.windows(BLOCK).position(|window| window == [7; BLOCK]).unwrap();
        disk.wear_out(&name, u64::try_from(at / BLOCK + 1).unwrap());
        let reader = log.open_snapshot(GROUP).await.unwrap().unwrap();
        reader.read_ahead();
        for (number, wanted) in (0..).zip(many_chunks()) {
            match reader.read_chunk(number).await {
                Ok(chunk) => assert!(chunk == wanted && number != 6, "{number}"),
                Err(StorageError::Unreadable { .. }) => assert_eq!(number, 6),
                Err(error) => panic!("{number}: {error}"),
            }
        }
        // And in any order.
        for number in [39, 0, 20, 19, 5, 7, 8, 2] {
            let wanted = &many_chunks()[usize::try_from(number).unwrap()];
            assert_eq!(reader.read_chunk(number).await.unwrap(), wanted);
        }
    });
}

#[test]
fn the_former_snapshot_goes_when_the_last_of_its_readers_does() {
    // Law 5 of snapshots
    let disk = MemoryDisk::new();
    let (log, _) = with_snapshot(&disk);
    let first = block_on(log.open_snapshot(GROUP)).unwrap().unwrap();
    let second = block_on(log.open_snapshot(GROUP)).unwrap().unwrap();
    block_on(write(&log, &[Change::of(1).compact(8, 1).snapshot(8, 1)])).unwrap();
    tidy(&log);
    assert_eq!(snapshot_files(&disk).len(), 2);
    drop(first);
    tidy(&log);
    assert_eq!(block_on(second.read_chunk(1)).unwrap(), snapshot_chunks(1, (5, 1))[1]);
    assert_eq!(snapshot_files(&disk).len(), 2);
    drop(second);
    tidy(&log);
    assert_eq!(snapshot_files(&disk).len(), 1);
    assert_eq!(block_on(held_snapshot(&log, GROUP)), Ok(Some((8, 1))));
}

#[test]
fn a_newer_snapshot_that_was_finished_meanwhile_is_there_to_be_named_next() {
    let disk = MemoryDisk::new();
    let (log, _) = with_snapshot(&disk);
    for last in [(6, 1), (8, 1)] {
        block_on(make_snapshot(&log, (1, 1), last)).unwrap();
    }
    let naming = |last| Change { snapshot: Some(last), ..Change::of(1).compact(last.0, last.1) };
    block_on(log.write(batch(&[naming((6, 1))]))).1.unwrap();
    tidy(&log);
    assert_eq!(block_on(held_snapshot(&log, GROUP)), Ok(Some((6, 1))));
    block_on(log.write(batch(&[naming((8, 1))]))).1.unwrap();
    tidy(&log);
    assert_eq!(block_on(held_snapshot(&log, GROUP)), Ok(Some((8, 1))));
    assert_eq!(snapshot_files(&disk).len(), 1, "older ones are gone");
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing_and_a_killed_one_nothing_after_a_start() {
    // Law 4 of snapshots
    let disk = MemoryDisk::new();
    let (log, model) = with_snapshot(&disk);
    let mut writer = block_on(log.create_snapshot(info(), &snapshot_meta(1, (9, 1)))).unwrap();
    block_on(writer.write(Bytes::from_static(b"half"))).unwrap();
    assert_eq!(snapshot_files(&disk).len(), 2);
    let killed = disk.fork();
    drop(writer);
    tidy(&log);
    assert_eq!(snapshot_files(&disk).len(), 1);
    // Finished and never named is as good as never begun.
    block_on(make_snapshot(&log, (1, 1), (9, 1))).unwrap();
    drop(log);
    for disk in [killed, disk] {
        assert_eq!(snapshot_files(&disk).len(), 2);
        let (log, _) = started(&disk);
        assert_eq!(snapshot_files(&disk).len(), 1);
        assert_eq!(block_on(held(&log)).unwrap(), model);
    }
}

#[test]
fn a_snapshot_that_is_made_again_under_its_name_replaces_the_one_in_use() {
    let disk = MemoryDisk::new();
    let (log, mut model) = with_snapshot(&disk);
    let again = [Change::of(1).compact(5, 1).snapshot(5, 1)];
    let reader = block_on(log.open_snapshot(GROUP)).unwrap().unwrap();
    block_on(write(&log, &again)).unwrap();
    apply(&mut model, &again);
    drop(reader);
    tidy(&log);
    assert_eq!(block_on(held(&log)).unwrap(), model);
    drop(log);
    assert_eq!(block_on(held(&started(&disk).0)).unwrap(), model);
}

#[test]
fn a_chunk_whose_write_failed_may_be_written_again() {
    // Laws 2 and 6 of snapshots
    for (kind, is_full) in [(ErrorKind::Other, false), (ErrorKind::StorageFull, true)] {
        let disk = MemoryDisk::new();
        let (log, mut model) = with_snapshot(&disk);
        let last = (10, 1);
        let mut writer = block_on(log.create_snapshot(info(), &snapshot_meta(1, last))).unwrap();
        for (at, chunk) in snapshot_chunks(1, last).into_iter().enumerate() {
            let failing = Fault {
                operation: "write",
                file: "snap-".to_owned(),
                skip: 0,
                times: u64::from(at == 2),
                wrong: Wrong::Fails(kind),
            };
            disk.inject(failing);
            if at == 2 {
                let failed = block_on(writer.write(chunk.clone().into())).unwrap_err();
                assert_eq!(matches!(failed, StorageError::NoSpace { .. }), is_full, "{failed}");
                assert_eq!(writer.chunks_written(), 2);
                block_on(write(&log, &[Change::of(2).vote(1, 1)])).unwrap();
                apply(&mut model, &[Change::of(2).vote(1, 1)]);
            }
            block_on(writer.write(chunk.into())).unwrap();
        }
        block_on(writer.finish()).unwrap();
        let naming = [Change::of(1).compact(10, 1).snapshot(10, 1)];
        block_on(log.write(batch(&naming))).1.unwrap();
        apply(&mut model, &naming);
        assert_eq!(block_on(held(&log)).unwrap(), model);
    }
}

#[test]
fn a_name_that_may_not_be_durable_poisons_the_log_whose_directory_it_is() {
    // Rules 9, 13
    let disk = MemoryDisk::new();
    let (log, _) = with_snapshot(&disk);
    disk.inject(Fault {
        operation: "sync",
        file: String::new(),
        skip: 0,
        times: 1,
        wrong: Wrong::Fails(ErrorKind::Other),
    });
    let failed = block_on(make_snapshot(&log, (1, 1), (9, 1))).unwrap_err();
    assert!(matches!(failed, StorageError::Poisoned { .. }), "{failed}");
    assert!(block_on(write(&log, &[Change::of(2).vote(1, 1)])).is_err());
}

#[test]
fn every_flipped_byte_and_every_cut_of_a_snapshot_is_found_and_its_group_alone_is_damaged() {
    let disk = MemoryDisk::new();
    let (log, _) = with_snapshot(&disk);
    block_on(write(&log, &[Change::of(2).vote(3, 3).append(1, 3, 1, 5)])).unwrap();
    let name = snapshot_files(&disk).pop().unwrap();
    let bytes = disk.bytes(&name).unwrap();
    let check = |what: &str| {
        let found = block_on(held_snapshot(&log, GROUP)).unwrap_err();
        assert!(matches!(&found, StorageError::Damaged { group: GROUP, .. }), "{what}: {found}");
        assert!(found.to_string().contains(&name), "{what}: {found}");
    };
    for at in 0..bytes.len() {
        disk.edit(&name, |bytes| bytes[at] ^= 1 << (at % 8));
        check(&format!("byte {at}"));
        disk.edit(&name, |bytes| bytes[at] ^= 1 << (at % 8));
    }
    let step = if wants_all() { 1 } else { 13 };
    let mut cuts = 0;
    for len in (0..bytes.len()).step_by(step).chain([bytes.len() - 1, bytes.len() - BLOCK]) {
        disk.put(&name, Some(bytes[..len].to_vec()));
        check(&format!("cut to {len}"));
        cuts += 1;
    }
    disk.put(&name, Some([bytes.clone(), vec![0; BLOCK]].concat()));
    check("too long");
    disk.put(&name, None);
    check("missing");
    println!("a snapshot beside a running log: {} bytes flipped, {cuts} cuts", bytes.len());
    drop(log);
    let (log, _) = started(&disk);
    check_others(&log);
    let damaged = block_on(log.load_snapshot(GROUP));
    assert!(matches!(damaged, Err(StorageError::Damaged { .. })), "{damaged:?}");
}

fn check_others(log: &ShardLog<MemoryDisk>) {
    let state = block_on(log.load_term_and_vote(GroupId::new(2))).unwrap();
    assert_eq!(state.term.get(), 3);
}

#[test]
fn a_snapshot_of_another_group_or_directory_is_never_taken_for_the_one_in_use() {
    let disk = MemoryDisk::new();
    let (log, _) = with_snapshot(&disk);
    let name = snapshot_files(&disk).pop().unwrap();
    block_on(make_snapshot(&log, (2, 1), (5, 1))).unwrap();
    let other = snapshot_files(&disk).pop().unwrap();
    disk.put(&name, disk.bytes(&other));
    let found = block_on(log.load_snapshot(GROUP)).unwrap_err();
    assert!(matches!(found, StorageError::Damaged { .. }), "{found}");
}

#[test]
fn a_write_that_names_a_snapshot_before_it_is_whole_is_refused_loudly() {
    let disk = MemoryDisk::new();
    let (log, _) = with_snapshot(&disk);
    let naming = Change { snapshot: Some((9, 1)), ..Change::of(1).compact(9, 1) };
    let named = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        block_on(log.write(batch(&[naming])))
    }));
    assert!(named.is_err());
    let read = block_on(log.read(GROUP, Index::new(6), Index::new(6), 1)).unwrap();
    assert_eq!(read.first(), Some(Index::new(6)));
}

#[test]
fn a_snapshot_written_beside_appends_costs_them_neither_flush_nor_metadata() {
    // Rule 30
    let disk = MemoryDisk::new();
    let (log, _) = block_on(start(&disk, &raftlet_log::LogOptions::default())).unwrap();
    block_on(write(&log, &[Change::of(1).append(1, 1, 1, 10)])).unwrap();
    let mut writer = block_on(log.create_snapshot(info(), &snapshot_meta(1, (1, 1)))).unwrap();
    let before = (log.counters(), disk.counters());
    for index in 2..20 {
        block_on(writer.write(vec![1; 300_000].into())).unwrap();
        block_on(write(&log, &[Change::of(1).append(index, 1, 1, 10)])).unwrap();
    }
    let after = (log.counters(), disk.counters());
    assert_eq!(after.0.log_writes - before.0.log_writes, 18);
    assert_eq!(after.0.log_flushes - before.0.log_flushes, 18);
    assert_eq!(after.1.durable_writes - before.1.durable_writes, 18);
    let flushed = after.0.snapshot_flushes - before.0.snapshot_flushes;
    assert_eq!(after.1.flushes - before.1.flushes, flushed);
}

#[test]
fn a_killed_process_may_not_name_what_power_loss_could_take_away() {
    // Rule 13: after `finish`, file and name survive any crash.
    let disk = MemoryDisk::new();
    let (log, mut model) = with_snapshot(&disk);
    let naming = [Change::of(1).compact(9, 1).snapshot(9, 1)];
    block_on(write(&log, &naming)).unwrap();
    apply(&mut model, &naming);
    drop(log);
    disk.crash(|_| Fate::Lost);
    let (log, _) = started(&disk);
    assert_eq!(block_on(held(&log)).unwrap(), model);
    let last = log_id((9, 1));
    assert_eq!(block_on(log.load_snapshot(GROUP)).unwrap().unwrap().0.last, last);
}

#[test]
fn a_snapshot_whose_flush_failed_is_never_finished_by_another_flush() {
    // Rule 9. One flush comes on the way, after 4 MiB, the other at the end.
    for at_end in [false, true] {
        let disk = MemoryDisk::new();
        let (log, model) = with_snapshot(&disk);
        let meta = snapshot_meta(1, (9, 1));
        let mut writer = block_on(log.create_snapshot(info(), &meta)).unwrap();
        let chunk = Bytes::from(vec![5; SNAPSHOT_CHUNK_BYTES_MAX]);
        let fails = Wrong::Fails(ErrorKind::Other);
        let (file, skip) = (String::new(), u64::from(at_end));
        disk.inject(Fault { operation: "flush", file, skip, times: 1, wrong: fails });
        let written = (0..6).map(|_| block_on(writer.write(chunk.clone())));
        let failed = written.filter(Result::is_err).count();
        let flushes = disk.counters().flushes;
        let finished = block_on(writer.finish());
        assert!(matches!(finished, Err(StorageError::Snapshot { .. })), "{finished:?}");
        if !at_end {
            assert!(failed > 0);
            assert_eq!(disk.counters().flushes, flushes, "a failed flush was tried again");
        }
        tidy(&log);
        assert_eq!(snapshot_files(&disk).len(), 1, "the former one");
        assert_eq!(block_on(held(&log)).unwrap(), model, "the log itself is none the worse");
    }
}
