//! Logs that lose their front, members that get a snapshot instead.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::cluster::{Cluster, GROUP, Kept, LINES_PER_CHUNK, Ledger};
use raftlet::core::{Body, Index, NodeId};
use raftlet::{ShardOptions, Storage};

/// A snapshot every fifty entries, and a tail of five.
fn often(options: &mut ShardOptions) {
    options.snapshot_log_entries = 50;
    options.snapshot_tail_entries = 5;
}

fn fill(cluster: &Cluster, leader: u64, lines: std::ops::Range<usize>) {
    for n in lines {
        cluster.outcome(leader, &n.to_string()).unwrap();
    }
}

fn numbers(lines: std::ops::Range<usize>) -> Vec<String> {
    lines.map(|n| n.to_string()).collect()
}

fn counters(cluster: &Cluster, id: u64) -> raftlet::ShardCounters {
    cluster.live(id).shard.status().counters
}

#[test]
fn a_log_stays_short_and_a_restart_begins_with_the_snapshot() {
    let mut cluster = Cluster::with(1, 1, often);
    cluster.leader();
    fill(&cluster, 1, 0..300);
    cluster.run_ms(100);
    let log = cluster.executor.block_on(cluster.storage(1).load_log(GROUP)).unwrap();
    assert!(log.last - log.base.index < 100, "{log:?}");
    assert!(counters(&cluster, 1).snapshots_taken >= 4);
    cluster.kill(1);
    cluster.start(1);
    cluster.leader();
    assert_eq!(cluster.outcome(1, "after"), Ok(301));
    assert_eq!(cluster.applied(1)[..300], numbers(0..300)[..]);
    let status = cluster.group(1).status();
    assert!(counters(&cluster, 1).applies < 100, "the whole log was applied: {status:?}");
    assert!(status.core.snapshot_index > Index::new(250), "{status:?}");
}

#[test]
fn a_member_behind_the_base_gets_a_snapshot_and_then_entries() {
    let mut cluster = Cluster::with(3, 1, often);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.kill(follower);
    fill(&cluster, leader, 0..400);
    cluster.start(follower);
    fill(&cluster, leader, 400..420);
    assert_eq!(cluster.settled(), numbers(0..420));
    assert!(cluster.group(follower).status().counters.snapshots_installed > 0);
    assert_eq!(cluster.outcome(follower, "again"), Ok(421), "its window came along");
}

#[test]
fn a_transfer_goes_on_where_it_was_when_the_link_comes_back() {
    let mut cluster = Cluster::with(3, 1, often);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.kill(follower);
    fill(&cluster, leader, 0..1_000);
    cluster.run_ms(100);
    cluster.start(follower);
    let parts = u64::try_from(1_000 / LINES_PER_CHUNK + 1).unwrap();
    let arrived = Rc::new(Cell::new(0));
    for cut_at in [20, 50, 80] {
        let counted = Rc::clone(&arrived);
        cluster.network.set_filter(move |_, to, incoming| {
            let is_part = matches!(incoming.message.body, Body::Snapshot(_));
            if to == NodeId::new(follower) && is_part {
                counted.set(counted.get() + u64::from(counted.get() < cut_at));
                return counted.get() < cut_at;
            }
            true
        });
        cluster.run_ms(3_000);
        let done = cluster.group(follower).status().snapshots.receiving.unwrap().parts_done;
        assert!((cut_at - 10..=cut_at).contains(&done), "{done} parts of {cut_at} are here");
        assert_eq!(cluster.group(follower).status().core.leader, Some(NodeId::new(leader)));
    }
    cluster.heal();
    assert_eq!(cluster.settled(), numbers(0..1_000));
    let sent = counters(&cluster, leader).snapshot_parts_sent;
    assert!(sent < parts * 2, "{sent} parts sent of {parts}: it began anew");
}

#[test]
fn a_sender_keeps_to_its_rate_and_heartbeats_do_not_wait_for_it() {
    let slow = |options: &mut ShardOptions| {
        often(options);
        options.snapshot_bytes_per_second = 500;
    };
    let mut cluster = Cluster::with(3, 1, slow);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.kill(follower);
    fill(&cluster, leader, 0..1_000);
    cluster.start(follower);
    let term = cluster.group(leader).status().core.term;
    let before = cluster.executor.clock();
    let began = raftlet::Clock::now(&before).time;
    // About 3 900 bytes of state and its head: eight seconds at this rate.
    cluster.run_ms(4_000);
    let status = cluster.group(leader).status();
    let sending = status.snapshots.sending.first().copied().unwrap();
    assert!(sending.parts_done > 10 && sending.parts_done < sending.parts, "{sending:?}");
    assert!(status.core.members.iter().any(|member| member.awaits_snapshot));
    assert_eq!(cluster.settled(), numbers(0..1_000));
    let took = raftlet::Clock::now(&before).time.since(began);
    assert!(took > 6_000_000_000, "{took} ns of the network's own time");
    assert_eq!(cluster.group(leader).status().core.term, term, "somebody lost patience");
}

#[test]
fn a_snapshot_is_taken_when_asked_for_and_not_twice_of_the_same() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    fill(&cluster, leader, 0..20);
    let index = cluster.executor.block_on(cluster.group(leader).snapshot()).unwrap();
    assert_eq!(index, cluster.applied_index(leader));
    let again = cluster.executor.block_on(cluster.group(leader).snapshot());
    assert_eq!(again, Ok(index));
    assert_eq!(counters(&cluster, leader).snapshots_taken, 1);
}

#[test]
fn what_a_machine_has_durably_is_not_applied_again() {
    let mut cluster = Cluster::keeping(1, 1, |_| {});
    cluster.leader();
    fill(&cluster, 1, 0..30);
    cluster.kill(1);
    // Its own state, to which none of those entries may be added.
    cluster.start(1);
    cluster.leader();
    assert_eq!(cluster.outcome(1, "after"), Ok(31));
}

#[test]
fn a_machine_ahead_of_its_log_is_refused_by_name() {
    let mut cluster = Cluster::voters(1);
    cluster.leader();
    fill(&cluster, 1, 0..3);
    cluster.kill(1);
    let kept = Rc::new(Kept { applied: Cell::new(Index::new(99)), ..Kept::default() });
    let opened = cluster.try_open(1, Ledger { kept: Some(kept), ..Ledger::default() });
    let error = opened.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("99"), "{error}");
}

#[test]
fn a_forward_that_vanished_into_a_snapshot_ends_unknown() {
    let cluster = Cluster::with(3, 1, |options| {
        often(options);
        options.propose_timeout = Duration::from_secs(60);
    });
    let (leader, follower, _) = cluster.leader_and_followers();
    let to = NodeId::new(follower);
    // The forward gets through, and then nothing of the log comes back.
    cluster.network.set_filter(move |_, receiver, incoming| {
        receiver != to
            || !matches!(&incoming.message.body, Body::Append(a) if !a.entries.is_empty())
    });
    let waiting = cluster.propose(follower, "forwarded");
    cluster.run_ms(200);
    fill(&cluster, leader, 0..200);
    cluster.run_ms(100);
    cluster.heal();
    let outcome = cluster.executor.block_on(waiting);
    assert!(matches!(outcome, Ok(_) | Err(raftlet::ProposeError::Unknown(_))), "{outcome:?}");
    let lines = cluster.settled();
    assert_eq!(lines.iter().filter(|line| *line == "forwarded").count(), 1);
    if cluster.group(follower).status().counters.snapshots_installed > 0 {
        assert_eq!(outcome, Err(raftlet::Unknown::InSnapshot.into()));
    }
}

#[test]
fn a_disk_without_room_takes_no_snapshot_and_the_group_goes_on() {
    let cluster = Cluster::voters(1);
    cluster.leader();
    fill(&cluster, 1, 0..20);
    cluster.storage(1).fill();
    let refused = cluster.executor.block_on(cluster.group(1).snapshot());
    assert!(matches!(refused, Err(raftlet::SnapshotError::Failed { .. })), "{refused:?}");
    cluster.storage(1).repair();
    cluster.run_ms(1_000);
    assert_eq!(cluster.outcome(1, "after"), Ok(21));
    assert!(cluster.executor.block_on(cluster.group(1).snapshot()).is_ok());
}

#[test]
fn what_arrived_before_a_break_and_was_not_acknowledged_costs_no_more_than_a_round_trip() {
    let mut cluster = Cluster::with(3, 1, often);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.kill(follower);
    fill(&cluster, leader, 0..1_000);
    cluster.run_ms(100);
    cluster.start(follower);
    // Parts arrive; from the twentieth on their acknowledgements do not.
    let arrived = Rc::new(Cell::new(0));
    let counted = Rc::clone(&arrived);
    cluster.network.set_filter(move |_, to, incoming| match incoming.message.body {
        Body::Snapshot(_) if to == NodeId::new(follower) => {
            counted.set(counted.get() + 1);
            true
        }
        Body::SnapshotAck(_) => counted.get() < 20,
        _ => true,
    });
    cluster.run_ms(1_500);
    assert!(arrived.get() >= 20, "{} parts arrived", arrived.get());
    let now = || raftlet::Clock::now(&cluster.executor.clock()).time;
    let healed = now();
    cluster.heal();
    assert_eq!(cluster.settled(), numbers(0..1_000));
    // Given up, a transfer begins anew after ten seconds of the network's time.
    assert!(now().since(healed) < 5_000_000_000, "it was begun anew");
    let counters = counters(&cluster, leader);
    assert!(counters.snapshot_stalls > 0 && counters.snapshot_parts_repeated > 0, "{counters:?}");
    let parts = u64::try_from(1_000 / LINES_PER_CHUNK + 1).unwrap();
    assert!(counters.snapshot_parts_sent < parts + 20, "{counters:?}");
}
