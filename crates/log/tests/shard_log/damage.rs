//! Damage: it harms the groups that it hit and no others, is told, and is
//! healed by a leader or by a snapshot.

use std::future::Future;
use std::pin::pin;

use crate::crash::{Hurried, nudge};
use crate::fixture::{
    BLOCK, Change, Model, Verdict, apply, batch, held, small, start, started, verdict_of, write,
};
use raftlet::core::{GroupId, Index, Term};
use raftlet::{DamagedRange, Storage, StorageError};
use raftlet_log::disk::memory::Fate;
use raftlet_log::{HarmedGroup, LogOptions, MemoryDisk, RecoveryReport, ShardLog, block_on};

type Log = ShardLog<MemoryDisk>;

/// One frame of one block for each, from block 2 of the first segment on; the
/// link has the first.
pub(crate) fn log_of(script: &[Vec<Change>]) -> (MemoryDisk, Model) {
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    let (log, _) = started(&disk);
    for changes in script {
        block_on(write(&log, changes)).unwrap();
        apply(&mut model, changes);
    }
    block_on(log.close()).unwrap();
    (disk, model)
}

/// Spoils the frame of a step of the script.
pub(crate) fn spoil(disk: &MemoryDisk, step: usize) {
    spoil_in(disk, 0, 3 + step);
}

/// Spoils a block of a segment; the link of its run stands in block 2.
fn spoil_in(disk: &MemoryDisk, segment: usize, block: usize) {
    let mut segments = disk.names().into_iter().filter(|name| name.starts_with("log-"));
    disk.edit(&segments.nth(segment).unwrap(), |content| content[block * BLOCK + 77] ^= 1);
}

/// What is damaged of group 1, and in which term that was found; where its log
/// ends.
pub(crate) fn damage_of(log: &Log) -> (Option<(u64, u64, u64)>, u64) {
    let loaded = block_on(log.load_log(GroupId::new(1))).unwrap();
    let damage = |it: DamagedRange| (it.first.get(), it.last.get(), it.term.get());
    (loaded.damage.map(damage), loaded.last.get())
}

fn script() -> Vec<Vec<Change>> {
    vec![
        vec![Change::of(1).vote(1, 1).append(1, 1, 3, 40), Change::of(2).vote(3, 2)],
        vec![Change::of(1).vote(2, 3).append(4, 2, 2, 40), Change::of(3).vote(1, 1)],
        vec![Change::of(2).append(1, 3, 2, 10)],
        vec![Change::of(1).append(6, 2, 1, 10)],
    ]
}

pub(crate) fn harm(group: u64, entries: Option<(u64, u64)>, is_lost: bool) -> HarmedGroup {
    let entries = entries.map(|(first, last)| (Index::new(first), Index::new(last)));
    HarmedGroup { group: GroupId::new(group), entries, is_lost }
}

fn open(disk: &MemoryDisk) -> (Log, RecoveryReport) {
    started(disk)
}

#[test]
fn one_lost_frame_harms_the_entries_it_held_and_no_vote() {
    // The vote of group 1 and all of group 3 come from the
    // echo.
    let (disk, model) = log_of(&script());
    spoil(&disk, 1);
    for _ in 0..3 {
        let (log, report) = open(&disk);
        assert_eq!(report.harmed, vec![harm(1, Some((4, 6)), false)]);
        let verdict = block_on(verdict_of(&log, &report, &model, "one frame"));
        assert_eq!(verdict, Verdict::Harmed);
        let text = report.damage[0].to_string();
        assert!(text.contains("log-") && text.contains("group 1 entries 4..=5 term and vote"));
        assert!(report.harmed[0].to_string().contains("until a leader has sent them again"));
    }
}

#[test]
fn a_leader_refills_a_group_also_over_a_restart_in_between() {
    // Law 9 of the port
    let (disk, mut model) = log_of(&script());
    spoil(&disk, 1);
    let (log, _) = open(&disk);
    let again = |first: u64, count: u64| Change::of(1).append(first, 2, count, 40);
    block_on(write(&log, &[again(4, 1)])).unwrap();
    drop(log);
    disk.crash(|_| Fate::Lost);
    let (log, report) = open(&disk);
    let damage = DamagedRange { first: Index::new(5), last: Index::new(6), term: Term::new(2) };
    let loaded = block_on(log.load_log(GroupId::new(1))).unwrap();
    assert_eq!((loaded.damage, loaded.last), (Some(damage), Index::new(4)));
    assert_eq!(report.harmed, vec![harm(1, Some((5, 6)), false)]);
    let mut last = batch(&[again(5, 2)]);
    last.writes[0].refilled = true;
    block_on(log.write(last)).1.unwrap();
    apply(&mut model, &[Change::of(1).truncate(4).append(4, 2, 3, 40)]);
    assert_eq!(block_on(held(&log)).unwrap(), model);
    drop(log);
    for _ in 0..2 {
        let (log, report) = open(&disk);
        assert_eq!(report.harmed, vec![], "{report:?}");
        assert_eq!(block_on(held(&log)).unwrap(), model);
        assert_eq!(block_on(log.load_log(GroupId::new(1))).unwrap().damage, None);
    }
}

#[test]
fn of_two_lost_frames_those_are_cleared_who_wrote_later_and_the_rest_stay_out() {
    let mut script = script();
    script.push(vec![Change::of(2).append(3, 3, 1, 10)]);
    script.push(vec![Change::of(4).vote(1, 1)]);
    let (disk, model) = log_of(&script);
    spoil(&disk, 1);
    spoil(&disk, 3);
    let two = disk.fork();
    spoil(&two, 2);
    // Frames 1 and 3 each have an echo behind them.
    let (log, report) = open(&disk);
    assert_eq!(report.harmed, vec![harm(1, Some((4, 6)), false)]);
    assert_eq!(report.lost_frames, 2);
    block_on(verdict_of(&log, &report, &model, "two apart"));
    // Frames 1 to 3 are gone: of 2 entries are missing, of 1 the end was in the
    // last of them, 3 is never heard of again.
    let (log, report) = open(&two);
    assert!(report.has_unknown_losses);
    assert_eq!(report.lost_frames, 3);
    let lost = |group: u64| block_on(log.load_term_and_vote(GroupId::new(group)));
    assert!(matches!(lost(1), Err(StorageError::Damaged { .. })));
    assert!(matches!(lost(2), Err(StorageError::Damaged { .. })));
    assert!(matches!(lost(3), Err(StorageError::Damaged { .. })), "nobody unknown is new");
    assert_eq!(lost(4).unwrap().term.get(), 1);
    block_on(verdict_of(&log, &report, &model, "three in a row"));
    let text = lost(1).unwrap_err().to_string();
    assert!(text.contains("under a new node id"), "{text}");
}

#[test]
fn a_back_link_clears_a_group_that_lost_frames_did_not_touch() {
    let mut script = script();
    script.push(vec![Change::of(1).vote(3, 1).append(7, 3, 1, 10)]);
    script.push(vec![Change::of(2).vote(4, 0).append(3, 4, 1, 10)]);
    let (disk, model) = log_of(&script);
    // Frames 2 and 3 held records of 1 and 2; 3 is idle since.
    spoil(&disk, 2);
    spoil(&disk, 3);
    let (log, report) = open(&disk);
    let harmed = |group: u64| report.harmed.iter().find(|harm| harm.group.get() == group);
    assert_eq!(harmed(1), Some(&harm(1, Some((1, 7)), false)), "its later vote is known");
    assert_eq!(harmed(2), Some(&harm(2, Some((1, 3)), false)), "so is that of 2");
    assert_eq!(harmed(3).map(|harm| harm.is_lost), Some(true), "nothing clears 3");
    block_on(verdict_of(&log, &report, &model, "two in a row"));
    // One more record of 3 would have.
    script.push(vec![Change::of(3).append(1, 1, 1, 5)]);
    let (disk, model) = log_of(&script);
    spoil(&disk, 2);
    spoil(&disk, 3);
    let (log, report) = open(&disk);
    assert!(report.harmed.iter().all(|harm| harm.group.get() != 3), "{report:?}");
    block_on(verdict_of(&log, &report, &model, "two in a row, three clear"));
}

#[test]
fn a_vote_alone_does_not_tell_how_far_a_log_went() {
    let mut script = script();
    script.push(vec![Change::of(2).vote(4, 0)]);
    let (disk, model) = log_of(&script);
    spoil(&disk, 2);
    spoil(&disk, 3);
    let (log, report) = open(&disk);
    let harmed = report.harmed.iter().find(|harm| harm.group.get() == 2);
    assert_eq!(harmed.map(|harm| harm.is_lost), Some(true));
    block_on(verdict_of(&log, &report, &model, "a vote alone"));
}

#[test]
fn damage_to_what_was_replaced_harms_nobody() {
    let mut script = script();
    script.push(vec![Change::of(1).truncate(4).append(4, 5, 1, 10)]);
    let (disk, model) = log_of(&script);
    spoil(&disk, 1);
    let (log, report) = open(&disk);
    assert_eq!((report.harmed.len(), report.lost_frames), (0, 1));
    assert_eq!(block_on(held(&log)).unwrap(), model);
}

#[test]
fn damage_below_a_snapshot_is_healed_by_it() {
    let mut script = script();
    script.push(vec![Change::of(1).compact(2, 1).snapshot(5, 2)]);
    let (disk, _) = log_of(&script);
    spoil(&disk, 1);
    for _ in 0..2 {
        let (log, report) = open(&disk);
        assert_eq!((report.harmed.len(), report.lost_frames), (0, 1));
        let loaded = block_on(log.load_log(GroupId::new(1))).unwrap();
        assert_eq!((loaded.base.index.get(), loaded.last.get()), (5, 6));
        assert_eq!(loaded.damage, None);
        let read = block_on(log.read(GroupId::new(1), Index::new(6), Index::new(6), 1)).unwrap();
        assert_eq!(read.first(), Some(Index::new(6)));
    }
}

#[test]
fn damage_is_remembered_when_the_damaged_segment_is_gone() {
    let (disk, _) = log_of(&script());
    spoil(&disk, 1);
    let block = BLOCK as u64;
    let options = LogOptions { log_bytes_soft: 32 * block, ..small() };
    let (log, _) = block_on(start(&disk, &options)).unwrap();
    let first = disk.names().into_iter().find(|name| name.starts_with("log-")).unwrap();
    let mut maintenance = pin!(log.maintain(Hurried::default()));
    for index in 1..40 {
        block_on(write(&log, &[Change::of(9).append(index, 1, 1, 9000)])).unwrap();
        if index % 4 == 0 {
            let compact = [Change::of(9).compact(index, 1).snapshot(index, 1)];
            block_on(write(&log, &compact)).unwrap();
            block_on(nudge(maintenance.as_mut()));
        }
    }
    assert!(!disk.names().contains(&first), "the damaged segment is still there");
    drop(log);
    let (log, report) = block_on(start(&disk, &options)).unwrap();
    assert_eq!(report.harmed, vec![harm(1, Some((4, 6)), false)]);
    assert_eq!(damage_of(&log), (Some((4, 6, 2)), 3));
}

#[test]
fn the_term_of_a_loss_outlives_later_terms_restarts_and_the_segment_that_told_it() {
    // Law 9 of the port
    let (disk, _) = log_of(&script());
    spoil(&disk, 1);
    let block = BLOCK as u64;
    let options = LogOptions { log_bytes_soft: 32 * block, ..small() };
    let told = disk.names().len();
    for (round, term) in (0..).zip([2, 5, 7]) {
        let (log, _) = block_on(start(&disk, &options)).unwrap();
        assert_eq!(damage_of(&log), (Some((4, 6, 2)), 3), "in term {term}");
        block_on(write(&log, &[Change::of(1).vote(term + 2, 0)])).unwrap();
        let mut maintenance = pin!(log.maintain(Hurried::default()));
        for index in 1 + 40 * round..40 + 40 * round {
            block_on(write(&log, &[Change::of(9).append(index, 1, 1, 9000)])).unwrap();
            if index % 4 == 0 {
                let compact = [Change::of(9).compact(index, 1).snapshot(index, 1)];
                block_on(write(&log, &compact)).unwrap();
                block_on(nudge(maintenance.as_mut()));
            }
        }
        block_on(write(&log, &[Change::of(9).append(40 + 40 * round, 1, 1, 10)])).unwrap();
        assert_eq!(damage_of(&log), (Some((4, 6, 2)), 3));
    }
    let oldest = disk.names().into_iter().find(|name| name.starts_with("log-")).unwrap();
    assert!(oldest > format!("log-{:016x}.wal", told + 2), "{oldest}");
    let (log, _) = block_on(start(&disk, &options)).unwrap();
    assert_eq!(damage_of(&log), (Some((4, 6, 2)), 3));
}

#[test]
fn a_further_loss_during_a_refill_is_of_its_own_term_and_nothing_lost_is_said_to_be_held() {
    for again in [Change::of(1).vote(5, 1), Change::of(1)] {
        let term = again.vote.map_or(2, |(term, _)| term);
        let (disk, _) = log_of(&script());
        spoil(&disk, 1);
        let (log, _) = open(&disk);
        block_on(write(&log, &[again.append(4, 2, 2, 40)])).unwrap();
        block_on(write(&log, &[Change::of(9).append(1, 1, 1, 10)])).unwrap();
        block_on(log.close()).unwrap();
        // What was sent again is lost again: the same entries as before.
        spoil_in(&disk, 1, 3);
        for _ in 0..3 {
            let (log, report) = open(&disk);
            assert_eq!(report.harmed, vec![harm(1, Some((4, 6)), false)]);
            assert_eq!(damage_of(&log), (Some((4, 6, term)), 3));
        }
        let (log, _) = open(&disk);
        block_on(write(&log, &[Change::of(1).vote(8, 0).append(4, 2, 1, 40)])).unwrap();
        drop(log);
        disk.crash(|_| Fate::Lost);
        let (log, _) = open(&disk);
        assert_eq!(damage_of(&log), (Some((5, 6, term)), 4));
    }
}

#[test]
fn a_loss_and_its_term_are_known_also_when_the_frame_that_told_it_is_lost() {
    let (disk, _) = log_of(&script());
    spoil(&disk, 1);
    let (log, _) = open(&disk);
    block_on(write(&log, &[Change::of(1).vote(5, 1).append(4, 2, 1, 40)])).unwrap();
    block_on(log.close()).unwrap();
    drop(log);
    spoil_in(&disk, 1, 2);
    for _ in 0..2 {
        let (log, report) = open(&disk);
        assert_eq!(report.harmed, vec![harm(1, Some((5, 6)), false)]);
        assert_eq!(damage_of(&log), (Some((5, 6, 2)), 4));
    }
}

#[test]
fn who_lost_the_record_of_a_loss_takes_no_shorter_log_for_whole() {
    let (disk, _) = log_of(&script());
    spoil(&disk, 1);
    let (log, _) = open(&disk);
    block_on(write(&log, &[Change::of(1).append(4, 2, 1, 40)])).unwrap();
    block_on(write(&log, &[Change::of(9).append(1, 1, 1, 10)])).unwrap();
    block_on(write(&log, &[Change::of(1).vote(4, 1).append(5, 2, 1, 40)])).unwrap();
    block_on(log.close()).unwrap();
    drop(log);
    // The loss of entry 6 is told in block 2, and no echo tells of that block.
    spoil_in(&disk, 1, 2);
    spoil_in(&disk, 1, 3);
    for _ in 0..2 {
        let (log, report) = open(&disk);
        assert_eq!(report.harmed.first(), Some(&harm(1, Some((1, 6)), false)), "{report:?}");
        assert_eq!(damage_of(&log), (Some((1, 6, 4)), 0));
    }
}

#[test]
fn a_harmed_log_that_crashes_while_it_is_opened_ends_alike() {
    let (disk, model) = log_of(&script());
    spoil(&disk, 1);
    for n in 1.. {
        let copy = disk.fork();
        copy.halt_at(n);
        {
            let options = small();
            let mut starting = pin!(start(&copy, &options));
            let waker = std::task::Waker::noop();
            let mut context = std::task::Context::from_waker(waker);
            let _ = starting.as_mut().poll(&mut context);
        }
        if !copy.is_halted() {
            assert!(n > 8, "{n} operations");
            return;
        }
        copy.crash(|_| if n % 2 == 0 { Fate::Lost } else { Fate::Kept });
        let (log, report) = open(&copy);
        assert_eq!(report.harmed, vec![harm(1, Some((4, 6)), false)], "operation {n}");
        block_on(verdict_of(&log, &report, &model, "crashed"));
    }
}

#[test]
fn a_frame_lost_behind_starts_that_wrote_nothing_is_still_told() {
    // A run that wrote nothing is passed over by the next one, which must say
    // again what the last frame before did.
    let (disk, model) = log_of(&script());
    for _ in 0..2 {
        drop(open(&disk));
        disk.kill();
    }
    spoil(&disk, 3);
    let (log, report) = open(&disk);
    assert_eq!(report.harmed, vec![harm(1, Some((6, 6)), false)]);
    let verdict = block_on(verdict_of(&log, &report, &model, "behind empty runs"));
    assert_eq!(verdict, Verdict::Harmed);
}

/// Flips a bit of what stands at these bytes, and seals their block again: they
/// went bad in memory, before they were written. `false` when they are not
/// found in one block.
fn spoil_under_its_seal(disk: &MemoryDisk, wanted: &[u8]) -> bool {
    let first = disk.names().into_iter().find(|name| name.starts_with("log-")).unwrap();
    let mut is_found = false;
    disk.edit(&first, |content| {
        for block in content.chunks_mut(BLOCK) {
            if let Some(at) = block.windows(wanted.len()).position(|window| window == wanted) {
                block[at] ^= 1;
                let checksum = raftlet::core::crc32c(0x626c_6f63, &block[4..]);
                block[..4].copy_from_slice(&checksum.to_le_bytes());
                is_found = true;
                return;
            }
        }
    });
    is_found
}

#[test]
fn an_entry_that_went_bad_before_it_was_written_harms_its_group_and_no_other() {
    // More groups than a replay takes in together.
    let groups = 1..=150;
    let (disk, model) = log_of(&[
        groups.clone().map(|group| Change::of(group).vote(1, 1).append(1, 1, 1, 20)).collect(),
        groups.clone().map(|group| Change::of(group).append(2, 1, 2, 40)).collect(),
    ]);
    let mut trials = 0;
    for group in groups {
        let copy = disk.fork();
        if !spoil_under_its_seal(&copy, format!("g{group} e3 t1 ").as_bytes()) {
            continue;
        }
        trials += 1;
        for _ in 0..2 {
            let (log, report) = open(&copy);
            assert_eq!(report.harmed, vec![harm(group, Some((2, 3)), false)]);
            let verdict = block_on(verdict_of(&log, &report, &model, "a bad entry"));
            assert_eq!(verdict, Verdict::Harmed);
            assert!(report.damage.len() <= 1, "{:?}", report.damage);
        }
    }
    assert!(trials > 140, "{trials} entries were found");
}
