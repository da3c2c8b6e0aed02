//! The bytes of the family of strings.
//!
//! ```text
//! command  u8 kind, then by kind:
//!   1 set      bytes key, bytes value
//!   2 mset     list of (bytes key, bytes value)
//!   3 incr_by  bytes key, i64 by
//! query    u8 question, then by question:
//!   1 get      bytes key
//!   2 mget     list of bytes key
//! ```

use crate::operation::codec::DecodeError;
use crate::operation::codec::reader::{Reader, push_bytes, push_i64, push_list, push_pairs};
use crate::operation::string::{StringCommand, StringQuery};

const SET: u8 = 1;
const MSET: u8 = 2;
const INCR_BY: u8 = 3;

const GET: u8 = 1;
const MGET: u8 = 2;

pub(super) fn encode_command<B: AsRef<[u8]>>(command: &StringCommand<B>, out: &mut Vec<u8>) {
    match command {
        StringCommand::Set { key, value } => {
            out.push(SET);
            push_bytes(out, key);
            push_bytes(out, value);
        }
        StringCommand::MSet { pairs } => {
            out.push(MSET);
            push_pairs(out, pairs);
        }
        StringCommand::IncrBy { key, by } => {
            out.push(INCR_BY);
            push_bytes(out, key);
            push_i64(out, *by);
        }
    }
}

pub(super) fn decode_command<'a>(
    reader: &mut Reader<'a>,
) -> Result<StringCommand<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    Ok(match reader.byte()? {
        SET => StringCommand::Set { key: reader.bytes()?, value: reader.bytes()? },
        MSET => StringCommand::MSet { pairs: reader.list(Reader::pair)? },
        INCR_BY => StringCommand::IncrBy { key: reader.bytes()?, by: reader.i64()? },
        found => return Err(DecodeError::UnknownKind { found, offset }),
    })
}

pub(super) fn encode_query<B: AsRef<[u8]>>(query: &StringQuery<B>, out: &mut Vec<u8>) {
    match query {
        StringQuery::Get { key } => {
            out.push(GET);
            push_bytes(out, key);
        }
        StringQuery::MGet { keys } => {
            out.push(MGET);
            push_list(out, keys);
        }
    }
}

pub(super) fn decode_query<'a>(
    reader: &mut Reader<'a>,
) -> Result<StringQuery<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    Ok(match reader.byte()? {
        GET => StringQuery::Get { key: reader.bytes()? },
        MGET => StringQuery::MGet { keys: reader.list(Reader::bytes)? },
        found => return Err(DecodeError::UnknownKind { found, offset }),
    })
}

/// One of each kind, with its bytes.
#[cfg(test)]
pub(super) fn samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    use crate::Command;

    vec![
        (
            StringCommand::Set { key: &b"k"[..], value: b"" }.into(),
            r"\x02\x01\x01\x01\x00\x00\x00k\x00\x00\x00\x00",
        ),
        (
            StringCommand::MSet { pairs: vec![(&b"a"[..], &b"1"[..]), (b"", b"\0\xff")] }.into(),
            r"\x02\x01\x02\x02\x00\x00\x00\x01\x00\x00\x00a\x01\x00\x00\x001\x00\x00\x00\x00\x02\x00\x00\x00\x00\xff",
        ),
        (
            StringCommand::IncrBy { key: &b"n"[..], by: -7 }.into(),
            r"\x02\x01\x03\x01\x00\x00\x00n\xf9\xff\xff\xff\xff\xff\xff\xff",
        ),
        (
            Command::Query(StringQuery::Get { key: &b"k"[..] }.into()),
            r"\x02 \x01\x01\x01\x00\x00\x00k",
        ),
        (
            Command::Query(StringQuery::MGet { keys: vec![&b"a"[..], b"b"] }.into()),
            r"\x02 \x01\x02\x02\x00\x00\x00\x01\x00\x00\x00a\x01\x00\x00\x00b",
        ),
    ]
}
