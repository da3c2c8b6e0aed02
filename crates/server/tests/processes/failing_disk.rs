//! A disk that fails ends the node, and not before everybody who waits knows
//! how it stands (rules 9, 33).
//!
//! A write behind the limit on the size of files fails like one on a broken
//! device; the shell sees to it that it does not end the process instead.

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::client::{Client, error_text};
use crate::cluster::{Cluster, in_shell};
use raftlet_kv::Reply;

/// Above what a node prints; its log is longer by then.
const LIMIT_BYTES: u64 = 64 << 10;

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
}

#[test]
fn whoever_waits_when_the_disk_fails_is_answered_before_the_node_ends() {
    const CLIENTS: usize = 200;
    let mut cluster = Cluster::new(3);
    // Far from over when the disk fails, on a laden machine too: what is asked waits
    // for the others, under a leader that has not missed them yet.
    cluster.flags(&["--election-timeout-ms", "4000", "--propose-timeout-ms", "20000"]);
    let pids: Vec<Pid> = (0..3)
        .map(|at| {
            let command = in_shell("trap '' XFSZ", &cluster.command(at));
            pid(cluster.start_as(at, command))
        })
        .collect();
    cluster.wait_ready();
    let leader = cluster.leader();
    let large = "x".repeat(4 * usize::try_from(LIMIT_BYTES).unwrap());
    assert_eq!(cluster.client(leader).ask(&["SET", "large", &large]), Reply::OK);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| cluster.client(leader)).collect();
    let mut last = cluster.client(leader);
    for at in (0..3).filter(|at| *at != leader) {
        kill_process(pids[at], Signal::STOP).unwrap();
    }
    for client in &mut clients {
        // Read together: with the first answer the second is under way.
        client.send(&[&["PING"], &["INCR", "n"]]).unwrap();
        assert_eq!(client.receive().unwrap(), Reply::simple_static("PONG"));
    }
    let limit = Rlimit { current: Some(LIMIT_BYTES), maximum: None };
    prlimit(Some(pids[leader]), Resource::Fsize, limit).unwrap();
    last.send(&[&["SET", "another", "write"]]).unwrap();
    for client in &mut clients {
        let answer = client.receive().expect("an answer, not a closed connection");
        let text = error_text(&answer);
        // A slow disk may fail before it is its turn.
        let is_told = text.starts_with("UNKNOWN ") || text.contains("nothing was executed");
        assert!(is_told, "{answer:?}");
    }
    assert_eq!(cluster.ended(leader).code(), Some(1), "{}", cluster.said(leader));
    let said = cluster.said(leader);
    assert!(said.contains("healthy disk"), "no remedy in: {said}");
}
