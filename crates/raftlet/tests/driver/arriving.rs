//! Members far behind arrive, whatever callers write meanwhile, and transfers
//! that lead nowhere keep no place.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::cluster::{Cluster, GENERATION, GROUP, Ledger, Ports, configuration};
use raftlet::core::{Body, GroupId, Index, NodeId};
use raftlet::{Group, ShardOptions, Storage};

/// Writes between two turns of a clock that goes on for so long.
const EVERY: Duration = Duration::from_millis(50);

/// A snapshot every twenty entries, a tail of twenty at the longest, and a
/// transfer that takes the time of about fifty writes.
fn slow(options: &mut ShardOptions) {
    options.snapshot_log_entries = 20;
    options.snapshot_tail_entries = 5;
    options.snapshot_bytes_per_second = 1_000;
}

/// A cluster, its leader, and a member that missed 600 lines and is back.
fn with_one_far_behind(tune: impl Fn(&mut ShardOptions)) -> (Cluster, u64, u64) {
    let mut cluster = Cluster::with(3, 1, |options| {
        slow(options);
        tune(options);
    });
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.kill(follower);
    for n in 0..600 {
        cluster.outcome(leader, &n.to_string()).unwrap();
    }
    cluster.run_ms(100);
    cluster.start(follower);
    (cluster, leader, follower)
}

/// Callers write for so long; ends early where `is_enough` says so.
fn write_for(cluster: &Cluster, leader: u64, seconds: u64, is_enough: impl Fn() -> bool) {
    for n in 0..seconds * 20 {
        drop(cluster.propose(leader, &n.to_string()));
        cluster.executor.run_for(EVERY);
        if is_enough() {
            return;
        }
    }
}

fn commit(cluster: &Cluster, id: u64) -> Index {
    cluster.group(id).status().core.commit_index
}

fn is_near(cluster: &Cluster, leader: u64, id: u64) -> bool {
    commit(cluster, leader).get() < commit(cluster, id).get() + 5
}

fn log_len(cluster: &Cluster, id: u64) -> u64 {
    let log = cluster.executor.block_on(cluster.storage(id).load_log(GROUP)).unwrap();
    log.last - log.base.index
}

fn installed(cluster: &Cluster, id: u64) -> u64 {
    cluster.group(id).status().counters.snapshots_installed
}

#[test]
fn a_member_far_behind_arrives_with_one_snapshot_while_callers_go_on_writing() {
    let (cluster, leader, follower) = with_one_far_behind(|_| {});
    let taken = || cluster.live(leader).shard.status().counters.snapshots_taken;
    let before = taken();
    write_for(&cluster, leader, 30, || is_near(&cluster, leader, follower));
    assert!(is_near(&cluster, leader, follower), "it is still on its way");
    assert_eq!(installed(&cluster, follower), 1);
    assert!(taken() > before, "none was taken meanwhile");
    // What was held for it goes as usual.
    write_for(&cluster, leader, 5, || false);
    assert!(log_len(&cluster, leader) <= 50, "{} entries", log_len(&cluster, leader));
}

#[test]
fn a_log_is_held_for_a_member_up_to_its_limit_and_no_longer() {
    let (cluster, leader, follower) =
        with_one_far_behind(|options| options.snapshot_hold_bytes_max = 0);
    let longest = Cell::new(0);
    write_for(&cluster, leader, 10, || {
        longest.set(longest.get().max(log_len(&cluster, leader)));
        false
    });
    assert!(longest.get() <= 50, "{} entries", longest.get());
    assert!(installed(&cluster, follower) >= 2, "the limit cut nothing off");
}

#[test]
fn a_member_that_left_on_its_way_is_not_waited_for() {
    let (mut cluster, leader, follower) = with_one_far_behind(|_| {});
    cluster.run_ms(1_000);
    assert!(!cluster.group(leader).status().snapshots.sending.is_empty());
    cluster.kill(follower);
    cluster.suspect(follower);
    write_for(&cluster, leader, 20, || false);
    assert!(log_len(&cluster, leader) > 200, "it may come back");
    write_for(&cluster, leader, 30, || false);
    assert!(log_len(&cluster, leader) <= 50, "{} entries", log_len(&cluster, leader));
    assert_eq!(cluster.live(leader).shard.status().snapshots.logs_held, 0);
}

#[test]
fn storage_that_wants_space_gets_what_is_held_for_a_member() {
    let (cluster, leader, _) = with_one_far_behind(|_| {});
    write_for(&cluster, leader, 2, || false);
    assert!(!cluster.group(leader).status().snapshots.sending.is_empty());
    let until = cluster.applied_index(leader);
    cluster.storage(leader).pin(GROUP, until);
    write_for(&cluster, leader, 1, || false);
    let log = cluster.executor.block_on(cluster.storage(leader).load_log(GROUP)).unwrap();
    assert!(log.base.index >= until, "{log:?}");
}

/// Entries of a log that storage aims at.
const AIM: u64 = 30;

/// Callers write for 30 s, on storage that aims at [`AIM`] entries and has room to
/// spare up to `roomy`; ends early where `is_enough` says so. Returns how long the
/// leader's log was at most.
fn write_near_the_limit(
    cluster: &Cluster,
    leader: u64,
    roomy: u64,
    is_enough: impl Fn() -> bool,
) -> u64 {
    let longest = Cell::new(0);
    write_for(cluster, leader, 30, || {
        let (storage, len) = (cluster.storage(leader), log_len(cluster, leader));
        longest.set(longest.get().max(len));
        storage.set_roomy(len <= roomy);
        if len > AIM {
            let last = cluster.applied_index(leader).get();
            storage.pin(GROUP, Index::new(last.saturating_sub(AIM)));
        }
        is_enough()
    });
    longest.get()
}

#[test]
fn a_member_arrives_while_storage_that_wants_space_has_room_to_spare() {
    let (cluster, leader, follower) = with_one_far_behind(|_| {});
    write_near_the_limit(&cluster, leader, 120, || is_near(&cluster, leader, follower));
    assert!(is_near(&cluster, leader, follower), "it is still on its way");
    assert_eq!(installed(&cluster, follower), 1);
    let lost = || cluster.live(leader).shard.status().counters.snapshot_holds_lost;
    assert_eq!(lost(), 0);
    // When nobody is on the way it gets what it wants.
    let writes = cluster.storage(leader).writes();
    write_near_the_limit(&cluster, leader, 120, || false);
    let (len, writes) = (log_len(&cluster, leader), cluster.storage(leader).writes() - writes);
    assert!(len <= AIM + 5, "{len} entries");
    assert!(writes < 1_000, "the log was cut again and again: {writes} writes of 600 entries");
}

#[test]
fn a_member_that_cannot_be_waited_for_is_told_and_the_log_keeps_to_its_limit() {
    let (cluster, leader, follower) = with_one_far_behind(|_| {});
    let longest = write_near_the_limit(&cluster, leader, 40, || false);
    assert!(longest <= 40 + 5, "{longest} entries");
    assert!(installed(&cluster, follower) >= 2, "it has not lost anything");
    let lost = cluster.live(leader).shard.status().counters.snapshot_holds_lost;
    assert!(lost >= 2, "{lost} times only");
    // It arrives when callers leave it time.
    cluster.run_ms(10_000);
    assert!(is_near(&cluster, leader, follower), "it is still on its way");
}

const SECOND: GroupId = GroupId::new(2);

fn open_second(cluster: &Cluster, id: u64) -> Group<Ports> {
    let opened = cluster.live(id).shard.open(SECOND, GENERATION, Ledger::default());
    cluster.executor.block_on(opened).unwrap()
}

#[test]
fn a_transfer_without_its_leader_gives_its_place_to_one_that_waits() {
    let mut cluster = Cluster::with(3, 1, |options| {
        slow(options);
        options.snapshot_transfers_max = 1;
    });
    let mut handles = Vec::new();
    let all = configuration(3);
    for id in 1..=3 {
        let made = cluster.live(id).shard.bootstrap(SECOND, GENERATION, &all);
        cluster.executor.block_on(made).unwrap();
        handles.push(open_second(&cluster, id));
    }
    let (leader, follower, other) = cluster.leader_and_followers();
    cluster.kill(follower);
    let of_leader = handles.swap_remove(usize::try_from(leader - 1).unwrap());
    for n in 0..300 {
        cluster.outcome(leader, &n.to_string()).unwrap();
        cluster.executor.block_on(of_leader.propose(n.to_string())).unwrap();
    }
    // Some parts of the first group arrive, and then no more.
    let arrived = Rc::new(Cell::new(0));
    let counted = Rc::clone(&arrived);
    cluster.network.set_filter(move |_, _, incoming| {
        let is_first =
            incoming.group == GROUP && matches!(incoming.message.body, Body::Snapshot(_));
        counted.set(counted.get() + u32::from(is_first));
        !is_first || counted.get() <= 5
    });
    cluster.start(follower);
    cluster.run_ms(5_000);
    let second = open_second(&cluster, follower);
    assert!(cluster.group(follower).status().snapshots.receiving.is_some());
    cluster.run_ms(60_000);
    assert_eq!(second.status().core.commit_index, of_leader.status().core.commit_index);
    // The first goes on when it can.
    cluster.heal();
    cluster.run_ms(30_000);
    assert_eq!(commit(&cluster, follower), commit(&cluster, leader));
    assert_eq!(commit(&cluster, follower), commit(&cluster, other));
}

/// Parts reach a member, and then no more: it waits in the middle of a transfer.
fn stop_half_way(cluster: &Cluster, follower: u64) {
    let arrived = Rc::new(Cell::new(0));
    cluster.network.set_filter(move |_, to, incoming| {
        let is_part = to.get() == follower && matches!(incoming.message.body, Body::Snapshot(_));
        arrived.set(arrived.get() + u32::from(is_part));
        !is_part || arrived.get() <= 5
    });
    cluster.run_ms(3_000);
    let receiving = cluster.group(follower).status().snapshots.receiving.unwrap();
    assert!((1..receiving.parts).contains(&receiving.parts_done), "{receiving:?}");
    assert_eq!(cluster.storage(follower).snapshots_begun(), 1);
}

/// Neither its place nor a file is taken any more.
fn has_given_up(cluster: &Cluster, id: u64) -> bool {
    let fills = cluster.live(id).shard.status().snapshots;
    (fills.receiving, fills.parts_waiting, cluster.storage(id).snapshots_begun()) == (0, 0, 0)
}

#[test]
fn a_member_that_halts_while_it_receives_gives_the_transfer_up() {
    let cluster = Cluster::with(3, 1, slow);
    let (leader, follower, _) = cluster.leader_and_followers();
    // It halts at an entry that it had before it fell behind.
    let switches = &cluster.live(follower).switches;
    switches.is_stuck.set(true);
    cluster.outcome(leader, "its last").unwrap();
    cluster.run_ms(100);
    cluster.isolate(follower);
    for n in 0..600 {
        cluster.outcome(leader, &n.to_string()).unwrap();
    }
    cluster.heal();
    stop_half_way(&cluster, follower);
    switches.fails.set(true);
    switches.release();
    cluster.run_ms(100);
    assert!(cluster.group(follower).status().halted.is_some(), "it goes on");
    assert!(has_given_up(&cluster, follower), "{:?}", cluster.live(follower).shard.status());
}

#[test]
fn a_member_that_is_removed_while_it_receives_gives_the_transfer_up() {
    let (cluster, leader, follower) = with_one_far_behind(|_| {});
    stop_half_way(&cluster, follower);
    let removed = cluster.group(leader).remove(NodeId::new(follower));
    cluster.executor.block_on(removed).unwrap();
    // Its leader would tell it by that snapshot; another does when it campaigns.
    cluster.network.set_filter(move |from, to, _| (from.get(), to.get()) != (leader, follower));
    cluster.run_ms(10_000);
    assert!(cluster.group(follower).status().core.is_removed, "nobody told it");
    assert!(has_given_up(&cluster, follower), "{:?}", cluster.live(follower).shard.status());
}
