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
