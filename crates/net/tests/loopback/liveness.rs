//! Who is alive.

use std::time::Duration;

use tokio::net::TcpListener;

use crate::harness::{Node, Seat, cluster, id, on_one_thread, peer, seat};
use crate::raw::Raw;
use raftlet::FailureDetector;
use raftlet::core::{Generation, GroupId, Liveness, Run, Term};
use raftlet_net::Disowned;

fn quick(options: &mut raftlet_net::NetOptions) {
    options.suspect_after = Duration::from_millis(300);
    options.idle_after = Duration::from_millis(600);
}

#[test]
fn a_killed_process_is_suspected_by_its_closed_port_not_by_silence() {
    on_one_thread(async {
        // Silence takes twenty seconds to count here.
        let mut nodes = cluster(2).await;
        nodes[0].until_alive(2, 1).await;
        nodes.pop().unwrap().kill().await;
        let one = &nodes[0];
        one.until("suspicion", |n| n.liveness(2) == Liveness::Suspected).await;
        let told = one.recorder.liveness.borrow();
        assert_eq!(told.last(), Some(&(id(2), Liveness::Suspected)));
    });
}

#[test]
fn a_restarted_process_is_alive_in_its_new_run_and_speaks_as_it() {
    on_one_thread(async {
        let mut nodes = cluster(2).await;
        nodes[0].until_alive(2, 1).await;
        let address = nodes[1].address.clone();
        let peers = vec![peer(seat(1, 100, 1), &nodes[0].address)];
        nodes.pop().unwrap().kill().await;
        let again = Seat::take_at(seat(2, 200, 2), &address).await;
        let two = Node::start(again, peers, |_| {});
        let one = &nodes[0];
        one.until_alive(2, 2).await;
        two.until_alive(1, 1).await;
        two.send(1, 5..6);
        one.until("message", |n| !n.recorder.numbers().is_empty()).await;
        let received = one.recorder.received.borrow();
        assert_eq!(received[0].0.run, Run::new(2));
        // Between the two runs trust ended.
        let told = one.recorder.liveness.borrow();
        assert!(told.contains(&(id(2), Liveness::Suspected)), "{told:?}");
    });
}

#[test]
fn a_process_that_accepts_and_says_nothing_is_suspected_and_dialled_anew() {
    on_one_thread(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let two = seat(2, 200, 1);
        let one = Seat::take(seat(1, 100, 1)).await;
        let one = Node::start(one, vec![peer(two, &address)], quick);
        let mut first = Raw::accept(silent.accept().await.unwrap().0, 77, two).await;
        one.until("connected", |n| n.is_connected(2)).await;
        one.until("suspicion", |n| n.liveness(2) == Liveness::Suspected).await;
        first.until_closed().await;
        // The half-open connection was given up and another one made.
        let mut second = Raw::new(silent.accept().await.unwrap().0);
        assert_eq!(second.read().await.0, crate::raw::HELLO);
    });
}

#[test]
fn a_node_whose_shard_stands_still_is_suspected_though_it_answers() {
    on_one_thread(async {
        let mut seats = Vec::new();
        for node in 1..=2 {
            seats.push(Seat::take(seat(node, u128::from(node) * 100, 1)).await);
        }
        let peers: Vec<_> = seats.iter().map(Seat::as_peer).collect();
        let start = |seat| Node::start(seat, peers.clone(), quick);
        let nodes: Vec<Node> = seats.into_iter().map(start).collect();
        let [one, two] = &nodes[..] else { panic!("two") };
        one.until_alive(2, 1).await;
        two.until("a turn", |n| n.recorder.turns.get() > 0).await;
        two.recorder.is_stuck.set(true);
        one.until("suspicion", |n| n.liveness(2) == Liveness::Suspected).await;
        assert!(one.is_connected(2));
        two.recorder.is_stuck.set(false);
        one.until_alive(2, 1).await;
    });
}

#[test]
fn what_a_node_disowned_before_anybody_listened_is_heard_and_then_told_no_more() {
    on_one_thread(async {
        let nodes = cluster(3).await;
        let disowned =
            Disowned { group: GroupId::new(7), generation: Generation::new(1), term: Term::new(3) };
        let Disowned { group, generation, term } = disowned;
        nodes[0].detector.disown(group, generation, term);
        for node in &nodes[1..] {
            node.until("its word", |n| !n.recorder.disowned.borrow().is_empty()).await;
            assert_eq!(node.recorder.disowned.borrow()[0], (id(1), disowned));
        }
        // Answered within some heartbeats; after that only liveness is told.
        for node in &nodes[1..] {
            let mut heard = 0;
            let mut beats = nodes[0].recorder.turns.get();
            nodes[0]
                .until("no more of it", |n| {
                    let now = node.recorder.disowned.borrow().len();
                    if std::mem::replace(&mut heard, now) != now {
                        beats = n.recorder.turns.get();
                    }
                    n.recorder.turns.get() > beats + 5
                })
                .await;
        }
    });
}
