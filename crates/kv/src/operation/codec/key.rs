//! The bytes of the family of keys.
//!
//! ```text
//! command  u8 kind, then by kind:
//!   1 del      list of bytes key
//! query    u8 question, then by question:
//!   1 exists   list of bytes key
//!   2 dbsize
//!   3 versions list of bytes key
//! ```

use crate::operation::codec::DecodeError;
use crate::operation::codec::reader::{Reader, push_list};
use crate::operation::key::{KeyCommand, KeyQuery};

const DEL: u8 = 1;

const EXISTS: u8 = 1;
const DBSIZE: u8 = 2;
const VERSIONS: u8 = 3;

pub(super) fn encode_command<B: AsRef<[u8]>>(command: &KeyCommand<B>, out: &mut Vec<u8>) {
    match command {
        KeyCommand::Del { keys } => {
            out.push(DEL);
            push_list(out, keys);
        }
    }
}

pub(super) fn decode_command<'a>(
    reader: &mut Reader<'a>,
) -> Result<KeyCommand<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    Ok(match reader.byte()? {
        DEL => KeyCommand::Del { keys: reader.list(Reader::bytes)? },
        found => return Err(DecodeError::UnknownKind { found, offset }),
    })
}

pub(super) fn encode_query<B: AsRef<[u8]>>(query: &KeyQuery<B>, out: &mut Vec<u8>) {
    match query {
        KeyQuery::Exists { keys } => {
            out.push(EXISTS);
            push_list(out, keys);
        }
        KeyQuery::DbSize => out.push(DBSIZE),
        KeyQuery::Versions { keys } => {
            out.push(VERSIONS);
            push_list(out, keys);
        }
    }
}

pub(super) fn decode_query<'a>(reader: &mut Reader<'a>) -> Result<KeyQuery<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    Ok(match reader.byte()? {
        EXISTS => KeyQuery::Exists { keys: reader.list(Reader::bytes)? },
        DBSIZE => KeyQuery::DbSize,
        VERSIONS => KeyQuery::Versions { keys: reader.list(Reader::bytes)? },
        found => return Err(DecodeError::UnknownKind { found, offset }),
    })
}

/// One of each kind, with its bytes.
#[cfg(test)]
pub(super) fn samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    use crate::Command;

    vec![
        (
            KeyCommand::Del { keys: vec![&b"a"[..], b"b"] }.into(),
            r"\x02\x02\x01\x02\x00\x00\x00\x01\x00\x00\x00a\x01\x00\x00\x00b",
        ),
        (
            Command::Query(KeyQuery::Exists { keys: Vec::new() }.into()),
            r"\x02 \x02\x01\x00\x00\x00\x00",
        ),
        (Command::Query(KeyQuery::DbSize.into()), r"\x02 \x02\x02"),
        (
            Command::Query(KeyQuery::Versions { keys: vec![&b"a"[..]] }.into()),
            r"\x02 \x02\x03\x01\x00\x00\x00\x01\x00\x00\x00a",
        ),
    ]
}
