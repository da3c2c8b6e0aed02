//! Claims about the store as a state machine.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use raftlet::core::{Index, Term};
use raftlet::{ChunkError, ChunkSource, StateMachine};
use raftlet_kv::{
    Command, HashChange, HashCommand, KeyCommand, Machine, Response, StringCommand, StringQuery,
};

/// Applies the commands as entries 1, 2, ... in batches of `batch_len`.
fn apply(machine: &mut Machine, payloads: &[Vec<u8>], batch_len: usize) -> Vec<Response> {
    let entries: Vec<raftlet::Command<'_>> =
        payloads.iter().zip(1..).map(|(payload, index)| entry(index, payload)).collect();
    let mut responses = Vec::new();
    for batch in entries.chunks(batch_len) {
        ready(machine.apply(batch, &mut responses)).expect("applied");
    }
    responses
}

fn entry(index: u64, payload: &[u8]) -> raftlet::Command<'_> {
    raftlet::Command { index: Index::new(index), term: Term::new(1), log_time_ms: 0, payload }
}

/// The machine waits for nothing.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the machine waits"),
    }
}

fn payload<C: Into<Command<Bytes>>>(command: C) -> Vec<u8> {
    let mut payload = Vec::new();
    Machine::encode(&command.into(), &mut payload);
    payload
}

fn bytes(text: impl Into<String>) -> Bytes {
    Bytes::from(text.into())
}

/// Every kind of command, many times, from a small generator.
fn log(len: u64) -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut random = move |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % bound
    };
    (0..len)
        .map(|at| {
            let key = bytes(format!("k{}", random(50)));
            payload::<Command<Bytes>>(match random(6) {
                0 => StringCommand::Set { key, value: bytes(format!("{at}")) }.into(),
                1 => StringCommand::Set { key, value: bytes("not a number") }.into(),
                2 => {
                    let pairs = vec![(key, bytes("1")), (bytes("x"), bytes("2"))];
                    StringCommand::MSet { pairs }.into()
                }
                3 => KeyCommand::Del { keys: vec![key, bytes("x")] }.into(),
                4 => StringCommand::IncrBy { key, by: -3 }.into(),
                _ => Command::Query(StringQuery::Get { key }.into()),
            })
        })
        .collect()
}

#[test]
fn members_that_apply_the_same_log_agree_on_state_and_responses() {
    let log = log(2_000);
    let mut first = Machine::new(1);
    let mut second = Machine::new(99);
    let responses = apply(&mut first, &log, 1);
    assert_eq!(responses.len(), log.len(), "one response per command");
    assert_eq!(apply(&mut second, &log, 64), responses);
    assert_eq!(first.digest(), second.digest());
    assert_eq!(first.store().used_bytes(), second.store().used_bytes());
    assert_ne!(first.digest(), Machine::new(1).digest());
}

#[test]
fn a_member_that_lost_one_entry_shows_another_digest() {
    let set =
        |n: u64| payload(StringCommand::Set { key: bytes(format!("k{n}")), value: bytes("v") });
    let log: Vec<_> = (0..20).map(set).collect();
    let mut whole = Machine::new(1);
    apply(&mut whole, &log, 64);
    for lost in 0..log.len() {
        let mut shorter = log.clone();
        shorter.remove(lost);
        let mut machine = Machine::new(1);
        apply(&mut machine, &shorter, 64);
        assert_ne!(machine.digest(), whole.digest(), "entry {lost} went unmissed");
    }
}

#[test]
fn an_entry_that_is_no_command_halts_by_name_and_place() {
    let mut machine = Machine::new(1);
    let good = payload(StringCommand::Set { key: bytes("k"), value: bytes("v") });
    let newer = b"\x03\x01".to_vec();
    let entries = [entry(4, &good), entry(5, &newer), entry(6, &good)];
    let mut responses = Vec::new();
    let error = ready(machine.apply(&entries, &mut responses)).expect_err("halted");
    assert_eq!(error.index, Index::new(5));
    assert!(error.detail.contains("upgrade this node"), "{}", error.detail);
    assert_eq!(responses, [Response::Ok]);
}

/// Chunks of a machine's state, a few bytes each.
struct Cut(VecDeque<Bytes>);

impl ChunkSource for Cut {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ChunkError> {
        Ok(self.0.pop_front())
    }
}

/// What a future comes to, and how many times it let others run on its way.
fn finish<T>(future: impl Future<Output = T>) -> (T, usize) {
    let mut future = pin!(future);
    let mut breaks = 0;
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => return (value, breaks),
            Poll::Pending => breaks += 1,
        }
    }
}

#[test]
fn a_shard_does_other_work_while_a_large_state_is_read_out_dropped_and_restored() {
    let mut machine = Machine::new(1);
    let many = 20_000;
    let log: Vec<Vec<u8>> = (0..many)
        .flat_map(|at| {
            let key = bytes(format!("k{at}"));
            let change = HashChange::Set(vec![(key.clone(), bytes("value"))]);
            let field = HashCommand { key: bytes("one large hash"), change };
            [payload(StringCommand::Set { key, value: bytes("v") }), payload(field)]
        })
        .collect();
    apply(&mut machine, &log, 512);
    // 40 000 keys and fields; each break comes after some 512 at most.
    let few = 2 * many / 512 / 2;
    let mut chunks = VecDeque::new();
    let mut breaks = 0;
    let mut source = machine.snapshot().expect("it takes snapshots");
    loop {
        let (chunk, between) = finish(source.next_chunk());
        breaks += between;
        match chunk.expect("it is read out to its end") {
            Some(chunk) => chunks.push_back(chunk),
            None => break,
        }
    }
    assert!(breaks > few, "{breaks} breaks of reading out");
    assert!(chunks.len() > 2 && chunks.iter().all(|chunk| chunk.len() <= 256 << 10));
    drop(source);

    let mut empty = Machine::new(2);
    let (restored, breaks) = finish(empty.restore(&mut Cut(chunks.clone())));
    restored.expect("restored");
    assert!(breaks > few, "{breaks} breaks of restoring");
    assert_eq!(empty.digest(), machine.digest());
    // The second time there is something to be dropped before.
    let (restored, again) = finish(empty.restore(&mut Cut(chunks)));
    restored.expect("restored over its own");
    assert!(again > breaks + few / 2, "{again} breaks, {breaks} without dropping");
    assert_eq!(empty.digest(), machine.digest());
}
