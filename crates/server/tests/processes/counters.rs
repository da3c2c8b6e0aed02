//! Counted, not believed: a put costs one flush a node, and many clients share
//! flushes (rule 30).

use crate::cluster::{Cluster, undisturbed};
use crate::waiting::wait_until;
use raftlet_kv::Reply;

const PUTS: u64 = 50;

fn flushes(cluster: &Cluster) -> Vec<u64> {
    (0..cluster.len())
        .map(|at| {
            let status = cluster.status(at).unwrap();
            status["log"]["log_flushes"].as_u64().unwrap()
        })
        .collect()
}

/// Writes of this leader that began before a follower had acknowledged them.
fn started_before_first_ack(cluster: &Cluster, leader: usize) -> u64 {
    let status = cluster.status(leader).unwrap();
    status["log"]["writes_started_before_first_ack"].as_u64().unwrap()
}

/// Waits until nothing is flushed any more.
fn settled(cluster: &Cluster) -> Vec<u64> {
    let mut seen = flushes(cluster);
    let mut still = 0;
    wait_until("the logs are quiet", || {
        let now = flushes(cluster);
        still = if now == seen { still + 1 } else { 0 };
        seen = now;
        still >= 20
    });
    seen
}

fn increase(before: &[u64], after: &[u64]) -> Vec<u64> {
    before.iter().zip(after).map(|(before, after)| after - before).collect()
}

#[test]
fn with_one_client_a_put_costs_one_flush_on_every_node() {
    let cluster = Cluster::started(3);
    let (flushed, early) = undisturbed(&cluster, || {
        let leader = cluster.leader();
        let mut client = cluster.client(leader);
        let before = settled(&cluster);
        let early_before = started_before_first_ack(&cluster, leader);
        let done = (0..PUTS).all(|put| client.ask(&["SET", "k", &put.to_string()]) == Reply::OK);
        let flushed = increase(&before, &settled(&cluster));
        let early = started_before_first_ack(&cluster, leader) - early_before;
        done.then_some((flushed, early))
    });
    // A member that lags behind the quorum may fold two into one; it never
    // needs more. Some entries of the leader's own may come in between.
    for flushes in &flushed {
        let expected = PUTS / 2..=PUTS + 3;
        assert!(expected.contains(flushes), "{PUTS} puts took {flushed:?} flushes");
    }
    assert!(early >= PUTS / 2, "only {early} of {PUTS} writes began before the first ack");
}

#[test]
fn many_clients_share_flushes() {
    const CLIENTS: u64 = 64;
    let cluster = Cluster::started(3);
    let flushed = undisturbed(&cluster, || {
        let leader = cluster.leader();
        let before = settled(&cluster);
        let done = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let cluster = &cluster;
                    scope.spawn(move || {
                        let mut connection = cluster.client(leader);
                        (0..PUTS).all(|put| {
                            let value = format!("{client}-{put}");
                            connection.ask(&["SET", "k", &value]) == Reply::OK
                        })
                    })
                })
                .collect();
            clients.into_iter().all(|client| client.join().unwrap())
        });
        done.then(|| increase(&before, &settled(&cluster)))
    });
    let puts = CLIENTS * PUTS;
    for flushes in &flushed {
        assert!(*flushes < puts / 4, "{puts} puts took {flushed:?} flushes");
    }
}
