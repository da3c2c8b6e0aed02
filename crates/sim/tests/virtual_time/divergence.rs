//! Logs that came apart are one again after a round trip per distinct term
//! (§3.5).

use std::collections::BTreeSet;

use crate::trio::{GENERATION, Link, Trio, first};
use raftlet::core::{
    Arena, Chunk, EntryKind, GroupId, HardState, Index, LogId, NewEntry, Restored, Seal, Term,
};

const GROUP: GroupId = GroupId::new(1);
const MS: u64 = 1_000_000;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A log of these terms, from index 2 on; entry 1 is the configuration.
fn log(terms: &[u64], term: u64) -> (Restored, Vec<Chunk>) {
    let (mut restored, mut chunks) = first(GROUP);
    let mut arena = Arena::default();
    for (term, index) in terms.iter().zip(2..) {
        let at = LogId { term: Term::new(*term), index: Index::new(index) };
        let entry =
            NewEntry { kind: EntryKind::Command, log_time_ms: 0, origin: None, payload: b"x" };
        let seal = Seal::new(GROUP, GENERATION);
        chunks.push(Chunk::encode(&mut arena, seal, at, std::iter::once(entry)));
        if restored.runs.last().is_none_or(|run| run.term != at.term) {
            restored.runs.push(at);
        }
        restored.last = at.index;
    }
    restored.hard_state = HardState { term: Term::new(term), vote: None };
    (restored, chunks)
}

#[test]
fn divergence_is_repaired_in_a_round_trip_per_distinct_term_whatever_the_logs() {
    let mut repaired = 0;
    for seed in 0..400 {
        let mut random = Random(seed);
        // Terms 2 to 20: each was led by one of two, so no term has two histories.
        let owners: Vec<u64> = (0..21).map(|_| random.below(2)).collect();
        let mut histories = [Vec::new(), Vec::new()];
        let shared: Vec<u64> = (0..random.below(6)).map(|_| 1).collect();
        for history in &mut histories {
            history.extend(&shared);
        }
        for term in 2..21 {
            let len = random.below(12) * random.below(2);
            let owner = usize::try_from(owners[usize::try_from(term).unwrap()]).unwrap();
            histories[owner].extend((0..len).map(|_| term));
        }
        let [leader, follower] = histories;
        let apart: BTreeSet<u64> =
            leader.iter().chain(&follower).copied().filter(|term| *term > 1).collect();
        // Two hold the leader's log, so one of them wins whoever asks first.
        let better = leader.last().copied().unwrap_or(1) >= follower.last().copied().unwrap_or(1);
        let (leader, follower) = if better { (leader, follower) } else { (follower, leader) };
        let logs = vec![log(&leader, 21), log(&leader, 21), log(&follower, 21)];
        let link = Link { one_way_ns: MS, bytes_per_s: 0 };
        let mut trio = Trio::new(GROUP, link, logs);
        trio.run_until(20_000 * MS);
        let at = trio.leader().expect("a majority elects");
        let last = trio.groups[at].last();
        for member in &trio.groups {
            assert_eq!((member.last(), member.commit_index()), (last, last.index), "seed {seed}");
            let rejects = member.counters().rejects;
            let terms = u64::try_from(apart.len()).unwrap() + 1;
            assert!(rejects <= terms, "seed {seed}: {rejects} rejects, {terms} terms");
            repaired += u64::from(rejects > 0);
        }
    }
    assert!(repaired > 100, "logs hardly ever came apart: {repaired}");
}
