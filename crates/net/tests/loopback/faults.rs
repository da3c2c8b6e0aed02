//! What damaged, hostile and slow peers can do: little.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::harness::{Node, Seat, cluster, id, numbered, on_one_thread, peer, seat};
use crate::raw::{MESSAGES, Raw};
use raftlet::core::{Body, Forward};
use raftlet::{Incoming, Rpc};

/// Passes bytes on to `to`; the byte at `flip`, when set, is changed once.
async fn proxy(to: String, flip: Rc<Cell<bool>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    spawn_local(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let Ok(far) = TcpStream::connect(&to).await else {
                continue;
            };
            let (mut near_in, mut near_out) = near.into_split();
            let (mut far_in, mut far_out) = far.into_split();
            let flip = Rc::clone(&flip);
            spawn_local(async move {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(n @ 1..) = near_in.read(&mut buffer).await {
                    if n > 1000 && flip.take() {
                        buffer[n / 2] ^= 0x10;
                    }
                    if far_out.write_all(&buffer[..n]).await.is_err() {
                        break;
                    }
                }
            });
            spawn_local(async move { tokio::io::copy(&mut far_in, &mut near_out).await });
        }
    });
    address
}

#[test]
fn a_damaged_frame_ends_its_connection_and_nothing_damaged_is_delivered() {
    on_one_thread(async {
        let one = Seat::take(seat(1, 100, 1)).await;
        let two = Seat::take(seat(2, 200, 1)).await;
        let flip = Rc::new(Cell::new(false));
        let damaging = proxy(two.address.clone(), Rc::clone(&flip)).await;
        let of_one = one.as_peer();
        let of_two = peer(two.sender, &damaging);
        let one = Node::start(one, vec![of_two], |_| {});
        let two = Node::start(two, vec![of_one], |_| {});
        one.until_alive(2, 1).await;
        flip.set(true);
        one.send(2, 1_000_000..1_000_100);
        two.until("end", |n| n.stats(1).protocol_errors == 1).await;
        assert!(!flip.get(), "nothing was damaged");
        assert_eq!(two.recorder.numbers(), []);
        one.until("reconnect", |n| n.stats(2).connects == 2).await;
        one.send(2, 0..3);
        two.until("three", |n| n.recorder.numbers() == [0, 1, 2]).await;
    });
}

#[test]
fn an_oversized_claim_ends_the_connection() {
    on_one_thread(async {
        let (one, two) = with_raw_peer().await;
        let mut raw = Raw::dial(&one.address, 77, two, 1).await;
        let header = raw.header(MESSAGES, u32::MAX, &[]);
        raw.stream.write_all(&header).await.unwrap();
        raw.until_closed().await;
        // The first frame of a connection belongs to its handshake.
        one.until("count", |n| n.handle.status().handshakes_failed == 1).await;
    });
}

#[test]
fn a_wrong_message_is_skipped_and_counted_and_its_batch_goes_on() {
    on_one_thread(async {
        let (one, two) = with_raw_peer().await;
        let mut raw = Raw::dial(&one.address, 77, two, 1).await;
        let mut damaged = batch_of(1);
        damaged[4] = 99;
        let batch = [batch_of(0), damaged, batch_of(2)].concat();
        raw.write(MESSAGES, &batch).await;
        one.until("two of three", |n| n.recorder.numbers() == [0, 2]).await;
        assert_eq!(one.stats(2).messages_refused, 1);
        // A length that does not add up ends it.
        raw.write(MESSAGES, &batch[..batch.len() - 1]).await;
        raw.until_closed().await;
        assert_eq!(one.stats(2).protocol_errors, 1);
    });
}

#[test]
fn a_connection_cut_at_any_byte_of_a_frame_leaves_nothing_behind() {
    on_one_thread(async {
        let (one, two) = with_raw_peer().await;
        let batch = batch_of(7);
        let mut cut = 0;
        loop {
            let mut raw = Raw::dial(&one.address, 77, two, 1).await;
            let length = u32::try_from(batch.len()).unwrap();
            let frame = [&raw.header(MESSAGES, length, &batch)[..], &batch].concat();
            raw.stream.write_all(&frame[..cut]).await.unwrap();
            if cut == frame.len() {
                break;
            }
            raw.stream.shutdown().await.unwrap();
            raw.until_closed().await;
            assert_eq!(one.recorder.numbers(), [], "cut at {cut}");
            cut += 1;
        }
        one.until("whole", |n| n.recorder.numbers() == [7]).await;
    });
}

#[test]
fn a_newer_connection_takes_the_place_of_an_older_one() {
    on_one_thread(async {
        let (one, two) = with_raw_peer().await;
        let mut first = Raw::dial(&one.address, 77, two, 1).await;
        first.write(MESSAGES, &[]).await;
        one.until("first", |n| n.stats(2).frames_received == 1).await;
        let mut second = Raw::dial(&one.address, 77, two, 1).await;
        second.write(MESSAGES, &[]).await;
        first.until_closed().await;
        second.write(MESSAGES, &[]).await;
        one.until("second", |n| n.stats(2).frames_received == 3).await;
    });
}

#[test]
fn garbage_at_the_door_harms_nobody() {
    on_one_thread(async {
        let nodes = cluster(2).await;
        for _ in 0..20 {
            let mut stream = TcpStream::connect(&nodes[0].address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            Raw::new(stream).until_closed().await;
        }
        assert_eq!(nodes[0].handle.status().handshakes_failed, 20);
        nodes[0].until_alive(2, 1).await;
    });
}

#[test]
fn connections_that_never_speak_are_bounded_and_let_go() {
    on_one_thread(async {
        let two = Seat::take(seat(2, 200, 1)).await;
        let one = Seat::take(seat(1, 100, 1)).await;
        let of_one = one.as_peer();
        let of_two = two.as_peer();
        let one = Node::start(one, vec![of_two], |options| {
            options.handshakes_max = 2;
            options.handshake_timeout = Duration::from_millis(300);
        });
        let mut mute = Vec::new();
        for _ in 0..4 {
            mute.push(TcpStream::connect(&one.address).await.unwrap());
        }
        one.until("turned away", |n| n.handle.status().turned_away >= 2).await;
        one.until("deadline", |n| n.handle.status().handshakes_failed == 2).await;
        let _two = Node::start(two, vec![of_one], |_| {});
        one.until_alive(2, 1).await;
    });
}

#[test]
fn a_peer_that_does_not_read_costs_bounded_memory_and_drops_are_counted() {
    on_one_thread(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let two = seat(2, 200, 1);
        let one = Seat::take(seat(1, 100, 1)).await;
        let one = Node::start(one, vec![peer(two, &address)], |options| {
            options.outbox_bytes_max = 9 << 20;
        });
        let raw = Raw::accept(listener.accept().await.unwrap().0, 77, two).await;
        one.until("connected", |n| n.is_connected(2)).await;
        for _ in 0..64 {
            one.rpc.send(id(2), &mut vec![megabyte()]);
            assert!(one.stats(2).outbox_bytes <= 9 << 20);
            tokio::task::yield_now().await;
        }
        let stats = one.stats(2);
        assert_eq!(stats.messages_sent + stats.dropped_full, 64);
        assert!(stats.dropped_full > 0, "{stats:?}");
        drop(raw);
        one.until("end", |n| n.stats(2).outbox_bytes == 0).await;
    });
}

fn megabyte() -> Incoming {
    let mut message = numbered(0);
    message.message.body =
        Body::Forward(Forward { first_sequence: 1, commands: vec![Bytes::from(vec![7; 1 << 20])] });
    message
}

/// The body of a frame with one message.
fn batch_of(number: u64) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    raftlet_net::encode_message(&numbered(number), &mut bytes);
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [&length[..], &bytes].concat()
}

/// Node 1, and the identity of a node 2 that is played by hand.
async fn with_raw_peer() -> (Node, raftlet::core::Sender) {
    let two = seat(2, 200, 1);
    let one = Seat::take(seat(1, 100, 1)).await;
    // Nobody listens at port 1.
    let one = Node::start(one, vec![peer(two, "127.0.0.1:1")], |_| {});
    (one, two)
}
