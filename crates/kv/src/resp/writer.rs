//! Writes replies into a buffer that the caller reuses.
//!
//! One method per wire type, so that a hot path writes what it has without
//! building a [`Reply`] first. Every method takes the protocol version into
//! account; nothing else in the crate knows how a type looks on the wire.
//!
//! Invariant: a simple string or an error never contains a line break, for
//! whatever it was made of; a client's bytes can't forge a second reply.

use crate::resp::ProtocolVersion;
use crate::resp::reply::Reply;
use crate::{decimal, double};

/// Appends replies to a buffer in one protocol version.
#[derive(Debug)]
pub struct ReplyWriter<'a> {
    out: &'a mut Vec<u8>,
    version: ProtocolVersion,
}

impl<'a> ReplyWriter<'a> {
    /// Replies in `version`, appended to `out`.
    pub fn new(out: &'a mut Vec<u8>, version: ProtocolVersion) -> Self {
        Self { out, version }
    }

    /// `+text`.
    pub fn simple(&mut self, text: &[u8]) {
        self.line(b'+', text);
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// `-text`. The text starts with its prefix (`ERR`, `CLUSTERDOWN`, ...).
    pub fn error(&mut self, text: &[u8]) {
        self.line(b'-', text);
    }

    /// `:value`.
    pub fn integer(&mut self, value: i64) {
        self.out.push(b':');
        decimal::push_i64(self.out, value);
        self.end_line();
    }

    /// A string of any bytes.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.end_line();
    }

    /// Nothing where a string could be.
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.version {
            ProtocolVersion::Resp2 => b"$-1\r\n",
            ProtocolVersion::Resp3 => b"_\r\n",
        });
    }

    /// Nothing where an array could be.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.version {
            ProtocolVersion::Resp2 => b"*-1\r\n",
            ProtocolVersion::Resp3 => b"_\r\n",
        });
    }

    /// Starts an array; exactly `len` replies must follow.
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len);
    }

    /// Starts a map; exactly `len` times key and value must follow.
    pub fn map(&mut self, len: usize) {
        match self.version {
            ProtocolVersion::Resp2 => self.header(b'*', len.saturating_mul(2)),
            ProtocolVersion::Resp3 => self.header(b'%', len),
        }
    }

    /// Starts a set; exactly `len` replies must follow.
    pub fn set(&mut self, len: usize) {
        match self.version {
            ProtocolVersion::Resp2 => self.header(b'*', len),
            ProtocolVersion::Resp3 => self.header(b'~', len),
        }
    }

    /// Starts pairs; exactly `len` times [`Self::pair`] and two replies must
    /// follow.
    pub fn pairs(&mut self, len: usize) {
        match self.version {
            ProtocolVersion::Resp2 => self.header(b'*', len.saturating_mul(2)),
            ProtocolVersion::Resp3 => self.header(b'*', len),
        }
    }

    /// Starts one of several pairs; exactly two replies must follow.
    pub fn pair(&mut self) {
        if self.version == ProtocolVersion::Resp3 {
            self.header(b'*', 2);
        }
    }

    /// Starts a push; exactly `len` replies must follow. RESP2 has no pushes,
    /// an array is the nearest.
    pub fn push(&mut self, len: usize) {
        match self.version {
            ProtocolVersion::Resp2 => self.header(b'*', len),
            ProtocolVersion::Resp3 => self.header(b'>', len),
        }
    }

    /// A number that need not be whole, in 17 digits as Redis 7.0 writes it.
    pub fn double(&mut self, value: f64) {
        let text = double::text(value);
        match self.version {
            ProtocolVersion::Resp2 => self.bulk(text.as_bytes()),
            ProtocolVersion::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// Yes or no.
    pub fn boolean(&mut self, value: bool) {
        match self.version {
            ProtocolVersion::Resp2 => self.integer(i64::from(value)),
            ProtocolVersion::Resp3 => self.line(b'#', if value { b"t" } else { b"f" }),
        }
    }

    /// Plain text for people.
    pub fn verbatim(&mut self, text: &[u8]) {
        match self.version {
            ProtocolVersion::Resp2 => self.bulk(text),
            ProtocolVersion::Resp3 => {
                self.header(b'=', text.len().saturating_add(4));
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text);
                self.end_line();
            }
        }
    }

    /// Any reply, with all its parts.
    pub fn reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Simple(text) => self.simple(text),
            Reply::Error(text) => self.error(text),
            Reply::Integer(value) => self.integer(*value),
            Reply::Bulk(bytes) => self.bulk(bytes),
            Reply::Null => self.null(),
            Reply::NullArray => self.null_array(),
            Reply::Array(parts) => {
                self.array(parts.len());
                self.replies(parts);
            }
            Reply::Map(pairs) => {
                self.map(pairs.len());
                for (key, value) in pairs {
                    self.reply(key);
                    self.reply(value);
                }
            }
            Reply::Pairs(pairs) => {
                self.pairs(pairs.len());
                for (left, right) in pairs {
                    self.pair();
                    self.reply(left);
                    self.reply(right);
                }
            }
            Reply::Set(parts) => {
                self.set(parts.len());
                self.replies(parts);
            }
            Reply::Double(value) => self.double(*value),
            Reply::Boolean(value) => self.boolean(*value),
            Reply::Verbatim(text) => self.verbatim(text),
            Reply::Push(parts) => {
                self.push(parts.len());
                self.replies(parts);
            }
        }
    }

    fn replies(&mut self, parts: &[Reply]) {
        for part in parts {
            self.reply(part);
        }
    }

    #[inline]
    fn header(&mut self, kind: u8, len: usize) {
        let digit = |of: usize| b'0' + u8::try_from(of % 10).unwrap_or_default();
        // Of known length, so that they are stored and not copied.
        match len {
            0..10 => self.out.extend_from_slice(&[kind, digit(len), b'\r', b'\n']),
            10..100 => {
                let line = [kind, digit(len / 10), digit(len), b'\r', b'\n'];
                self.out.extend_from_slice(&line);
            }
            100..1_000 => {
                let line = [kind, digit(len / 100), digit(len / 10), digit(len), b'\r', b'\n'];
                self.out.extend_from_slice(&line);
            }
            _ => self.long_header(kind, len),
        }
    }

    fn long_header(&mut self, kind: u8, len: usize) {
        // Made from its end, so that it is appended at once.
        let mut line = [0; decimal::DIGITS_MAX + 3];
        let (digits, end) = line.split_at_mut(decimal::DIGITS_MAX + 1);
        end.copy_from_slice(b"\r\n");
        // No supported target has a `usize` wider than 64 bits.
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        let start = decimal::fill_back(digits, len).saturating_sub(1);
        if let Some(first) = digits.get_mut(start) {
            *first = kind;
        }
        self.out.extend_from_slice(line.get(start..).unwrap_or_default());
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        self.out.extend(text.iter().map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            other => *other,
        }));
        self.end_line();
    }

    fn end_line(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::ReplyWriter;
    use crate::resp::ProtocolVersion;

    #[test]
    fn a_header_says_its_length_in_decimal() {
        let lens = (0..1_200).chain([9_999, 10_000, 123_456_789, usize::MAX]);
        for len in lens {
            let mut out = Vec::new();
            ReplyWriter::new(&mut out, ProtocolVersion::Resp2).array(len);
            assert_eq!(out, format!("*{len}\r\n").into_bytes());
        }
    }
}
