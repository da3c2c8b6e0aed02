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
/// Connections to etcd; clients beyond share them, as its own clients do.
const GRPC_CONNECTIONS_MAX: usize = 16;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// One operation that takes longer ends the point as a failure.
const POINT_SLACK: Duration = Duration::from_secs(30);

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
                "max_us": max, "server_cpu_us": self.server_us, "client_cpu_us": self.client_us,
                "errors": self.errors, "first_error": self.first_error })
    }
}

/// What all clients of a point share.
#[derive(Debug)]
struct Shared {
    start: Instant,
    end: Instant,
    latencies_ns: Vec<u64>,
    errors: u64,
    first_error: Option<String>,
}

impl Shared {
    fn note(&mut self, from: Instant, good: u64, bad: u64, error: Option<String>) {
        let now = Instant::now();
        if now >= self.start && now <= self.end {
            let ns = u64::try_from((now - from).as_nanos()).unwrap_or(u64::MAX);
            self.latencies_ns.extend((0..good).map(|_| ns));
        }
        self.errors += bad;
        if self.first_error.is_none() {
            self.first_error = error;
        }
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

/// Measures a point against the member at `port`.
///
/// # Errors
/// Clients cannot connect, or the system stopped answering.
pub async fn measure(running: &Running, port: u16, point: Point) -> Result<Outcome, Failure> {
    let local = LocalSet::new();
    let (shared, server_cpu, client_cpu) = local
        .run_until(async {
            let clients = connect(running, port, point).await?;
            let start = Instant::now() + point.warm_up;
            let end = start + point.window;
            let shared = Rc::new(RefCell::new(Shared {
                start,
                end,
                latencies_ns: Vec::with_capacity(1 << 20),
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
    let count = shared.latencies_ns.len();
    if count == 0 {
        let why = shared.first_error.clone().unwrap_or_else(|| "no answer".to_owned());
        return Err(format!("no operation succeeded: {why}"));
    }
    let at = |share: f64| {
        let position = ((count as f64 * share) as usize).min(count - 1);
        shared.latencies_ns[position] as f64 / 1000.0
    };
    Ok(Outcome {
        ops_s: count as f64 / point.window.as_secs_f64(),
        us: [at(0.5), at(0.99), at(0.999), at(1.0)],
        server_us: server_cpu as f64 / count as f64,
        client_us: client_cpu as f64 / count as f64,
        errors: shared.errors,
        first_error: shared.first_error.clone(),
    })
}

/// A client that has connected.
#[derive(Debug)]
enum Client {
    Resp(resp::Connection),
    Grpc(grpc::Connection),
}

impl Client {
    async fn run(self, point: Point, seed: u64, shared: Rc<RefCell<Shared>>) {
        match self {
            Self::Resp(connection) => resp_client(connection, point, seed, shared).await,
            Self::Grpc(connection) => grpc_client(connection, point, seed, shared).await,
        }
    }
}

/// All clients, before the first of them asks.
async fn connect(running: &Running, port: u16, point: Point) -> Result<Vec<Client>, Failure> {
    let mut clients = Vec::new();
    let mut connections = Vec::new();
    for at in 0..point.clients {
        if running.system.is_grpc() {
            if connections.len() < GRPC_CONNECTIONS_MAX {
                connections.push(grpc::Connection::open(port, CONNECT_WITHIN).await?);
            }
            clients.push(Client::Grpc(connections[at % connections.len()].clone()));
        } else {
            clients.push(Client::Resp(resp::Connection::open(port, CONNECT_WITHIN).await?));
        }
    }
    Ok(clients)
}

async fn resp_client(
    mut connection: resp::Connection,
    point: Point,
    mut seed: u64,
    shared: Rc<RefCell<Shared>>,
) {
    let end = shared.borrow().end;
    let value = [b'v'; VALUE_BYTES];
    let mut requests = Vec::new();
    while Instant::now() < end {
        requests.clear();
        for _ in 0..point.pipeline {
            let key = next_key(&mut seed);
            match point.op {
                Op::Put => resp::request(&mut requests, &[b"SET", &key, &value]),
                Op::Get => resp::request(&mut requests, &[b"GET", &key]),
            }
        }
        let from = Instant::now();
        match connection.exchange(&requests, point.pipeline).await {
            Ok(answers) => {
                let mut shared = shared.borrow_mut();
                shared.note(from, answers.good, answers.bad, answers.first_bad);
            }
            Err(error) => {
                shared.borrow_mut().note(from, 0, point.pipeline, Some(error));
                return;
            }
        }
    }
}

async fn grpc_client(
    mut connection: grpc::Connection,
    point: Point,
    mut seed: u64,
    shared: Rc<RefCell<Shared>>,
) {
    let end = shared.borrow().end;
    let value = [b'v'; VALUE_BYTES];
    while Instant::now() < end {
        let key = next_key(&mut seed);
        let from = Instant::now();
        let outcome = match point.op {
            Op::Put => connection.put(&key, &value).await,
            Op::Get => connection.get(&key).await,
        };
        match outcome {
            Ok(()) => shared.borrow_mut().note(from, 1, 0, None),
            Err(error) => {
                shared.borrow_mut().note(from, 0, 1, Some(error));
                tokio::task::yield_now().await;
            }
        }
    }
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
