//! What a real object answered is never called wrong.

use raftlet_check::{KeyValue, SearchLimits, Verdict, check};

use crate::object::{self, Mix, Workload};

#[test]
fn small_histories_of_a_real_object_pass() {
    for mix in [Mix::Register, Mix::Counter, Mix::Everything] {
        for seed in 0..1_000 {
            let workload = Workload {
                operations: 60,
                clients: 5,
                keys: 2,
                unknown_one_in: 8,
                mix,
            };
            let run = object::run(seed, workload);
            let verdict = check(&KeyValue, &run.history(), SearchLimits::default());
            assert_eq!(verdict, Verdict::Linearizable, "seed {seed}");
        }
    }
}

/// Nodes per operation that a good history with unique values may cost: a
/// search that needs more has lost one of its three tricks.
const NODES_PER_OPERATION_MAX: u64 = 8;

#[test]
fn five_thousand_operations_of_eight_clients_cost_few_nodes() {
    for mix in [Mix::Register, Mix::Counter, Mix::Everything] {
        for seed in 0..5 {
            let workload = Workload {
                operations: 5_000,
                clients: 8,
                keys: 1,
                unknown_one_in: 100,
                mix,
            };
            let run = object::run(seed, workload);
            let limits = SearchLimits {
                nodes_max: 5_000 * NODES_PER_OPERATION_MAX,
            };
            let verdict = check(&KeyValue, &run.history(), limits);
            assert_eq!(verdict, Verdict::Linearizable, "seed {seed}");
        }
    }
}
