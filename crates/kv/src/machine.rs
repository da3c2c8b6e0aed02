//! The store as the library's state machine (D5).
//!
//! A payload is exactly one encoded [`Command`]. What a command says can't
//! halt a group: refusals are responses. Bytes that are no command can, and
//! then do so on every member alike: they were written by a newer build, or
//! the checks between propose and apply are broken.
//!
//! While a snapshot is written out it holds what was overwritten before its turn.
//! Where callers overwrite more than is written, the machine applies nothing until
//! some is (D56): it holds its own callers up, and neither votes nor acks.
//!
//! Not here: what commands do (`store.rs`) and their bytes
//! (`operation/codec.rs`).

use std::cell::{Ref, RefCell};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use bytes::Bytes;

use crate::operation::response::Response;
use crate::operation::{Command, codec};
use crate::store::capture::{AHEAD_BYTES_MAX, CaptureId, Step};
use crate::store::snapshot::{Restoring, SnapshotError};
use crate::store::table::Hashed;
use crate::store::{Applied, Store};
use raftlet::{ApplyError, ChunkError, ChunkSource, StateMachine};

/// Commands that are many. Looking for a key that lies in the caches costs some 30 ns,
/// and saves 100 and more of one that other work has driven out (D67).
const MANY_LEN: usize = 4;
/// Commands whose keys are looked for at once. More than a processor has loads
/// under way, for each of the rows of loads ends with a wait for its last; and few
/// enough that keys and values stay in its nearest cache until they are used.
const LOOKED_FOR_LEN: usize = 32;

/// One group's keys behind one group's log.
#[derive(Debug)]
pub struct Machine {
    /// Shared with the snapshot that is being read out of it, if one is.
    store: Rc<RefCell<Store>>,
    hash_seed: u64,
}

impl Machine {
    /// A machine that has applied nothing. About `hash_seed` see
    /// [`Store::new`].
    #[must_use]
    pub fn new(hash_seed: u64) -> Self {
        Self { store: Rc::new(RefCell::new(Store::new(hash_seed))), hash_seed }
    }

    /// Where it is seen how much its snapshot holds.
    #[must_use]
    pub fn unwritten(&self) -> Unwritten {
        Unwritten(Rc::downgrade(&self.store))
    }

    /// Throws away what the commands applied so far have made, little by little.
    async fn empty(&self) {
        let mut ruin = self.store.replace(Store::new(self.hash_seed)).into_ruin();
        while ruin.shed() {
            breathe().await;
        }
    }

    /// What the commands applied so far have made; for reads.
    ///
    /// # Panics
    /// While another borrow of it changes it: none outlives a call.
    #[must_use]
    pub fn store(&self) -> Ref<'_, Store> {
        self.store.borrow()
    }

    fn apply_one(
        store: &mut Store,
        command: &raftlet::Command<'_>,
        responses: &mut Vec<Response>,
    ) -> Result<(), ApplyError> {
        if let Some((key, value)) = codec::decode_set(command.payload) {
            store.set(place(command), (key, store.hashed(key)), value);
            push_ok(responses, 1);
        } else {
            responses.push(store.apply(place(command), &decode(command)?));
        }
        Ok(())
    }

    /// Applies commands until a snapshot is too far behind; how many.
    fn apply_some(
        store: &mut Store,
        commands: &[raftlet::Command<'_>],
        responses: &mut Vec<Response>,
    ) -> Result<usize, ApplyError> {
        if commands.len() >= MANY_LEN {
            return Self::apply_many(store, commands, responses);
        }
        for (nth, command) in commands.iter().enumerate() {
            if store.is_ahead() {
                return Ok(nth);
            }
            Self::apply_one(store, command, responses)?;
        }
        Ok(commands.len())
    }

    /// The same of many: those that come next are looked for before they are applied.
    fn apply_many(
        store: &mut Store,
        commands: &[raftlet::Command<'_>],
        responses: &mut Vec<Response>,
    ) -> Result<usize, ApplyError> {
        let mut coming = Vec::with_capacity(LOOKED_FOR_LEN);
        for (nth, some) in commands.chunks(LOOKED_FOR_LEN).enumerate() {
            coming.clear();
            let read =
                some.iter().try_for_each(|command| Coming::read(command, store, &mut coming));
            store.warm(coming.iter().filter_map(|coming| coming.hashed(store)));
            let before = responses.len();
            push_ok(responses, coming.len());
            let places = responses.get_mut(before..).unwrap_or_default();
            let coming = some.iter().zip(&coming).zip(places);
            for (applied, ((command, coming), response)) in coming.enumerate() {
                if store.is_ahead() {
                    responses.truncate(before + applied);
                    return Ok(nth * LOOKED_FOR_LEN + applied);
                }
                coming.apply(store, place(command), response);
            }
            read?;
        }
        Ok(commands.len())
    }
}

/// How much a machine's snapshot holds in memory that its writer has not taken,
/// seen from outside: also while the machine is out with a batch, which may wait
/// for this very writer (D56).
#[derive(Clone, Debug)]
pub struct Unwritten(Weak<RefCell<Store>>);

impl Unwritten {
    /// Beyond so many who overwrites more waits.
    pub const BYTES_MAX: usize = AHEAD_BYTES_MAX;

    /// In bytes; 0 while no snapshot is written. `None`: the machine is gone.
    #[must_use]
    pub fn bytes(&self) -> Option<usize> {
        Some(self.0.upgrade()?.borrow().captured_bytes())
    }
}

/// A command that comes next, as the entry holds it.
enum Coming<'a> {
    /// The most frequent one, which is read the short way.
    Set {
        key: &'a [u8],
        hashed: Hashed,
        value: &'a [u8],
    },
    Other(Command<&'a [u8]>),
}

impl<'a> Coming<'a> {
    /// Reads one onto the end of `into`. Given back it would be put together
    /// elsewhere and moved, and a move of what was just written in pieces waits for
    /// all writes before it.
    #[inline]
    fn read(
        command: &raftlet::Command<'a>,
        store: &Store,
        into: &mut Vec<Self>,
    ) -> Result<(), ApplyError> {
        if let Some((key, value)) = codec::decode_set(command.payload) {
            into.push(Self::Set { key, hashed: store.hashed(key), value });
            return Ok(());
        }
        Self::read_other(command, into)
    }

    #[inline(never)]
    fn read_other(command: &raftlet::Command<'a>, into: &mut Vec<Self>) -> Result<(), ApplyError> {
        into.push(Self::Other(decode(command)?));
        Ok(())
    }

    /// Its response is [`Response::Ok`] until it is another.
    #[inline]
    fn apply(&self, store: &mut Store, place: Applied, response: &mut Response) {
        match self {
            Self::Set { key, hashed, value } => store.set(place, (key, *hashed), value),
            Self::Other(command) => *response = store.apply(place, command),
        }
    }

    /// What its first key hashes to.
    fn hashed(&self, store: &Store) -> Option<Hashed> {
        match self {
            Self::Set { hashed, .. } => Some(*hashed),
            Self::Other(command) => command.first_key().map(|key| store.hashed(key)),
        }
    }
}

/// So many more of what nearly all commands come to, made where they stay: `push`
/// would write one byte on the stack and move forty, and behind a value written to
/// memory that is in no cache this move took longer than all else of a `SET`.
fn push_ok(responses: &mut Vec<Response>, len: usize) {
    responses.resize_with(responses.len() + len, || Response::Ok);
}

fn decode<'a>(command: &raftlet::Command<'a>) -> Result<Command<&'a [u8]>, ApplyError> {
    Command::decode(command.payload)
        .map_err(|error| ApplyError { index: command.index, detail: error.to_string() })
}

fn place(command: &raftlet::Command<'_>) -> Applied {
    Applied { index: command.index, log_time_ms: command.log_time_ms }
}

impl StateMachine for Machine {
    type Command = Command<Bytes>;
    type Response = Response;

    fn encode(command: &Self::Command, into: &mut Vec<u8>) {
        command.encode(into);
    }

    async fn apply(
        &mut self,
        mut commands: &[raftlet::Command<'_>],
        responses: &mut Vec<Response>,
    ) -> Result<(), ApplyError> {
        loop {
            let applied = Self::apply_some(&mut self.store.borrow_mut(), commands, responses)?;
            commands = commands.get(applied..).unwrap_or_default();
            if commands.is_empty() {
                return Ok(());
            }
            poll_fn(|cx| self.store.borrow_mut().poll_caught_up(cx)).await;
        }
    }

    fn snapshot(&mut self) -> Option<impl ChunkSource + use<>> {
        let id = self.store.borrow_mut().capture();
        Some(Pages { store: Rc::clone(&self.store), id })
    }

    async fn restore(&mut self, chunks: &mut impl ChunkSource) -> Result<(), ChunkError> {
        let failed = |error: SnapshotError| ChunkError { detail: error.to_string() };
        // The old state first: there is no room for two.
        self.empty().await;
        let mut restoring = Restoring::new(self.hash_seed);
        while let Some(chunk) = chunks.next_chunk().await? {
            restoring.push(chunk);
            while restoring.step().map_err(failed)? {
                breathe().await;
            }
        }
        let store = restoring.finish().map_err(failed)?;
        self.store.replace(store);
        Ok(())
    }

    async fn reset(&mut self) -> bool {
        self.empty().await;
        true
    }

    fn digest(&self) -> u64 {
        self.store.borrow().digest()
    }
}

/// The pages of a store as of one moment, while it goes on.
struct Pages {
    store: Rc<RefCell<Store>>,
    id: CaptureId,
}

impl ChunkSource for Pages {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ChunkError> {
        loop {
            let (step, waiting) = {
                let mut store = self.store.borrow_mut();
                (store.read_out(self.id), store.take_waiting())
            };
            waiting.into_iter().for_each(Waker::wake);
            match step.map_err(|error| ChunkError { detail: error.to_string() })? {
                Step::Chunk(chunk) => return Ok(Some(chunk)),
                Step::End => return Ok(None),
                Step::More => breathe().await,
            }
        }
    }
}

/// Lets the thread's other tasks run once.
async fn breathe() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Drop for Pages {
    fn drop(&mut self) {
        let waiting = self.store.try_borrow_mut().ok().and_then(|mut it| it.end_capture(self.id));
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod pace_tests;

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::{LOOKED_FOR_LEN, MANY_LEN, Machine};
    use crate::operation::response::Response;
    use crate::{Command, StringCommand};
    use raftlet::core::{Index, Term};
    use raftlet::{ApplyError, StateMachine};

    fn set(key: usize, value: String) -> Vec<u8> {
        let mut payload = Vec::new();
        let key = format!("key-{key}");
        Command::String(StringCommand::Set { key, value }).encode(&mut payload);
        payload
    }

    /// Writes over 40 keys, now as long as what was there and now not.
    fn writes() -> Vec<Vec<u8>> {
        let value = |at: usize| {
            format!("{at:0width$}", width = if at.is_multiple_of(7) { 300 } else { 256 })
        };
        (0..400).map(|at| set(at * 11 % 40, value(at))).collect()
    }

    /// Applies commands in batches; what came of it.
    fn apply(
        machine: &mut Machine,
        payloads: &[Vec<u8>],
        batch: usize,
    ) -> (Vec<Response>, Result<(), ApplyError>) {
        let mut responses = Vec::new();
        let place = |at: usize| Index::new(u64::try_from(at).unwrap() + 1);
        let commands: Vec<_> = payloads
            .iter()
            .enumerate()
            .map(|(at, payload)| raftlet::Command {
                index: place(at),
                term: Term::new(1),
                log_time_ms: 7,
                payload,
            })
            .collect();
        for some in commands.chunks(batch) {
            let applied = {
                let applying = pin!(machine.apply(some, &mut responses));
                applying.poll(&mut Context::from_waker(Waker::noop()))
            };
            match applied {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return (responses, Err(error)),
                Poll::Pending => panic!("it waits for nothing"),
            }
        }
        (responses, Ok(()))
    }

    #[test]
    fn many_together_make_what_they_make_one_by_one_and_what_the_last_of_each_key_make() {
        let writes = writes();
        let (mut one_by_one, mut last) = (Machine::new(3), Machine::new(4));
        let expected = apply(&mut one_by_one, &writes, 1);
        for batch in [MANY_LEN, LOOKED_FOR_LEN + 1, writes.len()] {
            let mut together = Machine::new(5);
            assert_eq!(apply(&mut together, &writes, batch), expected);
            assert_eq!(together.digest(), one_by_one.digest(), "batches of {batch}");
            assert_eq!(together.store().used_bytes(), one_by_one.store().used_bytes());
        }
        // Each key once: nothing is written over.
        let (_, end) = apply(&mut last, &writes[writes.len() - 40..], 1);
        assert_eq!((last.digest(), end), (one_by_one.digest(), Ok(())));
    }

    #[test]
    fn keys_that_were_looked_for_are_found_though_a_seed_came_among_them() {
        let mut seed = Vec::new();
        Command::<&[u8]>::Seed(77).encode(&mut seed);
        let mut writes = writes();
        let (mut one_by_one, mut together) = (Machine::new(3), Machine::new(5));
        let keys = apply(&mut one_by_one, &writes, 1).0.len() / 10;
        writes.insert(writes.len() - 10, seed);
        writes.splice(0..0, writes.clone());
        apply(&mut together, &writes, writes.len()).1.unwrap();
        assert_eq!(together.digest(), one_by_one.digest());
        assert_eq!(together.store().keys_len(), keys);
    }

    #[test]
    fn of_many_those_before_one_that_is_none_are_applied_and_it_is_named() {
        let mut writes = writes();
        writes[50] = vec![0xff];
        let mut machine = Machine::new(3);
        let (responses, end) = apply(&mut machine, &writes, writes.len());
        assert_eq!(responses.len(), 50);
        assert_eq!(end.map_err(|error| error.index), Err(Index::new(51)));
    }
}
