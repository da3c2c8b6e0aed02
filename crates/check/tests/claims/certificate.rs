//! What certificates prove, one claim each.

use crate::object::{self, Mix, Workload};
use crate::scribe::{history, not_done, on_key, operation, read, unknown, write};
use raftlet_check::{
    Call, Certificate, CertificateReport, CertificateViolation, KeyValue, Operation, Value,
    check_certificates,
};

fn at(index: u64, operation: Operation) -> Operation {
    Operation { certificate: Some(Certificate { group: 1, index }), ..operation }
}

fn in_group(group: u64, operation: Operation) -> Operation {
    let index = operation.certificate.unwrap().index;
    Operation { certificate: Some(Certificate { group, index }), ..operation }
}

fn report(operations: &[Operation]) -> CertificateReport {
    check_certificates(&KeyValue, &history(operations.iter().cloned()))
}

fn only_violation(operations: &[Operation]) -> CertificateViolation {
    let mut report = report(operations);
    assert_eq!(report.violations.len(), 1, "{report:#?}");
    report.violations.remove(0)
}

#[test]
fn a_run_that_lost_no_answer_is_certified_whole() {
    for seed in 0..200 {
        let workload = Workload {
            operations: 100,
            clients: 16,
            keys: 4,
            unknown_one_in: usize::MAX,
            mix: Mix::Everything,
            fault: None,
        };
        let run = object::run(seed, workload);
        let report = check_certificates(&KeyValue, &run.history());
        assert!(report.is_certified(), "seed {seed}: {report:#?}");
    }
}

#[test]
fn a_read_below_what_was_acknowledged_before_it_began_is_too_early() {
    let all = [
        at(1, operation(1, (0, 1), write("a"))),
        at(2, operation(1, (2, 3), write("b"))),
        at(1, operation(2, (4, 5), read(Some("a")))),
    ];
    let violation = only_violation(&all);
    assert!(matches!(violation, CertificateViolation::TooEarly { earlier_index: 2, .. }));
    assert_eq!(
        violation.to_string(),
        "#2 is at index 1 of group 1, but #1 had returned before it began and is at index 2"
    );
    let touching = [all[0].clone(), all[1].clone(), at(1, operation(2, (3, 5), read(Some("a"))))];
    assert!(report(&touching).is_certified());
}

#[test]
fn a_read_below_what_was_read_before_it_began_is_too_early_on_any_key() {
    let all = [
        at(9, operation(1, (0, 1), read(None))),
        at(8, on_key("other", operation(2, (2, 3), read(None)))),
    ];
    assert!(matches!(only_violation(&all), CertificateViolation::TooEarly { .. }));
    let apart = [all[0].clone(), in_group(2, all[1].clone())];
    assert!(report(&apart).is_certified(), "groups have no common order");
}

#[test]
fn a_change_takes_an_index_above_all_that_returned_before_it_began() {
    let all = [
        at(7, operation(1, (0, 1), read(None))),
        at(7, on_key("other", operation(1, (2, 3), write("a")))),
    ];
    assert!(matches!(only_violation(&all), CertificateViolation::TooEarly { .. }));
}

#[test]
fn two_changes_of_a_key_at_one_index_are_seen() {
    let all = [at(1, operation(1, (0, 9), write("a"))), at(1, operation(2, (0, 9), write("b")))];
    assert!(matches!(only_violation(&all), CertificateViolation::SharedIndex { .. }));
}

#[test]
fn what_was_denied_must_not_be_in_the_log() {
    let denied = at(1, not_done(1, 0, Call::Write(Value::from("a"))));
    assert!(matches!(only_violation(&[denied]), CertificateViolation::NotDoneInLog { .. }));
}

#[test]
fn one_key_in_two_groups_is_seen() {
    let all = [
        at(1, operation(1, (0, 1), write("a"))),
        in_group(2, at(2, operation(1, (2, 3), write("b")))),
    ];
    assert!(matches!(only_violation(&all), CertificateViolation::TwoGroups { .. }));
}

#[test]
fn a_reply_that_is_wrong_at_its_place_is_seen_though_another_order_would_do() {
    let all = [
        at(1, operation(1, (0, 9), write("a"))),
        at(2, operation(2, (0, 9), write("b"))),
        at(2, operation(3, (0, 9), read(Some("a")))),
    ];
    assert!(crate::scribe::search(&all).is_linearizable());
    let violation = only_violation(&all);
    assert_eq!(
        violation.to_string(),
        "#2 at index 2 of group 1 found \"b\" and was answered otherwise"
    );
}

#[test]
fn an_operation_of_unknown_place_leaves_its_key_uncertified_and_no_other() {
    let lost = operation(1, (0, 1), unknown(Call::Write(Value::from("a"))));
    let seen = at(1, operation(2, (2, 3), read(Some("a"))));
    let other = at(1, on_key("other", operation(3, (2, 3), read(None))));
    let open = report(&[lost.clone(), seen.clone(), other.clone()]);
    assert_eq!((open.violations.len(), open.uncertified_keys.len()), (0, 1));
    assert!(!open.is_certified());
    let bare = report(&[operation(2, (2, 3), read(Some("a"))), other.clone()]);
    assert_eq!((bare.violations.len(), bare.uncertified_keys.len()), (0, 1), "no certificate");
    // Looked up in the committed log, it is certified like any other.
    let found = report(&[at(1, lost), seen.clone(), other.clone()]);
    assert!(found.is_certified(), "{found:#?}");
    let unknown_read = operation(1, (0, 1), unknown(Call::Read));
    assert!(report(&[unknown_read, other]).is_certified(), "nobody saw what it saw");
}
