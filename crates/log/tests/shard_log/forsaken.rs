//! A damaged snapshot: all of the log is lost with it, nothing goes before
//! something takes its place, and a leader refills it (rule 10, law 9).

use crate::fixture::{
    Change, batch, held_snapshot, log_id, rot, small, snapshot_meta, start, started, write,
};
use raftlet::core::{GroupId, Index, NodeId};
use raftlet::{DamagedRange, LoadedLog, SnapshotReader, Storage, StorageError};
use raftlet_log::disk::memory::Fate;
use raftlet_log::{MemoryDisk, ShardLog, block_on};

type Log = ShardLog<MemoryDisk>;

const GROUP: GroupId = GroupId::new(1);
const OTHER: GroupId = GroupId::new(2);

/// Two groups of ten entries, compacted up to the fifth: the snapshot holds those.
fn sound() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (log, _) = started(&disk);
    for group in [1, 2] {
        let begun = Change::of(group).vote(3, 2).append(1, 3, 10, 50);
        block_on(write(&log, &[begun])).unwrap();
        block_on(write(&log, &[Change::of(group).compact(5, 3).snapshot(5, 3)])).unwrap();
    }
    block_on(log.close()).unwrap();
    disk
}

fn snapshots(disk: &MemoryDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.starts_with("snap-")).collect()
}

/// Flips a bit of the snapshot of the first group.
fn flip(disk: &MemoryDisk, at: usize) {
    disk.edit(&snapshots(disk)[0], |content| content[at] ^= 1);
}

fn damage(loaded: &LoadedLog) -> Option<(u64, u64)> {
    loaded.damage.map(|DamagedRange { first, last, .. }| (first.get(), last.get()))
}

/// What a start is told of the first group; the other one must be as it was.
fn told(log: &Log) -> LoadedLog {
    let flaw = block_on(log.load_snapshot(GROUP));
    assert!(matches!(flaw, Err(StorageError::Damaged { .. })), "{flaw:?}");
    let hard_state = block_on(log.load_term_and_vote(GROUP)).unwrap();
    assert_eq!((hard_state.term.get(), hard_state.vote), (3, Some(NodeId::new(2))));
    assert_eq!(block_on(held_snapshot(log, OTHER)), Ok(Some((5, 3))));
    assert_eq!(block_on(log.load_log(OTHER)).unwrap().last, Index::new(10));
    block_on(log.load_log(GROUP)).unwrap()
}

fn len(disk: &MemoryDisk) -> usize {
    let mut len = 0;
    disk.edit(&snapshots(disk)[0], |content| len = content.len());
    len
}

#[test]
fn a_flip_in_head_table_or_trailer_is_a_loss_of_all_entries_and_of_no_vote() {
    // S-142, S-143
    let len = len(&sound());
    // The trailer is the last block, the table the one before.
    for at in [1, 90, 4095, len - 8192 + 40, len - 4096 + 9, len - 1] {
        let disk = sound();
        flip(&disk, at);
        let before = snapshots(&disk);
        for _ in 0..2 {
            let (log, _) = started(&disk);
            let loaded = told(&log);
            assert_eq!(damage(&loaded), Some((1, 10)), "byte {at}");
            assert_eq!((loaded.base, loaded.last), (log_id((0, 0)), Index::ZERO));
            // A head that can be read tells of the members.
            let known = loaded.configurations.len();
            assert_eq!(known, usize::from(at > 4095), "byte {at}");
            // A term may be written: nothing goes for it.
            block_on(write(&log, &[Change::of(1).vote(3, 2)])).unwrap();
            block_on(log.close()).unwrap();
        }
        assert_eq!(snapshots(&disk), before, "something went before it was replaced");
    }
}

#[test]
fn a_snapshot_file_that_is_gone_is_a_loss_of_all_entries_too() {
    // S-144
    let disk = sound();
    let name = snapshots(&disk)[0].clone();
    block_on(raftlet_log::Disk::remove(&disk, &name)).unwrap();
    let (log, _) = started(&disk);
    assert_eq!(damage(&told(&log)), Some((1, 10)));
}

/// A leader's snapshot up to this entry comes into use.
fn install(log: &Log, snapshot: u64) {
    let named = Change::of(1).compact(snapshot, 3).snapshot(snapshot, 3);
    block_on(write(log, &[named])).unwrap();
}

/// Refills the group up to entry 12: with a snapshot up to `snapshot`, or with
/// all entries.
fn refill(log: &Log, snapshot: u64) {
    let first = snapshot + 1;
    let entries = Change::of(1).append(first, 3, 12 - snapshot, 30);
    if snapshot > 0 {
        install(log, snapshot);
    } else {
        block_on(write(log, &[Change::of(1).append(1, 3, 3, 30)])).unwrap();
    }
    let entries = if snapshot > 0 { entries } else { Change::of(1).append(4, 3, 9, 30) };
    let mut last = batch(&[entries]);
    last.writes[0].refilled = true;
    block_on(log.write(last)).1.unwrap();
}

fn check_refilled(log: &Log, snapshot: u64) {
    let loaded = block_on(log.load_log(GROUP)).unwrap();
    assert_eq!((damage(&loaded), loaded.last.get()), (None, 12), "snapshot up to {snapshot}");
    let base = if snapshot > 0 { (snapshot, 3) } else { (0, 0) };
    assert_eq!(loaded.base, log_id(base));
    let named = (snapshot > 0).then_some((snapshot, 3));
    assert_eq!(block_on(held_snapshot(log, GROUP)), Ok(named));
    let first = Index::new(snapshot + 1);
    let entries = block_on(log.read(GROUP, first, Index::new(12), usize::MAX)).unwrap();
    assert_eq!(entries.first(), Some(first));
}

#[test]
fn a_leader_refills_it_with_an_older_snapshot_or_the_same_or_all_entries() {
    for snapshot in [0, 4, 5, 8] {
        let disk = sound();
        flip(&disk, 90);
        let (log, _) = started(&disk);
        told(&log);
        refill(&log, snapshot);
        check_refilled(&log, snapshot);
        drop(log);
        disk.crash(|_| Fate::Lost);
        for _ in 0..2 {
            let (log, report) = started(&disk);
            assert_eq!(report.harmed, vec![]);
            check_refilled(&log, snapshot);
            block_on(log.close()).unwrap();
        }
        let left = snapshots(&disk).into_iter().filter(|name| name.contains("-0000000000000001-"));
        assert!(left.count() <= 2, "{:?}", disk.names());
    }
}

#[test]
fn a_start_during_the_refill_goes_on_where_it_was() {
    let disk = sound();
    flip(&disk, 90);
    let (log, _) = started(&disk);
    told(&log);
    install(&log, 4);
    drop(log);
    disk.crash(|_| Fate::Lost);
    for _ in 0..2 {
        let (log, _) = started(&disk);
        assert_eq!(block_on(held_snapshot(&log, GROUP)), Ok(Some((4, 3))));
        let loaded = block_on(log.load_log(GROUP)).unwrap();
        assert_eq!((damage(&loaded), loaded.last.get()), (Some((5, 10)), 4));
        block_on(log.close()).unwrap();
    }
}

#[test]
fn the_frame_that_begins_a_log_anew_may_be_lost_itself() {
    let disk = sound();
    flip(&disk, 90);
    let (log, _) = started(&disk);
    told(&log);
    refill(&log, 8);
    // Behind it is a frame that tells of it.
    block_on(write(&log, &[Change::of(2).append(11, 3, 1, 10)])).unwrap();
    block_on(log.close()).unwrap();
    let newest = disk.names().into_iter().rfind(|name| name.starts_with("log-")).unwrap();
    // Heads, link, then the frame with the compaction.
    disk.edit(&newest, |content| content[3 * 4096 + 77] ^= 1);
    let (log, report) = started(&disk);
    assert!(!report.damage.is_empty(), "{report:?}");
    assert_eq!(block_on(log.load_term_and_vote(GROUP)).unwrap().term.get(), 3);
    let loaded = block_on(log.load_log(GROUP)).unwrap();
    assert_eq!((loaded.base, loaded.last.get()), (log_id((8, 3)), 12));
    assert_eq!(block_on(held_snapshot(&log, GROUP)), Ok(Some((8, 3))));
}

#[test]
fn a_chunk_that_is_damaged_is_remembered_by_a_name_until_it_is_refilled() {
    // S-142
    let disk = sound();
    flip(&disk, 4096 + 40);
    let (log, _) = started(&disk);
    let reader = block_on(log.open_snapshot(GROUP)).unwrap().unwrap();
    assert!(matches!(block_on(reader.read_chunk(0)), Err(StorageError::Damaged { .. })));
    block_on(log.condemn_snapshot(GROUP)).unwrap();
    drop((reader, log));
    disk.crash(|_| Fate::Lost);
    let condemned = |disk: &MemoryDisk| {
        disk.names().into_iter().filter(|name| name.ends_with(".damaged")).count()
    };
    for _ in 0..2 {
        let (log, _) = started(&disk);
        let loaded = told(&log);
        assert_eq!(damage(&loaded), Some((1, 10)));
        assert!(!loaded.configurations.is_empty(), "its head still tells of the members");
        let text = block_on(log.load_snapshot(GROUP)).unwrap_err().to_string();
        assert!(text.contains(".damaged"), "{text}");
        block_on(log.close()).unwrap();
        assert_eq!(condemned(&disk), 1, "it goes when something took its place");
    }
    let (log, _) = block_on(start(&disk, &small())).unwrap();
    told(&log);
    refill(&log, 5);
    block_on(log.close()).unwrap();
    let (log, _) = started(&disk);
    check_refilled(&log, 5);
    assert_eq!(condemned(&disk), 0);
    assert_eq!(snapshot_meta(1, (5, 3)).last, log_id((5, 3)));
}

#[test]
fn a_chunk_that_is_met_while_the_log_is_in_use_is_a_loss_of_all_entries_and_refilled_in_that_run() {
    for snapshot in [0, 5, 8] {
        let disk = sound();
        flip(&disk, 4096 + 40);
        let (log, _) = started(&disk);
        let held = block_on(log.load_snapshot(GROUP)).unwrap().unwrap();
        assert_eq!(held.0.last, log_id((5, 3)), "it looks whole");
        // The group takes part for a while.
        block_on(write(&log, &[Change::of(1).append(11, 3, 1, 30)])).unwrap();
        let reader = block_on(log.open_snapshot(GROUP)).unwrap().unwrap();
        assert!(matches!(block_on(reader.read_chunk(0)), Err(StorageError::Damaged { .. })));
        drop(reader);
        block_on(log.condemn_snapshot(GROUP)).unwrap();
        assert_eq!(damage(&told(&log)), Some((1, 11)));
        refill(&log, snapshot);
        check_refilled(&log, snapshot);
        block_on(log.close()).unwrap();
        let (log, _) = started(&disk);
        check_refilled(&log, snapshot);
    }
}

#[test]
fn a_further_loss_during_the_refill_leaves_what_the_leader_sent() {
    for lost in [&["g1 e9 t4"][..], &["g3 e1", "g4 e1"]] {
        let disk = sound();
        flip(&disk, 1);
        let (log, _) = started(&disk);
        told(&log);
        install(&log, 8);
        block_on(write(&log, &[Change::of(1).append(9, 4, 1, 30)])).unwrap();
        for group in [3, 4, 5] {
            let other = Change::of(group).vote(1, 1).append(1, 1, 1, 60);
            block_on(write(&log, &[other])).unwrap();
        }
        block_on(log.close()).unwrap();
        lost.iter().for_each(|text| rot(&disk, text));
        for _ in 0..2 {
            let (log, report) = started(&disk);
            let harmed = report.harmed.iter().find(|harmed| harmed.group == GROUP).unwrap();
            let (first, last) = harmed.entries.unwrap();
            assert!(first > Index::new(8) && last >= Index::new(10), "{harmed}");
            let loaded = block_on(log.load_log(GROUP)).unwrap();
            assert_eq!(loaded.base, log_id((8, 3)), "{lost:?}");
            assert_eq!(block_on(held_snapshot(&log, GROUP)), Ok(Some((8, 3))));
            block_on(log.close()).unwrap();
        }
    }
}

/// Three frames of three entries each of one group, and one of another.
fn in_frames() -> (MemoryDisk, Log) {
    let disk = MemoryDisk::new();
    let (log, _) = started(&disk);
    block_on(write(&log, &[Change::of(1).vote(3, 2).append(1, 3, 3, 50)])).unwrap();
    block_on(write(&log, &[Change::of(2).vote(3, 2).append(1, 3, 10, 50)])).unwrap();
    block_on(write(&log, &[Change::of(1).append(4, 3, 3, 50)])).unwrap();
    block_on(write(&log, &[Change::of(1).append(7, 3, 3, 50)])).unwrap();
    (disk, log)
}

fn read(log: &Log, first: u64, last: u64) -> Result<u64, StorageError> {
    let read = block_on(log.read(GROUP, Index::new(first), Index::new(last), usize::MAX));
    read.map(|entries| entries.last().map_or(0, |last| last.index.get()))
}

#[test]
fn entries_that_rot_while_the_log_is_in_use_are_a_loss_once_a_write_says_so() {
    // S-145
    for is_refilled in [false, true] {
        let (disk, log) = in_frames();
        rot(&disk, "g1 e4");
        assert_eq!(read(&log, 1, 3), Ok(3));
        assert!(matches!(read(&log, 4, 9), Err(StorageError::Damaged { .. })));
        let mut lost = batch(&[Change::of(1).vote(4, 0)]);
        lost.writes[0].lost_from = Some(Index::new(4));
        block_on(log.write(lost)).1.unwrap();
        let check_lost = |log: &Log| {
            let loaded = block_on(log.load_log(GROUP)).unwrap();
            let damage = loaded.damage.unwrap();
            assert_eq!((loaded.last.get(), damage.first.get(), damage.last.get()), (3, 4, 9));
            assert_eq!(damage.term.get(), 4);
            assert_eq!(block_on(log.load_log(OTHER)).unwrap().last, Index::new(10));
        };
        check_lost(&log);
        if is_refilled {
            let mut again = batch(&[Change::of(1).append(4, 4, 6, 50)]);
            again.writes[0].refilled = true;
            block_on(log.write(again)).1.unwrap();
            assert_eq!(read(&log, 4, 9), Ok(9));
        }
        block_on(log.close()).unwrap();
        for _ in 0..2 {
            let (log, _) = block_on(start(&disk, &small())).unwrap();
            assert_eq!(block_on(log.load_term_and_vote(GROUP)).unwrap().term.get(), 4);
            if is_refilled {
                let loaded = block_on(log.load_log(GROUP)).unwrap();
                assert_eq!((damage(&loaded), loaded.last.get()), (None, 9));
                assert_eq!((read(&log, 1, 3), read(&log, 4, 9)), (Ok(3), Ok(9)));
            } else {
                check_lost(&log);
            }
            block_on(log.close()).unwrap();
        }
    }
}

#[test]
fn a_loss_that_is_told_of_entries_that_have_left_the_log_is_none() {
    let (_disk, log) = in_frames();
    block_on(write(&log, &[Change::of(1).compact(9, 3).snapshot(9, 3)])).unwrap();
    let mut lost = batch(&[Change::of(1).vote(4, 0)]);
    lost.writes[0].lost_from = Some(Index::new(4));
    block_on(log.write(lost)).1.unwrap();
    let loaded = block_on(log.load_log(GROUP)).unwrap();
    assert_eq!((loaded.damage, loaded.last.get()), (None, 9));
    assert_eq!(block_on(log.load_term_and_vote(GROUP)).unwrap().term.get(), 4);
}
