//! The bytes of a transaction.
//!
//! ```text
//! list of (bytes key, u64 version), list of operation
//! ```
//!
//! An operation in it is none of these again: depth is one.

use crate::operation::codec::reader::{Reader, push_bytes, push_len, push_u64};
use crate::operation::codec::{self, DecodeError};
use crate::operation::transaction::Transaction;

pub(super) fn encode<B: AsRef<[u8]>>(transaction: &Transaction<B>, out: &mut Vec<u8>) {
    let Transaction { watched, commands } = transaction;
    push_len(out, watched.len());
    for (key, version) in watched {
        push_bytes(out, key);
        push_u64(out, *version);
    }
    push_len(out, commands.len());
    for command in commands {
        codec::encode(command, out);
    }
}

pub(super) fn decode<'a>(reader: &mut Reader<'a>) -> Result<Transaction<&'a [u8]>, DecodeError> {
    Ok(Transaction {
        watched: reader.list(|reader| Ok((reader.bytes()?, reader.u64()?)))?,
        commands: reader.list(codec::decode_single)?,
    })
}

/// One of each kind, with its bytes.
#[cfg(test)]
pub(super) fn samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    use crate::Command;
    use crate::operation::key::{KeyCommand, KeyQuery};

    let transaction =
        |watched, commands| Command::Transaction(Box::new(Transaction { watched, commands }));
    vec![
        (
            transaction(
                vec![(&b"a"[..], 7)],
                vec![
                    KeyCommand::Del { keys: vec![&b"b"[..]] }.into(),
                    Command::Query(KeyQuery::DbSize.into()),
                ],
            ),
            r#"\x02\"\x01\x00\x00\x00\x01\x00\x00\x00a\x07\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x02\x01\x01\x00\x00\x00\x01\x00\x00\x00b \x02\x02"#,
        ),
        (transaction(Vec::new(), Vec::new()), r#"\x02\"\x00\x00\x00\x00\x00\x00\x00\x00"#),
    ]
}
