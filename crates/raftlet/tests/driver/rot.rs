//! What a running member's storage does not give back any more (rule 10, D55).

use crate::cluster::{Cluster, GROUP};
use raftlet::core::{Index, Role};
use raftlet::memory::MemoryStorage;
use raftlet::{ShardOptions, Storage};

/// Logs that do not fit their memory: entries are read back.
fn tight(options: &mut ShardOptions) {
    options.log_memory_bytes_max = 2 << 10;
    options.group.trailing_bytes_max = 1 << 10;
    options.group.append_bytes_max = 4 << 10;
}

fn line(n: usize) -> String {
    format!("{n:0>200}")
}

/// Three nodes with 60 entries, of which one has been started again on a log that
/// was spoilt, its entries still to be applied; who led is down.
fn with_a_spoilt_log(seed: u64, spoil: impl FnOnce(&MemoryStorage)) -> (Cluster, [u64; 3]) {
    let mut cluster = Cluster::with(3, seed, tight);
    let (leader, harmed, other) = cluster.leader_and_followers();
    for n in 0..60 {
        cluster.outcome(leader, &line(n)).unwrap();
    }
    cluster.settled();
    cluster.kill(leader);
    cluster.kill(harmed);
    spoil(cluster.storage(harmed));
    cluster.start(harmed);
    (cluster, [leader, harmed, other])
}

fn worn(storage: &MemoryStorage) {
    storage.wear(GROUP, Index::new(30));
}

#[test]
fn an_entry_that_is_damaged_before_it_is_applied_is_a_loss_and_refilled_in_the_same_run() {
    for seed in 1..=5 {
        let rotten = |storage: &MemoryStorage| storage.rot(GROUP, Index::new(30));
        let (mut cluster, [leader, harmed, other]) = with_a_spoilt_log(seed, rotten);
        // A vote that it gave before it met the damage counts: it knew its log's end.
        cluster.run_ms(5_000);
        let status = cluster.group(harmed).status();
        assert_eq!(status.halted, None, "seed {seed}");
        cluster.start(leader);
        cluster.leader();
        cluster.outcome(other, "after").unwrap();
        assert_eq!(cluster.settled().len(), 61, "seed {seed}");
        assert_eq!(cluster.group(harmed).status().core.refill_until, None, "seed {seed}");
        let storage = cluster.storage(harmed);
        let loaded = cluster.executor.block_on(storage.load_log(GROUP)).unwrap();
        assert_eq!(loaded.damage, None, "seed {seed}");
        let read = storage.read(GROUP, Index::new(30), Index::new(30), 1);
        assert!(cluster.executor.block_on(read).is_ok(), "seed {seed}: it was sent again");
        // Whole again, it counts.
        let third = if cluster.leader() == harmed { other } else { cluster.leader() };
        cluster.kill(third);
        cluster.leader();
        cluster.outcome(harmed, "with it").unwrap();
    }
}

#[test]
fn who_meets_a_damaged_entry_gives_no_vote_until_it_is_refilled() {
    for seed in 1..=5 {
        let mut cluster = Cluster::with(3, seed, tight);
        let (leader, harmed, other) = cluster.leader_and_followers();
        for n in 0..60 {
            cluster.outcome(leader, &line(n)).unwrap();
        }
        cluster.settled();
        // Only those two have the last ones.
        cluster.kill(other);
        for n in 60..80 {
            cluster.outcome(leader, &line(n)).unwrap();
        }
        cluster.run_ms(100);
        cluster.kill(harmed);
        cluster.kill(leader);
        cluster.storage(harmed).rot(GROUP, Index::new(30));
        cluster.start(harmed);
        cluster.start(leader);
        // The leader is gone in the moment in which the damage is met.
        let is_met = |cluster: &Cluster| cluster.group(harmed).status().core.refill_until.is_some();
        for _ in 0..3_000 {
            cluster.run_ms(1);
            if is_met(&cluster) {
                break;
            }
        }
        assert!(is_met(&cluster), "seed {seed}");
        cluster.kill(leader);
        cluster.start(other);
        cluster.run_ms(5_000);
        for id in [harmed, other] {
            assert_ne!(cluster.group(id).status().core.role, Role::Leader, "seed {seed}");
        }
        assert!(is_met(&cluster), "seed {seed}: nobody could refill it");
        cluster.start(leader);
        cluster.leader();
        cluster.outcome(other, "after").unwrap();
        assert_eq!(cluster.settled().len(), 81, "seed {seed}: nothing acknowledged is lost");
    }
}

#[test]
fn a_leader_whose_log_rots_keeps_its_office_and_sends_its_state_instead() {
    for seed in 1..=3 {
        let mut cluster = Cluster::with(3, seed, tight);
        let (leader, follower, _) = cluster.leader_and_followers();
        cluster.kill(follower);
        for n in 0..200 {
            cluster.outcome(leader, &line(n)).unwrap();
        }
        let term = cluster.group(leader).status().core.term;
        cluster.storage(leader).rot(GROUP, Index::new(20));
        cluster.start(follower);
        assert_eq!(cluster.settled().len(), 200, "seed {seed}");
        let status = cluster.group(leader).status();
        assert_eq!((status.halted, status.core.role), (None, Role::Leader), "seed {seed}");
        assert_eq!(status.core.term, term, "seed {seed}");
        assert!(status.core.snapshot_index >= Index::new(20), "seed {seed}");
        assert!(cluster.group(follower).status().counters.snapshots_installed > 0);
    }
}

#[test]
fn a_snapshot_that_rots_is_written_again_when_it_is_to_be_sent() {
    for seed in 1..=3 {
        let mut cluster = Cluster::with(3, seed, |options| {
            options.snapshot_log_entries = 50;
            options.snapshot_tail_entries = 5;
        });
        let (leader, follower, _) = cluster.leader_and_followers();
        cluster.kill(follower);
        for n in 0..60 {
            cluster.outcome(leader, &line(n)).unwrap();
        }
        cluster.run_ms(100);
        let before = cluster.group(leader).status().core;
        assert!(before.snapshot_index > Index::ZERO, "seed {seed}");
        cluster.storage(leader).damage_snapshot(GROUP, Some(1));
        cluster.start(follower);
        cluster.run_ms(2_000);
        cluster.outcome(leader, "news").unwrap();
        assert_eq!(cluster.settled().len(), 61, "seed {seed}");
        let status = cluster.group(leader).status();
        assert_eq!((status.halted, status.core.term), (None, before.term), "seed {seed}");
        assert!(status.core.snapshot_index > before.snapshot_index, "seed {seed}");
    }
}

#[test]
fn an_entry_that_the_device_gives_up_is_asked_for_again_then_a_loss_and_refilled() {
    for seed in 1..=3 {
        let (mut cluster, [leader, harmed, other]) = with_a_spoilt_log(seed, worn);
        cluster.run_ms(5_000);
        let status = cluster.group(harmed).status();
        assert!(status.halted.is_none() && status.core.refill_until.is_none(), "seed {seed}");
        cluster.run_ms(10_000);
        let status = cluster.group(harmed).status();
        assert!(status.halted.is_none() && status.core.refill_until.is_some(), "seed {seed}");
        cluster.start(leader);
        cluster.leader();
        cluster.outcome(other, "after").unwrap();
        assert_eq!(cluster.settled().len(), 61, "seed {seed}");
        assert_eq!(cluster.group(harmed).status().core.refill_until, None, "seed {seed}");
    }
}

#[test]
fn a_device_that_comes_back_in_time_has_lost_nothing() {
    for seed in 1..=3 {
        let (mut cluster, [leader, harmed, other]) = with_a_spoilt_log(seed, worn);
        cluster.run_ms(8_000);
        cluster.storage(harmed).mend(GROUP);
        cluster.run_ms(8_000);
        let status = cluster.group(harmed).status();
        assert!(status.halted.is_none() && status.core.refill_until.is_none(), "seed {seed}");
        // Its vote counts: it has all.
        cluster.leader();
        cluster.outcome(other, "after").unwrap();
        cluster.start(leader);
        assert_eq!(cluster.settled().len(), 61, "seed {seed}");
    }
}

#[test]
fn who_has_no_others_waits_for_its_device_for_ever() {
    let mut cluster = Cluster::with(1, 1, tight);
    cluster.leader();
    for n in 0..60 {
        cluster.outcome(1, &line(n)).unwrap();
    }
    cluster.kill(1);
    cluster.storage(1).wear(GROUP, Index::new(30));
    cluster.start(1);
    cluster.run_ms(60_000);
    assert_eq!(cluster.group(1).status().halted, None);
    cluster.storage(1).mend(GROUP);
    cluster.leader();
    cluster.outcome(1, "after").unwrap();
    assert_eq!(cluster.settled().len(), 61);
}

#[test]
fn a_restore_waits_for_a_device_and_gives_its_snapshot_up_when_it_does_not_come_back() {
    for (seed, is_mended) in [(1, true), (2, true), (3, false), (4, false)] {
        let mut cluster = Cluster::with(3, seed, |options| {
            options.snapshot_log_entries = 50;
            options.snapshot_tail_entries = 5;
        });
        let (leader, harmed, _) = cluster.leader_and_followers();
        for n in 0..60 {
            cluster.outcome(leader, &line(n)).unwrap();
        }
        cluster.settled();
        assert!(cluster.group(harmed).status().core.snapshot_index > Index::ZERO);
        cluster.kill(harmed);
        cluster.storage(harmed).wear_snapshot(GROUP, 1);
        cluster.start(harmed);
        cluster.run_ms(5_000);
        let status = cluster.group(harmed).status();
        assert!(status.halted.is_none() && status.core.refill_until.is_none(), "seed {seed}");
        let term = status.core.term;
        if is_mended {
            cluster.storage(harmed).mend(GROUP);
        }
        cluster.run_ms(10_000);
        cluster.outcome(leader, "after").unwrap();
        assert_eq!(cluster.settled().len(), 61, "seed {seed}");
        let status = cluster.group(harmed).status();
        assert!(status.halted.is_none() && status.core.refill_until.is_none(), "seed {seed}");
        let installed = status.counters.snapshots_installed > 0;
        assert_eq!((status.core.term > term, installed), (!is_mended, !is_mended), "seed {seed}");
    }
}
