//! How each system is started, default durability everywhere, and who leads.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::link::Link;
use crate::options::{Common, OURS};
use crate::process::{Server, free_ports};
use crate::{Failure, grpc, resp};

const MEMBERS: usize = 3;
const READY_WITHIN: Duration = Duration::from_secs(60);
const ASK_WITHIN: Duration = Duration::from_millis(500);
/// What clocks of one machine that are being slewed stay within.
const LEASE_CLOCK_DRIFT_US: &str = "1000";
const POLL: Duration = Duration::from_millis(10);

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum System {
    /// Three nodes of ours.
    Raftlet,
    /// The same, whose leader reads under a lease: an opt-in that rests on clocks.
    RaftletLease,
    /// Three durable copies and nothing else: the floor.
    Null,
    /// Three members of etcd.
    Etcd,
    /// One Redis that syncs before it answers.
    RedisAlways,
    /// One Redis that syncs every second.
    RedisEverysec,
}

impl System {
    /// For tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raftlet => "raftlet",
            Self::RaftletLease => "raftlet-lease",
            Self::Null => "null",
            Self::Etcd => "etcd",
            Self::RedisAlways => "redis-always",
            Self::RedisEverysec => "redis-everysec",
        }
    }

    /// Whether clients speak gRPC.
    #[must_use]
    pub fn is_grpc(self) -> bool {
        self == Self::Etcd
    }
}

/// A system that runs: its processes and ports, member by member.
#[derive(Debug)]
pub struct Running {
    /// Which.
    pub system: System,
    /// Where clients connect.
    pub client_ports: Vec<u16>,
    admin_ports: Vec<u16>,
    peer_ports: Vec<u16>,
    setting: Setting,
    program: PathBuf,
    dir: PathBuf,
    /// In front of the members' ports for each other, where that was asked for.
    pub links: Vec<Link>,
    /// The processes; a killed one stays until it is launched again.
    pub servers: Vec<Server>,
}

/// How a cluster of ours differs from one started without further words.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Flags of every member.
    pub flags: Vec<String>,
    /// Each member is reached by the others over a link of its own.
    pub is_linked: bool,
}

impl Running {
    /// Starts it in a directory of its own and waits until it serves.
    ///
    /// # Errors
    /// It does not start or does not get ready.
    pub async fn start(system: System, common: &Common, dir: &Path) -> Result<Self, Failure> {
        Self::start_as(system, Setting::default(), common, dir).await
    }

    /// The same, with further flags for nodes of ours.
    ///
    /// # Errors
    /// It does not start or does not get ready.
    pub async fn start_with(
        system: System,
        common: &Common,
        dir: &Path,
        flags: Vec<String>,
    ) -> Result<Self, Failure> {
        Self::start_as(system, Setting { flags, is_linked: false }, common, dir).await
    }

    /// The same, in a setting, which is only for ours.
    ///
    /// # Errors
    /// It does not start or does not get ready.
    pub async fn start_as(
        system: System,
        setting: Setting,
        common: &Common,
        dir: &Path,
    ) -> Result<Self, Failure> {
        let (members, program) = match system {
            System::Raftlet | System::RaftletLease => (MEMBERS, ours(&common.raftlet)?),
            System::Null => (MEMBERS, beside("null-replicator")?),
            System::Etcd => (MEMBERS, common.etcd.clone()),
            System::RedisAlways | System::RedisEverysec => (1, common.redis.clone()),
        };
        check_exists(&program)?;
        let ports = free_ports(3 * members)?;
        let dir = dir.join(system.name());
        std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut running = Self {
            system,
            client_ports: ports[..members].to_vec(),
            admin_ports: ports[members..2 * members].to_vec(),
            peer_ports: ports[2 * members..].to_vec(),
            links: Vec::new(),
            setting,
            program,
            dir,
            servers: Vec::new(),
        };
        if running.setting.is_linked {
            let links: Result<_, _> = running.peer_ports.iter().map(|&to| Link::to(to)).collect();
            running.links = links?;
        }
        for at in 0..members {
            let server = running.spawn(at)?;
            running.servers.push(server);
        }
        running.leader(READY_WITHIN).await?;
        Ok(running)
    }

    fn spawn(&self, at: usize) -> Result<Server, Failure> {
        let log = self.dir.join(format!("{at}.log"));
        Server::start(&self.command(at), &log)
    }

    /// Starts a killed member again.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn launch(&mut self, at: usize) -> Result<(), Failure> {
        self.servers[at].kill();
        self.servers[at] = self.spawn(at)?;
        Ok(())
    }

    /// Where a member keeps its data.
    #[must_use]
    pub fn member_dir(&self, at: usize) -> PathBuf {
        self.dir.join(format!("member-{at}"))
    }

    fn command(&self, at: usize) -> Command {
        let mut command = Command::new(&self.program);
        let data = self.member_dir(at);
        let local = |port: u16| format!("127.0.0.1:{port}");
        let doors: Vec<u16> = match &self.links[..] {
            [] => self.peer_ports.clone(),
            links => links.iter().map(Link::port).collect(),
        };
        let peers = doors.iter().zip(1..);
        match self.system {
            System::Raftlet | System::RaftletLease => {
                let members: Vec<String> =
                    peers.map(|(&port, id)| format!("{id}={}", local(port))).collect();
                command.arg("serve").args(["--node-id", &(at + 1).to_string()]);
                command.arg("--data-dir").arg(data);
                command.args(["--client-addr", &local(self.client_ports[at])]);
                command.args(["--peer-addr", &local(self.peer_ports[at])]);
                command.args(["--admin-addr", &local(self.admin_ports[at])]);
                command.args(["--initial-members", &members.join(",")]);
                command.args(&self.setting.flags);
                if self.system == System::RaftletLease {
                    command.args(["--lease-clock-drift-us", LEASE_CLOCK_DRIFT_US]);
                }
            }
            System::Null => {
                let _ = std::fs::create_dir_all(&data);
                command.arg("--file").arg(data.join("log"));
                let ports = &self.client_ports;
                command.args(["--listen", &ports[at].to_string()]);
                if at == 0 {
                    command.args(["--followers", &format!("{},{}", ports[1], ports[2])]);
                }
            }
            System::Etcd => {
                let http = |port: u16| format!("http://127.0.0.1:{port}");
                let members: Vec<String> =
                    peers.map(|(&port, id)| format!("m{id}={}", http(port))).collect();
                command.args(["--name", &format!("m{}", at + 1)]);
                command.arg("--data-dir").arg(data);
                command.args(["--listen-client-urls", &http(self.client_ports[at])]);
                command.args(["--advertise-client-urls", &http(self.client_ports[at])]);
                command.args(["--listen-peer-urls", &http(self.peer_ports[at])]);
                command.args(["--initial-advertise-peer-urls", &http(self.peer_ports[at])]);
                command.args(["--initial-cluster", &members.join(",")]);
                command.args(["--initial-cluster-state", "new", "--log-level", "error"]);
            }
            System::RedisAlways | System::RedisEverysec => {
                let always = self.system == System::RedisAlways;
                // It does not make its directory.
                let _ = std::fs::create_dir_all(&data);
                command.args(["--bind", "127.0.0.1"]);
                command.args(["--port", &self.client_ports[at].to_string()]);
                command.arg("--dir").arg(data);
                command.args(["--save", "", "--appendonly", "yes"]);
                command.args(["--appendfsync", if always { "always" } else { "everysec" }]);
            }
        }
        command
    }

    /// Who leads, once somebody does and answers.
    ///
    /// # Errors
    /// Nobody leads in time, or a process ended.
    pub async fn leader(&mut self, within: Duration) -> Result<usize, Failure> {
        let since = Instant::now();
        loop {
            for at in 0..self.client_ports.len() {
                if self.servers[at].is_running() && self.leads(at).await == Ok(true) {
                    return Ok(at);
                }
            }
            if since.elapsed() > within {
                let name = self.system.name();
                return Err(format!("{name}: nobody leads after {} s", within.as_secs()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether a member says that it leads and serves.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn leads(&self, at: usize) -> Result<bool, Failure> {
        let asking = async {
            match self.system {
                System::Etcd => {
                    let mut connection =
                        grpc::Connection::open(self.client_ports[at], ASK_WITHIN).await?;
                    Ok(connection.leads().await? == Some(true))
                }
                System::Raftlet | System::RaftletLease => {
                    let status = self.status(at).await?;
                    let role = status["groups"][0]["role"].as_str();
                    Ok(role == Some("leader"))
                }
                System::Null if at > 0 => Ok(false),
                System::Null | System::RedisAlways | System::RedisEverysec => {
                    let mut connection =
                        resp::Connection::open(self.client_ports[at], ASK_WITHIN).await?;
                    let mut ping = Vec::new();
                    resp::request(&mut ping, &[b"PING"]);
                    Ok(connection.exchange(&ping, 1).await?.good == 1)
                }
            }
        };
        timeout(ASK_WITHIN, asking).await.map_err(|_| "no answer".to_owned())?
    }

    /// `GET /status` of a node of ours.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn status(&self, at: usize) -> Result<Value, Failure> {
        let body = self.get(at, "/status").await?;
        serde_json::from_str(&body).map_err(|error| error.to_string())
    }

    /// Something else of a node of ours.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn get(&self, at: usize, path: &str) -> Result<String, Failure> {
        self.exchange(at, &format!("GET {path} HTTP/1.1\r\n"), "").await
    }

    /// Tells a node of ours something, in JSON.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn post(&self, at: usize, path: &str, json: &str) -> Result<String, Failure> {
        let length = json.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        );
        self.exchange(at, &head, json).await
    }

    async fn exchange(&self, at: usize, head: &str, body: &str) -> Result<String, Failure> {
        let text = |error: std::io::Error| error.to_string();
        let address = ("127.0.0.1", self.admin_ports[at]);
        let mut stream = TcpStream::connect(address).await.map_err(text)?;
        let request = format!("{head}Host: localhost\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.map_err(text)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(text)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
        Ok(body.to_owned())
    }

    /// Starts one more node of ours, which joins by the first.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn join(&mut self) -> Result<usize, Failure> {
        let at = self.servers.len();
        let [client, admin, peer] = free_ports(3)?[..] else {
            return Err("no free ports".to_owned());
        };
        let local = |port: u16| format!("127.0.0.1:{port}");
        let mut command = Command::new(&self.program);
        command.arg("serve").args(["--node-id", &(at + 1).to_string()]);
        command.arg("--data-dir").arg(self.member_dir(at));
        command.args(["--client-addr", &local(client), "--peer-addr", &local(peer)]);
        command.args(["--admin-addr", &local(admin), "--join", &local(self.admin_ports[0])]);
        command.args(&self.setting.flags);
        self.client_ports.push(client);
        self.admin_ports.push(admin);
        self.peer_ports.push(peer);
        let log = self.dir.join(format!("{at}.log"));
        self.servers.push(Server::start(&command, &log)?);
        Ok(at)
    }

    /// CPU of all its processes so far, microseconds.
    #[must_use]
    pub fn cpu_us(&self) -> u64 {
        self.servers.iter().map(Server::cpu_us).sum()
    }

    /// Stops all in an orderly way.
    pub fn stop(&mut self) {
        for server in &mut self.servers {
            server.signal(rustix::process::Signal::TERM);
        }
        for server in &mut self.servers {
            server.stop();
        }
    }
}

/// A program of this workspace.
fn beside(name: &str) -> Result<PathBuf, Failure> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(program.with_file_name(name))
}

/// Our server: a table of a fresh clone is not to be one without us.
fn ours(program: &Path) -> Result<PathBuf, Failure> {
    if program == Path::new(OURS) && !program.exists() {
        eprintln!("building {OURS}");
        let mut build = Command::new("cargo");
        build.args(["build", "--release", "--quiet", "--package", "raftlet-server"]);
        build.args(["--manifest-path", "../Cargo.toml"]);
        let built = build.status().map_err(|error| format!("cargo: {error}"))?;
        if !built.success() {
            return Err(format!("cargo build of our server: {built}"));
        }
    }
    Ok(program.to_path_buf())
}

/// A program that is missing is told at once, by name.
fn check_exists(program: &Path) -> Result<(), Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = vec![program.to_path_buf()];
    if program.components().count() == 1 {
        places = std::env::split_paths(&path).map(|dir| dir.join(program)).collect();
    }
    if places.iter().any(|place| place.is_file()) {
        return Ok(());
    }
    Err(format!("there is no {}; see README.md for what to install", program.display()))
}
