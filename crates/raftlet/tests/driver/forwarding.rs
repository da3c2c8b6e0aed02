//! Proposals of members that do not lead take effect once (rule 33).

use std::cell::Cell;
use std::rc::Rc;

use crate::cluster::{Cluster, now_or_never};
use raftlet::core::{Body, NodeId, Role};
use raftlet::{NotDone, ProposeError};

#[test]
fn a_forward_whose_reply_is_lost_is_sent_again_and_takes_effect_once() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    let lost = Rc::new(Cell::new(0));
    let counted = Rc::clone(&lost);
    let forwards = Rc::new(Cell::new(0));
    let sent = Rc::clone(&forwards);
    // The reply is lost, and so are appends until the second copy is in the
    // log: both copies commit, one counts.
    cluster.network.set_filter(move |from, _, incoming| match incoming.message.body {
        Body::ForwardReply(_) if counted.get() < 2 => {
            counted.set(counted.get() + 1);
            false
        }
        Body::Forward(_) => {
            sent.set(sent.get() + 1);
            true
        }
        Body::Append(_) => from != NodeId::new(leader) || sent.get() > 1,
        _ => true,
    });
    assert_eq!(cluster.outcome(follower, "once"), Ok(1));
    assert_eq!(cluster.outcome(follower, "next"), Ok(2));
    cluster.heal();
    assert!(lost.get() >= 1 && forwards.get() >= 2, "nothing was lost and sent again");
    assert_eq!(cluster.settled(), ["once", "next"]);
    let copies = cluster.live(leader).shard.status().counters.copies_without_effect;
    assert!(copies > 0, "the second copy did not reach the log");
}

#[test]
fn under_loss_every_forward_ends_once_and_done_ones_are_there_once() {
    for seed in 1..=6 {
        let cluster = Cluster::with(3, seed, |_| {});
        let (_, follower, _) = cluster.leader_and_followers();
        cluster.network.set_loss(150);
        let mut done = Vec::new();
        let mut unknown = Vec::new();
        for n in 0..60 {
            let line = format!("{n}");
            match cluster.outcome(follower, &line) {
                Ok(_) => done.push(line),
                Err(ProposeError::Unknown(_)) => unknown.push(line),
                Err(ProposeError::NotDone(_)) => {}
            }
        }
        cluster.network.set_loss(0);
        let lines = cluster.settled();
        let count = |line: &String| lines.iter().filter(|other| *other == line).count();
        assert!(!done.is_empty(), "seed {seed}: nothing got through");
        assert!(done.iter().all(|line| count(line) == 1), "seed {seed}: lost or doubled");
        assert!(unknown.iter().all(|line| count(line) <= 1), "seed {seed}: doubled");
        let known = |line: &&String| !done.contains(line) && !unknown.contains(line);
        assert_eq!(lines.iter().find(known), None, "seed {seed}: not done, yet there");
    }
}

#[test]
fn forwards_lost_with_their_leader_are_proposed_again_in_order() {
    let mut cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.outcome(follower, "first").unwrap();
    // Appended by the leader, acknowledged to the origin, replicated nowhere.
    cluster.network.set_filter(move |from, _, incoming| {
        from != NodeId::new(leader) || matches!(incoming.message.body, Body::ForwardReply(_))
    });
    let mut proposed: Vec<_> =
        (0..5).map(|n| cluster.propose(follower, &format!("again-{n}"))).collect();
    cluster.run_ms(20);
    assert!(proposed.iter_mut().all(|proposal| now_or_never(proposal).is_none()));
    cluster.kill(leader);
    cluster.heal();
    for proposal in proposed {
        cluster.executor.block_on(proposal).unwrap();
    }
    let expected = ["first", "again-0", "again-1", "again-2", "again-3", "again-4"];
    assert_eq!(cluster.settled(), expected);
}

#[test]
fn with_forwarding_off_the_refusal_names_the_leader() {
    let cluster = Cluster::with(3, 1, |options| options.forwarding = false);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.outcome(leader, "x").unwrap();
    cluster.run_ms(50);
    let refused = NotDone::NotLeader { leader: Some(NodeId::new(leader)) };
    assert_eq!(cluster.outcome(follower, "y"), Err(refused.into()));
    assert_eq!(cluster.group(follower).status().core.role, Role::Follower);
}

#[test]
fn a_restarted_origin_is_not_taken_for_its_former_run() {
    let mut cluster = Cluster::voters(3);
    let (_, follower, _) = cluster.leader_and_followers();
    assert_eq!(cluster.outcome(follower, "a"), Ok(1));
    cluster.kill(follower);
    cluster.start(follower);
    cluster.leader();
    assert_eq!(cluster.outcome(follower, "b"), Ok(2), "sequence 1 of another run");
    assert_eq!(cluster.settled(), ["a", "b"]);
}

#[test]
fn members_that_forward_in_the_same_moment_get_each_its_own_answer() {
    let cluster = Cluster::voters(3);
    let (_, one, other) = cluster.leader_and_followers();
    let asked = [cluster.propose(one, "one's"), cluster.propose(other, "other's")];
    let places = asked.map(|asked| cluster.executor.block_on(asked).unwrap());
    let lines = cluster.settled();
    assert_eq!(places.map(|place| lines[place - 1].as_str()), ["one's", "other's"]);
}
