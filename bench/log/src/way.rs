//! What is asked of every way to make entries durable.

use std::time::Duration;

/// Bytes of an entry's payload.
pub(crate) const PAYLOAD_BYTES: usize = 256;
/// What any format needs beside the payload: the floor writes as much.
pub(crate) const HEADER_BYTES: usize = 32;

/// One batch: how many entries, of how many groups in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) batch: usize,
    pub(crate) groups: u64,
}

/// Bytes that a way says it wrote, and how often it flushed; since it began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) bytes: u64,
    pub(crate) flushes: u64,
}

/// A way to make entries durable.
pub(crate) trait Way {
    fn name(&self) -> &'static str;

    /// A pause before a round, not measured: time for work in the background.
    fn rest(&mut self) {}

    /// Builds a batch, makes it durable, and tells how long that took.
    ///
    /// # Errors
    /// It was not made durable.
    fn write(&mut self) -> Result<Duration, String>;

    /// What it counts itself; `None` when it does not.
    fn told(&self) -> Option<Told> {
        None
    }
}

/// What entries carry: bytes that do not compress, other ones for each entry
/// of a batch.
#[derive(Debug)]
pub(crate) struct Payloads {
    pool: Vec<u8>,
    at: usize,
}

impl Payloads {
    /// Entries until bytes come again: more than the largest batch has.
    const LEN: usize = 4096;

    pub(crate) fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let words = Self::LEN * PAYLOAD_BYTES / 8;
        let word = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        Self { pool: (0..words).flat_map(word).collect(), at: 0 }
    }

    /// The next ones, as many as a batch has.
    pub(crate) fn next(&mut self, count: usize) -> impl Iterator<Item = &[u8]> + Clone {
        if self.at + count > Self::LEN {
            self.at = 0;
        }
        let first = self.at * PAYLOAD_BYTES;
        self.at += count;
        self.pool[first..].chunks_exact(PAYLOAD_BYTES).take(count)
    }
}

/// Where entries go next: groups take turns, each group's indexes ascend.
#[derive(Debug)]
pub(crate) struct Turns {
    point: Point,
    next_group: u64,
    last: Vec<u64>,
}

impl Turns {
    pub(crate) fn new(point: Point) -> Self {
        let groups = usize::try_from(point.groups).expect("they fit in memory");
        Self { point, next_group: 0, last: vec![0; groups] }
    }

    /// The batch's entries: group, first index, how many. A group of many gets
    /// one entry; a group alone gets all.
    pub(crate) fn next(&mut self) -> Vec<(u64, u64, usize)> {
        if self.point.groups == 1 {
            return vec![(1, self.take(0, self.point.batch), self.point.batch)];
        }
        let mut entries = Vec::with_capacity(self.point.batch);
        for _ in 0..self.point.batch {
            let group = self.next_group;
            self.next_group = (group + 1) % self.point.groups;
            entries.push((group + 1, self.take(group, 1), 1));
        }
        entries
    }

    fn take(&mut self, group: u64, count: usize) -> u64 {
        let last = &mut self.last[usize::try_from(group).expect("a group in memory")];
        let first = *last + 1;
        *last += count as u64;
        first
    }
}
