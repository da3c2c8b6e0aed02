//! The demo as scripts see it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::client::Client;
use crate::cluster::raftlet;
use crate::waiting::{Guarded, Run, ended, wait_until};
use raftlet_kv::Reply;

fn demo(flags: &[&str]) -> (Option<i32>, Value, String) {
    let output = raftlet().args(["demo", "--json"]).args(flags).run();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().next_back().unwrap_or_default();
    let report = serde_json::from_str(last).unwrap_or_default();
    (output.status.code(), report, said)
}

#[test]
fn a_demo_with_kills_ends_with_one_object_and_nothing_lost() {
    let flags = ["--ops", "1500", "--clients", "8", "--kills", "2"];
    let (code, report, said) = demo(&flags);
    assert_eq!(code, Some(0), "{report} {said}");
    assert_eq!(report["nodes"], 3);
    assert_eq!(report["lost"], 0);
    assert_eq!(report["stale_reads"], 0);
    assert_eq!(report["failovers"], 2);
    assert_eq!(report["failover_ms"].as_array().unwrap().len(), 2);
    assert_eq!(report["converged"], true);
    let completed = report["ops_acked"].as_u64().unwrap() + report["ops_unknown"].as_u64().unwrap();
    assert_eq!(completed, 1500);
}

#[test]
fn a_demo_that_replaces_every_member_loses_nothing() {
    let (code, report, said) = demo(&["--members", "--clients", "8"]);
    assert_eq!(code, Some(0), "{report} {said}");
    assert_eq!((&report["lost"], &report["stale_reads"]), (&0.into(), &0.into()));
    assert_eq!(report["converged"], true);
    let members = &report["members"];
    assert_eq!(members["voters"], serde_json::json!([3, 5, 3]), "{report}");
    assert_eq!(members["steps"].as_array().unwrap().len(), 5, "{report}");
    assert!(members["longest_pause_ms"].as_u64().is_some_and(|ms| ms > 0), "{report}");
}

#[test]
fn all_nodes_killed_at_once_under_load_lose_nothing_and_a_second_demo_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let flags = ["--ops", "600", "--kill-all", "3", "--data-dir", place];
    let (code, report, said) = demo(&flags);
    assert_eq!(code, Some(0), "{report} {said}");
    assert_eq!(report["full_outages"]["outages"], 3);
    let again = ["--ops", "200", "--kills", "0", "--data-dir", place];
    let (code, report, said) = demo(&again);
    assert_eq!(code, Some(0), "{report} {said}");
    assert!(dir.path().join("node-1").is_dir());
}

/// The process that holds a node's data directory.
fn pid_of_node(dir: &Path, id: usize) -> Option<Pid> {
    let text = fs::read_to_string(dir.join(format!("node-{id}/LOCK"))).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

fn all_nodes_run(dir: &Path) -> bool {
    (1..=3).all(|id| pid_of_node(dir, id).is_some_and(|pid| test_kill_process(pid).is_ok()))
}

fn no_node_runs(dir: &Path) -> bool {
    (1..=3).all(|id| pid_of_node(dir, id).is_none_or(|pid| test_kill_process(pid).is_err()))
}

fn endless_demo(dir: &Path) -> Command {
    let mut command = raftlet();
    command
        .args(["demo", "--ops", "10000000", "--kills", "0", "--data-dir"])
        .arg(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn a_demo_that_is_interrupted_or_killed_leaves_no_node_behind() {
    for signal in [Signal::INT, Signal::KILL] {
        let dir = tempfile::tempdir().unwrap();
        let mut demo = Guarded(endless_demo(dir.path()).spawn().unwrap());
        wait_until("the demo's nodes run", || all_nodes_run(dir.path()));
        let pid = Pid::from_raw(i32::try_from(demo.0.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let status = ended(&mut demo.0, "a demo that was told to end");
        assert!(!status.success());
        wait_until("the demo's nodes are gone", || no_node_runs(dir.path()));
    }
}

#[test]
fn a_kept_cluster_serves_on_and_is_not_taken_for_another_demos() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let (code, report, said) = demo(&["--ops", "100", "--keep", "--data-dir", place]);
    // Whatever follows, the nodes must not outlive the test.
    let nodes: Vec<Pid> = (1..=3).filter_map(|id| pid_of_node(dir.path(), id)).collect();
    let (again, _, refusal) = demo(&["--ops", "100", "--data-dir", place]);
    let ports: Value =
        serde_json::from_slice(&fs::read(dir.path().join("cluster.json")).unwrap()).unwrap();
    let port = ports["nodes"][2]["client"].as_u64().unwrap();
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let answer = Client::connect(address).and_then(|mut client| client.try_ask(&["SET", "k", "v"]));
    for node in &nodes {
        kill_process(*node, Signal::TERM).unwrap();
    }
    wait_until("the kept nodes have stopped", || no_node_runs(dir.path()));
    assert_eq!(code, Some(0), "{report} {said}");
    assert_eq!(answer.unwrap(), Reply::OK);
    assert_eq!(again, Some(4), "{refusal}");
    assert!(refusal.contains("runs on"), "{refusal}");
}
