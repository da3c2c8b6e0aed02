//! The definition of linearizability, executed: try every order of every
//! subset. Shares nothing with the search, not even the object.

use raftlet_check::{Call, Operation, Outcome, Reply};

/// Whether some order of all answered operations and some of those of unknown
/// outcome respects time and the object, which starts out as nothing.
pub(crate) fn is_linearizable(operations: &[Operation]) -> bool {
    let possible: Vec<&Operation> =
        operations.iter().filter(|operation| operation.outcome != Outcome::NotDone).collect();
    extend(&possible, &mut vec![false; possible.len()], None)
}

fn extend(operations: &[&Operation], placed: &mut [bool], state: Option<&[u8]>) -> bool {
    let is_answered = |number: usize| operations[number].outcome != Outcome::Unknown;
    if (0..operations.len()).all(|number| placed[number] || !is_answered(number)) {
        return true;
    }
    for number in 0..operations.len() {
        let invoke_ns = operations[number].invoke_ns;
        let comes_too_early = (0..operations.len()).any(|other| {
            let return_ns = operations[other].done().map(|(_, return_ns)| return_ns);
            !placed[other] && return_ns.is_some_and(|return_ns| return_ns < invoke_ns)
        });
        if placed[number] || comes_too_early {
            continue;
        }
        let Some(after) = serve(operations[number], state) else {
            continue;
        };
        placed[number] = true;
        if extend(operations, placed, after.as_deref()) {
            return true;
        }
        placed[number] = false;
    }
    false
}

/// The state after a correct object served this, if it could have.
fn serve(operation: &Operation, state: Option<&[u8]>) -> Option<Option<Vec<u8>>> {
    let told = operation.done().map(|(reply, _)| reply.clone());
    let (reply, after) = match &operation.call {
        Call::Read => {
            (Reply::Value(state.map(raftlet_check::Value::from)), state.map(<[u8]>::to_vec))
        }
        Call::Write(value) => (Reply::Written, Some(value.as_bytes().to_vec())),
        Call::Delete => (Reply::Existed(state.is_some()), None),
        Call::Incr(delta) => {
            let text =
                state.map_or("0".to_owned(), |bytes| String::from_utf8(bytes.to_vec()).unwrap());
            match text.parse::<i64>() {
                Ok(number) => {
                    let sum = number + delta;
                    (Reply::Number(sum), Some(sum.to_string().into_bytes()))
                }
                Err(_) if told.is_none() => return Some(state.map(<[u8]>::to_vec)),
                Err(_) => return None,
            }
        }
    };
    told.is_none_or(|told| told == reply).then_some(after)
}
