//! Nodes as child processes, in a directory that goes away.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::free_port::free_port;
use crate::hosts::{Hosts, Links};
use crate::proxies::Proxies;
use crate::waiting::{self, connect, wait_until};

/// The binary under test.
pub(crate) fn raftlet() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raftlet"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RAFTLET_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// The same command, in a shell that does something first.
pub(crate) fn in_shell(first: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{first} && exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Runs what assumes that no leader changes, again if one did all the same: on
/// a laden machine a member may fall silent for an election timeout.
pub(crate) fn undisturbed<T>(cluster: &Cluster, mut run: impl FnMut() -> Option<T>) -> T {
    const ATTEMPTS: usize = 5;
    for _ in 0..ATTEMPTS {
        let term = cluster.term();
        let result = run();
        match result {
            Some(result) if cluster.term() == term => return result,
            Some(_) => {}
            None if cluster.term() == term => panic!("it failed under one leader"),
            None => {}
        }
    }
    panic!("leaders changed in all of {ATTEMPTS} attempts");
}

pub(crate) struct Cluster {
    dir: TempDir,
    ports: Vec<[u16; 3]>,
    nodes: Vec<Option<Child>>,
    /// The first members; the other nodes join by one of the cluster's.
    founders: usize,
    flags: Vec<String>,
    /// A host of its own for each node; without, all are on loopback.
    hosts: Option<Hosts>,
    /// Between nodes on loopback whose links can be cut.
    proxies: Option<Proxies>,
    /// Data directories elsewhere, by node.
    elsewhere: BTreeMap<usize, PathBuf>,
}

impl Cluster {
    /// Further flags of every node from now on.
    pub(crate) fn flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    /// Only the first `len` nodes are the first members.
    pub(crate) fn founders(&mut self, len: usize) {
        self.founders = len;
    }

    /// A cluster of which nothing runs yet.
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            ports: (0..nodes).map(|_| [free_port(), free_port(), free_port()]).collect(),
            nodes: (0..nodes).map(|_| None).collect(),
            founders: nodes,
            flags: Vec::new(),
            hosts: None,
            proxies: None,
            elsewhere: BTreeMap::new(),
        }
    }

    /// A cluster of which nothing runs yet, each node on a host of its own.
    pub(crate) fn on(hosts: Hosts) -> Self {
        let mut cluster = Self::new(hosts.len());
        cluster.hosts = Some(hosts);
        cluster
    }

    /// Where links are cut.
    /// What lies between the nodes and can be cut.
    pub(crate) fn links(&self) -> &dyn Links {
        match (&self.hosts, &self.proxies) {
            (Some(hosts), _) => hosts,
            (None, Some(proxies)) => proxies,
            (None, None) => panic!("links of this cluster cannot be cut"),
        }
    }

    /// The same on loopback, with links that go through proxies.
    pub(crate) fn behind_proxies(nodes: usize) -> Self {
        let mut cluster = Self::new(nodes);
        let peers: Vec<u16> = cluster.ports.iter().map(|ports| ports[1]).collect();
        cluster.proxies = Some(Proxies::before(&peers));
        cluster
    }

    /// Where other nodes dial this one.
    fn peer_port(&self, at: usize) -> u16 {
        self.proxies.as_ref().map_or(self.ports[at][1], |proxies| proxies.port(at))
    }

    /// Puts the data of a node that was never started somewhere else.
    pub(crate) fn keep_data_in(&mut self, at: usize, dir: PathBuf) {
        self.elsewhere.insert(at, dir);
    }

    fn ip(&self, at: usize) -> Ipv4Addr {
        self.hosts.as_ref().map_or(Ipv4Addr::LOCALHOST, |hosts| hosts.ip(at))
    }

    /// A cluster that serves, and room for `nodes` in all.
    pub(crate) fn growing(founders: usize, nodes: usize) -> Self {
        let mut cluster = Self::new(nodes);
        cluster.founders(founders);
        for at in 0..founders {
            cluster.start(at);
        }
        cluster.wait_ready();
        cluster
    }

    /// Starts a node that joins by another.
    pub(crate) fn join(&mut self, at: usize, by: usize) {
        let mut command = self.command(at);
        command.args(["--join", &self.admin_address(by)]);
        self.start_as(at, command);
    }

    /// A cluster that serves.
    pub(crate) fn started(nodes: usize) -> Self {
        let mut cluster = Self::new(nodes);
        cluster.start_all();
        cluster.wait_ready();
        cluster
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn data_dir(&self, at: usize) -> PathBuf {
        if let Some(dir) = self.elsewhere.get(&at) {
            return dir.clone();
        }
        self.dir.path().join(format!("node-{}", at + 1))
    }

    fn log(&self, at: usize) -> PathBuf {
        self.dir.path().join(format!("node-{}.log", at + 1))
    }

    /// The first members, as every node is told.
    pub(crate) fn initial_members(&self) -> String {
        let member = |at| format!("{}={}:{}", at + 1, self.ip(at), self.peer_port(at));
        (0..self.founders).map(member).collect::<Vec<_>>().join(",")
    }

    /// The command line that starts a node.
    pub(crate) fn command(&self, at: usize) -> Command {
        let ([client, peer, admin], ip) = (self.ports[at], self.ip(at));
        let mut command = match &self.hosts {
            Some(hosts) => hosts.inside(at, &raftlet()),
            None => raftlet(),
        };
        command
            .args(["serve", "--node-id", &(at + 1).to_string()])
            .args(["--client-addr", &format!("{ip}:{client}")])
            .args(["--peer-addr", &format!("{ip}:{peer}")])
            .args(["--admin-addr", &format!("{ip}:{admin}")])
            .arg("--data-dir")
            .arg(self.data_dir(at))
            .args(&self.flags);
        if at < self.founders {
            command.args(["--initial-members", &self.initial_members()]);
        }
        if self.hosts.is_some() {
            command.arg("--insecure-bind");
        }
        command
    }

    pub(crate) fn start(&mut self, at: usize) {
        self.start_as(at, self.command(at));
    }

    /// Starts a node by this command, which ends in it. Its process id.
    pub(crate) fn start_as(&mut self, at: usize, mut command: Command) -> u32 {
        let log = File::options().create(true).append(true).open(self.log(at)).unwrap();
        let child = command.stderr(log).spawn().unwrap();
        let id = child.id();
        self.nodes[at] = Some(child);
        id
    }

    pub(crate) fn start_all(&mut self) {
        for at in 0..self.len() {
            self.start(at);
        }
    }

    /// Of a node that runs.
    pub(crate) fn process_id(&self, at: usize) -> u32 {
        self.nodes[at].as_ref().unwrap().id()
    }

    pub(crate) fn kill(&mut self, at: usize) {
        if let Some(mut child) = self.nodes[at].take() {
            waiting::kill(&mut child);
        }
    }

    pub(crate) fn kill_all(&mut self) {
        for child in self.nodes.iter_mut().flatten() {
            let _ = child.kill();
        }
        for at in 0..self.len() {
            self.kill(at);
        }
    }

    /// Sends a node's process a signal.
    pub(crate) fn signal(&self, at: usize, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process_id(at)).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGTERM, and how the process ends.
    pub(crate) fn stop(&mut self, at: usize) -> ExitStatus {
        self.signal(at, Signal::TERM);
        self.ended(at)
    }

    /// Waits until a node has ended by itself.
    pub(crate) fn ended(&mut self, at: usize) -> ExitStatus {
        let child = self.nodes[at].as_mut().unwrap();
        let status = waiting::ended(child, "a node that should end");
        self.nodes[at] = None;
        status
    }

    /// What a node has said so far.
    pub(crate) fn said(&self, at: usize) -> String {
        fs::read_to_string(self.log(at)).unwrap_or_default()
    }

    pub(crate) fn client_address(&self, at: usize) -> SocketAddr {
        (self.ip(at), self.ports[at][0]).into()
    }

    pub(crate) fn admin_address(&self, at: usize) -> String {
        format!("{}:{}", self.ip(at), self.ports[at][2])
    }

    pub(crate) fn client(&self, at: usize) -> Client {
        Client::connect(self.client_address(at)).unwrap()
    }

    pub(crate) fn status(&self, at: usize) -> Option<Value> {
        let (code, body) = http_get_at((self.ip(at), self.ports[at][2]).into(), "/status")?;
        assert_eq!(code, 200, "{body}");
        Some(serde_json::from_str(&body).unwrap())
    }

    /// Waits until all running nodes serve under one leader and have applied
    /// the same: their whole logs. Just after a start each has applied its
    /// snapshot alone, and may know of a leader already.
    pub(crate) fn wait_ready(&mut self) {
        let running: Vec<usize> = (0..self.len()).filter(|at| self.nodes[*at].is_some()).collect();
        wait_until("all running nodes serve under one leader", || {
            for at in &running {
                let child = self.nodes[*at].as_mut().unwrap();
                let ended = child.try_wait().unwrap();
                assert!(ended.is_none(), "node {} ended: {}", at + 1, self.said(*at));
            }
            let seen: Option<Vec<Value>> = running
                .iter()
                .map(|at| {
                    let group = self.status(*at)?["groups"].get(0)?.clone();
                    group["leader"].as_u64()?;
                    (group["applied_index"] == group["last_index"]).then_some(())?;
                    Some(serde_json::json!([
                        group["leader"],
                        group["term"],
                        group["applied_index"],
                        group["state_digest"]
                    ]))
                })
                .collect();
            seen.is_some_and(|seen| seen.iter().all(|node| *node == seen[0]))
        });
    }

    /// The highest term that a node knows.
    pub(crate) fn term(&self) -> u64 {
        let term = |at| self.status(at)?["groups"][0]["term"].as_u64();
        (0..self.len()).filter_map(term).max().unwrap_or(0)
    }

    /// Who leads, as the nodes say.
    pub(crate) fn leader(&self) -> usize {
        let mut leader = None;
        wait_until("somebody leads", || {
            leader = (0..self.len()).find(|at| {
                self.nodes[*at].is_some()
                    && self
                        .status(*at)
                        .is_some_and(|status| status["groups"][0]["role"] == "leader")
            });
            leader.is_some()
        });
        leader.unwrap()
    }

    pub(crate) fn follower(&self) -> usize {
        (self.leader() + 1) % self.len()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for at in 0..self.len() {
                eprintln!("--- node {}\n{}", at + 1, self.said(at));
            }
        }
        self.kill_all();
    }
}

/// Of one answer; an endless one is none.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// A GET on a port of loopback; `None` where nobody answers.
pub(crate) fn http_get(port: u16, path: &str) -> Option<(u16, String)> {
    http_get_at((Ipv4Addr::LOCALHOST, port).into(), path)
}

fn http_get_at(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    http(address, &format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
}

/// A POST of JSON, likewise.
pub(crate) fn http_post(port: u16, path: &str, json: &str) -> Option<(u16, String)> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    let length = json.len();
    http(
        (Ipv4Addr::LOCALHOST, port).into(),
        &format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"),
    )
}

fn http(address: SocketAddr, request: &str) -> Option<(u16, String)> {
    let mut stream = connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}
