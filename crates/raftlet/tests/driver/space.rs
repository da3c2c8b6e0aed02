//! Storage that wants space: idle groups are written down, new entries refused
//! by name, and all the rest goes on (rule 9).

use std::cell::Cell;
use std::rc::Rc;

use crate::cluster::{Cluster, GENERATION, GROUP, Ledger, configuration};
use raftlet::core::{Body, GroupId, Index, NodeId};
use raftlet::{NotDone, Shortage, Storage};

fn base(cluster: &Cluster, id: u64) -> Index {
    cluster.executor.block_on(cluster.storage(id).load_log(GROUP)).unwrap().base.index
}

fn taken(cluster: &Cluster, id: u64) -> u64 {
    cluster.live(id).shard.status().counters.snapshots_taken
}

/// A node with some lines in its log, and nothing to do. A tail of ten stays
/// behind its snapshots.
fn idle() -> (Cluster, Index) {
    let cluster = Cluster::with(1, 1, |options| {
        options.snapshot_tail_bytes = 200;
        options.snapshot_tail_entries = 10;
    });
    cluster.leader();
    for n in 0..40 {
        cluster.outcome(1, &n.to_string()).unwrap();
    }
    cluster.run_ms(100);
    let applied = cluster.group(1).status().applied_index;
    (cluster, applied)
}

#[test]
fn a_group_that_storage_names_is_written_down_and_its_log_cut_without_a_tail() {
    let (cluster, applied) = idle();
    cluster.storage(1).pin(GROUP, applied);
    // A group that is not open here is in nobody's hands.
    cluster.storage(1).pin(GroupId::new(77), Index::new(5));
    cluster.outcome(1, "any write makes the shard ask").unwrap();
    cluster.run_ms(1_000);
    assert!(taken(&cluster, 1) == 1 && base(&cluster, 1) >= applied);
    assert_eq!(cluster.live(1).shard.status().pinned_groups, 1);
}

#[test]
fn a_tail_behind_a_snapshot_is_cut_for_space_without_another_snapshot() {
    let (cluster, applied) = idle();
    let index = cluster.executor.block_on(cluster.group(1).snapshot()).unwrap();
    cluster.run_ms(100);
    assert!(index == applied && base(&cluster, 1) < applied, "a tail stays");
    cluster.storage(1).pin(GROUP, applied);
    cluster.outcome(1, "any write makes the shard ask").unwrap();
    cluster.run_ms(1_000);
    assert!(taken(&cluster, 1) == 1 && base(&cluster, 1) >= applied);
}

#[test]
fn a_snapshot_for_space_that_finds_no_room_is_tried_again_though_nothing_happens() {
    let (cluster, applied) = idle();
    cluster.storage(1).fill();
    cluster.storage(1).pin(GROUP, applied);
    let caught = cluster.propose(1, "also a write that finds no room makes it ask");
    cluster.run_ms(1_000);
    assert_eq!(cluster.live(1).shard.status().counters.snapshots_failed, 1);
    cluster.storage(1).repair();
    cluster.run_ms(10_000);
    drop(caught);
    assert!(taken(&cluster, 1) == 1 && base(&cluster, 1) >= applied);
}

#[test]
fn while_room_is_short_proposals_are_refused_by_name_and_reads_go_on() {
    let short = [(Shortage::Device, NotDone::NoSpace), (Shortage::Limit, NotDone::LogFull)];
    for (shortage, refusal) in short {
        let cluster = Cluster::voters(3);
        let (leader, follower, _) = cluster.leader_and_followers();
        cluster.outcome(leader, "before").unwrap();
        cluster.storage(leader).set_shortage(Some(shortage));
        cluster.outcome(leader, "this write finds out").unwrap();
        assert_eq!(cluster.outcome(leader, "refused"), Err(refusal.into()));
        let status = cluster.live(leader).shard.status();
        assert!(status.is_full && status.shortage == Some(shortage), "{status:?}");
        assert_eq!(cluster.applied(leader).len(), 2);
        assert_eq!(cluster.applied(follower).len(), 2);
        cluster.storage(leader).set_shortage(None);
        cluster.run_ms(300);
        assert_eq!(cluster.outcome(leader, "after"), Ok(3), "by itself");
        assert_eq!(cluster.settled(), ["before", "this write finds out", "after"]);
    }
}

#[test]
fn members_without_room_elect_a_leader_that_serves_reads() {
    let mut cluster = Cluster::voters(3);
    let (leader, follower, other) = cluster.leader_and_followers();
    cluster.outcome(leader, "before").unwrap();
    for id in 1..=3 {
        cluster.storage(id).set_shortage(Some(Shortage::Device));
    }
    cluster.outcome(leader, "this write finds out").unwrap();
    cluster.run_ms(500);
    for _ in 0..3 {
        let leader = cluster.leader();
        cluster.kill(leader);
        cluster.run_ms(3_000);
        let next = cluster.leader();
        assert_eq!(cluster.applied(next).len(), 2, "its term could not begin");
        cluster.start(leader);
        cluster.run_ms(1_000);
        // It has asked storage, though it wrote nothing.
        assert_eq!(cluster.outcome(leader, "refused"), Err(NotDone::NoSpace.into()));
    }
    for id in [leader, follower, other] {
        cluster.storage(id).set_shortage(None);
    }
    cluster.run_ms(500);
    assert_eq!(cluster.outcome(follower, "after"), Ok(3));
}

#[test]
fn a_member_without_room_takes_little_of_a_leader_that_has_some() {
    let cluster = Cluster::voters(3);
    let (leader, short, _) = cluster.leader_and_followers();
    cluster.storage(short).set_shortage(Some(Shortage::Device));
    let line = "x".repeat(100_000);
    for n in 0..40 {
        assert_eq!(cluster.outcome(leader, &line), Ok(n + 1));
    }
    cluster.run_ms(2_000);
    let held = |id| cluster.executor.block_on(cluster.storage(id).load_log(GROUP)).unwrap().last;
    let taken = held(short);
    assert!(taken > Index::new(5) && taken < Index::new(20), "{taken} of {}", held(leader));
    assert!(cluster.live(short).shard.status().counters.appends_refused > 0);
    // The log behind it was let go: as much as there is room for, and no more.
    cluster.storage(short).set_room(450_000);
    cluster.run_ms(2_000);
    assert_eq!(held(short) - taken, 4);
    cluster.storage(short).set_shortage(None);
    cluster.run_ms(2_000);
    assert_eq!(cluster.settled().len(), 40);
}

#[test]
fn a_member_that_was_full_first_carries_the_next_term_when_its_log_is_let_go() {
    let mut cluster = Cluster::voters(3);
    let (leader, first, second) = cluster.leader_and_followers();
    cluster.storage(first).set_shortage(Some(Shortage::Device));
    let line = "x".repeat(100_000);
    for n in 0..40 {
        assert_eq!(cluster.outcome(leader, &line), Ok(n + 1));
    }
    for id in [leader, second] {
        cluster.storage(id).set_shortage(Some(Shortage::Device));
    }
    cluster.outcome(leader, "this write finds out").unwrap();
    cluster.kill(leader);
    cluster.run_ms(3_000);
    assert_eq!(cluster.leader(), second, "the other one lacks what is committed");
    let read = cluster.group(second).read(|ledger: &Ledger| ledger.lines.len());
    assert!(cluster.executor.block_on(read).is_err(), "its term has begun without a quorum");
    // What it took in is written down, again and again.
    for _ in 0..8 {
        cluster.storage(first).set_room(1 << 20);
        cluster.run_ms(1_000);
    }
    assert_eq!(cluster.applied(second).len(), 41);
    assert_eq!(cluster.applied(first).len(), 41);
}

#[test]
fn a_member_takes_nothing_that_it_has_no_room_for_and_the_next_term_when_it_has() {
    let mut cluster = Cluster::voters(3);
    let (leader, short, other) = cluster.leader_and_followers();
    let counters = |cluster: &Cluster| cluster.live(short).shard.status().counters;
    cluster.storage(short).set_shortage(Some(Shortage::Device));
    cluster.outcome(leader, "this write finds out").unwrap();
    cluster.run_ms(500);
    cluster.storage(short).set_room(0);
    cluster.run_ms(500);
    let before = counters(&cluster);
    cluster.outcome(leader, "without it").unwrap();
    cluster.run_ms(1_000);
    let after = counters(&cluster);
    assert!(after.appends_refused > before.appends_refused);
    assert_eq!(after.writes_started, before.writes_started, "a write was tried in vain");
    for id in [leader, other] {
        cluster.storage(id).set_shortage(Some(Shortage::Device));
    }
    cluster.outcome(leader, "these find out").unwrap();
    cluster.kill(leader);
    cluster.storage(short).set_room(10_000);
    cluster.run_ms(5_000);
    assert_eq!((cluster.leader(), cluster.applied(other).len()), (other, 3));
    assert_eq!(cluster.applied(short).len(), 3);
}

#[test]
fn a_forward_to_a_leader_without_room_is_refused_at_once_by_name() {
    let short = [Shortage::Device, Shortage::Limit];
    for shortage in short {
        let cluster = Cluster::voters(3);
        let (leader, follower, other) = cluster.leader_and_followers();
        cluster.outcome(follower, "before").unwrap();
        cluster.storage(leader).set_shortage(Some(shortage));
        cluster.outcome(leader, "this write finds out").unwrap();
        let refusal = NotDone::LeaderFull { leader: NodeId::new(leader), shortage };
        let (from, to) = (cluster.executor.clock(), cluster.executor.clock());
        let begun = raftlet::Clock::now(&from).time;
        for id in [follower, other, follower] {
            assert_eq!(cluster.outcome(id, "refused"), Err(refusal.clone().into()));
        }
        let took = raftlet::Clock::now(&to).time.since(begun);
        assert!(took < 100_000_000, "virtual time until the first pause: {took}");
        cluster.storage(leader).set_shortage(None);
        cluster.run_ms(300);
        assert_eq!(cluster.outcome(follower, "after"), Ok(3), "by itself");
        assert_eq!(cluster.settled(), ["before", "this write finds out", "after"]);
    }
}

/// The followers' acks have told that they are short.
fn shorten(cluster: &Cluster, leader: u64, followers: &[u64]) {
    for id in followers {
        cluster.storage(*id).set_shortage(Some(Shortage::Device));
    }
    cluster.outcome(leader, "this write finds out").unwrap();
    let _ = cluster.outcome(leader, "and this one tells");
    let is_short = |id: &&u64| {
        let members = cluster.group(leader).status().core.members;
        members.iter().any(|member| member.node == NodeId::new(**id) && member.is_short)
    };
    assert_eq!(followers.iter().filter(is_short).count(), followers.len());
}

#[test]
fn while_no_majority_has_room_a_leader_that_has_some_refuses_by_name_and_goes_on_by_itself() {
    let cluster = Cluster::voters(3);
    let (leader, first, second) = cluster.leader_and_followers();
    shorten(&cluster, leader, &[first]);
    for n in 0..10 {
        cluster.outcome(leader, &n.to_string()).expect("a majority has room");
    }
    shorten(&cluster, leader, &[second]);
    let before = cluster.applied(leader).len();
    for _ in 0..10 {
        assert_eq!(cluster.outcome(leader, "refused"), Err(NotDone::QuorumFull.into()));
    }
    let read = cluster.group(leader).read(|ledger: &Ledger| ledger.lines.len());
    assert_eq!(cluster.executor.block_on(read), Ok(before), "reads go on");
    assert_eq!(cluster.live(leader).shard.status().counters.quorum_full, 1);
    cluster.run_ms(5_000);
    assert_eq!(cluster.leader(), leader, "it stays in office");
    cluster.storage(first).set_shortage(None);
    cluster.run_ms(500);
    cluster.outcome(leader, "after").expect("by itself");
    assert_eq!(cluster.applied(leader).len(), before + 1);
}

#[test]
fn what_was_under_way_when_a_majority_became_full_is_done_when_it_has_room() {
    let cluster = Cluster::voters(3);
    let (leader, first, second) = cluster.leader_and_followers();
    cluster.outcome(leader, "before").unwrap();
    for id in [first, second] {
        cluster.storage(id).set_shortage(Some(Shortage::Device));
        cluster.storage(id).set_room(0);
    }
    let caught = cluster.propose(leader, "under way");
    cluster.run_ms(300);
    for _ in 0..10 {
        assert_eq!(cluster.outcome(leader, "refused"), Err(NotDone::QuorumFull.into()));
    }
    for id in [first, second] {
        cluster.storage(id).set_shortage(None);
    }
    assert_eq!(cluster.executor.block_on(caught), Ok(2));
    cluster.run_ms(300);
    assert_eq!(cluster.outcome(leader, "after"), Ok(3));
    assert_eq!(cluster.settled(), ["before", "under way", "after"]);
}

#[test]
fn a_forward_to_a_leader_whose_quorum_has_no_room_is_refused_at_once_by_name() {
    let cluster = Cluster::voters(5);
    let leader = cluster.leader();
    let others: Vec<u64> = (1..=5).filter(|id| *id != leader).collect();
    let (roomy, short) = others.split_first().unwrap();
    shorten(&cluster, leader, short);
    let refusal = NotDone::LeaderFull { leader: NodeId::new(leader), shortage: Shortage::Quorum };
    for _ in 0..3 {
        assert_eq!(cluster.outcome(*roomy, "refused"), Err(refusal.clone().into()));
    }
    short.iter().for_each(|id| cluster.storage(*id).set_shortage(None));
    cluster.run_ms(500);
    cluster.outcome(*roomy, "after").expect("by itself");
}

#[test]
fn a_forward_that_is_in_the_log_already_is_not_refused_for_certain() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.outcome(follower, "before").unwrap();
    cluster.storage(leader).set_shortage(Some(Shortage::Device));
    // Neither its reply nor its entry gets through before it is sent again.
    let sent = Rc::new(Cell::new(0));
    let counted = Rc::clone(&sent);
    cluster.network.set_filter(move |from, _, incoming| match incoming.message.body {
        Body::Forward(_) => {
            counted.set(counted.get() + 1);
            true
        }
        Body::ForwardReply(_) => counted.get() > 1,
        Body::Append(_) => from != NodeId::new(leader) || counted.get() > 1,
        _ => true,
    });
    assert_eq!(cluster.outcome(follower, "once"), Ok(2));
    assert!(sent.get() > 1, "it was not sent again");
    let refused = cluster.live(leader).shard.status().counters.appends_refused;
    assert!(refused > 0, "the leader had room");
    assert_eq!(cluster.settled(), ["before", "once"]);
}

#[test]
fn a_snapshot_that_finds_no_room_at_its_member_leaves_nothing_and_comes_when_there_is_some() {
    let mut cluster = Cluster::with(3, 1, |options| {
        options.snapshot_log_entries = 50;
        options.snapshot_tail_entries = 5;
    });
    let (leader, behind, _) = cluster.leader_and_followers();
    cluster.kill(behind);
    for n in 0..400 {
        cluster.outcome(leader, &n.to_string()).unwrap();
    }
    cluster.start(behind);
    cluster.storage(behind).fill();
    cluster.run_ms(20_000);
    let counters = cluster.live(behind).shard.status().counters;
    assert!((3..30).contains(&counters.snapshots_not_received), "{counters:?}");
    assert!(cluster.live(behind).ended.borrow().is_none(), "it has ended");
    assert_eq!(cluster.group(behind).status().halted, None);
    assert_eq!(cluster.outcome(leader, "the others go on"), Ok(401));
    cluster.storage(behind).repair();
    cluster.run_ms(5_000);
    assert_eq!(cluster.settled().len(), 401);
    assert!(cluster.group(behind).status().counters.snapshots_installed > 0);
}

#[test]
fn a_start_without_room_knows_so_before_it_takes_anything() {
    let mut cluster = Cluster::voters(1);
    cluster.leader();
    cluster.outcome(1, "before").unwrap();
    cluster.kill(1);
    cluster.storage(1).set_shortage(Some(Shortage::Device));
    cluster.start(1);
    cluster.leader();
    assert_eq!(cluster.outcome(1, "refused"), Err(NotDone::NoSpace.into()));
    assert_eq!(cluster.applied(1), ["before"]);
    let opened = cluster.live(1).shard.open(GroupId::new(9), GENERATION, Ledger::default());
    cluster.executor.block_on(opened).unwrap();
}

#[test]
fn storage_is_told_which_of_the_groups_that_keep_space_nobody_writes_down() {
    let cluster = Cluster::voters(1);
    cluster.leader();
    cluster.outcome(1, "a").unwrap();
    let applied = cluster.group(1).status().applied_index;
    cluster.storage(1).pin(GROUP, applied.next());
    cluster.storage(1).pin(GroupId::new(77), Index::new(5));
    cluster.outcome(1, "b").unwrap();
    assert_eq!(cluster.storage(1).stranded(), vec![GroupId::new(77)], "it is not open");
    cluster.live(1).switches.fails.set(true);
    cluster.outcome(1, "c").unwrap_err();
    cluster.storage(1).pin(GROUP, Index::new(99));
    cluster.run_ms(3_000);
    let stranded = cluster.storage(1).stranded();
    assert!(stranded.contains(&GROUP), "a halted group is not written down: {stranded:?}");
}

#[test]
fn a_group_that_keeps_space_before_it_is_opened_is_written_down_when_it_is() {
    let mut cluster = Cluster::voters(1);
    let (second, alone) = (GroupId::new(2), configuration(1));
    let made = cluster.live(1).shard.bootstrap(second, GENERATION, &alone);
    cluster.executor.block_on(made).unwrap();
    let open = |cluster: &Cluster| {
        let opened = cluster.live(1).shard.open(second, GENERATION, Ledger::default());
        cluster.executor.block_on(opened).unwrap()
    };
    let group = open(&cluster);
    let applied = cluster.executor.block_on(group.propose("a".to_owned()));
    assert_eq!(applied, Ok(1));
    let until = group.status().applied_index;
    cluster.kill(1);
    cluster.start(1);
    cluster.leader();
    cluster.storage(1).pin(second, until);
    cluster.outcome(1, "any write makes the shard ask").unwrap();
    assert_eq!(cluster.storage(1).stranded(), [second], "it is not open yet");
    let group = open(&cluster);
    assert_eq!(cluster.storage(1).stranded(), [], "storage takes it for stranded still");
    cluster.run_ms(3_000);
    assert!(group.status().core.snapshot_index >= until, "{:?}", group.status());
}
