//! Logs that do not fit their memory: cold reads for appliers and followers.

use std::time::Duration;

use crate::cluster::Cluster;
use raftlet::ShardOptions;
use raftlet::core::Index;

fn tight(options: &mut ShardOptions) {
    options.log_memory_bytes_max = 2 << 10;
    options.group.trailing_bytes_max = 1 << 10;
    options.group.append_bytes_max = 4 << 10;
}

fn line(n: usize) -> String {
    format!("{n:0>200}")
}

#[test]
fn a_follower_far_behind_is_brought_up_from_storage_within_the_memory_limit() {
    let mut cluster = Cluster::with(3, 1, tight);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.kill(follower);
    for n in 0..200 {
        cluster.outcome(leader, &line(n)).unwrap();
    }
    let status = cluster.live(leader).shard.status();
    assert!(status.log_memory_bytes <= status.log_memory_bytes_max, "{status:?}");
    cluster.start(follower);
    let lines = cluster.settled();
    assert_eq!(lines.len(), 200);
    assert!(cluster.live(leader).shard.status().counters.storage_reads > 0, "nothing was cold");
}

#[test]
fn a_restarted_member_applies_from_storage_what_is_not_in_memory() {
    let mut cluster = Cluster::with(1, 1, tight);
    cluster.leader();
    for n in 0..200 {
        cluster.outcome(1, &line(n)).unwrap();
    }
    cluster.kill(1);
    cluster.start(1);
    cluster.leader();
    assert_eq!(cluster.outcome(1, "after"), Ok(201));
    assert_eq!(cluster.applied(1)[..200], (0..200).map(line).collect::<Vec<_>>()[..]);
    assert!(cluster.live(1).shard.status().counters.storage_reads > 0);
}

#[test]
fn storage_that_cannot_be_read_now_delays_the_applier_and_halts_nobody() {
    let mut cluster = Cluster::with(1, 1, tight);
    cluster.leader();
    for n in 0..50 {
        cluster.outcome(1, &line(n)).unwrap();
    }
    cluster.kill(1);
    cluster.start(1);
    cluster.storage(1).blind();
    cluster.run_ms(2_000);
    assert_eq!(cluster.applied_index(1), Index::ZERO);
    assert!(cluster.live(1).shard.status().counters.storage_reads < 50, "it keeps hammering");
    cluster.storage(1).repair();
    assert_eq!(cluster.outcome(1, "after"), Ok(51));
}

#[test]
fn a_cold_read_never_brings_the_machine_what_a_later_leader_replaced() {
    let mut cluster = Cluster::voters(3);
    let (old, new, _) = cluster.leader_and_followers();
    cluster.outcome(old, "kept").unwrap();
    cluster.run_ms(50);
    cluster.isolate(old);
    for n in 0..5 {
        drop(cluster.propose(old, &format!("orphan-{n}")));
    }
    cluster.run_ms(20);
    cluster.kill(old);
    cluster.heal();
    for n in 0..5 {
        cluster.outcome(new, &format!("{n}")).unwrap();
    }
    // It starts with the orphans on its disk, and the truncation takes a while.
    cluster.storage(old).set_latency(Duration::ZERO);
    cluster.start(old);
    cluster.storage(old).set_latency(Duration::from_millis(300));
    assert_eq!(cluster.settled(), ["kept", "0", "1", "2", "3", "4"]);
}
