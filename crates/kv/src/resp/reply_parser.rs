//! The client's side: cuts replies out of the bytes a server sent.
//!
//! For our own clients (the demo's, tests'). Two passes: a scan that remembers
//! where it is finds the end of a whole reply, however slowly it arrives; then
//! the frame is taken apart. It knows the types raftlet sends; streamed
//! strings, attributes, big numbers and bulk errors of RESP3 are refused by
//! name.
//!
//! Invariants: as in `request.rs`, a split never shows and nothing is reserved
//! by a claimed length; nesting is bounded, so that taking a reply apart can't
//! exhaust the stack.

use bytes::{Buf, Bytes, BytesMut};

use crate::decimal;
use crate::resp::reply::Reply;

/// Deepest nesting of aggregates taken from a server. `COMMAND` needs six.
pub const REPLY_DEPTH_MAX: usize = 16;

/// Why a server's bytes are no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// A reply starts with a byte that names no type known here.
    #[error("the server sent a reply of unknown type '{}'", .0.escape_ascii())]
    UnknownType(u8),
    /// A line that should hold a number, a boolean or a length doesn't.
    #[error("the server sent \"{}\" where a value of type '{}' belongs", .text.escape_ascii(), .kind.escape_ascii())]
    Malformed {
        /// The byte that names the type.
        kind: u8,
        /// The line behind it.
        text: Bytes,
    },
    /// A bulk string isn't followed by a line end.
    #[error("the server sent a string that goes on behind its claimed end")]
    Unterminated,
    /// More levels than [`REPLY_DEPTH_MAX`].
    #[error("the server sent a reply nested more than {REPLY_DEPTH_MAX} deep")]
    TooDeep,
    /// One reply larger than the parser was told to take.
    #[error("the server sent a reply of more than {bytes_max} bytes; raise the client's limit")]
    TooBig {
        /// That limit.
        bytes_max: usize,
    },
}

/// The incremental parser of one connection's replies.
#[derive(Debug)]
pub struct ReplyParser {
    bytes_max: usize,
    /// Everything before this belongs to the current reply and is complete.
    scanned_bytes: usize,
    /// Bytes behind that already searched for the end of their line.
    searched_bytes: usize,
    /// Parts still missing, per open aggregate, outermost first.
    missing: Vec<u64>,
}

impl ReplyParser {
    /// A parser that takes replies of up to `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, scanned_bytes: 0, searched_bytes: 0, missing: Vec::new() }
    }

    /// The next complete reply at the front of `input`, which is removed from
    /// it; `None` if more bytes are needed. Between calls `input` may only be
    /// appended to.
    ///
    /// # Errors
    /// [`ReplyError`]: this is no server to talk to; close the connection.
    pub fn next_reply(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        if !self.scan(input)? {
            return Ok(None);
        }
        let mut frame = input.split_to(self.scanned_bytes).freeze();
        self.scanned_bytes = 0;
        take_reply(&mut frame).map(Some)
    }

    /// Moves `scanned_bytes` to the end of the reply. False: not all arrived.
    fn scan(&mut self, input: &BytesMut) -> Result<bool, ReplyError> {
        loop {
            let rest = input.get(self.scanned_bytes..).unwrap_or_default();
            let unsearched = rest.get(self.searched_bytes..).unwrap_or_default();
            let Some(offset) = unsearched.iter().position(|byte| *byte == b'\n') else {
                self.searched_bytes = rest.len();
                self.check_bytes(input.len())?;
                return Ok(false);
            };
            let line_bytes = self.searched_bytes.saturating_add(offset).saturating_add(1);
            let header = Header::parse(rest.get(..line_bytes).unwrap_or_default())?;
            let end =
                self.scanned_bytes.saturating_add(line_bytes).saturating_add(header.body_bytes);
            self.check_bytes(end)?;
            if input.len() < end {
                return Ok(false);
            }
            self.scanned_bytes = end;
            self.searched_bytes = 0;
            if header.parts_len > 0 {
                self.missing.push(header.parts_len);
                if self.missing.len() > REPLY_DEPTH_MAX {
                    return Err(ReplyError::TooDeep);
                }
            } else if self.close_part() {
                return Ok(true);
            }
        }
    }

    /// One part is complete. True: with it the whole reply.
    fn close_part(&mut self) -> bool {
        while let Some(missing) = self.missing.last_mut() {
            *missing -= 1;
            if *missing > 0 {
                return false;
            }
            self.missing.pop();
        }
        true
    }

    fn check_bytes(&self, bytes: usize) -> Result<(), ReplyError> {
        if bytes > self.bytes_max {
            return Err(ReplyError::TooBig { bytes_max: self.bytes_max });
        }
        Ok(())
    }
}

/// What the first line of a reply promises.
struct Header<'a> {
    kind: u8,
    text: &'a [u8],
    /// Bytes that follow the line, their own line end included.
    body_bytes: usize,
    /// Replies that follow the line.
    parts_len: u64,
    is_null: bool,
}

impl<'a> Header<'a> {
    /// `line` ends with a line feed.
    fn parse(line: &'a [u8]) -> Result<Self, ReplyError> {
        let Some((&kind, rest)) = line.split_first() else {
            return Err(ReplyError::UnknownType(b'\n'));
        };
        let malformed = || ReplyError::Malformed { kind, text: Bytes::copy_from_slice(rest) };
        let mut header =
            Self { kind, text: rest, body_bytes: 0, parts_len: 0, is_null: kind == b'_' };
        if !matches!(
            kind,
            b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'$' | b'=' | b'*' | b'~' | b'>' | b'%'
        ) {
            return Err(ReplyError::UnknownType(kind));
        }
        header.text = rest.strip_suffix(b"\r\n").ok_or_else(malformed)?;
        match kind {
            b'$' | b'*' if header.text == b"-1" => header.is_null = true,
            b'$' | b'=' => {
                let bytes = decimal::parse_u64(header.text).ok_or_else(malformed)?;
                let bytes = usize::try_from(bytes).map_err(|_| malformed())?;
                header.body_bytes = bytes.saturating_add(2);
            }
            b'*' | b'~' | b'>' => {
                header.parts_len = decimal::parse_u64(header.text).ok_or_else(malformed)?;
            }
            b'%' => {
                let pairs = decimal::parse_u64(header.text).ok_or_else(malformed)?;
                header.parts_len = pairs.checked_mul(2).ok_or_else(malformed)?;
            }
            _ => {}
        }
        Ok(header)
    }

    fn malformed(&self) -> ReplyError {
        ReplyError::Malformed { kind: self.kind, text: Bytes::copy_from_slice(self.text) }
    }
}

/// Takes one reply off a frame that [`ReplyParser::scan`] found whole. The
/// scan has also bounded the depth of this recursion.
fn take_reply(frame: &mut Bytes) -> Result<Reply, ReplyError> {
    let line_bytes = frame.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = frame.split_to(line_bytes);
    let header = Header::parse(&line)?;
    if header.is_null {
        return Ok(if header.kind == b'*' { Reply::NullArray } else { Reply::Null });
    }
    let text = || line.slice_ref(header.text);
    Ok(match header.kind {
        b'+' => Reply::Simple(text()),
        b'-' => Reply::Error(text()),
        b':' => Reply::Integer(decimal::parse_i64(header.text).ok_or_else(|| header.malformed())?),
        b',' => Reply::Double(parse_double(header.text).ok_or_else(|| header.malformed())?),
        b'#' => match header.text {
            b"t" => Reply::Boolean(true),
            b"f" => Reply::Boolean(false),
            _ => return Err(header.malformed()),
        },
        b'$' => Reply::Bulk(take_body(frame, header.body_bytes)?),
        b'=' => {
            let mut body = take_body(frame, header.body_bytes)?;
            if body.get(3) != Some(&b':') {
                return Err(header.malformed());
            }
            body.advance(4);
            Reply::Verbatim(body)
        }
        b'*' => Reply::Array(take_parts(frame, header.parts_len)?),
        b'~' => Reply::Set(take_parts(frame, header.parts_len)?),
        b'>' => Reply::Push(take_parts(frame, header.parts_len)?),
        b'%' => {
            let mut pairs = Vec::new();
            for _ in 0..header.parts_len / 2 {
                pairs.push((take_reply(frame)?, take_reply(frame)?));
            }
            Reply::Map(pairs)
        }
        other => return Err(ReplyError::UnknownType(other)),
    })
}

fn take_parts(frame: &mut Bytes, parts_len: u64) -> Result<Vec<Reply>, ReplyError> {
    let mut parts = Vec::new();
    for _ in 0..parts_len {
        parts.push(take_reply(frame)?);
    }
    Ok(parts)
}

/// Takes a body of `body_bytes`, the last two of which are its line end.
fn take_body(frame: &mut Bytes, body_bytes: usize) -> Result<Bytes, ReplyError> {
    let mut body = frame.split_to(body_bytes.min(frame.len()));
    if !body.ends_with(b"\r\n") {
        return Err(ReplyError::Unterminated);
    }
    body.truncate(body.len() - 2);
    Ok(body)
}

fn parse_double(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
