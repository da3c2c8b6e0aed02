//! The bytes of a command in a log entry, version 1. Little endian.
//!
//! ```text
//! command  u8 version = 1, u8 kind, then by kind:
//!   1 set      bytes key, bytes value
//!   2 mset     u32 n, n times (bytes key, bytes value)
//!   3 del      u32 n, n times bytes key
//!   4 incr_by  bytes key, i64 by
//!   5 query    u8 question, then by question:
//!       1 get      bytes key
//!       2 mget     u32 n, n times bytes key
//!       3 exists   u32 n, n times bytes key
//!       4 dbsize
//! bytes    u32 n, n bytes
//! ```
//!
//! Kinds are never renumbered. A new kind or field raises the version, so that
//! an older node halts by name instead of guessing (rule 45).
//!
//! Invariants: decoding never panics and reserves nothing by a claimed length;
//! every byte belongs to the command, or it is refused.

use crate::operation::{Command, Query};

/// The one version this build writes, and the highest it reads.
pub(crate) const VERSION: u8 = 1;

/// Why the bytes of an entry are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Written by a newer raftlet.
    #[error(
        "commands of version {found} are unknown here, this build reads {VERSION}; upgrade this node"
    )]
    UnknownVersion {
        /// The version the entry claims.
        found: u8,
    },
    /// A kind that the version doesn't have.
    #[error("command kind {found} at byte {offset} is unknown in version {VERSION}")]
    UnknownKind {
        /// The number found.
        found: u8,
        /// Where it stands.
        offset: usize,
    },
    /// The entry ends inside the command.
    #[error("the command is cut off: {missing_bytes} bytes are missing at byte {offset}")]
    Truncated {
        /// Where the missing field starts.
        offset: usize,
        /// How many bytes of it are missing.
        missing_bytes: usize,
    },
    /// The entry goes on behind the command.
    #[error("{extra_bytes} bytes follow the command at byte {offset}")]
    Trailing {
        /// Where the command ends.
        offset: usize,
        /// How many bytes follow.
        extra_bytes: usize,
    },
}

const SET: u8 = 1;
const MSET: u8 = 2;
const DEL: u8 = 3;
const INCR_BY: u8 = 4;
const QUERY: u8 = 5;

const QUERY_GET: u8 = 1;
const QUERY_MGET: u8 = 2;
const QUERY_EXISTS: u8 = 3;
const QUERY_DBSIZE: u8 = 4;

impl<B: AsRef<[u8]>> Command<B> {
    /// Appends the command's bytes.
    ///
    /// # Panics
    /// When a key, value or list is 4 GiB or longer, which no request within
    /// `Limits` can make.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Self::Set { key, value } => {
                out.push(SET);
                push_bytes(out, key);
                push_bytes(out, value);
            }
            Self::MSet { pairs } => {
                out.push(MSET);
                push_len(out, pairs.len());
                for (key, value) in pairs {
                    push_bytes(out, key);
                    push_bytes(out, value);
                }
            }
            Self::Del { keys } => {
                out.push(DEL);
                push_list(out, keys);
            }
            Self::IncrBy { key, by } => {
                out.push(INCR_BY);
                push_bytes(out, key);
                out.extend_from_slice(&by.to_le_bytes());
            }
            Self::Query(query) => {
                out.push(QUERY);
                encode_query(query, out);
            }
        }
    }
}

impl<'a> Command<&'a [u8]> {
    /// Reads a command back; its keys and values borrow from `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`]: these are not the bytes of exactly one command.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader { rest: bytes, offset: 0 };
        let version = reader.byte()?;
        if version != VERSION {
            return Err(DecodeError::UnknownVersion { found: version });
        }
        let offset = reader.offset;
        let command = match reader.byte()? {
            SET => Self::Set { key: reader.bytes()?, value: reader.bytes()? },
            MSET => Self::MSet { pairs: reader.list(|r| Ok((r.bytes()?, r.bytes()?)))? },
            DEL => Self::Del { keys: reader.list(Reader::bytes)? },
            INCR_BY => {
                let key = reader.bytes()?;
                let by = i64::from_le_bytes(reader.array()?);
                Self::IncrBy { key, by }
            }
            QUERY => Self::Query(decode_query(&mut reader)?),
            found => return Err(DecodeError::UnknownKind { found, offset }),
        };
        if !reader.rest.is_empty() {
            let extra_bytes = reader.rest.len();
            return Err(DecodeError::Trailing { offset: reader.offset, extra_bytes });
        }
        Ok(command)
    }
}

fn encode_query<B: AsRef<[u8]>>(query: &Query<B>, out: &mut Vec<u8>) {
    match query {
        Query::Get { key } => {
            out.push(QUERY_GET);
            push_bytes(out, key);
        }
        Query::MGet { keys } => {
            out.push(QUERY_MGET);
            push_list(out, keys);
        }
        Query::Exists { keys } => {
            out.push(QUERY_EXISTS);
            push_list(out, keys);
        }
        Query::DbSize => out.push(QUERY_DBSIZE),
    }
}

fn decode_query<'a>(reader: &mut Reader<'a>) -> Result<Query<&'a [u8]>, DecodeError> {
    let offset = reader.offset;
    Ok(match reader.byte()? {
        QUERY_GET => Query::Get { key: reader.bytes()? },
        QUERY_MGET => Query::MGet { keys: reader.list(Reader::bytes)? },
        QUERY_EXISTS => Query::Exists { keys: reader.list(Reader::bytes)? },
        QUERY_DBSIZE => Query::DbSize,
        found => return Err(DecodeError::UnknownKind { found, offset }),
    })
}

fn push_list<B: AsRef<[u8]>>(out: &mut Vec<u8>, items: &[B]) {
    push_len(out, items.len());
    for item in items {
        push_bytes(out, item);
    }
}

fn push_bytes(out: &mut Vec<u8>, bytes: &impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    push_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn push_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("a part of a command is below 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
}

struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, wanted_bytes: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(wanted_bytes) else {
            let missing_bytes = wanted_bytes.saturating_sub(self.rest.len());
            return Err(DecodeError::Truncated { offset: self.offset, missing_bytes });
        };
        self.rest = rest;
        self.offset += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let truncated = DecodeError::Truncated { offset: self.offset, missing_bytes: N };
        self.take(N)?.try_into().map_err(|_| truncated)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    fn len(&mut self) -> Result<usize, DecodeError> {
        // A length that this target can't hold can't be there either.
        Ok(usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX))
    }

    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.len()?;
        self.take(len)
    }

    /// Every item takes bytes, so the input bounds the list.
    fn list<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut items = Vec::new();
        for _ in 0..self.len()? {
            items.push(item(self)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Command<&'static [u8]>> {
        vec![
            Command::Set { key: b"k", value: b"" },
            Command::MSet { pairs: vec![(b"a", b"1"), (b"", b"\0\xff")] },
            Command::Del { keys: vec![b"a", b"b"] },
            Command::IncrBy { key: b"n", by: -7 },
            Command::Query(Query::Get { key: b"k" }),
            Command::Query(Query::MGet { keys: vec![b"a", b"b"] }),
            Command::Query(Query::Exists { keys: Vec::new() }),
            Command::Query(Query::DbSize),
        ]
    }

    fn encoded(command: &Command<&[u8]>) -> Vec<u8> {
        let mut out = Vec::new();
        command.encode(&mut out);
        out
    }

    #[test]
    fn every_command_reads_back_as_it_was_written() {
        for command in samples() {
            assert_eq!(Command::decode(&encoded(&command)), Ok(command));
        }
    }

    /// Entries written by one build are applied by another (rule 45).
    #[test]
    fn the_bytes_of_version_1_never_change() {
        let golden = [
            r"\x01\x01\x01\x00\x00\x00k\x00\x00\x00\x00",
            r"\x01\x02\x02\x00\x00\x00\x01\x00\x00\x00a\x01\x00\x00\x001\x00\x00\x00\x00\x02\x00\x00\x00\x00\xff",
            r"\x01\x03\x02\x00\x00\x00\x01\x00\x00\x00a\x01\x00\x00\x00b",
            r"\x01\x04\x01\x00\x00\x00n\xf9\xff\xff\xff\xff\xff\xff\xff",
            r"\x01\x05\x01\x01\x00\x00\x00k",
            r"\x01\x05\x02\x02\x00\x00\x00\x01\x00\x00\x00a\x01\x00\x00\x00b",
            r"\x01\x05\x03\x00\x00\x00\x00",
            r"\x01\x05\x04",
        ];
        for (command, golden) in samples().iter().zip(golden) {
            assert_eq!(encoded(command).escape_ascii().to_string(), golden);
        }
    }

    #[test]
    fn a_command_cut_anywhere_or_followed_by_anything_is_refused() {
        for command in samples() {
            let bytes = encoded(&command);
            for end in 0..bytes.len() {
                let error = Command::decode(&bytes[..end]).unwrap_err();
                assert!(matches!(error, DecodeError::Truncated { .. }), "{error:?}");
            }
            let longer = [&bytes[..], b"\0"].concat();
            let error = DecodeError::Trailing { offset: bytes.len(), extra_bytes: 1 };
            assert_eq!(Command::decode(&longer), Err(error));
        }
    }

    #[test]
    fn unknown_versions_and_kinds_are_refused_by_number() {
        assert_eq!(Command::decode(b"\x02\x01"), Err(DecodeError::UnknownVersion { found: 2 }));
        let unknown = |found, offset| Err(DecodeError::UnknownKind { found, offset });
        assert_eq!(Command::decode(b"\x01\x63"), unknown(0x63, 1));
        assert_eq!(Command::decode(b"\x01\x05\x63"), unknown(0x63, 2));
    }

    #[test]
    fn a_claimed_length_of_4_gib_is_only_a_missing_byte() {
        let error = Command::decode(b"\x01\x03\xff\xff\xff\xff").unwrap_err();
        assert_eq!(error, DecodeError::Truncated { offset: 6, missing_bytes: 4 });
        let error = Command::decode(b"\x01\x01\xff\xff\xff\xffab").unwrap_err();
        assert_eq!(error, DecodeError::Truncated { offset: 6, missing_bytes: 0xffff_fffd });
    }
}
