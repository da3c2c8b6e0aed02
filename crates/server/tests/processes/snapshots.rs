//! Logs that are let go, and nodes that come back behind them.

use crate::client::bulk;
use crate::cluster::{Cluster, raftlet, wait_until};
use raftlet_kv::Reply;

/// A snapshot every few hundred entries and next to no tail.
const OFTEN: [&str; 4] = ["--snapshot-log-entries", "300", "--snapshot-tail-entries", "20"];

fn group(cluster: &Cluster, at: usize) -> serde_json::Value {
    cluster.status(at).map_or(serde_json::Value::Null, |status| status["groups"][0].clone())
}

fn number(cluster: &Cluster, at: usize, name: &str) -> u64 {
    group(cluster, at)[name].as_u64().unwrap_or(0)
}

/// Whether all nodes show one state at one index.
fn agree(cluster: &Cluster) -> bool {
    let shown: Vec<_> = (0..cluster.len())
        .map(|at| group(cluster, at))
        .map(|group| (group["state_digest"].clone(), group["digest_index"].clone()))
        .collect();
    shown.iter().all(|one| *one == shown[0] && !one.0.is_null())
}

fn write(cluster: &Cluster, at: usize, keys: std::ops::Range<u32>) {
    let mut client = cluster.client(at);
    for key in keys {
        let (key, value) = (format!("k{}", key % 500), key.to_string());
        assert_eq!(client.ask(&["SET", &key, &value]), Reply::OK);
    }
}

#[test]
fn a_node_that_returns_behind_a_compacted_log_under_load_has_the_same_state() {
    let mut cluster = Cluster::new(3);
    cluster.flags(&OFTEN);
    cluster.start_all();
    cluster.wait_ready();
    let (leader, away) = (cluster.leader(), cluster.follower());
    write(&cluster, leader, 0..100);
    cluster.kill(away);
    let mut types = cluster.client(leader);
    types.ask(&["HSET", "hash", "field", "value"]);
    types.ask(&["RPUSH", "list", "a", "b", "a"]);
    types.ask(&["ZADD", "sorted", "1.5", "member"]);
    types.ask(&["SET", "lapses", "soon", "EX", "5000"]);
    write(&cluster, leader, 100..1_500);
    wait_until("the log of the leader is compacted", || {
        number(&cluster, leader, "base_index") > 800
    });
    cluster.start(away);
    write(&cluster, leader, 1_500..2_500);
    cluster.wait_ready();
    wait_until("all nodes show one state", || agree(&cluster));
    assert!(number(&cluster, away, "base_index") > 800, "{}", group(&cluster, away));
    let mut client = cluster.client(away);
    assert_eq!(client.ask(&["HGET", "hash", "field"]), bulk("value"));
    assert_eq!(client.ask(&["LLEN", "list"]), Reply::Integer(3));
    assert_eq!(client.ask(&["GET", "k499"]), bulk("2499"));

    // All of them, from their own files.
    let before = group(&cluster, leader)["state_digest"].clone();
    cluster.kill_all();
    cluster.start_all();
    cluster.wait_ready();
    wait_until("all nodes show one state again", || agree(&cluster));
    assert_eq!(group(&cluster, away)["state_digest"], before);
}

#[test]
fn an_operator_has_a_group_written_down() {
    let cluster = Cluster::started(1);
    write(&cluster, 0, 0..50);
    let mut command = raftlet();
    command.args(["snapshot", "--admin", &cluster.admin_address(0)]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("group 1: snapshot up to "), "{said}");
    wait_until("the snapshot is current", || number(&cluster, 0, "snapshot_index") >= 50);
    let refused = command.args(["--group", "7"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("no group 7"), "{said}");
}
