//! Space: what nobody needs is freed in order of age and used again, what keeps
//! it is written again or named, and a full log goes on when there is room.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::crash::{Dice, Hurried, nudge};
use crate::fixture::{BLOCK, Change, Model, apply, held, small, start, write};
use raftlet::core::{GroupId, Index};
use raftlet::{Storage, StorageError};
use raftlet_log::disk::memory::Fate;
use raftlet_log::{LogOptions, MemoryDisk, ShardLog, block_on};

/// Segments of 16 blocks and a limit of four of them.
fn tight() -> LogOptions {
    let block = BLOCK as u64;
    LogOptions { segment_bytes_max: 16 * block, log_bytes_soft: 64 * block, ..small() }
}

type Log = ShardLog<MemoryDisk>;

fn open(disk: &MemoryDisk, options: &LogOptions) -> Log {
    block_on(start(disk, options)).expect("a log that opens").0
}

/// Lets maintenance do all there is to do.
fn tidy(log: &Log) {
    let mut maintenance = pin!(log.maintain(Hurried::default()));
    for _ in 0..3 {
        block_on(nudge(maintenance.as_mut()));
    }
}

fn put(log: &Log, model: &mut Model, change: Change) {
    let changes = [change];
    block_on(write(log, &changes)).unwrap();
    apply(model, &changes);
}

/// Appends to group 1 until the log has this many bytes more.
fn fill(log: &Log, model: &mut Model, bytes: u64) {
    let until = log.bytes() + bytes;
    while log.bytes() < until {
        let last = model.get(&1).map_or(0, crate::fixture::GroupModel::last);
        put(log, model, Change::of(1).append(last + 1, 1, 1, 9000));
    }
}

/// Appends entries of three blocks each to group 1.
fn append(log: &Log, model: &mut Model, count: usize) {
    for _ in 0..count {
        let last = model[&1].last();
        put(log, model, Change::of(1).append(last + 1, 1, 1, 9000));
    }
}

fn compact_all(log: &Log, model: &mut Model, group: u64) {
    let last = model[&group].last();
    let (term, _) = model[&group].entries.last().cloned().unwrap_or((model[&group].base.1, vec![]));
    put(log, model, Change::of(group).compact(last, term).snapshot(last, term));
}

fn segment_files(disk: &MemoryDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.starts_with("log-")).collect()
}

fn disk_bytes(disk: &MemoryDisk) -> usize {
    disk.names().iter().map(|name| disk.bytes(name).unwrap().len()).sum()
}

fn check_restart(disk: &MemoryDisk, model: &Model) {
    let copy = disk.fork();
    copy.crash(|_| Fate::Lost);
    assert_eq!(&block_on(held(&open(&copy, &tight()))).unwrap(), model);
}

#[test]
fn an_idle_group_and_a_cold_one_do_not_keep_old_segments() {
    let disk = MemoryDisk::new();
    let log = open(&disk, &tight());
    let mut model = Model::new();
    put(&log, &mut model, Change::of(2).vote(7, 3));
    put(&log, &mut model, Change::of(3).vote(2, 1).append(1, 1, 10, 60));
    for _ in 0..6 {
        fill(&log, &mut model, 40 * BLOCK as u64);
        compact_all(&log, &mut model, 1);
        tidy(&log);
        assert_eq!(block_on(held(&log)).unwrap(), model);
    }
    let counters = log.counters();
    assert!(counters.move_writes > 0 && counters.segments_freed > 4, "{counters:?}");
    assert!(counters.segments_recycled > 2, "{counters:?}");
    assert!(log.bytes() < 100 * BLOCK as u64, "{} bytes", log.bytes());
    assert!(!segment_files(&disk).contains(&"log-0000000000000001.wal".to_owned()));
    assert_eq!(log.pins(), vec![]);
    check_restart(&disk, &model);
}

#[test]
fn moved_entries_that_are_truncated_later_stay_truncated() {
    let disk = MemoryDisk::new();
    let log = open(&disk, &tight());
    let mut model = Model::new();
    put(&log, &mut model, Change::of(3).vote(2, 1).append(1, 1, 10, 60));
    for round in 0..3 {
        fill(&log, &mut model, 70 * BLOCK as u64);
        compact_all(&log, &mut model, 1);
        tidy(&log);
        check_restart(&disk, &model);
        if round == 1 {
            put(&log, &mut model, Change::of(3).truncate(6).append(6, 2, 2, 30));
            check_restart(&disk, &model);
        }
    }
    assert!(log.counters().move_writes >= 2);
    check_restart(&disk, &model);
}

#[test]
fn a_group_removed_and_made_again_brings_nothing_of_its_former_life_back() {
    let disk = MemoryDisk::new();
    let log = open(&disk, &tight());
    let mut model = Model::new();
    put(&log, &mut model, Change::of(3).vote(9, 1).append(1, 1, 10, 60).compact(0, 0));
    put(&log, &mut model, Change { generation: 2, ..Change::of(3) }.vote(1, 1).append(1, 1, 2, 9));
    for _ in 0..4 {
        fill(&log, &mut model, 70 * BLOCK as u64);
        compact_all(&log, &mut model, 1);
        tidy(&log);
        check_restart(&disk, &model);
    }
    assert!(log.counters().segments_freed > 4);
}

#[test]
fn the_group_that_keeps_the_most_is_named_first_and_only_while_space_is_wanted() {
    let disk = MemoryDisk::new();
    let log = open(&disk, &tight());
    let mut model = Model::new();
    put(&log, &mut model, Change::of(2).vote(1, 1).append(1, 1, 5, 900));
    fill(&log, &mut model, 40 * BLOCK as u64);
    tidy(&log);
    assert_eq!(log.pins(), vec![], "below the limit nobody is named");
    fill(&log, &mut model, 60 * BLOCK as u64);
    tidy(&log);
    let pins = log.pins();
    assert_eq!(pins.first().map(|pin| pin.group), Some(GroupId::new(1)), "{pins:?}");
    assert!(pins[0].bytes >= 8000, "{pins:?}");
    compact_all(&log, &mut model, 1);
    assert!(log.pins().iter().all(|pin| pin.group != GroupId::new(1)), "{:?}", log.pins());
    tidy(&log);
    assert_eq!(log.pins(), vec![]);
    assert!(log.bytes() <= 64 * BLOCK as u64);
    check_restart(&disk, &model);
}

#[test]
fn a_log_of_live_entries_is_named_and_not_written_again_and_again() {
    let disk = MemoryDisk::new();
    let log = open(&disk, &tight());
    let mut model = Model::new();
    for round in 0..12u64 {
        for group in 2..10 {
            put(&log, &mut model, Change::of(group).append(round * 3 + 1, 1, 3, 1000));
        }
    }
    tidy(&log);
    assert!(log.bytes() > 64 * BLOCK as u64);
    assert_eq!(log.counters().move_writes, 0);
    assert!(log.pins().len() >= 4, "{:?}", log.pins());
    check_restart(&disk, &model);
}

#[test]
fn a_directory_stays_bounded_over_many_rounds_and_restarts() {
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    let mut largest = 0;
    for round in 0..20u64 {
        let log = open(&disk, &tight());
        put(&log, &mut model, Change::of(2 + round % 5).vote(round + 1, 1));
        fill(&log, &mut model, 50 * BLOCK as u64);
        compact_all(&log, &mut model, 1);
        tidy(&log);
        assert_eq!(block_on(held(&log)).unwrap(), model, "round {round}");
        drop(log);
        disk.kill();
        largest = largest.max(disk_bytes(&disk));
    }
    // Limit, the round's entries, segment in use, next one, four spares,
    // identity, one snapshot.
    let bound = (64 + 50 + 2 * 16 + 4 * 16 + 32 + 8) * BLOCK;
    assert!(largest < bound, "{largest} bytes, bound {bound}");
}

#[test]
fn steady_state_with_recycled_files_writes_only_blocks_that_were_written_before() {
    // Rule 27; old blocks of a used file are strangers.
    let disk = MemoryDisk::new();
    let log = open(&disk, &tight());
    let mut model = Model::new();
    for _ in 0..5 {
        fill(&log, &mut model, 40 * BLOCK as u64);
        compact_all(&log, &mut model, 1);
        tidy(&log);
    }
    let (recycled, prepared) = (log.counters().segments_recycled, log.counters().prepare_bytes);
    for _ in 0..5 {
        fill(&log, &mut model, 40 * BLOCK as u64);
        compact_all(&log, &mut model, 1);
        tidy(&log);
    }
    let used = log.counters().segments_recycled - recycled;
    let filled = log.counters().prepare_bytes - prepared;
    assert!(used >= 8, "{used} files used again");
    // Only what a cut or a short end left open is filled with zeros.
    assert!(filled < used * 6 * BLOCK as u64, "{filled} bytes of zeros for {used} segments");
    check_restart(&disk, &model);
}

#[test]
fn with_four_segments_a_snapshot_zeros_are_written_for_little_more_than_what_comes_before_the_first()
 {
    const SNAPSHOT_EVERY_BYTES: u64 = 64 << 20;
    const MIB: u64 = 1 << 20;
    let disk = MemoryDisk::new();
    let segment_bytes_max = SNAPSHOT_EVERY_BYTES / 4;
    let log = open(&disk, &LogOptions { segment_bytes_max, ..LogOptions::default() });
    let mut model = Model::new();
    let zeros = [0; 5].map(|_| {
        let until = log.counters().log_bytes + SNAPSHOT_EVERY_BYTES;
        while log.counters().log_bytes < until {
            let last = model.get(&1).map_or(0, crate::fixture::GroupModel::last);
            put(&log, &mut model, Change::of(1).append(last + 1, 1, 1, 500_000));
            tidy(&log);
        }
        compact_all(&log, &mut model, 1);
        tidy(&log);
        log.counters().prepare_bytes / MIB
    });
    println!("zeros after each snapshot: {zeros:?} MiB");
    // The segment in use and the next one are always prepared whole.
    assert!(zeros[4] <= (SNAPSHOT_EVERY_BYTES + 3 * segment_bytes_max) / MIB, "{zeros:?}");
    assert_eq!(zeros[2], zeros[4], "{zeros:?}");
}

#[test]
fn a_read_under_way_keeps_its_segment_from_being_used_again() {
    let disk = MemoryDisk::new();
    let log = Rc::new(open(&disk, &tight()));
    let mut model = Model::new();
    put(&log, &mut model, Change::of(1).append(1, 1, 3, 3000));
    let wanted = model[&1].entries[0].1.clone();
    fill(&log, &mut model, 30 * BLOCK as u64);
    disk.set_manual(true);
    let reading = log.read(GroupId::new(1), Index::new(1), Index::new(1), 1);
    let mut reading = pin!(reading);
    assert!(reading.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    disk.set_manual(false);
    compact_all(&log, &mut model, 1);
    for _ in 0..4 {
        fill(&log, &mut model, 40 * BLOCK as u64);
        compact_all(&log, &mut model, 1);
        tidy(&log);
    }
    assert!(log.counters().segments_recycled > 0);
    for operation in disk.waiting() {
        disk.complete(operation);
    }
    let mut context = Context::from_waker(Waker::noop());
    let read = loop {
        match reading.as_mut().poll(&mut context) {
            Poll::Ready(read) => break read.unwrap(),
            Poll::Pending => {
                disk.waiting().into_iter().for_each(|operation| disk.complete(operation));
            }
        }
    };
    assert_eq!(read.iter().next().unwrap().payload, &wanted[..]);
}

#[test]
fn above_the_hard_limit_entries_are_refused_and_votes_and_compactions_go_on() {
    // Law 10.
    let disk = MemoryDisk::new();
    let options = LogOptions { log_bytes_hard: 90 * BLOCK as u64, ..tight() };
    let log = open(&disk, &options);
    let mut model = Model::new();
    let refused = loop {
        let last = model.get(&1).map_or(0, crate::fixture::GroupModel::last);
        let changes = [Change::of(1).append(last + 1, 1, 1, 9000)];
        match block_on(write(&log, &changes)) {
            Ok(()) => apply(&mut model, &changes),
            Err(error) => break error,
        }
    };
    assert!(matches!(&refused, StorageError::NoSpace { place, .. } if place.contains("limited")));
    assert!(log.bytes() <= 90 * BLOCK as u64);
    put(&log, &mut model, Change::of(2).vote(4, 4));
    assert_eq!(log.poison(), None);
    tidy(&log);
    assert_eq!(log.pins().first().map(|pin| pin.group), Some(GroupId::new(1)));
    compact_all(&log, &mut model, 1);
    // By itself, without maintenance: the next write finds what is free.
    append(&log, &mut model, 5);
    assert_eq!(block_on(held(&log)).unwrap(), model);
    check_restart(&disk, &model);
}

#[test]
fn at_the_limit_nothing_is_moved_that_would_take_as_much_room_again() {
    // One entry fills a segment by less than half of its bytes, and no second one
    // has a place beside it.
    let disk = MemoryDisk::new();
    let eight = 8 * BLOCK as u64;
    let options = LogOptions {
        segment_bytes_first: eight,
        segment_bytes_max: eight,
        log_bytes_hard: 48 * BLOCK as u64,
        ..tight()
    };
    let log = open(&disk, &options);
    let mut model = Model::new();
    for last in 0.. {
        let changes = [Change::of(1).append(last + 1, 1, 1, 9000)];
        if block_on(write(&log, &changes)).is_err() {
            break;
        }
        apply(&mut model, &changes);
    }
    // What would go on for ever is stopped here.
    disk.halt_at(2000);
    tidy(&log);
    assert!(!disk.is_halted(), "{:?}", log.counters());
    assert_eq!(log.counters().move_writes, 0);
    assert_eq!(log.pins().first().map(|pin| pin.group), Some(GroupId::new(1)));
}

#[test]
fn a_full_disk_goes_on_by_itself_when_a_compaction_frees_segments() {
    // Nothing but votes and the compaction still fits.
    let disk = MemoryDisk::new();
    let log = open(&disk, &tight());
    let mut model = Model::new();
    fill(&log, &mut model, 60 * BLOCK as u64);
    disk.set_capacity(Some(disk_bytes(&disk) as u64));
    let full = loop {
        let last = model[&1].last();
        let changes = [Change::of(1).append(last + 1, 1, 1, 9000)];
        match block_on(write(&log, &changes)) {
            Ok(()) => apply(&mut model, &changes),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StorageError::NoSpace { .. }), "{full}");
    // Without a snapshot, which would need space too.
    let (last, term) = (model[&1].last(), model[&1].entries.last().unwrap().0);
    put(&log, &mut model, Change::of(1).compact(last, term));
    append(&log, &mut model, 8);
    assert_eq!(log.poison(), None);
    assert_eq!(block_on(held(&log)).unwrap(), model);
    disk.set_capacity(None);
    check_restart(&disk, &model);
}

#[test]
fn random_changes_with_collection_and_restarts_equal_a_plain_map() {
    let mut freed = 0;
    for seed in 1..=12u64 {
        let mut dice = Dice(seed);
        let disk = MemoryDisk::new();
        let mut model = Model::new();
        let mut log = open(&disk, &tight());
        for step in 0..120 {
            let group = 1 + dice.roll() % 6;
            let state = model.entry(group).or_default();
            state.generation = 1;
            let (last, base) = (state.last(), state.base.0);
            let term = state.entries.last().map_or(state.base.1, |(term, _)| *term).max(1);
            let change = match dice.roll() % 10 {
                0 if last > base => {
                    let from = base + 1 + dice.roll() % (last - base);
                    Change::of(group).truncate(from).append(from, term + 1, 1, 50)
                }
                1 if last > base => {
                    let index = base + 1 + dice.roll() % (last - base);
                    let at = usize::try_from(index - base - 1).unwrap();
                    let term = state.entries[at].0;
                    Change::of(group).compact(index, term).snapshot(index, term)
                }
                2 => Change::of(group).vote(state.term + 1, dice.roll() % 4),
                3 => Change::of(group).compact(last + 5, term).snapshot(last + 5, term),
                _ => {
                    let bytes = usize::try_from(dice.roll() % 12_000).unwrap();
                    Change::of(group).append(last + 1, term, 1 + dice.roll() % 3, bytes)
                }
            };
            put(&log, &mut model, change);
            if dice.roll().is_multiple_of(4) {
                tidy(&log);
            }
            if dice.roll().is_multiple_of(25) {
                assert_eq!(block_on(held(&log)).unwrap(), model, "seed {seed} step {step}");
                freed += log.counters().segments_freed;
                drop(log);
                disk.crash(|_| Fate::Lost);
                log = open(&disk, &tight());
                assert_eq!(block_on(held(&log)).unwrap(), model, "seed {seed} step {step}");
            }
        }
    }
    println!("{freed} segments freed");
    assert!(freed > 20);
}

#[test]
fn an_old_segment_that_comes_back_after_a_crash_is_ignored_and_removed() {
    let disk = MemoryDisk::new();
    let log = open(&disk, &tight());
    let mut model = Model::new();
    fill(&log, &mut model, 40 * BLOCK as u64);
    let first = segment_files(&disk)[0].clone();
    let old = disk.bytes(&first);
    compact_all(&log, &mut model, 1);
    fill(&log, &mut model, 70 * BLOCK as u64);
    tidy(&log);
    assert!(log.counters().segments_freed > 0);
    drop(log);
    for spoilt in [false, true] {
        let copy = disk.fork();
        let mut bytes = old.clone().unwrap();
        if spoilt {
            bytes[..3 * BLOCK].fill(9);
        }
        copy.put(&first, Some(bytes));
        let log = open(&copy, &tight());
        assert_eq!(block_on(held(&log)).unwrap(), model);
        tidy(&log);
        assert!(!segment_files(&copy).contains(&first));
    }
}
