//! The bytes of a command in a log entry, version 2. Little endian.
//!
//! ```text
//! command  u8 version = 2, then an operation
//! operation  u8 family, then by family:
//!    1 string      u8 kind, then as in codec/string.rs
//!    2 key         u8 kind, then as in codec/key.rs
//!    3 hash        as in codec/hash.rs
//!    4 list        as in codec/list.rs
//!    5 set         as in codec/set.rs
//!    6 sorted set  as in codec/sorted_set.rs
//!    7 sort        as in codec/sort.rs
//!   32 query       u8 family of the question, u8 question, then as there
//!   33 tick
//!   34 transaction  as in codec/transaction.rs
//!   35 seed        u64
//!   36 lock        u8 step, then as in codec/lock.rs
//! bytes    u32 n, n bytes
//! list     u32 n, n items
//! ```
//!
//! Families and kinds are never renumbered. From the first release on, a new
//! kind or field raises the version, so that an older node halts by name
//! instead of guessing (rule 45); until then an unknown kind does that.
//!
//! Invariants: decoding never panics and reserves nothing by a claimed length;
//! every byte belongs to the command, or it is refused.

pub(crate) mod collection;
pub(crate) mod hash;
pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod reader;
pub(crate) mod set;
pub(crate) mod sort;
pub(crate) mod sorted_set;
pub(crate) mod sorted_set_range;
#[cfg(test)]
mod sorted_set_samples;
pub(crate) mod string;
pub(crate) mod transaction;

use crate::operation::codec::reader::Reader;
use crate::operation::{Command, Query};

/// The one version this build writes and reads.
pub(crate) const VERSION: u8 = 2;

const STRING: u8 = 1;
const KEY: u8 = 2;
const HASH: u8 = 3;
const LIST: u8 = 4;
const SET: u8 = 5;
const SORTED_SET: u8 = 6;
const SORT: u8 = 7;
const QUERY: u8 = 32;
const TICK: u8 = 33;
const TRANSACTION: u8 = 34;
const SEED: u8 = 35;
const LOCK: u8 = 36;

/// Version, family, kind, and two lengths.
const SET_HEAD_BYTES: usize = 11;

/// Why the bytes of an entry are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Written by another version of raftlet.
    #[error(
        "commands of version {found} are unknown here, this build reads {VERSION}; {}",
        if *found > VERSION { "upgrade this node" } else { "start a new cluster, this one is from before the first release" }
    )]
    UnknownVersion {
        /// The version the entry claims.
        found: u8,
    },
    /// A family that the version doesn't have.
    #[error("command family {found} at byte {offset} is unknown here; upgrade this node")]
    UnknownFamily {
        /// The number found.
        found: u8,
        /// Where it stands.
        offset: usize,
    },
    /// A kind that its family doesn't have.
    #[error("command kind {found} at byte {offset} is unknown here; upgrade this node")]
    UnknownKind {
        /// The number found.
        found: u8,
        /// Where it stands.
        offset: usize,
    },
    /// A choice within a command that isn't one of those there are.
    #[error("option {found} at byte {offset} is unknown here; upgrade this node")]
    UnknownOption {
        /// The number found.
        found: u8,
        /// Where it stands.
        offset: usize,
    },
    /// A score that isn't a number.
    #[error("the score at byte {offset} is not a number; the entry is damaged")]
    NotANumber {
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

impl<B: AsRef<[u8]>> Command<B> {
    /// Appends the command's bytes.
    ///
    /// # Panics
    /// When a key, value or list is 4 GiB or longer, which no request within
    /// `Limits` can make.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        encode(self, out);
    }
}

/// Appends the bytes of [`StringCommand::Set`], the most frequent command.
pub(crate) fn encode_set(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.reserve(SET_HEAD_BYTES + key.len() + value.len());
    out.extend_from_slice(&[VERSION, STRING]);
    string::encode_set(&key, &value, out);
}

/// Key and value of a [`StringCommand::Set`]; `None` of all others, and of what
/// is no command.
pub(crate) fn decode_set(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [VERSION, STRING, rest @ ..] = bytes else {
        return None;
    };
    string::decode_set(rest)
}

/// Appends the bytes of [`Command::Query`].
pub(crate) fn encode_query<B: AsRef<[u8]>>(query: &Query<B>, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, QUERY]);
    encode_question(query, out);
}

impl<'a> Command<&'a [u8]> {
    /// Reads a command back; its keys and values borrow from `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`]: these are not the bytes of exactly one command.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.byte()?;
        if version != VERSION {
            return Err(DecodeError::UnknownVersion { found: version });
        }
        let command = decode(&mut reader)?;
        reader.end()?;
        Ok(command)
    }
}

/// Appends an operation: a command without its version.
pub(crate) fn encode<B: AsRef<[u8]>>(command: &Command<B>, out: &mut Vec<u8>) {
    match command {
        Command::String(command) => {
            out.push(STRING);
            string::encode_command(command, out);
        }
        Command::Key(command) => {
            out.push(KEY);
            key::encode_command(command, out);
        }
        Command::Hash(command) => {
            out.push(HASH);
            hash::encode_command(command, out);
        }
        Command::List(command) => {
            out.push(LIST);
            list::encode_command(command, out);
        }
        Command::Set(command) => {
            out.push(SET);
            set::encode_command(command, out);
        }
        Command::SortedSet(command) => {
            out.push(SORTED_SET);
            sorted_set::encode_command(command, out);
        }
        Command::Sort(command) => {
            out.push(SORT);
            sort::encode_command(command, out);
        }
        Command::Query(query) => {
            out.push(QUERY);
            encode_question(query, out);
        }
        Command::Tick => out.push(TICK),
        Command::Lock(command) => {
            out.push(LOCK);
            lock::encode(command, out);
        }
        Command::Transaction(transaction) => {
            out.push(TRANSACTION);
            transaction::encode(transaction, out);
        }
        Command::Seed(seed) => {
            out.push(SEED);
            reader::push_u64(out, *seed);
        }
    }
}

/// Reads an operation.
pub(crate) fn decode<'a>(reader: &mut Reader<'a>) -> Result<Command<&'a [u8]>, DecodeError> {
    if reader.next_is(TRANSACTION) {
        return Ok(Command::Transaction(Box::new(transaction::decode(reader)?)));
    }
    decode_single(reader)
}

/// Reads an operation that is no transaction.
fn decode_single<'a>(reader: &mut Reader<'a>) -> Result<Command<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    Ok(match reader.byte()? {
        STRING => Command::String(string::decode_command(reader)?),
        KEY => Command::Key(key::decode_command(reader)?),
        HASH => Command::Hash(hash::decode_command(reader)?),
        LIST => Command::List(list::decode_command(reader)?),
        SET => Command::Set(set::decode_command(reader)?),
        SORTED_SET => Command::SortedSet(sorted_set::decode_command(reader)?),
        SORT => Command::Sort(sort::decode_command(reader)?),
        QUERY => Command::Query(decode_query(reader)?),
        TICK => Command::Tick,
        SEED => Command::Seed(reader.u64()?),
        LOCK => Command::Lock(Box::new(lock::decode(reader)?)),
        found => return Err(DecodeError::UnknownFamily { found, offset }),
    })
}

fn encode_question<B: AsRef<[u8]>>(query: &Query<B>, out: &mut Vec<u8>) {
    match query {
        Query::String(query) => {
            out.push(STRING);
            string::encode_query(query, out);
        }
        Query::Key(query) => {
            out.push(KEY);
            key::encode_query(query, out);
        }
        Query::Hash(query) => {
            out.push(HASH);
            hash::encode_query(query, out);
        }
        Query::List(query) => {
            out.push(LIST);
            list::encode_query(query, out);
        }
        Query::Set(query) => {
            out.push(SET);
            set::encode_query(query, out);
        }
        Query::SortedSet(query) => {
            out.push(SORTED_SET);
            sorted_set::encode_query(query, out);
        }
        Query::Sort(query) => {
            out.push(SORT);
            sort::encode_query(query, out);
        }
    }
}

fn decode_query<'a>(reader: &mut Reader<'a>) -> Result<Query<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    Ok(match reader.byte()? {
        STRING => Query::String(string::decode_query(reader)?),
        KEY => Query::Key(key::decode_query(reader)?),
        HASH => Query::Hash(hash::decode_query(reader)?),
        LIST => Query::List(list::decode_query(reader)?),
        SET => Query::Set(set::decode_query(reader)?),
        SORTED_SET => Query::SortedSet(sorted_set::decode_query(reader)?),
        SORT => Query::Sort(sort::decode_query(reader)?),
        found => return Err(DecodeError::UnknownFamily { found, offset }),
    })
}

#[cfg(test)]
mod tests;
