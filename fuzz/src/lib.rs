//! What the targets share: the in-memory node and the small log that the
//! product's own tests use, and a machine that is fed bytes.
//!
//! A target is one claim about any bytes whatever; it is broken when it panics.
//! They are in `targets/`, and `README.md` says how to run them.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use raftlet::{ChunkError, ChunkSource, StateMachine};
use raftlet_kv::Machine;

/// Of the hashes of all stores here.
pub const HASH_SEED: u64 = 7;

/// Runs what needs no more than to be polled: nothing here waits for anything
/// but its own next step.
///
/// # Panics
/// When it waits for something else.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    // One step for each key that a restore may hold, and many to spare.
    const POLLS_MAX: usize = 1 << 20;
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(ended) = future.as_mut().poll(&mut context) {
            return ended;
        }
    }
    panic!("it waits for what will not come");
}

/// A machine that restores itself from these bytes, `chunk_bytes` at a time.
///
/// # Errors
/// They are no snapshot.
pub fn restored(bytes: &[u8], chunk_bytes: usize) -> Result<Machine, ChunkError> {
    let mut machine = Machine::new(HASH_SEED);
    let chunks: Vec<Bytes> = bytes.chunks(chunk_bytes.max(1)).map(Bytes::copy_from_slice).collect();
    run(machine.restore(&mut Given(chunks.into_iter())))?;
    Ok(machine)
}

struct Given(std::vec::IntoIter<Bytes>);

impl ChunkSource for Given {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ChunkError> {
        Ok(self.0.next())
    }
}

/// The machine's state as it is written down.
///
/// # Panics
/// When it cannot be read out.
#[must_use]
pub fn written(machine: &mut Machine) -> Vec<u8> {
    let mut chunks = machine.snapshot().expect("this machine has snapshots");
    let mut bytes = Vec::new();
    while let Some(chunk) = run(chunks.next_chunk()).expect("its own state") {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}
