//! Damage that comes again: to a log that a leader is about to refill, by then
//! with a snapshot of that leader.

use crate::fixture::{
    BLOCK, Change, Model, StartError, Verdict, apply, logs, rot, small, start, started, verdict_of,
    write,
};
use raftlet::core::{GroupId, Index};
use raftlet::{Storage, StorageError};
use raftlet_log::{MemoryDisk, block_on};

/// Entries 4 to 6 of group 1 are lost; then its leader's snapshot up to `base`
/// was installed, with `more` entries behind it, and other groups wrote.
fn under_refill(base: u64, more: u64) -> (MemoryDisk, Model) {
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    let run = |model: &mut Model, script: Vec<Vec<Change>>| {
        let (log, _) = started(&disk);
        for changes in script {
            block_on(write(&log, &changes)).unwrap();
            apply(model, &changes);
        }
        block_on(log.close()).unwrap();
    };
    run(
        &mut model,
        vec![
            vec![Change::of(1).vote(2, 3).append(1, 1, 3, 40), Change::of(2).vote(1, 1)],
            vec![Change::of(1).append(4, 2, 3, 40)],
            vec![Change::of(2).append(1, 1, 1, 40)],
        ],
    );
    rot(&disk, "g1 e4");
    let mut script = vec![vec![Change::of(1).compact(base, 2).snapshot(base, 2)]];
    if more > 0 {
        let again = Change::of(1).append(base + 1, 2, more, 40);
        script.push(vec![again]);
    }
    script.extend([3, 4, 5].map(|group| vec![Change::of(group).vote(1, 1).append(1, 1, 1, 60)]));
    // The model has the entries that were held, and those sent again are the same.
    let mut refilled = model.clone();
    let (log, _) = started(&disk);
    for changes in &script {
        block_on(write(&log, changes)).unwrap();
        if changes[0].group != 1 || changes[0].compact.is_some() {
            apply(&mut refilled, changes);
        }
    }
    block_on(log.close()).unwrap();
    (disk, refilled)
}

#[test]
fn a_second_damage_while_a_snapshot_stands_in_for_the_first_keeps_no_other_group_out() {
    for (base, more) in [(4, 0), (5, 0), (5, 1), (4, 1)] {
        let (disk, model) = under_refill(base, more);
        rot(&disk, "g3 e1");
        rot(&disk, "g4 e1");
        for _ in 0..3 {
            let (log, report) = started(&disk);
            let harmed = report.harmed.iter().find(|it| it.group == GroupId::new(1)).unwrap();
            assert!(harmed.is_lost, "nothing clears it");
            let first = harmed.entries.map_or(Index::ZERO, |(first, _)| first);
            assert!(harmed.entries.is_none() || first > Index::new(base), "{harmed}");
            let of = |group: u64| block_on(log.load_term_and_vote(GroupId::new(group)));
            assert!(matches!(of(1), Err(StorageError::Damaged { .. })));
            assert_eq!(of(5).unwrap().term.get(), 1);
            block_on(write(&log, &[Change::of(5).vote(1, 1)])).unwrap();
            let verdict = block_on(verdict_of(&log, &report, &model, "again"));
            assert_eq!(verdict, Verdict::Harmed);
        }
    }
}

#[test]
fn any_two_blocks_in_a_row_of_a_log_under_refill_are_told_or_refused_at_each_start() {
    let mut trials = 0;
    for (base, more) in [(4, 0), (5, 1), (6, 0), (9, 0)] {
        let (disk, model) = under_refill(base, more);
        for name in logs(&disk) {
            let content = disk.bytes(&name).unwrap();
            let is_used = |block: &[u8]| block.iter().any(|byte| *byte != 0);
            let blocks = content.chunks(BLOCK).rposition(is_used).unwrap();
            // What proves the end of the log is left: without it a lost write looks
            // like one that was never made.
            for block in 2..blocks - 1 {
                let copy = disk.fork();
                copy.edit(&name, |bytes| {
                    bytes[block * BLOCK + 77] ^= 1;
                    bytes[(block + 1) * BLOCK + 77] ^= 1;
                });
                for _ in 0..2 {
                    trials += 1;
                    match block_on(start(&copy, &small())) {
                        Ok((log, report)) => {
                            let what = format!("{name} block {block}, snapshot {base}");
                            block_on(verdict_of(&log, &report, &model, &what));
                        }
                        Err(StartError::Open(_)) => break,
                        Err(StartError::Identity(error)) => panic!("{error}"),
                    }
                }
            }
        }
    }
    println!("{trials} starts");
    assert!(trials > 40, "{trials}");
}
