//! Machines with durable state of their own, and loss of power (rules 8, 14).

use std::time::Duration;

use crate::cluster::{Cluster, GROUP, now_or_never};
use raftlet::Storage;
use raftlet::core::Index;

/// What a start would find of a node's log.
fn log_end(cluster: &Cluster, id: u64) -> Index {
    cluster.executor.block_on(cluster.storage(id).load_log(GROUP)).unwrap().last
}

/// Three members that have applied five lines, one of whose disks is slow from
/// now on.
fn with_slow_disk(cluster: &Cluster, leader: u64, slow: u64) {
    for n in 0..5 {
        cluster.outcome(leader, &n.to_string()).unwrap();
    }
    cluster.settled();
    cluster.storage(slow).set_latency(Duration::from_millis(300));
}

#[test]
fn no_machine_has_durably_what_its_own_log_may_lose() {
    for of_leader in [true, false] {
        let mut cluster = Cluster::keeping(3, 1, |_| {});
        let (leader, follower, other) = cluster.leader_and_followers();
        let slow = if of_leader { leader } else { follower };
        with_slow_disk(&cluster, leader, slow);
        let mut waiting = Vec::new();
        for n in 0..3 {
            waiting.push(cluster.propose(leader, &n.to_string()));
            cluster.run_ms(30);
        }
        assert_eq!(now_or_never(&mut waiting[0]).is_some(), !of_leader);
        let status = cluster.group(slow).status().core;
        assert!(status.commit_index > status.durable_index, "{status:?}");
        let fast = if of_leader { other } else { leader };
        assert!(cluster.kept(fast) > cluster.kept(slow), "the others wait for nobody's disk");
        cluster.kill(slow);
        cluster.storage(slow).set_latency(Duration::from_micros(300));
        let (kept, end) = (cluster.kept(slow), log_end(&cluster, slow));
        assert!(kept <= end, "the machine has {kept}, a start finds a log up to {end}");
        cluster.start(slow);
        assert_eq!(cluster.settled().len(), 8);
    }
}

#[test]
fn a_machine_that_keeps_nothing_does_not_wait_for_its_own_disk() {
    let cluster = Cluster::voters(3);
    let (leader, _, _) = cluster.leader_and_followers();
    with_slow_disk(&cluster, leader, leader);
    let mut waiting = cluster.propose(leader, "fast");
    cluster.run_ms(60);
    assert!(now_or_never(&mut waiting).is_some_and(|outcome| outcome.is_ok()));
}

#[test]
fn what_waited_for_the_own_disk_is_applied_with_the_end_of_its_write() {
    let cluster = Cluster::keeping(3, 1, |_| {});
    let (leader, _, _) = cluster.leader_and_followers();
    with_slow_disk(&cluster, leader, leader);
    let mut waiting = cluster.propose(leader, "slow");
    cluster.run_ms(60);
    assert!(now_or_never(&mut waiting).is_none(), "its disk does not have it yet");
    cluster.run_ms(300);
    assert!(now_or_never(&mut waiting).is_some_and(|outcome| outcome.is_ok()));
}

#[test]
fn damage_to_entries_that_a_machine_has_durably_is_refilled_and_they_are_applied_once() {
    for seed in 1..=5 {
        let mut cluster = Cluster::keeping(3, seed, |_| {});
        let (leader, harmed, _) = cluster.leader_and_followers();
        for n in 0..10 {
            cluster.outcome(leader, &n.to_string()).unwrap();
        }
        cluster.settled();
        cluster.kill(harmed);
        cluster.storage(harmed).damage(GROUP, Index::new(5));
        assert!(cluster.kept(harmed) > log_end(&cluster, harmed));
        cluster.start(harmed);
        cluster.outcome(leader, "after").unwrap();
        // The machine itself asserts that it is given nothing twice.
        assert_eq!(cluster.settled().len(), 11, "seed {seed}");
        let loaded = cluster.executor.block_on(cluster.storage(harmed).load_log(GROUP)).unwrap();
        assert_eq!(loaded.damage, None, "seed {seed}");
    }
}

#[test]
fn a_machine_that_is_ahead_of_the_log_is_written_down_when_that_has_come_as_far() {
    let mut cluster = Cluster::keeping(3, 1, |options| {
        options.log_memory_bytes_max = 1 << 10;
        options.apply_entries_max = 4;
        options.snapshot_tail_entries = 1;
    });
    let (leader, again, _) = cluster.leader_and_followers();
    for n in 0..60 {
        cluster.outcome(leader, &n.to_string()).unwrap();
    }
    cluster.settled();
    cluster.kill(again);
    let kept = cluster.kept(again);
    cluster.storage(again).set_latency(Duration::from_millis(5));
    cluster.start(again);
    let applied = (0..200).find_map(|_| {
        cluster.run_ms(1);
        Some(cluster.applied_index(again)).filter(|applied| *applied > Index::new(8))
    });
    assert!(applied.is_some_and(|applied| applied < kept), "{applied:?} of {kept} is skipped");
    let taken = cluster.executor.block_on(cluster.group(again).snapshot()).unwrap();
    assert!(taken >= kept, "what the machine has up to {kept} is named {taken}");
    assert_eq!(cluster.settled().len(), 60);
}
