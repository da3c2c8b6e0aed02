//! What one correct object does, one operation at a time.
//!
//! A model says which replies are legal in a state and which state follows. The
//! judges need no more; the two hints let the search skip orders that cannot
//! matter. A hint that says yes where it does not hold makes the search wrong,
//! one that says no only makes it slow.
//!
//! Not here: the order of operations (`linearizable.rs`, `certificate.rs`).

use std::fmt;
use std::hash::Hash;

use crate::history::{Call, Reply, Value};

/// A sequential object.
///
/// 1. `step` is a function: same arguments, same answer.
/// 2. A call whose reply is not known (`None`) is legal in every state, and the
///    state after it is the one the real object would have.
pub trait Model {
    /// The object between two operations.
    type State: Clone + Eq + Hash + fmt::Debug;

    /// The object before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after `call` was answered with `reply` in `state`, or `None`
    /// if a correct object would not have answered so.
    fn step(&self, state: &Self::State, call: &Call, reply: Option<&Reply>) -> Option<Self::State>;

    /// Whether this call, with this reply, leaves *every* state it is legal in
    /// as it was. Writing what is there already is no such call: elsewhere it
    /// changes something.
    fn is_observation(&self, _call: &Call, _reply: Option<&Reply>) -> bool {
        false
    }

    /// Whether this call, with this reply, is legal in every state and leads
    /// to the same state from each.
    fn is_overwrite(&self, _call: &Call, _reply: Option<&Reply>) -> bool {
        false
    }
}

/// A value that can be read, written, counted with and deleted: one key of a
/// Redis-like store, which starts out absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyValue;

/// What [`KeyValue`] holds under one key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cell(pub Option<Value>);

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => write!(f, "nothing"),
            Some(value) => write!(f, "{value}"),
        }
    }
}

impl Model for KeyValue {
    type State = Cell;

    fn initial(&self) -> Cell {
        Cell(None)
    }

    fn step(&self, state: &Cell, call: &Call, reply: Option<&Reply>) -> Option<Cell> {
        match call {
            Call::Read => {
                let legal = match reply {
                    None => true,
                    Some(Reply::Value(value)) => *value == state.0,
                    Some(_) => false,
                };
                legal.then(|| state.clone())
            }
            Call::Write(value) => {
                let legal = matches!(reply, None | Some(Reply::Written));
                legal.then(|| Cell(Some(value.clone())))
            }
            Call::Incr(delta) => step_incr(state, *delta, reply),
            Call::Delete => {
                let legal = match reply {
                    None => true,
                    Some(Reply::Existed(existed)) => *existed == state.0.is_some(),
                    Some(_) => false,
                };
                legal.then_some(Cell(None))
            }
        }
    }

    fn is_observation(&self, call: &Call, reply: Option<&Reply>) -> bool {
        match call {
            Call::Read => true,
            Call::Delete => reply == Some(&Reply::Existed(false)),
            Call::Incr(_) | Call::Write(_) => false,
        }
    }

    fn is_overwrite(&self, call: &Call, reply: Option<&Reply>) -> bool {
        match call {
            Call::Write(_) => true,
            Call::Delete => reply.is_none(),
            Call::Read | Call::Incr(_) => false,
        }
    }
}

fn step_incr(state: &Cell, delta: i64, reply: Option<&Reply>) -> Option<Cell> {
    let sum = number_in(state).and_then(|number| number.checked_add(delta));
    match (sum, reply) {
        (Some(sum), None) => Some(Cell(Some(Value::from(sum.to_string())))),
        (Some(sum), Some(Reply::Number(told))) if *told == sum => {
            Some(Cell(Some(Value::from(sum.to_string()))))
        }
        // The object refuses to count with what is no number: no change, and
        // its client was told an error, not a number.
        (None, None) => Some(state.clone()),
        (_, Some(_)) => None,
    }
}

/// The number a cell holds, if it is written the one way this store writes it.
fn number_in(state: &Cell) -> Option<i64> {
    let Some(value) = &state.0 else {
        return Some(0);
    };
    let text = str::from_utf8(value.as_bytes()).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> Cell {
        Cell(Some(Value::from(text)))
    }

    fn incr(state: &Cell, delta: i64, told: Option<i64>) -> Option<Cell> {
        KeyValue.step(state, &Call::Incr(delta), told.map(Reply::Number).as_ref())
    }

    #[test]
    fn counting_starts_at_nothing_and_refuses_what_is_no_number() {
        assert_eq!(incr(&Cell(None), 1, Some(1)), Some(cell("1")));
        assert_eq!(incr(&cell("-3"), 2, Some(-1)), Some(cell("-1")));
        assert_eq!(incr(&cell("1"), 1, Some(3)), None);
        for not_a_number in ["x", "", "007", "+1", "-0", " 1"] {
            assert_eq!(incr(&cell(not_a_number), 1, Some(1)), None, "{not_a_number}");
            let kept = incr(&cell(not_a_number), 1, None);
            assert_eq!(kept, Some(cell(not_a_number)), "{not_a_number}");
        }
        let top = cell(&i64::MAX.to_string());
        assert_eq!(incr(&top, 1, None), Some(top.clone()));
    }

    #[test]
    fn nothing_and_the_empty_value_are_different() {
        let read = |value| Some(Reply::Value(value));
        let empty = cell("");
        assert_eq!(KeyValue.step(&empty, &Call::Read, read(None).as_ref()), None);
        let told_empty = read(Some(Value::from("")));
        assert_eq!(KeyValue.step(&Cell(None), &Call::Read, told_empty.as_ref()), None);
        assert_eq!(KeyValue.step(&empty, &Call::Read, told_empty.as_ref()), Some(empty.clone()));
        let delete = |state: &Cell, existed| {
            KeyValue.step(state, &Call::Delete, Some(&Reply::Existed(existed)))
        };
        assert_eq!(delete(&empty, true), Some(Cell(None)));
        assert_eq!(delete(&empty, false), None);
        assert_eq!(delete(&Cell(None), true), None);
    }

    /// The hints are promises about all states: hold them on many.
    #[test]
    fn hints_hold_in_every_state_tried() {
        let states = [Cell(None), cell(""), cell("a"), cell("1"), cell("2")];
        let calls = [Call::Read, Call::Write(Value::from("a")), Call::Incr(1), Call::Delete];
        let replies = [
            None,
            Some(Reply::Written),
            Some(Reply::Number(2)),
            Some(Reply::Existed(true)),
            Some(Reply::Existed(false)),
            Some(Reply::Value(None)),
            Some(Reply::Value(Some(Value::from("a")))),
        ];
        for call in &calls {
            for reply in replies.iter().map(Option::as_ref) {
                if reply.is_some_and(|reply| !reply.answers(call)) {
                    continue;
                }
                let after = states.each_ref().map(|state| KeyValue.step(state, call, reply));
                if KeyValue.is_observation(call, reply) {
                    for (before, after) in states.iter().zip(&after) {
                        assert!(after.as_ref().is_none_or(|after| after == before), "{call:?}");
                    }
                }
                if KeyValue.is_overwrite(call, reply) {
                    assert!(after.iter().all(|one| one.is_some() && *one == after[0]), "{call:?}");
                }
                if reply.is_none() {
                    assert!(after.iter().all(Option::is_some), "{call:?}");
                }
            }
        }
    }
}
