//! Members that come and go, through handles.

use crate::cluster::{Cluster, incarnation};
use raftlet::core::{self, Member, MemberRole, NodeId, PRIORITY_DEFAULT};
use raftlet::{ChangeError, NotDone, ProposeError, ReadError, Unknown};

fn learner(id: u64) -> Member {
    let role = MemberRole::Learner;
    let address = format!("node-{id}:1");
    Member {
        node: NodeId::new(id),
        incarnation: incarnation(id),
        role,
        priority: PRIORITY_DEFAULT,
        address,
    }
}

fn voters(c: &Cluster, id: u64) -> Vec<u64> {
    let (_, configuration) = c.group(id).members();
    assert!(!configuration.is_joint(), "{configuration:?}");
    let voters = configuration.members().iter().filter(|m| m.role == MemberRole::Voter);
    voters.map(|member| member.node.get()).collect()
}

#[test]
fn a_cluster_replaces_every_member_while_it_takes_commands() {
    let mut c = Cluster::voters(3);
    let mut lines = 0;
    let mut propose = |c: &Cluster, id: u64| {
        lines += 1;
        assert_eq!(c.outcome(id, &format!("line {lines}")).unwrap(), lines);
    };
    propose(&c, 1);
    for (old, new) in [(1, 4), (2, 5), (3, 6)] {
        c.join(new);
        // Any member is asked; the one that leaves among them.
        let (asked, group) = (c.group(old), c.group(old));
        c.executor.block_on(asked.add_learner(learner(new))).unwrap();
        propose(&c, old);
        c.executor.block_on(asked.promote(NodeId::new(new))).unwrap();
        propose(&c, new);
        let removed = c.executor.block_on(group.remove(NodeId::new(old)));
        assert!(matches!(removed, Ok(_) | Err(ChangeError::NoLeader | ChangeError::Unknown)));
        propose(&c, new);
    }
    assert_eq!(voters(&c, 6), [4, 5, 6]);
    for id in 1..=3 {
        c.kill(id);
    }
    propose(&c, 4);
    assert_eq!(c.settled().len(), lines);
}

#[test]
fn a_change_is_refused_by_name_and_one_that_is_there_succeeds() {
    let c = Cluster::voters(3);
    let leader = c.leader();
    let follower = leader % 3 + 1;
    c.outcome(leader, "x").unwrap();
    let wait = |changing| c.executor.block_on::<Result<core::Index, ChangeError>>(changing);
    let node = NodeId::new(9);
    for id in [leader, follower] {
        let group = c.group(id);
        let (index, current) = group.members();
        assert_eq!(wait(group.promote(node)), Err(ChangeError::NoMember { node }));
        assert_eq!(wait(group.remove(node)), Ok(index), "absent already");
        let same = group.change_members(index, current.members().to_vec());
        assert_eq!(wait(same), Ok(index));
        let nobody = wait(group.change_members(index, Vec::new()));
        assert!(matches!(nobody, Err(ChangeError::Refused(core::ChangeError::Invalid(_)))));
        let old = wait(group.change_members(core::Index::new(99), vec![learner(1), voter(2)]));
        assert!(matches!(old, Err(ChangeError::Refused(core::ChangeError::Version { .. }))));
        let nothing = wait(group.cancel_change());
        assert_eq!(nothing, Err(ChangeError::Refused(core::ChangeError::NoChange)));
    }
}

fn voter(id: u64) -> Member {
    Member { role: MemberRole::Voter, ..learner(id) }
}

#[test]
fn a_promotion_that_waits_is_watched_and_cancelled_from_any_member() {
    let c = Cluster::voters(3);
    let leader = c.leader();
    let follower = leader % 3 + 1;
    c.outcome(leader, "x").unwrap();
    // Node 4 never comes.
    let group = c.group(follower);
    c.executor.block_on(group.add_learner(learner(4))).unwrap();
    let mut promoting = group.promote(NodeId::new(4));
    c.run_ms(400);
    assert!(crate::cluster::now_or_never(&mut promoting).is_none());
    let waits = c.group(leader).status().core.catching_up;
    assert_eq!(waits.iter().map(|wait| wait.node.get()).collect::<Vec<_>>(), [4]);
    c.executor.block_on(group.cancel_change()).unwrap();
    let cancelled = Err(ChangeError::Refused(core::ChangeError::Cancelled));
    assert_eq!(c.executor.block_on(promoting), cancelled);
    assert_eq!(voters(&c, leader), [1, 2, 3]);
}

#[test]
fn who_asks_a_removed_member_is_told_so_at_once() {
    let c = Cluster::voters(3);
    let leader = c.leader();
    let gone = leader % 3 + 1;
    c.outcome(leader, "x").unwrap();
    c.executor.block_on(c.group(leader).remove(NodeId::new(gone))).unwrap();
    c.run_ms(1_000);
    assert!(c.group(gone).status().core.is_removed);
    let refused = c.outcome(gone, "y");
    assert_eq!(refused, Err(ProposeError::NotDone(NotDone::NotMember)));
    let read = c.group(gone).read(|ledger| ledger.lines.len());
    assert_eq!(c.executor.block_on(read), Err(ReadError::NotMember));
    assert_eq!(c.outcome(leader, "y"), Ok(2));
}

#[test]
fn who_waits_at_a_member_that_is_removed_ends_unknown_or_done() {
    let c = Cluster::voters(3);
    let leader = c.leader();
    let gone = leader % 3 + 1;
    c.outcome(leader, "x").unwrap();
    let removing = c.group(leader).remove(NodeId::new(gone));
    let waiting = c.propose(gone, "y");
    c.executor.block_on(removing).unwrap();
    let ended = c.executor.block_on(waiting);
    let is_told = matches!(
        ended,
        Ok(2)
            | Err(ProposeError::Unknown(Unknown::NotMember))
            | Err(ProposeError::NotDone(NotDone::NotMember))
    );
    assert!(is_told, "{ended:?}");
}
