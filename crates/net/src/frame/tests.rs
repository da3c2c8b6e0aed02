//! Claims about frames.

use bytes::{BufMut, BytesMut};

use super::{
    FRAME_BYTES_MAX, Frame, FrameError, FrameKind, FrameReader, FrameSeal, HANDSHAKE_BYTES_MAX,
    HEADER_BYTES, begin, finish, put,
};
use crate::random::Random;

const SEAL: FrameSeal = FrameSeal(77);

fn framed(kind: FrameKind, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    put(kind, SEAL, &mut bytes, |into| into.put_slice(body));
    bytes
}

fn established() -> FrameReader {
    let mut reader = FrameReader::for_handshake();
    reader.establish(SEAL);
    reader
}

fn read_all(bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
    let mut reader = established();
    reader.room().put_slice(bytes);
    reader.next_frame()
}

#[test]
fn frames_arrive_alike_however_the_stream_is_cut() {
    let mut stream = BytesMut::new();
    let mut random = Random::new(1);
    let bodies: Vec<Vec<u8>> = (0..60)
        .map(|at| {
            let len = if at % 20 == 19 { 700_000 } else { random.below(900) };
            (0..len).map(|_| random.next().to_le_bytes()[0]).collect()
        })
        .collect();
    for body in &bodies {
        stream.extend_from_slice(&framed(FrameKind::Messages, body));
    }
    let mut reader = established();
    let mut read = Vec::new();
    let mut rest = &stream[..];
    while !rest.is_empty() {
        let room = reader.room();
        let most = (room.capacity() - room.len()).min(rest.len());
        assert!(most > 0, "room was promised");
        let len = 1 + usize::try_from(random.below(most as u64)).unwrap();
        let (now, later) = rest.split_at(len);
        room.put_slice(now);
        rest = later;
        while let Some(frame) = reader.next_frame().unwrap() {
            assert_eq!(frame.kind, FrameKind::Messages);
            read.push(frame.body.to_vec());
        }
    }
    assert_eq!(read, bodies);
}

#[test]
fn every_flipped_bit_of_a_frame_is_refused() {
    let bytes = framed(FrameKind::Heartbeat, b"a body of some bytes");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read_all(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn a_truncated_frame_is_waited_for_and_never_handed_out() {
    let bytes = framed(FrameKind::RollCall, b"a body of some bytes");
    for cut in 0..bytes.len() {
        assert_eq!(read_all(&bytes[..cut]), Ok(None), "cut at {cut}");
    }
    assert!(read_all(&bytes).unwrap().is_some());
}

#[test]
fn a_frame_of_another_connection_is_refused() {
    let mut bytes = BytesMut::new();
    put(FrameKind::Messages, FrameSeal::new(b"another"), &mut bytes, |_| {});
    assert_eq!(read_all(&bytes), Err(FrameError::Header));
}

#[test]
fn an_oversized_claim_is_refused_before_memory_is_made_for_it() {
    for (kind, bytes) in [
        (FrameKind::Messages, FRAME_BYTES_MAX + 1),
        (FrameKind::Heartbeat, super::CONTROL_BYTES_MAX + 1),
        (FrameKind::Messages, usize::try_from(u32::MAX).unwrap()),
    ] {
        let mut reader = established();
        reader.room().put_slice(&header_claiming(kind, bytes, SEAL));
        assert!(matches!(reader.next_frame(), Err(FrameError::Length { .. })));
        assert!(reader.held_bytes() <= 256 << 10);
    }
}

#[test]
fn a_lawful_claim_holds_one_block_until_bytes_arrive() {
    let mut reader = established();
    let header = header_claiming(FrameKind::Messages, FRAME_BYTES_MAX, SEAL);
    reader.room().put_slice(&header);
    assert_eq!(reader.next_frame(), Ok(None));
    let mut arrived = header.len();
    while arrived < 4 << 20 {
        let room = reader.room();
        let len = (room.capacity() - room.len()).min(100_000);
        room.put_bytes(0, len);
        arrived += len;
        assert_eq!(reader.next_frame(), Ok(None));
        assert!(reader.held_bytes() <= 2 * arrived + (256 << 10));
    }
}

#[test]
fn strangers_may_claim_no_more_than_a_handshake() {
    let mut reader = FrameReader::for_handshake();
    let claim = header_claiming(FrameKind::Messages, HANDSHAKE_BYTES_MAX + 1, FrameSeal::HANDSHAKE);
    reader.room().put_slice(&claim);
    assert!(matches!(reader.next_frame(), Err(FrameError::Length { .. })));
}

#[test]
fn an_unknown_kind_is_refused_by_name() {
    let mut bytes = header_claiming(FrameKind::Hello, 0, SEAL);
    bytes[12] = 200;
    reseal(&mut bytes);
    assert_eq!(read_all(&bytes), Err(FrameError::Unknown { kind: 200 }));
}

#[test]
fn what_was_received_is_reused_when_nothing_is_kept_of_it() {
    let bytes = framed(FrameKind::Messages, &[7; 1000]);
    let mut reader = established();
    let block = reader.room().as_ptr();
    let held = reader.held_bytes();
    for _ in 0..2000 {
        reader.room().put_slice(&bytes);
        assert!(reader.next_frame().unwrap().is_some());
        assert!(reader.held_bytes() <= held);
    }
    let block = block..block.wrapping_add(held);
    assert!(block.contains(&reader.room().as_ptr()));
}

#[test]
fn garbage_never_panics() {
    let mut random = Random::new(5);
    for _ in 0..2000 {
        let len = random.below(200);
        let garbage: Vec<u8> = (0..len).map(|_| random.next().to_le_bytes()[0]).collect();
        let got = read_all(&garbage);
        assert!(matches!(got, Ok(None) | Err(FrameError::Header)), "{got:?}");
    }
}

/// A header whose own checksum holds, for a body that is not there.
fn header_claiming(kind: FrameKind, bytes: usize, seal: FrameSeal) -> BytesMut {
    let mut header = BytesMut::new();
    let start = begin(&mut header);
    finish(start, kind, seal, &mut header);
    header[8..12].copy_from_slice(&u32::try_from(bytes).unwrap().to_le_bytes());
    let checksum = raftlet::core::crc32c(seal.0, &header[4..HEADER_BYTES]);
    header[..4].copy_from_slice(&checksum.to_le_bytes());
    header
}

fn reseal(header: &mut BytesMut) {
    let checksum = raftlet::core::crc32c(SEAL.0, &header[4..HEADER_BYTES]);
    header[..4].copy_from_slice(&checksum.to_le_bytes());
}
