//! A long link stays full (D3, rule 42).

use crate::trio::{Link, Trio, first};
use raftlet::core::GroupId;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Half of what the default window of 8 MiB carries over a round trip of 100 ms.
const LINK: Link = Link { one_way_ns: 50 * MS, bytes_per_s: 40_000_000 };
/// Bytes of an entry's header.
const HEADER: u64 = 24;

/// Bytes of entries committed in a second by a leader whose callers want more
/// than the link carries, in calls of `len` commands of `bytes` each, all over
/// the millisecond.
fn committed_per_second(len: usize, bytes: usize) -> u64 {
    let group = GroupId::new(1);
    let mut trio = Trio::new(group, LINK, (0..3).map(|_| first(group)).collect());
    trio.run_until(2 * SECOND);
    let leader = trio.leader().expect("somebody leads");
    let payload = vec![7; bytes];
    let commands: Vec<&[u8]> = (0..len).map(|_| &payload[..]).collect();
    let call = u64::try_from(len * bytes).unwrap() + HEADER * u64::try_from(len).unwrap();
    let mut run = |ms: u64| {
        let from = trio.groups[leader].commit_index();
        for _ in 0..ms {
            // Half as much again as the link carries in a millisecond.
            let mut wanted = LINK.bytes_per_s / 1_000 * 3 / 2;
            while wanted > 0 && trio.propose(leader, &commands) {
                wanted = wanted.saturating_sub(call);
            }
            let next = trio.now_ns + MS;
            trio.run_until(next);
        }
        trio.groups[leader].commit_index() - from
    };
    run(1_000);
    run(1_000) * (u64::try_from(bytes).unwrap() + HEADER)
}

#[test]
fn a_link_of_100_ms_stays_full_with_small_entries_and_with_large_ones() {
    for (len, bytes) in [(16, 100), (1, 1_000), (1, 64 << 10), (1, 512 << 10)] {
        let per_second = committed_per_second(len, bytes);
        let share = per_second * 100 / LINK.bytes_per_s;
        println!("{len} x {bytes} B a call: {share} % of the link");
        assert!(share >= 80, "{len} x {bytes} B a call: {share} % of the link");
    }
}
