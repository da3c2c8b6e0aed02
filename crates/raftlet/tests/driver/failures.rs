//! Kills, partitions, disks and machines that fail.

use std::time::Duration;

use crate::cluster::{Cluster, GENERATION, GROUP, Ledger, incarnation, now_or_never};
use raftlet::core::{Generation, GroupId, Index, NodeId, Role, Run, Sender, Term};
use raftlet::{Halt, NotDone, OpenError, ProposeError, ReadError, ShardError, Storage, Unknown};

#[test]
fn what_was_acknowledged_survives_the_kill_of_every_node_at_once() {
    for seed in 1..=5 {
        let mut cluster = Cluster::with(3, seed, |_| {});
        let leader = cluster.leader();
        let mut acknowledged = Vec::new();
        for n in 0..20 {
            let line = n.to_string();
            cluster.outcome(1 + n % 3, &line).unwrap();
            acknowledged.push(line);
        }
        drop(cluster.propose(leader, "in flight"));
        (1..=3).for_each(|id| cluster.kill(id));
        (1..=3).for_each(|id| cluster.start(id));
        cluster.leader();
        cluster.outcome(1, "after").unwrap();
        let lines = cluster.settled();
        assert_eq!(lines[..20], acknowledged[..], "seed {seed}");
        assert_eq!(lines.last().unwrap(), "after");
    }
}

#[test]
fn a_restarted_member_applies_its_log_again_from_the_start() {
    let mut cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    for n in 0..10 {
        cluster.outcome(leader, &n.to_string()).unwrap();
    }
    cluster.kill(follower);
    cluster.outcome(leader, "while away").unwrap();
    cluster.start(follower);
    assert_eq!(cluster.settled().len(), 11);
}

#[test]
fn a_member_that_lost_entries_gives_no_vote_until_a_leader_has_sent_them_again() {
    // Rule 10
    for seed in 1..=5 {
        let mut cluster = Cluster::with(3, seed, |_| {});
        let (leader, harmed, other) = cluster.leader_and_followers();
        for n in 0..10 {
            cluster.outcome(leader, &n.to_string()).unwrap();
        }
        cluster.settled();
        cluster.kill(leader);
        cluster.kill(harmed);
        cluster.storage(harmed).damage(GROUP, Index::new(5));
        cluster.start(harmed);
        cluster.run_ms(5_000);
        for id in [harmed, other] {
            assert_ne!(cluster.group(id).status().core.role, Role::Leader, "seed {seed}");
        }
        // A restart in between changes nothing.
        cluster.kill(harmed);
        cluster.start(harmed);
        cluster.run_ms(5_000);
        assert_ne!(cluster.group(other).status().core.role, Role::Leader, "seed {seed}");
        cluster.start(leader);
        cluster.leader();
        cluster.outcome(other, "after").unwrap();
        assert_eq!(cluster.settled().len(), 11, "seed {seed}");
        let loaded = cluster.executor.block_on(cluster.storage(harmed).load_log(GROUP)).unwrap();
        assert_eq!(loaded.damage, None, "seed {seed}");
        // Whole again, it counts.
        let third = if cluster.leader() == harmed { other } else { cluster.leader() };
        cluster.kill(third);
        cluster.leader();
        cluster.outcome(harmed, "with it").unwrap();
    }
}

/// Snapshots so often that no log begins with entry 1.
fn compacting(options: &mut raftlet::ShardOptions) {
    options.snapshot_log_entries = 20;
    options.snapshot_tail_entries = 5;
}

/// A follower that is down, whose snapshot is damaged, with the leader down too.
fn with_a_damaged_snapshot(seed: u64, chunk: Option<u32>) -> (Cluster, u64, u64, u64) {
    let mut cluster = Cluster::with(3, seed, compacting);
    let (leader, harmed, other) = cluster.leader_and_followers();
    for n in 0..60 {
        cluster.outcome(leader, &n.to_string()).unwrap();
    }
    cluster.settled();
    cluster.run_ms(100);
    cluster.kill(harmed);
    cluster.kill(leader);
    let held = cluster.executor.block_on(cluster.storage(harmed).load_log(GROUP)).unwrap();
    assert!(held.base.index > Index::ZERO && held.last > held.base.index, "{held:?}");
    cluster.storage(harmed).damage_snapshot(GROUP, chunk);
    (cluster, leader, harmed, other)
}

#[test]
fn a_member_whose_snapshot_is_damaged_gives_no_vote_until_a_leader_has_sent_the_state() {
    // Rule 10
    for seed in 1..=5 {
        let (mut cluster, leader, harmed, other) = with_a_damaged_snapshot(seed, None);
        for _ in 0..2 {
            // A restart in between changes nothing.
            cluster.start(harmed);
            cluster.run_ms(5_000);
            let status = cluster.group(harmed).status();
            assert!(status.core.refill_until > Some(Index::new(60)), "seed {seed}: {status:?}");
            assert_eq!(status.applied_index, Index::ZERO, "seed {seed}");
            for id in [harmed, other] {
                assert_ne!(cluster.group(id).status().core.role, Role::Leader, "seed {seed}");
            }
            cluster.kill(harmed);
        }
        cluster.start(harmed);
        cluster.start(leader);
        cluster.leader();
        cluster.outcome(other, "after").unwrap();
        assert_eq!(cluster.settled().len(), 61, "seed {seed}");
        let status = cluster.group(harmed).status();
        assert_eq!(status.core.refill_until, None, "seed {seed}");
        assert!(status.counters.snapshots_installed > 0, "seed {seed}");
        // Whole again, it counts, also after a start.
        cluster.kill(harmed);
        cluster.start(harmed);
        let third = if cluster.leader() == harmed { other } else { cluster.leader() };
        cluster.kill(third);
        cluster.leader();
        cluster.outcome(harmed, "with it").unwrap();
        assert_eq!(cluster.applied(harmed).len(), 62, "seed {seed}");
    }
}

#[test]
fn a_damaged_chunk_is_met_by_the_restore_and_refilled_in_the_same_run() {
    // Rule 10
    for seed in 1..=5 {
        let (mut cluster, leader, harmed, other) = with_a_damaged_snapshot(seed, Some(2));
        let chunks = |cluster: &Cluster| cluster.group(harmed).status().applied_index;
        // With nobody to refill it, it counts for nobody, and serves nothing.
        cluster.start(harmed);
        cluster.run_ms(5_000);
        let status = cluster.group(harmed).status();
        assert!(status.core.refill_until > Some(Index::new(60)), "seed {seed}: {status:?}");
        assert_eq!((chunks(&cluster), status.halted), (Index::ZERO, None), "seed {seed}");
        for id in [harmed, other] {
            assert_ne!(cluster.group(id).status().core.role, Role::Leader, "seed {seed}");
        }
        cluster.start(leader);
        cluster.leader();
        cluster.outcome(other, "after").unwrap();
        assert_eq!(cluster.settled().len(), 61, "seed {seed}");
        assert_eq!(cluster.group(harmed).status().core.refill_until, None, "seed {seed}");
        // Whole again, it counts: of what it acknowledged, and for its vote.
        let third = if cluster.leader() == harmed { other } else { cluster.leader() };
        cluster.kill(third);
        cluster.leader();
        cluster.outcome(harmed, "with it").unwrap();
        assert_eq!(cluster.applied(harmed).len(), 62, "seed {seed}");
    }
}

#[test]
fn a_loss_met_under_the_leader_that_counted_on_it_is_refilled_under_its_successor() {
    // D39, D55
    for seed in 1..=5 {
        let (mut cluster, leader, harmed, other) = with_a_damaged_snapshot(seed, Some(2));
        cluster.start(leader);
        cluster.leader();
        let term = cluster.group(leader).status().core.term;
        // The leader hears of its log before a chunk of its snapshot is read.
        cluster.storage(harmed).set_latency(Duration::from_millis(20));
        cluster.start(harmed);
        cluster.run_ms(3_000);
        let status = cluster.group(harmed).status();
        assert!(status.core.term > term, "seed {seed}: {status:?}");
        cluster.outcome(other, "after").unwrap();
        assert_eq!(cluster.settled().len(), 61, "seed {seed}");
        assert_eq!(cluster.applied(harmed).len(), 61, "seed {seed}");
        assert_eq!(cluster.group(harmed).status().core.refill_until, None, "seed {seed}");
    }
}

#[test]
fn proposals_of_a_member_that_was_opened_again_take_effect() {
    // Rule 33: the window knows its former ones by number.
    let (mut cluster, leader, harmed, _) = with_a_damaged_snapshot(2, Some(1));
    cluster.start(leader);
    cluster.leader();
    cluster.storage(harmed).set_latency(Duration::from_millis(20));
    cluster.start(harmed);
    let early = cluster.propose(harmed, "early");
    cluster.run_ms(3_000);
    let ended = cluster.executor.block_on(early);
    assert!(matches!(ended, Ok(_) | Err(ProposeError::Unknown(_))), "{ended:?}");
    let placed = cluster.outcome(harmed, "late").unwrap();
    assert_eq!(cluster.applied(harmed).iter().position(|line| line == "late"), Some(placed - 1));
    assert_eq!(cluster.settled().len(), placed);
}

#[test]
fn a_machine_that_cannot_be_reset_halts_until_the_next_start() {
    let (mut cluster, leader, harmed, other) = with_a_damaged_snapshot(3, Some(2));
    cluster.start(leader);
    cluster.start(harmed);
    cluster.live(harmed).switches.stays.set(true);
    cluster.run_ms(1_000);
    let halted = cluster.group(harmed).status().halted;
    let Some(Halt::Storage(error)) = &halted else { panic!("{halted:?}") };
    assert!(error.to_string().contains("restart the node"), "{error}");
    cluster.kill(harmed);
    cluster.start(harmed);
    cluster.outcome(other, "after").unwrap();
    assert_eq!(cluster.settled().len(), 61);
    assert_eq!(cluster.group(harmed).status().core.refill_until, None);
    assert_eq!(cluster.applied(harmed).len(), 61);
}

#[test]
fn the_only_member_of_a_group_keeps_what_is_damaged_and_stays_out() {
    for chunk in [None, Some(0)] {
        let mut cluster = Cluster::with(1, 1, compacting);
        cluster.leader();
        for n in 0..60 {
            cluster.outcome(1, &n.to_string()).unwrap();
        }
        cluster.run_ms(100);
        cluster.kill(1);
        cluster.storage(1).damage_snapshot(GROUP, chunk);
        if chunk.is_none() {
            let Err(OpenError::Storage { source, .. }) = cluster.try_open(1, Ledger::default())
            else {
                panic!("it was opened")
            };
            assert!(source.to_string().contains("its snapshot"), "{source}");
            continue;
        }
        for _ in 0..2 {
            cluster.start(1);
            cluster.run_ms(1_000);
            let halted = cluster.group(1).status().halted.unwrap().to_string();
            assert!(!halted.contains("restart"), "nobody would send it: {halted}");
            cluster.kill(1);
        }
    }
}

#[test]
fn waiters_of_a_leader_without_quorum_end_unknown_and_held_ones_are_done_later() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    cluster.isolate(leader);
    let lost = cluster.propose(leader, "lost");
    assert_eq!(cluster.executor.block_on(lost), Err(Unknown::QuorumLost.into()));
    let held = cluster.propose(leader, "held");
    cluster.run_ms(1_000);
    cluster.heal();
    assert!(cluster.executor.block_on(held).is_ok());
    let lines = cluster.settled();
    assert_eq!(lines, ["held"], "another leader's log went on without the lost one");
}

/// The leader has appended a proposal that reached nobody, and is deposed by
/// the leader of a higher term before it gives up itself.
fn deposed_with_a_proposal() -> (Cluster, u64, raftlet::Proposing<usize>) {
    let cluster = Cluster::with(3, 1, |options| {
        // Others campaign long before this leader misses its quorum.
        options.group.election_timeout = Duration::from_millis(600);
        options.group.heartbeat_interval = Duration::from_millis(200);
    });
    let leader = cluster.leader();
    cluster.outcome(leader, "before").unwrap();
    cluster.run_ms(100);
    // What it says is lost; what it hears is not: pre-votes and votes of the
    // others depose it, in a term of theirs.
    let mute = NodeId::new(leader);
    cluster.network.set_filter(move |from, _, _| from != mute);
    let proposal = cluster.propose(leader, "orphan");
    cluster.run_ms(5);
    (cluster, leader, proposal)
}

#[test]
fn an_entry_that_died_with_its_term_is_proposed_again_and_takes_effect_once() {
    let (cluster, leader, mut proposal) = deposed_with_a_proposal();
    for _ in 0..400 {
        cluster.run_ms(5);
        if cluster.leader() != leader {
            break;
        }
    }
    let next = cluster.leader();
    assert_ne!(next, leader, "nobody deposed it");
    match now_or_never(&mut proposal) {
        // It gave up by itself first: then the outcome was unknown at once.
        Some(ended) => assert_eq!(ended, Err(Unknown::QuorumLost.into())),
        None => {
            cluster.heal();
            assert_eq!(cluster.executor.block_on(proposal), Ok(2));
        }
    }
    cluster.heal();
    let lines = cluster.settled();
    assert!(lines.iter().filter(|line| *line == "orphan").count() <= 1, "{lines:?}");
}

#[test]
fn a_failed_write_halts_the_shard_and_leaves_nobody_waiting() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.outcome(leader, "before").unwrap();
    cluster.storage(leader).smash();
    let caught = cluster.propose(leader, "caught");
    let read = cluster.group(leader).read(|ledger| ledger.lines.len());
    cluster.run_ms(20);
    let ended = cluster.live(leader).ended.borrow().clone();
    assert!(matches!(ended, Some(Err(ShardError::Storage(_)))));
    // Two others hold the entry: the halted member just cannot say so.
    let caught = cluster.executor.block_on(caught);
    assert!(matches!(caught, Ok(2) | Err(ProposeError::Unknown(Unknown::Halted(_)))), "{caught:?}");
    let read = cluster.executor.block_on(read);
    assert!(matches!(read, Ok(_) | Err(ReadError::Halted(_))));
    let refused = cluster.outcome(leader, "refused");
    assert!(matches!(refused, Err(ProposeError::NotDone(NotDone::Halted(Halt::Storage(_))))));
    assert!(cluster.group(leader).status().halted.is_some());
    let sends = cluster.live(leader).shard.status().counters.sends;
    cluster.run_ms(2_000);
    assert_eq!(cluster.live(leader).shard.status().counters.sends, sends, "it still talks");
    cluster.outcome(follower, "others go on").unwrap();
    let opened = cluster.live(leader).shard.open(GroupId::new(9), GENERATION, Ledger::default());
    assert_eq!(cluster.executor.block_on(opened).err(), Some(OpenError::Stopped));
}

#[test]
fn a_full_disk_refuses_by_name_and_serves_again_when_there_is_room() {
    let cluster = Cluster::voters(1);
    cluster.leader();
    cluster.outcome(1, "before").unwrap();
    cluster.storage(1).fill();
    let mut caught = cluster.propose(1, "caught");
    cluster.run_ms(100);
    assert_eq!(now_or_never(&mut caught), None, "it is in the log's memory");
    assert_eq!(cluster.outcome(1, "refused"), Err(NotDone::NoSpace.into()));
    assert!(cluster.live(1).shard.status().is_full);
    cluster.storage(1).repair();
    assert_eq!(cluster.executor.block_on(caught), Ok(2));
    assert_eq!(cluster.outcome(1, "after"), Ok(3));
    assert_eq!(cluster.applied(1), ["before", "caught", "after"]);
}

#[test]
fn a_follower_with_a_full_disk_holds_nobody_up() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.storage(follower).fill();
    for n in 0..20 {
        assert_eq!(cluster.outcome(leader, &n.to_string()), Ok(n + 1));
    }
    cluster.run_ms(1_000);
    cluster.storage(follower).repair();
    cluster.run_ms(2_000);
    assert_eq!(cluster.settled().len(), 20);
}

#[test]
fn a_member_with_a_full_disk_still_votes() {
    let mut cluster = Cluster::voters(3);
    let (leader, full, other) = cluster.leader_and_followers();
    cluster.storage(full).fill();
    cluster.outcome(leader, "what finds no space").unwrap();
    cluster.run_ms(50);
    assert!(cluster.live(full).shard.status().is_full);
    cluster.kill(leader);
    cluster.run_ms(3_000);
    assert_eq!(cluster.group(other).status().core.role, Role::Leader);
    // With room again what the leader appended meanwhile commits.
    cluster.storage(full).repair();
    cluster.run_ms(500);
    assert_eq!(cluster.outcome(full, "after"), Ok(2));
}

#[test]
fn a_leader_commits_by_others_acks_while_its_own_disk_is_slow() {
    let cluster = Cluster::voters(3);
    let (leader, _, _) = cluster.leader_and_followers();
    cluster.outcome(leader, "warm").unwrap();
    cluster.run_ms(50);
    cluster.storage(leader).set_latency(Duration::from_millis(300));
    let mut proposal = cluster.propose(leader, "quick");
    cluster.run_ms(10);
    assert_eq!(now_or_never(&mut proposal), Some(Ok(2)));
}

#[test]
fn a_killed_leader_is_replaced_and_a_waiter_elsewhere_is_told_once() {
    for seed in 1..=8 {
        let mut cluster = Cluster::with(3, seed, |_| {});
        let (leader, follower, _) = cluster.leader_and_followers();
        let waiting: Vec<_> = (0..10).map(|n| cluster.propose(follower, &n.to_string())).collect();
        cluster.executor.run_for(Duration::from_micros(150 * seed));
        cluster.kill(leader);
        let mut done = Vec::new();
        for (n, proposal) in waiting.into_iter().enumerate() {
            if cluster.executor.block_on(proposal).is_ok() {
                done.push(n.to_string());
            }
        }
        assert_eq!(cluster.group(cluster.leader()).status().core.role, Role::Leader);
        let lines = cluster.settled();
        assert_eq!(lines, done, "seed {seed}: each once, in order");
    }
}

#[test]
fn a_group_that_halts_on_a_living_node_is_led_by_another_though_nobody_asks() {
    let cluster = Cluster::voters(3);
    cluster.vouch();
    let (leader, follower, other) = cluster.leader_and_followers();
    cluster.outcome(leader, "applied").unwrap();
    cluster.run_ms(1_000);
    cluster.live(leader).switches.fails.set(true);
    let failed = cluster.outcome(leader, "halts");
    assert!(matches!(failed, Err(ProposeError::Unknown(_))), "{failed:?}");
    let leads = |id| cluster.group(id).office().role == Role::Leader;
    cluster.run_ms(5_000);
    assert!(!leads(follower) && !leads(other), "the detector vouches for the halted leader");
    cluster.pass_on_disowned(leader);
    cluster.run_ms(1_000);
    assert!(leads(follower) || leads(other), "its own word frees them");
}

#[test]
fn late_words_of_a_leader_about_a_former_term_free_nobody() {
    let cluster = Cluster::voters(3);
    cluster.vouch();
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.outcome(leader, "a").unwrap();
    cluster.run_ms(1_000);
    let office = cluster.group(follower).office();
    let sender =
        Sender { node: NodeId::new(leader), incarnation: incarnation(leader), run: Run::new(1) };
    for (generation, term) in [(GENERATION, Term::BOOTSTRAP), (Generation::new(9), office.term)] {
        cluster.live(follower).shard.inbox().disowned(sender, GROUP, generation, term);
    }
    cluster.run_ms(3_000);
    assert_eq!(cluster.group(follower).office(), office);
}
