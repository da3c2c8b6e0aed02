//! Messages arrive.

use crate::harness::{Node, Seat, cluster, id, numbered, on_one_thread, seat};
use raftlet::Rpc;
use raftlet_net::NodeAddresses;

#[test]
fn two_nodes_exchange_batches_and_the_sender_is_the_one_proved() {
    on_one_thread(async {
        let nodes = cluster(2).await;
        let [one, two] = &nodes[..] else { panic!("two") };
        one.until_alive(2, 1).await;
        two.until_alive(1, 1).await;
        one.send(2, 0..5);
        two.send(1, 10..12);
        two.until("five", |n| n.recorder.numbers().len() == 5).await;
        one.until("two", |n| n.recorder.numbers().len() == 2).await;
        assert_eq!(two.recorder.numbers(), [0, 1, 2, 3, 4]);
        let received = one.recorder.received.borrow();
        assert!(received.iter().all(|(from, _)| *from == seat(2, 200, 1)));
        assert_eq!(received[0].1, numbered(10));
    });
}

#[test]
fn a_node_tells_its_peers_where_clients_and_operators_reach_it() {
    on_one_thread(async {
        let (one, two) = (Seat::take(seat(1, 100, 1)).await, Seat::take(seat(2, 200, 1)).await);
        let peers = vec![one.as_peer(), two.as_peer()];
        let doors = NodeAddresses { client: "c:1".to_owned(), admin: "a:1".to_owned() };
        let told = doors.clone();
        let one = Node::start(one, peers.clone(), |options| options.addresses = told);
        let two = Node::start(two, peers, |_| {});
        two.until("an introduction", |n| n.handle.addresses(id(1)).is_some()).await;
        assert_eq!(two.handle.addresses(id(1)), Some(doors));
        one.until("another", |n| n.handle.addresses(id(2)).is_some()).await;
        assert_eq!(one.handle.addresses(id(2)), Some(NodeAddresses::default()));
        assert_eq!(one.handle.addresses(id(3)), None);
    });
}

#[test]
fn three_nodes_reach_one_another_in_every_direction() {
    on_one_thread(async {
        let nodes = cluster(3).await;
        for (node, number) in nodes.iter().zip(1..) {
            for peer in (1..=3).filter(|peer| *peer != number) {
                node.until_alive(peer, 1).await;
            }
        }
        for (node, number) in nodes.iter().zip(1..) {
            for peer in (1..=3).filter(|peer| *peer != number) {
                node.send(peer, [number * 100 + peer].into_iter());
            }
        }
        for (node, number) in nodes.iter().zip(1..) {
            node.until("both", |n| n.recorder.numbers().len() == 2).await;
            let mut numbers = node.recorder.numbers();
            numbers.sort_unstable();
            let others = (1..=3).filter(|other| *other != number);
            let expected: Vec<u64> = others.map(|other| other * 100 + number).collect();
            assert_eq!(numbers, expected);
        }
    });
}

#[test]
fn ten_thousand_messages_arrive_intact_and_in_order_on_one_connection() {
    on_one_thread(async {
        let nodes = cluster(2).await;
        let [one, two] = &nodes[..] else { panic!("two") };
        one.until_alive(2, 1).await;
        for turn in 0..1000 {
            one.send(2, turn * 10..(turn + 1) * 10);
            if turn % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        two.until("all", |n| n.recorder.numbers().len() == 10_000).await;
        assert_eq!(two.recorder.numbers(), (0..10_000).collect::<Vec<_>>());
        let sent = one.stats(2);
        assert_eq!((sent.messages_sent, sent.connects), (10_000, 1));
        assert_eq!(two.stats(1).messages_received, 10_000);
    });
}

#[test]
fn messages_for_nobody_are_counted_and_forgotten() {
    on_one_thread(async {
        let nodes = cluster(1).await;
        nodes[0].send(9, 0..3);
        nodes[0].rpc.send(id(1), &mut vec![numbered(1)]);
        assert_eq!(nodes[0].handle.status().unroutable, 4);
    });
}
