//! Storage that wants space: idle groups are written down, new entries refused
//! by name, and all the rest goes on (rule 9).

use crate::cluster::{Cluster, GENERATION, GROUP, Ledger};
use raftlet::core::{GroupId, Index};
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
    cluster.storage(short).set_shortage(None);
    cluster.run_ms(2_000);
    assert_eq!(cluster.settled().len(), 40);
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
