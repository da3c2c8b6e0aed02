//! What the demo's counters count, one claim each.

use std::collections::BTreeMap;

use crate::scribe::{delete, history, incr, not_done, on_key, operation, read, unknown, write};
use raftlet_check::{
    Call, History, JudgeError, Judgement, Key, Operation, SearchLimits, Value, Verdict, judge,
};

fn finally(value: Option<&str>) -> BTreeMap<Key, Option<Value>> {
    BTreeMap::from([(Key::from("k"), value.map(Value::from))])
}

/// Judges operations on key `k` that holds `value` at the end.
fn judged(operations: &[Operation], value: Option<&str>) -> Judgement {
    let history = history(operations.iter().cloned());
    judge(&history, &finally(value), SearchLimits::default()).unwrap()
}

/// `lost`, `stale_reads`, `phantom_reads`; a violation must agree with them.
fn counts(operations: &[Operation], value: Option<&str>) -> [u64; 3] {
    let judgement = judged(operations, value);
    let counts = [judgement.lost, judgement.stale_reads, judgement.phantom_reads];
    let is_bad = matches!(judgement.linearizable, Verdict::Violation(_));
    assert!(is_bad || counts == [0; 3], "{judgement:#?}");
    assert_eq!(judgement.is_clean(), !is_bad);
    counts
}

fn lost_write(value: &str) -> (Call, Option<raftlet_check::Reply>) {
    unknown(Call::Write(Value::from(value)))
}

#[test]
fn an_acknowledged_write_missing_at_the_end_is_lost() {
    let all = [operation(1, (0, 1), write("a")), operation(1, (2, 3), write("b"))];
    assert_eq!(counts(&all, Some("b")), [0, 0, 0]);
    assert_eq!(counts(&all, Some("a")), [1, 0, 0]);
    assert_eq!(counts(&all, None), [2, 0, 0]);
    let judgement = judged(&all, Some("a"));
    assert_eq!(
        judgement.explanations[0],
        "lost: #1 client 1 write \"k\" = \"b\" -> ok [2 ns .. 3 ns]: \
         the end is older: final reader read \"k\" -> \"a\""
    );
}

#[test]
fn a_write_that_overlaps_the_one_found_at_the_end_is_not_lost() {
    let all = [operation(1, (0, 5), write("a")), operation(2, (5, 9), write("b"))];
    assert_eq!(counts(&all, Some("a")), [0, 0, 0]);
    assert_eq!(counts(&all, Some("b")), [0, 0, 0]);
}

#[test]
fn a_write_of_unknown_outcome_is_never_lost_and_may_stand_at_the_end() {
    let all = [operation(1, (0, 1), lost_write("a")), operation(2, (2, 3), write("b"))];
    assert_eq!(counts(&all, Some("a")), [0, 0, 0]);
    assert_eq!(counts(&all, Some("b")), [0, 0, 0]);
    let seen = [
        operation(1, (0, 1), lost_write("a")),
        operation(2, (2, 3), read(Some("a"))),
        operation(2, (4, 5), write("b")),
    ];
    assert_eq!(counts(&seen, Some("a")), [1, 0, 0], "it was there before b began");
}

#[test]
fn an_unacknowledged_write_that_was_read_and_is_gone_makes_the_final_read_stale() {
    let all = [operation(1, (0, 1), lost_write("a")), operation(2, (2, 3), read(Some("a")))];
    assert_eq!(counts(&all, None), [0, 1, 0]);
}

#[test]
fn a_read_older_than_what_was_acknowledged_before_it_began_is_stale() {
    let all = [
        operation(1, (0, 1), write("a")),
        operation(1, (2, 3), write("b")),
        operation(2, (4, 5), read(Some("a"))),
        operation(2, (6, 7), read(None)),
        operation(2, (8, 9), read(Some("b"))),
    ];
    assert_eq!(counts(&all, Some("b")), [0, 2, 0]);
    let overlapping = [
        operation(1, (0, 1), write("a")),
        operation(1, (2, 6), write("b")),
        operation(2, (5, 7), read(Some("a"))),
    ];
    assert_eq!(counts(&overlapping, Some("b")), [0, 0, 0]);
}

#[test]
fn a_read_older_than_what_was_read_before_it_began_is_stale() {
    // Both writes run all the time: only the readers know the order.
    let writes = [operation(1, (0, 100), write("a")), operation(2, (0, 100), write("b"))];
    let seen = |values: &[&'static str]| {
        let reads = (0_u64..)
            .zip(values)
            .map(|(step, value)| operation(3, (10 * step + 1, 10 * step + 5), read(Some(value))));
        writes.iter().cloned().chain(reads).collect::<Vec<_>>()
    };
    assert_eq!(counts(&seen(&["a", "b"]), Some("b")), [0, 0, 0]);
    assert_eq!(counts(&seen(&["b", "a"]), Some("a")), [0, 0, 0]);
    assert_eq!(counts(&seen(&["a", "b", "a"]), Some("b")), [0, 1, 0]);
    assert_eq!(counts(&seen(&["a", "b", "b", "a", "a"]), Some("b")), [0, 2, 0]);
}

#[test]
fn a_later_right_read_of_a_value_does_not_hide_what_is_newer_than_it() {
    let all = [
        operation(1, (0, 5), write("a")),
        operation(2, (0, 100), write("b")),
        operation(3, (10, 20), read(Some("b"))),
        operation(4, (12, 22), read(Some("a"))),
        operation(1, (200, 201), write("c")),
        operation(5, (30, 31), read(Some("a"))),
    ];
    assert_eq!(counts(&all[..5], Some("c")), [0, 0, 0]);
    assert_eq!(counts(&all, Some("c")), [0, 1, 0]);
}

#[test]
fn a_stale_read_makes_no_right_read_stale() {
    let all = [
        operation(1, (0, 1), write("a")),
        operation(1, (2, 3), write("b")),
        operation(2, (4, 5), read(Some("a"))),
        operation(2, (6, 7), read(Some("b"))),
    ];
    assert_eq!(counts(&all, Some("b")), [0, 1, 0]);
}

#[test]
fn a_value_from_nowhere_is_a_phantom() {
    let all = [operation(1, (0, 1), write("a")), operation(2, (2, 3), read(Some("x")))];
    assert_eq!(counts(&all, Some("a")), [0, 0, 1]);
    assert_eq!(counts(&all[..1], Some("x")), [0, 0, 1]);
    let future = [operation(2, (0, 1), read(Some("a"))), operation(1, (2, 3), write("a"))];
    assert_eq!(counts(&future, Some("a")), [0, 0, 1]);
    let denied =
        [not_done(1, 0, Call::Write(Value::from("a"))), operation(2, (2, 3), read(Some("a")))];
    assert_eq!(counts(&denied, None), [0, 0, 1]);
}

/// Two readers at once, each contradicting the other: no single one is provably
/// stale, but together they are wrong.
#[test]
fn what_no_single_operation_can_be_blamed_for_fails_all_the_same() {
    let all = [
        operation(1, (0, 10), write("a")),
        operation(2, (0, 10), write("b")),
        operation(3, (20, 30), read(Some("a"))),
        operation(4, (20, 30), read(Some("b"))),
        operation(1, (40, 50), write("c")),
    ];
    let judgement = judged(&all, Some("c"));
    assert_eq!(counts(&all, Some("c")), [0, 0, 0]);
    assert!(matches!(judgement.linearizable, Verdict::Violation(_)), "{judgement:#?}");
    assert!(!judgement.is_clean());
}

#[test]
fn keys_that_count_or_delete_are_left_to_the_search() {
    let all = [operation(1, (0, 1), incr(1, 1)), operation(1, (2, 3), delete(true))];
    let judgement = judged(&all, None);
    assert!(judgement.is_clean(), "{judgement:#?}");
    assert_eq!(judgement.uncounted_keys, 1);
    let kept = judged(&all, Some("1"));
    assert_eq!((kept.lost, kept.is_clean()), (0, false));
    assert_eq!(kept.explanations.len(), 1, "the search explains: {:?}", kept.explanations);
}

#[test]
fn counts_are_summed_over_keys_and_explanations_are_bounded() {
    let keys = ["a", "b", "c"];
    let mut all = Vec::new();
    for key in keys {
        for step in 0..30 {
            let value = write(&format!("{key}{step}"));
            all.push(on_key(key, operation(1, (10 * step, 10 * step + 1), value)));
        }
    }
    let last = keys.map(|key| (Key::from(key), None));
    let judgement = judge(&history(all), &BTreeMap::from(last), SearchLimits::default()).unwrap();
    assert_eq!(judgement.lost, 90);
    assert_eq!(judgement.explanations.len(), 21, "twenty, and the search's");
}

#[test]
fn undecided_is_not_clean() {
    let busy: Vec<Operation> =
        (0..12).map(|client| operation(client, (0, 9), write(&client.to_string()))).collect();
    let limits = SearchLimits { nodes_max: 5 };
    let judgement = judge(&history(busy), &finally(Some("3")), limits).unwrap();
    assert_eq!([judgement.lost, judgement.stale_reads, judgement.phantom_reads], [0; 3]);
    assert!(!judgement.is_clean());
    assert!(judgement.explanations[0].contains("not decided after 5 nodes"));
}

#[test]
fn a_run_that_cannot_be_judged_is_refused_with_the_reason() {
    let refused = |operations: &[Operation], last| {
        judge(&history(operations.iter().cloned()), &last, SearchLimits::default()).unwrap_err()
    };
    let wrote = operation(1, (0, 1), write("a"));
    let error = refused(std::slice::from_ref(&wrote), BTreeMap::new());
    assert!(matches!(error, JudgeError::NoFinalRead { .. }));
    assert!(error.to_string().contains("key \"k\" was not read at the end"));
    let again = operation(2, (5, 6), lost_write("a"));
    let error = refused(&[wrote.clone(), again], finally(Some("a")));
    assert!(matches!(error, JudgeError::ValueReused { .. }));
    assert!(error.to_string().contains("operations #0 and #1 both write \"a\""), "{error}");
    // A retry of what was surely not done may use the value again.
    let retried = [not_done(1, 0, Call::Write(Value::from("a"))), wrote];
    assert_eq!(counts(&retried, Some("a")), [0, 0, 0]);
}

#[test]
fn a_key_nobody_used_must_be_absent_at_the_end() {
    let nothing = History::new();
    let limits = SearchLimits::default();
    assert!(judge(&nothing, &finally(None), limits).unwrap().is_clean());
    let judgement = judge(&nothing, &finally(Some("a")), limits).unwrap();
    assert_eq!((judgement.phantom_reads, judgement.is_clean()), (1, false));
}
