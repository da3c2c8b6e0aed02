//! Claims about the outbox.

use bytes::{BufMut, Bytes};

use super::{CONTROL_LANE_BYTES_MAX, Outbox, SEGMENT_BYTES, Segment};
use crate::codec::BatchReader;
use crate::codec::sample::Samples;
use crate::frame::{FRAME_BYTES_MAX, Frame, FrameKind, FrameReader, FrameSeal};
use crate::stats::PeerStats;
use raftlet::Incoming;
use raftlet::core::{Body, Forward, GroupId, SnapshotPart};

const SEAL: FrameSeal = FrameSeal::HANDSHAKE;

fn open(bytes_max: usize) -> Outbox {
    let mut outbox = Outbox::new(bytes_max);
    outbox.open(SEAL, true);
    outbox
}

/// Any message but a part of a snapshot.
fn ordinary(samples: &mut Samples) -> Incoming {
    loop {
        let incoming = samples.any();
        if !matches!(incoming.message.body, Body::Snapshot(_)) {
            return incoming;
        }
    }
}

fn part(bytes: usize) -> Incoming {
    let mut message = Samples::new(1).of_kind(14);
    let Body::Snapshot(part) = &mut message.message.body else {
        panic!("kind 14 is a part");
    };
    *part = SnapshotPart { bytes: Bytes::from(vec![7; bytes]), ..part.clone() };
    message
}

fn large(bytes: usize) -> Incoming {
    let mut message = Samples::new(1).of_kind(9);
    message.message.body =
        Body::Forward(Forward { first_sequence: 1, commands: vec![Bytes::from(vec![7; bytes])] });
    message
}

/// The frames of a segment, as they arrive.
fn frames_of(segment: &Segment) -> Vec<Frame> {
    let mut reader = FrameReader::for_handshake();
    reader.establish(SEAL);
    let (mut rest, mut frames) = (&segment.bytes[..], Vec::new());
    while !rest.is_empty() {
        let room = reader.room();
        let len = (room.capacity() - room.len()).min(rest.len());
        room.put_slice(&rest[..len]);
        rest = &rest[len..];
        while let Some(frame) = reader.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    frames
}

/// Writes everything that waits; the frames that arrive.
fn drain(outbox: &mut Outbox) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(segment) = outbox.take() {
        frames.extend(frames_of(&segment));
        outbox.give_back(segment);
    }
    frames
}

fn messages(frames: &[Frame]) -> Vec<Incoming> {
    frames.iter().flat_map(|frame| BatchReader::new(&frame.body).map(Result::unwrap)).collect()
}

#[test]
fn the_messages_of_a_turn_leave_in_one_frame_and_of_many_turns_in_one_write() {
    let mut samples = Samples::new(2);
    let mut outbox = open(1 << 20);
    let mut stats = PeerStats::default();
    let turns: Vec<Vec<Incoming>> =
        (0..5).map(|_| (0..7).map(|_| ordinary(&mut samples)).collect()).collect();
    for turn in &turns {
        outbox.push_messages(&mut turn.clone(), &mut stats);
    }
    assert_eq!(outbox.segments.len(), 1);
    assert_eq!(stats.bytes_sent, outbox.bytes() as u64);
    let frames = drain(&mut outbox);
    assert_eq!(frames.len(), 5);
    assert_eq!(messages(&frames), turns.concat());
    assert_eq!((stats.frames_sent, stats.messages_sent), (5, 35));
    assert_eq!(outbox.bytes(), 0);
}

#[test]
fn what_does_not_fit_is_dropped_and_counted_and_smaller_messages_still_go() {
    let mut outbox = open(10_000);
    let mut stats = PeerStats::default();
    let small = Samples::new(3).of_kind(5);
    let mut turn = vec![large(6_000), large(6_000), small.clone()];
    outbox.push_messages(&mut turn, &mut stats);
    assert!(turn.is_empty());
    assert_eq!((stats.messages_sent, stats.dropped_full), (2, 1));
    for _ in 0..1000 {
        outbox.push_messages(&mut vec![small.clone()], &mut stats);
        assert!(outbox.bytes() <= 10_000);
    }
    assert!(stats.dropped_full > 1);
    assert_eq!(messages(&drain(&mut outbox))[1], small);
    outbox.push_messages(&mut vec![large(6_000)], &mut stats);
    assert_eq!(messages(&drain(&mut outbox)).len(), 1);
}

#[test]
fn bytes_being_written_count_until_they_are_given_back() {
    let mut outbox = open(10_000);
    let mut stats = PeerStats::default();
    outbox.push_messages(&mut vec![large(6_000)], &mut stats);
    let segment = outbox.take().unwrap();
    outbox.push_messages(&mut vec![large(6_000)], &mut stats);
    assert_eq!(stats.dropped_full, 1);
    outbox.give_back(segment);
    outbox.push_messages(&mut vec![large(6_000)], &mut stats);
    assert_eq!(stats.messages_sent, 2);
}

#[test]
fn a_turn_above_the_frame_limit_takes_a_second_frame() {
    let mut outbox = open(64 << 20);
    let mut stats = PeerStats::default();
    let turn = vec![large(60_000); 200];
    outbox.push_messages(&mut turn.clone(), &mut stats);
    let frames = drain(&mut outbox);
    assert_eq!(frames.len(), 2);
    assert!(frames.iter().all(|f| f.body.len() <= FRAME_BYTES_MAX));
    assert_eq!(messages(&frames), turn);
}

#[test]
fn a_message_that_no_receiver_takes_is_dropped_and_counted() {
    let mut outbox = open(64 << 20);
    let mut stats = PeerStats::default();
    let mut oversized = large(0);
    oversized.message.body = Body::Forward(Forward {
        first_sequence: 1,
        commands: vec![Bytes::from(vec![0; 4 << 20]); 3],
    });
    outbox.push_messages(&mut vec![oversized], &mut stats);
    assert_eq!(stats.dropped_oversized, 1);
    assert_eq!(outbox.take(), None);
}

#[test]
fn nothing_waits_for_a_connection_that_is_not_there() {
    let mut outbox = Outbox::new(1 << 20);
    let mut stats = PeerStats::default();
    outbox.push_messages(&mut vec![large(10)], &mut stats);
    assert_eq!(stats.dropped_unconnected, 1);
    outbox.open(SEAL, true);
    outbox.push_messages(&mut vec![large(10)], &mut stats);
    outbox.close();
    assert_eq!((outbox.take(), outbox.bytes()), (None, 0));
    outbox.open(SEAL, true);
    assert_eq!(outbox.take(), None);
}

#[test]
fn a_newcomer_gets_heartbeats_and_no_messages() {
    let mut outbox = Outbox::new(1 << 20);
    let mut stats = PeerStats::default();
    outbox.open(SEAL, false);
    outbox.push_messages(&mut vec![large(10)], &mut stats);
    outbox.push_control(FrameKind::Heartbeat, &mut stats, |_| {});
    assert_eq!(drain(&mut outbox).len(), 1);
    outbox.set_may_send(true);
    outbox.push_messages(&mut vec![large(10)], &mut stats);
    assert_eq!(drain(&mut outbox).len(), 1);
}

#[test]
fn heartbeats_overtake_a_backlog_at_frame_boundaries() {
    let mut outbox = open(64 << 20);
    let mut stats = PeerStats::default();
    for _ in 0..10 {
        outbox.push_messages(&mut vec![large(SEGMENT_BYTES)], &mut stats);
    }
    let first = outbox.take().unwrap();
    outbox.push_control(FrameKind::Heartbeat, &mut stats, |into| into.put_u8(1));
    outbox.give_back(first);
    assert_eq!(drain(&mut outbox)[0].kind, FrameKind::Heartbeat);
}

#[test]
fn the_lane_of_heartbeats_is_bounded_too() {
    let mut outbox = open(1 << 20);
    let mut stats = PeerStats::default();
    for _ in 0..100_000 {
        outbox.push_control(FrameKind::Heartbeat, &mut stats, |into| into.put_u64(1));
    }
    assert!(stats.dropped_control > 0);
    let waiting = outbox.take().unwrap();
    assert!(waiting.bytes.len() <= CONTROL_LANE_BYTES_MAX);
}

#[test]
fn buffers_go_back_and_forth_without_growing() {
    let mut outbox = open(1 << 20);
    let mut stats = PeerStats::default();
    let mut seen: Vec<*const u8> = Vec::new();
    for _ in 0..100 {
        outbox.push_messages(&mut vec![large(1000); 20], &mut stats);
        let segment = outbox.take().unwrap();
        outbox.push_messages(&mut vec![large(1000); 20], &mut stats);
        seen.push(segment.bytes.as_ptr());
        outbox.give_back(segment);
        let segment = outbox.take().unwrap();
        seen.push(segment.bytes.as_ptr());
        outbox.give_back(segment);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 2);
}

#[test]
fn parts_of_snapshots_leave_behind_everything_else_one_at_a_time() {
    let mut outbox = open(100_000);
    let mut stats = PeerStats::default();
    let vote = Samples::new(3).of_kind(3);
    outbox.push_messages(&mut vec![part(20_000), vote.clone(), part(20_000)], &mut stats);
    let first = outbox.take().unwrap();
    outbox.push_messages(&mut vec![large(1_000)], &mut stats);
    outbox.push_messages(&mut vec![part(20_000)], &mut stats);
    assert_eq!(stats.dropped_full, 1, "parts may fill half of it");
    outbox.give_back(first);
    let frames = drain(&mut outbox);
    assert_eq!(frames.len(), 3);
    let kinds: Vec<bool> = messages(&frames)
        .iter()
        .map(|incoming| matches!(incoming.message.body, Body::Snapshot(_)))
        .collect();
    assert_eq!(kinds, [false, true, true]);
    assert_eq!(outbox.bytes(), 0);
}

fn of_group(group: u64, bytes: usize) -> Incoming {
    Incoming { group: GroupId::new(group), ..large(bytes) }
}

/// Takes one segment, written at once.
fn take(outbox: &mut Outbox) -> Option<Vec<u64>> {
    let segment = outbox.take()?;
    let sent = messages(&frames_of(&segment));
    let groups = sent.iter().map(|incoming| incoming.group.get()).collect();
    outbox.give_back(segment);
    Some(groups)
}

#[test]
fn a_small_message_of_another_group_waits_for_one_large_one_at_most() {
    let mut outbox = open(64 << 20);
    let mut stats = PeerStats::default();
    outbox.push_messages(&mut vec![of_group(1, 1 << 20); 10], &mut stats);
    let under_way = outbox.take().unwrap();
    outbox.push_messages(&mut vec![of_group(1, 10), of_group(2, 10)], &mut stats);
    outbox.push_control(FrameKind::Heartbeat, &mut stats, |into| into.put_u8(1));
    outbox.give_back(under_way);
    let heartbeat = outbox.take().unwrap();
    assert!(heartbeat.is_control);
    outbox.give_back(heartbeat);
    assert_eq!(take(&mut outbox), Some(vec![2]), "not behind the other nine");
    for _ in 0..9 {
        assert_eq!(take(&mut outbox), Some(vec![1]));
    }
    assert_eq!(take(&mut outbox), Some(vec![1]), "its own group's small one stays behind them");
    assert_eq!((take(&mut outbox), outbox.bytes()), (None, 0));
}

#[test]
fn small_messages_without_end_do_not_starve_a_large_one() {
    let mut outbox = open(64 << 20);
    let mut stats = PeerStats::default();
    let mut fill = |outbox: &mut Outbox| {
        outbox.push_messages(&mut vec![of_group(2, 60_000); 5], &mut stats);
    };
    fill(&mut outbox);
    fill(&mut outbox);
    outbox.push_messages(&mut vec![of_group(1, 1 << 20)], &mut PeerStats::default());
    let mut before = 0;
    while take(&mut outbox) != Some(vec![1]) {
        fill(&mut outbox);
        before += 1;
        assert!(before <= 4, "{before} segments went first");
    }
}

#[test]
fn the_messages_of_a_group_leave_in_their_order_whatever_their_sizes() {
    let mut outbox = open(64 << 20);
    let mut stats = PeerStats::default();
    let mut random = 7_u64;
    let mut below = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % bound
    };
    let (mut sequences, mut seen) = ([0_u64; 4], [0_u64; 4]);
    let mut check = |frames: &[Frame]| {
        for incoming in messages(frames) {
            let Body::Forward(forward) = incoming.message.body else { panic!("all are forwards") };
            let last = &mut seen[usize::try_from(incoming.group.get()).unwrap()];
            *last += 1;
            assert_eq!(forward.first_sequence, *last);
        }
    };
    for _ in 0..400 {
        for _ in 0..below(4) {
            let group = below(4);
            let bytes = [10, 5_000, 60_000, 70_000, 300_000][usize::try_from(below(5)).unwrap()];
            let mut incoming = of_group(group, bytes);
            let sequence = &mut sequences[usize::try_from(group).unwrap()];
            *sequence += 1;
            if let Body::Forward(forward) = &mut incoming.message.body {
                forward.first_sequence = *sequence;
            }
            outbox.push_messages(&mut vec![incoming], &mut stats);
        }
        if below(3) > 0
            && let Some(segment) = outbox.take()
        {
            check(&frames_of(&segment));
            outbox.give_back(segment);
        }
    }
    check(&drain(&mut outbox));
    assert_eq!((seen, stats.dropped_full, outbox.bytes()), (sequences, 0, 0));
}

#[test]
fn a_large_message_does_not_overtake_what_its_group_said_before() {
    let mut outbox = open(64 << 20);
    let mut stats = PeerStats::default();
    for _ in 0..6 {
        outbox.push_messages(&mut vec![of_group(2, 60_000); 5], &mut stats);
    }
    outbox.push_messages(&mut vec![of_group(1, 10), of_group(1, 1 << 20)], &mut stats);
    let mut left = Vec::new();
    while let Some(groups) = take(&mut outbox) {
        left.push(groups);
    }
    let small = left.iter().position(|groups| groups.contains(&1));
    assert_eq!((small, left.len()), (Some(6), 8), "{left:?}");
    assert_eq!(left.last(), Some(&vec![1]));
}
