//! The store as the library's state machine (D5).
//!
//! A payload is exactly one encoded [`Command`]. What a command says can't
//! halt a group: refusals are responses. Bytes that are no command can, and
//! then do so on every member alike: they were written by a newer build, or
//! the checks between propose and apply are broken.
//!
//! Not here: what commands do (`store.rs`) and their bytes
//! (`operation/codec.rs`).

use std::cell::{Ref, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;

use crate::operation::response::Response;
use crate::operation::{Command, codec};
use crate::store::capture::{CaptureId, Step};
use crate::store::snapshot::{Restoring, SnapshotError};
use crate::store::{Applied, Store};
use raftlet::{ApplyError, ChunkError, ChunkSource, StateMachine};

/// Commands that are applied together as those of a start and of a member that
/// was behind are; a few come from clients one by one and find their keys in
/// the caches as often as not.
const MANY_LEN: usize = 64;
/// Commands whose keys are looked for at once. More than a processor has loads
/// under way, for each of the rows of loads ends with a wait for its last; and few
/// enough that keys and values stay in its caches until they are used.
const LOOKED_FOR_LEN: usize = 64;

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

    /// What the commands applied so far have made; for reads.
    #[must_use]
    ///
    /// # Panics
    /// While another borrow of it changes it: none outlives a call.
    pub fn store(&self) -> Ref<'_, Store> {
        self.store.borrow()
    }

    fn apply_one(
        store: &mut Store,
        command: &raftlet::Command<'_>,
    ) -> Result<Response, ApplyError> {
        if let Some((key, value)) = codec::decode_set(command.payload) {
            return Ok(store.set(place(command), key, value));
        }
        Ok(store.apply(place(command), &decode(command)?))
    }

    /// Applies many: those that come next are looked for before they are applied.
    fn apply_many(
        store: &mut Store,
        commands: &[raftlet::Command<'_>],
        responses: &mut Vec<Response>,
    ) -> Result<(), ApplyError> {
        let mut decoded = Vec::with_capacity(LOOKED_FOR_LEN);
        for some in commands.chunks(LOOKED_FOR_LEN) {
            decoded.clear();
            let mut failed = None;
            for command in some {
                match decode(command) {
                    Ok(command) => decoded.push(command),
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            store.warm(&decoded);
            for (command, decoded) in some.iter().zip(&decoded) {
                responses.push(store.apply(place(command), decoded));
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(())
    }
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
        commands: &[raftlet::Command<'_>],
        responses: &mut Vec<Response>,
    ) -> Result<(), ApplyError> {
        let mut store = self.store.borrow_mut();
        if commands.len() >= MANY_LEN {
            return Self::apply_many(&mut store, commands, responses);
        }
        for command in commands {
            responses.push(Self::apply_one(&mut store, command)?);
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Option<impl ChunkSource + use<>> {
        let id = self.store.borrow_mut().capture();
        Some(Pages { store: Rc::clone(&self.store), id })
    }

    async fn restore(&mut self, chunks: &mut impl ChunkSource) -> Result<(), ChunkError> {
        let failed = |error: SnapshotError| ChunkError { detail: error.to_string() };
        // The old state first: there is no room for two.
        let mut ruin = self.store.replace(Store::new(self.hash_seed)).into_ruin();
        while ruin.shed() {
            breathe().await;
        }
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
            let step = self.store.borrow_mut().read_out(self.id);
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
        if let Ok(mut store) = self.store.try_borrow_mut() {
            store.end_capture(self.id);
        }
    }
}
