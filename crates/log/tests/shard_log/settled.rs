//! A log that lost what cannot be told, or holds what cannot be read, stays
//! within its limit all the same, and forgets nothing that matters.

use std::pin::pin;

use crate::crash::{Hurried, nudge};
use crate::fixture::{BLOCK, Change, claims, logs, rot, small, start, write};
use crate::golden::{from_text, path, to_text};
use raftlet::core::GroupId;
use raftlet::{Storage, StorageError};
use raftlet_log::disk::memory::Fate;
use raftlet_log::{
    Claims, Home, IdentityError, LogOptions, MemoryDisk, RecoveryReport, ShardLog, block_on,
};

/// Blocks that the log should have at most.
const SOFT: u64 = 64;

fn tight() -> LogOptions {
    let block = BLOCK as u64;
    LogOptions { segment_bytes_max: 16 * block, log_bytes_soft: SOFT * block, ..small() }
}

fn open(disk: &MemoryDisk) -> (ShardLog<MemoryDisk>, RecoveryReport) {
    block_on(start(disk, &tight())).unwrap()
}

/// A group writes and is written down, round after round, as a shard would have
/// it; so are the groups that keep the log. Blocks of the log after the last ones.
fn rounds(log: &ShardLog<MemoryDisk>, group: u64, rounds: u64, mut pinned: impl FnMut(u64)) -> u64 {
    let mut largest = 0;
    for round in 0..rounds {
        for n in 1..=16 {
            let index = round * 16 + n;
            block_on(write(log, &[Change::of(group).append(index, 1, 1, 9000)])).unwrap();
        }
        let last = (round + 1) * 16;
        block_on(write(log, &[Change::of(group).compact(last, 1).snapshot(last, 1)])).unwrap();
        let mut maintenance = pin!(log.maintain(Hurried::default()));
        (0..3).for_each(|_| block_on(nudge(maintenance.as_mut())));
        log.pins().into_iter().for_each(|pin| pinned(pin.group.get()));
        if round >= rounds / 2 {
            largest = largest.max(log.bytes() / BLOCK as u64);
        }
    }
    largest
}

/// Two frames in a row are lost: of groups 3 and 5, and perhaps of others. Group 5
/// began in the first of them, and writes later; 2 never does, 1 and 4 are whole.
fn with_unknown_losses() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk);
    let began = |group: u64| Change::of(group).vote(1, 1).append(1, 1, 1, 60);
    for changes in [vec![began(1)], vec![began(2)], vec![began(3), began(5)]] {
        block_on(write(&log, &changes)).unwrap();
    }
    block_on(write(&log, &[Change::of(3).append(2, 1, 1, 60)])).unwrap();
    block_on(write(&log, &[Change::of(4).vote(1, 1).append(1, 1, 1, 60)])).unwrap();
    block_on(write(&log, &[Change::of(5).append(2, 1, 1, 60)])).unwrap();
    block_on(write(&log, &[Change::of(1).append(2, 1, 1, 60)])).unwrap();
    block_on(log.close()).unwrap();
    rot(&disk, "g5 e1");
    rot(&disk, "g3 e2");
    disk
}

fn is_out(log: &ShardLog<MemoryDisk>, group: u64) -> bool {
    let loaded = block_on(log.load_term_and_vote(GroupId::new(group)));
    matches!(loaded, Err(StorageError::Damaged { .. }))
}

#[test]
fn a_log_that_lost_what_cannot_be_told_is_freed_and_still_takes_nobody_for_new() {
    let disk = with_unknown_losses();
    let damaged = logs(&disk).remove(0);
    for restart in 0..4 {
        let (log, report) = open(&disk);
        assert!(report.has_unknown_losses, "start {restart}");
        assert_eq!(report.damage.is_empty(), restart > 0, "start {restart}");
        for group in [2, 3, 5, 99] {
            assert!(is_out(&log, group), "start {restart}: group {group} votes anew");
        }
        assert!(!is_out(&log, 1) && !is_out(&log, 4), "start {restart}");
        let blocks = rounds(&log, 10 + restart, 12, |_| {});
        assert!(blocks <= SOFT + 16, "start {restart}: {blocks} blocks");
        assert!(!logs(&disk).contains(&damaged), "start {restart}");
        drop(log);
        disk.crash(|_| Fate::Lost);
    }
}

/// Rule 45: the file that remembers it, format 3 of `IDENTITY`.
#[test]
fn the_identity_of_a_log_that_lost_what_cannot_be_told_is_written_and_read_to_the_byte() {
    const IDENTITY: &str = "IDENTITY";
    let disk = with_unknown_losses();
    let (log, _) = open(&disk);
    rounds(&log, 10, 12, |_| {});
    drop(log);
    disk.crash(|_| Fate::Lost);
    let alone = MemoryDisk::new();
    alone.put(IDENTITY, disk.bytes(IDENTITY));
    let now = to_text(&alone);
    let kept = path("identity", 3);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&kept, &now).unwrap();
    }
    let kept = std::fs::read_to_string(kept).unwrap();
    assert_eq!(kept, now, "the format of IDENTITY has changed");
    disk.put(IDENTITY, from_text(&kept).bytes(IDENTITY));
    let (log, report) = open(&disk);
    assert!(report.has_unknown_losses && report.damage.is_empty());
    assert!(is_out(&log, 99) && !is_out(&log, 1));
}

/// Rule 45: format 4 of `IDENTITY`, of a directory that had format 3.
#[test]
fn the_identity_that_says_how_many_groups_there_are_is_written_and_read_to_the_byte() {
    const IDENTITY: &str = "IDENTITY";
    let alone = |text: &str| {
        let disk = MemoryDisk::new();
        disk.put(IDENTITY, from_text(text).bytes(IDENTITY));
        disk
    };
    let open = |disk: &MemoryDisk, groups| {
        let claims = Claims { groups: Some(groups), ..claims() };
        block_on(Home::open(disk.clone(), &claims, || unreachable!("it is founded")))
    };
    let former = std::fs::read_to_string(path("identity", 3)).unwrap();
    let disk = alone(&former);
    let home = open(&disk, 5).unwrap();
    assert_eq!(home.groups(), None);
    block_on(home.note_groups(5)).unwrap();
    drop(home);
    let now = to_text(&disk);
    let kept = path("identity", 4);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&kept, &now).unwrap();
    }
    let kept = std::fs::read_to_string(kept).unwrap();
    assert_eq!(kept, now, "the format of IDENTITY has changed");
    let disk = alone(&kept);
    assert!(matches!(open(&disk, 4), Err(IdentityError::Groups { found: 5, .. })));
    assert_eq!(open(&disk, 5).unwrap().groups(), Some(5));
}

#[test]
fn killed_while_the_lost_frames_go_a_log_still_takes_nobody_for_new() {
    let disk = with_unknown_losses();
    let damaged = logs(&disk).remove(0);
    let mut freed = 0;
    for n in (1..).step_by(3) {
        let copy = disk.fork();
        let is_done = {
            let mut running = pin!(async {
                let (log, _) = start(&copy, &tight()).await.unwrap();
                copy.halt_at(n);
                let mut maintenance = pin!(log.maintain(Hurried::default()));
                for index in 1..=48 {
                    write(&log, &[Change::of(9).append(index, 1, 1, 9000)]).await.unwrap();
                    if index % 16 == 0 {
                        let compact = Change::of(9).compact(index, 1).snapshot(index, 1);
                        write(&log, &[compact]).await.unwrap();
                        nudge(maintenance.as_mut()).await;
                    }
                }
            });
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            Future::poll(running.as_mut(), &mut context).is_ready()
        };
        copy.crash(|_| if n % 2 == 0 { Fate::Lost } else { Fate::Kept });
        freed += u64::from(!logs(&copy).contains(&damaged));
        let (log, report) = open(&copy);
        assert!(report.has_unknown_losses, "operation {n}");
        for group in [2, 3, 5, 99] {
            assert!(is_out(&log, group), "operation {n}: group {group} votes anew");
        }
        if is_done {
            assert!(freed > 5, "{freed} of {n}");
            return;
        }
    }
}

#[test]
fn what_a_group_that_is_out_holds_is_moved_however_much_it_is() {
    // Nobody writes it down: 70 KB of it, more than one move takes.
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk);
    for index in 1..=9 {
        block_on(write(&log, &[Change::of(2).append(index, 1, 1, 7800)])).unwrap();
    }
    for group in [3, 4] {
        block_on(write(&log, &[Change::of(group).vote(1, 1).append(1, 1, 1, 60)])).unwrap();
    }
    block_on(write(&log, &[Change::of(6).vote(1, 1)])).unwrap();
    block_on(log.close()).unwrap();
    drop(log);
    rot(&disk, "g3 e1");
    rot(&disk, "g4 e1");
    let options = LogOptions { log_bytes_soft: 4 * SOFT * BLOCK as u64, ..tight() };
    for restart in 0..3 {
        let (log, _) = block_on(start(&disk, &options)).unwrap();
        assert!(is_out(&log, 2));
        let mut pinning = Vec::new();
        let blocks = rounds(&log, 10 + restart, 30, |group| pinning.push(group));
        assert!(blocks <= 4 * SOFT + 32, "start {restart}: {blocks} blocks, {pinning:?}");
        assert_eq!(pinning, vec![], "start {restart}");
        let last = block_on(log.load_log(GroupId::new(2))).unwrap().last;
        assert_eq!(last.get(), 9, "start {restart}: nothing of it is thrown away");
        let read = block_on(log.read(GroupId::new(2), last, last, 1)).unwrap();
        assert_eq!(read.first(), Some(last));
    }
}

#[test]
fn a_cold_group_whose_block_rotted_is_named_until_it_is_written_down() {
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk);
    block_on(write(&log, &[Change::of(2).vote(1, 1).append(1, 1, 10, 60)])).unwrap();
    rot(&disk, "g2 e5");
    let mut is_named = false;
    let mut index = 0;
    while !is_named {
        assert!(index < 200, "it is never named");
        for _ in 0..16 {
            index += 1;
            block_on(write(&log, &[Change::of(1).append(index, 1, 1, 9000)])).unwrap();
        }
        block_on(write(&log, &[Change::of(1).compact(index, 1).snapshot(index, 1)])).unwrap();
        let mut maintenance = pin!(log.maintain(Hurried::default()));
        (0..3).for_each(|_| block_on(nudge(maintenance.as_mut())));
        is_named = log.pins().iter().any(|pin| (pin.group.get(), pin.until.get()) == (2, 10));
        assert_eq!(log.space().unreadable_groups, u64::from(is_named));
    }
    // What the shard does with a group that is named.
    block_on(write(&log, &[Change::of(2).compact(10, 1).snapshot(10, 1)])).unwrap();
    let blocks = rounds(&log, 7, 12, |_| {});
    assert!(blocks <= SOFT + 16, "{blocks} blocks");
    assert_eq!((log.pins(), log.space().unreadable_groups), (vec![], 0));
}

#[test]
fn what_a_group_that_is_halted_holds_is_moved_when_the_shard_says_so() {
    let disk = MemoryDisk::new();
    let options = LogOptions { log_bytes_soft: 4 * SOFT * BLOCK as u64, ..tight() };
    let (log, _) = block_on(start(&disk, &options)).unwrap();
    for index in 1..=9 {
        block_on(write(&log, &[Change::of(2).append(index, 1, 1, 7800)])).unwrap();
    }
    let mut pinning = 0;
    let blocks = rounds(&log, 10, 40, |group| pinning = group);
    assert!(blocks > 4 * SOFT + 32, "{blocks} blocks: nothing kept them");
    assert_eq!(pinning, 2);
    // As a shard answers what `pins` named; a group that is unknown is nothing.
    log.strand(&[GroupId::new(2), GroupId::new(99)]);
    pinning = 0;
    let blocks = rounds(&log, 11, 40, |group| pinning = group);
    assert!(blocks <= 4 * SOFT + 32, "{blocks} blocks");
    assert_eq!(pinning, 0);
    let first = raftlet::core::Index::new(1);
    let read = block_on(log.read(GroupId::new(2), first, first, 1)).unwrap();
    assert_eq!(read.first(), Some(first));
    // Opened after all, it is named again, and then written down.
    log.unstrand(GroupId::new(2));
    let blocks = rounds(&log, 12, 40, |group| pinning = group);
    assert!(blocks > 4 * SOFT + 32, "{blocks} blocks: its entries were moved again");
    assert_eq!(pinning, 2);
}
