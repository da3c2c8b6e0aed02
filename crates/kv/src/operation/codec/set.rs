//! The bytes of the family of sets.
//!
//! ```text
//! command  u8 kind, then by kind:
//!   1 add               bytes key, list of bytes member
//!   2 remove            bytes key, list of bytes member
//!   3 pop               bytes key, optional u64 count, u64 seed
//!   4 move              bytes from, bytes to, bytes member
//!   5 store             bytes destination, operation, list of bytes key
//! query    u8 question, then by question:
//!   1 members           bytes key
//!   2 contains          bytes key, bytes member
//!   3 contains each     bytes key, list of bytes member
//!   4 len               bytes key
//!   5 random            bytes key, pick
//!   6 scan              bytes key, scan
//!   7 combine           operation, list of bytes key
//!   8 intersection_len  list of bytes key, u64 limit
//! operation  u8: 0 union, 1 intersection, 2 difference
//! ```

use crate::operation::codec::DecodeError;
use crate::operation::codec::collection::{count, pick, push_count, push_pick, push_scan, scan};
use crate::operation::codec::reader::{Reader, push_bytes, push_list, push_u64};
use crate::operation::set::{SetChange, SetCommand, SetMove, SetOperation, SetQuery, SetQuestion};

const ADD: u8 = 1;
const REMOVE: u8 = 2;
const POP: u8 = 3;
const MOVE: u8 = 4;
const STORE: u8 = 5;

const MEMBERS: u8 = 1;
const CONTAINS: u8 = 2;
const CONTAINS_EACH: u8 = 3;
const LEN: u8 = 4;
const RANDOM: u8 = 5;
const SCAN: u8 = 6;
const COMBINE: u8 = 7;
const INTERSECTION_LEN: u8 = 8;

pub(super) fn encode_command<B: AsRef<[u8]>>(command: &SetCommand<B>, out: &mut Vec<u8>) {
    match command {
        SetCommand::One { key, change } => encode_change(key, change, out),
        SetCommand::Move(moved) => {
            out.push(MOVE);
            push_bytes(out, &moved.from);
            push_bytes(out, &moved.to);
            push_bytes(out, &moved.member);
        }
        SetCommand::Store { destination, operation, keys } => {
            out.push(STORE);
            push_bytes(out, destination);
            push_operation(out, *operation);
            push_list(out, keys);
        }
    }
}

fn encode_change<B: AsRef<[u8]>>(key: &B, change: &SetChange<B>, out: &mut Vec<u8>) {
    match change {
        SetChange::Add(members) => {
            out.push(ADD);
            push_bytes(out, key);
            push_list(out, members);
        }
        SetChange::Remove(members) => {
            out.push(REMOVE);
            push_bytes(out, key);
            push_list(out, members);
        }
        SetChange::Pop { count, seed } => {
            out.push(POP);
            push_bytes(out, key);
            push_count(out, *count);
            push_u64(out, *seed);
        }
    }
}

pub(super) fn decode_command<'a>(
    reader: &mut Reader<'a>,
) -> Result<SetCommand<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    let kind = reader.byte()?;
    if !(ADD..=STORE).contains(&kind) {
        return Err(DecodeError::UnknownKind { found: kind, offset });
    }
    let key = reader.bytes()?;
    let change = match kind {
        ADD => SetChange::Add(reader.list(Reader::bytes)?),
        REMOVE => SetChange::Remove(reader.list(Reader::bytes)?),
        POP => SetChange::Pop { count: count(reader)?, seed: reader.u64()? },
        MOVE => {
            let (to, member) = reader.pair()?;
            return Ok(SetCommand::Move(Box::new(SetMove { from: key, to, member })));
        }
        _ => {
            let operation = operation(reader)?;
            let keys = reader.list(Reader::bytes)?;
            return Ok(SetCommand::Store { destination: key, operation, keys });
        }
    };
    Ok(SetCommand::One { key, change })
}

pub(super) fn encode_query<B: AsRef<[u8]>>(query: &SetQuery<B>, out: &mut Vec<u8>) {
    match query {
        SetQuery::One { key, question } => encode_question(key, question, out),
        SetQuery::Combine { operation, keys } => {
            out.push(COMBINE);
            push_operation(out, *operation);
            push_list(out, keys);
        }
        SetQuery::IntersectionLen { keys, limit } => {
            out.push(INTERSECTION_LEN);
            push_list(out, keys);
            push_u64(out, *limit);
        }
    }
}

fn encode_question<B: AsRef<[u8]>>(key: &B, question: &SetQuestion<B>, out: &mut Vec<u8>) {
    out.push(match question {
        SetQuestion::Members => MEMBERS,
        SetQuestion::Contains(_) => CONTAINS,
        SetQuestion::ContainsEach(_) => CONTAINS_EACH,
        SetQuestion::Len => LEN,
        SetQuestion::Random(_) => RANDOM,
        SetQuestion::Scan(_) => SCAN,
    });
    push_bytes(out, key);
    match question {
        SetQuestion::Members | SetQuestion::Len => {}
        SetQuestion::Contains(member) => push_bytes(out, member),
        SetQuestion::ContainsEach(members) => push_list(out, members),
        SetQuestion::Random(pick) => push_pick(out, pick),
        SetQuestion::Scan(scan) => push_scan(out, scan),
    }
}

pub(super) fn decode_query<'a>(reader: &mut Reader<'a>) -> Result<SetQuery<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    match reader.byte()? {
        COMBINE => {
            let operation = operation(reader)?;
            Ok(SetQuery::Combine { operation, keys: reader.list(Reader::bytes)? })
        }
        INTERSECTION_LEN => {
            let keys = reader.list(Reader::bytes)?;
            Ok(SetQuery::IntersectionLen { keys, limit: reader.u64()? })
        }
        kind @ MEMBERS..=SCAN => {
            let key = reader.bytes()?;
            let question = match kind {
                MEMBERS => SetQuestion::Members,
                CONTAINS => SetQuestion::Contains(reader.bytes()?),
                CONTAINS_EACH => SetQuestion::ContainsEach(reader.list(Reader::bytes)?),
                LEN => SetQuestion::Len,
                RANDOM => SetQuestion::Random(pick(reader)?),
                _ => SetQuestion::Scan(scan(reader)?),
            };
            Ok(SetQuery::One { key, question })
        }
        found => Err(DecodeError::UnknownKind { found, offset }),
    }
}

pub(super) fn push_operation(out: &mut Vec<u8>, operation: SetOperation) {
    out.push(match operation {
        SetOperation::Union => 0,
        SetOperation::Intersection => 1,
        SetOperation::Difference => 2,
    });
}

pub(super) fn operation(reader: &mut Reader<'_>) -> Result<SetOperation, DecodeError> {
    reader.choice(|byte| match byte {
        0 => Some(SetOperation::Union),
        1 => Some(SetOperation::Intersection),
        2 => Some(SetOperation::Difference),
        _ => None,
    })
}

/// One of each kind, with its bytes.
#[cfg(test)]
pub(super) fn samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    use crate::Command;
    use crate::operation::collection::{Pick, Scan};

    let key: &[u8] = b"s";
    let change = |change| Command::Set(SetCommand::One { key, change });
    let ask = |question| Command::Query(SetQuery::One { key, question }.into());
    let m: &[u8] = b"m";
    let pick = Pick { count: None, with_values: false, seed: 7 };
    let scan = Scan { cursor: 1, count: 10, pattern: None };
    let moved = SetMove { from: key, to: &b"t"[..], member: m };
    let store =
        |operation| SetCommand::Store { destination: &b"t"[..], operation, keys: vec![key] };
    let combine = SetQuery::Combine { operation: SetOperation::Difference, keys: vec![key] };
    let len = SetQuery::IntersectionLen { keys: vec![key], limit: 3 };
    vec![
        (
            change(SetChange::Add(vec![m])),
            r"\x02\x05\x01\x01\x00\x00\x00s\x01\x00\x00\x00\x01\x00\x00\x00m",
        ),
        (
            change(SetChange::Remove(vec![m])),
            r"\x02\x05\x02\x01\x00\x00\x00s\x01\x00\x00\x00\x01\x00\x00\x00m",
        ),
        (
            change(SetChange::Pop { count: Some(2), seed: 7 }),
            r"\x02\x05\x03\x01\x00\x00\x00s\x01\x02\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00",
        ),
        (
            Command::Set(SetCommand::Move(Box::new(moved))),
            r"\x02\x05\x04\x01\x00\x00\x00s\x01\x00\x00\x00t\x01\x00\x00\x00m",
        ),
        (
            Command::Set(store(SetOperation::Union)),
            r"\x02\x05\x05\x01\x00\x00\x00t\x00\x01\x00\x00\x00\x01\x00\x00\x00s",
        ),
        (
            Command::Set(store(SetOperation::Intersection)),
            r"\x02\x05\x05\x01\x00\x00\x00t\x01\x01\x00\x00\x00\x01\x00\x00\x00s",
        ),
        (ask(SetQuestion::Members), r"\x02 \x05\x01\x01\x00\x00\x00s"),
        (ask(SetQuestion::Contains(m)), r"\x02 \x05\x02\x01\x00\x00\x00s\x01\x00\x00\x00m"),
        (
            ask(SetQuestion::ContainsEach(vec![m])),
            r"\x02 \x05\x03\x01\x00\x00\x00s\x01\x00\x00\x00\x01\x00\x00\x00m",
        ),
        (ask(SetQuestion::Len), r"\x02 \x05\x04\x01\x00\x00\x00s"),
        (
            ask(SetQuestion::Random(pick)),
            r"\x02 \x05\x05\x01\x00\x00\x00s\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00",
        ),
        (
            ask(SetQuestion::Scan(Box::new(scan))),
            r"\x02 \x05\x06\x01\x00\x00\x00s\x01\x00\x00\x00\x00\x00\x00\x00\n\x00\x00\x00\x00\x00\x00\x00\x00",
        ),
        (Command::Query(combine.into()), r"\x02 \x05\x07\x02\x01\x00\x00\x00\x01\x00\x00\x00s"),
        (
            Command::Query(len.into()),
            r"\x02 \x05\x08\x01\x00\x00\x00\x01\x00\x00\x00s\x03\x00\x00\x00\x00\x00\x00\x00",
        ),
    ]
}
