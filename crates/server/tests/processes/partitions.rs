//! Links that are cut one by one, and a disk that hangs: a quorum that can
//! talk goes on writing, and leadership moves only where it must (rules 8, 19,
//! 20).
//!
//! Each node has a host of its own (`hosts.rs`). The clocks of nodes tell how
//! long a cut has lasted; how long writes paused is printed, not judged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::cluster::{Cluster, wait_until};
use crate::hosts::{HangingDisk, Hosts};
use raftlet_kv::Reply;

/// What a cut has to last: many election timeouts.
const CUT_MS: u64 = 3_000;
const TIMEOUT: &[&str] = &["--election-timeout-ms", "400"];

/// A cluster with a host for each node; `None`, with the reason, where this
/// machine allows none.
fn cluster(nodes: usize) -> Option<Cluster> {
    let hosts = match Hosts::new(nodes) {
        Ok(hosts) => hosts,
        Err(why) => {
            eprintln!("not run here, hosts cannot be made: {why}");
            return None;
        }
    };
    let mut cluster = Cluster::on(hosts);
    cluster.flags(TIMEOUT);
    Some(cluster)
}

/// Writes at one node, one after the other, and counts.
struct Writer {
    acknowledged: Arc<AtomicU64>,
    /// Longest time between two acknowledged writes, milliseconds.
    longest_gap_ms: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    #[expect(clippy::disallowed_methods, reason = "the gap is printed, not judged")]
    fn start(cluster: &Cluster, at: usize) -> Self {
        let address = cluster.client_address(at);
        let acknowledged = Arc::new(AtomicU64::new(0));
        let longest_gap_ms = Arc::new(AtomicU64::new(0));
        let is_over = Arc::new(AtomicBool::new(false));
        let (count, gap, over) =
            (Arc::clone(&acknowledged), Arc::clone(&longest_gap_ms), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            let mut client: Option<Client> = None;
            let (mut last, mut number) = (Instant::now(), 0_u64);
            while !over.load(Ordering::Relaxed) {
                number += 1;
                let known = client.take().or_else(|| Client::connect(address).ok());
                let Some(mut asked) = known else { continue };
                let (key, value) = (format!("w{at}"), number.to_string());
                let Ok(reply) = asked.try_ask(&["SET", &key, &value]) else { continue };
                client = Some(asked);
                if reply == Reply::OK {
                    let now = Instant::now();
                    let took = now.duration_since(last).as_millis();
                    gap.fetch_max(u64::try_from(took).unwrap(), Ordering::Relaxed);
                    last = now;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { acknowledged, longest_gap_ms, is_over, thread: Some(thread) }
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until that many more are acknowledged.
    fn wait_for(&self, more: u64) {
        let until = self.acknowledged() + more;
        wait_until("writes go on", || self.acknowledged() >= until);
    }

    fn longest_gap(&self) -> Duration {
        Duration::from_millis(self.longest_gap_ms.load(Ordering::Relaxed))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It panics only with the test.
            let _ = thread.join();
        }
    }
}

fn uptime_ms(cluster: &Cluster, at: usize) -> u64 {
    cluster.status(at).unwrap()["uptime_ms"].as_u64().unwrap()
}

fn commit(cluster: &Cluster, at: usize) -> u64 {
    cluster.status(at).unwrap()["groups"][0]["commit_index"].as_u64().unwrap()
}

/// Lets a cut last by the clock of a node.
fn let_it_last(cluster: &Cluster, at: usize) {
    let until = uptime_ms(cluster, at) + CUT_MS;
    wait_until("the cut has lasted", || uptime_ms(cluster, at) >= until);
}

fn started(nodes: usize) -> Option<Cluster> {
    let mut cluster = cluster(nodes)?;
    cluster.start_all();
    cluster.wait_ready();
    Some(cluster)
}

#[test]
fn a_leader_cut_from_one_follower_only_is_deposed_once_at_most_and_writes_go_on() {
    let Some(mut cluster) = started(3) else { return };
    for ways in ["both ways", "to the follower", "from the follower"] {
        let (leader, term) = (cluster.leader(), cluster.term());
        let (cut_off, third) = ((leader + 1) % 3, (leader + 2) % 3);
        let writers = [Writer::start(&cluster, leader), Writer::start(&cluster, third)];
        match ways {
            "both ways" => cluster.hosts().cut_both(leader, cut_off),
            "to the follower" => cluster.hosts().cut(leader, cut_off),
            _ => cluster.hosts().cut(cut_off, leader),
        }
        let_it_last(&cluster, third);
        for writer in &writers {
            writer.wait_for(20);
            eprintln!("cut {ways}: writes paused {:?} at most", writer.longest_gap());
        }
        let changes = cluster.term() - term;
        assert!(changes <= 1, "{changes} elections while cut {ways}");
        if changes == 0 && ways != "from the follower" {
            assert!(commit(&cluster, cut_off) < commit(&cluster, leader), "nothing was cut");
        }
        drop(writers);
        cluster.hosts().heal();
        cluster.wait_ready();
    }
}

#[test]
fn a_member_cut_off_and_back_changes_no_leader() {
    let Some(mut cluster) = started(3) else { return };
    let (leader, term) = (cluster.leader(), cluster.term());
    let (cut_off, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let writer = Writer::start(&cluster, third);
    for _ in 0..2 {
        for other in [leader, third] {
            cluster.hosts().cut_both(cut_off, other);
        }
        let_it_last(&cluster, third);
        writer.wait_for(20);
        cluster.hosts().heal();
        writer.wait_for(20);
        let leaders = commit(&cluster, leader);
        wait_until("it is up to date", || commit(&cluster, cut_off) >= leaders);
    }
    eprintln!("cut off and back: writes paused {:?} at most", writer.longest_gap());
    drop(writer);
    cluster.wait_ready();
    assert_eq!((cluster.leader(), cluster.term()), (leader, term));
}

#[test]
fn with_a_bridge_between_two_halves_writes_go_on() {
    let Some(mut cluster) = started(5) else { return };
    // The leader in one half with a quorum, as the bridge, and in one half cut
    // from the bridge as well: then only the bridge reaches a quorum.
    for place in ["in a half", "the bridge", "cut from the bridge"] {
        let (leader, term) = (cluster.leader(), cluster.term());
        let bridge = if place == "the bridge" { leader } else { (leader + 2) % 5 };
        let mut others: Vec<usize> = (0..5).filter(|at| *at != bridge).collect();
        others.sort_by_key(|at| *at != leader);
        let writer = Writer::start(&cluster, bridge);
        for one in &others[..2] {
            for other in &others[2..] {
                cluster.hosts().cut_both(*one, *other);
            }
        }
        if place == "cut from the bridge" {
            cluster.hosts().cut_both(leader, bridge);
        }
        let_it_last(&cluster, bridge);
        writer.wait_for(50);
        let changes = cluster.term() - term;
        eprintln!(
            "leader {place}: {changes} elections, writes paused {:?} at most",
            writer.longest_gap()
        );
        assert_eq!(changes > 0, place == "cut from the bridge", "{changes} elections");
        drop(writer);
        cluster.hosts().heal();
        cluster.wait_ready();
    }
}

#[test]
fn a_leader_whose_disk_hangs_is_replaced_and_comes_back_as_a_follower() {
    let Some(mut cluster) = cluster(3) else { return };
    let dir = tempfile::tempdir().unwrap();
    let disk = match HangingDisk::new(dir.path()) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!("not run here, no disk can be made to hang: {why}");
            return;
        }
    };
    cluster.keep_data_in(0, disk.data_dir());
    cluster.start_all();
    cluster.wait_ready();
    if cluster.leader() != 0 {
        let mut transfer = crate::cluster::raftlet();
        transfer.args(["leader", "transfer", "--admin", &cluster.admin_address(0), "--to", "1"]);
        assert!(transfer.status().unwrap().success());
        wait_until("node 1 leads", || cluster.leader() == 0);
    }
    let writer = Writer::start(&cluster, 1);
    writer.wait_for(20);
    disk.hang();
    let leads = |at: usize| {
        let status = cluster.status(at).unwrap();
        status["groups"][0]["role"] == "leader"
    };
    wait_until("another leads", || leads(1) || leads(2));
    writer.wait_for(20);
    let_it_last(&cluster, 1);
    assert!(!leads(0), "who cannot write leads");
    eprintln!("the leader's disk hangs: writes paused {:?} at most", writer.longest_gap());
    disk.go_on();
    writer.wait_for(20);
    drop(writer);
    cluster.wait_ready();
    // Before the disk goes away.
    cluster.kill_all();
}
