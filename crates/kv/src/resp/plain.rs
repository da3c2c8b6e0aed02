//! `GET key` and `SET key value`, read in one pass.
//!
//! Nearly all requests are one of these two, have wholly arrived and are in the
//! form that all clients send. They skip arguments, table and request: what is
//! kept of one is its frame and where key and value lie in it. Everything else,
//! were it only a length with a zero before it, takes the long way
//! (`resp/request.rs`, `command.rs`), which alone refuses anything.
//!
//! Invariant: what is read here means exactly what the long way makes of it.
//!
//! Not here: when the short way is open (`connection.rs`).

use bytes::{Bytes, BytesMut};

use crate::limits::Limits;
use crate::resp::args::Span;
use raftlet::core::mutants;

/// Bytes of `*3\r\n$3\r\nSET\r\n`.
const HEAD_BYTES: usize = 13;
/// Digits of a length that is read here.
const DIGITS_MAX: usize = 6;

/// One plain request.
#[derive(Debug)]
pub(crate) struct Plain {
    frame: Bytes,
    key: Span,
    /// Of a `SET`; else nothing.
    value: Option<Span>,
}

impl Plain {
    /// Takes one off the front of `input`. `None`, and nothing changed, where
    /// the long way is to be taken.
    #[inline]
    pub(crate) fn take(input: &mut BytesMut, limits: &Limits) -> Option<Self> {
        let (request_bytes, key, value) = read(input, limits)?;
        Some(Self { frame: input.split_to(request_bytes).freeze(), key, value })
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.value.is_some()
    }

    /// As the table of commands has it.
    #[inline]
    pub(crate) fn name(&self) -> &'static str {
        if self.is_set() { "set" } else { "get" }
    }

    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        self.frame.get(self.key.range()).unwrap_or_default()
    }

    /// `None` of a `GET`.
    #[inline]
    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.frame.get(self.value?.range())
    }

    /// Roughly what this keeps in memory.
    #[inline]
    pub(crate) fn held_bytes(&self) -> usize {
        self.frame.len() + size_of::<Self>()
    }
}

/// The bytes of a request, and where its key and value are.
#[inline]
fn read(input: &[u8], limits: &Limits) -> Option<(usize, Span, Option<Span>)> {
    // A line ends with a carriage return and any byte, as does an argument with
    // any two: so Redis reads it.
    let (&[b'*', len, b'\r', _, b'$', b'3', b'\r', _, a, b, c, _, _], mut rest) =
        input.split_first_chunk::<HEAD_BYTES>()?
    else {
        return None;
    };
    let is_set = match ([a | 0x20, b | 0x20, c | 0x20], len) {
        ([b'g', b'e', b't'], b'2') => false,
        ([b's', b'e', b't'], b'3') => true,
        _ => return None,
    };
    let key = read_bulk(input.len(), &mut rest, limits)?;
    let value = if is_set { Some(read_bulk(input.len(), &mut rest, limits)?) } else { None };
    let request_bytes = input.len() - rest.len();
    let is_within = request_bytes <= limits.request_bytes_max || mutants::is_active(151);
    is_within.then_some((request_bytes, key, value))
}

/// Takes an argument off `rest`, which ends where the input of so many bytes ends.
#[inline]
fn read_bulk(input_bytes: usize, rest: &mut &[u8], limits: &Limits) -> Option<Span> {
    let digit = |byte: u8| usize::from(byte.wrapping_sub(b'0'));
    let (&[b'$', first, second], mut behind) = rest.split_first_chunk::<3>()? else {
        return None;
    };
    let mut bulk_bytes = digit(first);
    if bulk_bytes > 9 {
        return None;
    }
    let mut byte = second;
    let mut digits = 1;
    while byte != b'\r' {
        // No length of two digits begins with zero, and none is 10 or more here.
        if bulk_bytes == 0 || digit(byte) > 9 || digits == DIGITS_MAX {
            return None;
        }
        bulk_bytes = bulk_bytes * 10 + digit(byte);
        digits += 1;
        (byte, behind) = behind.split_first().map(|(byte, behind)| (*byte, behind))?;
    }
    let behind = behind.get(1..)?;
    let start = input_bytes - behind.len();
    let end_bytes = if mutants::is_active(150) { 0 } else { 2 };
    *rest = behind.get(bulk_bytes + end_bytes..)?;
    if bulk_bytes > limits.bulk_bytes_max {
        return None;
    }
    Span::new(start, start + bulk_bytes)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::Plain;
    use crate::limits::Limits;
    use crate::resp::push_request;
    use crate::resp::request::RequestParser;

    fn taken(request: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
        let mut input = BytesMut::from(request);
        let plain = Plain::take(&mut input, &Limits::default())?;
        let args = [Some(plain.name().as_bytes()), Some(plain.key()), plain.value()];
        Some((args.into_iter().flatten().map(<[u8]>::to_vec).collect(), input.len()))
    }

    fn parsed(request: &[u8]) -> (Vec<Vec<u8>>, usize) {
        let mut input = BytesMut::from(request);
        let args = RequestParser::new(Limits::default()).next_request(&mut input);
        let args = args.expect("a request").expect("a whole one");
        (args.iter_from(0).map(<[u8]>::to_vec).collect(), input.len())
    }

    #[test]
    fn what_is_taken_in_one_pass_is_what_the_long_way_reads() {
        for len in (0..1_200).chain([9_999, 10_000, 99_999, 100_000, 999_999, 1_000_000]) {
            let (key, value) = (vec![b'k'; len % 131], vec![b'v'; len]);
            for args in [&[b"set", &key[..], &value][..], &[b"get", &key], &[b"get", &value]] {
                let mut request = Vec::new();
                push_request(&mut request, args);
                // What stands where a line or an argument ends is not looked at.
                if len % 2 == 0 {
                    let line_ends = request.iter().filter(|byte| **byte == b'\r').count();
                    assert_eq!(line_ends, 1 + 2 * args.len());
                    request.iter_mut().filter(|byte| **byte == b'\n').for_each(|it| *it = b'x');
                }
                request.extend_from_slice(b"*1\r\n");
                let whole = parsed(&request);
                assert!(whole.0.iter().eq(args.iter()) && whole.1 == 4);
                let is_long = args.iter().any(|it| it.len() > 999_999);
                assert_eq!(taken(&request), (!is_long).then_some(whole), "{len}");
            }
        }
    }

    #[test]
    fn whatever_is_cut_off_unusual_or_another_command_is_left_alone() {
        let whole = b"*3\r\n$3\r\nSeT\r\n$1\r\nk\r\n$10\r\n0123456789\r\n";
        assert!(taken(whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(taken(&whole[..end]), None, "{end}");
        }
        let others: &[&[u8]] = &[
            b"*3\r\n$3\r\nget\r\n$1\r\nk\r\n$1\r\nv\r\n",
            b"*2\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n",
            b"*4\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nNX\r\n",
            b"*2\r\n$3\r\nttl\r\n$1\r\nk\r\n",
            b"*2\r\n$3\r\nget\r\n$01\r\nk\r\n",
            b"*2\r\n$3\r\nget\r\n$00\r\n\r\n",
            b"*2\r\n$3\r\nget\r\n$-1\r\nk\r\n",
            b"*2\r\n$3\r\nget\r\n$\r\nk\r\nkkkkkkkkkkkkkkk",
            b"*2\r\n$3\r\nget\r\n$1x\r\nk\r\nkkkkkkkkkkkkkkk",
            b"*2\r\n$3\r\nget\r\n:1\r\nk\r\n",
            b"*02\r\n$3\r\nget\r\n$1\r\nk\r\n",
            b"*2\r\n$03\r\nget\r\n$1\r\nk\r\n",
            b"GET k\r\nGET k\r\nGET k\r\n",
        ];
        for request in others {
            assert_eq!(taken(request), None, "{}", request.escape_ascii());
        }
    }

    #[test]
    fn what_goes_over_a_limit_is_left_to_who_refuses_it() {
        let request = b"*3\r\n$3\r\nset\r\n$1\r\nk\r\n$4\r\n0123\r\n";
        let taken = |limits| Plain::take(&mut BytesMut::from(&request[..]), &limits).is_some();
        let limits = Limits { bulk_bytes_max: 4, request_bytes_max: 30, ..Limits::default() };
        assert_eq!(request.len(), 30);
        assert!(taken(limits));
        assert!(!taken(Limits { bulk_bytes_max: 3, ..limits }));
        assert!(!taken(Limits { request_bytes_max: 29, ..limits }));
    }
}
