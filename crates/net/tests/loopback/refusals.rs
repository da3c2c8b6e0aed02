//! Who is not let in, and what they are told.

use crate::harness::{Node, Seat, cluster, id, on_one_thread, peer, seat};
use crate::raw::{HELLO, REFUSAL, Raw, hello};
use raftlet::core::{ClusterId, Liveness, Run};
use raftlet_net::{NetOptions, RefusalReason};

/// Node 1 as it should be, and node 2 as `change` makes it; each knows the
/// other as node 1 expects it.
async fn pair(
    two: raftlet::core::Sender,
    change_one: impl FnOnce(&mut NetOptions),
    change_two: impl FnOnce(&mut NetOptions),
) -> (Node, Node) {
    let one = Seat::take(seat(1, 100, 1)).await;
    let two = Seat::take(two).await;
    let of_two = peer(seat(2, 200, 1), &two.address);
    let of_one = one.as_peer();
    let one = Node::start(one, vec![of_two], change_one);
    (one, Node::start(two, vec![of_one], change_two))
}

/// Both sides refuse, and each learns it from the other.
async fn both_learn(one: &Node, two: &Node, reason: RefusalReason) -> String {
    two.until("refusal", |n| {
        n.recorder.was_refused_by(reason).is_some() && n.recorder.received.borrow().is_empty()
    })
    .await;
    one.until("refused", |n| {
        let is_alive = matches!(n.liveness(2), Liveness::Alive { .. });
        n.recorder.was_refused(reason) && !n.is_connected(2) && !is_alive
    })
    .await;
    two.recorder.was_refused_by(reason).unwrap()
}

#[test]
fn a_node_of_another_cluster_learns_both_cluster_ids() {
    on_one_thread(async {
        let other = |options: &mut NetOptions| options.identity.cluster = ClusterId(78);
        let (one, two) = pair(seat(2, 200, 1), |_| {}, other).await;
        let text = both_learn(&one, &two, RefusalReason::Cluster).await;
        assert!(text.contains(&ClusterId(77).to_string()), "{text}");
        assert!(text.contains("--initial-members"), "{text}");
    });
}

#[test]
fn a_wiped_node_learns_the_remedy_whoever_dials() {
    on_one_thread(async {
        let (one, two) = pair(seat(2, 201, 1), |_| {}, |_| {}).await;
        let text = both_learn(&one, &two, RefusalReason::Incarnation).await;
        assert!(text.contains("remove the member, add it under a new id"));
        one.send(2, 0..3);
        assert_eq!(one.stats(2).dropped_unconnected, 3);
        // Node 1 met it as dialler and as acceptor, and said so both times.
        one.until("both ways", |n| {
            n.stats(2).refusals_sent > 0 && n.handle.status().handshakes_failed > 0
        })
        .await;
    });
}

#[test]
fn an_old_copy_of_a_directory_is_refused() {
    on_one_thread(async {
        let remembers = |options: &mut NetOptions| {
            options.peers[0].remembered = options.peers[0].expected.map(|i| (i, Run::new(5)));
        };
        let (one, two) = pair(seat(2, 200, 4), remembers, |_| {}).await;
        let text = both_learn(&one, &two, RefusalReason::StaleRun).await;
        assert!(text.contains("start number 4") && text.contains("start number 5"));
    });
}

#[test]
fn a_lower_run_is_refused_after_a_higher_one_was_seen() {
    on_one_thread(async {
        let mut nodes = cluster(2).await;
        nodes[0].until_alive(2, 1).await;
        let address = nodes[1].address.clone();
        let of_one = peer(seat(1, 100, 1), &nodes[0].address);
        nodes.pop().unwrap().kill().await;
        let old = Seat::take_at(seat(2, 200, 0), &address).await;
        let old = Node::start(old, vec![of_one], |_| {});
        both_learn(&nodes[0], &old, RefusalReason::StaleRun).await;
    });
}

#[test]
fn a_run_is_remembered_before_its_node_is_let_in() {
    on_one_thread(async {
        let (one, two) = pair(seat(2, 200, 1), |_| {}, |_| {}).await;
        one.recorder.cannot_remember.set(true);
        two.until("not now", |n| n.recorder.was_refused_by(RefusalReason::NotNow).is_some()).await;
        assert!(one.recorder.remembered.borrow().is_empty());
        assert_eq!(one.liveness(2), Liveness::Unknown);
        one.recorder.cannot_remember.set(false);
        one.until_alive(2, 1).await;
        assert!(one.recorder.remembered.borrow().contains(&seat(2, 200, 1)));
    });
}

#[test]
fn a_node_behind_the_wrong_address_is_named() {
    on_one_thread(async {
        let one = Seat::take(seat(1, 100, 1)).await;
        let three = Seat::take(seat(3, 300, 1)).await;
        let of_two = peer(seat(2, 200, 1), &three.address);
        let of_one = one.as_peer();
        let one = Node::start(one, vec![of_two], |_| {});
        let _three = Node::start(three, vec![of_one], |_| {});
        one.until("refusal", |n| {
            n.recorder
                .was_refused_by(RefusalReason::WrongNode)
                .is_some_and(|text| text.contains("node 3"))
        })
        .await;
    });
}

#[test]
fn a_node_that_dials_itself_says_so() {
    on_one_thread(async {
        let one = Seat::take(seat(1, 100, 1)).await;
        let of_two = peer(seat(2, 200, 1), &one.address);
        let one = Node::start(one, vec![of_two], |_| {});
        one.until("refusal", |n| {
            n.recorder.was_refused_by(RefusalReason::SelfConnection).is_some()
        })
        .await;
    });
}

#[test]
fn a_stranger_and_a_version_to_come_get_a_reason() {
    on_one_thread(async {
        let nodes = cluster(1).await;
        let connect = || tokio::net::TcpStream::connect(&nodes[0].address);
        let mut stranger = Raw::new(connect().await.unwrap());
        stranger.write(HELLO, &hello(77, seat(9, 9, 1), 1)).await;
        let (kind, body) = stranger.read().await;
        assert_eq!((kind, body[0]), (REFUSAL, 9));
        let mut later = Raw::new(connect().await.unwrap());
        let mut versions = hello(77, seat(9, 9, 1), 1);
        versions[8..12].copy_from_slice(&[2, 0, 3, 0]);
        later.write(HELLO, &versions).await;
        let (kind, body) = later.read().await;
        assert_eq!((kind, body[0]), (REFUSAL, 2));
        let text = String::from_utf8_lossy(&body[4..]).into_owned();
        assert!(text.contains("wire versions 2 to 3"), "{text}");
    });
}

#[test]
fn a_configuration_that_names_another_life_ends_the_connections() {
    on_one_thread(async {
        let nodes = cluster(2).await;
        nodes[0].until_alive(2, 1).await;
        nodes[0].handle.set_expected(id(2), raftlet::core::Incarnation(201));
        let incarnation = RefusalReason::Incarnation;
        nodes[1].until("refusal", |n| n.recorder.was_refused_by(incarnation).is_some()).await;
        nodes[0].send(2, 0..1);
        assert_eq!(nodes[0].stats(2).messages_sent, 0);
    });
}
