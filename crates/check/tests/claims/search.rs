//! What the search must see, one claim each.

use crate::object::{self, Mix, Workload};
use crate::scribe::{
    delete, history, incr, not_done, on_key, operation, read, search, unknown, write,
};
use raftlet_check::{
    Call, Cell, KeyValue, Model, Operation, Outcome, Reply, SearchLimits, Value, Verdict,
    Violation, check,
};

fn violation(operations: &[Operation]) -> Violation {
    match search(operations) {
        Verdict::Violation(violation) => violation,
        other => panic!("{other:?}"),
    }
}

fn is_good(operations: &[Operation]) -> bool {
    search(operations).is_linearizable()
}

fn lost_write(value: &str) -> (Call, Option<Reply>) {
    unknown(Call::Write(Value::from(value)))
}

#[test]
fn nothing_happened_is_linearizable() {
    assert!(is_good(&[]));
    assert!(is_good(&[operation(1, (0, 0), lost_write("a"))]));
}

#[test]
fn a_read_that_began_after_a_write_returned_sees_it() {
    let stale = [operation(1, (0, 10), write("a")), operation(2, (11, 20), read(None))];
    assert_eq!(violation(&stale).blocked.len(), 1);
    let touching = [operation(1, (0, 10), write("a")), operation(2, (10, 20), read(None))];
    assert!(is_good(&touching), "they overlap in one instant");
}

#[test]
fn a_write_of_unknown_outcome_may_take_effect_at_any_later_time_or_never() {
    let first = operation(1, (0, 1), lost_write("a"));
    let second = operation(2, (2, 3), write("b"));
    for seen in [["a", "b"], ["b", "a"], ["b", "b"]] {
        let reads = [
            operation(3, (if seen[0] == "a" { 1 } else { 10 }, 11), read(Some(seen[0]))),
            operation(3, (20, 21), read(Some(seen[1]))),
        ];
        let all = [vec![first.clone(), second.clone()], reads.to_vec()].concat();
        assert!(is_good(&all), "{seen:?}");
    }
    let twice = [
        first,
        operation(3, (4, 5), read(Some("a"))),
        operation(2, (6, 7), write("b")),
        operation(3, (8, 9), read(Some("a"))),
    ];
    assert!(!is_good(&twice), "it takes effect once");
}

#[test]
fn a_write_of_unknown_outcome_takes_no_effect_before_it_was_invoked() {
    let early = [operation(1, (0, 1), read(Some("a"))), operation(2, (2, 3), lost_write("a"))];
    assert!(!is_good(&early));
}

#[test]
fn an_unknown_call_is_used_even_where_the_answered_ones_could_go_on_without() {
    let all = [
        operation(1, (0, 1), unknown(Call::Incr(5))),
        operation(2, (2, 9), write("1")),
        operation(3, (2, 9), incr(1, 6)),
        operation(4, (10, 11), read(Some("1"))),
    ];
    assert!(is_good(&all), "5, then 6, then 1");
    let deleted = [
        operation(1, (0, 1), lost_write("a")),
        operation(2, (2, 3), delete(true)),
        operation(3, (4, 5), read(None)),
    ];
    assert!(is_good(&deleted), "there was something to delete");
}

/// A text that writes append to.
struct Appender;

impl Model for Appender {
    type State = String;

    fn initial(&self) -> String {
        String::new()
    }

    fn step(&self, state: &String, call: &Call, reply: Option<&Reply>) -> Option<String> {
        match (call, reply) {
            (Call::Write(value), _) => {
                Some(format!("{state}{}", String::from_utf8_lossy(value.as_bytes())))
            }
            (_, Some(Reply::Value(Some(value)))) => {
                (value.as_bytes() == state.as_bytes()).then(|| state.clone())
            }
            (_, Some(_)) => None,
            (_, None) => Some(state.clone()),
        }
    }
}

/// Appends do not commute: an unknown one may be needed before an answered one
/// that is just as legal without it.
#[test]
fn an_unknown_call_is_used_before_one_that_is_legal_without_it() {
    let appended = |text| {
        let all = [
            operation(1, (0, 1), lost_write("x")),
            operation(2, (2, 3), write("y")),
            operation(3, (4, 5), read(Some(text))),
        ];
        check(&Appender, &history(all), SearchLimits::default()).is_linearizable()
    };
    assert!(appended("xy") && appended("yx") && appended("y"));
    assert!(!appended("x") && !appended("xyx"));
}

#[test]
fn chains_of_unknown_calls_are_found() {
    let all = [
        operation(1, (0, 1), lost_write("10")),
        operation(2, (0, 1), unknown(Call::Incr(1))),
        operation(3, (0, 1), unknown(Call::Incr(2))),
        operation(4, (0, 1), unknown(Call::Incr(1))),
        operation(5, (5, 6), read(Some("14"))),
    ];
    assert!(is_good(&all));
    let too_much = operation(5, (5, 6), read(Some("15")));
    assert!(!is_good(&[&all[..4], &[too_much]].concat()));
}

#[test]
fn the_value_of_a_write_that_was_not_done_is_never_legal() {
    let value = || Call::Write(Value::from("a"));
    let seen = [not_done(1, 0, value()), operation(2, (5, 6), read(Some("a")))];
    let text = violation(&seen).explanation;
    assert!(text.contains("#1 saw what was answered as not done: #0 client 1 write"), "{text}");
    assert!(is_good(&[not_done(1, 0, value()), operation(2, (5, 6), read(None))]));
    let retried = [
        not_done(1, 0, value()),
        operation(1, (1, 2), write("a")),
        operation(2, (5, 6), read(Some("a"))),
    ];
    assert!(is_good(&retried));
}

/// Writing what is there already changes nothing now, and is not to be taken
/// at once for that.
#[test]
fn a_write_of_the_present_value_may_still_be_needed_later() {
    let all = [
        operation(1, (0, 1), write("a")),
        operation(2, (2, 9), write("a")),
        operation(3, (3, 4), write("b")),
        operation(4, (10, 11), read(Some("a"))),
    ];
    assert!(is_good(&all));
}

#[test]
fn keys_are_judged_apart_and_the_bad_one_is_named() {
    let all = [
        on_key("good", operation(1, (0, 1), write("a"))),
        on_key("bad", operation(1, (2, 3), write("b"))),
        on_key("good", operation(2, (4, 5), read(Some("a")))),
        on_key("bad", operation(2, (6, 7), read(Some("a")))),
    ];
    let violation = violation(&all);
    assert_eq!(violation.key.as_bytes(), b"bad");
    assert_eq!(
        violation.explanation,
        "key \"bad\": 1 of its 2 answered operations can be put in an order, and no order goes on.\n\
         The longest order ends with\n  \
         #1 client 1 write \"bad\" = \"b\" -> ok [2 ns .. 3 ns]\n\
         after which the key holds \"b\". One of these had to be next:\n  \
         #3 client 2 read \"bad\" -> \"a\" [6 ns .. 7 ns]\n"
    );
}

#[test]
fn a_search_that_meets_its_limit_is_no_pass_and_hides_no_violation() {
    let hard: Vec<Operation> =
        (0..12).map(|client| operation(client, (0, 9), write(&client.to_string()))).collect();
    let limits = SearchLimits { nodes_max: 5 };
    let verdict = check(&KeyValue, &history(hard.clone()), limits);
    assert!(matches!(verdict, Verdict::Inconclusive { nodes: 5, .. }), "{verdict:?}");
    assert!(!verdict.is_linearizable());
    let bad = on_key("z", operation(1, (0, 1), read(Some("never written"))));
    let verdict = check(&KeyValue, &history([hard, vec![bad]].concat()), limits);
    assert!(matches!(verdict, Verdict::Violation(_)), "{verdict:?}");
}

/// A register whose states all have one hash. Only slow, if the memory compares
/// configurations; wrong, if it believes their hashes.
struct Colliding;

#[derive(Clone, Debug, PartialEq, Eq)]
struct NoHash(Cell);

impl std::hash::Hash for NoHash {
    fn hash<H: std::hash::Hasher>(&self, _state: &mut H) {}
}

impl Model for Colliding {
    type State = NoHash;

    fn initial(&self) -> NoHash {
        NoHash(KeyValue.initial())
    }

    fn step(&self, state: &NoHash, call: &Call, reply: Option<&Reply>) -> Option<NoHash> {
        KeyValue.step(&state.0, call, reply).map(NoHash)
    }
}

#[test]
fn states_that_share_a_hash_are_still_two_states() {
    // Both writes done, in either order: one set of operations, two states. The
    // order tried first is the wrong one.
    let all = [
        operation(1, (0, 9), write("a")),
        operation(2, (1, 9), write("b")),
        operation(3, (10, 11), read(Some("a"))),
    ];
    let verdict = check(&Colliding, &history(all), SearchLimits::default());
    assert_eq!(verdict, Verdict::Linearizable);
    for seed in 0..100 {
        let workload = Workload {
            operations: 60,
            clients: 5,
            keys: 1,
            unknown_one_in: 8,
            mix: Mix::Everything,
            fault: None,
        };
        let run = object::run(seed, workload);
        let verdict = check(&Colliding, &run.history(), SearchLimits::default());
        assert_eq!(verdict, Verdict::Linearizable, "seed {seed}");
    }
}

/// Without "equals in turn", forty lost increments are 2⁴⁰ subsets.
#[test]
fn forty_lost_increments_do_not_drown_the_search_even_where_it_must_say_no() {
    let lost = (0..40).map(|client| operation(client, (0, 1), unknown(Call::Incr(1))));
    let known = (0..40).map(|step| {
        let at = 10 + 2 * step;
        operation(99, (at, at), incr(1, i64::try_from(step).unwrap() + 1 + 20))
    });
    let mut all: Vec<Operation> = lost.chain(known).collect();
    assert!(is_good(&all));
    all.push(operation(100, (200, 201), read(Some("90"))));
    let limits = SearchLimits { nodes_max: 10_000 };
    let verdict = check(&KeyValue, &history(all), limits);
    assert!(matches!(verdict, Verdict::Violation(_)), "{verdict:?}");
}

/// Unique writes that nobody saw are never needed, so they cost nothing.
#[test]
fn lost_writes_that_nobody_saw_cost_no_nodes() {
    let lost =
        (0..60).map(|client| operation(client, (0, 1), lost_write(&format!("lost{client}"))));
    let mut all: Vec<Operation> = lost.collect();
    all.push(operation(98, (2, 3), write("a")));
    all.push(operation(99, (4, 5), read(Some("b"))));
    let verdict = check(&KeyValue, &history(all), SearchLimits { nodes_max: 4 });
    assert!(matches!(verdict, Verdict::Violation(_)), "{verdict:?}");
}

#[test]
fn the_same_history_gives_the_same_words() {
    let workload = Workload {
        operations: 200,
        clients: 6,
        keys: 3,
        unknown_one_in: 10,
        mix: Mix::Register,
        fault: Some((object::Fault::ReadsStale, 100)),
    };
    let bad = (0..).map(|seed| object::run(seed, workload)).find(|run| !is_good(&run.operations));
    let operations = bad.unwrap().operations;
    assert_eq!(violation(&operations), violation(&operations));
    let answered = operations.iter().filter(|one| matches!(one.outcome, Outcome::Done { .. }));
    assert!(violation(&operations).blocked.len() < answered.count());
}
