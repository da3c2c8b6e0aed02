//! Records that contradict each other, though every checksum holds: they harm
//! their group, are told, and refuse no start (D58).

use crate::damage::{damage_of, harm, log_of};
use crate::fixture::{
    BLOCK, Change, Verdict, apply, batch, held, small, started, verdict_of, write,
};
use raftlet::core::GroupId;
use raftlet::{Storage, StorageError};
use raftlet_log::disk::memory::Fate;
use raftlet_log::inspect::{Depth, inspect};
use raftlet_log::{MemoryDisk, block_on};

const HARD_STATE: u8 = 4;
const TRUNCATION: u8 = 6;
const STATE: u8 = 11;

/// Changes a byte of the body of a group's only record of a kind, and seals the
/// block again: wrong before it was written. All numbers are of one byte.
fn forge(disk: &MemoryDisk, (group, kind): (u8, u8), body: &[u8], (at, to): (usize, u8)) {
    let len = u8::try_from(body.len()).unwrap();
    let is_it = |window: &[u8]| window[..3] == [group, kind, len] && &window[4..] == body;
    let mut found = 0;
    for name in disk.names().into_iter().filter(|name| name.starts_with("log-")) {
        disk.edit(&name, |content| {
            for block in content.chunks_mut(BLOCK) {
                let Some(start) = block.windows(4 + body.len()).position(is_it) else {
                    continue;
                };
                block[start + 4 + at] = to;
                let checksum = raftlet::core::crc32c(0x626c_6f63, &block[4..]);
                block[..4].copy_from_slice(&checksum.to_le_bytes());
                found += 1;
            }
        });
    }
    assert_eq!(found, 1, "records of kind {kind}");
}

/// Group 1 votes in terms 1 and 3 and replaces entries 4 to 6.
fn script() -> Vec<Vec<Change>> {
    vec![
        vec![Change::of(1).vote(1, 1).append(1, 1, 6, 20), Change::of(2).vote(3, 2)],
        vec![Change::of(1).vote(3, 2), Change::of(3).vote(1, 1).append(1, 1, 2, 20)],
        vec![Change::of(1).truncate(4).append(4, 3, 2, 20), Change::of(2).append(1, 3, 2, 20)],
        vec![Change::of(1).append(6, 3, 2, 20), Change::of(3).append(3, 1, 1, 20)],
    ]
}

#[test]
fn entries_that_do_not_follow_harm_their_group_from_there_on_and_a_leader_refills_it() {
    // Cut too late, entry 4 is there twice; cut too early, entry 3 is missing.
    for (from, first) in [(6, 4), (3, 3)] {
        let (disk, mut model) = log_of(&script());
        forge(&disk, (1, TRUNCATION), &[4], (0, from));
        let survey = block_on(inspect(&disk, &small(), Depth::Log)).unwrap();
        assert!(survey.is_damaged(), "{:?}", survey.findings);
        for _ in 0..3 {
            let (log, report) = started(&disk);
            assert_eq!(report.harmed, vec![harm(1, Some((first, 7)), false)], "{report:?}");
            let verdict = block_on(verdict_of(&log, &report, &model, "a wrong cut"));
            assert_eq!(verdict, Verdict::Harmed);
            let text = report.damage[0].to_string();
            assert!(text.contains("group 1 goes on with entry 4 where"), "{text}");
            assert!(text.contains("it held group 1 entries 4..=5"), "{text}");
            drop(log);
            disk.crash(|_| Fate::Lost);
        }
        let (log, _) = started(&disk);
        let again = Change::of(1).append(first, 3, 8 - first, 20);
        let mut refill = batch(std::slice::from_ref(&again));
        refill.writes[0].refilled = true;
        block_on(log.write(refill)).1.unwrap();
        apply(&mut model, &[Change::of(1).truncate(first), again]);
        drop(log);
        for _ in 0..2 {
            let (log, report) = started(&disk);
            assert_eq!(report.harmed, vec![]);
            assert_eq!(block_on(held(&log)).unwrap(), model);
            assert_eq!(damage_of(&log), (None, 7));
        }
    }
}

#[test]
fn a_term_that_falls_takes_its_group_out_of_service_and_no_other() {
    let (disk, model) = log_of(&script());
    forge(&disk, (1, HARD_STATE), &[1, 1], (0, 9));
    for _ in 0..3 {
        let (log, report) = started(&disk);
        assert_eq!(report.harmed, vec![harm(1, None, true)]);
        block_on(verdict_of(&log, &report, &model, "a term that falls"));
        let lost = block_on(log.load_term_and_vote(GroupId::new(1)));
        assert!(matches!(lost, Err(StorageError::Damaged { .. })));
        assert!(report.damage[0].to_string().contains("falls back to a lower term"));
        block_on(write(&log, &[Change::of(2).vote(3, 2)])).unwrap();
    }
}

#[test]
fn a_statement_that_is_not_what_was_left_harms_all_behind_the_base() {
    // Generation, term, vote, base, last index, parts.
    let statement = [1, 3, 2, 0, 0, 7, 0];
    for (to, last) in [(5, 8), (9, 9)] {
        let (disk, mut model) = log_of(&script());
        let (log, _) = started(&disk);
        let more = [Change::of(1).append(8, 3, 1, 20)];
        block_on(write(&log, &more)).unwrap();
        apply(&mut model, &more);
        block_on(log.close()).unwrap();
        drop(log);
        forge(&disk, (1, STATE), &statement, (5, to));
        for _ in 0..3 {
            let (log, report) = started(&disk);
            assert_eq!(report.harmed, vec![harm(1, Some((1, last)), false)], "{report:?}");
            let verdict = block_on(verdict_of(&log, &report, &model, "a wrong statement"));
            assert_eq!(verdict, Verdict::Harmed);
            assert!(report.damage[0].to_string().contains("stated otherwise"));
        }
    }
}

#[test]
fn a_record_of_a_group_that_never_began_leaves_the_others_and_nobody_unknown_is_new() {
    const GROUP: u8 = 3;
    let (disk, model) = log_of(&script());
    // The first record of group 3 becomes one of a group 5.
    let is_it = |window: &[u8]| window == [3, GROUP, 1, 0, 1];
    let name = disk.names().into_iter().find(|name| name.starts_with("log-")).unwrap();
    disk.edit(&name, |content| {
        for block in content.chunks_mut(BLOCK) {
            if let Some(start) = block.windows(5).position(is_it) {
                block[start] = 5;
                let checksum = raftlet::core::crc32c(0x626c_6f63, &block[4..]);
                block[..4].copy_from_slice(&checksum.to_le_bytes());
            }
        }
    });
    for _ in 0..2 {
        let (log, report) = started(&disk);
        assert!(report.has_unknown_losses, "{report:?}");
        assert!(report.damage[0].to_string().contains("group 3 has records before its first one"));
        for group in [3, 77] {
            let lost = block_on(log.load_term_and_vote(GroupId::new(group)));
            assert!(matches!(lost, Err(StorageError::Damaged { .. })), "group {group}");
        }
        let whole = [1, 2].map(|group| (group, model[&group].clone()));
        for (group, wanted) in whole {
            let loaded = block_on(log.load_log(GroupId::new(group))).unwrap();
            assert_eq!((loaded.last.get(), loaded.damage), (wanted.last(), None));
        }
    }
}
