//! Writes operations down the way a test wants to say them.

use raftlet_check::{
    Call, ClientId, History, Key, KeyValue, Operation, Outcome, Reply, SearchLimits, Value,
    Verdict, check,
};

/// A call and its reply. `Option<&str>` reads nothing as `None`.
pub(crate) fn read(value: Option<&str>) -> (Call, Option<Reply>) {
    (Call::Read, Some(Reply::Value(value.map(Value::from))))
}

pub(crate) fn write(value: &str) -> (Call, Option<Reply>) {
    (Call::Write(Value::from(value)), Some(Reply::Written))
}

pub(crate) fn incr(delta: i64, number: i64) -> (Call, Option<Reply>) {
    (Call::Incr(delta), Some(Reply::Number(number)))
}

pub(crate) fn delete(existed: bool) -> (Call, Option<Reply>) {
    (Call::Delete, Some(Reply::Existed(existed)))
}

pub(crate) fn unknown(call: Call) -> (Call, Option<Reply>) {
    (call, None)
}

/// An operation on key `k` that ran from `times.0` to `times.1`; one without
/// reply is of unknown outcome.
pub(crate) fn operation(
    client: u64,
    times: (u64, u64),
    (call, reply): (Call, Option<Reply>),
) -> Operation {
    let outcome = match reply {
        Some(reply) => Outcome::Done { reply, return_ns: times.1 },
        None => Outcome::Unknown,
    };
    Operation {
        client: ClientId(client),
        key: Key::from("k"),
        call,
        invoke_ns: times.0,
        outcome,
        certificate: None,
    }
}

pub(crate) fn not_done(client: u64, invoke_ns: u64, call: Call) -> Operation {
    let outcome = Outcome::NotDone;
    Operation { outcome, ..operation(client, (invoke_ns, invoke_ns), unknown(call)) }
}

pub(crate) fn on_key(key: &str, operation: Operation) -> Operation {
    Operation { key: Key::from(key), ..operation }
}

pub(crate) fn history(operations: impl IntoIterator<Item = Operation>) -> History {
    let mut history = History::new();
    for operation in operations {
        history.push(operation).unwrap();
    }
    history
}

pub(crate) fn search(operations: &[Operation]) -> Verdict {
    check(&KeyValue, &history(operations.iter().cloned()), SearchLimits::default())
}
