//! A node that joins waits for a cluster that does not serve yet, at its first
//! start and at no later one.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use crate::client::{Client, error_text};
use crate::cluster::{Cluster, raftlet};
use crate::waiting::{Run, wait_until};

/// An admin port of a node whose groups are not open yet. Lives as long as the
/// test's process.
fn not_serving() -> String {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = door.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in door.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let body =
                r#"{"cluster_id":"00","cluster_name":"raftlet","founders":"1=h:1","groups":[]}"#;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len());
            // Who asked may be gone.
            let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
        }
    });
    address
}

#[test]
fn a_node_that_joins_too_early_says_whom_it_waits_for_and_gets_in() {
    let mut cluster = Cluster::new(2);
    cluster.founders(1);
    // Who is in several groups is told of by each.
    cluster.flags(&["--groups", "3"]);
    let mut command = cluster.command(1);
    // As left in the shell in which the first members were started.
    command.env("RAFTLET_INITIAL_MEMBERS", "1=127.0.0.1:1");
    command.args(["--join", &cluster.admin_address(0)]);
    cluster.start_as(1, command);
    let by = cluster.admin_address(0);
    wait_until("it says whom it waits for", || {
        let said = cluster.said(1);
        said.contains("waits for the cluster that it joins") && said.contains(&by)
    });
    // Whoever connects meanwhile is told so, and does not hang.
    let refusal = Client::connect(cluster.client_address(1)).unwrap().receive().unwrap();
    let refusal = error_text(&refusal);
    assert!(refusal.starts_with("CLUSTERDOWN waits for the cluster"), "{refusal}");
    cluster.start(0);
    cluster.wait_ready();
    let list = raftlet().args(["member", "list", "--admin", &by]).run();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("node 2    learner"), "{list}");
}

#[test]
fn a_node_that_finds_no_cluster_in_time_ends_and_names_it() {
    let nobody = not_serving();
    let mut cluster = Cluster::new(2);
    cluster.founders(1);
    let mut command = cluster.command(1);
    command.args(["--join", &nobody, "--join-timeout-ms", "300"]);
    cluster.start_as(1, command);
    assert_eq!(cluster.ended(1).code(), Some(6), "{}", cluster.said(1));
    let said = cluster.said(1);
    for part in ["does not serve yet", &*nobody, "--join-timeout-ms"] {
        assert!(said.contains(part), "no {part} in: {said}");
    }
    assert!(!cluster.data_dir(1).join("IDENTITY").exists());
}

#[test]
fn a_node_that_joined_starts_again_beside_one_that_does_not_serve_yet() {
    let mut cluster = Cluster::growing(1, 2);
    cluster.join(1, 0);
    cluster.wait_ready();
    assert!(cluster.stop(1).success());
    // The one it joined by may be waiting for it.
    let mut command = cluster.command(1);
    command.args(["--join", &not_serving()]);
    cluster.start_as(1, command);
    cluster.wait_ready();
    assert!(cluster.said(1).contains("starts without what --join would tell"));
}

#[test]
fn a_node_that_joined_knows_how_many_groups_there_are_and_refuses_another_number() {
    let mut cluster = Cluster::new(2);
    cluster.founders(1);
    let with = |cluster: &Cluster, at: usize, flags: [&str; 2]| {
        let mut command = cluster.command(at);
        command.args(flags);
        command
    };
    let by = cluster.admin_address(0);
    let (founder, joiner) =
        (with(&cluster, 0, ["--groups", "3"]), with(&cluster, 1, ["--join", &by]));
    cluster.start_as(0, founder);
    cluster.start_as(1, joiner);
    cluster.wait_ready();
    for at in [1, 0] {
        assert!(cluster.stop(at).success());
        for other in ["2", "4"] {
            let command = with(&cluster, at, ["--groups", other]);
            cluster.start_as(at, command);
            assert_eq!(cluster.ended(at).code(), Some(3), "{}", cluster.said(at));
            let said = cluster.said(at);
            assert!(said.contains(&format!("--groups {other} does not fit")), "{said}");
            assert!(said.contains("say --groups 3"), "{said}");
        }
    }
    // By --join it needs none, though nobody tells any more.
    let joiner = with(&cluster, 1, ["--join", &not_serving()]);
    cluster.start_as(1, joiner);
    let founder = with(&cluster, 0, ["--groups", "3"]);
    cluster.start_as(0, founder);
    cluster.wait_ready();
    let status = cluster.status(1).unwrap();
    assert_eq!(status["groups"].as_array().unwrap().len(), 3, "{status}");
}

#[test]
fn a_node_that_joined_starts_again_by_the_list_of_the_first_members() {
    // Rule 2
    let mut cluster = Cluster::growing(1, 2);
    cluster.join(1, 0);
    cluster.wait_ready();
    let (list, other) = (cluster.initial_members(), "1=127.0.0.1:1".to_owned());
    for (list, is_warned) in [(list, false), (other, true)] {
        assert!(cluster.stop(1).success());
        let mut command = cluster.command(1);
        command.args(["--initial-members", &list]);
        cluster.start_as(1, command);
        cluster.wait_ready();
        let warning = "--initial-members counts for an empty directory only";
        assert_eq!(cluster.said(1).contains(warning), is_warned, "{}", cluster.said(1));
    }
}
