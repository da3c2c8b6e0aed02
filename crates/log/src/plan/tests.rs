//! Claims about plans: what is folded, split and kept together.

use std::collections::BTreeMap;

use super::{Content, FramePlan, Planned, plan};
use crate::frame::FRAME_BYTES_SOFT;
use crate::index::Groups;
use crate::record::Item;
use raftlet::core::{
    Arena, Chunk, Entries, EntryKind, Generation, GroupId, HardState, Index, LogId, NewEntry, Seal,
    Term,
};
use raftlet::{GroupWrite, WriteBatch};

fn entries(first: u64, len: usize, payload_bytes: usize) -> Entries {
    let payload = vec![7; payload_bytes];
    let entry =
        NewEntry { kind: EntryKind::Command, log_time_ms: 0, origin: None, payload: &payload };
    let first = LogId { term: Term::new(1), index: Index::new(first) };
    let seal = Seal::new(GroupId::new(1), Generation::new(1));
    let chunk = Chunk::encode(&mut Arena::default(), seal, first, (0..len).map(|_| entry));
    Entries::from(chunk)
}

fn write(term: u64, entries: Entries) -> GroupWrite {
    GroupWrite {
        hard_state: Some(HardState { term: Term::new(term), vote: None }),
        entries,
        ..GroupWrite::new(GroupId::new(1), Generation::new(1))
    }
}

fn batch(writes: Vec<GroupWrite>) -> WriteBatch {
    WriteBatch { writes }
}

fn items(frame: &FramePlan) -> &[Planned] {
    match &frame.content {
        Content::Records(items) => items,
        Content::Batch(_) => panic!("a batch of more than entries"),
    }
}

#[test]
fn of_several_hard_states_of_a_group_only_the_last_is_written() {
    let writes = vec![write(1, entries(1, 1, 10)), write(2, entries(2, 1, 10))];
    let plan = plan(&batch(writes), (&Groups::default(), &BTreeMap::new()), 1);
    let states: Vec<u64> = items(&plan.frames[0])
        .iter()
        .filter_map(|planned| match &planned.item {
            Item::HardState { state, .. } => Some(state.term.get()),
            _ => None,
        })
        .collect();
    assert_eq!(states, vec![2]);
}

#[test]
fn a_large_batch_becomes_frames_below_the_soft_limit_without_losing_an_entry() {
    let writes = vec![write(1, entries(1, 40, 100_000)), write(1, entries(41, 1, 10))];
    let plan = plan(&batch(writes), (&Groups::default(), &BTreeMap::new()), 1);
    assert!(plan.frames.len() >= 4, "{} frames", plan.frames.len());
    let mut next = Index::FIRST;
    for frame in &plan.frames {
        let bytes: usize = items(frame).iter().map(|planned| planned.item.payload().len()).sum();
        assert!(bytes <= FRAME_BYTES_SOFT);
        for planned in items(frame) {
            if let Item::Entries { chunk, .. } = &planned.item {
                assert_eq!(chunk.first(), next);
                next = chunk.last().next();
            }
        }
    }
    assert_eq!(next.get(), 42);
}

#[test]
fn one_oversized_entry_has_a_frame_to_itself() {
    let writes = vec![
        write(1, entries(1, 1, 10)),
        write(1, entries(2, 1, 4 << 20)),
        write(1, entries(3, 1, 10)),
    ];
    let plan = plan(&batch(writes), (&Groups::default(), &BTreeMap::new()), 1);
    let lens: Vec<usize> = plan.frames.iter().map(FramePlan::len).collect();
    assert_eq!(plan.frames.len(), 3);
    assert_eq!(lens[1], 1);
    assert!(plan.blocks_max(0) > 1024);
}

#[test]
fn a_batch_without_changes_has_no_frame() {
    let plan = plan(&batch(vec![]), (&Groups::default(), &BTreeMap::new()), 1);
    assert!(plan.frames.is_empty() && !plan.has_entries);
}

#[test]
fn a_batch_that_comes_back_to_a_group_goes_on_where_it_left_it() {
    let of = |group: u64, first: u64| GroupWrite {
        entries: entries(first, 2, 10),
        ..GroupWrite::new(GroupId::new(group), Generation::new(1))
    };
    let writes = vec![of(7, 1), of(3, 1), of(7, 3), of(5, 1), of(3, 3), of(7, 5)];
    let plan = plan(&batch(writes), (&Groups::default(), &BTreeMap::new()), 1);
    let said: Vec<(u64, u64)> = items(&plan.frames[0])
        .iter()
        .map(|planned| match &planned.item {
            Item::Entries { group, chunk } => (group.get(), chunk.first().get()),
            other => (other.group().get(), 0),
        })
        .collect();
    let once = [(7, 0), (7, 1), (3, 0), (3, 1), (7, 3), (5, 0), (5, 1), (3, 3), (7, 5)];
    assert_eq!(said, once, "a group begins once");
}
