//! One request's arguments: spans of one reference-counted frame.
//!
//! The frame is what arrived on the wire, untouched; nothing is copied. An
//! argument that outlives the request ([`Args::bytes`]) keeps the whole frame
//! alive, so whoever stores it for good copies it (`store.rs` does).

use bytes::Bytes;

/// Where one argument lies in the frame. 32 bits: a frame is far smaller
/// (`Limits::request_bytes_max`), and there may be a million of these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// `None` for what 32 bits can't address.
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Option<Self> {
        Some(Self { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
    }

    #[inline]
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        // Lossless: both came from a `usize` of this process.
        usize::try_from(self.start).unwrap_or_default()
            ..usize::try_from(self.end).unwrap_or_default()
    }
}

/// The arguments of one request, its name first. Never empty.
#[derive(Clone, Debug)]
pub struct Args {
    frame: Bytes,
    spans: Vec<Span>,
}

impl Args {
    /// `spans` must lie within `frame`, and there must be at least one.
    pub(crate) fn new(frame: Bytes, spans: Vec<Span>) -> Self {
        debug_assert!(!spans.is_empty(), "a request without a name");
        debug_assert!(
            spans.iter().all(|span| frame.get(span.range()).is_some()),
            "a span outside its frame"
        );
        Self { frame, spans }
    }

    /// The memory of the spans, empty, for another request.
    pub(crate) fn into_spans(mut self) -> Vec<Span> {
        self.spans.clear();
        self.spans
    }

    /// How many there are, the name included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a request without a name does not exist")]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Roughly what these arguments keep in memory as shares of their frame.
    pub(crate) fn held_bytes(&self) -> usize {
        self.frame.len().saturating_add(self.len().saturating_mul(size_of::<Bytes>()))
    }

    /// The command's name as the client wrote it.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.get(0).unwrap_or_default()
    }

    /// The argument at `position`; the name is at 0.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&[u8]> {
        let span = self.spans.get(position)?;
        self.frame.get(span.range())
    }

    /// The argument at `position` as a share of the frame, without a copy.
    #[must_use]
    pub fn bytes(&self, position: usize) -> Option<Bytes> {
        let span = self.spans.get(position)?;
        Some(self.frame.slice(span.range()))
    }

    /// All arguments from `position` on.
    pub fn iter_from(&self, position: usize) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().skip(position).filter_map(|span| self.frame.get(span.range()))
    }

    /// All arguments from `position` on, as shares of the frame.
    pub fn bytes_from(&self, position: usize) -> impl Iterator<Item = Bytes> {
        self.spans.iter().skip(position).map(|span| self.frame.slice(span.range()))
    }
}

impl PartialEq for Args {
    fn eq(&self, other: &Self) -> bool {
        self.iter_from(0).eq(other.iter_from(0))
    }
}

impl Eq for Args {}
