//! What an operator meets before and beside the data: configuration file,
//! manual, logs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Output;
use std::time::Duration;

use crate::cluster::{Cluster, http_get, http_post, raftlet, undisturbed};
use crate::waiting::{Run, connect, wait_until};
use raftlet_kv::Reply;

fn run(args: &[&str]) -> Output {
    raftlet().args(args).run()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_configuration_file_is_checked_line_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.toml");
    let check = |content: &str| {
        std::fs::write(&path, content).unwrap();
        run(&["config", "check", path.to_str().unwrap()])
    };
    let good = check("node-id = 1\nclient-addr = \"127.0.0.1:7000\"\n");
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    assert!(text(&good.stdout).contains("2 settings"));
    let bad = check("node-id = 1\nclient-adr = \"127.0.0.1:7000\"\nclients-max = 0\n");
    let said = text(&bad.stderr);
    assert_eq!(bad.status.code(), Some(3), "{said}");
    assert!(
        said.contains("node.toml:2: there is no key 'client-adr'; is 'client-addr' meant?"),
        "{said}"
    );
    assert!(said.contains("node.toml:3: "), "{said}");
    let apart = check("election-timeout-ms = 100\nheartbeat-interval-ms = 100\n");
    assert_eq!(apart.status.code(), Some(3), "{}", text(&apart.stderr));
}

#[test]
fn flags_win_over_variables_and_those_over_the_file() {
    let mut cluster = Cluster::new(1);
    let path = cluster.data_dir(0).with_extension("toml");
    std::fs::write(&path, "log-memory-mib = 2\nlog-format = \"json\"\n").unwrap();
    let start = |cluster: &mut Cluster, flags: &[&str]| {
        let mut command = cluster.command(0);
        command.arg("--config").arg(&path).env("RAFTLET_LOG_MEMORY_MIB", "3").args(flags);
        cluster.start_as(0, command);
        cluster.wait_ready();
        cluster.status(0).unwrap()["log"]["memory_bytes_max"].as_u64().unwrap() >> 20
    };
    assert_eq!(start(&mut cluster, &[]), 3);
    cluster.kill(0);
    assert_eq!(start(&mut cluster, &["--log-memory-mib", "4"]), 4);
    let said = cluster.said(0);
    assert!(said.lines().count() > 1);
    for line in said.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

#[test]
fn the_level_of_the_log_changes_while_the_node_runs() {
    let mut cluster = Cluster::new(1);
    cluster.flags(&["--log-level", "error"]);
    cluster.start_all();
    cluster.wait_ready();
    assert_eq!(cluster.said(0), "");
    let port = cluster.admin_address(0).rsplit_once(':').unwrap().1.parse().unwrap();
    assert_eq!(http_post(port, "/log-level", "{\"level\": \"info\"}").unwrap().0, 200);
    assert_eq!(http_get(port, "/log-level").unwrap().0, 405);
    cluster.stop(0);
    wait_until("the end is told", || cluster.said(0).contains("stopped"));
}

#[test]
fn the_manual_and_the_completions_know_the_flags() {
    for args in [&["man", "serve"][..], &["completions", "bash"], &["completions", "fish"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(text(&output.stdout).replace('\\', "").contains("initial-members"), "{args:?}");
    }
    assert_eq!(run(&["man", "nothing"]).status.code(), Some(3));
}

/// The value of a series on a node.
fn metric(cluster: &Cluster, at: usize, series: &str) -> f64 {
    let port = cluster.admin_address(at).rsplit_once(':').unwrap().1.parse().unwrap();
    let (status, text) = http_get(port, "/metrics").unwrap();
    assert_eq!(status, 200);
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
}

/// Looks that found something, and looks in vain, of all three.
fn looks(cluster: &Cluster) -> (f64, f64) {
    let sum = |series| (0..3).map(|at| metric(cluster, at, series)).sum();
    (sum("raftlet_idle_polls_found_total"), sum("raftlet_idle_polls_in_vain_total"))
}

#[test]
fn nodes_in_use_look_before_they_sleep_and_idle_ones_sleep_at_once() {
    let mut cluster = Cluster::new(3);
    cluster.flags(&["--idle-poll-us", "100"]);
    cluster.start_all();
    cluster.wait_ready();
    let mut client = cluster.client(cluster.leader());
    let (found, _) = looks(&cluster);
    wait_until("a look found something", || {
        let has_answered = (0..500).all(|_| client.ask(&["GET", "k"]) == Reply::Null);
        has_answered && looks(&cluster).0 > found
    });
    let (_, vain) = looks(&cluster);
    let uptime = || metric(&cluster, 0, "raftlet_uptime_seconds");
    let asked_at = uptime();
    wait_until("two seconds without requests are over", || uptime() >= asked_at + 2.0);
    // Heartbeats, the detector and the questions of this test are all there is.
    let (_, vain_now) = looks(&cluster);
    assert!(vain_now - vain < 30.0, "{vain} before, {vain_now} after 2 s without requests");
}

#[test]
fn metrics_tell_what_was_done() {
    let cluster = Cluster::started(3);
    undisturbed(&cluster, || {
        let leader = cluster.leader();
        let mut client = cluster.client(leader);
        let done = (0..10).all(|put| client.ask(&["SET", "k", &put.to_string()]) == Reply::OK);
        let value = |series| metric(&cluster, leader, series);
        assert_eq!(value("raftlet_has_leader"), 1.0);
        assert_eq!(value("raftlet_keys"), 1.0);
        assert!(value("raftlet_log_writes_total") >= 10.0);
        assert!(value("raftlet_disk_wal_fsync_duration_seconds_count") >= 10.0);
        assert!(value("raftlet_proposal_duration_seconds_count") >= 10.0);
        assert!(value("raftlet_proposal_duration_seconds_sum") > 0.0);
        assert!(value("raftlet_proposals_applied_total") >= 10.0);
        let led = (0..3).map(|at| metric(&cluster, at, "raftlet_groups_led")).sum::<f64>();
        (done && led == 1.0).then_some(())
    });
}

#[test]
fn elections_are_told_by_who_won_and_who_follows() {
    let mut cluster = Cluster::new(3);
    cluster.flags(&["--log-format", "json"]);
    cluster.start_all();
    cluster.wait_ready();
    let lines = |cluster: &Cluster, at: usize, message: &str| -> Vec<serde_json::Value> {
        let said = cluster.said(at);
        let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &serde_json::Value| line["message"] == message).collect()
    };
    let leader = cluster.leader();
    let won = lines(&cluster, leader, "leads");
    assert!(won.iter().any(|line| line["group"] == 1 && line["term"].as_u64() > Some(0)));
    cluster.kill(leader);
    wait_until("another leader is told", || {
        (0..3).filter(|at| *at != leader).any(|at| {
            let follows = lines(&cluster, at, "follows");
            let other = |line: &serde_json::Value| line["leader"] != leader as u64 + 1;
            follows.last().is_some_and(other)
        })
    });
}

#[test]
fn a_supervisor_is_told_when_a_node_serves_and_when_it_stops() {
    let mut cluster = Cluster::new(1);
    let path = cluster.data_dir(0).with_extension("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut told = String::new();
    let mut hear = |word: &str| {
        while !told.contains(word) {
            let mut datagram = [0; 4096];
            let bytes = socket.recv(&mut datagram).unwrap();
            told.push_str(&text(&datagram[..bytes]));
        }
    };
    let mut command = cluster.command(0);
    command.env("NOTIFY_SOCKET", &path);
    cluster.start_as(0, command);
    hear("READY=1");
    assert_eq!(cluster.client(0).ask(&["PING"]), Reply::simple_static("PONG"));
    cluster.stop(0);
    hear("STOPPING=1");
}

#[test]
fn idle_connections_do_not_shut_operators_out() {
    let cluster = Cluster::started(1);
    let admin = cluster.admin_address(0);
    // More than there may be at once: each is answered, few stay.
    let idle: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = connect(&admin).unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream
        })
        .collect();
    let port = admin.rsplit_once(':').unwrap().1.parse().unwrap();
    assert_eq!(http_get(port, "/livez").unwrap().0, 200);
    drop(idle);
}

#[test]
fn nodes_know_where_the_others_admin_ports_are() {
    let mut cluster = Cluster::new(3);
    for at in 0..3 {
        let mut command = cluster.command(at);
        if at == 2 {
            command.args(["--advertise-admin-addr", "elsewhere:7381"]);
        }
        cluster.start_as(at, command);
    }
    cluster.wait_ready();
    wait_until("the first node knows both", || {
        let status = cluster.status(0).unwrap();
        let peers = status["peers"].as_array().unwrap();
        let admins: Vec<Option<&str>> = peers.iter().map(|peer| peer["admin"].as_str()).collect();
        admins == [Some(cluster.admin_address(1).as_str()), Some("elsewhere:7381")]
    });
}
