//! A frame: what one device write makes durable, in whole blocks.
//!
//! Its payload is the payloads of its blocks put together:
//!
//! ```text
//! flags   u8      bit 0: more frames of the same batch follow
//! extent  varint  blocks of this file that were durably written (zeroed or
//!                 used) before this frame: the file is at least that long
//! records         a link in the first frame of a segment, an echo of the
//!                 frame before in every one, then what is new
//! ```
//!
//! A frame starts on a block, never spans segments, and is padded with zeros
//! under the checksum. [`Encoder`] puts records straight into block payloads,
//! so that a payload is copied once, into the buffer that the device reads.
//!
//! Invariants
//! - A batch is one frame, or several of which all but the last say that more
//!   follow: recovery takes all of a batch or nothing of it.
//! - No (stamp, frame number) is ever written twice with different content.

use bytes::Bytes;

use crate::block::{self, BLOCK_BYTES, HEADER_BYTES, Header, Kind, PAYLOAD_BYTES, PROMISE};
use crate::disk::buffer::Buffer;
use crate::record::walk::{Raw, Walk};
use crate::record::{Record, RecordError, Records};
use crate::varint::{self, FEW_BYTES, Short, VARINT_BYTES_MAX};
use crate::width::{u16_from, u32_from};

/// Blocks that a frame may have: 8 MiB, twice the largest entry.
pub(crate) const FRAME_BLOCKS_MAX: usize = 2048;
/// Bytes of records above which a batch becomes several frames (rule 28); one
/// larger entry has a frame to itself.
pub(crate) const FRAME_BYTES_SOFT: usize = 1 << 20;
/// More than flags and extent occupy.
pub(crate) const FRAME_OVERHEAD_BYTES: usize = 1 + VARINT_BYTES_MAX;

const FLAG_CONTINUED: u8 = 1;

/// Blocks that a payload of this many bytes needs.
pub(crate) fn blocks_for(payload_bytes: usize) -> usize {
    payload_bytes.div_ceil(PAYLOAD_BYTES).max(1)
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) stamp: u64,
    pub(crate) frame: u64,
    pub(crate) block: u32,
    /// Blocks of the file that are durably written already.
    pub(crate) extent: u32,
}

/// Puts bytes into the payloads of consecutive blocks.
#[derive(Debug)]
pub(crate) struct Encoder {
    buffer: Buffer,
    at: usize,
    blocks: usize,
}

impl Encoder {
    /// Starts a frame in a buffer whose capacity is enough for all of it.
    pub(crate) fn new(mut buffer: Buffer, extent: u32, is_continued: bool) -> Self {
        buffer.set_len(buffer.capacity());
        let mut encoder = Self { buffer, at: HEADER_BYTES, blocks: 1 };
        let mut head = Short::default();
        head.push(if is_continued { FLAG_CONTINUED } else { 0 });
        head.put(u64::from(extent));
        encoder.put(head.bytes());
        encoder
    }

    /// Appends bytes to the payload.
    ///
    /// # Panics
    /// Beyond the buffer's capacity.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if end > self.blocks * BLOCK_BYTES {
            return self.put_across(bytes);
        }
        self.buffer
            .bytes_mut()
            .get_mut(self.at..end)
            .expect("the buffer was made for the whole frame")
            .copy_from_slice(bytes);
        self.at = end;
    }

    /// Appends the head of a record and what follows it.
    ///
    /// # Panics
    /// Beyond the buffer's capacity.
    #[inline]
    pub(crate) fn put_record(&mut self, head: &Short, payload: &[u8]) {
        let head_bytes = head.bytes();
        let end = self.at + head_bytes.len() + payload.len();
        if end > self.blocks * BLOCK_BYTES {
            self.put_across(head_bytes);
            return self.put_across(payload);
        }
        let room = self
            .buffer
            .bytes_mut()
            .get_mut(self.at..end)
            .expect("the buffer was made for the whole frame");
        // What is copied behind a short head the payload is written over.
        match (head.few(), room.first_chunk_mut::<FEW_BYTES>()) {
            (Some(few), Some(place)) => *place = *few,
            _ => room.iter_mut().zip(head_bytes).for_each(|(place, byte)| *place = *byte),
        }
        room.split_at_mut(head_bytes.len()).1.copy_from_slice(payload);
        self.at = end;
    }

    /// Goes on in the next block, as often as it takes.
    fn put_across(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.at == self.blocks * BLOCK_BYTES {
                self.at += HEADER_BYTES;
                self.blocks += 1;
            }
            let room = self.blocks * BLOCK_BYTES - self.at;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer
                .bytes_mut()
                .get_mut(self.at..self.at + now.len())
                .expect("the buffer was made for the whole frame")
                .copy_from_slice(now);
            self.at += now.len();
            bytes = later;
        }
    }

    /// Pads, writes the block headers, and gives the frame's bytes.
    pub(crate) fn finish(mut self, place: &Place, kind: Kind) -> Buffer {
        assert!(self.blocks <= FRAME_BLOCKS_MAX, "a frame above the format's limit");
        let end = self.blocks * BLOCK_BYTES;
        self.buffer.set_len(end);
        let bytes = self.buffer.bytes_mut();
        bytes.get_mut(self.at..).expect("within the last block").fill(0);
        let mut payload_left = self.at - self.blocks * HEADER_BYTES;
        for (index, block) in bytes.chunks_exact_mut(BLOCK_BYTES).enumerate() {
            let used = payload_left.min(PAYLOAD_BYTES);
            payload_left -= used;
            let header = Header {
                kind,
                promise: PROMISE,
                used: u16_from(used),
                stamp: place.stamp,
                frame: place.frame,
                block: place.block + u32_from(index),
                index: u16_from(index),
                blocks: u16_from(self.blocks),
            };
            block::seal(block, &header);
        }
        self.buffer
    }
}

/// The payload of a frame, put together again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    bytes: Bytes,
    records_at: usize,
    /// Whether more frames of the batch follow.
    pub(crate) is_continued: bool,
    /// Blocks of the file that were durable before.
    pub(crate) extent: u32,
}

impl Payload {
    /// Reads flags and extent; `None` when they are not of this version.
    pub(crate) fn parse(bytes: Bytes) -> Option<Self> {
        let (flags, mut rest) = bytes.split_first()?;
        let is_continued = *flags & FLAG_CONTINUED != 0;
        if *flags & !FLAG_CONTINUED != 0 {
            return None;
        }
        let extent = u32::try_from(varint::take(&mut rest)?).ok()?;
        let records_at = bytes.len() - rest.len();
        Some(Self { records_at, is_continued, extent, bytes })
    }

    /// The records in order.
    pub(crate) fn records(&self) -> Records {
        Records::new(self.bytes.clone(), self.records_at)
    }

    /// The records in order, where they lie.
    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk::new(self.bytes.get(self.records_at..).unwrap_or_default())
    }

    /// A record that [`Self::walk`] came by.
    pub(crate) fn record(&self, raw: &Raw<'_>) -> Result<Record, RecordError> {
        Record::parse(raw, &self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Encoder, Payload, Place, blocks_for};
    use crate::block::{BLOCK_BYTES, Kind, PAYLOAD_BYTES, Verdict, judge, payload};
    use crate::disk::buffer::Buffer;

    const PLACE: Place = Place { stamp: 77, frame: 5, block: 9, extent: 256 };

    #[test]
    fn a_payload_of_any_length_comes_back_from_its_blocks() {
        for len in [0, 1, PAYLOAD_BYTES - 4, PAYLOAD_BYTES - 3, PAYLOAD_BYTES, 3 * PAYLOAD_BYTES] {
            let content: Vec<u8> = (0..=255).cycle().take(len).collect();
            let mut buffer = Buffer::zeroed(blocks_for(len + 11) * BLOCK_BYTES);
            buffer.bytes_mut().fill(0xaa);
            let mut encoder = Encoder::new(buffer, PLACE.extent, true);
            for part in content.chunks(1000) {
                encoder.put(part);
            }
            let buffer = encoder.finish(&PLACE, Kind::Frame);
            let blocks = buffer.len() / BLOCK_BYTES;
            assert_eq!(blocks, blocks_for(len + 3));
            let mut gathered = Vec::new();
            for (at, block) in (9..).zip(buffer.bytes().chunks(BLOCK_BYTES)) {
                let Verdict::Valid(header) = judge(block, PLACE.stamp, at) else {
                    panic!("block {at} of a frame just made");
                };
                assert_eq!(usize::from(header.blocks), blocks);
                assert_eq!(header.proves(), 4);
                gathered.extend_from_slice(payload(block, &header));
            }
            let parsed = Payload::parse(Bytes::from(gathered.clone())).unwrap();
            assert!(parsed.is_continued);
            assert_eq!(parsed.extent, 256);
            assert_eq!(&gathered[3..], &content[..]);
        }
    }

    #[test]
    fn unknown_flags_are_refused() {
        assert!(Payload::parse(Bytes::from_static(&[2, 0])).is_none());
        assert!(Payload::parse(Bytes::new()).is_none());
    }
}
