//! The demo as scripts see it.

use serde_json::Value;

use crate::cluster::raftlet;

fn demo(flags: &[&str]) -> (Option<i32>, Value, String) {
    let output = raftlet().args(["demo", "--json"]).args(flags).output().unwrap();
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
