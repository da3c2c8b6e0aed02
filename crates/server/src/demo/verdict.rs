//! What the clients' history proves about the cluster.
//!
//! Input: the history, what every key held at the end, and whether the nodes
//! agree. Output: counts that a person understands, and one claim: the run is
//! good only if nothing was lost, nothing was stale, the search for an order
//! succeeded, and all nodes hold the same state. Undecided is not good.
//!
//! Not here: how histories are judged (the `check` crate).

use std::collections::BTreeMap;

use crate::process::failure::Failure;
use raftlet_check::{
    Call, History, Judgement, Key, Operation, Outcome, SearchLimits, Value, judge,
};

/// What a run comes to.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    /// Acknowledged writes that are missing at the end.
    pub(super) lost: u64,
    /// Reads that returned what was superseded, or what nobody wrote.
    pub(super) stale_reads: u64,
    /// Whether some order of all operations explains every answer.
    pub(super) explained: bool,
    /// Whether all nodes reached the same state.
    pub(super) converged: bool,
    /// What is wrong, for a person.
    pub(super) explanations: Vec<String>,
}

impl Verdict {
    /// Judges a run.
    ///
    /// # Errors
    /// The history is no history: the demo itself is wrong.
    pub(super) fn of(
        history: &History,
        at_the_end: &BTreeMap<Key, Option<Value>>,
        converged: bool,
    ) -> Result<Self, Failure> {
        let judgement = judge(history, at_the_end, SearchLimits::default())
            .map_err(|error| Failure::runtime(format!("the run cannot be judged: {error}")))?;
        let lost_counts = lost_counts(history, at_the_end);
        let mut explanations = judgement.explanations.clone();
        if lost_counts > 0 {
            explanations
                .push(format!("counters hold {lost_counts} less at the end than was acknowledged"));
        }
        if !converged {
            explanations.push("the nodes do not hold the same state".to_owned());
        }
        Ok(Self {
            lost: judgement.lost + lost_counts,
            stale_reads: judgement.stale_reads + judgement.phantom_reads,
            explained: explained(&judgement),
            converged,
            explanations,
        })
    }

    /// Whether the cluster kept every promise.
    pub(super) fn is_good(&self) -> bool {
        self.lost == 0 && self.stale_reads == 0 && self.explained && self.converged
    }
}

fn explained(judgement: &Judgement) -> bool {
    judgement.linearizable.is_linearizable()
}

/// Acknowledged increments that the counters do not hold in the end: what the
/// judge leaves to the search, as a number.
fn lost_counts(history: &History, at_the_end: &BTreeMap<Key, Option<Value>>) -> u64 {
    let mut acknowledged: BTreeMap<&Key, u64> = BTreeMap::new();
    for operation in history.operations() {
        if is_acknowledged_count(operation) {
            *acknowledged.entry(&operation.key).or_default() += 1;
        }
    }
    acknowledged
        .into_iter()
        .map(|(key, count)| count.saturating_sub(number(at_the_end.get(key))))
        .sum()
}

fn is_acknowledged_count(operation: &Operation) -> bool {
    matches!(operation.call, Call::Incr(_)) && matches!(operation.outcome, Outcome::Done { .. })
}

fn number(value: Option<&Option<Value>>) -> u64 {
    value
        .and_then(Option::as_ref)
        .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Verdict;
    use raftlet_check::{Call, ClientId, History, Key, Operation, Outcome, Reply, Value};

    struct Run {
        history: History,
        now_ns: u64,
        at_the_end: BTreeMap<Key, Option<Value>>,
    }

    impl Run {
        fn new() -> Self {
            Self { history: History::new(), now_ns: 0, at_the_end: BTreeMap::new() }
        }

        fn done(&mut self, key: &str, call: Call, reply: Reply) -> &mut Self {
            self.now_ns += 10;
            let outcome = Outcome::Done { reply, return_ns: self.now_ns + 5 };
            self.push(key, call, outcome)
        }

        fn unknown(&mut self, key: &str, call: Call) -> &mut Self {
            self.now_ns += 10;
            self.push(key, call, Outcome::Unknown)
        }

        fn push(&mut self, key: &str, call: Call, outcome: Outcome) -> &mut Self {
            self.history
                .push(Operation {
                    client: ClientId(1),
                    key: Key::from(key),
                    call,
                    invoke_ns: self.now_ns,
                    outcome,
                    certificate: None,
                })
                .unwrap();
            self
        }

        fn write(&mut self, key: &str, value: &str) -> &mut Self {
            self.done(key, Call::Write(Value::from(value)), Reply::Written)
        }

        fn read(&mut self, key: &str, value: &str) -> &mut Self {
            self.done(key, Call::Read, Reply::Value(Some(Value::from(value))))
        }

        fn ends_with(&mut self, key: &str, value: &str) -> &mut Self {
            self.at_the_end.insert(Key::from(key), Some(Value::from(value)));
            self
        }

        fn verdict(&self) -> Verdict {
            Verdict::of(&self.history, &self.at_the_end, true).unwrap()
        }
    }

    #[test]
    fn a_run_that_kept_every_promise_is_good() {
        let mut run = Run::new();
        run.write("k", "a").read("k", "a").write("k", "b");
        run.unknown("k", Call::Write(Value::from("c")));
        let verdict = run.ends_with("k", "b").verdict();
        assert!(verdict.is_good(), "{verdict:?}");
    }

    #[test]
    fn a_lost_write_is_counted_and_fails_the_run() {
        let mut run = Run::new();
        run.write("k", "a").read("k", "a").write("k", "b");
        let verdict = run.ends_with("k", "a").verdict();
        assert_eq!(verdict.lost, 1, "{verdict:?}");
        assert!(!verdict.is_good());
        assert!(!verdict.explanations.is_empty());
    }

    #[test]
    fn a_stale_read_is_counted_and_fails_the_run() {
        let mut run = Run::new();
        run.write("k", "a").write("k", "b").read("k", "a");
        let verdict = run.ends_with("k", "b").verdict();
        assert_eq!((verdict.lost, verdict.stale_reads), (0, 1), "{verdict:?}");
        assert!(!verdict.is_good());
    }

    #[test]
    fn a_lost_increment_is_counted_and_fails_the_run() {
        let mut run = Run::new();
        run.done("c", Call::Incr(1), Reply::Number(1));
        run.done("c", Call::Incr(1), Reply::Number(2));
        let verdict = run.ends_with("c", "1").verdict();
        assert_eq!(verdict.lost, 1, "{verdict:?}");
        assert!(!verdict.is_good());
    }

    #[test]
    fn an_increment_done_twice_fails_the_run() {
        let mut run = Run::new();
        run.done("c", Call::Incr(1), Reply::Number(1));
        let verdict = run.ends_with("c", "2").verdict();
        assert!(!verdict.is_good(), "{verdict:?}");
    }

    #[test]
    fn a_value_of_a_write_that_was_surely_not_done_fails_the_run() {
        let mut run = Run::new();
        run.write("k", "a");
        run.push("k", Call::Write(Value::from("b")), Outcome::NotDone);
        let verdict = run.ends_with("k", "b").verdict();
        assert!(!verdict.is_good(), "{verdict:?}");
    }

    #[test]
    fn nodes_that_disagree_fail_the_run() {
        let mut run = Run::new();
        run.write("k", "a").ends_with("k", "a");
        let verdict = Verdict::of(&run.history, &run.at_the_end, false).unwrap();
        assert!(!verdict.is_good());
    }
}
