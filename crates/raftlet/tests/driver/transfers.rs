//! Handing leadership over.

use crate::cluster::{Cluster, now_or_never};
use raftlet::TransferError;
use raftlet::core::{self, NodeId, Role};

fn transferred(cluster: &Cluster, from: u64, to: Option<u64>) -> Result<u64, TransferError> {
    let transfer = cluster.group(from).transfer_leadership(to.map(NodeId::new));
    cluster.executor.block_on(transfer).map(NodeId::get)
}

#[test]
fn leadership_goes_to_the_member_named_and_proposals_meanwhile_are_done_there() {
    let cluster = Cluster::voters(3);
    let (leader, follower, other) = cluster.leader_and_followers();
    cluster.outcome(leader, "before").unwrap();
    let transfer = cluster.group(leader).transfer_leadership(Some(NodeId::new(other)));
    let meanwhile = [leader, follower, other].map(|id| cluster.propose(id, "meanwhile"));
    assert_eq!(cluster.executor.block_on(transfer), Ok(NodeId::new(other)));
    assert_eq!(cluster.leader(), other);
    for proposal in meanwhile {
        cluster.executor.block_on(proposal).unwrap();
    }
    assert_eq!(cluster.settled(), ["before", "meanwhile", "meanwhile", "meanwhile"]);
}

#[test]
fn without_a_name_the_first_level_member_leads_within_a_fraction_of_an_election() {
    let cluster = Cluster::voters(5);
    let leader = cluster.leader();
    for n in 0..50 {
        drop(cluster.propose(leader, &n.to_string()));
    }
    let mut transfer = cluster.group(leader).transfer_leadership(None);
    cluster.run_ms(20);
    let successor = now_or_never(&mut transfer).expect("it takes a few flushes").unwrap();
    assert_eq!(cluster.leader(), successor.get());
    assert_eq!(cluster.settled().len(), 50);
}

#[test]
fn a_follower_refuses_and_names_the_leader_and_nobody_hands_over_to_nobody() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    let refusal = |from, to| match transferred(&cluster, from, to) {
        Err(TransferError::Refused(refusal)) => refusal,
        ended => panic!("{ended:?}"),
    };
    let term = cluster.group(leader).status().core.term;
    let not_leader = core::TransferError::NotLeader { leader: Some(NodeId::new(leader)), term };
    assert_eq!(refusal(follower, None), not_leader);
    let node = NodeId::new(9);
    assert_eq!(refusal(leader, Some(9)), core::TransferError::NotVoter { node });
    let node = NodeId::new(leader);
    assert_eq!(refusal(leader, Some(leader)), core::TransferError::LeadsAlready { node });
    let alone = Cluster::voters(1);
    alone.leader();
    let refused = transferred(&alone, 1, None);
    assert_eq!(refused, Err(core::TransferError::NoOtherVoter.into()));
}

#[test]
fn when_nobody_takes_over_the_leader_serves_again_and_what_was_held_is_done() {
    let mut cluster = Cluster::voters(3);
    let (leader, follower, other) = cluster.leader_and_followers();
    cluster.outcome(leader, "before").unwrap();
    cluster.kill(other);
    let transfer = cluster.group(leader).transfer_leadership(Some(NodeId::new(other)));
    let held = cluster.propose(leader, "held");
    let read = cluster.group(leader).read(|ledger| ledger.lines.len());
    assert_eq!(cluster.executor.block_on(read), Ok(1), "reads go on");
    assert_eq!(cluster.executor.block_on(transfer), Err(TransferError::TimedOut));
    assert_eq!(cluster.executor.block_on(held), Ok(2));
    assert_eq!(cluster.group(leader).status().core.role, Role::Leader);
    assert_eq!(cluster.outcome(follower, "after"), Ok(3));
}

#[test]
fn a_transfer_ends_with_its_shard() {
    let mut cluster = Cluster::voters(3);
    let (leader, _, other) = cluster.leader_and_followers();
    cluster.kill(other);
    let transfer = cluster.group(leader).transfer_leadership(Some(NodeId::new(other)));
    cluster.run_ms(1);
    cluster.live(leader).shard.stop();
    assert_eq!(cluster.executor.block_on(transfer), Err(TransferError::Stopped));
    let late = cluster.group(leader).transfer_leadership(None);
    assert_eq!(cluster.executor.block_on(late), Err(TransferError::Stopped));
}

#[test]
fn a_leader_gives_way_to_the_voter_that_should_lead_and_no_proposal_is_lost() {
    let cluster = Cluster::voters(3);
    let (leader, follower, other) = cluster.leader_and_followers();
    cluster.outcome(leader, "before").unwrap();
    let preferred = cluster.group(follower).set_priority(NodeId::new(other), 200);
    cluster.executor.block_on(preferred).unwrap();
    let term = cluster.group(leader).status().core.term;
    let mut proposals = Vec::new();
    for n in 0..200 {
        proposals.push(cluster.propose([leader, follower, other][n % 3], &n.to_string()));
        cluster.run_ms(20);
    }
    assert_eq!(cluster.leader(), other);
    for proposal in proposals {
        cluster.executor.block_on(proposal).unwrap();
    }
    assert_eq!(cluster.settled().len(), 201);
    // One hand-over, and it stays so.
    cluster.run_ms(60_000);
    let status = cluster.group(follower).status().core;
    assert_eq!((status.leader, status.term), (Some(NodeId::new(other)), term.next()));
    let seen = status.members.iter().find(|member| member.node == NodeId::new(other));
    assert_eq!(seen.map(|member| member.priority), Some(200));
}
