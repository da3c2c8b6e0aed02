//! What goes wrong in an object is found in what its clients saw.
//!
//! A fault does not always show: a forgotten write that nobody would have seen
//! any more is no violation. Where that can be, a second algorithm (`zones`)
//! says what the truth is.

use crate::object::{self, Fault, Mix, Run, Workload};
use crate::random::Random;
use crate::scribe::{history, search};
use crate::zones;
use raftlet_check::{
    Call, KeyValue, Operation, Outcome, Reply, SearchLimits, Value, Verdict, check,
    check_certificates, judge,
};

fn run(seed: u64, mix: Mix, fault: Option<(Fault, usize)>) -> Run {
    let workload = Workload { operations: 60, clients: 4, keys: 1, unknown_one_in: 20, mix, fault };
    object::run(seed, workload)
}

/// Whether the search finds these operations bad, once it and the zones agree.
fn is_bad_register(operations: &[Operation], what: &str) -> bool {
    let truth = zones::is_linearizable(operations);
    let verdict = search(operations);
    let agrees = match &verdict {
        Verdict::Linearizable => truth,
        Verdict::Violation(_) => !truth,
        Verdict::Inconclusive { .. } => false,
    };
    assert!(agrees, "{what}: truth {truth}, {verdict:?}");
    !truth
}

#[test]
fn each_fault_of_a_register_is_found_where_the_zones_see_it() {
    for fault in [Fault::ForgetsChange, Fault::ReadsStale, Fault::DoesWhatItDenies] {
        let mut bad = 0;
        for seed in 0..400 {
            let run = run(seed, Mix::Register, Some((fault, 30)));
            bad += usize::from(is_bad_register(&run.operations, &format!("{fault:?} {seed}")));
        }
        assert!(bad > 20, "{fault:?} showed only {bad} times of 400");
    }
}

#[test]
fn swapped_reads_are_found_where_the_zones_see_them() {
    let mut bad = 0;
    for seed in 0..400 {
        let mut operations = run(seed, Mix::Register, None).operations;
        let mut random = Random::seeded(seed);
        let reads: Vec<usize> = (0..operations.len())
            .filter(|number| operations[*number].call == Call::Read)
            .filter(|number| operations[*number].done().is_some())
            .collect();
        let (one, other) = (*random.pick(&reads), *random.pick(&reads));
        let reply_of = |operation: &Operation| operation.done().unwrap().0.clone();
        let (first, second) = (reply_of(&operations[one]), reply_of(&operations[other]));
        set_reply(&mut operations[one], second);
        set_reply(&mut operations[other], first);
        bad += usize::from(is_bad_register(&operations, &format!("swap {seed}")));
    }
    assert!(bad > 200, "swapping showed only {bad} times of 400");
}

fn set_reply(operation: &mut Operation, new: Reply) {
    if let Outcome::Done { reply, .. } = &mut operation.outcome {
        *reply = new;
    }
}

#[test]
fn nothing_instead_of_a_value_and_the_empty_value_instead_of_nothing_are_found() {
    let mut checked = 0;
    for seed in 0..200 {
        let good = run(seed, Mix::Register, None).operations;
        for number in 0..good.len() {
            let Some((Reply::Value(value), _)) = good[number].done() else {
                continue;
            };
            let wrong = value.is_none().then(|| Value::from(""));
            let is_swapped_to_empty = wrong.is_some();
            let mut operations = good.clone();
            set_reply(&mut operations[number], Reply::Value(wrong));
            let is_bad = is_bad_register(&operations, &format!("nothing {seed} {number}"));
            assert!(is_bad || !is_swapped_to_empty, "seed {seed}: nobody wrote the empty value");
            checked += usize::from(is_bad);
        }
    }
    assert!(checked > 1_000, "{checked}");
}

#[test]
fn an_increment_told_the_number_of_another_is_found() {
    for seed in 0..200 {
        let workload = Workload {
            operations: 80,
            clients: 6,
            keys: 1,
            unknown_one_in: 10,
            mix: Mix::Counter,
            fault: None,
        };
        let mut operations = object::run(seed, workload).operations;
        let mut random = Random::seeded(seed);
        let increments: Vec<usize> = (0..operations.len())
            .filter(|number| matches!(operations[*number].done(), Some((Reply::Number(_), _))))
            .collect();
        let at = 1 + random.below(increments.len() - 1);
        let told = operations[increments[at - 1]].done().unwrap().0.clone();
        set_reply(&mut operations[increments[at]], told);
        assert!(matches!(search(&operations), Verdict::Violation(_)), "seed {seed}");
    }
}

#[test]
fn an_increment_made_twice_or_never_is_found() {
    for fault in [Fault::RepeatsChange, Fault::ForgetsChange] {
        for seed in 0..200 {
            // No answer is lost, so no unknown increment can excuse a gap.
            let workload = Workload {
                operations: 80,
                clients: 6,
                keys: 1,
                unknown_one_in: usize::MAX,
                mix: Mix::Counter,
                fault: Some((fault, 30)),
            };
            let run = object::run(seed, workload);
            let verdict = search(&run.operations);
            assert!(matches!(verdict, Verdict::Violation(_)), "{fault:?} {seed}");
            let report = check_certificates(&KeyValue, &run.history());
            assert!(!report.violations.is_empty(), "{fault:?} {seed}");
        }
    }
}

#[test]
fn late_faults_in_long_histories_are_decided_within_the_default_limits() {
    for seed in 0..3 {
        let fault = Some((Fault::ReadsStale, 4_900));
        for mix in [Mix::Register, Mix::Counter] {
            let workload = Workload {
                operations: 5_000,
                clients: 8,
                keys: 1,
                unknown_one_in: 100,
                mix,
                fault,
            };
            let run = object::run(seed, workload);
            match mix {
                Mix::Register => {
                    is_bad_register(&run.operations, "late");
                }
                Mix::Counter | Mix::Everything => {
                    let verdict = check(&KeyValue, &run.history(), SearchLimits::default());
                    assert!(!matches!(verdict, Verdict::Inconclusive { .. }), "{seed}");
                }
            }
        }
    }
}

/// Each counter is a proof, and together they see most of what there is.
#[test]
fn counters_alarm_only_where_the_zones_see_a_violation() {
    let (mut bad, mut counted) = (0, 0);
    for fault in [Fault::ForgetsChange, Fault::ReadsStale, Fault::DoesWhatItDenies] {
        for seed in 0..1_000 {
            let run = run(seed, Mix::Register, Some((fault, 50)));
            let judgement =
                judge(&history(run.operations.clone()), &run.last, SearchLimits::default())
                    .unwrap();
            let mut operations = run.operations;
            for value in run.last.into_values() {
                operations.push(final_read(&operations[0], value));
            }
            let truth = zones::is_linearizable(&operations);
            let sum = judgement.lost + judgement.stale_reads + judgement.phantom_reads;
            assert_eq!(judgement.is_clean(), truth, "{fault:?} {seed}");
            assert!(sum == 0 || !truth, "{fault:?} {seed}: {:#?}", judgement.explanations);
            bad += usize::from(!truth);
            counted += usize::from(sum > 0);
        }
    }
    assert!(bad > 500 && counted * 10 > bad * 9, "{counted} of {bad} counted");
}

fn final_read(like: &Operation, value: Option<Value>) -> Operation {
    Operation {
        call: Call::Read,
        invoke_ns: 1 << 40,
        outcome: Outcome::Done { reply: Reply::Value(value), return_ns: 1 << 41 },
        certificate: None,
        ..like.clone()
    }
}
