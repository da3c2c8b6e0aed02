//! Snapshot files that a disk does not give back whole: the group is refilled by
//! its leader, the others serve meanwhile, whichever group it is (rule 10, D53).

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::client::{Client, bulk};
use crate::cluster::{Cluster, raftlet};
use crate::waiting::{Run, wait_until};
use raftlet_kv::Reply;

const BLOCK: usize = 4096;
const KEYS: u64 = 24;

/// Where a bit is flipped.
#[derive(Clone, Copy, Debug)]
enum Part {
    Head,
    Chunk,
    Table,
    Trailer,
}

fn cluster(groups: &str) -> Cluster {
    let mut cluster = Cluster::new(3);
    let tail = ["--snapshot-tail-entries", "0", "--snapshot-tail-bytes", "0"];
    cluster.flags(&["--groups", groups, tail[0], tail[1], tail[2], tail[3]]);
    cluster.start_all();
    (0..3).for_each(|at| wait_whole(&cluster, at));
    cluster
}

fn groups(cluster: &Cluster, at: usize) -> Vec<Value> {
    let status = cluster.status(at).unwrap_or_default();
    status["groups"].as_array().cloned().unwrap_or_default()
}

/// Waits until all groups of a node are whole, led, and as far as the others.
fn wait_whole(cluster: &Cluster, at: usize) {
    wait_until("all groups are whole and up to date", || {
        let others = groups(cluster, (at + 1) % 3);
        let own = groups(cluster, at);
        let is_whole = |(own, other): (&Value, &Value)| {
            own["damage"].is_null()
                && own["leader"].is_u64()
                && own["applied_index"].as_u64() >= other["commit_index"].as_u64()
        };
        !own.is_empty() && own.len() == others.len() && own.iter().zip(&others).all(is_whole)
    });
}

/// Writes until it is acknowledged: leaders may change.
fn write(client: &mut Client, key: u64, value: &str) {
    let key = format!("key-{key}");
    wait_until("a write is acknowledged", || client.ask(&["SET", &key, value]) == Reply::OK);
}

/// Writes all keys, has the node write its groups down, and stops it.
fn written_and_stopped(cluster: &mut Cluster, at: usize, value: &str) {
    let mut client = cluster.client((at + 1) % 3);
    for key in 0..KEYS {
        write(&mut client, key, value);
    }
    wait_whole(cluster, at);
    let taken = raftlet().args(["snapshot", "--admin", &cluster.admin_address(at)]).try_run();
    let taken = taken.unwrap();
    assert!(taken.status.success(), "{taken:?}");
    for key in 0..KEYS {
        write(&mut client, key, &format!("{value} again"));
    }
    wait_whole(cluster, at);
    assert_eq!(cluster.stop(at).code(), Some(0), "{}", cluster.said(at));
}

fn snapshot_of(cluster: &Cluster, at: usize, group: u64) -> PathBuf {
    let begin = format!("snap-{group:016x}-");
    let files = fs::read_dir(cluster.data_dir(at)).unwrap().flatten().map(|file| file.path());
    let is_of = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begin))
    };
    files.filter(is_of).max().unwrap()
}

fn flip(cluster: &Cluster, at: usize, group: u64, part: Part) {
    let file = snapshot_of(cluster, at, group);
    let mut bytes = fs::read(&file).unwrap();
    let place = match part {
        Part::Head => 90,
        Part::Chunk => BLOCK + 40,
        Part::Table => bytes.len() - 2 * BLOCK + 40,
        Part::Trailer => bytes.len() - BLOCK + 9,
    };
    bytes[place] ^= 4;
    fs::write(file, bytes).unwrap();
}

fn check_values(cluster: &Cluster, at: usize, value: &str) {
    let mut client = cluster.client(at);
    for key in 0..KEYS {
        let got = client.ask(&["GET", &format!("key-{key}")]);
        assert_eq!(got, bulk(&format!("{value} again")), "key-{key}");
    }
}

#[test]
fn a_flipped_bit_in_a_snapshot_is_named_and_refilled_and_the_other_group_serves() {
    let mut cluster = cluster("2");
    let victim = 2;
    let rounds = [(1, Part::Head), (2, Part::Head), (1, Part::Table), (2, Part::Trailer)];
    for (round, (group, part)) in rounds.into_iter().enumerate() {
        let value = format!("round {round}");
        written_and_stopped(&mut cluster, victim, &value);
        flip(&cluster, victim, group, part);
        cluster.start(victim);
        wait_whole(&cluster, victim);
        let said = cluster.said(victim);
        let named = said.matches("its snapshot is damaged").count();
        assert_eq!(named, round + 1, "{part:?} of group {group}: {said}");
        assert_eq!(said.matches("holds again what was damaged").count(), round + 1, "{said}");
        check_values(&cluster, victim, &value);
    }
}

#[test]
fn a_flipped_bit_in_a_chunk_is_met_by_the_restore_and_refilled_without_another_start() {
    let mut cluster = cluster("2");
    let victim = 1;
    written_and_stopped(&mut cluster, victim, "chunk");
    flip(&cluster, victim, 1, Part::Chunk);
    // Alone it can only say what it lost.
    cluster.kill(0);
    cluster.kill(2);
    cluster.start(victim);
    wait_until("the node shows the damage, of that group alone", || {
        let shown = groups(&cluster, victim);
        let lost = shown.first().and_then(|group| group["damage"]["lost_until"].as_u64());
        lost.is_some_and(|lost| lost > 0) && shown[1]["damage"].is_null()
    });
    cluster.start(0);
    cluster.start(2);
    wait_whole(&cluster, victim);
    let said = cluster.said(victim);
    assert_eq!(said.matches("its snapshot is damaged").count(), 1, "{said}");
    assert!(said.contains("chunk 0 is damaged"), "{said}");
    assert_eq!(said.matches("holds again what was damaged").count(), 1, "{said}");
    check_values(&cluster, victim, "chunk");
    // Whole again, it makes a majority with one of the others, also after a start.
    cluster.kill(0);
    check_values(&cluster, victim, "chunk");
    assert_eq!(cluster.stop(victim).code(), Some(0), "{}", cluster.said(victim));
    cluster.start(victim);
    wait_until("it leads or follows again", || {
        let shown = groups(&cluster, victim);
        shown.len() == 2 && shown.iter().all(|group| group["leader"].is_u64())
    });
    check_values(&cluster, victim, "chunk");
}

#[test]
fn the_only_group_of_a_node_is_refilled_too_though_nothing_else_names_its_members() {
    let mut cluster = cluster("1");
    let victim = 1;
    written_and_stopped(&mut cluster, victim, "only");
    flip(&cluster, victim, 1, Part::Head);
    cluster.start(victim);
    wait_whole(&cluster, victim);
    check_values(&cluster, victim, "only");
    // Whole again, it makes a majority with one of the others.
    cluster.kill(0);
    check_values(&cluster, victim, "only");
}

fn member(cluster: &Cluster, by: usize, order: [&str; 2]) {
    let command = ["member", order[0], order[1], "--admin", &cluster.admin_address(by)];
    let done = raftlet().args(command).run();
    assert!(done.status.success(), "{order:?}: {done:?}");
}

#[test]
fn a_node_that_lost_all_that_told_of_later_members_says_how_it_finds_them() {
    let mut cluster = Cluster::new(4);
    cluster.founders(1);
    cluster.flags(&["--snapshot-tail-entries", "0", "--snapshot-tail-bytes", "0"]);
    cluster.start(0);
    for at in 1..4 {
        cluster.join(at, 0);
    }
    cluster.wait_ready();
    for node in ["2", "3", "4"] {
        member(&cluster, 0, ["promote", node]);
    }
    member(&cluster, 2, ["remove", "1"]);
    cluster.kill(0);
    let victim = 1;
    written_and_stopped(&mut cluster, victim, "later");
    flip(&cluster, victim, 1, Part::Head);
    cluster.start(victim);
    wait_until("it says what to do", || {
        let said = cluster.said(victim);
        said.contains("of the first members it asks node 1") && said.contains("--join HOST:PORT")
    });
    cluster.kill(victim);
    cluster.join(victim, 3);
    wait_whole(&cluster, victim);
    check_values(&cluster, victim, "later");
}
