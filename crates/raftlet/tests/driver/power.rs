//! Loss of power of all nodes in the very moment in which something is done.

use std::time::Duration;

use crate::cluster::Cluster;

/// Writes take so long that what is under way then is lost.
fn with_slow_disks() -> (Cluster, u64) {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    for id in 1..=3 {
        cluster.storage(id).set_latency(Duration::from_millis(60));
    }
    (cluster, leader)
}

fn restart(cluster: &mut Cluster) -> Vec<String> {
    for id in 1..=3 {
        cluster.kill(id);
    }
    for id in 1..=3 {
        cluster.start(id);
    }
    cluster.settled()
}

#[test]
fn what_is_done_is_on_the_disks_of_a_quorum_at_that_moment() {
    let (mut cluster, leader) = with_slow_disks();
    cluster.outcome(leader, "done").unwrap();
    assert_eq!(restart(&mut cluster), ["done"]);
}

#[test]
fn the_end_of_a_write_is_no_word_about_what_gathered_behind_it() {
    let (mut cluster, leader) = with_slow_disks();
    let first = cluster.propose(leader, "first");
    cluster.run_ms(10);
    let second = cluster.propose(leader, "second");
    cluster.executor.block_on(first).unwrap();
    cluster.executor.block_on(second).unwrap();
    assert_eq!(restart(&mut cluster), ["first", "second"]);
}
