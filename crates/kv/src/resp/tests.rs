//! Claims about both parsers: splits never show, limits hold, nothing panics.

use bytes::{Bytes, BytesMut};

use crate::limits::Limits;
use crate::resp::reply::Reply;
use crate::resp::reply_parser::{ReplyError, ReplyParser};
use crate::resp::request::{ProtocolError, RequestParser};
use crate::resp::writer::ReplyWriter;
use crate::resp::{ProtocolVersion, push_request};

type Requests = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

/// Everything a parser makes of `chunks`, in order.
fn requests_of<'a>(limits: Limits, chunks: impl IntoIterator<Item = &'a [u8]>) -> Requests {
    let mut parser = RequestParser::new(limits);
    let mut input = BytesMut::new();
    let mut requests = Vec::new();
    for chunk in chunks {
        input.extend_from_slice(chunk);
        loop {
            match parser.next_request(&mut input) {
                Ok(None) => break,
                Ok(Some(args)) => requests.push(args.iter_from(0).map(<[u8]>::to_vec).collect()),
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

fn one_shot(bytes: &[u8]) -> Requests {
    requests_of(Limits::default(), [bytes])
}

fn refusal(bytes: &[u8]) -> String {
    let (_, error) = one_shot(bytes);
    error.expect("refused").to_string()
}

fn requests(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (requests, error) = one_shot(bytes);
    assert_eq!(error, None);
    requests
}

const CONVERSATIONS: &[&[u8]] = &[
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
    b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n*1\r\n$0\r\n\r\n",
    b"*0\r\n*-1\r\n\r\n\n  \r\nPING\r\n*-10\r\nPING\nECHO \"a \\x00 b\"\r\n",
    b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\r\n\r\n*1\r\n$4\r\nPING\r\n",
    b"PING\r\n*1\r\n$4\r\nPING\r\nfoo\r\n*1\r\nbar\r\nPING\r\n",
    b"*1\r\n$4\r\nPING\r\nSET \"a\r\nPING\r\n",
    b"*1\r*PING\r\n",
    b"*1\r\n$3\r\nabcXYPING\r\n*x\r\n",
    b"*2\r\n$3\r\nGET\r\n$-1\r\n",
];

#[test]
fn requests_are_the_same_wherever_the_bytes_are_split() {
    for bytes in CONVERSATIONS {
        let whole = one_shot(bytes);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let split = requests_of(Limits::default(), chunks);
                assert_eq!(split, whole, "{} at {first}, {second}", bytes.escape_ascii());
            }
        }
        let bytewise = requests_of(Limits::default(), bytes.chunks(1));
        assert_eq!(bytewise, whole, "{} bytewise", bytes.escape_ascii());
    }
}

#[test]
fn empty_requests_are_skipped_without_an_answer() {
    assert_eq!(requests(b"\r\n\n*0\r\n*-1\r\n*-10\r\n  \r\nPING\r\n"), [[b"PING"]]);
}

#[test]
fn binary_arguments_arrive_as_they_were_sent() {
    let value: Vec<u8> = (0..=255).collect();
    let mut wire = Vec::new();
    push_request(&mut wire, &[b"SET", b"\r\n$3\r\n", &value, b""]);
    assert_eq!(requests(&wire), [[b"SET".to_vec(), b"\r\n$3\r\n".to_vec(), value, Vec::new()]]);
}

#[test]
fn protocol_errors_have_the_texts_of_redis() {
    let cases: &[(&[u8], &str)] = &[
        (b"*3000000000\r\n", "invalid multibulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*01\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"*-0\r\n", "invalid multibulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$04\r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "expected '$', got 'f'"),
        (b"*1\r\n\r\n", "expected '$', got ' '"),
        (b"*1\r\n\nfoo\r\n", "expected '$', got ' '"),
        (b"*1\r\n:3\r\n", "expected '$', got ':'"),
        (b"*1\r*PING\r\n", "expected '$', got 'P'"),
        (b"SET \"a\r\n", "unbalanced quotes in request"),
    ];
    for (bytes, text) in cases {
        assert_eq!(refusal(bytes), format!("ERR Protocol error: {text}"));
    }
    let long = [b'1'; 70_000];
    let too_big = [
        (&b"a"[..], "too big inline request"),
        (b"*", "too big mbulk count string"),
        (b"*1\r\n$", "too big bulk count string"),
    ];
    for (start, text) in too_big {
        let bytes = [start, &long].concat();
        assert_eq!(refusal(&bytes), format!("ERR Protocol error: {text}"));
        let complete = [start, &long, b"\r\n"].concat();
        assert_eq!(one_shot(&complete), one_shot(&bytes), "the end of the line changed the result");
    }
}

#[test]
fn a_parser_that_failed_stays_failed() {
    let mut parser = RequestParser::new(Limits::default());
    let mut input = BytesMut::from(&b"*x\r\n"[..]);
    let error = parser.next_request(&mut input).unwrap_err();
    input = BytesMut::from(&b"PING\r\n"[..]);
    assert_eq!(parser.next_request(&mut input), Err(error));
}

#[test]
fn limits_are_met_before_the_bytes_arrive_that_would_break_them() {
    let limits =
        Limits { request_bytes_max: 64, args_len_max: 4, bulk_bytes_max: 40, ..Limits::default() };
    let error_of = |bytes: &[u8]| requests_of(limits, [bytes]).1;
    assert_eq!(error_of(b"*5\r\n"), Some(ProtocolError::InvalidMultibulkLength));
    assert_eq!(error_of(b"a b c d e\r\n"), Some(ProtocolError::InvalidMultibulkLength));
    assert_eq!(error_of(b"*1\r\n$41\r\n"), Some(ProtocolError::TooBigRequest));
    let first = b"*2\r\n$40\r\n0123456789012345678901234567890123456789\r\n";
    assert_eq!(error_of(first), None);
    assert_eq!(error_of(&[&first[..], b"$5\r\n"].concat()), None);
    assert_eq!(error_of(&[&first[..], b"$9\r\n"].concat()), Some(ProtocolError::TooBigRequest));
}

#[test]
fn a_claimed_length_reserves_nothing() {
    let mut parser = RequestParser::new(Limits::default());
    let mut input = BytesMut::from(&b"*1000000\r\n$8000000\r\n"[..]);
    assert_eq!(parser.next_request(&mut input), Ok(None));
    assert!(input.capacity() < 1_024, "reserved {} bytes", input.capacity());
}

fn samples() -> Vec<Reply> {
    vec![
        Reply::OK,
        Reply::error("ERR no"),
        Reply::Integer(i64::MIN),
        Reply::bulk_static(""),
        Reply::Bulk(Bytes::from_static(b"a\r\nb\0\xff")),
        Reply::Null,
        Reply::Array(Vec::new()),
        Reply::Array(vec![Reply::Integer(1), Reply::Array(vec![Reply::Null, Reply::OK])]),
        Reply::Map(vec![(Reply::bulk_static("k"), Reply::Set(vec![Reply::Integer(1)]))]),
        Reply::Double(1.5),
        Reply::Double(f64::NEG_INFINITY),
        Reply::Boolean(true),
        Reply::Boolean(false),
        Reply::Verbatim(Bytes::from_static(b"two\nlines")),
        Reply::Push(vec![Reply::bulk_static("message")]),
    ]
}

fn written(replies: &[Reply], version: ProtocolVersion) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = ReplyWriter::new(&mut out, version);
    replies.iter().for_each(|reply| writer.reply(reply));
    out
}

fn replies_of<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Reply>, Result<(), ReplyError>) {
    let mut parser = ReplyParser::new(1 << 20);
    let mut input = BytesMut::new();
    let mut replies = Vec::new();
    for chunk in chunks {
        input.extend_from_slice(chunk);
        loop {
            match parser.next_reply(&mut input) {
                Ok(None) => break,
                Ok(Some(reply)) => replies.push(reply),
                Err(error) => return (replies, Err(error)),
            }
        }
    }
    (replies, Ok(()))
}

#[test]
fn every_reply_survives_the_wire_in_resp3() {
    let wire = written(&samples(), ProtocolVersion::Resp3);
    assert_eq!(replies_of([&wire[..]]), (samples(), Ok(())));
}

#[test]
fn replies_are_the_same_wherever_the_bytes_are_split() {
    for version in [ProtocolVersion::Resp2, ProtocolVersion::Resp3] {
        let wire = written(&samples(), version);
        let whole = replies_of([&wire[..]]);
        assert_eq!(whole.1, Ok(()));
        assert_eq!(whole.0.len(), samples().len());
        for split in 0..=wire.len() {
            assert_eq!(replies_of([&wire[..split], &wire[split..]]), whole, "split at {split}");
        }
        assert_eq!(replies_of(wire.chunks(1)), whole);
    }
}

#[test]
fn resp2_writes_the_nearest_type_it_has() {
    let map = Reply::Map(vec![(Reply::bulk_static("k"), Reply::Set(vec![Reply::Boolean(true)]))]);
    let replies = [
        map,
        Reply::Null,
        Reply::NullArray,
        Reply::Double(0.1),
        Reply::Verbatim(Bytes::from_static(b"hi")),
    ];
    assert_eq!(
        written(&replies, ProtocolVersion::Resp2).escape_ascii().to_string(),
        r"*2\r\n$1\r\nk\r\n*1\r\n:1\r\n$-1\r\n*-1\r\n$19\r\n0.10000000000000001\r\n$2\r\nhi\r\n"
    );
    assert_eq!(
        written(&replies, ProtocolVersion::Resp3).escape_ascii().to_string(),
        r"%1\r\n$1\r\nk\r\n~1\r\n#t\r\n_\r\n_\r\n,0.10000000000000001\r\n=6\r\ntxt:hi\r\n"
    );
}

#[test]
fn pairs_are_flat_in_resp2_and_nested_in_resp3() {
    let pair = |n| (Reply::bulk_static("m"), Reply::Integer(n));
    let pairs = [Reply::Pairs(vec![pair(1), pair(2)])];
    let text = |version| written(&pairs, version).escape_ascii().to_string();
    assert_eq!(text(ProtocolVersion::Resp2), r"*4\r\n$1\r\nm\r\n:1\r\n$1\r\nm\r\n:2\r\n");
    assert_eq!(
        text(ProtocolVersion::Resp3),
        r"*2\r\n*2\r\n$1\r\nm\r\n:1\r\n*2\r\n$1\r\nm\r\n:2\r\n"
    );
}

#[test]
fn a_line_break_in_an_error_cannot_forge_a_reply() {
    let wire = written(&[Reply::error("ERR a\r\n+OK\r\nb")], ProtocolVersion::Resp2);
    assert_eq!(wire.escape_ascii().to_string(), r"-ERR a  +OK  b\r\n");
}

#[test]
fn replies_nested_too_deep_or_too_big_are_refused() {
    let deep = b"*1\r\n".repeat(100);
    assert_eq!(replies_of([&deep[..]]).1, Err(ReplyError::TooDeep));
    let mut parser = ReplyParser::new(100);
    let mut input = BytesMut::from(&b"$101\r\n"[..]);
    assert_eq!(parser.next_reply(&mut input), Err(ReplyError::TooBig { bytes_max: 100 }));
}

/// SplitMix64, to mutate with.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

/// `bytes` with a few bytes replaced, inserted, removed or repeated.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    const SPICE: &[u8] = b"*$+-:_,#=%~>\r\n\"'\\x0919 \0\xff";
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let spice = SPICE[random.below(SPICE.len())];
        match random.below(4) {
            0 if !bytes.is_empty() => bytes[at] = spice,
            1 => bytes.insert(at, spice),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            _ => {
                let end = at + random.below(bytes.len() - at);
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

#[test]
fn mutated_requests_neither_panic_nor_depend_on_splits() {
    let mut random = Random(7);
    for round in 0..20_000 {
        let bytes = mutated(CONVERSATIONS[round % CONVERSATIONS.len()], &mut random);
        let split = random.below(bytes.len() + 1);
        let chunks = [&bytes[..split], &bytes[split..]];
        let parts = requests_of(Limits::default(), chunks);
        assert_eq!(parts, one_shot(&bytes), "round {round}: {} at {split}", bytes.escape_ascii());
    }
}

#[test]
fn mutated_replies_neither_panic_nor_depend_on_splits() {
    let mut random = Random(11);
    let wire = written(&samples(), ProtocolVersion::Resp3);
    for round in 0..20_000 {
        let bytes = mutated(&wire, &mut random);
        let split = random.below(bytes.len() + 1);
        let whole = replies_of([&bytes[..]]);
        let parts = replies_of([&bytes[..split], &bytes[split..]]);
        // Debug text, because a mutated double may be NaN.
        assert_eq!(
            format!("{parts:?}"),
            format!("{whole:?}"),
            "round {round}: {} at {split}",
            bytes.escape_ascii()
        );
    }
}
