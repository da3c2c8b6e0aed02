//! The closed loop: so many clients, each waits for its answer before it asks
//! again, alike for every system and on one thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::systems::Running;
use crate::{Failure, grpc, resp};

/// Keys that exist, of 12 bytes each.
pub const KEYS: u64 = 20_000;
/// Bytes of each value.
pub const VALUE_BYTES: usize = 256;
const VALUE: [u8; VALUE_BYTES] = [b'v'; VALUE_BYTES];
/// Connections to etcd; clients beyond share them, as its own clients do.
const GRPC_CONNECTIONS_MAX: usize = 16;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// One operation that takes longer ends the point as a failure.
const POINT_SLACK: Duration = Duration::from_secs(30);

/// An attempt of a client that can go elsewhere. A member without leader may
/// hold a request for seconds and then drop it (etcd), so whoever waits longer
/// measures its own patience.
const RESUME_WITHIN: Duration = Duration::from_millis(250);
const BETWEEN_TRIES: Duration = Duration::from_millis(5);
/// An operation that is under way at the end of the window may still end.
const AFTER_END: Duration = Duration::from_secs(5);

/// What clients do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Op {
    /// Write a random key.
    Put,
    /// Read one, linearizably.
    Get,
}

/// One point of a table.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// What clients do.
    pub op: Op,
    /// How many.
    pub clients: usize,
    /// Requests that a client sends at once.
    pub pipeline: u64,
    /// Not measured.
    pub warm_up: Duration,
    /// Measured.
    pub window: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Operations per second.
    pub ops_s: f64,
    /// Latencies, microseconds: median, 99th, 99.9th percentile, largest.
    pub us: [f64; 4],
    /// Server CPU per operation, microseconds.
    pub server_us: f64,
    /// Client CPU per operation, microseconds.
    pub client_us: f64,
    /// The longest time without any success, milliseconds.
    pub gap_ms: f64,
    /// Answers that were no success.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<String>,
}

impl Outcome {
    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let [p50, p99, p999, max] = self.us.map(f64::round);
        json!({ "ops_s": self.ops_s.round(), "p50_us": p50, "p99_us": p99, "p999_us": p999,
                "max_us": max, "server_cpu_us": self.server_us, "client_cpu_us": self.client_us, "longest_gap_ms": self.gap_ms,
                "errors": self.errors, "first_error": self.first_error })
    }
}

/// What all clients of a point share.
#[derive(Debug)]
struct Shared {
    start: Instant,
    end: Instant,
    latencies_ns: Vec<u64>,
    last_success: Instant,
    longest_gap: Duration,
    errors: u64,
    first_error: Option<String>,
}

impl Shared {
    fn note(&mut self, from: Instant, good: u64, bad: u64, error: Option<String>) {
        let now = Instant::now();
        if now >= self.start && now <= self.end {
            let ns = u64::try_from((now - from).as_nanos()).unwrap_or(u64::MAX);
            self.latencies_ns.extend((0..good).map(|_| ns));
            if good > 0 {
                self.longest_gap = self.longest_gap.max(now - self.last_success);
                self.last_success = now;
            }
        }
        self.errors += bad;
        if self.first_error.is_none() {
            self.first_error = error;
        }
    }
}

impl Shared {
    /// Of all clients; latencies are sorted.
    fn outcome(&self, point: Point, server_us: u64, client_us: u64) -> Result<Outcome, Failure> {
        let count = self.latencies_ns.len();
        if count == 0 {
            let why = self.first_error.clone().unwrap_or_else(|| "no answer".to_owned());
            return Err(format!("no operation succeeded: {why}"));
        }
        let at = |share: f64| {
            let position = ((count as f64 * share) as usize).min(count - 1);
            self.latencies_ns[position] as f64 / 1000.0
        };
        // Nothing succeeded between the last success and the end, either.
        let gap = self.longest_gap.max(self.end.saturating_duration_since(self.last_success));
        Ok(Outcome {
            ops_s: count as f64 / point.window.as_secs_f64(),
            us: [at(0.5), at(0.99), at(0.999), at(1.0)],
            server_us: server_us as f64 / count as f64,
            client_us: client_us as f64 / count as f64,
            gap_ms: gap.as_secs_f64() * 1000.0,
            errors: self.errors,
            first_error: self.first_error.clone(),
        })
    }
}

/// The key of a number, 12 bytes.
#[must_use]
pub fn key(number: u64) -> [u8; 12] {
    let mut key = *b"key:00000000";
    let digits = format!("{:08}", number % 100_000_000);
    key[4..].copy_from_slice(digits.as_bytes());
    key
}

/// A cheap generator of keys: the same sequence for every system.
fn next_key(state: &mut u64) -> [u8; 12] {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    key((*state >> 33) % KEYS)
}

/// The ports that a point's clients go to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Clients are spread over them.
    pub ports: Vec<u16>,
    /// Where a client whose connection broke goes on; if empty, it ends there.
    pub survivors: Vec<u16>,
}

impl Entry {
    /// All clients at one member.
    #[must_use]
    pub fn at(port: u16) -> Self {
        Self { ports: vec![port], survivors: Vec::new() }
    }
}

/// Measures a point; `midway` is called in the middle of its window.
///
/// # Errors
/// Clients cannot connect, or the system stopped answering.
pub async fn measure(
    running: &mut Running,
    entry: &Entry,
    point: Point,
    midway: impl FnOnce(&mut Running),
) -> Result<Outcome, Failure> {
    let local = LocalSet::new();
    let (shared, server_cpu, client_cpu) = local
        .run_until(async {
            let clients = connect(running, entry, point).await?;
            let start = Instant::now() + point.warm_up;
            let end = start + point.window;
            let shared = Rc::new(RefCell::new(Shared {
                start,
                end,
                latencies_ns: Vec::with_capacity(1 << 20),
                last_success: start,
                longest_gap: Duration::ZERO,
                errors: 0,
                first_error: None,
            }));
            let tasks: Vec<_> = (1..)
                .zip(clients)
                .map(|(seed, client)| {
                    tokio::task::spawn_local(client.run(point, seed, Rc::clone(&shared)))
                })
                .collect();
            tokio::time::sleep_until(start.into()).await;
            let (server, client) = (running.cpu_us(), own_cpu_us());
            tokio::time::sleep_until((start + point.window / 2).into()).await;
            midway(running);
            tokio::time::sleep_until(end.into()).await;
            let (server, client) = (running.cpu_us() - server, own_cpu_us() - client);
            for task in tasks {
                let joined = tokio::time::timeout(POINT_SLACK, task).await;
                joined
                    .map_err(|_| "a client got no answer".to_owned())?
                    .map_err(|e| e.to_string())?;
            }
            Ok::<_, Failure>((shared, server, client))
        })
        .await?;
    let mut shared = shared.borrow_mut();
    shared.latencies_ns.sort_unstable();
    shared.outcome(point, server_cpu, client_cpu)
}

/// A client: its connection, and where it goes when that breaks.
#[derive(Debug)]
struct Client {
    connection: Option<Connection>,
    survivors: Vec<u16>,
    is_grpc: bool,
}

#[derive(Debug)]
enum Connection {
    Resp(resp::Connection),
    Grpc(grpc::Connection),
}

/// Whether somebody may ask on this connection again.
enum Asked {
    Answered { good: u64, bad: u64, first_bad: Option<String> },
    Broken(String),
}

impl Client {
    /// The closed loop. An operation is done when it has its success: one whose
    /// connection broke is asked again at a survivor, and its time goes on, as
    /// a user would see it.
    async fn run(mut self, point: Point, mut seed: u64, shared: Rc<RefCell<Shared>>) {
        let end = shared.borrow().end;
        let mut requests = Requests::default();
        let mut tries = seed;
        let can_resume = !self.survivors.is_empty();
        while Instant::now() < end {
            requests.next(point, &mut seed);
            let from = Instant::now();
            while Instant::now() < end + AFTER_END {
                let asked = match self.connect(&mut tries).await {
                    Ok(connection) if can_resume => {
                        let asking = connection.ask(&requests, point);
                        let late = |_| Asked::Broken("no answer in time".to_owned());
                        tokio::time::timeout(RESUME_WITHIN, asking).await.unwrap_or_else(late)
                    }
                    Ok(connection) => connection.ask(&requests, point).await,
                    Err(why) => Asked::Broken(why),
                };
                match asked {
                    Asked::Answered { good, bad, first_bad } => {
                        shared.borrow_mut().note(from, good, bad, first_bad);
                        if bad == 0 || !can_resume {
                            break;
                        }
                    }
                    Asked::Broken(why) => {
                        shared.borrow_mut().note(from, 0, point.pipeline, Some(why));
                        if !can_resume {
                            return;
                        }
                        self.connection = None;
                    }
                }
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
        }
    }

    /// Its connection, or a new one to a survivor.
    async fn connect(&mut self, tries: &mut u64) -> Result<&mut Connection, Failure> {
        if self.connection.is_none() {
            let at = usize::try_from(*tries).unwrap_or(0) % self.survivors.len().max(1);
            let port = *self.survivors.get(at).ok_or("no connection")?;
            *tries += 1;
            self.connection = Some(Connection::open(port, self.is_grpc, RESUME_WITHIN).await?);
        }
        self.connection.as_mut().ok_or_else(|| "no connection".to_owned())
    }
}

/// What a client asks next, as bytes and as words.
#[derive(Debug, Default)]
struct Requests {
    bytes: Vec<u8>,
    key: [u8; 12],
}

impl Requests {
    fn next(&mut self, point: Point, seed: &mut u64) {
        self.bytes.clear();
        for _ in 0..point.pipeline {
            self.key = next_key(seed);
            match point.op {
                Op::Put => resp::request(&mut self.bytes, &[b"SET", &self.key, &VALUE]),
                Op::Get => resp::request(&mut self.bytes, &[b"GET", &self.key]),
            }
        }
    }
}

impl Connection {
    async fn open(port: u16, is_grpc: bool, within: Duration) -> Result<Self, Failure> {
        Ok(if is_grpc {
            Self::Grpc(grpc::Connection::open(port, within).await?)
        } else {
            Self::Resp(resp::Connection::open(port, within).await?)
        })
    }

    /// Asks, and waits for all answers.
    async fn ask(&mut self, requests: &Requests, point: Point) -> Asked {
        match self {
            Self::Resp(connection) => {
                match connection.exchange(&requests.bytes, point.pipeline).await {
                    Ok(resp::Answers { good, bad, first_bad }) => {
                        Asked::Answered { good, bad, first_bad }
                    }
                    Err(why) => Asked::Broken(why),
                }
            }
            Self::Grpc(connection) => {
                let asked = match point.op {
                    Op::Put => connection.put(&requests.key, &VALUE).await,
                    Op::Get => connection.get(&requests.key).await,
                };
                match asked {
                    Ok(()) => Asked::Answered { good: 1, bad: 0, first_bad: None },
                    // It cannot be told from a refusal here.
                    Err(why) => Asked::Broken(why),
                }
            }
        }
    }
}

/// All clients, before the first of them asks.
async fn connect(running: &Running, entry: &Entry, point: Point) -> Result<Vec<Client>, Failure> {
    let is_grpc = running.system.is_grpc();
    let mut clients = Vec::new();
    let mut shared: Vec<grpc::Connection> = Vec::new();
    for at in 0..point.clients {
        let port = entry.ports[at % entry.ports.len()];
        let connection = if is_grpc && shared.len() >= GRPC_CONNECTIONS_MAX {
            Connection::Grpc(shared[at % shared.len()].clone())
        } else {
            Connection::open(port, is_grpc, CONNECT_WITHIN).await?
        };
        if let (Connection::Grpc(connection), true) =
            (&connection, shared.len() < GRPC_CONNECTIONS_MAX)
        {
            shared.push(connection.clone());
        }
        let survivors = entry.survivors.clone();
        clients.push(Client { connection: Some(connection), survivors, is_grpc });
    }
    Ok(clients)
}

/// Writes every key once.
///
/// # Errors
/// Not all of them were acknowledged.
pub async fn fill(running: &Running, port: u16, keys: u64) -> Result<(), Failure> {
    const CLIENTS: u64 = 64;
    let local = LocalSet::new();
    local
        .run_until(async {
            let mut tasks = Vec::new();
            for client in 0..CLIENTS {
                let mine = (client..keys).step_by(CLIENTS as usize);
                tasks.push(if running.system.is_grpc() {
                    let connection = grpc::Connection::open(port, CONNECT_WITHIN).await?;
                    tokio::task::spawn_local(fill_grpc(connection, mine.collect()))
                } else {
                    let connection = resp::Connection::open(port, CONNECT_WITHIN).await?;
                    tokio::task::spawn_local(fill_resp(connection, mine.collect()))
                });
            }
            for task in tasks {
                task.await.map_err(|error| error.to_string())??;
            }
            Ok(())
        })
        .await
}

async fn fill_resp(mut connection: resp::Connection, keys: Vec<u64>) -> Result<(), Failure> {
    let value = [b'v'; VALUE_BYTES];
    for some in keys.chunks(64) {
        let mut requests = Vec::new();
        for &number in some {
            resp::request(&mut requests, &[b"SET", &key(number), &value]);
        }
        let answers = connection.exchange(&requests, some.len() as u64).await?;
        if let Some(bad) = answers.first_bad {
            return Err(bad);
        }
    }
    Ok(())
}

async fn fill_grpc(mut connection: grpc::Connection, keys: Vec<u64>) -> Result<(), Failure> {
    for number in keys {
        connection.put(&key(number), &[b'v'; VALUE_BYTES]).await?;
    }
    Ok(())
}

fn own_cpu_us() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let fields = behind.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok());
    fields.sum::<u64>() * 1_000_000 / rustix::param::clock_ticks_per_second()
}
