//! Counted, not believed: a put costs one flush a node, and many clients share
//! flushes (rule 30).

use crate::cluster::{Cluster, wait_until};
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
    let mut client = cluster.client(cluster.leader());
    let before = settled(&cluster);
    for number in 0..PUTS {
        assert_eq!(client.ask(&["SET", "k", &number.to_string()]), Reply::OK);
    }
    let flushed = increase(&before, &settled(&cluster));
    // A member may fold two into one when it lags behind the quorum; it never
    // needs more, but for a campaign on a laden machine.
    for flushes in &flushed {
        assert!((PUTS / 2..=PUTS + 5).contains(flushes), "{PUTS} puts took {flushed:?} flushes");
    }
    let leader = cluster.status(cluster.leader()).unwrap();
    let early = leader["log"]["writes_started_before_first_ack"].as_u64().unwrap();
    assert!(early >= PUTS / 2, "only {early} writes began before the first ack");
}

#[test]
fn many_clients_share_flushes() {
    const CLIENTS: u64 = 64;
    let cluster = Cluster::started(3);
    let leader = cluster.leader();
    let before = settled(&cluster);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let cluster = &cluster;
            scope.spawn(move || {
                let mut connection = cluster.client(leader);
                for number in 0..PUTS {
                    let value = format!("{client}-{number}");
                    assert_eq!(connection.ask(&["SET", "k", &value]), Reply::OK);
                }
            });
        }
    });
    let flushed = increase(&before, &settled(&cluster));
    let puts = CLIENTS * PUTS;
    for flushes in &flushed {
        assert!(*flushes < puts / 4, "{puts} puts took {flushed:?} flushes");
    }
}
