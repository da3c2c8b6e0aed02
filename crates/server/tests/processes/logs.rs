//! `raftlet log` on the directory of a stopped node.

use std::process::Output;

use crate::client::bulk;
use crate::cluster::{Cluster, raftlet};
use crate::waiting::{Run, wait_until};
use raftlet_kv::Reply;

fn log(command: &str, dir: &std::path::Path, json: bool) -> Output {
    let mut asked = raftlet();
    asked.args(["log", command]).arg(dir);
    if json {
        asked.arg("--json");
    }
    asked.run()
}

#[test]
fn a_directory_that_is_no_data_directory_is_refused_with_code_4() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["verify", "stat", "dump"] {
        let output = log(command, dir.path(), false);
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.starts_with("raftlet: ") && said.lines().count() == 1, "{said}");
        assert_eq!(said.matches("IDENTITY;").count(), 1, "{said}");
        assert!(said.contains(&*dir.path().to_string_lossy()), "{said}");
        assert!(!said.contains("start again"), "nothing is started: {said}");
    }
    let missing = log("verify", &dir.path().join("nowhere"), false);
    assert_eq!(missing.status.code(), Some(4));
}

/// Flips a bit in the middle of what a stopped node has acknowledged.
fn spoil(cluster: &Cluster, at: usize) {
    let files = std::fs::read_dir(cluster.data_dir(at)).unwrap().flatten();
    let mut logs: Vec<_> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .collect();
    logs.sort();
    let mut bytes = std::fs::read(&logs[0]).unwrap();
    let place = bytes.windows(9).position(|window| window == b"value 100").unwrap();
    bytes[place] ^= 1;
    std::fs::write(&logs[0], bytes).unwrap();
}

#[test]
fn a_flipped_bit_is_found_named_at_start_and_sent_again_by_the_leader() {
    // Rule 10
    let mut cluster = Cluster::started(3);
    let mut client = cluster.client(cluster.leader());
    for number in 0..200 {
        let value = format!("value {number}");
        assert_eq!(client.ask(&["SET", "k", &value]), Reply::OK);
    }
    let harmed = cluster.follower();
    wait_until("the follower has it all", || {
        cluster.client(harmed).ask(&["GET", "k"]) == bulk("value 199")
    });
    assert_eq!(cluster.stop(harmed).code(), Some(0), "{}", cluster.said(harmed));
    let dir = cluster.data_dir(harmed);
    let sound = log("verify", &dir, true);
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    assert!(String::from_utf8_lossy(&sound.stdout).contains("\"sound\":true"), "{sound:?}");
    spoil(&cluster, harmed);
    let found = log("verify", &dir, false);
    assert_eq!(found.status.code(), Some(4), "{found:?}");
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(said.contains("lost entries"), "{said}");
    cluster.start(harmed);
    cluster.wait_ready();
    wait_until("the member has it all again", || {
        cluster.client(harmed).ask(&["GET", "k"]) == bulk("value 199")
    });
    // Reads are served of what others hold durably, before it is so here.
    wait_until("and on its own disk", || {
        cluster.status(harmed).is_some_and(|status| status["groups"][0]["damage"].is_null())
    });
    let named = "until a leader has sent them again";
    assert!(cluster.said(harmed).contains(named), "{}", cluster.said(harmed));
    assert_eq!(cluster.stop(harmed).code(), Some(0), "{}", cluster.said(harmed));
    let healed = log("verify", &dir, false);
    assert_eq!(healed.status.code(), Some(0), "{healed:?}");
    assert_eq!(log("stat", &dir, true).status.code(), Some(0));
}
