//! A reply as a value, the same for both protocol versions.
//!
//! The server builds one where speed doesn't matter and writes hot replies
//! straight with `writer.rs`; [`crate::ReplyParser`] makes one of what a
//! server sent. Which bytes a variant becomes is `writer.rs`'s business: in
//! RESP2 a map is an array of twice the length, as are pairs, a set an array, a
//! double and a verbatim text a bulk string, a boolean an integer.

use bytes::Bytes;

/// One reply, or one part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A short text without line breaks, such as `OK`.
    Simple(Bytes),
    /// An error: prefix, blank, text. Line breaks in it are sent as blanks.
    Error(Bytes),
    /// A whole number.
    Integer(i64),
    /// A string of any bytes.
    Bulk(Bytes),
    /// Nothing where a string could be.
    Null,
    /// Nothing where an array could be. RESP3 has one null for both.
    NullArray,
    /// Replies in order.
    Array(Vec<Self>),
    /// Pairs in order.
    Map(Vec<(Self, Self)>),
    /// Pairs in order, each an array of two; in RESP2 one array of all parts.
    Pairs(Vec<(Self, Self)>),
    /// Replies whose order means nothing.
    Set(Vec<Self>),
    /// A number that need not be whole.
    Double(f64),
    /// Yes or no.
    Boolean(bool),
    /// Plain text for people, such as `INFO`'s.
    Verbatim(Bytes),
    /// Sent without a request. Only ever written to RESP3 connections.
    Push(Vec<Self>),
}

impl Reply {
    /// `+OK`.
    pub const OK: Self = Self::Simple(Bytes::from_static(b"OK"));

    /// A bulk string of static text.
    #[must_use]
    pub const fn bulk_static(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }

    /// A simple string of static text.
    #[must_use]
    pub const fn simple_static(text: &'static str) -> Self {
        Self::Simple(Bytes::from_static(text.as_bytes()))
    }

    /// An error of `text`.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self::Error(Bytes::from(text.into()))
    }

    /// Roughly what this keeps in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        let parts = |parts: &[Self]| parts.iter().map(Self::held_bytes).sum::<usize>();
        let content = match self {
            Self::Simple(bytes)
            | Self::Error(bytes)
            | Self::Bulk(bytes)
            | Self::Verbatim(bytes) => bytes.len(),
            Self::Array(replies) | Self::Set(replies) | Self::Push(replies) => parts(replies),
            Self::Map(pairs) | Self::Pairs(pairs) => {
                pairs.iter().map(|(key, value)| key.held_bytes() + value.held_bytes()).sum()
            }
            Self::Integer(_)
            | Self::Null
            | Self::NullArray
            | Self::Double(_)
            | Self::Boolean(_) => 0,
        };
        size_of::<Self>() + content
    }

    /// Bytes of the strings in it.
    pub(crate) fn payload_bytes(&self) -> usize {
        let of_all = |parts: &[Self]| parts.iter().map(Self::payload_bytes).sum();
        match self {
            Self::Bulk(bytes) | Self::Verbatim(bytes) => bytes.len(),
            Self::Array(parts) | Self::Set(parts) | Self::Push(parts) => of_all(parts),
            Self::Map(pairs) | Self::Pairs(pairs) => {
                pairs.iter().map(|(left, right)| left.payload_bytes() + right.payload_bytes()).sum()
            }
            Self::Simple(_)
            | Self::Error(_)
            | Self::Integer(_)
            | Self::Null
            | Self::NullArray
            | Self::Double(_)
            | Self::Boolean(_) => 0,
        }
    }

    /// Whether this is an error reply.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}
