//! Callers that overwrite faster than a snapshot is written.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;

use super::{Machine, Unwritten};
use crate::operation::response::Response;
use crate::store::capture::AHEAD_BYTES_MAX;
use crate::{Command, StringCommand};
use raftlet::core::{Index, Term};
use raftlet::{ChunkError, ChunkSource, StateMachine};

const KEYS: usize = 400;
const VALUE_BYTES: usize = 64 << 10;
/// What one command writes out at most: a value and what frames it.
const ONE_BYTES: usize = VALUE_BYTES + 100;

fn set(key: usize, value: u8) -> Vec<u8> {
    let mut payload = Vec::new();
    let key = key.to_le_bytes().to_vec();
    let command = StringCommand::Set { key, value: vec![value; VALUE_BYTES] };
    Command::String(command).encode(&mut payload);
    payload
}

fn commands(payloads: &[Vec<u8>], first: usize) -> Vec<raftlet::Command<'_>> {
    let place = |at: usize| Index::new(u64::try_from(first + at).unwrap());
    let command = |(at, payload)| {
        let index = place(at);
        raftlet::Command { index, term: Term::new(1), log_time_ms: 7, payload }
    };
    payloads.iter().map(Vec::as_slice).enumerate().map(command).collect()
}

/// A machine that holds 25 MiB, and the commands that overwrite all of them.
fn filled() -> (Machine, Vec<Vec<u8>>) {
    let mut machine = Machine::new(3);
    let payloads: Vec<_> = (0..KEYS).map(|key| set(key, b'a')).collect();
    let mut responses = Vec::new();
    let applied = once(pin!(machine.apply(&commands(&payloads, 1), &mut responses)));
    assert_eq!(applied, Poll::Ready(Ok(())), "nothing is written down yet");
    (machine, (0..KEYS).map(|key| set(key, b'b')).collect())
}

fn once<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The next chunk, however often it lets others go first.
fn chunk(pages: &mut impl ChunkSource) -> Option<Bytes> {
    let mut next = pin!(pages.next_chunk());
    loop {
        if let Poll::Ready(chunk) = once(next.as_mut()) {
            return chunk.unwrap();
        }
    }
}

struct Chunks(std::vec::IntoIter<Bytes>);

impl ChunkSource for Chunks {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ChunkError> {
        Ok(self.0.next())
    }
}

#[test]
fn who_overwrites_faster_than_a_snapshot_is_written_waits_and_little_is_held() {
    for batch in [KEYS, 8, 3] {
        let (mut machine, overwrites) = filled();
        let before = machine.digest();
        let mut pages = machine.snapshot().unwrap();
        let store = Rc::clone(&machine.store);
        let (most, mut taken) = (Cell::new(0), Vec::new());
        let mut responses: Vec<Response> = Vec::new();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        for (nth, some) in overwrites.chunks(batch).enumerate() {
            let commands = commands(some, KEYS + nth * batch + 1);
            let mut applying = pin!(machine.apply(&commands, &mut responses));
            while applying.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                most.set(most.get().max(store.borrow().captured_bytes()));
                let before = woken.0.load(Ordering::Relaxed);
                while woken.0.load(Ordering::Relaxed) == before {
                    taken.push(chunk(&mut pages).expect("it waits for a snapshot that has ended"));
                }
            }
        }
        assert!(woken.0.load(Ordering::Relaxed) > 1, "batches of {batch}: nobody waited");
        let most = most.get();
        assert!(most <= AHEAD_BYTES_MAX + ONE_BYTES, "batches of {batch}: {most} bytes");
        assert_eq!(responses.len(), KEYS);
        taken.extend(std::iter::from_fn(|| chunk(&mut pages)));
        let mut restored = Machine::new(4);
        let mut chunks = Chunks(taken.into_iter());
        {
            let mut restoring = pin!(restored.restore(&mut chunks));
            while once(restoring.as_mut()).is_pending() {}
        }
        assert_eq!((restored.digest(), machine.digest() == before), (before, false));
    }
}

#[test]
fn a_snapshot_that_is_given_up_lets_go_who_waits_for_it() {
    let (mut machine, overwrites) = filled();
    let pages = machine.snapshot().unwrap();
    let commands = commands(&overwrites, KEYS + 1);
    let (mut responses, woken) = (Vec::new(), Arc::new(Woken::default()));
    let waker = Waker::from(Arc::clone(&woken));
    let mut applying = pin!(machine.apply(&commands, &mut responses));
    assert!(applying.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    drop(pages);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1, "it waits for ever");
    assert_eq!(once(applying), Poll::Ready(Ok(())));
}

#[test]
fn what_a_snapshot_holds_is_seen_while_callers_wait_for_it() {
    let (mut machine, overwrites) = filled();
    let unwritten = machine.unwritten();
    assert_eq!(unwritten.bytes(), Some(0), "nothing is written down yet");
    let pages = machine.snapshot().unwrap();
    let commands = commands(&overwrites, KEYS + 1);
    let mut responses = Vec::new();
    {
        let mut applying = pin!(machine.apply(&commands, &mut responses));
        assert!(once(applying.as_mut()).is_pending());
        assert!(unwritten.bytes().is_some_and(|bytes| bytes > Unwritten::BYTES_MAX));
    }
    drop(pages);
    assert_eq!(unwritten.bytes(), Some(0));
    drop(machine);
    assert_eq!(unwritten.bytes(), None);
}
