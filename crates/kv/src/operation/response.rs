//! What a query or command yields, and why it may have no effect.
//!
//! The frequent answers have a variant of their own and no allocation beyond
//! what they carry. Everything else is a [`Reply`], which knows both protocol
//! versions.

use bytes::Bytes;

use crate::resp::reply::Reply;
use crate::resp::writer::ReplyWriter;

/// Random picks that may repeat, in one reply: what would be the whole of a
/// collection of a million elements.
pub(crate) const PICKS_LEN_MAX: u64 = 1 << 20;

/// Bytes of elements copied into one reply: a connection's default limit on
/// replies, which would refuse more in any case, but only after the copying.
pub(crate) const ELEMENTS_BYTES_MAX: usize = 64 << 20;

/// What a [`crate::Query`] or [`crate::Command`] yields.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// Done; there is nothing to tell.
    Ok,
    /// A number.
    Integer(i64),
    /// A value, if there is one.
    Value(Option<Bytes>),
    /// Values in order, where there are any.
    Values(Vec<Option<Bytes>>),
    /// Versions of keys, in the order of the question; 0 of a key that isn't
    /// there.
    Versions(Vec<u64>),
    /// What the commands of a transaction yield; `None`: what was watched has
    /// changed, and nothing was executed.
    Executed(Option<Vec<Self>>),
    /// Whatever else there is to tell.
    Reply(Reply),
    /// Nothing was changed, because the data doesn't allow it.
    Refused(DataError),
}

/// Why a command was applied without an effect. Alike on every member.
///
/// The text is the error line of Redis 7.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The key holds a value of another type.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// The value isn't an integer of 64 bits in decimal.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// The result would not fit 64 bits.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// The value isn't a number in decimal.
    #[error("ERR value is not a valid float")]
    NotAFloat,
    /// The result would be longer than a string may be.
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    TooLong,
    /// A time to live that isn't positive, or too long.
    #[error("ERR invalid expire time in 'getex' command")]
    InvalidGetExExpiry,
    /// How often a key is used isn't counted, as in a Redis that doesn't evict.
    #[error(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note \
         that when switching between policies at runtime LRU and LFU data will take some time to \
         adjust."
    )]
    NoFrequency,
    /// One of the values isn't a string.
    #[error("ERR The specified keys must contain string values")]
    NotStrings,
    /// Two values are too long for their common subsequence to be sought.
    #[error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")]
    LcsTooLarge,
    /// The value of the field isn't an integer of 64 bits in decimal.
    #[error("ERR hash value is not an integer")]
    HashValueNotAnInteger,
    /// The value of the field isn't a number.
    #[error("ERR hash value is not a float")]
    HashValueNotAFloat,
    /// The result would be infinite, or no number.
    #[error("ERR increment would produce NaN or Infinity")]
    NotFinite,
    /// The score would be infinity less infinity.
    #[error("ERR resulting score is not a number (NaN)")]
    ScoreNotANumber,
    /// An element that is to be sorted by number is none.
    #[error("ERR One or more scores can't be converted into double")]
    SortNotANumber,
    /// The key has to be there, and isn't.
    #[error("ERR no such key")]
    NoSuchKey,
    /// The list has no such position.
    #[error("ERR index out of range")]
    IndexOutOfRange,
    /// More random picks than one reply may have.
    #[error("ERR at most {PICKS_LEN_MAX} elements are picked at once; ask several times")]
    TooManyPicks,
    /// The reply would take more memory than one may.
    #[error(
        "ERR the reply would have more than {ELEMENTS_BYTES_MAX} bytes; ask for fewer elements at once"
    )]
    TooManyBytes,
}

impl From<Reply> for Response {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<Result<Self, DataError>> for Response {
    fn from(result: Result<Self, DataError>) -> Self {
        result.unwrap_or_else(Self::Refused)
    }
}

impl Response {
    /// A number of things.
    pub(crate) fn count(len: usize) -> Self {
        Self::Integer(i64::try_from(len).unwrap_or(i64::MAX))
    }

    /// 1 for yes and 0 for no.
    pub(crate) fn yes_or_no(yes: bool) -> Self {
        Self::Integer(i64::from(yes))
    }

    /// Payload bytes its reply will have, headers aside.
    #[must_use]
    #[inline]
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Ok | Self::Integer(_) => 0,
            Self::Value(value) => value.as_ref().map_or(0, Bytes::len),
            other => other.payload_bytes_of_rare(),
        }
    }

    fn payload_bytes_of_rare(&self) -> usize {
        match self {
            Self::Ok | Self::Integer(_) | Self::Versions(_) | Self::Refused(_) => 0,
            Self::Executed(responses) => {
                let responses = responses.iter().flatten();
                responses.fold(0, |bytes: usize, it| bytes.saturating_add(it.payload_bytes()))
            }
            Self::Value(value) => value.as_ref().map_or(0, Bytes::len),
            Self::Values(values) => values
                .iter()
                .flatten()
                .fold(0, |bytes: usize, value| bytes.saturating_add(value.len())),
            Self::Reply(reply) => reply.payload_bytes(),
        }
    }

    /// Writes this as the reply to the client.
    pub fn write(&self, writer: &mut ReplyWriter<'_>) {
        match self {
            Self::Ok => writer.ok(),
            Self::Integer(value) => writer.integer(*value),
            Self::Value(value) => write_value(writer, value.as_ref()),
            Self::Values(values) => {
                writer.array(values.len());
                for value in values {
                    write_value(writer, value.as_ref());
                }
            }
            Self::Versions(versions) => {
                writer.array(versions.len());
                for version in versions {
                    writer.integer(i64::try_from(*version).unwrap_or(i64::MAX));
                }
            }
            Self::Executed(None) => writer.null_array(),
            Self::Executed(Some(responses)) => {
                writer.array(responses.len());
                for response in responses {
                    response.write(writer);
                }
            }
            Self::Reply(reply) => writer.reply(reply),
            Self::Refused(error) => writer.error(error.to_string().as_bytes()),
        }
    }
}

fn write_value(writer: &mut ReplyWriter<'_>, value: Option<&Bytes>) {
    match value {
        Some(value) => writer.bulk(value),
        None => writer.null(),
    }
}
