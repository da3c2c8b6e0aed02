//! Many groups on a shard: idle ones cost nothing, busy ones share.

use std::rc::Rc;

use crate::cluster::{Cluster, GENERATION, Ledger, configuration};
use raftlet::Spawn;
use raftlet::core::GroupId;
use raftlet::memory::Owner;

/// Groups beside the cluster's own.
const GROUPS: u64 = 300;

/// Opens many groups on all nodes, with detectors that vouch for everybody.
fn open_many(cluster: &Cluster) -> Vec<raftlet::Group<crate::cluster::Ports>> {
    let mut handles = Vec::new();
    let configuration = configuration(3);
    cluster.vouch();
    for id in 1..=3 {
        let shard = Rc::clone(&cluster.live(id).shard);
        for group in 2..2 + GROUPS {
            let group = GroupId::new(group);
            let made = shard.bootstrap(group, GENERATION, &configuration);
            cluster.executor.block_on(made).unwrap();
            let opened = shard.open(group, GENERATION, Ledger::default());
            handles.push(cluster.executor.block_on(opened).unwrap());
        }
    }
    handles
}

#[test]
fn hundreds_of_idle_groups_cause_no_messages_writes_or_settling() {
    let cluster = Cluster::voters(3);
    let handles = open_many(&cluster);
    cluster.run_ms(5_000);
    let leads =
        |handle: &&raftlet::Group<_>| handle.status().core.role == raftlet::core::Role::Leader;
    let leaders = handles.iter().filter(leads).count();
    assert_eq!(u64::try_from(leaders).unwrap(), GROUPS, "each group has its leader");
    let per_node = usize::try_from(GROUPS).unwrap();
    for group in 0..per_node {
        let commit = |node: usize| handles[node * per_node + group].status().core.commit_index;
        assert!((1..3).all(|node| commit(node) == commit(0)), "all know the last commit");
    }
    let before: Vec<_> = (1..=3).map(|id| cluster.live(id).shard.status().counters).collect();
    cluster.run_ms(10_000);
    for (id, before) in (1..=3).zip(before) {
        let after = cluster.live(id).shard.status().counters;
        assert_eq!(after.messages_sent, before.messages_sent, "node {id} talks");
        assert_eq!(after.writes_started, before.writes_started, "node {id} writes");
        assert!(after.settled - before.settled < 10, "node {id} turns groups over");
        assert!(after.turns - before.turns <= GROUPS, "node {id} turns");
    }
}

#[test]
fn the_proposals_of_many_groups_in_a_turn_share_one_write_and_one_frame_a_node() {
    let cluster = Cluster::voters(3);
    let handles = open_many(&cluster);
    cluster.run_ms(15_000);
    let of_node_1 = &handles[..usize::try_from(GROUPS).unwrap()];
    let led: Vec<_> = of_node_1
        .iter()
        .filter(|handle| handle.status().core.role == raftlet::core::Role::Leader)
        .collect();
    assert!(led.len() >= 50, "node 1 leads {} groups", led.len());
    let before = cluster.live(1).shard.status().counters;
    let writes = cluster.storage(1).writes();
    let proposed: Vec<_> = led.iter().map(|handle| handle.propose("x".to_owned())).collect();
    for proposal in proposed {
        assert_eq!(cluster.executor.block_on(proposal), Ok(1));
    }
    let after = cluster.live(1).shard.status().counters;
    assert_eq!(cluster.storage(1).writes() - writes, 1);
    assert!(after.sends - before.sends <= 6, "{} frames", after.sends - before.sends);
}

#[test]
fn one_busy_group_among_hundreds_is_the_only_one_settled() {
    let cluster = Cluster::voters(3);
    let _handles = open_many(&cluster);
    cluster.run_ms(15_000);
    let leader = cluster.leader();
    let before = cluster.live(leader).shard.status().counters;
    for n in 0..10 {
        cluster.outcome(leader, &n.to_string()).unwrap();
    }
    let settled = cluster.live(leader).shard.status().counters.settled - before.settled;
    assert!(settled < 100, "{settled} groups settled for ten proposals of one");
}

#[test]
fn groups_bootstrapped_and_opened_while_the_shard_is_busy_work_at_once() {
    let cluster = Cluster::voters(1);
    cluster.leader();
    let group = cluster.group(1);
    cluster.executor.spawner(Owner(1)).spawn(async move {
        for n in 0..200_u32 {
            group.propose(n.to_string()).await.unwrap();
        }
    });
    let shard = Rc::clone(&cluster.live(1).shard);
    let new = GroupId::new(9);
    let configuration = configuration(1);
    cluster.executor.block_on(shard.bootstrap(new, GENERATION, &configuration)).unwrap();
    let opened = shard.open(new, GENERATION, Ledger::default());
    let opened = cluster.executor.block_on(opened).unwrap();
    assert_eq!(cluster.executor.block_on(opened.propose("x".to_owned())), Ok(1));
    let again = shard.bootstrap(new, GENERATION, &configuration);
    assert!(cluster.executor.block_on(again).is_err(), "it exists");
}
