//! Frames that recovery read, for the replay that comes next.
//!
//! A start needs the log twice: recovery finds what is there, and when a leader
//! has told what is committed, the machines are given the entries behind their
//! snapshots. Between the two lies an election, so the first reading cannot apply
//! what it reads; but what it has read and verified is kept, and the second finds
//! it here instead of on the device.
//!
//! What is kept are the newest frames, up to a bound: behind a longer log the
//! older part is read again. A frame goes when as many bytes of entries were read
//! out of it as it has; and all go when as much was written since, so that
//! entries which nobody asks for, because a snapshot holds them or their group
//! does not run, are not kept for ever.
//!
//! Invariants
//! - A frame is kept as recovery read it: its blocks were verified, its bytes do
//!   not change, and its place is not written again under the same number. Each
//!   entry's own checksum is verified again when it is read out of it.
//! - Memory is bounded by [`LogOptions::replay_bytes_max`](crate::LogOptions).

use std::collections::VecDeque;

use crate::block::PAYLOAD_BYTES;
use crate::frame::Payload;
use crate::scan::Frame;
use crate::width::u64_from;

/// What a frame takes beside its payload.
const OVERHEAD_BYTES: u64 = size_of::<Kept>() as u64 + 32;

/// The newest frames of a log, in the order of it.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    frames: VecDeque<Kept>,
    /// What they take.
    bytes: u64,
    bytes_max: u64,
    /// Written since.
    written_bytes: u64,
}

#[derive(Debug)]
struct Kept {
    /// Segment and first block.
    at: (u64, u32),
    end: u32,
    payload: Payload,
    /// Of entries that nobody has read out of it yet.
    unread_bytes: u64,
}

impl Kept {
    /// A payload is gathered in as much memory as its blocks have.
    fn bytes(&self) -> u64 {
        let blocks = u64::from(self.end.saturating_sub(self.at.1));
        blocks * u64_from(PAYLOAD_BYTES) + OVERHEAD_BYTES
    }
}

impl Remembered {
    /// Nothing yet, and never more than so many bytes.
    pub(crate) fn up_to(bytes_max: u64) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// Keeps a frame of segment and block `at`, behind those before, in which
    /// `entries_bytes` of entries are.
    pub(crate) fn keep(&mut self, at: (u64, u32), frame: &Frame, entries_bytes: u64) {
        let (end, payload) = (frame.end, frame.payload.clone());
        let kept = Kept { at, end, payload, unread_bytes: entries_bytes };
        if entries_bytes == 0 || kept.bytes() > self.bytes_max {
            return;
        }
        debug_assert!(self.frames.back().is_none_or(|last| last.at < at), "frames out of order");
        self.bytes += kept.bytes();
        self.frames.push_back(kept);
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.frames.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    /// The frame at segment and block `at`, and the first block behind it.
    pub(crate) fn find(&self, at: (u64, u32)) -> Option<(Payload, u32)> {
        let kept = self.frames.get(self.place(at)?)?;
        Some((kept.payload.clone(), kept.end))
    }

    /// So many bytes of entries were read out of it.
    pub(crate) fn on_read(&mut self, at: (u64, u32), entries_bytes: u64) {
        let Some(place) = self.place(at) else {
            return;
        };
        let Some(kept) = self.frames.get_mut(place) else {
            return;
        };
        kept.unread_bytes = kept.unread_bytes.saturating_sub(entries_bytes);
        if kept.unread_bytes == 0
            && let Some(read) = self.frames.remove(place)
        {
            self.bytes -= read.bytes();
        }
    }

    /// So many bytes of new frames were written.
    pub(crate) fn on_written(&mut self, bytes: u64) {
        self.written_bytes = self.written_bytes.saturating_add(bytes);
        if self.written_bytes >= self.bytes {
            self.frames = VecDeque::new();
            self.bytes = 0;
        }
    }

    /// What is kept takes so many bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn place(&self, at: (u64, u32)) -> Option<usize> {
        self.frames.binary_search_by_key(&at, |kept| kept.at).ok()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{OVERHEAD_BYTES, Remembered};
    use crate::block::{Header, Kind, PAYLOAD_BYTES};
    use crate::frame::Payload;
    use crate::scan::Frame;

    /// A frame of two blocks at block `at`.
    fn frame(at: u32) -> Frame {
        let header = Header {
            kind: Kind::Frame,
            promise: 1,
            used: 2,
            stamp: 1,
            frame: u64::from(at),
            block: at,
            index: 0,
            blocks: 2,
        };
        let payload = Payload::parse(Bytes::from_static(&[0, 0])).unwrap();
        Frame { header, end: at + 2, payload }
    }

    /// What one takes.
    const BYTES: u64 = 2 * PAYLOAD_BYTES as u64 + OVERHEAD_BYTES;

    fn remembered(frames: u32, bytes_max: u64) -> Remembered {
        let mut remembered = Remembered::up_to(bytes_max);
        for at in (0..frames).map(|nth| 2 * nth) {
            remembered.keep((7, at), &frame(at), 100);
        }
        remembered
    }

    fn kept(remembered: &Remembered) -> Vec<u32> {
        (0..20).filter(|at| remembered.find((7, *at)).is_some()).collect()
    }

    #[test]
    fn the_newest_frames_are_kept_within_the_bound_and_none_without_one() {
        assert_eq!(kept(&remembered(6, 3 * BYTES)), [6, 8, 10]);
        assert_eq!(kept(&remembered(6, 4 * BYTES - 1)), [6, 8, 10]);
        assert_eq!(remembered(6, 3 * BYTES).bytes(), 3 * BYTES);
        assert_eq!(kept(&remembered(6, BYTES - 1)), []);
        assert_eq!(remembered(6, 0).bytes(), 0);
    }

    #[test]
    fn a_frame_goes_when_all_of_its_entries_were_read() {
        let mut remembered = remembered(3, 9 * BYTES);
        remembered.keep((7, 6), &frame(6), 0);
        assert_eq!(kept(&remembered), [0, 2, 4], "one without entries");
        remembered.on_read((7, 2), 60);
        assert_eq!(kept(&remembered), [0, 2, 4]);
        assert_eq!(remembered.find((7, 2)).map(|(_, end)| end), Some(4));
        remembered.on_read((7, 2), 60);
        remembered.on_read((7, 2), 60);
        remembered.on_read((8, 0), 100);
        assert_eq!(kept(&remembered), [0, 4]);
        assert_eq!(remembered.bytes(), 2 * BYTES);
    }

    #[test]
    fn all_go_when_as_much_was_written_since() {
        let mut remembered = remembered(3, 9 * BYTES);
        remembered.on_written(3 * BYTES - 1);
        assert_eq!(kept(&remembered), [0, 2, 4]);
        remembered.on_written(1);
        assert_eq!((kept(&remembered), remembered.bytes()), (vec![], 0));
    }
}
