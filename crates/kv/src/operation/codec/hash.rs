//! The bytes of the family of hashes.
//!
//! ```text
//! command  bytes key, u8 kind, then by kind:
//!   1 set            list of (bytes field, bytes value)
//!   2 set quietly    list of (bytes field, bytes value)
//!   3 set new        bytes field, bytes value
//!   4 remove         list of bytes field
//!   5 incr_by        bytes field, i64 by
//!   6 incr_by_float  bytes field, bytes by
//! query    bytes key, u8 question, then by question:
//!   1 get            bytes field
//!   2 get each       list of bytes field
//!   3 all            u8: 0 fields, 1 values, 2 both
//!   4 len
//!   5 contains       bytes field
//!   6 value_len      bytes field
//!   7 random         pick
//!   8 scan           scan
//! ```

use crate::operation::codec::DecodeError;
use crate::operation::codec::collection::{pick, push_pick, push_scan, scan};
use crate::operation::codec::reader::{Reader, push_bytes, push_i64, push_list, push_pairs};
use crate::operation::hash::{HashChange, HashCommand, HashPart, HashQuery, HashQuestion};

const SET: u8 = 1;
const SET_QUIETLY: u8 = 2;
const SET_NEW: u8 = 3;
const REMOVE: u8 = 4;
const INCR_BY: u8 = 5;
const INCR_BY_FLOAT: u8 = 6;

const GET: u8 = 1;
const GET_EACH: u8 = 2;
const ALL: u8 = 3;
const LEN: u8 = 4;
const CONTAINS: u8 = 5;
const VALUE_LEN: u8 = 6;
const RANDOM: u8 = 7;
const SCAN: u8 = 8;

pub(super) fn encode_command<B: AsRef<[u8]>>(command: &HashCommand<B>, out: &mut Vec<u8>) {
    push_bytes(out, &command.key);
    match &command.change {
        HashChange::Set(pairs) => {
            out.push(SET);
            push_pairs(out, pairs);
        }
        HashChange::SetQuietly(pairs) => {
            out.push(SET_QUIETLY);
            push_pairs(out, pairs);
        }
        HashChange::SetNew(pair) => {
            out.push(SET_NEW);
            push_bytes(out, &pair.0);
            push_bytes(out, &pair.1);
        }
        HashChange::Remove(fields) => {
            out.push(REMOVE);
            push_list(out, fields);
        }
        HashChange::IncrBy { field, by } => {
            out.push(INCR_BY);
            push_bytes(out, field.as_ref());
            push_i64(out, *by);
        }
        HashChange::IncrByFloat { field, by } => {
            out.push(INCR_BY_FLOAT);
            push_bytes(out, field.as_ref());
            push_bytes(out, by.as_ref());
        }
    }
}

pub(super) fn decode_command<'a>(
    reader: &mut Reader<'a>,
) -> Result<HashCommand<&'a [u8]>, DecodeError> {
    let key = reader.bytes()?;
    let offset = reader.offset();
    let change = match reader.byte()? {
        SET => HashChange::Set(reader.list(Reader::pair)?),
        SET_QUIETLY => HashChange::SetQuietly(reader.list(Reader::pair)?),
        SET_NEW => HashChange::SetNew(Box::new(reader.pair()?)),
        REMOVE => HashChange::Remove(reader.list(Reader::bytes)?),
        INCR_BY => HashChange::IncrBy { field: Box::new(reader.bytes()?), by: reader.i64()? },
        INCR_BY_FLOAT => {
            let (field, by) = reader.pair()?;
            HashChange::IncrByFloat { field: Box::new(field), by: Box::new(by) }
        }
        found => return Err(DecodeError::UnknownKind { found, offset }),
    };
    Ok(HashCommand { key, change })
}

pub(super) fn encode_query<B: AsRef<[u8]>>(query: &HashQuery<B>, out: &mut Vec<u8>) {
    push_bytes(out, &query.key);
    match &query.question {
        HashQuestion::Get(field) => {
            out.push(GET);
            push_bytes(out, field);
        }
        HashQuestion::GetEach(fields) => {
            out.push(GET_EACH);
            push_list(out, fields);
        }
        HashQuestion::All(part) => {
            let part = match part {
                HashPart::Fields => 0,
                HashPart::Values => 1,
                HashPart::Both => 2,
            };
            out.extend_from_slice(&[ALL, part]);
        }
        HashQuestion::Len => out.push(LEN),
        HashQuestion::Contains(field) => {
            out.push(CONTAINS);
            push_bytes(out, field);
        }
        HashQuestion::ValueLen(field) => {
            out.push(VALUE_LEN);
            push_bytes(out, field);
        }
        HashQuestion::Random(pick) => {
            out.push(RANDOM);
            push_pick(out, pick);
        }
        HashQuestion::Scan(scan) => {
            out.push(SCAN);
            push_scan(out, scan);
        }
    }
}

pub(super) fn decode_query<'a>(
    reader: &mut Reader<'a>,
) -> Result<HashQuery<&'a [u8]>, DecodeError> {
    let key = reader.bytes()?;
    let offset = reader.offset();
    let question = match reader.byte()? {
        GET => HashQuestion::Get(reader.bytes()?),
        GET_EACH => HashQuestion::GetEach(reader.list(Reader::bytes)?),
        ALL => HashQuestion::All(reader.choice(|byte| match byte {
            0 => Some(HashPart::Fields),
            1 => Some(HashPart::Values),
            2 => Some(HashPart::Both),
            _ => None,
        })?),
        LEN => HashQuestion::Len,
        CONTAINS => HashQuestion::Contains(reader.bytes()?),
        VALUE_LEN => HashQuestion::ValueLen(reader.bytes()?),
        RANDOM => HashQuestion::Random(pick(reader)?),
        SCAN => HashQuestion::Scan(scan(reader)?),
        found => return Err(DecodeError::UnknownKind { found, offset }),
    };
    Ok(HashQuery { key, question })
}

/// One of each kind, with its bytes.
#[cfg(test)]
pub(super) fn samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    use crate::Command;
    use crate::operation::collection::{Pick, Scan};

    let change = |change| Command::Hash(HashCommand { key: &b"h"[..], change });
    let ask = |question| Command::Query(HashQuery { key: &b"h"[..], question }.into());
    let f: &[u8] = b"f";
    let pick = Pick { count: Some(-2), with_values: true, seed: 7 };
    let scan = Scan { cursor: 1, count: 10, pattern: Some(&b"*"[..]) };
    vec![
        (
            change(HashChange::Set(vec![(f, b"v")])),
            r"\x02\x03\x01\x00\x00\x00h\x01\x01\x00\x00\x00\x01\x00\x00\x00f\x01\x00\x00\x00v",
        ),
        (
            change(HashChange::SetQuietly(vec![(f, b"v")])),
            r"\x02\x03\x01\x00\x00\x00h\x02\x01\x00\x00\x00\x01\x00\x00\x00f\x01\x00\x00\x00v",
        ),
        (
            change(HashChange::SetNew(Box::new((f, b"v")))),
            r"\x02\x03\x01\x00\x00\x00h\x03\x01\x00\x00\x00f\x01\x00\x00\x00v",
        ),
        (
            change(HashChange::Remove(vec![f])),
            r"\x02\x03\x01\x00\x00\x00h\x04\x01\x00\x00\x00\x01\x00\x00\x00f",
        ),
        (
            change(HashChange::IncrBy { field: Box::new(f), by: -1 }),
            r"\x02\x03\x01\x00\x00\x00h\x05\x01\x00\x00\x00f\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        (
            change(HashChange::IncrByFloat { field: Box::new(f), by: Box::new(b"0.5") }),
            r"\x02\x03\x01\x00\x00\x00h\x06\x01\x00\x00\x00f\x03\x00\x00\x000.5",
        ),
        (ask(HashQuestion::Get(f)), r"\x02 \x03\x01\x00\x00\x00h\x01\x01\x00\x00\x00f"),
        (
            ask(HashQuestion::GetEach(vec![f])),
            r"\x02 \x03\x01\x00\x00\x00h\x02\x01\x00\x00\x00\x01\x00\x00\x00f",
        ),
        (ask(HashQuestion::All(HashPart::Fields)), r"\x02 \x03\x01\x00\x00\x00h\x03\x00"),
        (ask(HashQuestion::All(HashPart::Values)), r"\x02 \x03\x01\x00\x00\x00h\x03\x01"),
        (ask(HashQuestion::All(HashPart::Both)), r"\x02 \x03\x01\x00\x00\x00h\x03\x02"),
        (ask(HashQuestion::Len), r"\x02 \x03\x01\x00\x00\x00h\x04"),
        (ask(HashQuestion::Contains(f)), r"\x02 \x03\x01\x00\x00\x00h\x05\x01\x00\x00\x00f"),
        (ask(HashQuestion::ValueLen(f)), r"\x02 \x03\x01\x00\x00\x00h\x06\x01\x00\x00\x00f"),
        (
            ask(HashQuestion::Random(pick)),
            r"\x02 \x03\x01\x00\x00\x00h\x07\x01\xfe\xff\xff\xff\xff\xff\xff\xff\x01\x07\x00\x00\x00\x00\x00\x00\x00",
        ),
        (
            ask(HashQuestion::Scan(Box::new(scan))),
            r"\x02 \x03\x01\x00\x00\x00h\x08\x01\x00\x00\x00\x00\x00\x00\x00\n\x00\x00\x00\x00\x00\x00\x00\x01\x01\x00\x00\x00*",
        ),
    ]
}
