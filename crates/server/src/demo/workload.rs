//! The demo's clients: each asks, waits for the answer, and asks again.
//!
//! Everything they asked and were told goes into one history, on one clock.
//! What became of a request whose connection broke, or that was answered
//! `UNKNOWN`, is recorded as unknown; the client goes on elsewhere under a new
//! id, for the old one is still waiting as far as anybody can prove.
//!
//! Invariants
//! - Exactly `goal` operations complete, acknowledged or unknown. A request
//!   that was surely not done (`CLUSTERDOWN`, `TRYAGAIN`) is recorded as such
//!   and replaced by another.
//! - A client waits for an answer at most [`ANSWER_WITHIN`], and for a node
//!   that takes its connection at most [`CONNECTED_WITHIN`].
//!
//! Not here: what is asked (`plan.rs`), who is killed meanwhile
//! (`outages.rs`), what the history proves (`verdict.rs`).

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::demo::connection::Connection;
use crate::demo::plan::{KeySpace, Plan};
use crate::process::clock::TokioClock;
use crate::process::failure::Failure;
use raftlet_check::{Call, ClientId, History, Key, Operation, Outcome, Reply as Answer, Value};
use raftlet_kv::Reply;

/// Twice a node's default bound on waiting without a leader.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// All nodes may be down and restarting on a laden machine.
const CONNECTED_WITHIN: Duration = Duration::from_secs(90);
/// Between two rounds of vain attempts to connect, and after a refusal.
const PAUSE: Duration = Duration::from_millis(10);
/// Requests in flight when all keys are read at once.
const SWEEP_LEN: usize = 64;

/// What all clients share.
#[derive(Debug)]
pub(super) struct Workload {
    clock: TokioClock,
    /// Where clients connect, by node; `None`: not there any more, or not yet.
    addresses: RefCell<Vec<Option<SocketAddr>>>,
    space: KeySpace,
    goal: Cell<u64>,
    claimed: Cell<u64>,
    claims_max: Cell<u64>,
    acknowledged: Cell<u64>,
    unknown: Cell<u64>,
    next_client: Cell<u64>,
    history: RefCell<History>,
    latencies_ns: RefCell<Vec<u64>>,
}

/// What the clients saw.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) acknowledged: u64,
    pub(super) unknown: u64,
    pub(super) history: History,
    /// Of acknowledged operations, ascending.
    pub(super) latencies_ns: Vec<u64>,
}

impl Workload {
    pub(super) fn new(
        clock: TokioClock,
        addresses: Vec<SocketAddr>,
        space: KeySpace,
        goal: u64,
    ) -> Self {
        Self {
            clock,
            addresses: RefCell::new(addresses.into_iter().map(Some).collect()),
            space,
            goal: Cell::new(goal),
            claimed: Cell::new(0),
            claims_max: Cell::new(goal),
            acknowledged: Cell::new(0),
            unknown: Cell::new(0),
            next_client: Cell::new(0),
            history: RefCell::new(History::new()),
            latencies_ns: RefCell::new(Vec::new()),
        }
    }

    /// Operations that have completed.
    pub(super) fn completed(&self) -> u64 {
        self.acknowledged.get() + self.unknown.get()
    }

    pub(super) fn goal(&self) -> u64 {
        self.goal.get()
    }

    /// Clients end with what they have begun.
    pub(super) fn finish(&self) {
        self.goal.set(self.completed());
    }

    /// Clients connect to this node, too, from now on.
    pub(super) fn meet(&self, at: usize, address: SocketAddr) {
        let mut addresses = self.addresses.borrow_mut();
        if addresses.len() <= at {
            addresses.resize(at + 1, None);
        }
        if let Some(known) = addresses.get_mut(at) {
            *known = Some(address);
        }
    }

    /// Clients do not connect to this node any more; who is there stays until
    /// it is sent away.
    pub(super) fn part(&self, at: usize) {
        if let Some(known) = self.addresses.borrow_mut().get_mut(at) {
            *known = None;
        }
    }

    /// Lets clients begin at most this many operations for now.
    pub(super) fn pause_at(&self, claims_max: u64) {
        self.claims_max.set(claims_max.min(self.goal.get()));
    }

    /// Runs one client until the goal is reached.
    ///
    /// # Errors
    /// A node answered what no node may, or none takes connections any more.
    pub(super) async fn client(self: Rc<Self>, seed: u64, slot: usize) -> Result<(), Failure> {
        let mut plan = self.space.plan(seed, slot);
        let mut client = Client { id: self.new_client(), connection: None, next_node: slot };
        while self.claim().await {
            if !self.step(&mut client, &mut plan).await? {
                self.claimed.set(self.claimed.get() - 1);
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Reads every key once, as one more client of the history, beginning at
    /// node `at`. Returns what was found, in the order of the keys.
    ///
    /// # Errors
    /// The keys could not be read although the cluster serves.
    pub(super) async fn sweep(&self, at: usize) -> Result<Vec<(Key, Option<Value>)>, Failure> {
        let keys: Vec<Key> = self.space.keys().collect();
        let mut found = Vec::with_capacity(keys.len());
        let mut client = Client { id: self.new_client(), connection: None, next_node: at };
        let deadline = self.clock.elapsed() + CONNECTED_WITHIN;
        for chunk in keys.chunks(SWEEP_LEN) {
            loop {
                let connection = self.connected(&mut client).await?;
                let invoke_ns = self.clock.elapsed_ns();
                let read = tokio::time::timeout(ANSWER_WITHIN, read_all(connection, chunk)).await;
                if let Ok(Ok(values)) = read {
                    self.record_sweep(client.id, chunk, &values, invoke_ns)?;
                    found.extend(chunk.iter().cloned().zip(values));
                    // Every chunk asks another node.
                    client.connection = None;
                    break;
                }
                client.connection = None;
                if self.clock.elapsed() >= deadline {
                    return Err(Failure::unreachable(format!(
                        "the {} keys could not be read within {} s; the last answer was {read:?}",
                        keys.len(),
                        CONNECTED_WITHIN.as_secs()
                    )));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(found)
    }

    /// Ends the recording.
    pub(super) fn take_record(&self) -> Record {
        let mut latencies_ns = self.latencies_ns.take();
        latencies_ns.sort_unstable();
        Record {
            acknowledged: self.acknowledged.get(),
            unknown: self.unknown.get(),
            history: self.history.take(),
            latencies_ns,
        }
    }

    /// One operation. False: surely not done.
    async fn step(&self, client: &mut Client, plan: &mut Plan) -> Result<bool, Failure> {
        let connection = self.connected(client).await?;
        let (key, call) = plan.next();
        let invoke_ns = self.clock.elapsed_ns();
        let asked = tokio::time::timeout(ANSWER_WITHIN, ask(connection, &key, &call)).await;
        let return_ns = self.clock.elapsed_ns();
        let reply = match asked {
            Ok(Ok(reply)) => Some(reply),
            // Broken or silent: nobody can say what became of it.
            Ok(Err(_)) | Err(_) => None,
        };
        let outcome = match reply {
            None => {
                client.connection = None;
                Outcome::Unknown
            }
            Some(reply) => outcome(&call, reply, return_ns).map_err(|reply| {
                Failure::runtime(format!(
                    "a node answered {reply:?} to {call:?} of {key}; this is no answer a node \
                     may give, please report it"
                ))
            })?,
        };
        let done = !matches!(outcome, Outcome::NotDone);
        match &outcome {
            Outcome::Done { .. } => {
                self.acknowledged.set(self.acknowledged.get() + 1);
                let latency_ns = return_ns.saturating_sub(invoke_ns);
                self.latencies_ns.borrow_mut().push(latency_ns);
            }
            Outcome::Unknown => self.unknown.set(self.unknown.get() + 1),
            // Another node may do better.
            Outcome::NotDone => client.connection = None,
        }
        let unknown = matches!(outcome, Outcome::Unknown);
        self.push(Operation {
            client: client.id,
            key,
            call,
            invoke_ns,
            outcome,
            certificate: None,
        })?;
        if unknown {
            client.id = self.new_client();
        }
        Ok(done)
    }

    /// Waits for the right to begin an operation. False: the goal is reached.
    async fn claim(&self) -> bool {
        loop {
            let claimed = self.claimed.get();
            if self.completed() >= self.goal.get() {
                return false;
            }
            if claimed < self.claims_max.get() {
                self.claimed.set(claimed + 1);
                return true;
            }
            // Others may still give theirs back, or the pause may end.
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn connected<'a>(&self, client: &'a mut Client) -> Result<&'a mut Connection, Failure> {
        let deadline = self.clock.elapsed() + CONNECTED_WITHIN;
        let connection = match client.connection.take() {
            Some(connection) => connection,
            None => self.connect(&mut client.next_node, deadline).await?,
        };
        Ok(client.connection.insert(connection))
    }

    async fn connect(&self, next: &mut usize, deadline: Duration) -> Result<Connection, Failure> {
        loop {
            let addresses = self.addresses.borrow().clone();
            for _ in 0..addresses.len() {
                let at = *next % addresses.len().max(1);
                *next = next.wrapping_add(1);
                let Some(address) = addresses.get(at).copied().flatten() else {
                    continue;
                };
                if let Ok(connection) = Connection::open(address).await {
                    return Ok(connection);
                }
            }
            if self.clock.elapsed() >= deadline {
                return Err(Failure::unreachable(format!(
                    "no node took a client's connection within {} s; their logs tell why",
                    CONNECTED_WITHIN.as_secs()
                )));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn record_sweep(
        &self,
        client: ClientId,
        keys: &[Key],
        values: &[Option<Value>],
        invoke_ns: u64,
    ) -> Result<(), Failure> {
        let return_ns = self.clock.elapsed_ns();
        for (key, value) in keys.iter().zip(values) {
            self.push(Operation {
                client,
                key: key.clone(),
                call: Call::Read,
                invoke_ns,
                outcome: Outcome::Done { reply: Answer::Value(value.clone()), return_ns },
                certificate: None,
            })?;
        }
        Ok(())
    }

    fn push(&self, operation: Operation) -> Result<(), Failure> {
        match self.history.borrow_mut().push(operation) {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::runtime(format!("the history cannot be recorded: {error}"))),
        }
    }

    fn new_client(&self) -> ClientId {
        let id = self.next_client.get();
        self.next_client.set(id + 1);
        ClientId(id)
    }
}

/// One client: an id that changes after an unknown outcome, and a connection.
#[derive(Debug)]
struct Client {
    id: ClientId,
    connection: Option<Connection>,
    next_node: usize,
}

async fn ask(connection: &mut Connection, key: &Key, call: &Call) -> std::io::Result<Reply> {
    let key = key.as_bytes();
    match call {
        Call::Read => connection.ask(&[b"GET", key]).await,
        Call::Write(value) => connection.ask(&[b"SET", key, value.as_bytes()]).await,
        Call::Incr(_) => connection.ask(&[b"INCR", key]).await,
        Call::Delete => connection.ask(&[b"DEL", key]).await,
    }
}

async fn read_all(
    connection: &mut Connection,
    keys: &[Key],
) -> std::io::Result<Vec<Option<Value>>> {
    let requests: Vec<[&[u8]; 2]> = keys.iter().map(|key| [&b"GET"[..], key.as_bytes()]).collect();
    connection.send(requests.iter().map(|request| &request[..])).await?;
    let mut values = Vec::with_capacity(keys.len());
    for _ in keys {
        match connection.next().await? {
            Reply::Bulk(bytes) => values.push(Some(Value::from(bytes))),
            Reply::Null => values.push(None),
            other => return Err(std::io::Error::other(format!("answered {other:?}"))),
        }
    }
    Ok(values)
}

/// What an answer says about its call; the answer itself where it says what it
/// must not.
fn outcome(call: &Call, reply: Reply, return_ns: u64) -> Result<Outcome, Reply> {
    let done = |reply| Ok(Outcome::Done { reply, return_ns });
    match (call, reply) {
        (Call::Write(_), Reply::Simple(text)) if &text[..] == b"OK" => done(Answer::Written),
        (Call::Read, Reply::Bulk(bytes)) => done(Answer::Value(Some(Value::from(bytes)))),
        (Call::Read, Reply::Null) => done(Answer::Value(None)),
        (Call::Incr(_), Reply::Integer(number)) => done(Answer::Number(number)),
        (_, Reply::Error(text)) if text.starts_with(b"UNKNOWN ") => Ok(Outcome::Unknown),
        (_, Reply::Error(text))
            if [&b"CLUSTERDOWN"[..], b"TRYAGAIN", b"LOADING"]
                .iter()
                .any(|prefix| text.starts_with(prefix)) =>
        {
            Ok(Outcome::NotDone)
        }
        (_, other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::outcome;
    use raftlet_check::{Call, Outcome, Reply as Answer, Value};
    use raftlet_kv::Reply;

    #[test]
    fn an_answer_is_done_not_done_or_unknown_by_its_prefix_alone() {
        let error = |text: &'static str| Reply::Error(text.as_bytes().into());
        let write = Call::Write(Value::from("v"));
        let done = Outcome::Done { reply: Answer::Written, return_ns: 9 };
        assert_eq!(outcome(&write, Reply::OK, 9), Ok(done));
        assert_eq!(outcome(&write, error("UNKNOWN x"), 9), Ok(Outcome::Unknown));
        assert_eq!(outcome(&write, error("CLUSTERDOWN x"), 9), Ok(Outcome::NotDone));
        assert!(outcome(&write, error("ERR x"), 9).is_err());
        assert!(outcome(&Call::Read, Reply::OK, 9).is_err());
    }
}
