//! Cuts requests out of the bytes a client sent.
//!
//! The caller appends to a `BytesMut` as bytes arrive and calls
//! [`RequestParser::next_request`] until it says `None`. A request is handed
//! out as one frame split off that buffer, its arguments as spans of it.
//!
//! Invariants
//! - The result depends on the bytes only, never on how they were split.
//! - Nothing is reserved by a length the client claims: the parser keeps one
//!   span per argument that has wholly arrived, and refuses a length over its
//!   limit as soon as the line that claims it is complete.
//! - No byte is looked at twice, up to a constant: progress inside a request
//!   is remembered.
//!
//! Nearly all requests have wholly arrived when they are looked at, with
//! lengths in the usual form: those are read in one pass
//! ([`RequestParser::take_whole`]). Whatever is unusual, cut off or over a limit
//! is left to the long way, which alone decides about it.
//!
//! Faithful to Redis 7.0 down to its leniencies: a length line ends at the
//! first carriage return and the byte after that is skipped unseen, as are the
//! two bytes behind a bulk string.
//!
//! Not here: what the arguments mean (`command.rs`).

use bytes::{Buf, Bytes, BytesMut};

use crate::decimal;
use crate::limits::Limits;
use crate::resp::args::{Args, Span};
use crate::resp::inline;
use crate::resp::reply::Reply;

/// Bytes of one argument that Redis takes: above, a length is no length.
const REDIS_BULK_BYTES_MAX: usize = 512 << 20;

/// Why a connection's input can't be read any further.
///
/// The text is the error line Redis 7.0 answers with; the connection closes
/// after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The count behind `*` is no number, or above `Limits::args_len_max`.
    #[error("ERR Protocol error: invalid multibulk length")]
    InvalidMultibulkLength,
    /// The length behind `$` is no number, negative, or above what Redis takes.
    #[error("ERR Protocol error: invalid bulk length")]
    InvalidBulkLength,
    /// More arguments than a client may send before it has authenticated.
    #[error("ERR Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// A longer argument than a client may send before it has authenticated.
    #[error("ERR Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// An argument does not start with `$`. Line breaks show as blanks.
    #[error("ERR Protocol error: expected '$', got '{}'", printable(*.0))]
    ExpectedBulk(u8),
    /// Quotes of an inline request don't close.
    #[error("ERR Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// An inline request is longer than `Limits::inline_bytes_max`.
    #[error("ERR Protocol error: too big inline request")]
    TooBigInlineRequest,
    /// A `*` line is longer than `Limits::inline_bytes_max`.
    #[error("ERR Protocol error: too big mbulk count string")]
    TooBigCountLine,
    /// A `$` line is longer than `Limits::inline_bytes_max`.
    #[error("ERR Protocol error: too big bulk count string")]
    TooBigBulkLine,
    /// The whole request is longer than `Limits::request_bytes_max`, or one
    /// argument than `Limits::bulk_bytes_max`. Not a text of Redis, which
    /// allows more.
    #[error("ERR Protocol error: request is bigger than this node's limit on request bytes")]
    TooBigRequest,
}

impl ProtocolError {
    /// The error reply to close the connection with.
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            // As it was sent, where the text would spell it in UTF-8.
            Self::ExpectedBulk(byte) => Reply::Error(
                [&b"ERR Protocol error: expected '$', got '"[..], &[byte], b"'"].concat().into(),
            ),
            other => Reply::error(other.to_string()),
        }
    }
}

fn printable(byte: u8) -> char {
    match byte {
        b'\r' | b'\n' => ' ',
        _ => char::from(byte),
    }
}

/// The incremental parser of one connection's requests.
#[derive(Debug)]
pub struct RequestParser {
    limits: Limits,
    /// The client has not authenticated: its limits are not the node's, and
    /// are told so.
    is_confined: bool,
    /// The request being gathered, if its first line is complete.
    partial: Option<Partial>,
    /// Bytes of the current line already searched for its end.
    searched_bytes: usize,
    failed: Option<ProtocolError>,
    /// Memory for the next request's arguments.
    spare: Vec<Span>,
}

/// Room for arguments that a connection keeps between requests: those of most.
const SPANS_KEPT: usize = 64;

/// A request whose first line has arrived. Positions count from its start.
#[derive(Debug)]
struct Partial {
    spans: Vec<Span>,
    missing_len: usize,
    /// Where the next unread line or bulk string starts.
    position: usize,
    /// Length of the bulk string that starts at `position`, if known.
    bulk_bytes: Option<usize>,
}

impl RequestParser {
    /// A parser for a new connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            is_confined: false,
            partial: None,
            searched_bytes: 0,
            failed: None,
            spare: Vec::new(),
        }
    }

    /// Whether the next byte of the input begins a request, as far as is known.
    #[inline]
    pub(crate) fn is_between_requests(&self) -> bool {
        self.partial.is_none() && self.searched_bytes == 0 && self.failed.is_none()
    }

    /// Takes back the memory of a request that was dealt with.
    pub(crate) fn reuse(&mut self, args: Args) {
        let spans = args.into_spans();
        if spans.capacity() <= SPANS_KEPT {
            self.spare = spans;
        }
    }

    /// Changes the limits for what has not been read yet. `is_confined`: they
    /// are those of a client that has not authenticated.
    pub(crate) fn set_limits(&mut self, limits: Limits, is_confined: bool) {
        self.limits = limits;
        self.is_confined = is_confined;
    }

    /// What is kept of a request that has not wholly arrived, its bytes apart.
    pub(crate) fn held_bytes(&self) -> usize {
        let spans = self.partial.as_ref().map_or(0, |partial| partial.spans.capacity());
        spans.saturating_mul(size_of::<Span>())
    }

    /// The next complete request at the front of `input`, which is removed
    /// from it; `None` if more bytes are needed. Empty requests are skipped.
    ///
    /// Between calls `input` may only be appended to.
    ///
    /// # Errors
    /// [`ProtocolError`]: the input makes no sense from here on. All later
    /// calls return the same error.
    pub fn next_request(&mut self, input: &mut BytesMut) -> Result<Option<Args>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.advance(input);
        if let Err(error) = result {
            self.failed = Some(error);
        }
        result
    }

    fn advance(&mut self, input: &mut BytesMut) -> Result<Option<Args>, ProtocolError> {
        loop {
            if self.partial.is_some() {
                return self.advance_multibulk(input);
            }
            match input.first() {
                None => return Ok(None),
                Some(b'*') => {
                    if let Some(args) = self.take_whole(input) {
                        return Ok(Some(args));
                    }
                    if !self.begin_multibulk(input)? {
                        return Ok(None);
                    }
                }
                Some(_) => {
                    let Some(line) = self.take_inline(input)? else {
                        return Ok(None);
                    };
                    match inline::split(&line) {
                        Ok(None) => {}
                        Ok(Some(args)) if args.len() > self.limits.args_len_max => {
                            return Err(self.too_many_args());
                        }
                        Ok(args) => return Ok(args),
                        Err(inline::UnbalancedQuotes) => {
                            return Err(ProtocolError::UnbalancedQuotes);
                        }
                    }
                }
            }
        }
    }

    /// Takes a request of the usual form that has wholly arrived. `None`, and
    /// nothing changed, where there is anything to say about it.
    fn take_whole(&mut self, input: &mut BytesMut) -> Option<Args> {
        let mut spans = std::mem::take(&mut self.spare);
        let Some(request_bytes) = read_whole(input, &self.limits, &mut spans) else {
            spans.clear();
            self.spare = spans;
            return None;
        };
        self.searched_bytes = 0;
        Some(Args::new(input.split_to(request_bytes).freeze(), spans))
    }

    fn too_many_args(&self) -> ProtocolError {
        if self.is_confined {
            ProtocolError::UnauthenticatedMultibulkLength
        } else {
            ProtocolError::InvalidMultibulkLength
        }
    }

    /// Whether the input ended for its size, not for what it says.
    pub(crate) fn is_too_big(error: ProtocolError) -> bool {
        matches!(
            error,
            ProtocolError::UnauthenticatedMultibulkLength
                | ProtocolError::UnauthenticatedBulkLength
                | ProtocolError::TooBigInlineRequest
                | ProtocolError::TooBigCountLine
                | ProtocolError::TooBigBulkLine
                | ProtocolError::TooBigRequest
        )
    }

    /// Takes the line that starts a request apart. False: it isn't complete.
    fn begin_multibulk(&mut self, input: &mut BytesMut) -> Result<bool, ProtocolError> {
        let too_long = ProtocolError::TooBigCountLine;
        let Some(line_bytes) = self.find_line(input, 0, too_long)? else {
            return Ok(false);
        };
        let count = input
            .get(1..line_bytes)
            .and_then(decimal::parse_i64)
            .ok_or(ProtocolError::InvalidMultibulkLength)?;
        let position = line_bytes.saturating_add(2);
        if count <= 0 {
            input.advance(position);
            return Ok(true);
        }
        let missing_len = usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.limits.args_len_max)
            .ok_or_else(|| self.too_many_args())?;
        let spans = std::mem::take(&mut self.spare);
        self.partial = Some(Partial { spans, missing_len, position, bulk_bytes: None });
        Ok(true)
    }

    fn advance_multibulk(&mut self, input: &mut BytesMut) -> Result<Option<Args>, ProtocolError> {
        // Taken out and put back where more input is needed: one owner.
        let Some(mut partial) = self.partial.take() else {
            return Ok(None);
        };
        while partial.missing_len > 0 {
            if !self.advance_bulk(input, &mut partial)? {
                self.partial = Some(partial);
                return Ok(None);
            }
        }
        let frame = input.split_to(partial.position).freeze();
        Ok(Some(Args::new(frame, partial.spans)))
    }

    /// Reads one argument. False: it isn't complete.
    fn advance_bulk(
        &mut self,
        input: &BytesMut,
        partial: &mut Partial,
    ) -> Result<bool, ProtocolError> {
        let bulk_bytes = match partial.bulk_bytes {
            Some(bulk_bytes) => bulk_bytes,
            None => {
                let Some(bulk_bytes) = self.read_bulk_header(input, partial)? else {
                    return Ok(false);
                };
                bulk_bytes
            }
        };
        // None of these sums wraps: both are bounded by `request_bytes_max`.
        let end = partial.position.saturating_add(bulk_bytes);
        let next = end.saturating_add(2);
        if input.len() < next {
            return Ok(false);
        }
        let span = Span::new(partial.position, end).ok_or(ProtocolError::TooBigRequest)?;
        partial.spans.push(span);
        partial.missing_len -= 1;
        partial.position = next;
        partial.bulk_bytes = None;
        Ok(true)
    }

    fn read_bulk_header(
        &mut self,
        input: &BytesMut,
        partial: &mut Partial,
    ) -> Result<Option<usize>, ProtocolError> {
        let start = partial.position;
        let too_long = ProtocolError::TooBigBulkLine;
        let Some(line_bytes) = self.find_line(input, start, too_long)? else {
            return Ok(None);
        };
        let line_end = start.saturating_add(line_bytes);
        let digits = match input.get(start..line_end) {
            Some([b'$', digits @ ..]) => digits,
            Some([other, ..]) => return Err(ProtocolError::ExpectedBulk(*other)),
            // An empty line: what stands there is its own end.
            _ => return Err(ProtocolError::ExpectedBulk(b'\r')),
        };
        let bulk_bytes = decimal::parse_u64(digits)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .filter(|bytes| *bytes <= REDIS_BULK_BYTES_MAX)
            .ok_or(ProtocolError::InvalidBulkLength)?;
        if bulk_bytes > self.limits.bulk_bytes_max && self.is_confined {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        if bulk_bytes > self.limits.bulk_bytes_max {
            return Err(ProtocolError::TooBigRequest);
        }
        partial.position = line_end.saturating_add(2);
        let request_bytes = partial.position.saturating_add(bulk_bytes).saturating_add(2);
        if request_bytes > self.limits.request_bytes_max {
            return Err(ProtocolError::TooBigRequest);
        }
        partial.bulk_bytes = Some(bulk_bytes);
        Ok(Some(bulk_bytes))
    }

    /// Bytes from `start` to the carriage return that ends the line there, if
    /// that and the byte after it have arrived.
    fn find_line(
        &mut self,
        input: &BytesMut,
        start: usize,
        too_long: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let Some(line_bytes) = self.find(input, start, b'\r', too_long)? else {
            return Ok(None);
        };
        let complete = input.len() >= start.saturating_add(line_bytes).saturating_add(2);
        if complete {
            self.searched_bytes = 0;
        }
        Ok(complete.then_some(line_bytes))
    }

    /// Takes one inline request, without its line end, off the input.
    fn take_inline(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, ProtocolError> {
        let too_long = ProtocolError::TooBigInlineRequest;
        let Some(line_bytes) = self.find(input, 0, b'\n', too_long)? else {
            return Ok(None);
        };
        self.searched_bytes = 0;
        let mut line = input.split_to(line_bytes).freeze();
        input.advance(1);
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Ok(Some(line))
    }

    /// Offset of the first `end` at or after `start`, relative to `start`.
    fn find(
        &mut self,
        input: &BytesMut,
        start: usize,
        end: u8,
        too_long: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let line = input.get(start..).unwrap_or_default();
        let unsearched = line.get(self.searched_bytes..).unwrap_or_default();
        let found = unsearched.iter().position(|byte| *byte == end);
        self.searched_bytes = match found {
            Some(offset) => self.searched_bytes.saturating_add(offset),
            None => line.len(),
        };
        if self.searched_bytes > self.limits.inline_bytes_max {
            return Err(too_long);
        }
        Ok(found.map(|_| self.searched_bytes))
    }
}

/// Digits of a length that is read in one pass.
const USUAL_DIGITS_MAX: usize = 7;

/// Where the arguments lie in a request of the usual form, and its bytes;
/// `None` if it is not wholly there, or anything about it is unusual.
fn read_whole(input: &[u8], limits: &Limits, spans: &mut Vec<Span>) -> Option<usize> {
    let (len, mut position) = read_length(input, 0, b'*')?;
    let is_usual =
        (1..=limits.args_len_max).contains(&len) && limits.inline_bytes_max > USUAL_DIGITS_MAX;
    if !is_usual {
        return None;
    }
    for _ in 0..len {
        let (bulk_bytes, start) = read_length(input, position, b'$')?;
        let end = start + bulk_bytes;
        position = end + 2;
        if bulk_bytes > limits.bulk_bytes_max || position > input.len() {
            return None;
        }
        spans.push(Span::new(start, end)?);
    }
    (position <= limits.request_bytes_max).then_some(position)
}

/// The number behind `kind` on the line at `position`, and where the next line
/// starts. A line's end is a carriage return and any byte.
#[inline]
fn read_length(input: &[u8], position: usize, kind: u8) -> Option<(usize, usize)> {
    let line = input.get(position..)?;
    let digit = |byte: u8| usize::from(byte.wrapping_sub(b'0'));
    match *line {
        // One or two digits: most names, keys and counts.
        [first, a, b'\r', _, ..] if first == kind && digit(a) < 10 => {
            Some((digit(a), position + 4))
        }
        [first, a, b, b'\r', _, ..]
            if first == kind && (1..10).contains(&digit(a)) && digit(b) < 10 =>
        {
            Some((digit(a) * 10 + digit(b), position + 5))
        }
        [first, a, ..] if first == kind && (1..10).contains(&digit(a)) => {
            read_longer(line).map(|(length, bytes)| (length, position + bytes))
        }
        _ => None,
    }
}

/// The number behind the first byte of `line`, which does not begin with 0, and
/// the bytes of the line.
fn read_longer(line: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    let places = line.get(1..)?.iter().take(USUAL_DIGITS_MAX + 1);
    for (digits, byte) in places.enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            length = length * 10 + usize::from(digit);
        } else {
            let bytes = digits + 3;
            return (*byte == b'\r' && line.len() >= bytes).then_some((length, bytes));
        }
    }
    None
}
