//! Ten thousand groups of which nobody wants anything.

use crate::trio::{Link, Trio, first};
use raftlet::core::GroupId;

const GROUPS: u64 = 10_000;
const MS: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MS;
/// From the commit to the last follower that knows it: the leader waits a
/// heartbeat interval for entries that would bring it, then a way there and
/// back.
const LEARNS_WITHIN: u64 = 150 * MS;

#[test]
fn ten_thousand_idle_groups_send_nothing_for_an_hour_and_all_members_know_the_last_commit() {
    let link = Link { one_way_ns: MS, bytes_per_s: 0 };
    let mut led = [0_u64; 3];
    for number in 1..=GROUPS {
        let group = GroupId::new(number);
        let mut trio = Trio::new(group, link, (0..3).map(|_| first(group)).collect());
        trio.run_until(100 * MS);
        let leader = trio.leader().expect("somebody leads a fresh group at once");
        led[leader] += 1;
        assert!(trio.propose(leader, &[b"the last"]));
        let committed = trio.now_ns + 2 * link.one_way_ns;
        trio.run_until(committed + LEARNS_WITHIN);
        let last = trio.groups[leader].last_index();
        for member in &trio.groups {
            assert_eq!(member.commit_index(), last, "{group}: {} knows", member.seat().node);
        }
        trio.run_until(committed + 1_000 * MS);
        let (messages, now) = (trio.messages, trio.now_ns);
        let happened = trio.run_until(now + HOUR);
        assert!(!happened && trio.messages == messages, "{group} is not idle");
        assert!(trio.groups.iter().all(|member| member.next_deadline().is_none()));
    }
    // Leaders of fresh groups spread over the nodes.
    assert!(led.iter().all(|groups| groups.abs_diff(GROUPS / 3) <= 1), "{led:?}");
}
