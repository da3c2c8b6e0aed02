//! What a start keeps of its reading for the reads that follow.

use crate::fixture::{BLOCK, Change, Model, apply, held, small, start, write};
use raftlet::Storage;
use raftlet::core::{GroupId, Index};
use raftlet_log::{LogOptions, MemoryDisk, ShardLog, block_on};

/// Keeps what so many blocks hold, about.
fn keeping(blocks: u64) -> LogOptions {
    LogOptions { replay_bytes_max: blocks * BLOCK as u64, ..small() }
}

/// Writes changes and tells the model of them.
fn change(log: &ShardLog<MemoryDisk>, model: &mut Model, changes: &[Change]) {
    block_on(write(log, changes)).unwrap();
    apply(model, changes);
}

/// A log of several segments; of two groups, each with more than 200 entries.
fn filled(disk: &MemoryDisk, model: &mut Model) {
    let (log, _) = block_on(start(disk, &keeping(0))).unwrap();
    for nth in 0..50 {
        let changes = [1, 2].map(|group| {
            let bytes = if nth % 9 == 0 { 9_000 } else { 200 };
            Change::of(group).append(1 + 4 * nth, 1, 4, bytes)
        });
        change(&log, model, &changes);
    }
    assert!(log.segments() > 3, "{} segments", log.segments());
}

/// Reads all entries of both groups once, in small parts.
fn read_once(log: &ShardLog<MemoryDisk>, model: &Model) {
    for group in [1, 2] {
        let mut expected = (1..).zip(&model[&group].entries);
        let last = Index::new(model[&group].last());
        let mut next = Index::new(1);
        while next <= last {
            let found = block_on(log.read(GroupId::new(group), next, last, 3_000)).unwrap();
            for entry in found.iter() {
                let (index, (term, payload)) = expected.next().unwrap();
                assert_eq!((entry.index.get(), entry.term.get()), (index, *term));
                assert_eq!(entry.payload, payload);
                next = entry.index.next();
            }
        }
    }
}

#[test]
fn a_log_is_read_from_the_device_once_at_a_start_as_far_as_it_is_kept() {
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    filled(&disk, &mut model);
    for (blocks, is_all) in [(0, false), (20, false), (60, false), (1_000, true)] {
        let (log, _) = block_on(start(&disk, &keeping(blocks))).unwrap();
        let kept = log.space().replay_bytes;
        assert!(kept <= blocks * BLOCK as u64, "{kept} bytes in {blocks} blocks");
        assert_eq!(kept > 0, blocks > 0);
        read_once(&log, &model);
        assert_eq!(log.counters().cold_read_bytes == 0, is_all, "with {blocks} blocks");
        assert_eq!(log.space().replay_bytes, 0, "of {kept}");
        // What was given back is read from the device again.
        read_once(&log, &model);
        assert!(log.counters().cold_read_bytes > 0);
    }
}

#[test]
fn whatever_part_is_kept_reads_give_what_the_log_holds_also_behind_new_writes() {
    for blocks in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 1_000] {
        let disk = MemoryDisk::new();
        let mut model = Model::new();
        filled(&disk, &mut model);
        for round in 0..3_u64 {
            let (log, _) = block_on(start(&disk, &keeping(blocks))).unwrap();
            if round > 0 {
                assert_eq!(block_on(held(&log)).unwrap(), model, "{blocks} blocks, {round}");
            }
            // What is kept was not read yet, and some of it is replaced and some gone.
            let end = model[&1].last();
            let term = 2 + round;
            let replaced = Change::of(1).truncate(end - 30).append(end - 30, term, 40, 300);
            let gone =
                Change::of(2).compact(50 * (round + 1), model_term(&model, 50 * (round + 1)));
            change(&log, &mut model, &[replaced, gone]);
            assert_eq!(block_on(held(&log)).unwrap(), model, "{blocks} blocks, {round}, written");
        }
    }
}

/// The term of an entry of group 2.
fn model_term(model: &Model, index: u64) -> u64 {
    let group = &model[&2];
    group.entries[usize::try_from(index - group.base.0 - 1).unwrap()].0
}

#[test]
fn what_nobody_asks_for_is_given_back_when_as_much_was_written() {
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    filled(&disk, &mut model);
    let (log, _) = block_on(start(&disk, &keeping(40))).unwrap();
    let kept = log.space().replay_bytes;
    let mut written = log.counters().log_bytes;
    let before = written;
    assert!(kept > 0);
    for nth in 0.. {
        let is_kept = log.space().replay_bytes > 0;
        assert_eq!(is_kept, written - before < kept, "after {nth} writes");
        if !is_kept {
            break;
        }
        let end = model[&1].last();
        change(&log, &mut model, &[Change::of(1).append(end + 1, 1, 4, 2_000)]);
        written = log.counters().log_bytes;
    }
    assert_eq!(block_on(held(&log)).unwrap(), model);
}
