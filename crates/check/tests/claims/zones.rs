//! A second opinion on registers: the zones of Gibbons and Korach.
//!
//! Where every value is written once, all operations of a value must stand
//! together. So each value has a zone, from its first return to its last
//! invocation, and a history is linearizable exactly if no two values force
//! each other apart. That is decided without a search and shares nothing with
//! it, for histories far beyond what permutations reach.

use std::collections::BTreeMap;

use raftlet_check::{Call, Operation, Outcome, Reply, Value};

struct Zone {
    first_return: i128,
    last_invoke: i128,
}

/// Whether the operations on one key, reads and unique writes, are
/// linearizable.
pub(crate) fn is_linearizable(operations: &[Operation]) -> bool {
    let mut zones: BTreeMap<Option<&Value>, Zone> = BTreeMap::new();
    zones.insert(None, Zone { first_return: -1, last_invoke: -1 });
    let mut writes: BTreeMap<&Value, &Operation> = BTreeMap::new();
    for operation in operations.iter().filter(|one| one.outcome != Outcome::NotDone) {
        let Call::Write(value) = &operation.call else {
            continue;
        };
        assert!(writes.insert(value, operation).is_none(), "values are unique");
        let first_return = operation.done().map_or(i128::MAX, |(_, return_ns)| return_ns.into());
        let last_invoke = operation.invoke_ns.into();
        zones.insert(Some(value), Zone { first_return, last_invoke });
    }
    for operation in operations {
        let Some((Reply::Value(value), return_ns)) = operation.done() else {
            continue;
        };
        let write = value.as_ref().map(|value| writes.get(value));
        let is_phantom =
            write.is_some_and(|write| write.is_none_or(|write| return_ns < write.invoke_ns));
        if is_phantom {
            return false;
        }
        let zone = zones.get_mut(&value.as_ref()).unwrap();
        zone.first_return = zone.first_return.min(return_ns.into());
        zone.last_invoke = zone.last_invoke.max(operation.invoke_ns.into());
    }
    let forces_before = |one: &Zone, other: &Zone| one.first_return < other.last_invoke;
    !zones.iter().any(|(value, one)| {
        zones.iter().any(|(other_value, other)| {
            value != other_value && forces_before(one, other) && forces_before(other, one)
        })
    })
}
