//! Links that are cut one by one, a disk that hangs, a process that stands
//! still: a quorum that can talk goes on writing, and leadership moves only where it must (rules 8, 19,
//! 20).
//!
//! Where links are cut each node has a host of its own (`hosts.rs`), or a proxy
//! in front of it (`proxies.rs`). The clocks of nodes tell how
//! long a cut has lasted; how long writes paused is printed, not judged.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{Client, error_text};
use crate::cluster::Cluster;
use crate::hosts::{HangingDisk, Hosts};
use crate::waiting::{Run, wait_until};
use raftlet_kv::Reply;

/// What a cut has to last: many election timeouts.
const CUT_MS: u64 = 3_000;
/// What a disk has to hang.
const HANG_MS: u64 = 10_000;
const TIMEOUT: &[&str] = &["--election-timeout-ms", "400"];

/// A cluster whose links can be cut: with a host for each node, or, where this
/// machine allows none, through proxies.
fn cluster(nodes: usize) -> Cluster {
    let cluster = match Hosts::new(nodes) {
        Ok(hosts) => Cluster::on(hosts),
        Err(why) => {
            eprintln!("links go through proxies, for hosts cannot be made: {why}");
            Cluster::behind_proxies(nodes)
        }
    };
    with_timeout(cluster)
}

fn with_timeout(mut cluster: Cluster) -> Cluster {
    cluster.flags(TIMEOUT);
    cluster
}

/// Writes at one node, one after the other, and counts.
struct Writer {
    acknowledged: Arc<AtomicU64>,
    /// The last acknowledged value.
    number: Arc<AtomicU64>,
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
        let last_number = Arc::new(AtomicU64::new(0));
        let (count, gap, over) =
            (Arc::clone(&acknowledged), Arc::clone(&longest_gap_ms), Arc::clone(&is_over));
        let written = Arc::clone(&last_number);
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
                    written.store(number, Ordering::SeqCst);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { acknowledged, number: last_number, longest_gap_ms, is_over, thread: Some(thread) }
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The last value that was acknowledged; they rise.
    fn acknowledged_number(&self) -> u64 {
        self.number.load(Ordering::SeqCst)
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
    let_it_last_for(cluster, at, CUT_MS);
}

fn let_it_last_for(cluster: &Cluster, at: usize, ms: u64) {
    let until = uptime_ms(cluster, at) + ms;
    wait_until("the cut has lasted", || uptime_ms(cluster, at) >= until);
}

fn started(mut cluster: Cluster) -> Cluster {
    cluster.start_all();
    cluster.wait_ready();
    cluster
}

#[test]
fn a_leader_cut_from_one_follower_only_is_deposed_once_at_most_and_writes_go_on() {
    cut_from_one_follower(started(cluster(3)));
}

#[test]
fn a_leader_cut_from_one_follower_by_a_proxy_is_deposed_once_at_most_and_writes_go_on() {
    cut_from_one_follower(started(with_timeout(Cluster::behind_proxies(3))));
}

fn cut_from_one_follower(mut cluster: Cluster) {
    for ways in ["both ways", "to the follower", "from the follower"] {
        let (leader, term) = (cluster.leader(), cluster.term());
        let (cut_off, third) = ((leader + 1) % 3, (leader + 2) % 3);
        let writers = [Writer::start(&cluster, leader), Writer::start(&cluster, third)];
        match ways {
            "both ways" => cluster.links().cut_both(leader, cut_off),
            "to the follower" => cluster.links().cut(leader, cut_off),
            _ => cluster.links().cut(cut_off, leader),
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
        cluster.links().heal();
        cluster.wait_ready();
    }
}

#[test]
fn a_member_cut_off_and_back_changes_no_leader() {
    let mut cluster = started(cluster(3));
    let (leader, term) = (cluster.leader(), cluster.term());
    let (cut_off, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let writer = Writer::start(&cluster, third);
    for _ in 0..2 {
        for other in [leader, third] {
            cluster.links().cut_both(cut_off, other);
        }
        let_it_last(&cluster, third);
        writer.wait_for(20);
        cluster.links().heal();
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
    let mut cluster = cluster(5);
    cluster.flags(&["--election-timeout-ms", "800"]);
    let mut cluster = started(cluster);
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
                cluster.links().cut_both(*one, *other);
            }
        }
        if place == "cut from the bridge" {
            cluster.links().cut_both(leader, bridge);
        }
        let_it_last(&cluster, bridge);
        writer.wait_for(50);
        let changes = cluster.term() - term;
        eprintln!(
            "leader {place}: {changes} elections, writes paused {:?} at most",
            writer.longest_gap()
        );
        if place == "cut from the bridge" {
            assert!(changes > 0, "nothing was cut");
        } else {
            // The leader has a quorum and nobody to spare: on a laden machine one
            // of them may fall silent for a timeout.
            assert!(changes <= 1, "{changes} elections");
        }
        drop(writer);
        cluster.links().heal();
        cluster.wait_ready();
    }
}

/// A disk on which node 1 keeps its data, and node 1 leads; `None`, with the
/// reason, where this machine allows none.
fn led_from_a_disk_that_can_hang(dir: &Path) -> Option<(Cluster, HangingDisk)> {
    let mut cluster = cluster(3);
    let disk = match HangingDisk::new(dir) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!("not run here, no disk can be made to hang: {why}");
            return None;
        }
    };
    cluster.keep_data_in(0, disk.data_dir());
    cluster.start_all();
    cluster.wait_ready();
    if cluster.leader() != 0 {
        let mut transfer = crate::cluster::raftlet();
        transfer.args(["leader", "transfer", "--admin", &cluster.admin_address(0), "--to", "1"]);
        assert!(transfer.run().status.success());
        wait_until("node 1 leads", || cluster.leader() == 0);
    }
    Some((cluster, disk))
}

#[test]
fn a_leader_whose_disk_hangs_is_replaced_and_comes_back_as_a_follower() {
    let dir = tempfile::tempdir().unwrap();
    let Some((mut cluster, disk)) = led_from_a_disk_that_can_hang(dir.path()) else { return };
    let writer = Writer::start(&cluster, 1);
    writer.wait_for(20);
    disk.hang();
    let leads = |at: usize| {
        let status = cluster.status(at).unwrap();
        status["groups"][0]["role"] == "leader"
    };
    wait_until("another leads", || leads(1) || leads(2));
    writer.wait_for(20);
    let_it_last_for(&cluster, 1, HANG_MS);
    assert!(!leads(0), "who cannot write leads");
    eprintln!("the leader's disk hangs: writes paused {:?} at most", writer.longest_gap());
    disk.go_on();
    writer.wait_for(20);
    drop(writer);
    cluster.wait_ready();
    // Before the disk goes away.
    cluster.kill_all();
}

#[test]
fn a_node_whose_disk_hangs_stops_in_time_and_says_what_had_not_ended() {
    let dir = tempfile::tempdir().unwrap();
    let Some((mut cluster, disk)) = led_from_a_disk_that_can_hang(dir.path()) else { return };
    assert!(cluster.stop(0).success());
    let mut command = cluster.command(0);
    command.args(["--stop-timeout-ms", "1000"]);
    cluster.start_as(0, command);
    cluster.wait_ready();
    let mut client = cluster.client(0);
    assert_eq!(client.ask(&["SET", "k", "before"]), Reply::OK);
    disk.hang();
    client.send(&[&["SET", "k", "meanwhile"]]).unwrap();
    let writer = Writer::start(&cluster, 1);
    writer.wait_for(20);
    cluster.signal(0, Signal::TERM);
    wait_until("it says what had not ended", || cluster.said(0).contains("these had not ended"));
    let said = cluster.said(0);
    assert!(said.contains("a write of the log") && said.contains("--stop-timeout-ms"), "{said}");
    // The client learns how it stands, or sees the end of its connection.
    if let Ok(reply) = client.receive() {
        let text = error_text(&reply);
        let is_true = reply == Reply::OK || text.starts_with("UNKNOWN ");
        assert!(is_true || text.starts_with("CLUSTERDOWN "), "{reply:?}");
    }
    writer.wait_for(20);
    drop(writer);
    // The kernel lets go of a process when its disk has answered.
    disk.go_on();
    assert_eq!(cluster.ended(0).code(), Some(8), "{}", cluster.said(0));
    cluster.start(0);
    cluster.wait_ready();
    cluster.kill_all();
}

/// Reads at a node, many at once, and never what was older than the last
/// acknowledged write when it was asked.
struct Reader {
    client: Client,
    /// The least that the answers on their way may show.
    floors: Vec<u64>,
}

impl Reader {
    fn new(cluster: &Cluster, at: usize) -> Self {
        Self { client: cluster.client(at), floors: Vec::new() }
    }

    fn ask(&mut self, writer: &Writer, at: usize) {
        self.floors.push(writer.acknowledged_number());
        self.client.send(&[&["GET", &format!("w{at}")]]).unwrap();
    }

    /// Takes all answers; how many had a value.
    fn judge(&mut self) -> usize {
        let mut fresh = 0;
        for floor in self.floors.drain(..) {
            match self.client.receive().unwrap() {
                Reply::Bulk(bytes) => {
                    let seen: u64 = std::str::from_utf8(&bytes).unwrap().parse().unwrap();
                    assert!(seen >= floor, "read {seen}, and {floor} was acknowledged before");
                    fresh += 1;
                }
                // Not answered in time is no wrong answer.
                reply => assert!(error_text(&reply).starts_with("CLUSTERDOWN"), "{reply:?}"),
            }
        }
        fresh
    }
}

#[test]
fn a_stopped_leader_is_replaced_and_never_serves_a_stale_read_when_it_goes_on() {
    for lease in [&[][..], &["--lease-clock-drift-us", "500"]] {
        let mut cluster = Cluster::new(3);
        cluster.flags(&[TIMEOUT, lease].concat());
        cluster.start_all();
        cluster.wait_ready();
        let leader = cluster.leader();
        let other = (leader + 1) % 3;
        let writer = Writer::start(&cluster, other);
        let mut reader = Reader::new(&cluster, leader);
        writer.wait_for(20);
        for _ in 0..20 {
            reader.ask(&writer, other);
        }
        assert_eq!(reader.judge(), 20);
        let before = uptime_ms(&cluster, other);
        cluster.signal(leader, Signal::STOP);
        writer.wait_for(20);
        wait_until("it stood still long enough", || {
            // Asked while it cannot answer: of what it knew it may say nothing.
            reader.ask(&writer, other);
            uptime_ms(&cluster, other) >= before + CUT_MS
        });
        cluster.signal(leader, Signal::CONT);
        for _ in 0..200 {
            reader.ask(&writer, other);
        }
        let fresh = reader.judge();
        eprintln!(
            "leader stopped, lease {}: writes paused {:?} at most; {fresh} reads of it, none stale",
            !lease.is_empty(),
            writer.longest_gap()
        );
        writer.wait_for(20);
        drop(writer);
        cluster.wait_ready();
    }
}

#[test]
fn a_stopped_follower_changes_no_leader_and_comes_back() {
    let mut cluster = started(with_timeout(Cluster::new(3)));
    let (leader, follower) = (cluster.leader(), cluster.follower());
    let third = (leader + 2) % 3;
    let term = cluster.term();
    let writer = Writer::start(&cluster, third);
    writer.wait_for(20);
    cluster.signal(follower, Signal::STOP);
    let_it_last(&cluster, third);
    writer.wait_for(20);
    cluster.signal(follower, Signal::CONT);
    writer.wait_for(20);
    let leaders = commit(&cluster, leader);
    wait_until("it is up to date", || commit(&cluster, follower) >= leaders);
    eprintln!("follower stopped: writes paused {:?} at most", writer.longest_gap());
    drop(writer);
    cluster.wait_ready();
    assert_eq!((cluster.leader(), cluster.term()), (leader, term));
}
