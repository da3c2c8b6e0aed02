//! What may be done to the keys of one group, as values.
//!
//! A [`Query`] reads, a [`Command`] goes through the log, a [`Response`] is
//! what either yields. All are generic over who owns the bytes: a request
//! carries shares of the frame it came in, an entry being applied borrows from
//! the log, and neither copies.
//!
//! Not here: the bytes of a command in the log (`operation/codec.rs`), what it
//! does (`store.rs`), and the names clients call these by (`command.rs`).

pub(crate) mod codec;

use bytes::Bytes;

use crate::resp::writer::ReplyWriter;

/// A question about the keys of one group. Changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query<B> {
    /// The value of a key.
    Get {
        /// That key.
        key: B,
    },
    /// The values of keys, in order.
    MGet {
        /// Those keys.
        keys: Vec<B>,
    },
    /// How many of the keys exist; one named twice counts twice.
    Exists {
        /// Those keys.
        keys: Vec<B>,
    },
    /// How many keys there are.
    DbSize,
}

/// What is proposed to one group, to be applied on every member in log order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<B> {
    /// Gives a key a value, whatever it held before.
    Set {
        /// That key.
        key: B,
        /// Its value from now on.
        value: B,
    },
    /// Gives keys values, all at once; of a key named twice the last counts.
    MSet {
        /// Keys with their values.
        pairs: Vec<(B, B)>,
    },
    /// Removes keys.
    Del {
        /// Those keys.
        keys: Vec<B>,
    },
    /// Adds to the integer a key holds; a missing key holds 0.
    IncrBy {
        /// That key.
        key: B,
        /// What is added.
        by: i64,
    },
    /// Asks a question at exactly this place of the log: how a pipelined read
    /// sees the writes before it and none behind it (`pipeline.rs`).
    Query(Query<B>),
}

/// What a [`Query`] or [`Command`] yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Done; there is nothing to tell.
    Ok,
    /// A number.
    Integer(i64),
    /// A value, if there is one.
    Value(Option<Bytes>),
    /// Values in order, where there are any.
    Values(Vec<Option<Bytes>>),
    /// Nothing was changed, because the data doesn't allow it.
    Refused(DataError),
}

/// Why a command was applied without an effect. Alike on every member.
///
/// The text is the error line of Redis 7.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The value isn't an integer of 64 bits in decimal.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// The result would not fit 64 bits.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
}

impl Response {
    /// Payload bytes its reply will have, headers aside.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Ok | Self::Integer(_) | Self::Refused(_) => 0,
            Self::Value(value) => value.as_ref().map_or(0, Bytes::len),
            Self::Values(values) => values
                .iter()
                .flatten()
                .fold(0, |bytes: usize, value| bytes.saturating_add(value.len())),
        }
    }

    /// Writes this as the reply to the client.
    pub fn write(&self, writer: &mut ReplyWriter<'_>) {
        match self {
            Self::Ok => writer.simple(b"OK"),
            Self::Integer(value) => writer.integer(*value),
            Self::Value(value) => write_value(writer, value.as_ref()),
            Self::Values(values) => {
                writer.array(values.len());
                for value in values {
                    write_value(writer, value.as_ref());
                }
            }
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
