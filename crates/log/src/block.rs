//! One block of 4 KiB: what every byte of a segment lies in.
//!
//! ```text
//!  0  checksum          u32  CRC-32C of bytes 4..4096
//!  4  kind              u8   1 segment header, 2 frame, 3 mark; 4.. reserved
//!  5  promise           u8   how many frames back everything is durable: 1
//!  6  used              u16  payload bytes that mean something; rest is zero
//!  8  stamp             u64  of the segment: directory, shard, number
//! 16  frame             u64  number of the frame, counted through the log
//! 24  block in segment  u32
//! 28  index in frame    u16
//! 30  blocks in frame   u16
//! 32  payload           4064 bytes
//! ```
//!
//! Little endian. The checksum finds damage, the stamp finds bytes of another
//! segment, directory or shard, the block number finds bytes of another place
//! (rule 26). No checksum runs on from block to block: one bad block says
//! nothing about the next.
//!
//! The promise is what tells a torn tail from damage. One write is in flight
//! at most, so a valid block of frame n proves that frame n − 1 was durable
//! whole before it was written.

use crate::width::u16_from;
use raftlet::core::crc32c;

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Bytes of its header.
pub(crate) const HEADER_BYTES: usize = 32;
/// Bytes of what it carries.
pub(crate) const PAYLOAD_BYTES: usize = BLOCK_BYTES - HEADER_BYTES;
/// With one write in flight, the frame before this one is durable.
pub(crate) const PROMISE: u8 = 1;

const BLANK: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
/// Sets block checksums apart from those of entries and wire frames.
const SEED: u32 = 0x626c_6f63;

/// What a block belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The head of a segment, in two copies.
    SegmentHeader,
    /// Records.
    Frame,
    /// Written behind the last frame when nothing follows for a while: proves
    /// that frame durable, as the next frame would.
    Mark,
    /// A later version's.
    Unknown(u8),
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::SegmentHeader => 1,
            Self::Frame => 2,
            Self::Mark => 3,
            Self::Unknown(byte) => byte,
        }
    }

    const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::SegmentHeader,
            2 => Self::Frame,
            3 => Self::Mark,
            other => Self::Unknown(other),
        }
    }
}

/// What stands in the first 32 bytes, except for the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) promise: u8,
    pub(crate) used: u16,
    pub(crate) stamp: u64,
    pub(crate) frame: u64,
    pub(crate) block: u32,
    pub(crate) index: u16,
    pub(crate) blocks: u16,
}

impl Header {
    /// The newest frame that this block proves to be durable.
    pub(crate) fn proves(&self) -> u64 {
        self.frame.saturating_sub(u64::from(self.promise))
    }
}

/// Writes header and checksum over the first 32 bytes of `block`; the payload
/// stands already, and zeros behind it, of which few are looked at.
///
/// # Panics
/// When `block` is not a block.
pub(crate) fn seal(block: &mut [u8], header: &Header) {
    assert!(block.len() == BLOCK_BYTES, "a block of another size");
    let mut bytes = [0; HEADER_BYTES];
    put(&mut bytes, 4, &[header.kind.byte(), header.promise]);
    put(&mut bytes, 6, &header.used.to_le_bytes());
    put(&mut bytes, 8, &header.stamp.to_le_bytes());
    put(&mut bytes, 16, &header.frame.to_le_bytes());
    put(&mut bytes, 24, &header.block.to_le_bytes());
    put(&mut bytes, 28, &header.index.to_le_bytes());
    put(&mut bytes, 30, &header.blocks.to_le_bytes());
    put(block, 0, &bytes);
    let padding = PAYLOAD_BYTES.saturating_sub(usize::from(header.used));
    let carried = padding - padding % zeros::UNIT_BYTES;
    let (covered, zeros) = block.split_at(BLOCK_BYTES - carried);
    debug_assert!(zeros.iter().all(|byte| *byte == 0), "what pads a block is not zero");
    let checksum = crc32c(SEED, covered.get(4..).expect("a block has a header"));
    put(block, 0, &zeros::carry(checksum, carried).to_le_bytes());
}

/// What a block turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Written for this place of this segment.
    Valid(Header),
    /// Never written: all zeros.
    Blank,
    /// A whole block of another segment, shard or directory.
    Stranger,
    /// A whole block of this segment, written for another place.
    Misplaced(Header),
    /// Neither: torn or damaged.
    Garbled,
    /// The device cannot give it back.
    Unreadable,
}

/// What a block is filled with that the device cannot give back: no block is.
pub(crate) const UNREADABLE_BYTE: u8 = 0xff;

/// Judges a block read from place `at` of the segment with this stamp.
pub(crate) fn judge(block: &[u8], stamp: u64, at: u32) -> Verdict {
    if block.len() != BLOCK_BYTES {
        return Verdict::Garbled;
    }
    let Some((checksum, covered)) = block.split_first_chunk::<4>() else {
        return Verdict::Garbled;
    };
    // No sealed block is all zeros: the checksum of zeros is not zero.
    if block == BLANK {
        return Verdict::Blank;
    }
    if crc32c(SEED, covered) != u32::from_le_bytes(*checksum) {
        return Verdict::Garbled;
    }
    let Some(header) = parse(block) else {
        return Verdict::Garbled;
    };
    if header.stamp != stamp {
        Verdict::Stranger
    } else if header.block != at {
        Verdict::Misplaced(header)
    } else {
        Verdict::Valid(header)
    }
}

/// The payload of a block whose header is known to be sound.
pub(crate) fn payload<'a>(block: &'a [u8], header: &Header) -> &'a [u8] {
    block.get(HEADER_BYTES..HEADER_BYTES + usize::from(header.used)).unwrap_or_default()
}

fn parse(block: &[u8]) -> Option<Header> {
    let header = Header {
        kind: Kind::from_byte(*block.get(4)?),
        promise: *block.get(5)?,
        used: u16::from_le_bytes(*block.get(6..)?.first_chunk()?),
        stamp: u64::from_le_bytes(*block.get(8..)?.first_chunk()?),
        frame: u64::from_le_bytes(*block.get(16..)?.first_chunk()?),
        block: u32::from_le_bytes(*block.get(24..)?.first_chunk()?),
        index: u16::from_le_bytes(*block.get(28..)?.first_chunk()?),
        blocks: u16::from_le_bytes(*block.get(30..)?.first_chunk()?),
    };
    (header.used <= u16_from(PAYLOAD_BYTES)).then_some(header)
}

fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    into.get_mut(at..at + bytes.len()).expect("within the header").copy_from_slice(bytes);
}

mod zeros;

#[cfg(test)]
mod tests {
    use super::{
        BLANK, BLOCK_BYTES, HEADER_BYTES, Header, Kind, PAYLOAD_BYTES, SEED, UNREADABLE_BYTE,
        Verdict, judge, payload, seal,
    };
    use crate::width::u16_from;
    use raftlet::core::crc32c;

    fn header() -> Header {
        Header {
            kind: Kind::Frame,
            promise: 1,
            used: 3,
            stamp: 0x1122_3344_5566_7788,
            frame: 9,
            block: 5,
            index: 0,
            blocks: 2,
        }
    }

    fn sealed() -> Vec<u8> {
        let mut block = vec![0; BLOCK_BYTES];
        block[32..35].copy_from_slice(b"abc");
        seal(&mut block, &header());
        block
    }

    #[test]
    fn a_block_comes_back_only_at_its_own_place_of_its_own_segment() {
        let block = sealed();
        assert_eq!(judge(&block, header().stamp, 5), Verdict::Valid(header()));
        assert_eq!(payload(&block, &header()), b"abc");
        assert_eq!(judge(&block, header().stamp, 6), Verdict::Misplaced(header()));
        assert_eq!(judge(&block, 1, 5), Verdict::Stranger);
        assert_eq!(judge(&BLANK, 1, 5), Verdict::Blank);
        assert_ne!(crc32c(SEED, &BLANK[4..]), 0);
        assert_eq!(judge(&[UNREADABLE_BYTE; BLOCK_BYTES], 1, 5), Verdict::Garbled);
    }

    #[test]
    fn a_block_with_any_padding_is_valid() {
        for used in 0..=PAYLOAD_BYTES {
            let mut block = vec![0; BLOCK_BYTES];
            block[HEADER_BYTES..HEADER_BYTES + used].fill(0xa5);
            let header = Header { used: u16_from(used), ..header() };
            seal(&mut block, &header);
            assert_eq!(judge(&block, header.stamp, 5), Verdict::Valid(header), "{used}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_block_is_found_padding_included() {
        let mut block = sealed();
        for at in 0..BLOCK_BYTES {
            let bit = 1 << (at % 8);
            block[at] ^= bit;
            assert_eq!(judge(&block, header().stamp, 5), Verdict::Garbled, "byte {at}");
            block[at] ^= bit;
        }
        assert_eq!(judge(&block[..4095], header().stamp, 5), Verdict::Garbled);
    }
}
