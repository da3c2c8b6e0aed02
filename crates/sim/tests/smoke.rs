//! Seeds 1 to 300 in every test run: a batch that takes seconds, and the
//! proof that a seed is a run.
//!
//! Ten thousand seeds are the job of `raftlet-sim core --seeds 1..10001`.

use std::ops::Range;
use std::thread;

use raftlet_sim::core_tier::{self, Limits, Outcome};
use raftlet_sim::tally::{Mark, Tally};

const SEEDS: Range<u64> = 1..301;
const LIMITS: Limits = Limits { steps: 1_500, tells: false };

#[test]
fn no_seed_of_the_smoke_batch_violates_an_invariant() {
    let mut tally = Tally::default();
    let mut steps = 0;
    for outcome in batch(SEEDS) {
        let violation = outcome.violation.map(|violation| violation.to_string());
        assert_eq!(violation, None, "seed {}", outcome.seed);
        tally += outcome.tally;
        steps += outcome.steps;
    }
    println!("seeds {SEEDS:?}: {steps} steps");
    // A batch in which these never happened has shown nothing.
    for mark in [
        Mark::Election,
        Mark::QuorumLost,
        Mark::InheritedCommit,
        Mark::Truncation,
        Mark::Reject,
        Mark::LostWrites,
        Mark::Fetch,
        Mark::Replay,
        Mark::Forward,
        Mark::FollowerRead,
        Mark::TransferCampaign,
        Mark::NotTransferred,
        Mark::Change,
        Mark::JointLeft,
        Mark::Promotion,
        Mark::LeaderLeaves,
        Mark::Removed,
        Mark::ConfigurationTruncated,
        Mark::Lease,
        Mark::SnapshotTaken,
        Mark::SnapshotInstalled,
        Mark::SnapshotDamaged,
        Mark::RotMet,
        Mark::LossFound,
        Mark::Refilled,
        Mark::KeeperFell,
        Mark::KeeperAhead,
        Mark::KeeperSkips,
        Mark::Severed,
        Mark::Preferred,
        Mark::Diverged,
        Mark::Healed,
    ] {
        assert!(tally.get(mark) > 0, "{mark:?} never happened");
    }
}

#[test]
fn a_seed_is_the_same_run_again_and_in_another_thread() {
    let seeds = 1_000..1_040;
    let digests = |outcomes: Vec<Outcome>| -> Vec<(u64, u64, u64)> {
        outcomes.iter().map(|o| (o.seed, o.steps, o.trace_digest)).collect()
    };
    let here = digests(seeds.clone().map(|seed| core_tier::run(seed, LIMITS)).collect());
    let there = digests(batch(seeds));
    assert_eq!(here, there);
    let mut distinct: Vec<u64> = here.iter().map(|(_, _, digest)| *digest).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), here.len(), "two seeds, one run");
}

#[test]
fn telling_a_story_does_not_change_it() {
    let silent = core_tier::run(7, LIMITS);
    let told = core_tier::run(7, Limits { tells: true, ..LIMITS });
    assert_eq!(silent.trace_digest, told.trace_digest);
    assert!(silent.lines.is_empty());
    assert!(u64::try_from(told.lines.len()).unwrap() > told.steps);
}

/// Runs `seeds` on two threads; outcomes in the order of seeds.
fn batch(seeds: Range<u64>) -> Vec<Outcome> {
    let halves = [0, 1].map(|odd| {
        let seeds = seeds.clone();
        let own = move |seed: &u64| seed % 2 == odd;
        thread::spawn(move || -> Vec<Outcome> {
            seeds.filter(own).map(|seed| core_tier::run(seed, LIMITS)).collect()
        })
    });
    let outcomes = halves.into_iter().flat_map(|half| half.join().expect("a run catches panics"));
    let mut outcomes: Vec<Outcome> = outcomes.collect();
    outcomes.sort_by_key(|outcome| outcome.seed);
    outcomes
}
