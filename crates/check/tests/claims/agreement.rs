//! The search and every permutation say the same.

use std::collections::BTreeSet;

use crate::brute_force;
use crate::random::Random;
use crate::scribe::{delete, incr, not_done, operation, read, search, unknown, write};
use raftlet_check::{Call, Operation, Reply, Value, Verdict};

type Kind = (Call, Option<Reply>);

/// All ways `n` intervals can lie in time, up to renaming and stretching.
fn interval_orders(n: usize) -> BTreeSet<Vec<(u64, u64)>> {
    fn go(
        n: usize,
        open: &mut Vec<u64>,
        done: &mut Vec<(u64, u64)>,
        (now, has_returned): (u64, bool),
        found: &mut BTreeSet<Vec<(u64, u64)>>,
    ) {
        if done.len() == n {
            let mut spans = done.clone();
            spans.sort_unstable();
            found.insert(spans);
            return;
        }
        if open.len() + done.len() < n {
            let begin = if has_returned { now + 1 } else { now };
            open.push(begin);
            go(n, open, done, (begin, false), found);
            open.pop();
        }
        for number in 0..open.len() {
            let begin = open.remove(number);
            done.push((begin, now));
            go(n, open, done, (now, true), found);
            done.pop();
            open.insert(number, begin);
        }
    }
    let mut found = BTreeSet::new();
    go(n, &mut Vec::new(), &mut Vec::new(), (0, false), &mut found);
    found
}

/// Runs both on all histories of `n` operations of these kinds; returns how
/// many were good and how many bad.
fn compare_all(n: usize, kinds: &[Kind]) -> (usize, usize) {
    let (mut good, mut bad) = (0, 0);
    for spans in interval_orders(n) {
        let mut choice = vec![0; n];
        loop {
            let operations: Vec<Operation> = (0_u64..)
                .zip(&spans)
                .zip(&choice)
                .map(|((client, times), kind)| operation(client, *times, kinds[*kind].clone()))
                .collect();
            if compare(&operations) {
                good += 1;
            } else {
                bad += 1;
            }
            let Some(digit) = choice.iter().position(|kind| kind + 1 < kinds.len()) else {
                break;
            };
            choice[digit] += 1;
            choice[..digit].fill(0);
        }
    }
    (good, bad)
}

fn compare(operations: &[Operation]) -> bool {
    let truth = brute_force::is_linearizable(operations);
    let verdict = search(operations);
    let agrees = match verdict {
        Verdict::Linearizable => truth,
        Verdict::Violation(_) => !truth,
        Verdict::Inconclusive { .. } => false,
    };
    assert!(agrees, "truth {truth}, search {verdict:?}\n{operations:#?}");
    truth
}

#[test]
fn every_way_five_operations_can_lie_in_time_is_tried() {
    // The number of interval orders, a known sequence.
    let counts: Vec<usize> = (1..=5).map(|n| interval_orders(n).len()).collect();
    assert_eq!(counts, [1, 2, 5, 15, 53]);
}

#[test]
fn registers_of_up_to_five_operations_are_judged_as_every_permutation_judges() {
    let lost = |value| unknown(Call::Write(Value::from(value)));
    let kinds = [write("1"), write("2"), lost("2"), read(None), read(Some("1")), read(Some("2"))];
    for n in 1..=5 {
        let (good, bad) = compare_all(n, &kinds);
        assert!(good > 0 && bad > 0, "{n}: {good} {bad}");
    }
}

#[test]
fn counters_of_up_to_four_operations_are_judged_as_every_permutation_judges() {
    let kinds = [
        incr(1, 1),
        incr(1, 2),
        incr(2, 3),
        unknown(Call::Incr(1)),
        unknown(Call::Incr(2)),
        unknown(Call::Delete),
        delete(true),
        delete(false),
        read(Some("2")),
        write("1"),
    ];
    for n in 1..=4 {
        let (good, bad) = compare_all(n, &kinds);
        assert!(good > 0 && bad > 0, "{n}: {good} {bad}");
    }
}

#[test]
fn random_histories_of_up_to_eight_operations_are_judged_as_every_permutation_judges() {
    let mut random = Random::seeded(0x1175);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let len = 5 + random.below(4);
        let width = 2 + random.below(12);
        let operations: Vec<Operation> = (0_u64..)
            .take(len)
            .map(|client| {
                let invoke_ns = u64::try_from(random.below(12)).unwrap();
                let return_ns = invoke_ns + u64::try_from(random.below(width)).unwrap();
                random_operation(&mut random, client, (invoke_ns, return_ns))
            })
            .collect();
        if compare(&operations) {
            good += 1;
        } else {
            bad += 1;
        }
    }
    assert!(good > 1_000 && bad > 1_000, "{good} good, {bad} bad: the generator is lopsided");
}

fn random_operation(random: &mut Random, client: u64, times: (u64, u64)) -> Operation {
    let value = ["1", "2", "3", "x"][random.below(4)];
    let delta = [1, 1, 2, -1][random.below(4)];
    let number = [1, 2, 3, 4][random.below(4)];
    let kind = match random.below(16) {
        0..=3 => write(value),
        4 => read(None),
        5..=7 => read(Some(value)),
        8 | 9 => incr(delta, number),
        10 => delete(random.one_in(2)),
        11 | 12 => unknown(Call::Write(Value::from(value))),
        13 | 14 => unknown(Call::Incr(delta)),
        _ if random.one_in(2) => unknown(Call::Delete),
        _ => return not_done(client, times.0, Call::Write(Value::from(value))),
    };
    operation(client, times, kind)
}
