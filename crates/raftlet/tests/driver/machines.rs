//! State machines that are slow or broken.

use std::time::Duration;

use crate::cluster::{Cluster, now_or_never};
use raftlet::core::{CHECKPOINT_ENTRIES, Divergence, Index};
use raftlet::{Halt, NotDone, ProposeError, ReadError, Unknown};

#[test]
fn a_machine_that_is_stuck_delays_its_callers_and_neither_acks_nor_votes() {
    let mut cluster = Cluster::voters(3);
    let (leader, follower, other) = cluster.leader_and_followers();
    cluster.live(follower).switches.is_stuck.set(true);
    let mut slow = cluster.propose(follower, "slow");
    cluster.run_ms(20);
    assert_eq!(now_or_never(&mut slow), None);
    // Only with the stuck member's acks is there a quorum.
    cluster.kill(other);
    for n in 0..20 {
        assert_eq!(cluster.outcome(leader, "x"), Ok(n + 2));
    }
    // And only with its vote.
    cluster.kill(leader);
    cluster.start(other);
    cluster.run_ms(3_000);
    cluster.leader();
    cluster.live(follower).switches.release();
    assert_eq!(cluster.outcome(other, "y"), Ok(22));
    assert_eq!(cluster.settled().len(), 22);
}

#[test]
fn a_machine_that_fails_halts_its_group_by_name_and_the_others_go_on() {
    let cluster = Cluster::voters(3);
    let (leader, follower, other) = cluster.leader_and_followers();
    cluster.live(leader).switches.fails.set(true);
    let caught = cluster.outcome(leader, "a");
    let halted = ProposeError::Unknown(Unknown::Halted(halt_of(&cluster, leader)));
    assert_eq!(caught, Err(halted));
    let refused = cluster.outcome(leader, "b");
    assert!(matches!(refused, Err(ProposeError::NotDone(NotDone::Halted(Halt::Machine(_))))));
    let read = cluster.executor.block_on(cluster.group(leader).read(|_| ()));
    assert!(matches!(read, Err(ReadError::Halted(_))));
    assert_eq!(cluster.outcome(follower, "c"), Ok(2));
    assert_eq!(cluster.outcome(other, "d"), Ok(3));
    assert!(cluster.live(leader).ended.borrow().is_none(), "the shard itself goes on");
}

fn halt_of(cluster: &Cluster, id: u64) -> Halt {
    cluster.group(id).status().halted.expect("halted")
}

#[test]
fn a_machine_that_swallows_a_response_halts_its_group() {
    let cluster = Cluster::voters(1);
    cluster.leader();
    cluster.live(1).switches.keeps_one.set(true);
    assert!(matches!(cluster.outcome(1, "a"), Err(ProposeError::Unknown(Unknown::Halted(_)))));
    let found = halt_of(&cluster, 1);
    assert!(matches!(found, Halt::Responses { commands: 1, responses: 0, .. }), "{found}");
}

#[test]
fn a_machine_that_never_waits_is_never_made_a_task() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    for n in 0..10 {
        cluster.outcome(leader, &n.to_string()).unwrap();
    }
    let counters = cluster.live(leader).shard.status().counters;
    assert!(counters.applies >= 10);
    assert_eq!(counters.applies_spawned, 0);
}

#[test]
fn digest_and_applied_index_are_of_one_moment() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.outcome(leader, "a").unwrap();
    let status = cluster.group(leader).status();
    assert_eq!(status.digest.unwrap().index, status.applied_index);
    cluster.live(follower).switches.is_stuck.set(true);
    let stuck = cluster.propose(leader, "b");
    cluster.executor.block_on(stuck).unwrap();
    cluster.executor.run_for(Duration::from_millis(20));
    assert_eq!(cluster.group(follower).status().digest, None, "the machine is out");
    assert!(cluster.group(follower).status().applied_index > Index::ZERO);
    cluster.live(follower).switches.release();
    cluster.settled();
}

#[test]
fn a_member_whose_machine_comes_apart_is_named_within_one_interval() {
    let cluster = Cluster::voters(3);
    let (leader, follower, other) = cluster.leader_and_followers();
    cluster.outcome(leader, "alike").unwrap();
    cluster.run_ms(200);
    cluster.live(follower).switches.twists.set(true);
    cluster.outcome(leader, "twisted").unwrap();
    cluster.run_ms(200);
    cluster.live(follower).switches.twists.set(false);
    let named = |id: u64| {
        let status = cluster.group(id).status();
        let one = |it: &raftlet::core::Diverged| (it.node.get(), it.index.get(), it.what);
        status.core.diverged.iter().map(one).collect::<Vec<_>>()
    };
    assert!([leader, follower, other].iter().all(|id| named(*id).is_empty()));
    let proposals: Vec<_> =
        (0..CHECKPOINT_ENTRIES).map(|n| cluster.propose(leader, &n.to_string())).collect();
    for proposal in proposals {
        cluster.executor.block_on(proposal).unwrap();
    }
    cluster.run_ms(1_000);
    let state = Divergence::State;
    assert_eq!(named(leader), [(follower, CHECKPOINT_ENTRIES, state)]);
    assert_eq!(named(follower), [(leader, CHECKPOINT_ENTRIES, state)]);
    assert_eq!(named(other), []);
    assert_eq!(cluster.group(leader).status().counters.divergences, 1);
    // An alarm, and nothing else: the group goes on.
    cluster.outcome(follower, "on").unwrap();
}

#[test]
fn members_that_applied_the_same_have_equal_digests_over_restarts_and_snapshots() {
    let mut cluster = Cluster::voters(3);
    let (leader, follower, other) = cluster.leader_and_followers();
    let write = |cluster: &Cluster, len: u64| {
        let proposals: Vec<_> = (0..len).map(|n| cluster.propose(leader, &n.to_string())).collect();
        for proposal in proposals {
            cluster.executor.block_on(proposal).unwrap();
        }
    };
    write(&cluster, 1_000);
    cluster.executor.block_on(cluster.group(follower).snapshot()).unwrap();
    cluster.kill(follower);
    cluster.kill(other);
    cluster.start(follower);
    cluster.start(other);
    cluster.run_ms(2_000);
    write(&cluster, CHECKPOINT_ENTRIES);
    cluster.run_ms(1_000);
    for id in [leader, follower, other] {
        let status = cluster.group(id).status();
        assert!(status.applied_index.get() > CHECKPOINT_ENTRIES);
        assert_eq!((status.core.diverged.len(), status.counters.divergences), (0, 0));
    }
}
