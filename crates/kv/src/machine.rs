//! The store as the library's state machine (D5).
//!
//! A payload is exactly one encoded [`Command`]. What a command says can't
//! halt a group: refusals are responses. Bytes that are no command can, and
//! then do so on every member alike: they were written by a newer build, or
//! the checks between propose and apply are broken.
//!
//! Not here: what commands do (`store.rs`) and their bytes
//! (`operation/codec.rs`).

use bytes::Bytes;

use crate::operation::Command;
use crate::operation::response::Response;
use crate::store::{Applied, Store};
use raftlet::{ApplyError, StateMachine};

/// One group's keys behind one group's log.
#[derive(Debug)]
pub struct Machine {
    store: Store,
}

impl Machine {
    /// A machine that has applied nothing. About `hash_seed` see
    /// [`Store::new`].
    #[must_use]
    pub fn new(hash_seed: u64) -> Self {
        Self { store: Store::new(hash_seed) }
    }

    /// What the commands applied so far have made; for reads.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn apply_one(&mut self, command: &raftlet::Command<'_>) -> Result<Response, ApplyError> {
        let decoded = Command::decode(command.payload)
            .map_err(|error| ApplyError { index: command.index, detail: error.to_string() })?;
        let at = Applied { index: command.index, log_time_ms: command.log_time_ms };
        Ok(self.store.apply(at, &decoded))
    }
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
        for command in commands {
            responses.push(self.apply_one(command)?);
        }
        Ok(())
    }

    fn digest(&self) -> u64 {
        self.store.digest()
    }
}
