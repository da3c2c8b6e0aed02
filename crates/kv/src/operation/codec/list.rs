//! The bytes of the family of lists.
//!
//! ```text
//! command  u8 kind, then by kind:
//!   1 push       bytes key, end, boolean only_existing, list of bytes element
//!   2 pop        bytes key, end, optional u64 count
//!   3 set        bytes key, i64 position, bytes element
//!   4 insert     bytes key, end side, bytes pivot, bytes element
//!   5 remove     bytes key, i64 count, bytes element
//!   6 trim       bytes key, i64 start, i64 stop
//!   7 move       bytes from, bytes to, end, end
//!   8 pop first  end, u64 count, list of bytes key
//! query    bytes key, u8 question, then by question:
//!   1 len
//!   2 at         i64 position
//!   3 range      i64 start, i64 stop
//!   4 find       bytes element, i64 rank, optional u64 count, u64 len_max
//! ```

use crate::operation::codec::DecodeError;
use crate::operation::codec::collection::{count, end, push_count, push_end};
use crate::operation::codec::reader::{Reader, push_bytes, push_i64, push_list, push_u64};
use crate::operation::list::{Find, ListChange, ListCommand, ListMove, ListQuery, ListQuestion};

const PUSH: u8 = 1;
const POP: u8 = 2;
const SET: u8 = 3;
const INSERT: u8 = 4;
const REMOVE: u8 = 5;
const TRIM: u8 = 6;
const MOVE: u8 = 7;
const POP_FIRST: u8 = 8;

const LEN: u8 = 1;
const AT: u8 = 2;
const RANGE: u8 = 3;
const FIND: u8 = 4;

pub(super) fn encode_command<B: AsRef<[u8]>>(command: &ListCommand<B>, out: &mut Vec<u8>) {
    match command {
        ListCommand::One { key, change } => encode_change(key, change, out),
        ListCommand::Move(moved) => {
            out.push(MOVE);
            push_bytes(out, &moved.from);
            push_bytes(out, &moved.to);
            push_end(out, moved.from_end);
            push_end(out, moved.to_end);
        }
        ListCommand::PopFirst { keys, end, count } => {
            out.push(POP_FIRST);
            push_end(out, *end);
            push_u64(out, *count);
            push_list(out, keys);
        }
    }
}

fn encode_change<B: AsRef<[u8]>>(key: &B, change: &ListChange<B>, out: &mut Vec<u8>) {
    out.push(match change {
        ListChange::Push { .. } => PUSH,
        ListChange::Pop { .. } => POP,
        ListChange::Set { .. } => SET,
        ListChange::Insert { .. } => INSERT,
        ListChange::Remove { .. } => REMOVE,
        ListChange::Trim { .. } => TRIM,
    });
    push_bytes(out, key);
    match change {
        ListChange::Push { end, only_existing, elements } => {
            push_end(out, *end);
            out.push(u8::from(*only_existing));
            push_list(out, elements);
        }
        ListChange::Pop { end, count } => {
            push_end(out, *end);
            push_count(out, *count);
        }
        ListChange::Set { position, element } => {
            push_i64(out, *position);
            push_bytes(out, element.as_ref());
        }
        ListChange::Insert { side, pivot_and_element } => {
            push_end(out, *side);
            push_bytes(out, &pivot_and_element.0);
            push_bytes(out, &pivot_and_element.1);
        }
        ListChange::Remove { count, element } => {
            push_i64(out, *count);
            push_bytes(out, element.as_ref());
        }
        ListChange::Trim { start, stop } => {
            push_i64(out, *start);
            push_i64(out, *stop);
        }
    }
}

pub(super) fn decode_command<'a>(
    reader: &mut Reader<'a>,
) -> Result<ListCommand<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    match reader.byte()? {
        MOVE => {
            let (from, to) = reader.pair()?;
            let (from_end, to_end) = (end(reader)?, end(reader)?);
            Ok(ListCommand::Move(Box::new(ListMove { from, to, from_end, to_end })))
        }
        POP_FIRST => {
            let (end, count) = (end(reader)?, reader.u64()?);
            Ok(ListCommand::PopFirst { keys: reader.list(Reader::bytes)?, end, count })
        }
        kind @ PUSH..=TRIM => {
            let key = reader.bytes()?;
            Ok(ListCommand::One { key, change: decode_change(reader, kind)? })
        }
        found => Err(DecodeError::UnknownKind { found, offset }),
    }
}

fn decode_change<'a>(
    reader: &mut Reader<'a>,
    kind: u8,
) -> Result<ListChange<&'a [u8]>, DecodeError> {
    Ok(match kind {
        PUSH => {
            let (end, only_existing) = (end(reader)?, reader.boolean()?);
            ListChange::Push { end, only_existing, elements: reader.list(Reader::bytes)? }
        }
        POP => ListChange::Pop { end: end(reader)?, count: count(reader)? },
        SET => ListChange::Set { position: reader.i64()?, element: Box::new(reader.bytes()?) },
        INSERT => {
            let side = end(reader)?;
            ListChange::Insert { side, pivot_and_element: Box::new(reader.pair()?) }
        }
        REMOVE => ListChange::Remove { count: reader.i64()?, element: Box::new(reader.bytes()?) },
        _ => ListChange::Trim { start: reader.i64()?, stop: reader.i64()? },
    })
}

pub(super) fn encode_query<B: AsRef<[u8]>>(query: &ListQuery<B>, out: &mut Vec<u8>) {
    push_bytes(out, &query.key);
    match &query.question {
        ListQuestion::Len => out.push(LEN),
        ListQuestion::At(position) => {
            out.push(AT);
            push_i64(out, *position);
        }
        ListQuestion::Range { start, stop } => {
            out.push(RANGE);
            push_i64(out, *start);
            push_i64(out, *stop);
        }
        ListQuestion::Find(find) => {
            out.push(FIND);
            push_bytes(out, &find.element);
            push_i64(out, find.rank);
            push_count(out, find.count);
            push_u64(out, find.len_max);
        }
    }
}

pub(super) fn decode_query<'a>(
    reader: &mut Reader<'a>,
) -> Result<ListQuery<&'a [u8]>, DecodeError> {
    let key = reader.bytes()?;
    let offset = reader.offset();
    let question = match reader.byte()? {
        LEN => ListQuestion::Len,
        AT => ListQuestion::At(reader.i64()?),
        RANGE => ListQuestion::Range { start: reader.i64()?, stop: reader.i64()? },
        FIND => {
            let (element, rank) = (reader.bytes()?, reader.i64()?);
            let (count, len_max) = (count(reader)?, reader.u64()?);
            ListQuestion::Find(Box::new(Find { element, rank, count, len_max }))
        }
        found => return Err(DecodeError::UnknownKind { found, offset }),
    };
    Ok(ListQuery { key, question })
}

/// One of each kind, with its bytes.
#[cfg(test)]
pub(super) fn samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    use crate::Command;
    use crate::value::list::End;

    let key: &[u8] = b"l";
    let change = |change| Command::List(ListCommand::One { key, change });
    let ask = |question| Command::Query(ListQuery { key, question }.into());
    let e: &[u8] = b"e";
    let push = ListChange::Push { end: End::Back, only_existing: true, elements: vec![e] };
    let insert =
        ListChange::Insert { side: End::Front, pivot_and_element: Box::new((e, &b"n"[..])) };
    let moved = ListMove { from: key, to: &b"m"[..], from_end: End::Front, to_end: End::Back };
    let pop_first = ListCommand::PopFirst { keys: vec![key], end: End::Back, count: 3 };
    let find = Find { element: e, rank: -1, count: Some(0), len_max: 9 };
    vec![
        (change(push), r"\x02\x04\x01\x01\x00\x00\x00l\x01\x01\x01\x00\x00\x00\x01\x00\x00\x00e"),
        (
            change(ListChange::Pop { end: End::Front, count: None }),
            r"\x02\x04\x02\x01\x00\x00\x00l\x00\x00",
        ),
        (
            change(ListChange::Set { position: -1, element: Box::new(e) }),
            r"\x02\x04\x03\x01\x00\x00\x00l\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00e",
        ),
        (change(insert), r"\x02\x04\x04\x01\x00\x00\x00l\x00\x01\x00\x00\x00e\x01\x00\x00\x00n"),
        (
            change(ListChange::Remove { count: 2, element: Box::new(e) }),
            r"\x02\x04\x05\x01\x00\x00\x00l\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00e",
        ),
        (
            change(ListChange::Trim { start: 0, stop: -2 }),
            r"\x02\x04\x06\x01\x00\x00\x00l\x00\x00\x00\x00\x00\x00\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff",
        ),
        (
            Command::List(ListCommand::Move(Box::new(moved))),
            r"\x02\x04\x07\x01\x00\x00\x00l\x01\x00\x00\x00m\x00\x01",
        ),
        (
            Command::List(pop_first),
            r"\x02\x04\x08\x01\x03\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00l",
        ),
        (ask(ListQuestion::Len), r"\x02 \x04\x01\x00\x00\x00l\x01"),
        (
            ask(ListQuestion::At(-1)),
            r"\x02 \x04\x01\x00\x00\x00l\x02\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        (
            ask(ListQuestion::Range { start: 0, stop: -1 }),
            r"\x02 \x04\x01\x00\x00\x00l\x03\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        (
            ask(ListQuestion::Find(Box::new(find))),
            r"\x02 \x04\x01\x00\x00\x00l\x04\x01\x00\x00\x00e\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00\x00\t\x00\x00\x00\x00\x00\x00\x00",
        ),
    ]
}
