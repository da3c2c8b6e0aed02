//! Claims about messages as bytes.

use bytes::{Bytes, BytesMut};

use super::sample::{KINDS, Samples};
use super::{
    BatchReader, MessageError, append_ack_to_batch, append_borrowed_to_batch, append_to_batch,
    decode_message, encode_message, encoded_bytes,
};
use crate::random::Random;
use raftlet::Incoming;
use raftlet::core::{
    Arena, Body, Forward, Head, Message, NUMBER_MAX, NodeId, VoteKind, VoteRequest,
};

fn encoded(incoming: &Incoming) -> Bytes {
    let mut bytes = BytesMut::new();
    encode_message(incoming, &mut bytes);
    bytes.freeze()
}

#[test]
fn every_message_survives_the_wire_and_has_the_length_foretold() {
    let mut samples = Samples::new(1);
    for kind in 0..KINDS {
        for _ in 0..200 {
            let message = samples.of_kind(kind);
            let bytes = encoded(&message);
            assert_eq!(encoded_bytes(&message.message), Some(bytes.len()));
            assert_eq!(decode_message(&bytes), Ok(message));
        }
    }
}

#[test]
fn what_is_lent_has_the_bytes_of_what_is_owned_and_a_copy_says_what_shared_bytes_do() {
    let mut samples = Samples::new(5);
    for kind in 0..KINDS {
        for _ in 0..200 {
            let incoming = samples.of_kind(kind);
            let Message { generation, term, body } = &incoming.message;
            let mut owned = BytesMut::new();
            let bytes = encoded_bytes(&incoming.message).unwrap();
            append_to_batch(incoming.group, &incoming.message, bytes, &mut owned);
            let head = Head { to: NodeId::new(2), generation: *generation, term: *term };
            let mut lent = BytesMut::new();
            match body {
                Body::Append(append) => {
                    let append = append.into();
                    assert!(append_borrowed_to_batch(incoming.group, head, &append, &mut lent));
                }
                Body::Ack(ack) => append_ack_to_batch(incoming.group, head, ack, &mut lent),
                _ => lent.extend_from_slice(&owned),
            }
            assert_eq!(lent, owned);
            let mut arena = Arena::new(64);
            let mut batch = BatchReader::copying(&owned, &mut arena);
            let mut read = Vec::new();
            assert_eq!(batch.read_to(&mut read), Some(Ok(())));
            assert_eq!((batch.read_to(&mut read), read), (None, vec![incoming]));
        }
    }
}

#[test]
fn no_truncation_and_no_extension_of_a_message_passes() {
    let mut samples = Samples::new(2);
    for kind in 0..KINDS {
        for _ in 0..20 {
            let bytes = encoded(&samples.of_kind(kind));
            for cut in 0..bytes.len() {
                assert!(decode_message(&bytes.slice(..cut)).is_err(), "cut at {cut}");
            }
            let longer = Bytes::from([&bytes[..], &[0]].concat());
            assert!(decode_message(&longer).is_err());
        }
    }
}

#[test]
fn a_flipped_bit_is_refused_or_gives_a_message_that_is_still_well_formed() {
    let mut samples = Samples::new(3);
    for kind in 0..KINDS {
        for _ in 0..10 {
            let bytes = encoded(&samples.of_kind(kind));
            for at in 0..bytes.len() * 8 {
                let mut flipped = bytes.to_vec();
                flipped[at / 8] ^= 1 << (at % 8);
                // Whoever copies refuses the same.
                let whole = [&u32::try_from(flipped.len()).unwrap().to_le_bytes(), &flipped[..]];
                let (whole, mut arena) = (whole.concat(), Arena::new(64));
                let copied = BatchReader::copying(&whole, &mut arena).next();
                assert_eq!(copied, Some(decode_message(&Bytes::from(flipped.clone()))));
                // What passes must itself be something that can be sent.
                if let Ok(message) = decode_message(&Bytes::from(flipped.clone())) {
                    assert_eq!(encoded(&message), flipped, "bit {at} changed unseen");
                }
            }
        }
    }
}

#[test]
fn no_flipped_bit_within_entries_passes() {
    let mut samples = Samples::new(4);
    for _ in 0..40 {
        let message = samples.of_kind(0);
        let Body::Append(append) = &message.message.body else {
            panic!("kind 0 is an append");
        };
        let Some(chunk) = append.entries.chunks().last() else {
            continue;
        };
        let bytes = encoded(&message);
        // The last chunk's log id, count and length, then its entries.
        for at in bytes.len() - chunk.bytes().len() - 24..bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1;
            assert!(decode_message(&Bytes::from(flipped)).is_err(), "byte {at}");
        }
    }
}

#[test]
fn entries_moved_to_another_group_or_generation_are_refused() {
    let mut samples = Samples::new(5);
    for _ in 0..40 {
        let mut message = samples.of_kind(0);
        let Body::Append(append) = &message.message.body else {
            panic!("kind 0 is an append");
        };
        if append.entries.is_empty() {
            continue;
        }
        message.group = raftlet::core::GroupId::new(message.group.get() ^ 1);
        let moved = decode_message(&encoded(&message));
        assert!(matches!(moved, Err(MessageError::Entries(_))), "{moved:?}");
    }
}

#[test]
fn mutated_bytes_never_panic_and_what_passes_can_be_sent_again() {
    let mut samples = Samples::new(6);
    let mut random = Random::new(7);
    for _ in 0..20_000 {
        let mut bytes = encoded(&samples.any()).to_vec();
        for _ in 0..=random.below(4) {
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            match random.below(3) {
                0 => bytes[at] = 0xff,
                1 => bytes[at] = random.next().to_le_bytes()[0],
                _ => bytes.truncate(at.max(1)),
            }
        }
        let bytes = Bytes::from(bytes);
        if let Ok(message) = decode_message(&bytes) {
            assert_eq!(encoded(&message), bytes);
        }
        BatchReader::new(&bytes).for_each(drop);
    }
}

#[test]
fn claimed_counts_reserve_nothing_beyond_what_arrived() {
    let mut forward = samples_forward(2);
    // The count of commands, in front of the first command.
    let at = 28 + 8;
    forward[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(
        decode_message(&Bytes::from(forward.clone())),
        Err(MessageError::Limit { .. })
    ));
    forward[at..at + 4].copy_from_slice(&60_000_u32.to_le_bytes());
    assert_eq!(decode_message(&Bytes::from(forward)), Err(MessageError::Cut));
}

fn samples_forward(commands: usize) -> Vec<u8> {
    let mut message = Samples::new(8).of_kind(9);
    message.message.body = Body::Forward(Forward {
        first_sequence: 1,
        commands: vec![Bytes::from_static(b"SET k v"); commands],
    });
    encoded(&message).to_vec()
}

#[test]
fn an_index_beyond_the_largest_is_refused_by_name() {
    let mut message = Samples::new(9).of_kind(8);
    message.message.term = raftlet::core::Term::new(NUMBER_MAX + 1);
    let expected = MessageError::Number { field: "term", value: NUMBER_MAX + 1 };
    assert_eq!(decode_message(&encoded(&message)), Err(expected));
}

#[test]
fn what_no_receiver_takes_is_never_encoded() {
    let mut message = Samples::new(10).of_kind(3);
    message.message.body = Body::VoteRequest(VoteRequest {
        kind: VoteKind::Real,
        campaign: 1,
        last: raftlet::core::LogId::default(),
        address: "a".repeat(261),
    });
    assert_eq!(encoded_bytes(&message.message), None);
    let megabyte = Bytes::from(vec![0; 1 << 20]);
    message.message.body =
        Body::Forward(Forward { first_sequence: 1, commands: vec![megabyte; 9] });
    assert_eq!(encoded_bytes(&message.message), None);
}

#[test]
fn entries_and_commands_share_the_received_memory() {
    let mut samples = Samples::new(11);
    let message = loop {
        let message = samples.of_kind(9);
        if matches!(&message.message.body, Body::Forward(f) if f.commands.iter().any(|c| !c.is_empty()))
        {
            break message;
        }
    };
    let bytes = encoded(&message);
    let Body::Forward(forward) = decode_message(&bytes).unwrap().message.body else {
        panic!("a forward went in");
    };
    let received = bytes.as_ptr_range();
    for command in forward.commands.iter().filter(|c| !c.is_empty()) {
        assert!(received.contains(&command.as_ptr()));
    }
}

#[test]
fn a_batch_goes_on_behind_a_wrong_message_and_ends_at_a_wrong_length() {
    let mut samples = Samples::new(12);
    let (first, second) = (samples.of_kind(5), samples.of_kind(7));
    let mut batch = BytesMut::new();
    for message in [&first, &first, &second] {
        let bytes = encoded_bytes(&message.message).unwrap();
        append_to_batch(message.group, &message.message, bytes, &mut batch);
    }
    // The kind of the message in the middle: 4 + 28 bytes are in front of it.
    batch[32 + 4] = 99;
    let whole = batch.freeze();
    let read: Vec<_> = BatchReader::new(&whole).collect();
    assert_eq!(read, [Ok(first), Err(MessageError::Kind(99)), Ok(second.clone())]);
    let cut = whole.slice(..whole.len() - 1);
    let read: Vec<_> = BatchReader::new(&cut).skip(2).collect();
    assert_eq!(read, [Err(MessageError::Batch)]);
}
