//! How entries, commands and parts of snapshots outlive the bytes that they came
//! in.

use bytes::Bytes;

use raftlet::core::Arena;

/// How what messages carry outlives the bytes that they came in.
pub trait Keeper {
    /// Keeps a part of those bytes.
    fn keep(&mut self, part: &[u8]) -> Bytes;
}

/// The bytes stay as they are, as long as a part of them is needed.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a>(&'a Bytes);

impl<'a> Shared<'a> {
    #[inline]
    pub(super) const fn new(bytes: &'a Bytes) -> Self {
        Self(bytes)
    }
}

impl Keeper for Shared<'_> {
    #[inline]
    fn keep(&mut self, part: &[u8]) -> Bytes {
        self.0.slice_ref(part)
    }
}

/// Parts are copied, so that the rest can be overwritten at once: for small
/// messages that is cheaper than to count who still needs the whole.
impl Keeper for &mut Arena {
    #[inline]
    fn keep(&mut self, part: &[u8]) -> Bytes {
        self.copy(part)
    }
}
