//! A real object, served one request at a time, and clients whose requests
//! overlap: histories that are good because of how they came about.

use std::collections::BTreeMap;

use crate::random::Random;
use crate::scribe;
use raftlet_check::{Call, Certificate, ClientId, History, Key, Operation, Outcome, Reply, Value};

/// What the clients do.
#[derive(Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) operations: usize,
    pub(crate) clients: usize,
    pub(crate) keys: usize,
    /// One in so many operations loses its answer; of those half take effect,
    /// some of them very late.
    pub(crate) unknown_one_in: usize,
    pub(crate) mix: Mix,
    /// What goes wrong, at the first fitting request after so many.
    pub(crate) fault: Option<(Fault, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Unique writes and reads.
    Register,
    /// Increments and some reads.
    Counter,
    /// All calls.
    Everything,
}

/// What the object does wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Acknowledges a change and forgets it.
    ForgetsChange,
    /// Serves a read from the state before the last change.
    ReadsStale,
    /// Says "not done" and does it.
    DoesWhatItDenies,
    /// Makes one change twice.
    RepeatsChange,
}

/// What came of it.
pub(crate) struct Run {
    pub(crate) operations: Vec<Operation>,
    pub(crate) last: BTreeMap<Key, Option<Value>>,
}

impl Run {
    pub(crate) fn history(&self) -> History {
        scribe::history(self.operations.iter().cloned())
    }
}

enum Client {
    Idle,
    Asked(Operation),
    /// Served; the answer is on its way.
    Served(Operation, Reply),
}

struct World {
    random: Random,
    cells: BTreeMap<Key, Option<Vec<u8>>>,
    previous: BTreeMap<Key, Option<Vec<u8>>>,
    fault: Option<(Fault, usize)>,
    served: usize,
    index: u64,
    /// Asked, no longer waited for, may still be served.
    adrift: Vec<usize>,
    done: Vec<Operation>,
    next_value: u64,
    next_client: u64,
}

/// Lets the clients run until all operations are invoked and answered.
pub(crate) fn run(seed: u64, workload: Workload) -> Run {
    let mut world = World {
        random: Random::seeded(seed),
        cells: (0..workload.keys).map(|key| (Key::from(format!("k{key}")), None)).collect(),
        previous: BTreeMap::new(),
        fault: workload.fault,
        served: 0,
        index: 0,
        adrift: Vec::new(),
        done: Vec::new(),
        next_value: 0,
        next_client: 0,
    };
    let mut clients: Vec<Client> = (0..workload.clients).map(|_| Client::Idle).collect();
    let (mut now, mut invoked) = (0, 0);
    while invoked < workload.operations || clients.iter().any(|one| !matches!(one, Client::Idle)) {
        // Sometimes the coarse clock does not move.
        now += u64::try_from(world.random.below(3)).unwrap();
        let turn = world.random.below(clients.len());
        let client = std::mem::replace(&mut clients[turn], Client::Idle);
        clients[turn] = match client {
            Client::Idle if invoked == workload.operations => Client::Idle,
            Client::Idle => {
                invoked += 1;
                Client::Asked(world.ask(workload, now))
            }
            Client::Asked(operation) => world.serve_or_lose(workload, operation),
            Client::Served(operation, reply) => {
                let outcome = Outcome::Done { reply, return_ns: now };
                world.done.push(Operation { outcome, ..operation });
                Client::Idle
            }
        };
        world.serve_adrift();
    }
    let as_value = |bytes: Option<Vec<u8>>| bytes.map(Value::from);
    let last = world.cells.into_iter().map(|(key, bytes)| (key, as_value(bytes))).collect();
    Run { operations: world.done, last }
}

impl World {
    fn ask(&mut self, workload: Workload, now: u64) -> Operation {
        let draw = self.random.below(10);
        let delta = [1, 1, 1, 2, -1][self.random.below(5)];
        let call = match (workload.mix, draw) {
            (Mix::Register, 0..5) | (Mix::Everything, 0..3) => {
                self.next_value += 1;
                // Numbers, so that `Everything` can count with them.
                Call::Write(Value::from((self.next_value * 1_000).to_string()))
            }
            (Mix::Counter, 0..9) => Call::Incr(1),
            (Mix::Everything, 3..6) => Call::Incr(delta),
            (Mix::Everything, 6) => Call::Delete,
            _ => Call::Read,
        };
        self.next_client += 1;
        let key = format!("k{}", self.random.below(workload.keys));
        Operation {
            client: ClientId(self.next_client),
            key: Key::from(key),
            call,
            invoke_ns: now,
            outcome: Outcome::Unknown,
            certificate: None,
        }
    }

    fn serve_or_lose(&mut self, workload: Workload, mut operation: Operation) -> Client {
        if operation.call != Call::Read && self.fails(Fault::DoesWhatItDenies) {
            self.serve(&mut operation);
            operation.certificate = None;
            self.done.push(Operation { outcome: Outcome::NotDone, ..operation });
            return Client::Idle;
        }
        if !self.random.one_in(workload.unknown_one_in) {
            let reply = self.serve(&mut operation);
            return Client::Served(operation, reply);
        }
        if self.random.one_in(8) {
            operation.outcome = Outcome::NotDone;
        } else if self.random.one_in(2) {
            self.serve(&mut operation);
        } else if self.random.one_in(2) {
            self.adrift.push(self.done.len());
        }
        self.done.push(operation);
        Client::Idle
    }

    fn serve_adrift(&mut self) {
        if self.adrift.is_empty() || !self.random.one_in(40) {
            return;
        }
        let adrift = self.random.below(self.adrift.len());
        let position = self.adrift.swap_remove(adrift);
        let mut operation = self.done[position].clone();
        self.serve(&mut operation);
        self.done[position] = operation;
    }

    fn serve(&mut self, operation: &mut Operation) -> Reply {
        self.served += 1;
        let before = self.cells[&operation.key].clone();
        let is_read = operation.call == Call::Read;
        if is_read && self.fails(Fault::ReadsStale) {
            let stale = self.previous.get(&operation.key).cloned().flatten();
            return Reply::Value(stale.map(Value::from));
        }
        let reply = self.execute(operation);
        if is_read {
            return reply;
        }
        if self.fails(Fault::RepeatsChange) {
            self.execute(operation);
        }
        if self.fails(Fault::ForgetsChange) {
            self.cells.insert(operation.key.clone(), before.clone());
        }
        self.previous.insert(operation.key.clone(), before);
        reply
    }

    /// Whether this fault is due; it happens once.
    fn fails(&mut self, fault: Fault) -> bool {
        let is_due = self.fault.is_some_and(|(what, at)| what == fault && self.served > at);
        if is_due {
            self.fault = None;
        }
        is_due
    }

    fn execute(&mut self, operation: &mut Operation) -> Reply {
        let cell = self.cells.get_mut(&operation.key).unwrap();
        let reply = match &operation.call {
            Call::Read => Reply::Value(cell.as_ref().map(Value::from)),
            Call::Write(value) => {
                *cell = Some(value.as_bytes().to_vec());
                Reply::Written
            }
            Call::Incr(delta) => {
                let text = cell.as_ref().map_or("0", |bytes| str::from_utf8(bytes).unwrap());
                let sum = text.parse::<i64>().unwrap() + delta;
                *cell = Some(sum.to_string().into_bytes());
                Reply::Number(sum)
            }
            Call::Delete => Reply::Existed(cell.take().is_some()),
        };
        if operation.call != Call::Read {
            self.index += 1;
        }
        operation.certificate = Some(Certificate { group: 1, index: self.index });
        reply
    }
}
