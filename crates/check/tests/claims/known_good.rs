//! What a real object answered is never called wrong, by any judge.

use crate::object::{self, Mix, Workload};
use raftlet_check::{KeyValue, SearchLimits, Verdict, check, check_certificates, judge};

#[test]
fn small_histories_of_a_real_object_pass_every_judge() {
    for mix in [Mix::Register, Mix::Counter, Mix::Everything] {
        for seed in 0..1_000 {
            let workload = Workload {
                operations: 60,
                clients: 5,
                keys: 2,
                unknown_one_in: 8,
                mix,
                fault: None,
            };
            let run = object::run(seed, workload);
            let history = run.history();
            let judgement = judge(&history, &run.last, SearchLimits::default()).unwrap();
            assert!(judgement.is_clean(), "seed {seed}: {:#?}", judgement.explanations);
            let report = check_certificates(&KeyValue, &history);
            assert_eq!(report.violations, [], "seed {seed}");
        }
    }
}

#[test]
fn five_thousand_operations_of_eight_clients_cost_few_nodes() {
    // Nodes an operation: four times what the dearest of these seeds took. A
    // search that needs more has lost one of its three tricks.
    for (mix, nodes_max) in [(Mix::Register, 16), (Mix::Counter, 4), (Mix::Everything, 64)] {
        for seed in 0..5 {
            let workload = Workload {
                operations: 5_000,
                clients: 8,
                keys: 1,
                unknown_one_in: 100,
                mix,
                fault: None,
            };
            let run = object::run(seed, workload);
            let limits = SearchLimits { nodes_max: 5_000 * nodes_max };
            let verdict = check(&KeyValue, &run.history(), limits);
            assert_eq!(verdict, Verdict::Linearizable, "seed {seed}");
        }
    }
}
