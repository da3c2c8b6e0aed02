//! Seeds on which a bug shows, each with its cause.
//!
//! Some showed bugs that the core had, some a check that was wrong; the others
//! show the bugs that took the longest to find among the mutants. A bare seed
//! means another run as soon as the generator draws differently, so lines name
//! the mutant that has the bug, if there is one:
//! `raftlet-sim core --mutant ID --seeds N..N+1` of a mutants build must fail.
//! Where it no longer does, look for a new seed.

use raftlet_sim::core_tier::{self, Limits};

/// Seed, mutant, what happens where the bug is.
const SEEDS: &[(u64, &str, &str)] = &[
    (273, "M110", "each refusal out of a reordered window is answered by another window"),
    (15_097, "", "heartbeats put off the retry of a fetch that had failed, for ever"),
    (4_705, "", "a former leader that got its own entries back was taken for leading"),
    (55_870, "", "opening the window passed for an answer to all that was under way"),
    (15_757, "", "a late leader truncates what a higher term has committed: legal"),
    (1_796_089_842_868, "", "two leaders began a change each, the late one last: both are judged"),
    (119, "M54", "a read is served by a leader that has been replaced"),
    (78, "M109", "the late write of a replaced tail counts for its replacement"),
    (44, "M06", "a longer log of an older term is elected"),
    (36, "M25", "an ack to a former office counts in the next"),
];

#[test]
fn seeds_that_once_showed_a_bug_show_none() {
    for (seed, mutant, cause) in SEEDS {
        let outcome = core_tier::run(*seed, Limits::default());
        let violation = outcome.violation.map(|violation| violation.to_string());
        assert_eq!(violation, None, "seed {seed} ({mutant}: {cause})");
    }
}
