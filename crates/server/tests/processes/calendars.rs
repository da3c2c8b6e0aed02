//! Times to live when calendars are wrong and leaders die (rule 31, D12).
//!
//! Nodes of a test build read from a file by how much their calendar is ahead.
//! How long something took is told by a node's own `uptime_ms`, and only ever
//! asked whether it was *long enough*: a slow machine can't make that untrue.

use std::path::PathBuf;

use crate::client::{Client, bulk};
use crate::cluster::Cluster;
use crate::waiting::wait_until;
use raftlet_kv::Reply;

const HOUR_MS: i64 = 3_600_000;

/// Three nodes whose calendars a test sets; `None`, and a word why, in a build
/// that has none to set.
struct Calendars {
    cluster: Cluster,
}

impl Calendars {
    fn started() -> Option<Self> {
        if !cfg!(debug_assertions) {
            eprintln!("not shown: calendars can be set in builds with debug assertions only");
            return None;
        }
        let mut calendars = Self { cluster: Cluster::new(3) };
        for at in 0..3 {
            calendars.start(at);
        }
        calendars.cluster.wait_ready();
        Some(calendars)
    }

    fn file(&self, at: usize) -> PathBuf {
        self.cluster.data_dir(at).with_extension("calendar")
    }

    fn set(&self, at: usize, ahead_ms: i64) {
        // Whole at once: a node may be reading it.
        let written = self.file(at).with_extension("new");
        std::fs::write(&written, ahead_ms.to_string()).unwrap();
        std::fs::rename(written, self.file(at)).unwrap();
    }

    fn start(&mut self, at: usize) {
        let mut command = self.cluster.command(at);
        command.env("RAFTLET_TEST_CALENDAR", self.file(at));
        self.cluster.start_as(at, command);
    }

    fn uptime_ms(&self, at: usize) -> u64 {
        self.cluster.status(at).unwrap()["uptime_ms"].as_u64().unwrap()
    }
}

/// Asked until it is answered: a leader may just have died.
fn ask(cluster: &Cluster, at: usize, request: &[&str]) -> Reply {
    let mut answer = Reply::Null;
    wait_until("a node answers", || {
        let asked = Client::connect(cluster.client_address(at))
            .and_then(|mut client| client.try_ask(request));
        asked.is_ok_and(|reply| {
            answer = reply;
            !matches!(answer, Reply::Error(_))
        })
    });
    answer
}

#[test]
fn a_wrong_calendar_and_a_dead_leader_neither_shorten_a_life_nor_bring_a_key_back() {
    const LIFE_MS: u64 = 600;
    let Some(mut nodes) = Calendars::started() else { return };
    for (is_leaders, ahead_ms) in
        [(true, -HOUR_MS), (false, HOUR_MS), (true, HOUR_MS), (false, -HOUR_MS)]
    {
        let leader = nodes.cluster.leader();
        let survivors = [(leader + 1) % 3, (leader + 2) % 3];
        nodes.set(if is_leaders { leader } else { survivors[0] }, ahead_ms);
        let key = format!("k:{is_leaders}:{ahead_ms}");
        let stays = format!("stays:{is_leaders}:{ahead_ms}");
        let born_ms = nodes.uptime_ms(survivors[1]);
        let cluster = &nodes.cluster;
        for (key, life_ms) in [(&stays, "600000"), (&key, "600")] {
            assert_eq!(ask(cluster, leader, &["SET", key, "v", "PX", life_ms]), Reply::OK);
        }
        nodes.cluster.kill(leader);
        for at in survivors {
            wait_until("the key is gone", || {
                ask(&nodes.cluster, at, &["GET", &key]) == Reply::Null
            });
        }
        let lived_ms = nodes.uptime_ms(survivors[1]) - born_ms;
        // A leader leans towards its calendar by a tenth at most, and only for
        // as long as news of the former one took to reach it.
        assert!(lived_ms * 10 >= LIFE_MS * 9, "a life of {LIFE_MS} ms ended after {lived_ms} ms");
        nodes.start(leader);
        nodes.cluster.wait_ready();
        for at in 0..3 {
            for _ in 0..3 {
                let answer = ask(&nodes.cluster, at, &["MGET", &key, &stays]);
                assert_eq!(answer, Reply::Array(vec![Reply::Null, bulk("v")]), "at node {at}");
            }
        }
        for at in 0..3 {
            nodes.set(at, 0);
        }
    }
}

/// The first command after an outage comes before anybody has told the new
/// leader how long that was.
#[test]
fn an_outage_takes_its_time_from_what_was_there_and_nothing_from_what_comes_first() {
    let Some(mut nodes) = Calendars::started() else { return };
    let old = ask(&nodes.cluster, 0, &["SET", "old", "v", "PX", "1800000"]);
    assert_eq!(old, Reply::OK);
    nodes.cluster.kill_all();
    for at in 0..3 {
        nodes.set(at, HOUR_MS);
        nodes.start(at);
    }
    for key in ["first", "second"] {
        let answer = ask(&nodes.cluster, 0, &["SET", key, "v", "PX", "1800000"]);
        assert_eq!(answer, Reply::OK);
    }
    nodes.cluster.wait_ready();
    for at in 0..3 {
        let answer = ask(&nodes.cluster, at, &["MGET", "old", "first", "second"]);
        assert_eq!(answer, Reply::Array(vec![Reply::Null, bulk("v"), bulk("v")]), "at node {at}");
    }
}
