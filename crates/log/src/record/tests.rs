//! Claims about records: what is written comes back, and nothing else passes.

use bytes::Bytes;

use super::{
    Ending, GroupState, Item, Link, Record, RecordError, Records, put_echo, put_head, put_link,
};
use crate::directory::{Directory, Harm, LostEntries, Trace};
use crate::fields::Fields;
use crate::varint;
use raftlet::core::{
    Arena, Chunk, EntryKind, Generation, GroupId, HardState, Index, LogId, NewEntry, NodeId, Seal,
    Term,
};

fn chunk() -> Chunk {
    let seal = Seal::new(GroupId::new(4), Generation::new(1));
    let entry =
        NewEntry { kind: EntryKind::Command, log_time_ms: 5, origin: None, payload: b"payload" };
    let first = LogId { term: Term::new(3), index: Index::new(9) };
    Chunk::encode(&mut Arena::default(), seal, first, [entry, entry].into_iter())
}

fn encoded(items: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        let mut head = Vec::new();
        item.encode_head(300, &mut head, &mut Vec::new());
        assert!(head.len() + item.payload().len() <= item.bytes_max());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(item.payload());
    }
    bytes
}

fn id(term: u64, index: u64) -> LogId {
    LogId { term: Term::new(term), index: Index::new(index) }
}

fn harm(term: Option<u64>, is_lost: bool) -> Harm {
    let (first, last) = (Index::new(5), Index::new(7));
    Harm { entries: Some(LostEntries { first, last, term: term.map(Term::new) }), is_lost }
}

fn statement() -> GroupState {
    GroupState {
        generation: Generation::new(1),
        hard_state: HardState { term: Term::new(3), vote: Some(NodeId::new(2)) },
        base: id(2, 8),
        last: Index::new(8),
        snapshot: Some(id(1, 6)),
        harm: harm(Some(2), true),
    }
}

fn items() -> Vec<Item> {
    let group = GroupId::new(4);
    let state = HardState { term: Term::new(3), vote: Some(NodeId::new(2)) };
    vec![
        Item::Group { group, generation: Generation::new(1) },
        Item::HardState { group, state },
        Item::Truncate { group, from: Index::new(9) },
        Item::Compact { group, base: id(2, 8) },
        Item::Snapshot { group, last: id(1, 6) },
        Item::Entries { group, chunk: chunk() },
        Item::Refilled { group },
        Item::Moved { group, chunk: chunk() },
        Item::Damage { group, harm: statement().harm },
        Item::State { group, state: Box::new(statement()) },
    ]
}

#[test]
fn records_come_back_in_order_and_no_prefix_inside_one_passes() {
    let mut bytes = Vec::new();
    let link = Link {
        predecessor: 4,
        last_frame: 1 << 40,
        end_block: 77,
        ending: Ending::Torn,
        oldest_live: 1,
    };
    put_link(&mut bytes, &link);
    let mut directory = Directory::default();
    items().iter().for_each(|item| item.note(&mut directory));
    put_echo(&mut bytes, &directory);
    bytes.extend_from_slice(&encoded(&items()));

    let records: Vec<_> =
        Records::new(Bytes::from(bytes.clone()), 0).collect::<Result<_, _>>().unwrap();
    assert_eq!(records[0], Record::Link(link));
    assert_eq!(records[1], Record::Echo(directory));
    assert_eq!(records.len(), 12);
    let Record::Entries { first, len, bytes: entries, .. } = &records[7] else {
        panic!("entries are the sixth");
    };
    let expected = Record::State { group: GroupId::new(4), state: Box::new(statement()) };
    assert_eq!(records[11], expected);
    let seal = Seal::new(GroupId::new(4), Generation::new(1));
    assert_eq!(Chunk::decode(seal, *first, *len, entries.clone()), Ok(chunk()));

    let whole: Vec<usize> = (0..=bytes.len())
        .filter(|cut| Records::new(Bytes::copy_from_slice(&bytes[..*cut]), 0).all(|r| r.is_ok()))
        .collect();
    assert_eq!(whole.len(), 13, "only cuts between two records pass");
}

#[test]
fn a_directory_gathers_what_a_frame_did_to_each_group() {
    let mut directory = Directory::default();
    items().iter().for_each(|item| item.note(&mut directory));
    let expected = Trace {
        group: GroupId::new(4),
        hard_state: Some(HardState { term: Term::new(3), vote: Some(NodeId::new(2)) }),
        // Of the damage, whose loss begins there.
        truncate_from: Some(Index::new(5)),
        entries: Some((Index::new(9), Index::new(10), Term::new(3))),
        compact: Some(id(2, 8)),
        snapshot: Some(id(1, 6)),
        life: Some((Generation::new(1), Some(Index::new(8)))),
        moved: Some((Index::new(9), Index::new(10), Term::new(3))),
        harm: Some(statement().harm),
    };
    assert_eq!(directory.traces, vec![expected]);
}

#[test]
fn losses_come_back_with_their_term_and_those_of_format_2_without() {
    let mut seen = Vec::new();
    for harm in [harm(Some(300), true), harm(Some(1), false), harm(None, true), Harm::default()] {
        let mut bytes = Vec::new();
        harm.put(&mut bytes);
        assert_eq!(Harm::take(&mut Fields(&bytes)), Some(harm));
        seen.push(bytes);
    }
    assert_eq!(seen[2], [5, 7, 1], "as format 2 has it");
    assert_eq!(seen[3], [0, 0, 0]);
    assert_eq!(Harm::take(&mut Fields(&[5, 7, 2])), None, "the term is missing");
    assert_eq!(Harm::take(&mut Fields(&[5, 7, 4])), None, "a part that is not known");
}

#[test]
fn unknown_and_reserved_kinds_are_refused_by_name() {
    for kind in [0, 9, 12, 13, 16, 255] {
        let mut bytes = Vec::new();
        put_head(&mut bytes, 1, kind, 0, 0);
        let read = Records::new(Bytes::from(bytes), 0).next();
        assert_eq!(read, Some(Err(RecordError::UnknownKind(kind))));
    }
}

#[test]
fn an_enormous_length_is_refused_before_anything_is_allocated() {
    let mut bytes = Vec::new();
    put_head(&mut bytes, 1, 5, usize::MAX, 0);
    let read = Records::new(Bytes::from(bytes), 0).next();
    assert_eq!(read, Some(Err(RecordError::Malformed)));

    let mut body = vec![1];
    varint::put(&mut body, u64::MAX);
    let mut bytes = Vec::new();
    put_head(&mut bytes, 0, 2, body.len(), 0);
    bytes.extend_from_slice(&body);
    let read = Records::new(Bytes::from(bytes), 0).next();
    assert_eq!(read, Some(Err(RecordError::Malformed)));
}

#[test]
fn random_bytes_never_make_a_record_reader_panic() {
    let mut state = 1u64;
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..24)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                let byte = state.to_le_bytes()[5];
                if state.to_le_bytes()[6] < 128 { byte & 15 } else { byte }
            })
            .collect();
        assert!(Records::new(Bytes::from(bytes), 0).count() <= 24);
    }
}
