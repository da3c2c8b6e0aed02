//! A store read out while it changes, against a copy of it; and bytes that are
//! no snapshot.

use super::CaptureError;
use crate::operation::Command;
use crate::operation::hash::{HashChange, HashCommand};
use crate::operation::key::{ExpireCondition, KeyCommand, When};
use crate::operation::list::{ListChange, ListCommand};
use crate::operation::set::{SetChange, SetCommand};
use crate::operation::sorted_set::{AddRule, SortedSetChange, SortedSetCommand};
use crate::operation::string::StringCommand;
use crate::store::snapshot::{Restoring, SnapshotError};
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

fn restored(chunks: &[bytes::Bytes], seed: u64) -> Result<Store, SnapshotError> {
    let mut restoring = Restoring::new(seed);
    for chunk in chunks {
        restoring.push(chunk)?;
    }
    restoring.finish()
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
        let mut chunks = Vec::new();
        let mut nth = u64::try_from(log.len()).unwrap();
        loop {
            // Chunks of these small stores hold all: walk by hand, bucket by bucket.
            store.step(id);
            for _ in 0..random.below(8) {
                nth += 1;
                apply(&mut store, nth, &command(&mut random));
            }
            if store.is_walked(id) {
                break;
            }
        }
        while let Some(chunk) = store.next_chunk(id).unwrap() {
            chunks.push(chunk);
        }
        let restored = restored(&chunks, seed + 1).unwrap();
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
    assert_eq!(store.next_chunk(first), Err(CaptureError::Replaced));
    assert!(store.next_chunk(second).unwrap().is_some());
    store.end_capture(second);
    assert_eq!(store.next_chunk(second), Err(CaptureError::Replaced));
    let mut store = Store::new(1);
    let id = store.capture();
    apply(&mut store, 1, &Written::Seed(5));
    assert_eq!(store.next_chunk(id), Err(CaptureError::Replaced));
}

#[test]
fn no_prefix_of_a_snapshot_and_no_changed_record_passes() {
    let (mut store, _) = grown(5, 60);
    let id = store.capture();
    let whole = store.next_chunk(id).unwrap().unwrap();
    assert!(store.next_chunk(id).unwrap().is_none());
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
    let behind = [whole.clone(), bytes::Bytes::from_static(b"\x01\0\0\0\0")];
    assert_eq!(restored(&behind, 1).err(), Some(SnapshotError::Length));
    assert_eq!(
        restored(&[bytes::Bytes::from_static(&[7; 99])], 1).err(),
        Some(SnapshotError::Version)
    );
}

#[test]
fn a_snapshot_comes_in_chunks_of_a_bounded_size_and_may_be_cut_anywhere() {
    let mut store = Store::new(1);
    for nth in 1..=3_000 {
        let key = format!("key-{nth}").into_bytes();
        apply(&mut store, nth, &StringCommand::Set { key, value: vec![7; 1_000] }.into());
    }
    let id = store.capture();
    let mut chunks = Vec::new();
    while let Some(chunk) = store.next_chunk(id).unwrap() {
        assert!(chunk.len() <= 300 << 10, "{}", chunk.len());
        chunks.push(chunk);
    }
    assert!(chunks.len() > 9);
    let pieces: Vec<_> = chunks.concat().chunks(777).map(bytes::Bytes::copy_from_slice).collect();
    assert_eq!(restored(&pieces, 4).unwrap().digest(), store.digest());
}
