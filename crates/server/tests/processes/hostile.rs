//! Clients that claim much, send much at once, or never end a request: a node's
//! memory stays within its limits, and others are served (rule 34).

use std::io::Write;
use std::net::TcpStream;

use crate::client::Client;
use crate::cluster::{Cluster, http_get};
use crate::waiting::{connect, wait_until};
use raftlet_kv::Reply;

/// Of a node, in bytes.
fn resident_bytes(cluster: &Cluster, at: usize) -> u64 {
    let path = format!("/proc/{}/status", cluster.process_id(at));
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

#[test]
fn claims_of_length_take_no_memory_and_disturb_nobody() {
    const CLIENTS_LEN: usize = 400;
    let cluster = Cluster::started(1);
    let mut other = cluster.client(0);
    assert_eq!(other.ask(&["SET", "k", "v"]), Reply::OK);
    let before = resident_bytes(&cluster, 0);
    let address = cluster.client_address(0);
    let claims: Vec<TcpStream> = (0..CLIENTS_LEN)
        .map(|_| {
            let mut stream = connect(address).unwrap();
            stream.write_all(b"*1048576\r\n$4000000\r\nx").unwrap();
            stream
        })
        .collect();
    wait_until("all of them were heard", || {
        cluster.status(0).is_some_and(|status| {
            status["clients"]["connected"].as_u64() > u64::try_from(CLIENTS_LEN).ok()
        })
    });
    assert_eq!(other.ask(&["PING"]), Reply::simple_static("PONG"));
    let grown = resident_bytes(&cluster, 0).saturating_sub(before);
    // 1.5 GiB were claimed. A connection itself takes some 20 KiB.
    assert!(grown < 64 << 20, "{grown} bytes for {CLIENTS_LEN} claims");
    drop(claims);
}

#[test]
fn a_length_of_512_mebibytes_is_refused_when_it_is_claimed() {
    let cluster = Cluster::started(1);
    let mut stream = connect(cluster.client_address(0)).unwrap();
    stream.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n").unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    assert!(text.contains("bigger than this node's limit"), "{text}");
    assert_eq!(cluster.status(0).unwrap()["clients"]["requests_too_big"], 1);
}

#[test]
fn a_burst_of_a_hundred_thousand_requests_is_answered_in_order_in_bounded_memory() {
    const REQUESTS_LEN: usize = 100_000;
    let cluster = Cluster::started(1);
    let mut client = cluster.client(0);
    assert_eq!(client.ask(&["DEL", "n"]), Reply::Integer(0));
    let before = resident_bytes(&cluster, 0);
    let mut sender = Client::connect(cluster.client_address(0)).unwrap();
    let mut receiver = sender.second_half().unwrap();
    let sending = std::thread::spawn(move || {
        for _ in 0..REQUESTS_LEN / 1_000 {
            sender.send(&vec![&["ECHO", "x"][..]; 1_000]).unwrap();
        }
        sender.send(&[&["INCR", "n"]]).unwrap();
    });
    for _ in 0..REQUESTS_LEN {
        assert_eq!(receiver.receive().unwrap(), Reply::Bulk("x".into()));
    }
    assert_eq!(receiver.receive().unwrap(), Reply::Integer(1));
    sending.join().unwrap();
    let grown = resident_bytes(&cluster, 0).saturating_sub(before);
    // A pipeline's 16 MiB, the output's 1 MiB, and what an allocator keeps.
    assert!(grown < 64 << 20, "{grown} bytes for the burst");
}

/// Unanswered requests of the client that has most of them, as the node says.
fn fullest_pipeline_len(cluster: &Cluster) -> u64 {
    let port = cluster.admin_address(0).rsplit_once(':').unwrap().1.parse().unwrap();
    let (_, text) = http_get(port, "/metrics").unwrap();
    let line = text.lines().find(|line| line.starts_with("raftlet_client_pipeline_len ")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn who_pipelines_without_end_has_less_under_way_while_others_ask() {
    /// Half of what one alone may have.
    const PART_LEN: u64 = 512;
    let cluster = Cluster::started(1);
    let mut sender = Client::connect(cluster.client_address(0)).unwrap();
    let mut receiver = sender.second_half().unwrap();
    let sending = std::thread::spawn(move || {
        let requests = vec![&["INCR", "n"][..]; 1_000];
        while sender.send(&requests).is_ok() {}
    });
    let receiving = std::thread::spawn(move || while receiver.receive().is_ok() {});
    wait_until("a client alone fills its pipeline", || fullest_pipeline_len(&cluster) > PART_LEN);
    let mut other = cluster.client(0);
    let mut looks_alike = 0;
    wait_until("beside another it has its part", || {
        for _ in 0..20 {
            assert_eq!(other.ask(&["PING"]), Reply::simple_static("PONG"));
        }
        let is_part = fullest_pipeline_len(&cluster) <= PART_LEN;
        looks_alike = if is_part { looks_alike + 1 } else { 0 };
        looks_alike > 20
    });
    drop(cluster);
    sending.join().unwrap();
    receiving.join().unwrap();
}
