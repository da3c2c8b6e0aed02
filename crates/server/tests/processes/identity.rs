//! A data directory is used by its own node, once at a time, whole (rules 1-5,
//! 10), and whatever else is refused with code 4 and the remedy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::client::{bulk, error_text};
use crate::cluster::{Cluster, raftlet};
use crate::waiting::{Run, wait_until};
use raftlet_kv::Reply;

const DATA: Option<i32> = Some(4);

/// Every log file of a node, oldest first.
fn log_files(cluster: &Cluster, at: usize) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![cluster.data_dir(at)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "wal") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn wipe(cluster: &Cluster, at: usize) {
    fs::remove_dir_all(cluster.data_dir(at)).unwrap();
}

#[test]
fn a_directory_in_use_is_refused() {
    let cluster = Cluster::started(1);
    let mut second = raftlet();
    second.arg("serve").arg("--data-dir").arg(cluster.data_dir(0));
    for listen in ["--client-addr", "--peer-addr", "--admin-addr"] {
        second.args([listen, "127.0.0.1:0"]);
    }
    let output = second.run();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), DATA, "{said}");
    let dir = cluster.data_dir(0);
    assert!(said.contains(&*dir.to_string_lossy()), "{said}");
    assert_eq!(cluster.client(0).ask(&["PING"]), Reply::simple_static("PONG"));
}

#[test]
fn a_directory_of_another_node_is_refused() {
    let mut cluster = Cluster::started(3);
    cluster.kill(0);
    cluster.kill(1);
    wipe(&cluster, 0);
    fs::rename(cluster.data_dir(1), cluster.data_dir(0)).unwrap();
    cluster.start(0);
    assert_eq!(cluster.ended(0).code(), DATA, "{}", cluster.said(0));
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn an_old_copy_of_a_directory_is_refused_even_by_members_that_restarted() {
    let mut cluster = Cluster::started(3);
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    let at = cluster.follower();
    cluster.stop(at);
    copy_dir(&cluster.data_dir(at), &copy);
    // The directory goes on to later starts than the copy will ever have had.
    for _ in 0..2 {
        cluster.start(at);
        cluster.wait_ready();
        cluster.stop(at);
    }
    wipe(&cluster, at);
    copy_dir(&copy, &cluster.data_dir(at));
    for other in (0..3).filter(|other| *other != at) {
        cluster.kill(other);
        cluster.start(other);
    }
    // However often: its own starts do not make it the newest one.
    for start in 1..=3 {
        cluster.start(at);
        assert_eq!(cluster.ended(at).code(), DATA, "{}", cluster.said(at));
        assert_eq!(cluster.said(at).matches("old copy").count(), start, "{}", cluster.said(at));
    }
}

#[test]
fn a_wiped_node_is_refused_with_the_remedy_and_the_cluster_goes_on() {
    let mut cluster = Cluster::started(3);
    assert_eq!(cluster.client(0).ask(&["SET", "k", "before"]), Reply::OK);
    let wiped = cluster.follower();
    cluster.kill(wiped);
    wipe(&cluster, wiped);
    cluster.start(wiped);
    assert_eq!(cluster.ended(wiped).code(), DATA, "{}", cluster.said(wiped));
    let said = cluster.said(wiped);
    assert!(said.contains("new id"), "no remedy in: {said}");
    let mut client = cluster.client(cluster.leader());
    assert_eq!(client.ask(&["GET", "k"]), bulk("before"));
    assert_eq!(client.ask(&["SET", "k", "after"]), Reply::OK);
}

#[test]
fn a_node_wiped_right_after_bootstrap_is_refused_although_another_is_down() {
    let mut cluster = Cluster::started(3);
    let (wiped, down) = (2, 1);
    cluster.kill(down);
    cluster.kill(wiped);
    wipe(&cluster, wiped);
    cluster.start(wiped);
    assert_eq!(cluster.ended(wiped).code(), DATA, "{}", cluster.said(wiped));
    cluster.start(down);
    cluster.wait_ready();
    assert_eq!(cluster.client(0).ask(&["SET", "k", "v"]), Reply::OK);
}

/// The node's command line, reduced to what is said of neither list nor peers.
fn without_list(cluster: &Cluster, at: usize) -> Command {
    let mut command = raftlet();
    command.args(["serve", "--node-id", &(at + 1).to_string()]);
    command.args(["--client-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(cluster.data_dir(at));
    command
}

#[test]
fn an_interrupted_first_start_does_not_begin_a_cluster_of_another_list() {
    let mut cluster = Cluster::new(3);
    cluster.start(0);
    wait_until("the node waits for others", || cluster.said(0).contains("waiting for node 2"));
    cluster.kill(0);
    let mut alone = without_list(&cluster, 0);
    alone.args(["--peer-addr", "127.0.0.1:0"]);
    cluster.start_as(0, alone);
    assert_eq!(cluster.ended(0).code(), Some(3), "{}", cluster.said(0));
    cluster.start_all();
    cluster.wait_ready();
}

#[test]
fn a_member_is_not_started_where_the_others_do_not_look_for_it() {
    let mut cluster = Cluster::started(3);
    cluster.kill(1);
    cluster.start_as(1, without_list(&cluster, 1));
    let code = cluster.ended(1).code();
    let said = cluster.said(1);
    // Whoever has the default port here refuses it first.
    let is_taken = code == Some(5) && said.contains("127.0.0.1:7380");
    assert!(is_taken || code == Some(3) && said.contains("say --peer-addr"), "{code:?} {said}");
}

#[test]
fn a_directory_of_another_cluster_is_refused() {
    let mut cluster = Cluster::started(1);
    cluster.kill(0);
    cluster.flags(&["--cluster-name", "other"]);
    cluster.start(0);
    assert_eq!(cluster.ended(0).code(), DATA, "{}", cluster.said(0));
    assert!(cluster.said(0).contains("other"), "{}", cluster.said(0));
}

#[test]
fn a_damaged_log_is_refused_by_the_name_of_its_file() {
    let mut cluster = Cluster::started(1);
    let mut client = cluster.client(0);
    for number in 0..200 {
        let value = format!("value {number}");
        assert_eq!(client.ask(&["SET", "k", &value]), Reply::OK);
    }
    assert_eq!(cluster.stop(0).code(), Some(0), "{}", cluster.said(0));
    let file = log_files(&cluster, 0).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    // In the middle of what was written: acknowledged, and no tail.
    let at = bytes.windows(9).position(|window| window == b"value 100").unwrap();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    cluster.start(0);
    assert_eq!(cluster.ended(0).code(), DATA, "{}", cluster.said(0));
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    assert!(cluster.said(0).contains(&name), "{}", cluster.said(0));
}

#[test]
fn a_first_start_waits_for_every_member_by_name_and_tells_clients_so() {
    let mut cluster = Cluster::new(3);
    cluster.start(0);
    cluster.start(1);
    let missing = "node 3";
    wait_until("the nodes say whom they wait for", || {
        cluster.said(0).contains(missing) && cluster.said(1).contains(missing)
    });
    let mut client = cluster.client(0);
    let answer = client.receive().unwrap();
    let text = error_text(&answer);
    assert!(text.starts_with("CLUSTERDOWN ") && text.contains(missing), "{text}");
    let waiting = cluster.status(0).unwrap()["waiting"].to_string();
    assert!(waiting.contains(missing), "{waiting}");
    // Killed in the roll call, the same command ends in the same state.
    cluster.kill(1);
    cluster.start(1);
    cluster.start(2);
    cluster.wait_ready();
    assert_eq!(cluster.client(2).ask(&["SET", "k", "v"]), Reply::OK);
}

#[test]
fn first_members_that_divide_the_keyspace_otherwise_begin_no_cluster_together() {
    let mut cluster = Cluster::new(3);
    let with = |cluster: &Cluster, at: usize, groups: &str| {
        let mut command = cluster.command(at);
        command.args(["--groups", groups]);
        command
    };
    for (at, groups) in ["3", "3", "4"].into_iter().enumerate() {
        let command = with(&cluster, at, groups);
        cluster.start_as(at, command);
    }
    wait_until("the one that differs is told", || {
        let said = cluster.said(2);
        said.contains("refused by a peer") && said.contains("--initial-members and --groups")
    });
    let refused = cluster.client(0).ask(&["SET", "k", "v"]);
    assert!(error_text(&refused).contains("waiting for"), "{refused:?}");
    // Its directory is of a cluster that never began.
    assert!(cluster.stop(2).success());
    let command = with(&cluster, 2, "3");
    cluster.start_as(2, command);
    assert_eq!(cluster.ended(2).code(), Some(3), "{}", cluster.said(2));
    assert!(cluster.said(2).contains("or empty the directory where its cluster has not begun"));
    fs::remove_dir_all(cluster.data_dir(2)).unwrap();
    let command = with(&cluster, 2, "3");
    cluster.start_as(2, command);
    cluster.wait_ready();
    assert_eq!(cluster.client(2).ask(&["SET", "k", "v"]), Reply::OK);
}
