//! Claims about chunks: what is encoded comes back, and nothing else passes.

use bytes::Bytes;

use super::{
    CHAIN_START, CHUNK_LEN_MAX, Chunk, Entries, EntryError, EntryKind, NewEntry, Origin, Seal,
};
use crate::entry::arena::Arena;
use crate::ids::{Generation, GroupId, Incarnation, Index, LogId, NodeId, Run, Term};

fn seal() -> Seal {
    Seal::new(GroupId::new(7), Generation::new(1))
}

fn at(index: u64) -> LogId {
    LogId { term: Term::new(3), index: Index::new(index) }
}

fn origin(sequence: u64) -> Origin {
    Origin {
        node: NodeId::new(2),
        incarnation: Incarnation(u128::MAX - 5),
        run: Run::new(9),
        sequence,
    }
}

fn sample(first: u64) -> Chunk {
    let new =
        |payload, origin| NewEntry { kind: EntryKind::Command, log_time_ms: 77, origin, payload };
    let entries =
        [new(&b"one"[..], None), new(&b""[..], Some(origin(4))), new(&b"three"[..], None)];
    Chunk::encode(&mut Arena::default(), seal(), at(first), entries.into_iter())
}

fn decode(first: u64, len: u32, bytes: &[u8]) -> Result<Chunk, EntryError> {
    Chunk::decode(seal(), at(first), len, Bytes::copy_from_slice(bytes))
}

#[test]
fn a_chunk_survives_the_trip_through_its_bytes() {
    let chunk = sample(10);
    assert_eq!(decode(10, 3, chunk.bytes()).unwrap(), chunk);
    let payloads: Vec<_> = chunk.entries().map(|e| (e.index.get(), e.payload.to_vec())).collect();
    assert_eq!(payloads, [(10, b"one".to_vec()), (11, b"".to_vec()), (12, b"three".to_vec())]);
    assert_eq!(chunk.entries().nth(1).unwrap().origin, Some(origin(4)));
}

#[test]
fn only_commands_that_nobody_forwarded_make_a_plain_chunk() {
    let chunk = sample(10);
    assert!(!chunk.is_plain() && !decode(10, 3, chunk.bytes()).unwrap().is_plain());
    let parts = [chunk.until(Index::new(10)), chunk.from(Index::new(12))];
    for part in parts.map(Option::unwrap) {
        assert!(part.is_plain());
        assert!(decode(part.first().get(), 1, part.bytes()).unwrap().is_plain());
    }
    for kind in [EntryKind::Noop, EntryKind::Configuration] {
        let entry = NewEntry { kind, log_time_ms: 7, origin: None, payload: b"" };
        let chunk = Chunk::encode(&mut Arena::default(), seal(), at(5), [entry].into_iter());
        assert!(!chunk.is_plain() && !decode(5, 1, chunk.bytes()).unwrap().is_plain());
    }
}

#[test]
fn what_is_chained_is_handed_on_as_it_is() {
    let chunk = sample(10);
    let mut handed = Vec::new();
    let chain = chunk.chain_each(seal(), CHAIN_START, |entry| handed.push(entry));
    assert_eq!(handed, chunk.entries().collect::<Vec<_>>());
    assert_eq!(chain, chunk.chain(seal(), CHAIN_START));
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let chunk = sample(10);
    for position in 0..chunk.bytes().len() {
        for bit in 0..8 {
            let mut bytes = chunk.bytes().to_vec();
            bytes[position] ^= 1 << bit;
            assert!(decode(10, 3, &bytes).is_err(), "bit {bit} of byte {position}");
        }
        assert!(decode(10, 3, &chunk.bytes()[..position]).is_err(), "cut at {position}");
    }
}

#[test]
fn entries_of_another_index_term_group_or_generation_are_strangers() {
    let chunk = sample(10);
    let bytes = chunk.bytes().clone();
    assert!(decode(11, 3, &bytes).is_err());
    let other_term = LogId { term: Term::new(4), index: Index::new(10) };
    assert!(Chunk::decode(seal(), other_term, 3, bytes.clone()).is_err());
    for stranger in [
        Seal::new(GroupId::new(8), Generation::new(1)),
        Seal::new(GroupId::new(7), Generation::new(2)),
    ] {
        assert!(Chunk::decode(stranger, at(10), 3, bytes.clone()).is_err());
    }
}

#[test]
fn a_claimed_length_is_never_trusted() {
    let chunk = sample(10);
    for len in [0, 1, 2, 4, u32::try_from(CHUNK_LEN_MAX).unwrap() + 1, u32::MAX] {
        assert!(decode(10, len, chunk.bytes()).is_err(), "length {len}");
    }
}

#[test]
fn parts_of_a_chunk_hold_exactly_their_entries() {
    let chunk = sample(10);
    for split in 11..=12 {
        let head = chunk.until(Index::new(split - 1)).unwrap();
        let tail = chunk.from(Index::new(split)).unwrap();
        assert_eq!((head.first().get(), head.last().get()), (10, split - 1));
        assert_eq!((tail.first().get(), tail.last().get()), (split, 12));
        assert_eq!(decode(10, head.len(), head.bytes()).unwrap(), head);
        assert_eq!(decode(split, tail.len(), tail.bytes()).unwrap(), tail);
    }
    assert_eq!(chunk.from(Index::new(13)), None);
    assert_eq!(chunk.until(Index::new(9)), None);
    assert_eq!(chunk.head_within(1).len(), 1);
    assert_eq!(chunk.head_within(usize::MAX), chunk);
}

#[test]
fn truncated_entries_end_before_the_index() {
    let mut entries = Entries::from(sample(10));
    entries.push(sample(13));
    for keep in (9..=15).rev() {
        entries.truncate(Index::new(keep + 1));
        assert_eq!(entries.len(), keep - 9);
        assert_eq!(entries.last().map(|last| last.index.get()), (keep > 9).then_some(keep));
    }
}

#[test]
fn one_block_serves_many_chunks_and_a_large_one_gets_its_own() {
    let mut arena = Arena::new(128);
    let large = vec![1; 1000];
    let entry =
        |payload| NewEntry { kind: EntryKind::Command, log_time_ms: 0, origin: None, payload };
    let small = Chunk::encode(&mut arena, seal(), at(1), [entry(b"a")].into_iter());
    let big = Chunk::encode(&mut arena, seal(), at(2), [entry(&large)].into_iter());
    assert_eq!(small.entries().next().unwrap().payload, b"a");
    assert_eq!(big.entries().next().unwrap().payload, large);
}

#[test]
fn the_chain_of_a_log_is_the_same_however_it_is_cut_and_another_for_another_entry() {
    let chunk = sample(10);
    let whole = chunk.chain(seal(), CHAIN_START).unwrap();
    assert_eq!(chunk.link(CHAIN_START), whole, "checked or not");
    for cut in [11, 12] {
        let head = chunk.until(Index::new(cut - 1)).unwrap();
        let tail = chunk.from(Index::new(cut)).unwrap();
        let first = head.chain(seal(), CHAIN_START).unwrap();
        assert_ne!(first, whole);
        assert_eq!(tail.chain(seal(), first), Ok(whole), "cut before {cut}");
    }
    assert_ne!(chunk.chain(seal(), 1).unwrap(), whole, "another log before it");
    assert_ne!(sample(11).chain(seal(), CHAIN_START).unwrap(), whole, "another place");
}

#[test]
fn damage_in_memory_is_found_where_entries_are_used() {
    let chunk = sample(10);
    for position in 0..chunk.bytes().len() {
        let mut bytes = chunk.bytes().to_vec();
        bytes[position] ^= 16;
        let damaged = Chunk { bytes: bytes.into(), ..chunk.clone() };
        assert!(damaged.chain(seal(), CHAIN_START).is_err(), "byte {position}");
    }
}
