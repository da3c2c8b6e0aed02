//! A store read out while it changes, against a copy of it; and bytes that are
//! no snapshot.

use bytes::{Bytes, BytesMut};

use super::{CaptureError, CaptureId, PENDING_BYTES_MAX, STEP_BYTES, STEP_ITEMS_MAX, Step};
use crate::operation::Command;
use crate::operation::hash::{HashChange, HashCommand};
use crate::operation::key::{ExpireCondition, KeyCommand, When};
use crate::operation::list::{ListChange, ListCommand};
use crate::operation::set::{SetChange, SetCommand};
use crate::operation::sorted_set::{AddRule, SortedSetChange, SortedSetCommand};
use crate::operation::string::StringCommand;
use crate::store::entry::Entry;
use crate::store::snapshot::{self, Restoring, SnapshotError};
use crate::store::{Applied, Store};
use crate::value::list::End;
use crate::value::score::Score;
use raftlet::core::Index;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        (self.0 >> 33) % bound
    }
}

type Written = Command<Vec<u8>>;

/// A command of any family, on one of few keys.
fn command(random: &mut Random) -> Written {
    let key = format!("key-{}", random.below(400)).into_bytes();
    let part = format!("part-{}", random.below(12)).into_bytes();
    let value = vec![b'v'; usize::try_from(random.below(90)).unwrap()];
    match random.below(16) {
        0..=4 => StringCommand::Set { key, value }.into(),
        5 => StringCommand::IncrBy { key, by: 7 }.into(),
        6 => HashCommand { key, change: HashChange::Set(vec![(part, value)]) }.into(),
        7 => HashCommand { key, change: HashChange::Remove(vec![part]) }.into(),
        8 => SetCommand::One { key, change: SetChange::Add(vec![part]) }.into(),
        9 => SetCommand::One { key, change: SetChange::Remove(vec![part]) }.into(),
        10 => {
            let end = if random.below(2) == 0 { End::Front } else { End::Back };
            let change = ListChange::Push { end, only_existing: false, elements: vec![part] };
            ListCommand::One { key, change }.into()
        }
        11 => {
            let score = Score::new(f64::from(u32::try_from(random.below(50)).unwrap())).unwrap();
            let change =
                SortedSetChange::Add { rule: AddRule::default(), members: vec![(score, part)] };
            SortedSetCommand::One { key, change }.into()
        }
        12 => KeyCommand::Rename { from: key, to: part, if_missing: false }.into(),
        13 => KeyCommand::Del { keys: vec![key] }.into(),
        14 => {
            let when = When::At(i64::try_from(1_000 + random.below(40_000)).unwrap());
            KeyCommand::Expire { key, when, condition: ExpireCondition::default() }.into()
        }
        _ if random.below(400) == 0 => KeyCommand::Flush.into(),
        _ => KeyCommand::Persist { key }.into(),
    }
}

fn apply(store: &mut Store, nth: u64, command: &Written) {
    let at = Applied { index: Index::new(nth), log_time_ms: nth * 3 };
    store.apply(at, command);
}

/// Everything that can be told of a store, in the order of its walk.
fn told(store: &Store) -> Vec<String> {
    let mut met = Vec::new();
    let mut position = Some(0);
    while let Some(from) = position {
        position = store.entries.walk(from, &mut met);
    }
    let head = format!(
        "{} {} {} {} {} {:?}",
        store.digest(),
        store.used_bytes(),
        store.keys_len(),
        store.deadlines_len(),
        store.log_time_ms(),
        (store.next_deadline_ms(), store.index, store.is_seeded),
    );
    let lines = met.iter().map(|(key, entry)| format!("{key:?} {entry:?}"));
    std::iter::once(head).chain(lines).collect()
}

fn restored(chunks: &[Bytes], seed: u64) -> Result<Store, SnapshotError> {
    let mut restoring = Restoring::new(seed);
    for chunk in chunks {
        restoring.push(chunk.clone());
        while restoring.step()? {}
    }
    restoring.finish()
}

/// The next chunk, however many steps it takes.
fn next_chunk(store: &mut Store, id: CaptureId) -> Result<Option<Bytes>, CaptureError> {
    loop {
        match store.read_out(id)? {
            Step::Chunk(chunk) => return Ok(Some(chunk)),
            Step::End => return Ok(None),
            Step::More => {}
        }
    }
}

/// All that is left of a capture.
fn rest(store: &mut Store, id: CaptureId) -> Vec<Bytes> {
    std::iter::from_fn(|| next_chunk(store, id).unwrap()).collect()
}

/// A store that has applied `len` commands of a seed, seeded alike.
fn grown(seed: u64, len: u64) -> (Store, Vec<Written>) {
    let mut random = Random(seed);
    let mut store = Store::new(seed);
    let mut log = vec![Written::Seed(99)];
    log.extend((1..len).map(|_| command(&mut random)));
    for (nth, command) in (1..).zip(&log) {
        apply(&mut store, nth, command);
    }
    (store, log)
}

#[test]
fn what_is_read_out_is_the_moment_whatever_is_written_meanwhile() {
    for seed in 1..=30 {
        let len = 200 + seed * 40;
        let (mut store, log) = grown(seed, len);
        let expected = told(&grown(seed, len).0);
        let mut random = Random(seed * 77);
        let id = store.capture();
        let mut nth = u64::try_from(log.len()).unwrap();
        loop {
            // Chunks of these small stores hold all: walk by hand, bucket by bucket.
            store.step_little(id);
            for _ in 0..random.below(8) {
                nth += 1;
                apply(&mut store, nth, &command(&mut random));
            }
            if store.is_walked(id) {
                break;
            }
        }
        let restored = restored(&rest(&mut store, id), seed + 1).unwrap();
        assert_eq!(told(&restored), expected, "seed {seed}");
        // The same commands on it do the same.
        let (mut one, mut other) = (grown(seed, len).0, restored);
        for more in 0..300 {
            let command = command(&mut random);
            apply(&mut one, nth + more, &command);
            apply(&mut other, nth + more, &command);
        }
        assert_eq!(told(&one), told(&other), "seed {seed}");
    }
}

#[test]
fn a_newer_capture_or_another_seed_of_the_walk_ends_the_former() {
    let (mut store, _) = grown(3, 300);
    let (first, second) = (store.capture(), store.capture());
    assert_eq!(store.read_out(first), Err(CaptureError::Replaced));
    assert!(next_chunk(&mut store, second).unwrap().is_some());
    store.end_capture(second);
    assert_eq!(store.read_out(second), Err(CaptureError::Replaced));
    let mut store = Store::new(1);
    let id = store.capture();
    apply(&mut store, 1, &Written::Seed(5));
    assert_eq!(store.read_out(id), Err(CaptureError::Replaced));
}

#[test]
fn no_prefix_of_a_snapshot_and_no_changed_record_passes() {
    let (mut store, _) = grown(5, 60);
    let id = store.capture();
    let whole = next_chunk(&mut store, id).unwrap().unwrap();
    assert_eq!(store.read_out(id), Ok(Step::End));
    assert!(restored(std::slice::from_ref(&whole), 1).is_ok());
    for cut in 0..whole.len() {
        assert!(restored(&[whole.slice(..cut)], 1).is_err(), "cut at {cut}");
    }
    let mut passed = 0;
    for at in 0..whole.len() {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        passed += usize::from(restored(&[bytes.into()], 1).is_ok());
    }
    // Index, log time and versions are not part of the digest: the file's
    // checksums hold them. Whatever a client can see is.
    assert!(passed < whole.len() / 2, "{passed} of {} flips pass", whole.len());
    let behind = [whole.clone(), Bytes::from_static(b"\x01\0\0\0\0")];
    assert_eq!(restored(&behind, 1).err(), Some(SnapshotError::Length));
    assert_eq!(restored(&[Bytes::from_static(&[7; 99])], 1).err(), Some(SnapshotError::Version));
}

#[test]
fn a_snapshot_comes_in_chunks_of_a_bounded_size_and_may_be_cut_anywhere() {
    let mut store = Store::new(1);
    for nth in 1..=3_000 {
        let key = format!("key-{nth}").into_bytes();
        apply(&mut store, nth, &StringCommand::Set { key, value: vec![7; 1_000] }.into());
    }
    let id = store.capture();
    let chunks = rest(&mut store, id);
    assert!(chunks.iter().all(|chunk| chunk.len() <= super::CHUNK_BYTES));
    assert!(chunks.len() > 9);
    let pieces: Vec<_> = chunks.concat().chunks(777).map(Bytes::copy_from_slice).collect();
    assert_eq!(restored(&pieces, 4).unwrap().digest(), store.digest());
}

/// A command that grows, changes, moves or ends one of few large collections.
fn large_command(random: &mut Random) -> Written {
    let kinds: [&[u8]; 4] = [b"hash", b"set", b"list", b"sorted"];
    let kind = usize::try_from(random.below(4)).unwrap();
    let key_of = |number: u64| [kinds[kind], number.to_string().as_bytes()].concat();
    let (key, to) = (key_of(random.below(2)), key_of(random.below(2)));
    let part = |random: &mut Random| random.below(3_000).to_string().into_bytes();
    let parts: Vec<Vec<u8>> = (0..=random.below(400)).map(|_| part(random)).collect();
    let grows = random.below(4) > 0;
    match random.below(60) {
        0 => return KeyCommand::Rename { from: key, to, if_missing: false }.into(),
        1 => return KeyCommand::Del { keys: vec![key] }.into(),
        2 => return KeyCommand::Copy { from: key, to, replaces: true }.into(),
        3 => {
            let when = When::At(i64::try_from(1_000 + random.below(90_000)).unwrap());
            return KeyCommand::Expire { key, when, condition: ExpireCondition::default() }.into();
        }
        4 => return KeyCommand::Persist { key }.into(),
        5 => return StringCommand::Set { key, value: b"instead".to_vec() }.into(),
        6 if random.below(6) == 0 => return KeyCommand::Flush.into(),
        _ => {}
    }
    let pairs = |parts: Vec<Vec<u8>>| parts.into_iter().map(|part| (part.clone(), part)).collect();
    let score = Score::new(f64::from(u32::try_from(random.below(50)).unwrap())).unwrap();
    let end = if random.below(2) == 0 { End::Front } else { End::Back };
    match (kind, grows) {
        (0, true) => HashCommand { key, change: HashChange::Set(pairs(parts)) }.into(),
        (0, false) => HashCommand { key, change: HashChange::Remove(parts) }.into(),
        (1, true) => SetCommand::One { key, change: SetChange::Add(parts) }.into(),
        (1, false) => SetCommand::One { key, change: SetChange::Remove(parts) }.into(),
        (2, true) => {
            let change = ListChange::Push { end, only_existing: false, elements: parts };
            ListCommand::One { key, change }.into()
        }
        (2, false) => ListCommand::One { key, change: list_change(random, end, parts) }.into(),
        (_, true) => {
            let members = parts.into_iter().map(|part| (score, part)).collect();
            let change = SortedSetChange::Add { rule: AddRule::default(), members };
            SortedSetCommand::One { key, change }.into()
        }
        (_, false) => {
            let change = SortedSetChange::Remove(parts);
            SortedSetCommand::One { key, change }.into()
        }
    }
}

fn list_change(random: &mut Random, end: End, parts: Vec<Vec<u8>>) -> ListChange<Vec<u8>> {
    let count = random.below(30);
    let part = parts.into_iter().next().unwrap_or_default();
    match random.below(12) {
        0 => ListChange::Remove { count: 2, element: Box::new(part) },
        1 => {
            let pivot_and_element = Box::new((part, b"between".to_vec()));
            ListChange::Insert { side: end, pivot_and_element }
        }
        2 => {
            let position = i64::try_from(count * 9).unwrap();
            ListChange::Set { position, element: Box::new(part) }
        }
        _ => ListChange::Pop { end, count: Some(count) },
    }
}

/// What a client can see of a store, and in which order: not how collections lie
/// in memory, which follows from their history.
fn seen(store: &Store) -> (u64, u64, Vec<BytesMut>) {
    let mut met = Vec::new();
    let mut position = Some(0);
    while let Some(from) = position {
        position = store.entries.walk(from, &mut met);
    }
    let encoded = |(key, entry): (&[u8], &Entry)| {
        let mut bytes = BytesMut::new();
        snapshot::put_entry(key, entry, &mut bytes);
        bytes
    };
    (store.digest(), store.used_bytes(), met.into_iter().map(encoded).collect())
}

#[test]
fn a_large_collection_is_read_out_as_it_was_whatever_becomes_of_it_meanwhile() {
    let (mut in_pieces, mut moved) = (0, 0);
    for seed in 1..=12 {
        let grown = || {
            let mut random = Random(seed);
            let mut store = Store::new(seed);
            apply(&mut store, 1, &Written::Seed(99));
            for nth in 2..160 {
                apply(&mut store, nth, &large_command(&mut random));
            }
            (store, random)
        };
        let expected = seen(&grown().0);
        let (mut store, mut random) = grown();
        let id = store.capture();
        let mut nth = 160;
        while !store.is_walked(id) {
            store.step_little(id);
            for _ in 0..random.below(6) {
                nth += 1;
                let command = large_command(&mut random);
                moved += u64::from(matches!(&command, Written::Key(KeyCommand::Rename { .. })));
                apply(&mut store, nth, &command);
            }
        }
        in_pieces += store.opened(id);
        let restored = restored(&rest(&mut store, id), seed + 1).unwrap();
        assert!(seen(&restored) == expected, "seed {seed}: it is not the moment");
        store.end_capture(id);
        let (mut one, mut other) = (grown().0, restored);
        for more in 0..60 {
            let command = large_command(&mut random);
            apply(&mut one, nth + more, &command);
            apply(&mut other, nth + more, &command);
        }
        assert!(seen(&one) == seen(&other), "seed {seed}: it goes on differently");
    }
    assert!(in_pieces > 30 && moved > 5, "{in_pieces} in pieces, {moved} moved");
}

#[test]
fn a_step_is_bounded_in_bytes_and_in_items_and_a_write_costs_what_it_touches() {
    let mut store = Store::new(1);
    for nth in 1..=20_000_u64 {
        let key = format!("key-{nth}").into_bytes();
        let field = HashChange::Set(vec![(key.clone(), vec![7; 100])]);
        apply(&mut store, nth, &StringCommand::Set { key: key.clone(), value: vec![7; 20] }.into());
        apply(&mut store, nth, &HashCommand { key: b"large".to_vec(), change: field }.into());
        let member = SetChange::Add(vec![key]);
        apply(
            &mut store,
            nth,
            &SetCommand::One { key: b"members".to_vec(), change: member }.into(),
        );
    }
    let id = store.capture();
    let (mut steps, mut most, mut left) = (0, 0, store.pending_bytes(id));
    loop {
        // Before and behind their turns.
        let key = format!("key-{}", 1 + steps * 7 % 20_000).into_bytes();
        let field = HashChange::Set(vec![(key.clone(), vec![8; 100])]);
        apply(&mut store, 30_000, &HashCommand { key: b"large".to_vec(), change: field }.into());
        let gone = SetChange::Remove(vec![key]);
        apply(
            &mut store,
            30_000,
            &SetCommand::One { key: b"members".to_vec(), change: gone }.into(),
        );
        let ahead = store.pending_bytes(id) - left;
        assert!(ahead < 1_000, "a write wrote {ahead} bytes out");
        let before = store.pending_bytes(id);
        match store.read_out(id).unwrap() {
            Step::More => most = most.max(store.pending_bytes(id) - before),
            Step::Chunk(_) => {}
            Step::End => break,
        }
        left = store.pending_bytes(id);
        steps += 1;
    }
    assert!(most < STEP_BYTES + 1_000, "{most} bytes in one step");
    // 10 000 buckets with 20 000 keys, and 20 000 elements of each collection.
    assert!(steps > 70_000 / u64::try_from(STEP_ITEMS_MAX).unwrap(), "{steps} steps");
}

#[test]
fn what_is_overwritten_faster_than_it_is_fetched_ends_the_capture_and_not_the_store() {
    let mut store = Store::new(1);
    let value_bytes = 8 << 20;
    let keys = u64::try_from(PENDING_BYTES_MAX / value_bytes).unwrap() + 2;
    let set = |nth: u64, value: Vec<u8>| {
        Written::from(StringCommand::Set { key: nth.to_le_bytes().to_vec(), value })
    };
    for nth in 0..keys {
        apply(&mut store, 1 + nth, &set(nth, vec![1; value_bytes]));
    }
    let id = store.capture();
    for nth in 0..keys {
        apply(&mut store, 1_000 + nth, &set(nth, vec![2]));
    }
    assert_eq!(store.read_out(id), Err(CaptureError::TooSlow));
    assert_eq!(store.pending_bytes(id), 0, "nothing is kept for nobody");
    assert_eq!(store.keys_len(), usize::try_from(keys).unwrap());
}

#[test]
fn a_snapshot_of_the_version_without_pieces_is_read() {
    let (mut store, _) = grown(5, 60);
    let id = store.capture();
    let mut bytes = rest(&mut store, id).concat();
    assert_eq!(bytes[11..13], 2_u16.to_le_bytes());
    bytes[11] = 1;
    assert_eq!(restored(&[bytes.clone().into()], 1).unwrap().digest(), store.digest());
    bytes[11] = 3;
    assert_eq!(restored(&[bytes.into()], 1).err(), Some(SnapshotError::Version));
}

#[test]
fn pieces_that_overlap_or_are_missing_make_no_store() {
    let mut store = Store::new(1);
    for nth in 1..=2_000_u64 {
        let change = SetChange::Add(vec![nth.to_string().into_bytes()]);
        apply(&mut store, nth, &SetCommand::One { key: b"members".to_vec(), change }.into());
    }
    let id = store.capture();
    let whole = rest(&mut store, id).concat();
    let mut records = vec![whole[..38].to_vec()];
    let mut at = 38;
    while at < whole.len() {
        let len = u32::from_le_bytes(whole[at..at + 4].try_into().unwrap());
        let end = at + 4 + usize::try_from(len).unwrap();
        records.push(whole[at..end].to_vec());
        at = end;
    }
    let make = |order: &[usize]| {
        let chunks: Vec<Bytes> = order.iter().map(|at| records[*at].clone().into()).collect();
        restored(&chunks, 1).map(|store| store.digest())
    };
    // Head, opening, four pieces, end.
    assert_eq!(records.len(), 7);
    assert_eq!(make(&[0, 1, 2, 3, 4, 5, 6]), Ok(store.digest()));
    assert_eq!(make(&[0, 1, 5, 3, 2, 4, 6]), Ok(store.digest()), "in any order");
    assert_eq!(make(&[0, 1, 2, 3, 5, 6]), Err(SnapshotError::Length), "one is missing");
    assert_eq!(make(&[0, 2, 1, 3, 4, 5, 6]), Err(SnapshotError::Record { record: 1 }));
    assert_eq!(make(&[0, 1, 2, 2, 3, 4, 5, 6]), Err(SnapshotError::Record { record: 3 }), "twice");
    assert_eq!(make(&[0, 1, 1, 2, 3, 4, 5, 6]), Err(SnapshotError::Record { record: 2 }));
}
