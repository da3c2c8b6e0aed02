//! The roll call before entry 1 (rule 5), between real nodes.

use crate::harness::{Node, Seat, id, on_one_thread, seat};
use raftlet::core::Sender;
use raftlet_net::{
    NetOptions, PeerOptions, RefusalReason, RollCallMember, RollCallStart, RollCallStatus,
};

fn initial(addresses: &[String]) -> Vec<(raftlet::core::NodeId, String)> {
    let addresses = addresses.iter().cloned();
    (1..).map(id).zip(addresses).collect()
}

/// A member of an initial cluster that knows addresses only.
fn start(seat: Seat, addresses: &[String], call: RollCallStart) -> Node {
    let peer = |(node, address)| PeerOptions { node, address, expected: None, remembered: None };
    let peers = initial(addresses).into_iter().map(peer).collect();
    Node::start(seat, peers, |options: &mut NetOptions| {
        options.roll_call = call;
    })
}

async fn seats() -> (Vec<Seat>, Vec<String>) {
    let mut seats = Vec::new();
    for node in 1..=3 {
        seats.push(Seat::take(seat(node, u128::from(node) * 100, 1)).await);
    }
    let addresses = seats.iter().map(|seat| seat.address.clone()).collect();
    (seats, addresses)
}

async fn complete(node: &Node) -> Vec<RollCallMember> {
    node.until("complete", |n| matches!(n.handle.roll_call(), Some(RollCallStatus::Complete(_))))
        .await;
    let list = node.handle.close_roll_call().unwrap();
    node.handle.roll_call_written();
    list
}

#[test]
fn three_nodes_agree_on_one_list_and_only_then_exchange_messages() {
    on_one_thread(async {
        let (seats, addresses) = seats().await;
        let begins = || RollCallStart::Begins(initial(&addresses));
        let nodes: Vec<Node> =
            seats.into_iter().map(|seat| start(seat, &addresses, begins())).collect();
        nodes[0].until_alive(2, 1).await;
        nodes[0].send(2, 0..1);
        assert_eq!(nodes[0].stats(2).dropped_unconnected, 1);
        let mut lists = Vec::new();
        for node in &nodes {
            lists.push(complete(node).await);
        }
        assert!(lists.iter().all(|list| list == &lists[0]));
        let expected = [(1, 100), (2, 200), (3, 300)];
        for (member, (node, incarnation)) in lists[0].iter().zip(expected) {
            assert_eq!((member.node, member.incarnation.0), (id(node), incarnation));
        }
        nodes[0].send(2, 7..8);
        nodes[1].until("message", |n| n.recorder.numbers() == [7]).await;
    });
}

#[test]
fn a_member_that_is_not_there_is_waited_for_by_name() {
    on_one_thread(async {
        let (mut seats, addresses) = seats().await;
        drop(seats.pop());
        let begins = || RollCallStart::Begins(initial(&addresses));
        let nodes: Vec<Node> =
            seats.into_iter().map(|seat| start(seat, &addresses, begins())).collect();
        nodes[0].until_alive(2, 1).await;
        let Some(RollCallStatus::Waiting(missing)) = nodes[0].handle.roll_call() else {
            panic!("node 3 is missing");
        };
        let three = missing.iter().find(|missing| missing.node == id(3));
        assert!(three.unwrap().to_string().contains(&addresses[2]));
        assert_eq!(nodes[0].handle.close_roll_call(), None);
    });
}

#[test]
fn a_member_wiped_before_anyone_wrote_is_taken_in_its_new_life() {
    on_one_thread(async {
        let (mut seats, addresses) = seats().await;
        let begins = || RollCallStart::Begins(initial(&addresses));
        let three = start(seats.pop().unwrap(), &addresses, begins());
        let one = start(seats.remove(0), &addresses, begins());
        one.until_alive(3, 1).await;
        three.kill().await;
        let wiped: Sender = seat(3, 301, 1);
        let three = Seat::take_at(wiped, &addresses[2]).await;
        let three = start(three, &addresses, begins());
        let two = start(seats.pop().unwrap(), &addresses, begins());
        let list = complete(&one).await;
        assert_eq!(list[2].incarnation, wiped.incarnation);
        assert_eq!(complete(&two).await, list);
        assert_eq!(complete(&three).await, list);
    });
}

#[test]
fn a_member_wiped_after_one_wrote_is_refused_by_it_and_the_others_finish() {
    on_one_thread(async {
        let (mut seats, addresses) = seats().await;
        let begins = || RollCallStart::Begins(initial(&addresses));
        let three = start(seats.pop().unwrap(), &addresses, begins());
        let two = start(seats.pop().unwrap(), &addresses, begins());
        let one = start(seats.pop().unwrap(), &addresses, begins());
        let list = complete(&one).await;
        three.kill().await;
        let wiped = Seat::take_at(seat(3, 301, 1), &addresses[2]).await;
        let wiped = start(wiped, &addresses, begins());
        assert_eq!(complete(&two).await, list);
        wiped
            .until("refusal", |n| {
                let reason = RefusalReason::Incarnation;
                n.recorder.was_refused_by(reason).is_some()
            })
            .await;
        assert_eq!(wiped.handle.close_roll_call(), None);
    });
}

#[test]
fn a_writer_that_starts_again_lets_a_late_member_finish() {
    on_one_thread(async {
        let (mut seats, addresses) = seats().await;
        let begins = || RollCallStart::Begins(initial(&addresses));
        let three = start(seats.pop().unwrap(), &addresses, begins());
        let two = start(seats.pop().unwrap(), &addresses, begins());
        let one = start(seats.pop().unwrap(), &addresses, begins());
        let list = complete(&one).await;
        assert_eq!(complete(&two).await, list);
        // All three are killed; only 1 and 2 had written.
        for node in [one, two, three] {
            node.kill().await;
        }
        let again = Seat::take_at(seat(1, 100, 2), &addresses[0]).await;
        let _one = start(again, &addresses, RollCallStart::Written(list.clone()));
        let again = Seat::take_at(seat(3, 300, 2), &addresses[2]).await;
        let three = start(again, &addresses, begins());
        assert_eq!(complete(&three).await, list);
    });
}
