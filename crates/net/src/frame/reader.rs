//! Bytes as they arrive → frames.
//!
//! A block of memory receives many frames; bodies are slices of it, so that
//! entries are never copied on the way in. A block lives as long as anything
//! cut from it: a follower's log pins at most one block per chunk, in steady
//! state one block per 256 KiB of appends.
//!
//! Invariants
//! - Room is made for what has arrived plus one block, or, within a larger
//!   frame, for at most as much again as has arrived: a peer that claims 8 MiB
//!   and sends 100 bytes holds one block (rule 34).
//! - A frame is handed out whole, after both checksums held, or never.

use bytes::{Buf, Bytes, BytesMut};

use super::{Frame, FrameError, FrameKind, FrameSeal, HEADER_BYTES};
use crate::fields::{Cut, Fields};
use raftlet::core::crc32c;

/// Memory received into at once: an append of default size and some acks.
const BLOCK_BYTES: usize = 256 << 10;
/// The same before a connection is established: one hello.
const HANDSHAKE_BLOCK_BYTES: usize = 1 << 10;
/// Less room than this is not worth a system call.
const ROOM_BYTES_MIN: usize = 4 << 10;

/// Collects the bytes of one direction of one connection.
#[derive(Debug)]
pub(crate) struct FrameReader {
    buffer: BytesMut,
    seal: FrameSeal,
    block_bytes: usize,
    bytes_max: usize,
    /// The header in front, once its checksum held.
    header: Option<Header>,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    kind: FrameKind,
    body_bytes: usize,
    body_checksum: u32,
}

impl FrameReader {
    /// For a connection that is not established yet.
    pub(crate) fn for_handshake() -> Self {
        Self {
            buffer: BytesMut::new(),
            seal: FrameSeal::HANDSHAKE,
            block_bytes: HANDSHAKE_BLOCK_BYTES,
            bytes_max: super::HANDSHAKE_BYTES_MAX,
            header: None,
        }
    }

    /// From here on frames of every kind, sealed for this connection.
    pub(crate) fn establish(&mut self, seal: FrameSeal) {
        self.seal = seal;
        self.block_bytes = BLOCK_BYTES;
        self.bytes_max = super::FRAME_BYTES_MAX;
        self.header = None;
    }

    /// Where to read into; has room.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        let buffered = self.buffer.len();
        let frame = self.header.map_or(HEADER_BYTES, |header| HEADER_BYTES + header.body_bytes);
        let most = buffered.max(self.block_bytes);
        let least = ROOM_BYTES_MIN.min(self.block_bytes);
        let wanted = frame.saturating_sub(buffered).clamp(least, most);
        if self.buffer.capacity() - buffered < wanted && !self.buffer.try_reclaim(wanted) {
            let mut block = BytesMut::with_capacity((buffered + wanted).max(self.block_bytes));
            block.extend_from_slice(&self.buffer);
            self.buffer = block;
        }
        &mut self.buffer
    }

    /// The next whole frame, if it has arrived.
    ///
    /// # Errors
    /// [`FrameError`]: the connection cannot go on.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let header = match self.header {
            Some(header) => header,
            None => match self.read_header() {
                Ok(header) => *self.header.insert(header?),
                Err(Cut) => return Ok(None),
            },
        };
        let bytes = HEADER_BYTES + header.body_bytes;
        if self.buffer.len() < bytes {
            return Ok(None);
        }
        self.header = None;
        let mut body: Bytes = self.buffer.split_to(bytes).freeze();
        body.advance(HEADER_BYTES);
        if crc32c(self.seal.0, &body) != header.body_checksum {
            return Err(FrameError::Body);
        }
        Ok(Some(Frame { kind: header.kind, body }))
    }

    /// `Err(Cut)` while the header has not arrived.
    fn read_header(&self) -> Result<Result<Header, FrameError>, Cut> {
        let mut fields = Fields::new(&self.buffer);
        let mut header = Fields::new(fields.take(HEADER_BYTES)?);
        let checksum = header.u32()?;
        let covered = header.take(HEADER_BYTES - 4)?;
        if crc32c(self.seal.0, covered) != checksum {
            return Ok(Err(FrameError::Header));
        }
        let mut covered = Fields::new(covered);
        let body_checksum = covered.u32()?;
        let bytes = covered.u32()?;
        let byte = covered.u8()?;
        let is_reserved_nil = covered.take(3)?.iter().all(|byte| *byte == 0);
        let Some(kind) = FrameKind::from_byte(byte).filter(|_| is_reserved_nil) else {
            return Ok(Err(FrameError::Unknown { kind: byte }));
        };
        let limit = kind.bytes_max().min(self.bytes_max);
        match usize::try_from(bytes) {
            Ok(body_bytes) if body_bytes <= limit => {
                Ok(Ok(Header { kind, body_bytes, body_checksum }))
            }
            _ => Ok(Err(FrameError::Length { kind: byte, bytes, limit })),
        }
    }

    /// Bytes of memory held for what has not become a frame yet.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}
