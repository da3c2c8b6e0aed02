//! The window against its naive twin, and at its bounds.

use std::collections::BTreeSet;

use super::{ORIGINS_MAX, RANGES_MAX, Verdict, WINDOW_SPAN, Window};
use raftlet_core::{Incarnation, Index, NodeId, Origin, Run};

fn origin(node: u64, run: u64, sequence: u64) -> Origin {
    Origin {
        node: NodeId::new(node),
        incarnation: Incarnation(u128::from(node) << 64 | 9),
        run: Run::new(run),
        sequence,
    }
}

struct Log {
    window: Window,
    index: u64,
}

impl Log {
    fn new() -> Self {
        Self { window: Window::default(), index: 0 }
    }

    fn admits(&mut self, origin: Origin) -> bool {
        self.index += 1;
        self.window.admit(Index::new(self.index), &origin) == Verdict::Effective
    }
}

/// A small generator of its own: the crate has no randomness.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn a_sequence_takes_effect_once_however_often_it_is_in_the_log() {
    let mut log = Log::new();
    assert!(log.admits(origin(1, 1, 1)));
    assert!(log.admits(origin(1, 1, 2)));
    assert!(!log.admits(origin(1, 1, 1)), "a second copy below the floor");
    assert!(!log.admits(origin(1, 1, 2)), "a second copy at the floor");
    assert!(log.admits(origin(1, 1, 9)));
    assert!(!log.admits(origin(1, 1, 9)), "a second copy above the floor");
    assert!(log.admits(origin(1, 1, 5)), "a gap is still open");
    assert!(!log.admits(origin(1, 1, 5)));
}

#[test]
fn within_its_bounds_the_window_is_the_set_of_everything_seen() {
    for seed in 1..=40 {
        let mut random = seed;
        let mut log = Log::new();
        let mut seen = BTreeSet::new();
        let mut base = 0;
        for _ in 0..400 {
            base += next(&mut random) % 2;
            // Close together: never more ranges than RANGES_MAX.
            let sequence = 1 + base + next(&mut random) % 40;
            let fresh = seen.insert(sequence);
            assert_eq!(log.admits(origin(3, 1, sequence)), fresh, "seed {seed}");
        }
    }
}

#[test]
fn what_is_no_effect_stays_no_effect_beyond_the_bounds() {
    let mut random = 77;
    let mut log = Log::new();
    let mut seen = BTreeSet::new();
    for _ in 0..20_000 {
        let sequence = 1 + next(&mut random) % (4 * WINDOW_SPAN);
        let admitted = log.admits(origin(3, 1, sequence));
        assert!(!admitted || seen.insert(sequence), "{sequence} took effect twice");
    }
    let window = log.window.origins.values().next().unwrap();
    assert!(window.seen.len() <= RANGES_MAX);
    assert!(window.floor > 0);
}

#[test]
fn a_sequence_further_behind_than_the_span_has_no_effect() {
    let mut log = Log::new();
    assert!(log.admits(origin(1, 1, WINDOW_SPAN + 10)));
    assert!(!log.admits(origin(1, 1, 10)), "at the floor");
    assert!(log.admits(origin(1, 1, 11)), "just above the floor");
}

#[test]
fn a_later_run_starts_anew_and_ends_the_earlier_one() {
    let mut log = Log::new();
    assert!(log.admits(origin(1, 1, 1)));
    assert!(log.admits(origin(1, 2, 1)), "another run, another proposal");
    assert!(!log.admits(origin(1, 1, 2)), "nobody waits for the earlier run");
    assert!(log.admits(origin(1, 2, 2)), "and it did not bring it back");
    assert!(!log.admits(origin(1, 2, 1)));
}

#[test]
fn origins_are_kept_apart_by_node_and_by_incarnation() {
    let mut log = Log::new();
    assert!(log.admits(origin(1, 1, 1)));
    assert!(log.admits(origin(2, 1, 1)));
    let reborn = Origin { incarnation: Incarnation(4), ..origin(1, 1, 1) };
    assert!(log.admits(reborn));
    assert!(!log.admits(origin(1, 1, 1)), "the former life is still known");
    assert!(!log.admits(reborn));
}

#[test]
fn beyond_the_limit_the_origin_silent_for_longest_is_forgotten() {
    let mut log = Log::new();
    for node in 0..u64::try_from(ORIGINS_MAX).unwrap() {
        assert!(log.admits(origin(node + 1, 1, 1)));
    }
    assert!(log.admits(origin(1, 1, 2)), "node 1 is heard again");
    assert!(log.admits(origin(1_000, 1, 1)), "one more than fit");
    assert!(!log.admits(origin(1, 1, 2)), "the one just heard is kept");
    assert_eq!(log.window.origins.len(), ORIGINS_MAX);
    let forgotten = (NodeId::new(2), origin(2, 1, 1).incarnation);
    assert!(!log.window.origins.contains_key(&forgotten));
}

#[test]
fn members_that_applied_the_same_entries_hold_the_same_window() {
    let (mut one, mut other) = (Log::new(), Log::new());
    let mut random = 5;
    for _ in 0..5_000 {
        let node = 1 + next(&mut random) % 5;
        let entry = origin(node, 1 + next(&mut random) % 3, 1 + next(&mut random) % 300);
        assert_eq!(one.admits(entry), other.admits(entry));
    }
    assert_eq!(one.window, other.window);
}

#[test]
fn a_window_survives_its_encoding_and_no_prefix_of_it_passes() {
    let mut log = Log::new();
    for sequence in [1, 2, 3, 7, 9, 10, 40] {
        assert!(log.admits(origin(1, 3, sequence)));
        log.admits(origin(2, 1, sequence * 5));
    }
    let bytes = log.window.encode();
    assert_eq!(Window::decode(&bytes), Some(log.window.clone()));
    assert_eq!(Window::decode(&[]), Some(Window::default()));
    for cut in 1..bytes.len() {
        assert_eq!(Window::decode(&bytes[..cut]), None, "cut at {cut}");
    }
}
