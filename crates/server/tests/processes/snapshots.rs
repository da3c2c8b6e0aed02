//! Logs that are let go, and nodes that come back behind them.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::bulk;
use crate::cluster::{Cluster, raftlet};
use crate::waiting::{Run, wait_until};
use raftlet_kv::Reply;

/// A snapshot every few hundred entries and next to no tail.
const OFTEN: [&str; 4] = ["--snapshot-log-entries", "300", "--snapshot-tail-entries", "20"];

fn group(cluster: &Cluster, at: usize) -> serde_json::Value {
    cluster.status(at).map_or(serde_json::Value::Null, |status| status["groups"][0].clone())
}

fn number(cluster: &Cluster, at: usize, name: &str) -> u64 {
    group(cluster, at)[name].as_u64().unwrap_or(0)
}

/// What a node shows of its state, and the entry of the log that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    digest: String,
    index: u64,
}

impl Shown {
    /// `None`: the node shows none yet.
    fn by(cluster: &Cluster, at: usize) -> Option<Self> {
        let group = group(cluster, at);
        let index = group["digest_index"].as_u64().filter(|index| *index > 0)?;
        Some(Self { digest: group["state_digest"].as_str()?.to_owned(), index })
    }
}

/// What all nodes show at one index, once that is behind `after`. Nodes that
/// have just started show what their snapshots hold, and that alike, until a
/// leader has committed what follows in their logs.
fn agreed(cluster: &Cluster, after: u64) -> Shown {
    let mut agreed = None;
    wait_until("all nodes show one state", || {
        let shown: Option<Vec<Shown>> =
            (0..cluster.len()).map(|at| Shown::by(cluster, at)).collect();
        agreed = shown.and_then(|mut shown| {
            let one = shown.pop()?;
            (one.index > after && shown.iter().all(|other| *other == one)).then_some(one)
        });
        agreed.is_some()
    });
    agreed.unwrap()
}

/// Every key with what it holds, in text; read from one node, and true of all.
fn contents(cluster: &Cluster, at: usize) -> BTreeMap<String, String> {
    let mut client = cluster.client(at);
    let Reply::Array(keys) = client.ask(&["KEYS", "*"]) else {
        panic!("KEYS was refused");
    };
    let text = |reply: &Reply| match reply {
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    };
    let mut held = |key: &str| {
        let holds = match &client.ask(&["TYPE", key]) {
            Reply::Simple(kind) => match &kind[..] {
                b"hash" => client.ask(&["HGETALL", key]),
                b"list" => client.ask(&["LRANGE", key, "0", "-1"]),
                b"zset" => client.ask(&["ZRANGE", key, "0", "-1", "WITHSCORES"]),
                _ => client.ask(&["GET", key]),
            },
            other => other.clone(),
        };
        let deadline = client.ask(&["PEXPIRETIME", key]);
        format!("{} until {}", text(&holds), text(&deadline))
    };
    keys.iter().map(text).map(|key| (key.clone(), held(&key))).collect()
}

/// What differs, a line a key.
fn differences(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |key: &&String| before.get(*key) != after.get(*key);
    let line = |key: &String| format!("{key}: {:?}, then {:?}", before.get(key), after.get(key));
    keys.into_iter().filter(differs).map(line).collect()
}

fn write(cluster: &Cluster, at: usize, keys: std::ops::Range<u32>) {
    let mut client = cluster.client(at);
    for key in keys {
        let (key, value) = (format!("k{}", key % 500), key.to_string());
        // On a laden machine leaders change: a SET may be said again.
        wait_until("a write is done", || client.ask(&["SET", &key, &value]) == Reply::OK);
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
    let before = agreed(&cluster, 0);
    assert!(number(&cluster, away, "base_index") > 800, "{}", group(&cluster, away));
    let mut client = cluster.client(away);
    assert_eq!(client.ask(&["HGET", "hash", "field"]), bulk("value"));
    assert_eq!(client.ask(&["LLEN", "list"]), Reply::Integer(3));
    assert_eq!(client.ask(&["GET", "k499"]), bulk("2499"));

    // All of them, from their own files.
    let held = contents(&cluster, leader);
    cluster.kill_all();
    cluster.start_all();
    cluster.wait_ready();
    let after = agreed(&cluster, before.index);
    let differences = differences(&held, &contents(&cluster, away));
    assert!(
        after.digest == before.digest && differences.is_empty(),
        "{before:?}, after a restart {after:?}:\n{}",
        differences.join("\n")
    );
}

#[test]
fn an_operator_has_a_group_written_down() {
    let cluster = Cluster::started(1);
    write(&cluster, 0, 0..50);
    let mut command = raftlet();
    command.args(["snapshot", "--admin", &cluster.admin_address(0)]);
    let output = command.run();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("group 1: snapshot up to "), "{said}");
    wait_until("the snapshot is current", || number(&cluster, 0, "snapshot_index") >= 50);
    let refused = command.args(["--group", "7"]).run();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("no group 7"), "{said}");
}
