//! Proposals tied to a term, and watching who leads.

use std::time::Duration;

use crate::cluster::{Cluster, now_or_never};
use raftlet::core::{NodeId, Role};
use raftlet::{NotDone, ProposeError};

fn other_term(outcome: &Result<usize, ProposeError>) -> bool {
    matches!(outcome, Err(ProposeError::NotDone(NotDone::OtherTerm { .. })))
}

#[test]
fn a_proposal_tied_to_the_present_term_is_done_on_any_member() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    cluster.outcome(leader, "first").unwrap();
    cluster.run_ms(100);
    let term = cluster.group(leader).office().term;
    for (id, place) in [(1, 2), (2, 3), (3, 4)] {
        let tied = cluster.group(id).propose_in(term, "tied".to_owned());
        assert_eq!(cluster.executor.block_on(tied), Ok(place));
    }
}

#[test]
fn in_any_other_term_it_is_not_done_and_never_will_be() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    let term = cluster.group(leader).office().term;
    let transfer = cluster.group(leader).transfer_leadership(Some(NodeId::new(follower)));
    // One is held when the transfer begins, one comes when it is over.
    let meanwhile = cluster.group(leader).propose_in(term, "meanwhile".to_owned());
    cluster.executor.block_on(transfer).unwrap();
    assert!(other_term(&cluster.executor.block_on(meanwhile)));
    for id in 1..=3 {
        let late = cluster.group(id).propose_in(term, "late".to_owned());
        assert!(other_term(&cluster.executor.block_on(late)), "on node {id}");
    }
    let early = cluster.group(leader).propose_in(term.next().next(), "early".to_owned());
    assert!(other_term(&cluster.executor.block_on(early)));
    cluster.outcome(leader, "free").unwrap();
    assert_eq!(cluster.settled(), ["free"]);
}

#[test]
fn a_tied_proposal_that_a_deposed_leader_appended_is_not_proposed_again() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.outcome(leader, "first").unwrap();
    let term = cluster.group(leader).office().term;
    cluster.isolate(leader);
    let mut tied = cluster.group(leader).propose_in(term, "tied".to_owned());
    cluster.run_ms(1);
    assert_eq!(now_or_never(&mut tied), None, "appended, not committed");
    cluster.run_ms(3_000);
    cluster.outcome(follower, "second").unwrap();
    cluster.heal();
    let outcome = cluster.executor.block_on(tied);
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(cluster.settled(), ["first", "second"]);
}

#[test]
fn a_watcher_sees_a_leader_come_and_go_however_late_it_looks() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    let mut offices = cluster.group(leader).offices();
    for (from, to) in [(leader, follower), (follower, leader), (leader, follower)] {
        let transfer = cluster.group(from).transfer_leadership(Some(NodeId::new(to)));
        cluster.executor.block_on(transfer).unwrap();
    }
    cluster.executor.run_for(Duration::from_millis(100));
    let mut led = Vec::new();
    while let Some(change) = now_or_never(&mut Box::pin(offices.next())) {
        let office = change.unwrap().unwrap();
        if office.role == Role::Leader {
            led.push(office.term.get());
        }
    }
    assert_eq!(led, [led[0], led[0] + 2], "two periods of office, both told");
    assert_eq!(cluster.group(leader).office().leader, Some(NodeId::new(follower)));
    cluster.live(leader).shard.stop();
    cluster.run_ms(1);
    assert!(cluster.executor.block_on(offices.next()).is_none());
}
