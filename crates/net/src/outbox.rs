//! What waits to be written to one peer. Pure.
//!
//! `send` encodes a turn's messages at once, into one frame at the end of the
//! current segment; the writer takes whole segments, so everything that waits
//! goes out with one system call. Heartbeats have a lane of their own in front,
//! which keeps a backlog of appends from looking like death. Large messages have
//! one beside the small ones, a frame each, and parts of snapshots one behind
//! everything else: a small message waits for one of them at most. A frame that
//! is being written is not interrupted: the kernel's buffer holds as much.
//!
//! Invariants
//! - Bytes that wait or are being written never exceed the limit; what does not
//!   fit is dropped, message by message, and counted (rule 42). The protocol
//!   repairs.
//! - Messages of one group leave in their order, apart from parts of snapshots:
//!   an append that overtakes another costs a round trip and a window. So what
//!   follows a large message of its group waits behind it.
//! - Small messages do not starve large ones, nor these small ones.
//! - Without a connection nothing waits: a new one starts at a frame boundary
//!   and carries nothing sealed for the old.
//! - In steady state two buffers go back and forth; nothing is allocated.
//!
//! Not here: the socket (`dial.rs`).

use std::collections::VecDeque;
use std::mem;

use bytes::BytesMut;

use crate::codec::{LENGTH_BYTES, append_to_batch, encoded_bytes};
use crate::frame::{self, FRAME_BYTES_MAX, FrameKind, FrameSeal, FrameStart, HEADER_BYTES};
use crate::stats::PeerStats;
use raftlet::Incoming;
use raftlet::core::{Body, GroupId};

/// Messages above this have frames of their own, which those of other groups
/// overtake: a millisecond on a link of 64 MB/s.
const SMALL_BYTES_MAX: usize = 64 << 10;
/// Segments of small messages that leave in a row while a large one waits: as
/// much as the largest command by default.
const SMALL_SEGMENTS_MAX: u32 = 4;
/// A segment is full at this size: one write call's worth that does not keep a
/// heartbeat waiting for long.
const SEGMENT_BYTES: usize = 256 << 10;
/// A larger buffer is not kept for reuse.
const SPARE_BYTES_MAX: usize = 1 << 20;
/// One buffer fills while one is written.
const SPARES_MAX: usize = 2;
/// The lane of heartbeats and roll calls: two of the largest.
const CONTROL_LANE_BYTES_MAX: usize = 2 * (frame::CONTROL_BYTES_MAX + HEADER_BYTES);

/// Frames on their way to one peer.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes_max: usize,
    link: Option<Link>,
    control: BytesMut,
    segments: VecDeque<BytesMut>,
    /// Segments taken so far.
    taken: u64,
    /// Those of them since a large message left or began to wait.
    taken_in_a_row: u32,
    large: VecDeque<Large>,
    /// Frames of one snapshot part each.
    bulk: VecDeque<BytesMut>,
    spares: Vec<BytesMut>,
    /// Bytes in `segments`, `large` and `bulk` and in what is being written.
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    seal: FrameSeal,
    may_send: bool,
}

/// A large message of a group, or small ones that followed it.
#[derive(Debug)]
struct Large {
    group: GroupId,
    bytes: BytesMut,
    /// How many segments must be taken before: they may hold what its group said
    /// earlier.
    behind: u64,
    is_tail: bool,
}

/// Whole frames to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) bytes: BytesMut,
    is_control: bool,
}

/// The frame that a turn's messages go into.
struct Open {
    segment: BytesMut,
    frame: Option<FrameStart>,
    /// Length of the segment before this turn.
    start: usize,
}

impl Outbox {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            link: None,
            control: BytesMut::new(),
            segments: VecDeque::new(),
            taken: 0,
            taken_in_a_row: 0,
            large: VecDeque::new(),
            bulk: VecDeque::new(),
            spares: Vec::new(),
            bytes: 0,
        }
    }

    /// A connection is established. `may_send`: messages, not only heartbeats
    /// and the roll call.
    pub(crate) fn open(&mut self, seal: FrameSeal, may_send: bool) {
        self.close();
        self.link = Some(Link { seal, may_send });
    }

    /// The peer's standing changed.
    pub(crate) const fn set_may_send(&mut self, may_send: bool) {
        if let Some(link) = &mut self.link {
            link.may_send = may_send;
        }
    }

    /// The connection is gone, and with it what waited.
    pub(crate) fn close(&mut self) {
        self.link = None;
        self.control.clear();
        self.bulk.clear();
        self.large.clear();
        self.bytes = 0;
        while let Some(segment) = self.segments.pop_front() {
            self.keep(segment);
        }
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.link.is_some()
    }

    /// Bytes that wait or are being written.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Encodes a turn's messages and empties `messages`.
    pub(crate) fn push_messages(&mut self, messages: &mut Vec<Incoming>, stats: &mut PeerStats) {
        let Some(Link { seal, may_send: true }) = self.link else {
            stats.dropped_unconnected += u64::try_from(messages.len()).unwrap_or(u64::MAX);
            messages.clear();
            return;
        };
        let mut open = self.open_segment();
        for incoming in messages.drain(..) {
            let Some(bytes) = encoded_bytes(&incoming.message) else {
                stats.dropped_oversized += 1;
                continue;
            };
            if let Body::Snapshot(_) = incoming.message.body {
                self.push_bulk(&incoming, bytes, seal, stats);
                continue;
            }
            let needed = HEADER_BYTES + LENGTH_BYTES + bytes;
            if self.bytes + (open.segment.len() - open.start) + needed > self.bytes_max {
                stats.dropped_full += 1;
                continue;
            }
            if bytes > SMALL_BYTES_MAX || self.has_large(incoming.group) {
                let behind = count(self.segments.len() + usize::from(!open.segment.is_empty()));
                self.push_large(&incoming, bytes, (seal, behind), stats);
                continue;
            }
            open.push(&incoming, bytes, seal, stats);
        }
        open.finish(seal, stats);
        self.bytes += open.segment.len() - open.start;
        if open.segment.is_empty() {
            self.keep(open.segment);
        } else {
            self.segments.push_back(open.segment);
        }
    }

    fn has_large(&self, group: GroupId) -> bool {
        self.large.iter().any(|large| large.group == group)
    }

    /// A message that others may overtake, or one of its group that may not
    /// overtake it. `behind`: segments that wait at the moment.
    fn push_large(
        &mut self,
        incoming: &Incoming,
        bytes: usize,
        (seal, behind): (FrameSeal, u64),
        stats: &mut PeerStats,
    ) {
        let (group, is_tail) = (incoming.group, bytes <= SMALL_BYTES_MAX);
        let last = self.large.iter_mut().rfind(|large| large.group == group);
        let tail =
            last.filter(|last| is_tail && last.is_tail && last.bytes.len() + bytes < SEGMENT_BYTES);
        let segment = match tail {
            Some(tail) => &mut tail.bytes,
            None => {
                let needed = HEADER_BYTES + LENGTH_BYTES + bytes;
                let bytes = BytesMut::with_capacity(needed);
                let behind = self.taken + behind;
                self.large.push_back(Large { group, bytes, behind, is_tail });
                &mut self.large.back_mut().expect("pushed just now").bytes
            }
        };
        let start = segment.len();
        let mut open = Open { start, frame: None, segment: mem::take(segment) };
        open.push(incoming, bytes, seal, stats);
        open.finish(seal, stats);
        self.bytes += open.segment.len() - start;
        *segment = open.segment;
    }

    /// A part of a snapshot, in a frame of its own behind all others. Its sender
    /// repeats what does not fit.
    fn push_bulk(
        &mut self,
        incoming: &Incoming,
        bytes: usize,
        seal: FrameSeal,
        stats: &mut PeerStats,
    ) {
        let needed = HEADER_BYTES + LENGTH_BYTES + bytes;
        if self.bytes + needed > self.bytes_max / 2 {
            stats.dropped_full += 1;
            return;
        }
        let segment = BytesMut::with_capacity(needed);
        let mut open = Open { start: 0, frame: None, segment };
        open.push(incoming, bytes, seal, stats);
        open.finish(seal, stats);
        self.bytes += open.segment.len();
        self.bulk.push_back(open.segment);
    }

    /// Encodes a frame of the lane in front.
    pub(crate) fn push_control(
        &mut self,
        kind: FrameKind,
        stats: &mut PeerStats,
        write: impl FnOnce(&mut BytesMut),
    ) {
        let Some(Link { seal, .. }) = self.link else {
            return;
        };
        let before = self.control.len();
        frame::put(kind, seal, &mut self.control, write);
        if self.control.len() > CONTROL_LANE_BYTES_MAX {
            self.control.truncate(before);
            stats.dropped_control += 1;
            return;
        }
        stats.frames_sent += 1;
        stats.bytes_sent += count(self.control.len() - before);
    }

    /// What to write next; give it back when it is written.
    pub(crate) fn take(&mut self) -> Option<Segment> {
        if !self.control.is_empty() {
            return Some(Segment { bytes: mem::take(&mut self.control), is_control: true });
        }
        let bytes = if self.is_large_due() { self.take_large() } else { self.take_small() };
        let bytes = bytes.or_else(|| self.bulk.pop_front())?;
        Some(Segment { bytes, is_control: false })
    }

    fn is_large_due(&self) -> bool {
        let is_next =
            |large: &Large| large.behind <= self.taken && self.taken_in_a_row >= SMALL_SEGMENTS_MAX;
        self.segments.is_empty() || self.large.front().is_some_and(is_next)
    }

    fn take_large(&mut self) -> Option<BytesMut> {
        self.taken_in_a_row = 0;
        self.large.pop_front().map(|large| large.bytes)
    }

    fn take_small(&mut self) -> Option<BytesMut> {
        self.taken += 1;
        self.taken_in_a_row = if self.large.is_empty() { 0 } else { self.taken_in_a_row + 1 };
        self.segments.pop_front()
    }

    /// `segment` is written.
    pub(crate) fn give_back(&mut self, segment: Segment) {
        if !segment.is_control {
            self.bytes = self.bytes.saturating_sub(segment.bytes.len());
            self.keep(segment.bytes);
        }
    }

    fn open_segment(&mut self) -> Open {
        let last = self.segments.back();
        let segment = if last.is_some_and(|last| last.len() < SEGMENT_BYTES) {
            self.segments.pop_back().unwrap_or_default()
        } else {
            self.spares.pop().unwrap_or_default()
        };
        Open { start: segment.len(), segment, frame: None }
    }

    fn keep(&mut self, mut segment: BytesMut) {
        if self.spares.len() < SPARES_MAX && segment.capacity() <= SPARE_BYTES_MAX {
            segment.clear();
            self.spares.push(segment);
        }
    }
}

impl Open {
    fn push(&mut self, incoming: &Incoming, bytes: usize, seal: FrameSeal, stats: &mut PeerStats) {
        let is_full = |frame: &FrameStart| {
            frame.body_bytes(&self.segment) + LENGTH_BYTES + bytes > FRAME_BYTES_MAX
        };
        if self.frame.as_ref().is_some_and(is_full) {
            self.finish(seal, stats);
        }
        if self.frame.is_none() {
            self.frame = Some(frame::begin(&mut self.segment));
        }
        append_to_batch(incoming.group, &incoming.message, bytes, &mut self.segment);
        stats.messages_sent += 1;
    }

    fn finish(&mut self, seal: FrameSeal, stats: &mut PeerStats) {
        if let Some(start) = self.frame.take() {
            stats.frames_sent += 1;
            stats.bytes_sent += count(start.body_bytes(&self.segment) + HEADER_BYTES);
            frame::finish(start, FrameKind::Messages, seal, &mut self.segment);
        }
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
