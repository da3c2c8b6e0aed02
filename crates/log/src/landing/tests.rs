//! Claims about plain batches, from the plan to what is left of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use super::Landing;
use crate::block::{BLOCK_BYTES, Kind};
use crate::directory::ECHO_GROUPS_MAX;
use crate::disk::buffer::Buffer;
use crate::frame::{Encoder, Place};
use crate::index::{FrameAt, GroupIndex, Groups};
use crate::plan::{Content, Plan, by_records, plan};
use crate::record::{Record, Records};
use raftlet::core::{
    Arena, Chunk, Entries, EntryKind, Generation, GroupId, HardState, Index, LogId, NewEntry, Seal,
    Term,
};
use raftlet::{GroupWrite, WriteBatch};

fn batch(writes: Vec<GroupWrite>) -> WriteBatch {
    WriteBatch { writes }
}

fn entries(group: u64, first: u64, len: usize, payload_bytes: usize) -> Entries {
    let payload = vec![7; payload_bytes];
    let entry =
        NewEntry { kind: EntryKind::Command, log_time_ms: 0, origin: None, payload: &payload };
    let first = LogId { term: Term::new(1), index: Index::new(first) };
    let seal = Seal::new(GroupId::new(group), Generation::new(1));
    let chunk = Chunk::encode(&mut Arena::default(), seal, first, (0..len).map(|_| entry));
    Entries::from(chunk)
}

const AT: FrameAt = FrameAt { segment: 1, frame: 7, block: 2, end: 3 };

/// Groups that are stated in segment 1, each with so many entries as its number.
fn stated(numbers: &[u64]) -> Groups {
    let mut groups = Groups::default();
    for number in numbers {
        let index = groups.or_default(GroupId::new(*number));
        index.begin(Generation::new(1)).unwrap();
        (index.state_segment, index.last_frame) = (1, number % 5);
        for at in 1..=*number {
            let chunk = entries(*number, at, 1, 10);
            let chunk = chunk.chunks().next().unwrap();
            index.append(&chunk.into(), &AT).unwrap();
        }
    }
    groups
}

fn append(group: u64, first: u64, len: usize) -> GroupWrite {
    GroupWrite {
        entries: entries(group, first, len, 300),
        ..GroupWrite::new(GroupId::new(group), Generation::new(1))
    }
}

/// The bytes of a plan's one frame, and its echo.
fn landed(mut plan: Plan, batch: &WriteBatch, groups: &Groups) -> (Vec<u8>, Vec<u8>) {
    let frame = plan.frames.pop().unwrap();
    assert!(plan.frames.is_empty());
    let buffer = Buffer::zeroed(frame.blocks_max(0) * BLOCK_BYTES);
    let mut encoder = Encoder::new(buffer, 0, false);
    frame.put_into(&mut encoder, &batch.writes, groups, 8);
    let place = Place { stamp: 1, frame: 8, block: 3, extent: 0 };
    let bytes = encoder.finish(&place, Kind::Frame).bytes().to_vec();
    // What a former frame left makes no difference.
    let former = Landing { echo: vec![9; 3000], ..Landing::default() };
    (bytes, Landing::of(frame, &batch.writes, former).echo)
}

#[test]
fn a_plain_batch_is_the_same_frame_as_its_records_one_by_one() {
    let numbers: Vec<u64> = (1..=130).collect();
    let groups = stated(&numbers);
    let ascending: Vec<u64> = vec![1, 2, 77, 130];
    let rotated: Vec<u64> = (100..=130).chain(1..=60).collect();
    for order in [ascending, rotated, vec![5]] {
        let writes = order.iter().map(|group| append(*group, group + 1, 3));
        let batch = batch(writes.collect());
        let plan = plan(&batch, &groups, 1);
        assert!(matches!(plan.frames[0].content, Content::Batch(_)), "{order:?}");
        let records = by_records(&batch, &groups, 1);
        assert_eq!(plan.blocks_max(9), records.blocks_max(9));
        assert_eq!(plan.blocks_more_max(), records.blocks_more_max());
        assert_eq!((plan.has_entries, plan.brings_commands(&batch)), (true, true));
        assert_eq!(landed(plan, &batch, &groups), landed(records, &batch, &groups));
    }
}

#[test]
fn an_echo_that_cannot_name_all_groups_says_so_and_is_that_of_the_records_one_by_one() {
    let len = ECHO_GROUPS_MAX + 3;
    let mut groups = Groups::default();
    let group = |at: usize| at as u64 + 1;
    for at in 0..len {
        let index = groups.or_default(GroupId::new(group(at)));
        index.begin(Generation::new(1)).unwrap();
        index.append(&entries(group(at), 1, 1, 1).chunks().next().unwrap().into(), &AT).unwrap();
        index.state_segment = 1;
    }
    for (count, is_complete) in [(len - 3, true), (len - 2, false), (len, false)] {
        let writes = (0..count).map(|at| GroupWrite {
            entries: entries(group(at), 2, 1, 1),
            ..GroupWrite::new(GroupId::new(group(at)), Generation::new(1))
        });
        let batch = batch(writes.collect());
        let plan = plan(&batch, &groups, 1);
        assert!(matches!(plan.frames[0].content, Content::Batch(_)), "{count}");
        let plain = landed(plan, &batch, &groups);
        assert_eq!(plain, landed(by_records(&batch, &groups, 1), &batch, &groups));
        let Some(Ok(Record::Echo(told))) = Records::new(Bytes::from(plain.1), 0).next() else {
            panic!("an echo of {count} groups");
        };
        assert_eq!((told.is_complete, told.traces.len()), (is_complete, len - 3));
    }
}

#[test]
fn a_batch_of_more_than_entries_of_known_groups_is_planned_record_by_record() {
    let groups = stated(&[3, 4, 5]);
    let is_plain = |writes: Vec<GroupWrite>, segment| {
        matches!(plan(&batch(writes), &groups, segment).frames[0].content, Content::Batch(_))
    };
    assert!(is_plain(vec![append(3, 4, 1), append(5, 6, 1)], 1));
    // A segment that says nothing of them yet; a group that nobody knows.
    assert!(!is_plain(vec![append(3, 4, 1)], 2));
    assert!(!is_plain(vec![append(3, 4, 1), append(9, 1, 1)], 1));
    // A group that comes back, a frame's worth and more, a vote.
    assert!(!is_plain(vec![append(3, 4, 1), append(5, 6, 1), append(3, 5, 1)], 1));
    assert!(!is_plain(vec![append(3, 4, 2000), append(5, 6, 2000)], 1));
    let vote = HardState { term: Term::new(3), vote: None };
    assert!(!is_plain(vec![GroupWrite { hard_state: Some(vote), ..append(3, 4, 1) }], 1));
    let shorter = GroupWrite { truncate_from: Some(Index::new(3)), ..append(3, 3, 1) };
    assert!(!is_plain(vec![shorter], 1));
    assert!(!is_plain(vec![GroupWrite { refilled: true, ..append(3, 4, 1) }], 1));
    // Its next life.
    let next = GroupWrite { generation: Generation::new(2), ..append(3, 1, 1) };
    assert!(!is_plain(vec![next], 1));
    // Behind a truncation the last term is looked for.
    let mut cut = stated(&[3]);
    cut.get_mut(&GroupId::new(3)).map(|it: &mut GroupIndex| it.truncate(Index::new(3)));
    assert!(matches!(
        plan(&batch(vec![append(3, 3, 1)]), &cut, 1).frames[0].content,
        Content::Records(_)
    ));
}

#[test]
fn two_writes_of_a_group_at_the_same_index_are_refused_before_anything_is_written() {
    let groups = stated(&[3, 4, 5]);
    let twice = batch(vec![append(4, 5, 1), append(3, 4, 1), append(4, 5, 1)]);
    let planned = catch_unwind(AssertUnwindSafe(|| plan(&twice, &groups, 1)));
    assert!(planned.is_err());
}
