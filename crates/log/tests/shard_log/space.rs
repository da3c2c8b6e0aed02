//! A device without room, at every fill level: what must go on does, what must
//! not is refused before anything is written, and it ends by itself (rule 9).

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::pin::pin;
use std::rc::Rc;

use crate::crash::nudge;
use crate::fixture::{BLOCK, Change, Model, apply, held, make_snapshot, small, start, write};
use raftlet::core::{Now, Time, WallMs};
use raftlet::{Clock, Shortage, Storage, StorageError};
use raftlet_log::disk::memory::Fate;
use raftlet_log::{LogOptions, MemoryDisk, ShardLog, block_on};

type Log = ShardLog<MemoryDisk>;

const RESERVE_BYTES: u64 = 4 << 20;

/// Segments of 16 blocks, 4 MiB in reserve.
fn kept() -> LogOptions {
    let block = BLOCK as u64;
    LogOptions {
        segment_bytes_max: 16 * block,
        log_bytes_soft: 16 << 20,
        reserve_file_bytes: RESERVE_BYTES,
        ..small()
    }
}

/// The same without one, as directories of earlier versions are.
fn without() -> LogOptions {
    LogOptions { reserve_file_bytes: 0, ..kept() }
}

/// Time passes at once, but for the pause before a full disk is tried again.
#[derive(Clone, Debug, Default)]
struct Patient(Rc<Cell<u64>>);

impl Clock for Patient {
    fn now(&self) -> Now {
        Now { time: Time::from_ns(self.0.get()), wall: WallMs(0) }
    }

    async fn sleep_until(&self, deadline: Time) {
        if deadline.since(Time::from_ns(self.0.get())) >= 400_000_000 {
            pending::<()>().await;
        }
        self.0.set(self.0.get().max(deadline.ns()));
    }
}

fn open(disk: &MemoryDisk, options: &LogOptions) -> Log {
    match block_on(start(disk, options)) {
        Ok((log, _)) => log,
        Err(error) => panic!("{error}"),
    }
}

/// Lets maintenance do all that there is room for.
fn tidy(log: &Log) {
    for _ in 0..6 {
        let mut maintenance = pin!(log.maintain(Patient::default()));
        block_on(nudge(maintenance.as_mut()));
    }
}

fn put(log: &Log, model: &mut Model, change: Change) {
    let changes = [change];
    block_on(write(log, &changes)).unwrap();
    apply(model, &changes);
}

fn entry(model: &Model) -> Change {
    let group = model.get(&1).cloned().unwrap_or_default();
    Change::of(1).append(group.last() + 1, 1, 1, 9000)
}

/// Snapshots all of group 1 and lets its log go.
fn compaction(model: &Model) -> Change {
    let last = model[&1].last();
    Change::of(1).compact(last, 1).snapshot(last, 1)
}

fn append(log: &Log, model: &mut Model) {
    let change = entry(model);
    put(log, model, change);
}

fn let_go(log: &Log, model: &mut Model) {
    let change = compaction(model);
    put(log, model, change);
}

fn disk_bytes(disk: &MemoryDisk) -> u64 {
    disk.names().iter().map(|name| disk.bytes(name).unwrap().len() as u64).sum()
}

/// As a shard does: no new entries once the log calls itself short.
fn fill_until_short(log: &Log, model: &mut Model) {
    for _ in 0..500 {
        if log.shortage().is_some() {
            return;
        }
        append(log, model);
        tidy(log);
    }
    panic!("a full disk is never noticed");
}

/// A log of some segments, with a snapshot and its reserve.
fn lived_in(options: &LogOptions) -> (MemoryDisk, Model) {
    let disk = MemoryDisk::new();
    let log = open(&disk, options);
    let mut model = Model::new();
    put(&log, &mut model, Change::of(2).vote(3, 1).append(1, 1, 4, 500));
    append(&log, &mut model);
    let_go(&log, &mut model);
    for _ in 0..20 {
        append(&log, &mut model);
        tidy(&log);
    }
    assert_eq!(log.shortage(), None);
    (disk, model)
}

#[test]
fn at_every_fill_level_votes_a_start_a_snapshot_and_what_was_under_way_find_room() {
    let (lived, begun) = lived_in(&kept());
    for free_blocks in 0..48 {
        let (disk, mut model) = (lived.fork(), begun.clone());
        disk.kill();
        disk.set_capacity(Some(disk_bytes(&disk) + free_blocks * BLOCK as u64));
        let log = open(&disk, &kept());
        fill_until_short(&log, &mut model);
        // Taken in before the log was short.
        for _ in 0..3 {
            append(&log, &mut model);
        }
        for term in 10..20 {
            put(&log, &mut model, Change::of(2).vote(term, 1));
        }
        tidy(&log);
        drop(log);
        disk.crash(|_| Fate::Lost);
        let log = open(&disk, &kept());
        assert_eq!(block_on(held(&log)).unwrap(), model, "{free_blocks} blocks free");
        put(&log, &mut model, Change::of(3).vote(7, 2));
        tidy(&log);
        let_go(&log, &mut model);
        tidy(&log);
        assert_eq!(log.shortage(), None, "{free_blocks} blocks free: {:?}", log.space());
        append(&log, &mut model);
        tidy(&log);
        assert_eq!((log.poison(), block_on(held(&log)).unwrap()), (None, model));
    }
}

#[test]
fn while_others_take_all_space_votes_go_on_within_bounds_and_entries_when_it_is_given_back() {
    let (disk, mut model) = lived_in(&kept());
    disk.kill();
    let full = disk_bytes(&disk);
    disk.set_capacity(Some(full));
    let grab = |disk: &MemoryDisk| {
        let others = disk.bytes("others.dat").map_or(0, |bytes| bytes.len() as u64);
        let free = full - (disk_bytes(disk) - others);
        disk.put("others.dat", Some(vec![1; usize::try_from(free).unwrap()]));
    };
    let mut log = open(&disk, &kept());
    for _ in 0..40 {
        if log.shortage().is_none() {
            append(&log, &mut model);
        }
        grab(&disk);
        tidy(&log);
    }
    assert_eq!(log.shortage(), Some(Shortage::Device));
    // A node that is started again and again must come up, and vote.
    for term in 30..36 {
        drop(log);
        disk.kill();
        log = open(&disk, &kept());
        grab(&disk);
        tidy(&log);
        assert_eq!(block_on(held(&log)).unwrap(), model);
        put(&log, &mut model, Change::of(2).vote(term, 1));
    }
    // Where no command finds room any more, terms are opened all the same.
    let refused = (0..200).find_map(|_| {
        let change = [entry(&model)];
        let error = block_on(write(&log, &change)).err();
        if error.is_none() {
            apply(&mut model, &change);
        }
        error
    });
    assert!(matches!(refused, Some(StorageError::NoSpace { .. })), "{refused:?}");
    let last = model[&1].last();
    let opening = Change { are_noops: true, ..Change::of(1).append(last + 1, 1, 1, 0) };
    put(&log, &mut model, opening);
    let exhausted = (100..1_000).find_map(|term| {
        let change = [Change::of(3).vote(term, 1)];
        let error = block_on(write(&log, &change)).err();
        if error.is_none() {
            apply(&mut model, &change);
        }
        grab(&disk);
        error
    });
    let error = exhausted.expect("the reserve is bounded");
    assert!(matches!(error, StorageError::NoSpace { .. }), "{error}");
    assert_eq!((log.poison(), block_on(held(&log)).unwrap()), (None, model.clone()));
    disk.put("others.dat", None);
    // No shard would have brought those commands; they are there for good.
    disk.set_capacity(Some(full + RESERVE_BYTES));
    tidy(&log);
    assert_eq!(log.shortage(), None, "{:?}", log.space());
    append(&log, &mut model);
    drop(log);
    disk.crash(|_| Fate::Lost);
    assert_eq!(block_on(held(&open(&disk, &kept()))).unwrap(), model);
}

#[test]
fn a_full_disk_killed_at_any_step_opens_again_and_loses_nothing() {
    let (lived, begun) = lived_in(&kept());
    lived.kill();
    let mut trials = 0;
    for n in 1u64.. {
        let disk = lived.fork();
        disk.set_capacity(Some(disk_bytes(&disk) + 5 * BLOCK as u64));
        let log = open(&disk, &kept());
        let progress = RefCell::new((begun.clone(), None));
        disk.halt_at(n);
        let is_over = {
            let mut life = pin!(live_full(&log, &progress));
            let mut is_over = false;
            block_on(nudge(pin!(async {
                life.as_mut().await;
                is_over = true;
            })));
            is_over
        };
        drop(log);
        disk.crash(|_| if n.is_multiple_of(2) { Fate::Lost } else { Fate::Kept });
        let log = open(&disk, &kept());
        let (acknowledged, in_flight) = progress.into_inner();
        let found = block_on(held(&log)).unwrap();
        let mut either = acknowledged.clone();
        in_flight
            .iter()
            .for_each(|change: &Change| apply(&mut either, std::slice::from_ref(change)));
        assert!(found == acknowledged || found == either, "killed at step {n}");
        let mut model = found;
        put(&log, &mut model, Change::of(2).vote(99, 1));
        trials += 1;
        if is_over {
            break;
        }
    }
    println!("{trials} steps");
    assert!(trials > 40, "{trials}");
}

/// Fills the disk, votes, lets the log go, goes on.
async fn live_full(log: &Log, progress: &RefCell<(Model, Option<Change>)>) {
    let put = |change: Change| async move {
        progress.borrow_mut().1 = Some(change.clone());
        write(log, std::slice::from_ref(&change)).await.unwrap();
        let mut progress = progress.borrow_mut();
        progress.1 = None;
        apply(&mut progress.0, &[change]);
    };
    let model = || progress.borrow().0.clone();
    let mut maintenance = pin!(log.maintain(Patient::default()));
    while log.shortage().is_none() {
        put(entry(&model())).await;
        nudge(maintenance.as_mut()).await;
    }
    put(entry(&model())).await;
    put(Change::of(2).vote(50, 1)).await;
    put(compaction(&model())).await;
    nudge(maintenance.as_mut()).await;
    let mut maintenance = pin!(log.maintain(Patient::default()));
    nudge(maintenance.as_mut()).await;
    put(entry(&model())).await;
}

#[test]
fn a_segment_that_has_taken_all_room_ends_early_and_is_freed() {
    let large = LogOptions { segment_bytes_max: 4 << 20, ..kept() };
    let disk = MemoryDisk::new();
    let log = open(&disk, &large);
    let mut model = Model::new();
    put(&log, &mut model, Change::of(2).vote(3, 1));
    for _ in 0..25 {
        append(&log, &mut model);
        tidy(&log);
    }
    let_go(&log, &mut model);
    tidy(&log);
    disk.set_capacity(Some(disk_bytes(&disk) + 300 * BLOCK as u64));
    for round in 0..6 {
        fill_until_short(&log, &mut model);
        put(&log, &mut model, Change::of(2).vote(10 + round, 1));
        tidy(&log);
        assert!(!log.pins().is_empty(), "{:?}", log.space());
        let_go(&log, &mut model);
        tidy(&log);
        assert_eq!(log.shortage(), None, "round {round}: {:?}", log.space());
    }
    assert_eq!(block_on(held(&log)).unwrap(), model);
    drop(log);
    disk.crash(|_| Fate::Lost);
    assert_eq!(block_on(held(&open(&disk, &large))).unwrap(), model);
}

#[test]
fn what_a_former_run_left_makes_way_for_the_first_segment_of_a_start() {
    let (disk, model) = lived_in(&without());
    disk.kill();
    // As much as a segment, of no use to anybody.
    disk.put("spare-0000000000000777.wal", Some(vec![0; 16 * BLOCK]));
    disk.set_capacity(Some(disk_bytes(&disk)));
    assert_eq!(block_on(held(&open(&disk, &without()))).unwrap(), model);
}

#[test]
fn a_segment_that_nobody_needs_becomes_the_first_one_of_a_start_on_a_full_disk() {
    let (disk, mut model) = lived_in(&without());
    disk.kill();
    let log = open(&disk, &without());
    put(&log, &mut model, Change::of(2).compact(4, 1).vote(9, 1));
    let_go(&log, &mut model);
    drop(log);
    disk.kill();
    disk.set_capacity(Some(disk_bytes(&disk)));
    let log = open(&disk, &without());
    assert_eq!(block_on(held(&log)).unwrap(), model);
    tidy(&log);
    append(&log, &mut model);
}

#[test]
fn a_full_disk_without_anything_to_give_is_an_error_by_name() {
    let (disk, _) = lived_in(&without());
    disk.kill();
    disk.set_capacity(Some(disk_bytes(&disk)));
    let error = block_on(start(&disk, &without())).err().unwrap();
    assert!(error.to_string().contains("free space, then start again"), "{error}");
}

#[test]
fn the_limit_is_announced_while_what_is_under_way_still_fits() {
    let block = BLOCK as u64;
    let options = LogOptions { log_bytes_hard: 200 * block, ..kept() };
    let disk = MemoryDisk::new();
    let log = open(&disk, &options);
    let mut model = Model::new();
    fill_until_short(&log, &mut model);
    assert_eq!(log.shortage(), Some(Shortage::Limit));
    for _ in 0..5 {
        append(&log, &mut model);
    }
    assert!(log.bytes() > 170 * block && log.bytes() < 200 * block, "{} bytes", log.bytes());
    tidy(&log);
    assert_eq!(log.pins().len(), 1, "who is in the way is named below the soft limit too");
    let_go(&log, &mut model);
    tidy(&log);
    assert_eq!((log.shortage(), log.pins().len()), (None, 0));
    append(&log, &mut model);
    assert_eq!(block_on(held(&log)).unwrap(), model);
}

#[test]
fn there_is_room_to_spare_until_half_of_what_lies_between_the_limits_is_used() {
    let soft = 64 * BLOCK as u64;
    for (hard, until) in [(soft * 3, soft * 2), (u64::MAX, soft * 2), (soft, soft)] {
        let options = LogOptions { log_bytes_soft: soft, log_bytes_hard: hard, ..without() };
        let disk = MemoryDisk::new();
        let (log, mut model) = (open(&disk, &options), Model::new());
        while log.is_roomy() {
            assert_eq!(log.shortage(), None);
            append(&log, &mut model);
        }
        let bytes = log.space().bytes;
        let is_short = log.shortage().is_some();
        assert!(is_short || (until..until + 8 * BLOCK as u64).contains(&bytes), "{bytes}");
        assert_eq!(is_short, hard == soft, "entries would soon be refused");
        let_go(&log, &mut model);
        tidy(&log);
        assert!(log.is_roomy(), "{:?}", log.space());
    }
    // Below all limits, on a full device.
    let disk = MemoryDisk::new();
    let log = open(&disk, &kept());
    assert!(log.is_roomy());
    disk.set_capacity(Some(disk_bytes(&disk)));
    let mut model = Model::new();
    fill_until_short(&log, &mut model);
    assert!(!log.is_roomy());
}

#[test]
fn the_reserve_has_room_for_the_largest_snapshot_once_more() {
    let (disk, _) = lived_in(&kept());
    let snapshots = disk.names().into_iter().filter(|name| name.starts_with("snap-"));
    let largest = snapshots.map(|name| disk.bytes(&name).unwrap().len()).max().unwrap();
    let reserved = disk.bytes("RESERVE").unwrap().len();
    assert!(reserved as u64 >= RESERVE_BYTES + largest as u64, "{reserved} bytes beside {largest}");
    // A start finds out again.
    disk.kill();
    disk.put("RESERVE", None);
    let log = open(&disk, &kept());
    assert_eq!(disk.bytes("RESERVE").unwrap().len(), reserved);
    assert_eq!(log.space().reserve_bytes, reserved as u64);
}

#[test]
fn a_reserve_that_cannot_be_whole_is_as_large_as_it_can_be() {
    let (disk, mut model) = lived_in(&kept());
    disk.kill();
    disk.put("RESERVE", None);
    disk.set_capacity(Some(disk_bytes(&disk) + RESERVE_BYTES / 2));
    let log = open(&disk, &kept());
    let space = log.space();
    assert_eq!(space.shortage, Some(Shortage::Device));
    assert!(space.reserve_bytes > RESERVE_BYTES / 4, "{space:?}");
    put(&log, &mut model, Change::of(2).vote(8, 1));
    disk.set_capacity(None);
    tidy(&log);
    assert_eq!(log.shortage(), None, "{:?}", log.space());
}

#[test]
fn what_room_promises_is_kept_at_every_fill_level_beside_votes_and_a_snapshot() {
    // An entry of `entry` with its head and the statements of a next segment.
    const TAKES_BYTES: u64 = 4 * BLOCK as u64;
    let (lived, begun) = lived_in(&kept());
    let mut taken = 0;
    for free_blocks in (0..48).step_by(3) {
        let (disk, mut model) = (lived.fork(), begun.clone());
        disk.kill();
        disk.set_capacity(Some(disk_bytes(&disk) + free_blocks * BLOCK as u64));
        let log = open(&disk, &kept());
        fill_until_short(&log, &mut model);
        while log.room().free >= TAKES_BYTES {
            append(&log, &mut model);
            taken += 1;
        }
        put(&log, &mut model, Change::of(2).vote(10, 1));
        tidy(&log);
        let_go(&log, &mut model);
        tidy(&log);
        assert_eq!(log.shortage(), None, "{free_blocks} blocks free: {:?}", log.space());
        assert!(log.room().free >= RESERVE_BYTES / 4, "{free_blocks} blocks: {:?}", log.room());
        assert_eq!((log.poison(), block_on(held(&log)).unwrap()), (None, model));
    }
    assert!(taken > 100, "{taken}");
}

#[test]
fn entries_get_all_that_room_promises_of_the_reserve_and_leave_a_snapshot_its_room() {
    const TAKES_BYTES: u64 = 4 * BLOCK as u64;
    // More than the reserve has left is prepared at once where there is room.
    let options = LogOptions { prepare_bytes: 1 << 20, segment_bytes_max: 4 << 20, ..kept() };
    let (lived, begun) = lived_in(&options);
    let mut taken = 0;
    for kept_bytes in (RESERVE_BYTES / 4..RESERVE_BYTES / 2).step_by(150_000) {
        let (disk, mut model) = (lived.fork(), begun.clone());
        disk.kill();
        disk.put("RESERVE", Some(vec![0; usize::try_from(kept_bytes).unwrap()]));
        disk.set_capacity(Some(disk_bytes(&disk)));
        let log = open(&disk, &options);
        assert_eq!(log.shortage(), Some(Shortage::Device));
        while log.room().in_all >= TAKES_BYTES {
            append(&log, &mut model);
            taken += 1;
        }
        // Others take what was given up and not used.
        disk.set_capacity(Some(disk_bytes(&disk)));
        let_go(&log, &mut model);
        put(&log, &mut model, Change::of(2).vote(10, 1));
        assert_eq!((log.poison(), block_on(held(&log)).unwrap()), (None, model));
    }
    assert!(taken > 100, "{taken}");
}

#[test]
fn a_snapshot_of_what_the_log_lacks_has_room_where_its_own_has_none_and_leaves_some_for_votes() {
    let (disk, mut model) = lived_in(&kept());
    disk.kill();
    disk.put("RESERVE", Some(vec![0; usize::try_from(RESERVE_BYTES / 6).unwrap()]));
    disk.set_capacity(Some(disk_bytes(&disk)));
    let log = open(&disk, &kept());
    tidy(&log);
    let snapshots = |disk: &MemoryDisk| {
        let is_other = |name: &String| name.ends_with(".wal") || name == "RESERVE";
        disk.names().into_iter().filter(|name| !is_other(name)).collect::<Vec<_>>()
    };
    let before = snapshots(&disk);
    let last = model[&1].last();
    for _ in 0..3 {
        let refused = block_on(make_snapshot(&log, (1, 1), (last, 1)));
        assert!(matches!(refused, Err(StorageError::NoSpace { .. })), "{refused:?}");
        tidy(&log);
        assert_eq!((log.poison(), snapshots(&disk)), (None, before.clone()), "something is left");
    }
    let ahead = last + 50;
    put(&log, &mut model, Change::of(1).compact(ahead, 2).snapshot(ahead, 2));
    put(&log, &mut model, Change::of(2).vote(11, 1));
    tidy(&log);
    drop(log);
    disk.crash(|_| Fate::Lost);
    assert_eq!(block_on(held(&open(&disk, &kept()))).unwrap(), model);
}
