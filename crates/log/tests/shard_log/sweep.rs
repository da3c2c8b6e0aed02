//! Every byte of a small log, flipped and cut: never a shorter acknowledged log
//! without an error.

use crate::fixture::{BLOCK, Change, Model, StartError, apply, held, start, write};
use raftlet_log::{LogOptions, MemoryDisk, OpenError, TailState, block_on};

/// Segments of 8 blocks, the smallest there are.
fn tiny() -> LogOptions {
    let block = BLOCK as u64;
    LogOptions {
        segment_bytes_first: 8 * block,
        segment_bytes_max: 8 * block,
        prepare_bytes: 8 * block,
        throttle_bytes: block,
        reserve_bytes: 0,
        ..LogOptions::default()
    }
}

/// Two segments, three groups, several frames, one of more than one block, and
/// a mark at the end.
fn small_log() -> (MemoryDisk, Model) {
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    let script = [
        vec![Change::of(1).vote(1, 1).append(1, 1, 2, 40), Change::of(2).vote(3, 2)],
        vec![Change::of(3).append(1, 1, 1, 4500)],
        vec![Change::of(1).truncate(2).append(2, 2, 2, 30)],
        vec![Change::of(2).vote(4, 1).append(1, 4, 1, 50)],
        vec![Change::of(1).vote(5, 0), Change::of(3).append(2, 2, 3, 20)],
        vec![Change::of(3).append(5, 2, 1, 3500)],
        vec![Change::of(2).truncate(1).append(1, 5, 2, 9)],
    ];
    block_on(async {
        let (log, _) = start(&disk, &tiny()).await.unwrap();
        for changes in &script {
            write(&log, changes).await.unwrap();
            apply(&mut model, changes);
        }
        assert_eq!(log.segments(), 2);
        log.close().await.unwrap();
    });
    (disk, model)
}

/// What a start made of a spoilt log.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// All that was acknowledged is there, and nothing else.
    Whole,
    Refused,
}

/// Starts on the disk; fails the test on a log that is not the acknowledged one.
fn judge(disk: &MemoryDisk, model: &Model, what: impl Fn() -> String) -> Verdict {
    block_on(async {
        match start(disk, &tiny()).await {
            Ok((log, _)) => {
                assert_eq!(&held(&log).await.unwrap(), model, "{}", what());
                Verdict::Whole
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("log-") && !text.contains('\n'), "{}: {text}", what());
                Verdict::Refused
            }
        }
    })
}

fn segments(disk: &MemoryDisk) -> Vec<(String, usize)> {
    let names = disk.names().into_iter().filter(|name| name.starts_with("log-"));
    names.map(|name| (name.clone(), disk.bytes(&name).unwrap().len())).collect()
}

/// Blocks of the small log that hold frames, by segment.
fn holds_frames(segment: usize, block: usize) -> bool {
    match segment {
        0 => (2..7).contains(&block),
        _ => (2..6).contains(&block),
    }
}

/// Flips every byte of one segment, one at a time.
fn flip_every_byte(segment: usize) {
    let (disk, model) = small_log();
    let (mut whole, mut refused) = (0, 0);
    let (name, bytes) = segments(&disk).swap_remove(segment);
    for at in 0..bytes {
        let copy = disk.fork();
        copy.edit(&name, |content| content[at] ^= 1 << (at % 8)).unwrap();
        let verdict = judge(&copy, &model, || format!("{name} byte {at}"));
        let expected = if holds_frames(segment, at / BLOCK) {
            refused += 1;
            Verdict::Refused
        } else {
            whole += 1;
            Verdict::Whole
        };
        assert_eq!(verdict, expected, "{name} byte {at}");
    }
    println!("{name}: {} flips, {whole} harmless, {refused} refused", whole + refused);
    assert!(whole >= 3 * BLOCK && refused >= 4 * BLOCK);
}

#[test]
fn every_flipped_byte_of_a_finished_segment_is_harmless_or_refused() {
    // S-020
    flip_every_byte(0);
}

#[test]
fn every_flipped_byte_of_the_newest_segment_is_harmless_or_refused() {
    // S-020, S-007: damage to the last frame is known by the mark behind it.
    flip_every_byte(1);
}

#[test]
fn every_cut_is_refused() {
    let (disk, model) = small_log();
    let mut cuts = 0;
    for (segment, (name, bytes)) in segments(&disk).into_iter().enumerate() {
        // Behind its last frame the first segment may end: the second one says
        // where. A cut file of the second is known by what its frames say.
        let needed = if segment == 0 { 7 * BLOCK } else { bytes };
        for len in 0..bytes {
            let copy = disk.fork();
            copy.edit(&name, |content| content.truncate(len)).unwrap();
            let verdict = judge(&copy, &model, || format!("{name} cut to {len}"));
            let is_refused = verdict == Verdict::Refused;
            assert_eq!(is_refused, len < needed, "{name} cut to {len}");
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
}

#[test]
fn every_pair_of_bad_blocks_is_harmless_or_refused() {
    // S-023: neighbours, far apart, in different segments; zeroed or garbled.
    let (disk, model) = small_log();
    let blocks: Vec<(String, usize)> = segments(&disk)
        .into_iter()
        .flat_map(|(name, bytes)| (0..bytes / BLOCK).map(move |block| (name.clone(), block)))
        .collect();
    let spoil = |disk: &MemoryDisk, (name, block): &(String, usize), byte: Option<u8>| {
        disk.edit(name, |content| match byte {
            Some(byte) => content[block * BLOCK..][..BLOCK].fill(byte),
            None => content[block * BLOCK + 99] ^= 4,
        });
    };
    let mut trials = 0;
    for (at, first) in blocks.iter().enumerate() {
        for second in &blocks[at + 1..] {
            for byte in [None, Some(0), Some(0x5a)] {
                let copy = disk.fork();
                spoil(&copy, first, byte);
                spoil(&copy, second, byte);
                // The last frame and the mark behind it, both gone: what is
                // left looks exactly like a log that was shorter.
                let is_ambiguous = second.0.ends_with("2.wal")
                    && (first.1, second.1) == (5, 6)
                    && first.0 == second.0;
                if !is_ambiguous {
                    judge(&copy, &model, || format!("{first:?} and {second:?} as {byte:?}"));
                }
                trials += 1;
            }
        }
    }
    println!("{trials} pairs");
}

#[test]
fn damage_is_attributed_to_the_groups_it_hit() {
    // S-022
    let (disk, _) = small_log();
    let (name, _) = segments(&disk).swap_remove(0);
    disk.edit(&name, |content| content[3 * BLOCK + 50] ^= 1);
    let Err(StartError::Open(OpenError::Damaged(damage))) = block_on(start(&disk, &tiny())) else {
        panic!("damage is refused");
    };
    assert_eq!((damage.file.as_str(), damage.offset), (name.as_str(), 3 * BLOCK as u64));
    let groups: Vec<u64> = damage.affected.iter().map(|hit| hit.group.get()).collect();
    assert_eq!(groups, vec![1, 2]);
    let (first, last) = damage.affected[0].entries.unwrap();
    assert_eq!((first.get(), last.get()), (1, 2));
    assert!(damage.affected[1].hard_state && damage.affected[1].entries.is_none());
    let text = damage.to_string();
    assert!(text.contains("group 1 entries 1..=2 term and vote"), "{text}");
}

#[test]
fn a_refused_start_changes_nothing_of_the_log() {
    // S-120
    let (disk, _) = small_log();
    for (name, _) in segments(&disk) {
        disk.edit(&name, |content| content[2 * BLOCK + 50] ^= 1);
    }
    let before: Vec<_> = disk.names().iter().map(|name| disk.bytes(name)).collect();
    assert!(block_on(start(&disk, &tiny())).is_err());
    let after: Vec<_> = disk.names().iter().map(|name| disk.bytes(name)).collect();
    let identity = disk.names().iter().position(|name| name == "IDENTITY").unwrap();
    for at in 0..before.len() {
        assert!(at == identity || before[at] == after[at]);
    }
    assert_eq!(before.len(), after.len());
}

#[test]
fn marks_tell_a_proven_tail_from_an_ambiguous_one() {
    // S-008, S-044
    let (disk, model) = small_log();
    let (name, _) = segments(&disk).swap_remove(1);
    let marked = disk.fork();
    let (log, report) = block_on(start(&marked, &tiny())).unwrap();
    assert_eq!(report.tail, TailState::Marked);
    drop(log);
    disk.edit(&name, |content| content[6 * BLOCK..7 * BLOCK].fill(0));
    let (log, report) = block_on(start(&disk, &tiny())).unwrap();
    assert_eq!(report.tail, TailState::Ambiguous);
    assert_eq!(block_on(held(&log)).unwrap(), model);
}
