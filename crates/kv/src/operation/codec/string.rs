//! The bytes of the family of strings.
//!
//! ```text
//! command  u8 kind, then by kind:
//!   1 set            bytes key, bytes value
//!   2 mset           list of (bytes key, bytes value)
//!   3 incr_by        bytes key, i64 by
//!   4 set_with       bytes key, options
//!   5 mset_nx        list of (bytes key, bytes value)
//!   6 incr_by_float  bytes key, bytes by
//!   7 append         bytes key, bytes suffix
//!   8 set_range      bytes key, u64 offset, bytes part
//!   9 get_del        bytes key
//!  10 get_ex         bytes key, expiry or u8 4 = not an integer, 5 = invalid
//!  11 del_if_eq      bytes key, bytes value
//! options  bytes value, condition, expiry, u8 answer: 0 done, 1 flag, 2 previous
//! condition  u8 0 always, 1 missing, 2 present, 3 equal with bytes value
//! expiry   u8 0 never, 1 keep, 2 in with u64 ms, 3 at with u64 ms
//! query    u8 question, then by question:
//!   1 get            bytes key
//!   2 mget           list of bytes key
//!   3 strlen         bytes key
//!   4 getrange       bytes key, i64 start, i64 end
//!   5 lcs            bytes key, bytes key, u8 0 text, 1 len, or
//!                    2 places with i64 len_min, u8 has_len
//! ```

use crate::operation::codec::DecodeError;
use crate::operation::codec::reader::{
    Reader, push_bytes, push_i64, push_list, push_pairs, push_u64, split_bytes,
};
use crate::operation::response::DataError;
use crate::operation::string::{
    Expiry, Lcs, LcsForm, SetAnswer, SetCondition, SetOptions, StringCommand, StringQuery,
};

const SET: u8 = 1;
const MSET: u8 = 2;
const INCR_BY: u8 = 3;
const SET_WITH: u8 = 4;
const MSET_NX: u8 = 5;
const INCR_BY_FLOAT: u8 = 6;
const APPEND: u8 = 7;
const SET_RANGE: u8 = 8;
const GET_DEL: u8 = 9;
const GET_EX: u8 = 10;
const DEL_IF_EQ: u8 = 11;

const GET: u8 = 1;
const MGET: u8 = 2;
const STRLEN: u8 = 3;
const GETRANGE: u8 = 4;
const LCS: u8 = 5;

#[inline]
pub(super) fn encode_set<B: AsRef<[u8]>>(key: &B, value: &B, out: &mut Vec<u8>) {
    out.push(SET);
    push_bytes(out, key);
    push_bytes(out, value);
}

/// Key and value of a [`StringCommand::Set`] and nothing else.
#[inline]
pub(super) fn decode_set(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [SET, rest @ ..] = bytes else {
        return None;
    };
    let (key, rest) = split_bytes(rest)?;
    let (value, rest) = split_bytes(rest)?;
    rest.is_empty().then_some((key, value))
}

pub(super) fn encode_command<B: AsRef<[u8]>>(command: &StringCommand<B>, out: &mut Vec<u8>) {
    match command {
        StringCommand::Set { key, value } => encode_set(key, value, out),
        StringCommand::SetWith { key, options } => {
            out.push(SET_WITH);
            push_bytes(out, key);
            push_options(out, options);
        }
        StringCommand::MSet { pairs } => {
            out.push(MSET);
            push_pairs(out, pairs);
        }
        StringCommand::MSetNx { pairs } => {
            out.push(MSET_NX);
            push_pairs(out, pairs);
        }
        StringCommand::IncrBy { key, by } => {
            out.push(INCR_BY);
            push_bytes(out, key);
            push_i64(out, *by);
        }
        StringCommand::IncrByFloat { key, by } => {
            out.push(INCR_BY_FLOAT);
            push_bytes(out, key);
            push_bytes(out, by);
        }
        StringCommand::Append { key, suffix } => {
            out.push(APPEND);
            push_bytes(out, key);
            push_bytes(out, suffix);
        }
        StringCommand::SetRange { key, offset, part } => {
            out.push(SET_RANGE);
            push_bytes(out, key);
            push_u64(out, u64::from(*offset));
            push_bytes(out, part);
        }
        StringCommand::GetDel { key } => {
            out.push(GET_DEL);
            push_bytes(out, key);
        }
        StringCommand::GetEx { key, expiry } => {
            out.push(GET_EX);
            push_bytes(out, key);
            match expiry {
                Ok(expiry) => push_expiry(out, *expiry),
                Err(DataError::NotAnInteger) => out.push(4),
                Err(_) => out.push(5),
            }
        }
        StringCommand::DelIfEq { key, value } => {
            out.push(DEL_IF_EQ);
            push_bytes(out, key);
            push_bytes(out, value);
        }
    }
}

pub(super) fn decode_command<'a>(
    reader: &mut Reader<'a>,
) -> Result<StringCommand<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    Ok(match reader.byte()? {
        SET => StringCommand::Set { key: reader.bytes()?, value: reader.bytes()? },
        SET_WITH => {
            let key = reader.bytes()?;
            StringCommand::SetWith { key, options: Box::new(options(reader)?) }
        }
        MSET => StringCommand::MSet { pairs: reader.list(Reader::pair)? },
        MSET_NX => StringCommand::MSetNx { pairs: reader.list(Reader::pair)? },
        INCR_BY => StringCommand::IncrBy { key: reader.bytes()?, by: reader.i64()? },
        INCR_BY_FLOAT => StringCommand::IncrByFloat { key: reader.bytes()?, by: reader.bytes()? },
        APPEND => StringCommand::Append { key: reader.bytes()?, suffix: reader.bytes()? },
        SET_RANGE => StringCommand::SetRange {
            key: reader.bytes()?,
            offset: u32::try_from(reader.u64()?).unwrap_or(u32::MAX),
            part: reader.bytes()?,
        },
        GET_DEL => StringCommand::GetDel { key: reader.bytes()? },
        GET_EX => StringCommand::GetEx { key: reader.bytes()?, expiry: get_expiry(reader)? },
        DEL_IF_EQ => StringCommand::DelIfEq { key: reader.bytes()?, value: reader.bytes()? },
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
        StringQuery::StrLen { key } => {
            out.push(STRLEN);
            push_bytes(out, key);
        }
        StringQuery::GetRange { key, start, end } => {
            out.push(GETRANGE);
            push_bytes(out, key);
            push_i64(out, *start);
            push_i64(out, *end);
        }
        StringQuery::Lcs(lcs) => {
            out.push(LCS);
            push_bytes(out, &lcs.keys.0);
            push_bytes(out, &lcs.keys.1);
            match &lcs.form {
                LcsForm::Text => out.push(0),
                LcsForm::Len => out.push(1),
                LcsForm::Places { len_min, has_len } => {
                    out.push(2);
                    push_i64(out, *len_min);
                    out.push(u8::from(*has_len));
                }
            }
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
        STRLEN => StringQuery::StrLen { key: reader.bytes()? },
        GETRANGE => {
            StringQuery::GetRange { key: reader.bytes()?, start: reader.i64()?, end: reader.i64()? }
        }
        LCS => {
            let (keys, form) = (reader.pair()?, lcs_form(reader)?);
            StringQuery::Lcs(Box::new(Lcs { keys, form }))
        }
        found => return Err(DecodeError::UnknownKind { found, offset }),
    })
}

fn push_options<B: AsRef<[u8]>>(out: &mut Vec<u8>, options: &SetOptions<B>) {
    push_bytes(out, &options.value);
    match &options.condition {
        SetCondition::Always => out.push(0),
        SetCondition::Missing => out.push(1),
        SetCondition::Present => out.push(2),
        SetCondition::Equal(value) => {
            out.push(3);
            push_bytes(out, value);
        }
    }
    push_expiry(out, options.expiry);
    out.push(match options.answer {
        SetAnswer::Done => 0,
        SetAnswer::Flag => 1,
        SetAnswer::Previous => 2,
    });
}

fn options<'a>(reader: &mut Reader<'a>) -> Result<SetOptions<&'a [u8]>, DecodeError> {
    let value = reader.bytes()?;
    let condition = match reader.choice(|byte| (byte <= 3).then_some(byte))? {
        0 => SetCondition::Always,
        1 => SetCondition::Missing,
        2 => SetCondition::Present,
        _ => SetCondition::Equal(reader.bytes()?),
    };
    let offset = reader.offset();
    let found = reader.byte()?;
    let expiry = expiry(reader, found, offset)?;
    let answer = reader.choice(|byte| match byte {
        0 => Some(SetAnswer::Done),
        1 => Some(SetAnswer::Flag),
        2 => Some(SetAnswer::Previous),
        _ => None,
    })?;
    Ok(SetOptions { value, condition, expiry, answer })
}

fn push_expiry(out: &mut Vec<u8>, expiry: Expiry) {
    match expiry {
        Expiry::Never => out.push(0),
        Expiry::Keep => out.push(1),
        Expiry::In(ms) => {
            out.push(2);
            push_u64(out, ms);
        }
        Expiry::At(ms) => {
            out.push(3);
            push_u64(out, ms);
        }
    }
}

fn expiry(reader: &mut Reader<'_>, found: u8, offset: usize) -> Result<Expiry, DecodeError> {
    Ok(match found {
        0 => Expiry::Never,
        1 => Expiry::Keep,
        2 => Expiry::In(reader.u64()?),
        3 => Expiry::At(reader.u64()?),
        _ => return Err(DecodeError::UnknownOption { found, offset }),
    })
}

fn get_expiry(reader: &mut Reader<'_>) -> Result<Result<Expiry, DataError>, DecodeError> {
    let offset = reader.offset();
    match reader.byte()? {
        4 => Ok(Err(DataError::NotAnInteger)),
        5 => Ok(Err(DataError::InvalidGetExExpiry)),
        found => expiry(reader, found, offset).map(Ok),
    }
}

fn lcs_form(reader: &mut Reader<'_>) -> Result<LcsForm, DecodeError> {
    Ok(match reader.choice(|byte| (byte <= 2).then_some(byte))? {
        0 => LcsForm::Text,
        1 => LcsForm::Len,
        _ => LcsForm::Places { len_min: reader.i64()?, has_len: reader.boolean()? },
    })
}

/// One of each kind, with its bytes.
#[cfg(test)]
pub(super) fn samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    [command_samples(), query_samples()].concat()
}

#[cfg(test)]
fn command_samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    type Command = StringCommand<&'static [u8]>;
    let (k, v): (&'static [u8], &'static [u8]) = (b"k", b"v");
    let set_with = |condition, expiry, answer| {
        let options = Box::new(SetOptions { value: v, condition, expiry, answer });
        Command::SetWith { key: k, options }
    };
    let get_ex = |expiry| Command::GetEx { key: k, expiry };
    vec![
        (
            Command::Set { key: k, value: b"" }.into(),
            r"\x02\x01\x01\x01\x00\x00\x00k\x00\x00\x00\x00",
        ),
        (
            Command::MSet { pairs: vec![(b"a", b"1"), (b"", b"\0\xff")] }.into(),
            r"\x02\x01\x02\x02\x00\x00\x00\x01\x00\x00\x00a\x01\x00\x00\x001\x00\x00\x00\x00\x02\x00\x00\x00\x00\xff",
        ),
        (
            Command::IncrBy { key: b"n", by: -7 }.into(),
            r"\x02\x01\x03\x01\x00\x00\x00n\xf9\xff\xff\xff\xff\xff\xff\xff",
        ),
        (
            set_with(SetCondition::Always, Expiry::Keep, SetAnswer::Done).into(),
            r"\x02\x01\x04\x01\x00\x00\x00k\x01\x00\x00\x00v\x00\x01\x00",
        ),
        (
            set_with(SetCondition::Missing, Expiry::Never, SetAnswer::Flag).into(),
            r"\x02\x01\x04\x01\x00\x00\x00k\x01\x00\x00\x00v\x01\x00\x01",
        ),
        (
            set_with(SetCondition::Present, Expiry::In(5), SetAnswer::Previous).into(),
            r"\x02\x01\x04\x01\x00\x00\x00k\x01\x00\x00\x00v\x02\x02\x05\x00\x00\x00\x00\x00\x00\x00\x02",
        ),
        (
            set_with(SetCondition::Equal(b"o"), Expiry::At(6), SetAnswer::Done).into(),
            r"\x02\x01\x04\x01\x00\x00\x00k\x01\x00\x00\x00v\x03\x01\x00\x00\x00o\x03\x06\x00\x00\x00\x00\x00\x00\x00\x00",
        ),
        (
            Command::MSetNx { pairs: vec![(b"a", b"1")] }.into(),
            r"\x02\x01\x05\x01\x00\x00\x00\x01\x00\x00\x00a\x01\x00\x00\x001",
        ),
        (
            Command::IncrByFloat { key: k, by: b"1.5" }.into(),
            r"\x02\x01\x06\x01\x00\x00\x00k\x03\x00\x00\x001.5",
        ),
        (
            Command::Append { key: k, suffix: v }.into(),
            r"\x02\x01\x07\x01\x00\x00\x00k\x01\x00\x00\x00v",
        ),
        (
            Command::SetRange { key: k, offset: 7, part: v }.into(),
            r"\x02\x01\x08\x01\x00\x00\x00k\x07\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00v",
        ),
        (Command::GetDel { key: k }.into(), r"\x02\x01\t\x01\x00\x00\x00k"),
        (get_ex(Ok(Expiry::Never)).into(), r"\x02\x01\n\x01\x00\x00\x00k\x00"),
        (get_ex(Ok(Expiry::Keep)).into(), r"\x02\x01\n\x01\x00\x00\x00k\x01"),
        (get_ex(Err(DataError::NotAnInteger)).into(), r"\x02\x01\n\x01\x00\x00\x00k\x04"),
        (get_ex(Err(DataError::InvalidGetExExpiry)).into(), r"\x02\x01\n\x01\x00\x00\x00k\x05"),
        (
            Command::DelIfEq { key: k, value: v }.into(),
            r"\x02\x01\x0b\x01\x00\x00\x00k\x01\x00\x00\x00v",
        ),
    ]
}

#[cfg(test)]
fn query_samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    type Query = StringQuery<&'static [u8]>;
    let places = LcsForm::Places { len_min: 4, has_len: true };
    let lcs = |form| Query::Lcs(Box::new(Lcs { keys: (&b"a"[..], &b"b"[..]), form }));
    let queries = [
        (Query::Get { key: b"k" }, r"\x02 \x01\x01\x01\x00\x00\x00k"),
        (
            Query::MGet { keys: vec![b"a", b"b"] },
            r"\x02 \x01\x02\x02\x00\x00\x00\x01\x00\x00\x00a\x01\x00\x00\x00b",
        ),
        (Query::StrLen { key: b"k" }, r"\x02 \x01\x03\x01\x00\x00\x00k"),
        (
            Query::GetRange { key: b"k", start: 1, end: -1 },
            r"\x02 \x01\x04\x01\x00\x00\x00k\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        (lcs(LcsForm::Text), r"\x02 \x01\x05\x01\x00\x00\x00a\x01\x00\x00\x00b\x00"),
        (lcs(LcsForm::Len), r"\x02 \x01\x05\x01\x00\x00\x00a\x01\x00\x00\x00b\x01"),
        (
            lcs(places),
            r"\x02 \x01\x05\x01\x00\x00\x00a\x01\x00\x00\x00b\x02\x04\x00\x00\x00\x00\x00\x00\x00\x01",
        ),
    ];
    queries.map(|(query, golden)| (crate::Command::Query(query.into()), golden)).into()
}
