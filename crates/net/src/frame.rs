//! Frames: what a connection is cut into.
//!
//! ```text
//!  0  header checksum  u32  CRC-32C of bytes 4..16, seeded with the seal
//!  4  body checksum    u32  CRC-32C of the body, seeded with the seal
//!  8  length           u32  bytes of the body
//! 12  kind             u8   `FrameKind`
//! 13  reserved         3 x u8, 0
//! 16  body
//! ```
//!
//! The header has a checksum of its own so that a damaged length is noticed
//! before a byte of the body is waited for. It covers the body's checksum, so
//! together they cover every byte (rule 11).
//!
//! Invariants
//! - The [`FrameSeal`] of an established connection names the cluster, both
//!   ends with incarnation and run, the wire version and a nonce of each end:
//!   a frame of another connection, node or run is damaged here (D6).
//! - A frame that fails ends its connection; nothing is resynchronised.
//! - Memory follows the bytes that arrived, not the length that is claimed
//!   (rule 34, `frame/reader.rs`).
//!
//! Not here: bodies (`codec.rs`, `control.rs`, `handshake.rs`, `rollcall.rs`).

mod reader;

pub(crate) use reader::FrameReader;

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{LENGTH_BYTES, MESSAGE_BYTES_MAX};
use raftlet::core::crc32c;

/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 16;
/// Largest body. 8 MiB hold the largest message, which is twice the largest
/// entry; a turn that has more to say to one node takes a second frame.
pub const FRAME_BYTES_MAX: usize = 8 << 20;
const _: () = assert!(FRAME_BYTES_MAX >= HEADER_BYTES + LENGTH_BYTES + MESSAGE_BYTES_MAX);
/// Largest body of a frame that carries no messages. A roll call is the
/// largest of them: 64 members of at most 286 bytes.
pub(crate) const CONTROL_BYTES_MAX: usize = 32 << 10;
/// Largest body before a connection is established: what strangers may make
/// this node hold.
pub(crate) const HANDSHAKE_BYTES_MAX: usize = 4 << 10;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FrameKind {
    /// Dialler to acceptor: who I am, whom I want.
    Hello = 1,
    /// Acceptor to dialler: come in.
    Welcome = 2,
    /// Either way: why not.
    Refusal = 3,
    /// A batch of messages.
    Messages = 4,
    /// Are you there, and who turns here.
    Heartbeat = 5,
    /// The answer, on the answerer's own connection.
    HeartbeatReply = 6,
    /// Whom I have seen of the initial members (rule 5).
    RollCall = 7,
    /// Where my other doors are.
    Introduction = 8,
}

impl FrameKind {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Hello),
            2 => Some(Self::Welcome),
            3 => Some(Self::Refusal),
            4 => Some(Self::Messages),
            5 => Some(Self::Heartbeat),
            6 => Some(Self::HeartbeatReply),
            7 => Some(Self::RollCall),
            8 => Some(Self::Introduction),
            _ => None,
        }
    }

    const fn bytes_max(self) -> usize {
        match self {
            Self::Hello | Self::Welcome | Self::Refusal => HANDSHAKE_BYTES_MAX,
            Self::Messages => FRAME_BYTES_MAX,
            Self::Heartbeat | Self::HeartbeatReply | Self::RollCall | Self::Introduction => {
                CONTROL_BYTES_MAX
            }
        }
    }
}

/// One frame, its checksums verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    pub(crate) body: Bytes,
}

/// Why bytes are no frame of this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The header is not one written for this connection.
    #[error(
        "a frame's header fails its checksum: damaged on the way, of another connection, \
         or not from a raftlet node"
    )]
    Header,
    /// The body is not the one sent.
    #[error("a frame's body fails its checksum: damaged on the way")]
    Body,
    /// Longer than its kind may be.
    #[error("a frame of kind {kind} claims {bytes} bytes, {limit} are allowed")]
    Length {
        /// Its kind.
        kind: u8,
        /// What it claims.
        bytes: u32,
        /// What is allowed.
        limit: usize,
    },
    /// A kind or reserved byte that this version does not know.
    #[error("frame kind {kind} or its reserved bytes are unknown to this wire version")]
    Unknown {
        /// The kind.
        kind: u8,
    },
}

/// What the frames of one direction of one connection are sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameSeal(u32);

impl FrameSeal {
    /// The seal before a connection is established.
    pub(crate) const HANDSHAKE: Self = Self(SEED);

    /// A seal bound to all that `context` names.
    pub(crate) fn new(context: &[u8]) -> Self {
        Self(crc32c(SEED, context))
    }
}

/// Sets checksums of frames apart from those of entries and blocks.
const SEED: u32 = 0x6672_616d;

/// Starts a frame at the end of `into`: room for its header. The body follows
/// by appending; [`finish`] then fills the header in.
pub(crate) fn begin(into: &mut BytesMut) -> FrameStart {
    let start = into.len();
    into.put_bytes(0, HEADER_BYTES);
    FrameStart(start)
}

/// Where an unfinished frame starts.
#[derive(Debug)]
#[must_use = "a frame that is begun must be finished"]
pub(crate) struct FrameStart(usize);

impl FrameStart {
    /// Bytes of the body so far.
    pub(crate) fn body_bytes(&self, into: &BytesMut) -> usize {
        into.len().saturating_sub(self.0 + HEADER_BYTES)
    }
}

/// Fills in the header of the frame that ends where `into` ends.
///
/// # Panics
/// When the body is larger than its kind may be: writers bound it before.
pub(crate) fn finish(start: FrameStart, kind: FrameKind, seal: FrameSeal, into: &mut BytesMut) {
    let frame = into.get_mut(start.0..).expect("a frame was begun here");
    let (header, body) = frame.split_at_mut(HEADER_BYTES);
    assert!(body.len() <= kind.bytes_max(), "a frame above the limit of its kind");
    let (mut checksum, covered) = header.split_at_mut(4);
    let mut fields = &mut *covered;
    fields.put_u32_le(crc32c(seal.0, body));
    fields.put_u32_le(u32::try_from(body.len()).expect("FRAME_BYTES_MAX fits u32"));
    fields.put_u8(kind as u8);
    checksum.put_u32_le(crc32c(seal.0, covered));
}

/// Appends a whole frame whose body `write` appends.
pub(crate) fn put(
    kind: FrameKind,
    seal: FrameSeal,
    into: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut),
) {
    let start = begin(into);
    write(into);
    finish(start, kind, seal, into);
}

#[cfg(test)]
mod tests;
