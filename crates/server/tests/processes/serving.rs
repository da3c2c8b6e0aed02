//! Any node serves any command, in order, and never hangs (D8, rules 32-34).

use std::time::Instant;

use crate::client::{bulk, error_text};
use crate::cluster::{Cluster, http_get};
use raftlet_kv::Reply;

#[test]
fn what_one_node_acknowledged_every_node_reads() {
    let cluster = Cluster::started(3);
    for number in 0..30 {
        let (writer, reader) = (number % 3, (number + 1) % 3);
        let value = number.to_string();
        assert_eq!(cluster.client(writer).ask(&["SET", "k", &value]), Reply::OK);
        assert_eq!(cluster.client(reader).ask(&["GET", "k"]), bulk(&value));
    }
    let mut client = cluster.client(cluster.follower());
    assert_eq!(client.ask(&["MSET", "a", "1", "b", "2"]), Reply::OK);
    assert_eq!(
        client.ask(&["MGET", "a", "none", "b"]),
        Reply::Array(vec![bulk("1"), Reply::Null, bulk("2")])
    );
    assert_eq!(client.ask(&["DEL", "a", "none"]), Reply::Integer(1));
    assert_eq!(client.ask(&["EXISTS", "a", "b"]), Reply::Integer(1));
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Integer(2));
    assert!(error_text(&client.ask(&["INCR", "k", "x"])).starts_with("ERR wrong number"));
}

#[test]
fn a_pipeline_is_answered_in_order_at_leader_and_follower() {
    let cluster = Cluster::started(3);
    for at in [cluster.leader(), cluster.follower()] {
        let mut client = cluster.client(at);
        let key = format!("count-{at}");
        let mut requests: Vec<[&str; 2]> = Vec::new();
        for _ in 0..100 {
            requests.push(["INCR", &key]);
            requests.push(["GET", &key]);
            requests.push(["ECHO", "between"]);
        }
        let requests: Vec<&[&str]> = requests.iter().map(|request| &request[..]).collect();
        client.send(&requests).unwrap();
        for number in 1..=100 {
            assert_eq!(client.receive().unwrap(), Reply::Integer(number));
            assert_eq!(client.receive().unwrap(), bulk(&number.to_string()));
            assert_eq!(client.receive().unwrap(), bulk("between"));
        }
    }
}

#[test]
fn without_a_quorum_commands_end_within_the_bound_and_by_their_prefix() {
    let mut cluster = Cluster::new(3);
    cluster.flags(&["--propose-timeout-ms", "500"]);
    cluster.start_all();
    cluster.wait_ready();
    let survivor = cluster.follower();
    for at in (0..3).filter(|at| *at != survivor) {
        cluster.kill(at);
    }
    let mut client = cluster.client(survivor);
    let began = Instant::now();
    for request in [&["SET", "k", "v"][..], &["GET", "k"], &["INCR", "n"]] {
        let text = error_text(&client.ask(request));
        let allowed = ["CLUSTERDOWN ", "UNKNOWN "];
        assert!(
            allowed.iter().any(|prefix| text.starts_with(prefix)),
            "{request:?} was answered '{text}'"
        );
    }
    let took = began.elapsed().as_secs();
    assert!(took < 20, "three commands took {took} s with a bound of 0.5 s");
    assert_eq!(client.ask(&["PING"]), Reply::simple_static("PONG"));
    let status = cluster.status(survivor).unwrap();
    assert_eq!(status["node_id"], survivor as u64 + 1);
}

#[test]
fn a_client_that_makes_no_sense_is_told_so_and_disturbs_nobody() {
    let cluster = Cluster::started(1);
    let mut broken = cluster.client(0);
    broken.send(&[&["PING"]]).unwrap();
    assert_eq!(broken.receive().unwrap(), Reply::simple_static("PONG"));
    let mut raw = std::net::TcpStream::connect(cluster.client_address(0)).unwrap();
    std::io::Write::write_all(&mut raw, b"*1\r\n!3\r\nfoo\r\n").unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut raw, &mut text).unwrap();
    assert!(text.starts_with("-ERR Protocol error"), "{text}");
    assert_eq!(cluster.client(0).ask(&["SET", "k", "v"]), Reply::OK);
}

#[test]
fn the_admin_port_tells_status_and_health() {
    let cluster = Cluster::started(1);
    let address = cluster.admin_address(0);
    let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
    assert_eq!(http_get(port, "/livez").unwrap().0, 200);
    assert_eq!(http_get(port, "/readyz").unwrap().0, 200);
    assert_eq!(http_get(port, "/nothing").unwrap().0, 404);
    let output = crate::cluster::raftlet()
        .args(["status", "--json", "--check", "--admin", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for field in ["node_id", "cluster_id", "uptime_ms", "disk_mode", "log", "groups"] {
        assert!(!status[field].is_null(), "no {field} in {status}");
    }
    for field in [
        "group",
        "role",
        "term",
        "leader",
        "commit_index",
        "applied_index",
        "state_digest",
        "digest_index",
        "members",
    ] {
        assert!(!status["groups"][0][field].is_null(), "no {field} in {status}");
    }
    let table = crate::cluster::raftlet().args(["status", "--admin", &address]).output().unwrap();
    assert!(String::from_utf8_lossy(&table.stdout).contains("leader"));
}
