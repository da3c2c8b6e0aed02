//! Reads: never stale, on any member, and refused rather than wrong.

use std::time::Duration;

use crate::cluster::{Cluster, Ledger, now_or_never};
use raftlet::core::LeaseOptions;
use raftlet::{ReadError, ShardOptions};

fn len(ledger: &Ledger) -> usize {
    ledger.lines.len()
}

#[test]
fn a_read_sees_every_write_that_ended_before_it_began_on_every_member() {
    let cluster = Cluster::voters(3);
    cluster.leader();
    for n in 0..30 {
        let writer = n % 3 + 1;
        cluster.outcome(writer, "x").unwrap();
        for reader in 1..=3 {
            let seen = cluster.executor.block_on(cluster.group(reader).read(len));
            assert_eq!(seen, Ok(usize::try_from(n).unwrap() + 1), "node {reader} is stale");
        }
    }
}

#[test]
fn a_deposed_leader_that_does_not_know_it_answers_no_read() {
    let cluster = Cluster::voters(3);
    let (leader, other, _) = cluster.leader_and_followers();
    cluster.outcome(leader, "old").unwrap();
    cluster.isolate(leader);
    let mut stale = cluster.group(leader).read(len);
    cluster.run_ms(3_000);
    let next = cluster.leader();
    assert_ne!(next, leader);
    cluster.outcome(other, "new").unwrap();
    assert_eq!(now_or_never(&mut stale), None);
    cluster.heal();
    assert_eq!(cluster.executor.block_on(stale), Ok(2), "answered by the new leader's word");
}

#[test]
fn a_read_without_quorum_ends_in_time_and_has_read_nothing() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    cluster.isolate(leader);
    let read = cluster.group(leader).read(|_| panic!("it ran"));
    let ended: Result<(), _> = cluster.executor.block_on(read);
    assert_eq!(ended, Err(ReadError::TimedOut));
}

#[test]
fn a_dropped_read_does_not_run() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    drop(cluster.group(leader).read(|_| panic!("it ran")));
    cluster.run_ms(1_000);
    assert_eq!(cluster.live(leader).shard.status().reads, 0, "and it is off the books");
}

#[test]
fn reads_waiting_together_share_a_round() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.outcome(leader, "x").unwrap();
    cluster.run_ms(100);
    for reader in [leader, follower] {
        let before = cluster.live(leader).shard.status().counters.messages_sent;
        let reads: Vec<_> = (0..500).map(|_| cluster.group(reader).read(len)).collect();
        for read in reads {
            assert_eq!(cluster.executor.block_on(read), Ok(1));
        }
        let sent = cluster.live(leader).shard.status().counters.messages_sent - before;
        assert!(sent < 20, "{sent} messages for 500 reads");
    }
}

#[test]
fn more_reads_than_the_shard_may_hold_are_refused_as_busy() {
    let tune = |options: &mut ShardOptions| options.reads_max = 2;
    let cluster = Cluster::with(3, 1, tune);
    let leader = cluster.leader();
    let first = cluster.group(leader).read(len);
    let second = cluster.group(leader).read(len);
    let third = cluster.group(leader).read(len);
    assert_eq!(cluster.executor.block_on(third), Err(ReadError::Busy { limit: 2 }));
    assert_eq!(cluster.executor.block_on(first), Ok(0));
    assert_eq!(cluster.executor.block_on(second), Ok(0));
    assert_eq!(cluster.executor.block_on(cluster.group(leader).read(len)), Ok(0));
}

#[test]
fn with_leases_on_a_thousand_reads_at_the_leader_cost_a_few_messages_and_see_every_write() {
    let cluster = Cluster::with(3, 1, |options| {
        options.group.lease = Some(LeaseOptions { clock_drift_us: 1_000 });
    });
    cluster.vouch();
    let (leader, follower, _) = cluster.leader_and_followers();
    let sent = |id| cluster.live(id).shard.status().counters.messages_sent;
    cluster.outcome(leader, "0").unwrap();
    cluster.run_ms(1_000);
    let before = sent(leader);
    for _ in 0..1_000 {
        let read = cluster.group(leader).read(len);
        assert_eq!(cluster.executor.block_on(read), Ok(1));
    }
    assert!(sent(leader) - before <= 4, "{} messages", sent(leader) - before);
    for n in 1..20 {
        cluster.outcome(follower, "x").unwrap();
        let seen = cluster.executor.block_on(cluster.group(leader).read(len));
        assert_eq!(seen, Ok(n + 1));
    }
}

#[test]
fn who_looks_before_it_sleeps_answers_alike_and_sleeps_where_no_look_finds_anything() {
    // Virtual time stands still while anybody looks: no look can find anything.
    let tune = |options: &mut ShardOptions| options.idle_poll = Duration::from_micros(100);
    let cluster = Cluster::with(3, 1, tune);
    let leader = cluster.leader();
    for n in 1..=20 {
        cluster.outcome(leader, "x").unwrap();
        assert_eq!(cluster.executor.block_on(cluster.group(leader).read(len)), Ok(n));
    }
    let counters = cluster.live(leader).shard.status().counters;
    assert!(counters.idle_polls_in_vain > 0);
}
