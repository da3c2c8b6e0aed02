//! Claims about the log's time (D12): what a time to live is counted by.

use crate::entry::arena::Arena;
use crate::error::ProposeError;
use crate::group::tests::{CALENDAR_MS, Cluster};
use crate::ids::{Index, LogId};
use crate::output::Role;

const HOUR_MS: i64 = 3_600_000;

impl Cluster {
    fn truth_ms(&self) -> u64 {
        CALENDAR_MS + self.time_ms
    }

    fn stamp_at(&mut self, node: u64, index: Index) -> u64 {
        let entries = self.group(node).entries(index, index, 0).unwrap();
        entries.iter().next().unwrap().log_time_ms
    }

    /// What an entry is stamped with that is proposed now.
    fn stamp(&mut self, node: u64) -> u64 {
        let LogId { index, .. } = self.propose(node, b"x");
        let stamp = self.stamp_at(node, index);
        self.deliver_all();
        stamp
    }

    /// Somebody else leads, and the former leader is back.
    fn depose(&mut self, leader: u64) -> u64 {
        self.isolated = vec![leader];
        self.run_ms(2_000);
        self.isolated.clear();
        self.run_ms(500);
        let leaders = self.leaders();
        assert_eq!(leaders.len(), 1, "{leaders:?}");
        assert_ne!(leaders, [leader]);
        leaders[0]
    }
}

fn led_by_1() -> Cluster {
    let mut cluster = Cluster::voters(3);
    cluster.run_ms(20);
    assert_eq!(cluster.leaders(), [1]);
    cluster
}

/// A whole log of an hour ago: whoever leads first knows that time passed, and
/// not how much of it.
#[test]
fn no_command_is_stamped_before_a_quorum_told_what_an_outage_took() {
    let mut cluster = Cluster::voters(3);
    cluster.calendars_ms[0] = HOUR_MS;
    // As run_ms, but with the no-op still on its way.
    while cluster.group(1).role() != Role::Leader {
        if cluster.queue.is_empty() {
            cluster.time_ms += 1;
            let now = cluster.now_at(1);
            cluster.group(1).on_deadline(now);
            cluster.pump(1);
        } else {
            cluster.deliver_first_but(0);
        }
    }
    let now = cluster.now_at(1);
    let refused = cluster.group(1).propose(now, &mut Arena::default(), [&b"x"[..]].into_iter());
    assert_eq!(refused, Err(ProposeError::Settling));
    cluster.deliver_all();
    // From the first command on: what would jump later would cut a life short.
    for _ in 0..2_000 {
        assert_eq!(cluster.stamp(1), cluster.truth_ms());
        cluster.time_ms += 1;
    }
}

#[test]
fn a_new_leader_goes_on_from_the_time_it_heard_of_and_not_from_the_last_stamp() {
    let mut cluster = led_by_1();
    let last = cluster.stamp(1);
    cluster.run_ms(5_000);
    let leader = cluster.depose(1);
    let noop = Index::new(cluster.committed[0].get());
    let stamps = [cluster.stamp_at(leader, noop), cluster.stamp(leader)];
    assert!(stamps[0] > last + 5_000, "{stamps:?} after {last}");
    assert_eq!(stamps[1], cluster.truth_ms());
}

#[test]
fn one_wrong_calendar_moves_nothing_whoever_has_it_and_whoever_leads() {
    for (wrong, ahead_ms) in [(1, HOUR_MS), (1, -HOUR_MS), (2, HOUR_MS), (2, -HOUR_MS)] {
        let mut cluster = led_by_1();
        let (mut leader, mut last) = (1, 0);
        let mut stamps = |cluster: &mut Cluster, leader, what: &str| {
            for _ in 0..3_000 {
                let stamp = cluster.stamp(leader);
                assert!(stamp >= last, "a stamp fell");
                assert_eq!(stamp, cluster.truth_ms(), "{what}: node {wrong} {ahead_ms} ms ahead");
                last = stamp;
                cluster.time_ms += 1;
            }
        };
        stamps(&mut cluster, leader, "right calendars");
        cluster.calendars_ms[wrong - 1] = ahead_ms;
        stamps(&mut cluster, leader, "the same leader");
        leader = cluster.depose(leader);
        stamps(&mut cluster, leader, "another leader");
        leader = cluster.depose(leader);
        stamps(&mut cluster, leader, "one more");
    }
}

#[test]
fn a_step_is_as_long_as_a_majoritys_calendars_have_made_it() {
    let mut cluster = led_by_1();
    assert_eq!(cluster.stamp(1), cluster.truth_ms());
    (cluster.calendars_ms[1], cluster.calendars_ms[2]) = (HOUR_MS, HOUR_MS);
    cluster.stamp(1);
    let hour_ms = HOUR_MS.unsigned_abs();
    assert_eq!(cluster.stamp(1), cluster.truth_ms(), "its own calendar tells of no gap");
    cluster.calendars_ms[0] = 2 * HOUR_MS;
    assert_eq!(cluster.stamp(1), cluster.truth_ms() + hour_ms);
}
