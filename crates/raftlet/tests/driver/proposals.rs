//! How proposals end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::cluster::{Cluster, now_or_never};
use raftlet::memory::Owner;
use raftlet::{NotDone, ProposeError, Spawn, Unknown};

#[test]
fn a_proposal_is_done_when_this_member_has_applied_it_on_any_member() {
    let cluster = Cluster::voters(3);
    let (leader, follower, other) = cluster.leader_and_followers();
    assert_eq!(cluster.outcome(leader, "a"), Ok(1));
    assert_eq!(cluster.outcome(follower, "b"), Ok(2));
    assert_eq!(cluster.outcome(other, "c"), Ok(3));
    assert_eq!(cluster.settled(), ["a", "b", "c"]);
}

#[test]
fn a_group_of_one_serves_itself() {
    let cluster = Cluster::voters(1);
    assert_eq!(cluster.outcome(1, "a"), Ok(1));
    assert_eq!(cluster.applied(1), ["a"]);
}

#[test]
fn commands_proposed_together_take_one_turn_one_write_and_keep_their_order() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.outcome(leader, "first").unwrap();
    for id in [leader, follower] {
        cluster.run_ms(50);
        let writes = cluster.storage(leader).writes();
        let proposed: Vec<_> = (0..40).map(|n| cluster.propose(id, &format!("{id}-{n}"))).collect();
        let mut places = Vec::new();
        for proposal in proposed {
            places.push(cluster.executor.block_on(proposal).unwrap());
        }
        assert!(places.windows(2).all(|pair| pair[0] + 1 == pair[1]), "order is kept");
        assert_eq!(cluster.storage(leader).writes() - writes, 1, "one write for all");
    }
}

/// Outcomes of commands that are proposed on a member in one call.
fn outcomes(cluster: &Cluster, id: u64, lines: &[String]) -> Vec<Result<usize, ProposeError>> {
    let encode = |line: &String| {
        let line = line.clone();
        move |into: &mut Vec<u8>| into.extend_from_slice(line.as_bytes())
    };
    let mut proposing = cluster.group(id).propose_all(lines.iter().map(encode));
    cluster.executor.block_on(async move {
        let mut outcomes = Vec::new();
        while let Some(outcome) = proposing.next().await {
            outcomes.push(outcome);
        }
        outcomes
    })
}

#[test]
fn commands_proposed_in_one_call_end_one_by_one_in_their_order_on_any_member() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    for id in [leader, follower] {
        cluster.run_ms(50);
        let writes = cluster.storage(leader).writes();
        let lines: Vec<_> = (0..40).map(|n| format!("{id}-{n}")).collect();
        let places = outcomes(&cluster, id, &lines).into_iter().collect::<Result<Vec<_>, _>>();
        let places = places.unwrap();
        assert_eq!(places.len(), 40);
        assert!(places.windows(2).all(|pair| pair[0] + 1 == pair[1]), "order is kept");
        assert_eq!(cluster.storage(leader).writes() - writes, 1, "one write for all");
        assert!(cluster.settled().ends_with(&lines));
    }
    assert!(outcomes(&cluster, leader, &[]).is_empty());
}

#[test]
fn of_commands_proposed_in_one_call_the_refused_ones_end_not_done_and_no_others() {
    let cluster = Cluster::with(3, 7, |options| options.group.command_bytes_max = 64);
    let (leader, ..) = cluster.leader_and_followers();
    let lines = ["a".to_owned(), "x".repeat(65), "b".to_owned()];
    let refused = NotDone::TooLarge { bytes: 65, limit: 64 };
    let base = cluster.settled().len();
    let expected = [Ok(base + 1), Err(refused.into()), Ok(base + 2)];
    assert_eq!(outcomes(&cluster, leader, &lines), expected);
    assert_eq!(cluster.settled(), ["a", "b"]);
}

#[test]
fn without_a_leader_a_proposal_is_held_and_then_surely_not_done() {
    let mut cluster = Cluster::voters(3);
    let (leader, follower, other) = cluster.leader_and_followers();
    cluster.kill(leader);
    cluster.kill(other);
    cluster.run_ms(3_000);
    let mut held = cluster.propose(follower, "held");
    cluster.run_ms(4_900);
    assert_eq!(now_or_never(&mut held), None, "held for five seconds");
    cluster.run_ms(200);
    assert_eq!(now_or_never(&mut held), Some(Err(NotDone::NoLeader.into())));
    cluster.start(leader);
    cluster.leader();
    cluster.outcome(follower, "after").unwrap();
    assert_eq!(cluster.settled(), ["after"]);
}

#[test]
fn a_held_proposal_is_done_when_a_leader_comes_in_time() {
    let mut cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    cluster.kill(leader);
    cluster.run_ms(600);
    let held = cluster.propose(follower, "held");
    assert_eq!(cluster.executor.block_on(held), Ok(1));
}

#[test]
fn what_a_log_may_hold_is_unknown_when_its_time_is_up_and_may_take_effect_later() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    for id in [leader, follower] {
        cluster.live(id).switches.is_stuck.set(true);
    }
    let mut appended = cluster.propose(leader, "appended");
    let mut forwarded = cluster.propose(follower, "forwarded");
    cluster.run_ms(4_900);
    assert_eq!(now_or_never(&mut appended), None);
    assert_eq!(now_or_never(&mut forwarded), None);
    cluster.run_ms(200);
    let timed_out = Some(Err(Unknown::TimedOut.into()));
    assert_eq!(now_or_never(&mut appended), timed_out);
    assert_eq!(now_or_never(&mut forwarded), timed_out);
    for id in [leader, follower] {
        cluster.live(id).switches.release();
    }
    assert_eq!(cluster.settled(), ["appended", "forwarded"]);
}

#[test]
fn a_command_above_the_limit_is_refused_by_name_at_once() {
    let cluster = Cluster::with(1, 1, |options| options.group.command_bytes_max = 8);
    cluster.leader();
    let refused = cluster.outcome(1, "123456789");
    assert_eq!(refused, Err(NotDone::TooLarge { bytes: 9, limit: 8 }.into()));
    assert_eq!(cluster.outcome(1, "12345678"), Ok(1));
}

#[test]
fn more_proposals_than_the_shard_may_hold_are_refused_as_busy() {
    let cluster = Cluster::with(3, 1, |options| options.proposals_max = 4);
    let leader = cluster.leader();
    let mut proposed: Vec<_> = (0..6).map(|n| cluster.propose(leader, &n.to_string())).collect();
    for refused in proposed.split_off(4) {
        let busy = NotDone::Busy { held: 4, bytes: 4 };
        assert_eq!(cluster.executor.block_on(refused), Err(busy.into()));
    }
    for done in proposed {
        cluster.executor.block_on(done).unwrap();
    }
    assert_eq!(cluster.outcome(leader, "room again"), Ok(5));
}

#[test]
fn dropping_the_future_stops_waiting_and_nothing_else() {
    let cluster = Cluster::voters(3);
    let (leader, follower, _) = cluster.leader_and_followers();
    drop(cluster.propose(leader, "a"));
    drop(cluster.propose(follower, "b"));
    let mut lines = cluster.settled();
    lines.sort();
    assert_eq!(lines, ["a", "b"]);
    assert_eq!(cluster.live(leader).shard.status().proposals, 0, "the budget is given back");
}

#[test]
fn a_stopped_shard_tells_everybody_who_waits_and_takes_nothing_more() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    cluster.isolate(leader);
    let appended = cluster.propose(leader, "appended");
    cluster.run_ms(5);
    let waiting = cluster.propose(leader, "waiting");
    cluster.live(leader).shard.stop();
    assert!(matches!(cluster.executor.block_on(appended), Err(ProposeError::Unknown(_))));
    assert!(cluster.executor.block_on(waiting).is_err());
    assert_eq!(*cluster.live(leader).ended.borrow(), Some(Ok(())));
    assert_eq!(cluster.outcome(leader, "late"), Err(NotDone::Stopped.into()));
}

#[test]
fn the_leaders_write_starts_before_any_ack_arrives() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    for n in 0..20 {
        cluster.outcome(leader, &n.to_string()).unwrap();
    }
    let counters = cluster.live(leader).shard.status().counters;
    assert!(counters.leader_writes >= 20);
    assert_eq!(counters.writes_started_before_first_ack, counters.leader_writes);
}

/// Proposes one after another while the first one's writes are under way; how
/// many messages the leader has sent for all of them, how many writes it made,
/// and how often it turned before the first one ended.
fn proposed_during_a_write(cluster: &Cluster, leader: u64, len: usize) -> (u64, u64, u64) {
    let counters = || cluster.live(leader).shard.status().counters;
    let (sent, writes) = (counters().messages_sent, cluster.storage(leader).writes());
    let mut proposed = vec![cluster.propose(leader, "0")];
    cluster.run_ms(1);
    let turns = counters().turns;
    for n in 1..len {
        proposed.push(cluster.propose(leader, &format!("{n}")));
        cluster.run_ms(1);
    }
    let turns = counters().turns - turns;
    for proposal in proposed {
        cluster.executor.block_on(proposal).unwrap();
    }
    (counters().messages_sent - sent, cluster.storage(leader).writes() - writes, turns)
}

#[test]
fn what_is_proposed_during_a_write_goes_with_the_next_one_in_one_message_a_member() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    cluster.outcome(leader, "first").unwrap();
    cluster.run_ms(50);
    for id in 1..=3 {
        cluster.storage(id).set_latency(Duration::from_millis(60));
    }
    let (sent, writes, turns) = proposed_during_a_write(&cluster, leader, 40);
    assert_eq!((sent, writes), (4, 2), "two for the first alone, two for the others");
    assert!(turns < 5, "{turns} turns that could only look at them");
}

#[test]
fn a_leader_whose_own_disk_is_slow_waits_for_no_write_where_all_before_is_committed() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    cluster.outcome(leader, "first").unwrap();
    cluster.run_ms(50);
    cluster.storage(leader).set_latency(Duration::from_millis(900));
    let writes = cluster.storage(leader).writes();
    for n in 0..5 {
        cluster.outcome(leader, &format!("{n}")).unwrap();
    }
    assert!(cluster.storage(leader).writes() - writes <= 1, "the first is under way still");
}

/// Two waves of clients, each of which asks again as soon as it is answered,
/// `rounds` times: the second begins while the first one's write is under way.
/// How many writes the leader made of it.
fn writes_of_two_waves(cluster: &Cluster, leader: u64, rounds: usize) -> u64 {
    let writes = cluster.storage(leader).writes();
    let ended = Rc::new(Cell::new(0));
    let spawner = cluster.executor.spawner(Owner(9));
    for wave in 0..2 {
        for client in 0..4 {
            let (group, ended) = (cluster.group(leader), Rc::clone(&ended));
            spawner.spawn(async move {
                for round in 0..rounds {
                    group.propose(format!("{wave} {client} {round}")).await.unwrap();
                }
                ended.set(ended.get() + 1);
            });
        }
        cluster.run_ms(5);
    }
    while ended.get() < 8 {
        cluster.run_ms(10);
    }
    cluster.storage(leader).writes() - writes
}

#[test]
fn clients_that_ask_again_when_answered_come_to_share_one_write() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    cluster.outcome(leader, "first").unwrap();
    cluster.run_ms(50);
    for id in 1..=3 {
        cluster.storage(id).set_latency(Duration::from_millis(40));
    }
    let writes = writes_of_two_waves(&cluster, leader, 20);
    assert!((20..=22).contains(&writes), "{writes} writes of 160 commands in 20 rounds");
}

#[test]
fn where_commits_take_longer_than_writes_nothing_waits_for_them() {
    let cluster = Cluster::voters(3);
    let leader = cluster.leader();
    cluster.outcome(leader, "first").unwrap();
    cluster.run_ms(50);
    for id in (1..=3).filter(|id| *id != leader) {
        cluster.storage(id).set_latency(Duration::from_millis(60));
    }
    cluster.storage(leader).set_latency(Duration::from_millis(10));
    let _: Vec<_> = (0..4).map(|n| cluster.outcome(leader, &format!("{n}"))).collect();
    let writes = cluster.storage(leader).writes();
    let first = cluster.propose(leader, "under way");
    cluster.run_ms(5);
    let second = cluster.propose(leader, "during its write");
    cluster.run_ms(25);
    assert_eq!(cluster.storage(leader).writes() - writes, 2, "the second waits for the first");
    cluster.executor.block_on(first).unwrap();
    cluster.executor.block_on(second).unwrap();
}
