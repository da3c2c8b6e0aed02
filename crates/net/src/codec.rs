//! Messages of the protocol as bytes, and back. Pure.
//!
//! A frame carries a batch; each message in it stands behind its length:
//!
//! ```text
//!  0  length      u32  bytes of the message that follows
//!  4  kind        u8   1 append .. 14 snapshot ack (`Kind`)
//!  5  reserved    3 x u8, 0
//!  8  group       u64
//! 16  generation  u64
//! 24  term        u64
//! 32  fields of the kind, see `docs/wire.md`
//! ```
//!
//! Invariants
//! - Encoding copies an entry's bytes once, into the outgoing buffer, and
//!   allocates nothing else.
//! - Decoding copies no entry and no command: they are slices of the received
//!   bytes, each entry verified against its position (rule 11). A slice keeps
//!   its whole receive block alive (`frame/reader.rs` says how large).
//! - Whatever the bytes are, decoding ends with a message or a [`MessageError`];
//!   nothing is allocated by a count or length that a peer claims (rule 34).
//! - No index or term beyond [`NUMBER_MAX`](raftlet::core::NUMBER_MAX) gets in
//!   (rule 24).
//!
//! Not here: frames and their checksums (`frame.rs`), whether a message makes
//! sense to its group (the core).

mod decode;
mod encode;
mod keep;
mod numbers;
mod snapshot;

pub use decode::{BatchReader, Receiver, decode_message};
pub use encode::{
    append_ack_to_batch, append_borrowed_to_batch, append_to_batch, encode_message, encoded_bytes,
};
pub use keep::{Keeper, Shared};

use crate::fields::Cut;
use raftlet::core::{ENTRY_BYTES_MAX, EntryError, Index};

/// Largest message. 8 MiB less room for a frame's header: twice the largest
/// entry, so that whatever a core may send fits.
pub const MESSAGE_BYTES_MAX: usize = (8 << 20) - 64;
const _: () = assert!(MESSAGE_BYTES_MAX >= ENTRY_BYTES_MAX + 4096);

/// Bytes in front of each message of a batch.
pub(crate) const LENGTH_BYTES: usize = 4;
/// Bytes of kind, group, generation and term.
pub(crate) const HEADER_BYTES: usize = 28;
/// Bytes of an append's fields before its chunks.
pub(crate) const APPEND_FIXED_BYTES: usize = 56;
/// Bytes of an ack's fields before what its outcome tells.
pub(crate) const ACK_FIXED_BYTES: usize = 48;
/// Bytes in front of the entries of each chunk.
pub(crate) const CHUNK_HEADER_BYTES: usize = 24;

/// Kinds of messages on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Append = 1,
    Ack = 2,
    VoteRequest = 3,
    VoteReply = 4,
    Probe = 5,
    NotLeader = 6,
    Read = 7,
    ReadReply = 8,
    Forward = 9,
    ForwardReply = 10,
    TakeOver = 11,
    Membership = 12,
    Snapshot = 13,
    SnapshotAck = 14,
    Checkpoint = 15,
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Append,
        Self::Ack,
        Self::VoteRequest,
        Self::VoteReply,
        Self::Probe,
        Self::NotLeader,
        Self::Read,
        Self::ReadReply,
        Self::Forward,
        Self::ForwardReply,
        Self::TakeOver,
        Self::Membership,
        Self::Snapshot,
        Self::SnapshotAck,
        Self::Checkpoint,
    ];

    pub(crate) const fn byte(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        let position = usize::from(byte).checked_sub(1)?;
        Self::ALL.get(position).copied()
    }
}

/// Why bytes are no message. The frame's checksum held, so the sender wrote
/// them so: its version or its memory is not what it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A message's length passes the end of its batch: what follows cannot be
    /// told apart, the connection must be closed.
    #[error("a message of a batch is longer than the rest of the batch")]
    Batch,
    /// The bytes end inside a field.
    #[error("a message ends inside its fields")]
    Cut,
    /// The bytes go on behind the last field.
    #[error("{bytes} bytes follow the last field of a message")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A kind that this version does not know.
    #[error("message kind {0} is unknown to this wire version; upgrade this node first")]
    Kind(u8),
    /// A value that this version does not know.
    #[error("field {field} holds {value}, unknown to this wire version")]
    Value {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// An index or term that nobody may use (rule 24).
    #[error("field {field} holds {value}, beyond the largest index and term")]
    Number {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// A length or count beyond the format's limit.
    #[error("field {field} is {value} long, beyond the format's limit")]
    Limit {
        /// Which field.
        field: &'static str,
        /// Its length.
        value: u64,
    },
    /// Bytes that say nothing about membership, or a set of members that is
    /// none.
    #[error("a message about membership is none that this wire version knows")]
    Membership,
    /// An address that is not UTF-8.
    #[error("the sender's address is not UTF-8")]
    Address,
    /// Chunks that do not follow one another.
    #[error("the chunks of an append leave a gap or fall in term at index {index}")]
    Gap {
        /// First index of the chunk that does not follow.
        index: Index,
    },
    /// An entry that is not what was proposed for its position.
    #[error("an append carries damaged entries")]
    Entries(#[from] EntryError),
}

impl From<Cut> for MessageError {
    fn from(_: Cut) -> Self {
        Self::Cut
    }
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
