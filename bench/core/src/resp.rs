//! A client's requests from their bytes to the bytes of their replies, with
//! neither sockets nor consensus in between.
//!
//! As the server does it: bytes are parsed, what arrived together starts
//! together, a read is answered from the store, a write is encoded for the log
//! and applied from what the log holds; replies leave in order. One member: a
//! follower only applies. Handing in the bytes costs a copy, as the kernel's
//! would.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::load::{COMMAND_BYTES, Cost, Meter};
use raftlet::StateMachine;
use raftlet::core::{Index, Term};
use raftlet_kv::{
    Batch, Connection, ConnectionInfo, Limits, Machine, NodeInfo, Outcome, Output, Response,
    SlotMap, Ticket, Work, push_request,
};

/// Keys that exist; small enough to be written under callgrind in a moment.
const KEYS: u64 = 1000;
const LOG_TIME_MS: u64 = 1_700_000_000_000;

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Request {
    Get,
    Set,
}

struct Server {
    connection: Connection,
    machine: Machine,
    output: Output,
    /// The log's bytes of the commands of one turn, and where each ends.
    log: Vec<u8>,
    ends: Vec<(Ticket, usize)>,
    /// As the applier keeps them between batches.
    responses: Vec<Response>,
    applied: Index,
    now_ms: u64,
}

impl Server {
    fn new() -> Self {
        let info = ConnectionInfo { id: 1, ..ConnectionInfo::default() };
        Self {
            connection: Connection::new(info, Limits::default(), SlotMap::ONE_GROUP),
            machine: Machine::new(0x5eed),
            output: Output::default(),
            log: Vec::new(),
            ends: Vec::new(),
            responses: Vec::new(),
            applied: Index::FIRST,
            now_ms: 0,
        }
    }

    /// One turn with everything that arrived; bytes of its replies.
    fn serve(&mut self, requests: &[u8]) -> usize {
        self.now_ms += 1;
        self.output.replies.clear();
        self.connection.input().extend_from_slice(requests);
        self.connection.turn(self.now_ms, &mut NodeInfo::default, &mut self.output);
        let mut batches = std::mem::take(&mut self.output.batches);
        for batch in batches.drain(..) {
            match batch.work {
                Work::Read => {
                    let store = self.machine.store();
                    // No deadlines, so no clock of a leader to compare them with.
                    let open = self.connection.answer(batch, |asked| store.ask(asked, 0));
                    assert!(open.is_empty(), "a key that lapses");
                }
                Work::Propose => self.propose(batch),
            }
        }
        self.output.batches = batches;
        self.connection.turn(self.now_ms, &mut NodeInfo::default, &mut self.output);
        black_box(&self.output.replies).len()
    }

    /// Into the log and out of it.
    fn propose(&mut self, batch: Batch) {
        let Self { connection, machine, log, ends, responses, applied, .. } = self;
        log.clear();
        ends.clear();
        for (ticket, asked) in connection.asked(batch) {
            asked.encode(log);
            ends.push((ticket, log.len()));
        }
        let mut start = 0;
        let mut commands = ends.iter().map(|&(_, end)| {
            *applied = applied.next();
            let payload = &log[start..end];
            start = end;
            let index = *applied;
            raftlet::Command { index, term: Term::BOOTSTRAP, log_time_ms: LOG_TIME_MS, payload }
        });
        // As the applier: one alone needs no list.
        match batch.requests_len {
            1 => apply(machine, commands.next().as_slice(), responses),
            _ => apply(machine, &commands.collect::<Vec<_>>(), responses),
        }
        for (&(ticket, _), response) in ends.iter().zip(responses.drain(..)) {
            connection.complete(ticket, Outcome::Done(response));
        }
    }
}

/// The machine never waits, so one poll is all of it.
fn apply(machine: &mut Machine, commands: &[raftlet::Command<'_>], into: &mut Vec<Response>) {
    let applying = pin!(machine.apply(commands, into));
    let applied = applying.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(applied, Poll::Ready(Ok(()))), "commands that were just encoded: {applied:?}");
}

/// One client's requests, so many at a time.
pub(crate) fn run(request: Request, pipeline: u64, commands: u64) -> Cost {
    let value = [b'v'; COMMAND_BYTES];
    let mut server = Server::new();
    // The bytes of every turn are made before anything is counted.
    let turns: Vec<Vec<u8>> =
        (0..KEYS).map(|turn| requests(request, turn * pipeline, pipeline, &value)).collect();
    for number in 0..KEYS {
        server.serve(&requests(Request::Set, number, 1, &value));
    }
    let reply_bytes = match request {
        Request::Set => b"+OK\r\n".len(),
        Request::Get => b"$256\r\n\r\n".len() + COMMAND_BYTES,
    };
    let expected = usize::try_from(pipeline).expect("few") * reply_bytes;
    let rounds = commands / pipeline;
    let meter = Meter::start();
    for turn in turns.iter().cycle().take(usize::try_from(rounds).expect("they fit in memory")) {
        assert_eq!(server.serve(turn), expected, "every request has its reply");
    }
    meter.stop(rounds * pipeline, 0)
}

fn requests(request: Request, first: u64, count: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in first..first + count {
        let key = format!("key:{:08}", number % KEYS);
        match request {
            Request::Get => push_request(&mut bytes, &[b"GET", key.as_bytes()]),
            Request::Set => push_request(&mut bytes, &[b"SET", key.as_bytes(), value]),
        }
    }
    bytes
}
