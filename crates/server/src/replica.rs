//! One group's machine on this node, with its sizes kept where `INFO` can see
//! them without asking the group.

use std::cell::Cell;
use std::rc::Rc;

use raftlet::{ApplyError, Command, StateMachine};
use raftlet_kv::{Machine, Store};

/// How much a machine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) keys_len: u64,
    pub(crate) used_bytes: u64,
}

/// The sizes of all machines of a node.
#[derive(Debug, Default)]
pub(crate) struct SizesOfAll(Vec<Rc<Cell<Sizes>>>);

impl SizesOfAll {
    /// One more machine. `hash_seed` as in [`Machine::new`].
    pub(crate) fn replica(&mut self, hash_seed: u64) -> Replica {
        let sizes = Rc::new(Cell::new(Sizes::default()));
        self.0.push(Rc::clone(&sizes));
        Replica { machine: Machine::new(hash_seed), sizes }
    }

    /// All machines together, as of their last apply.
    pub(crate) fn total(&self) -> Sizes {
        self.0.iter().fold(Sizes::default(), |sum, sizes| {
            let sizes = sizes.get();
            Sizes {
                keys_len: sum.keys_len.saturating_add(sizes.keys_len),
                used_bytes: sum.used_bytes.saturating_add(sizes.used_bytes),
            }
        })
    }
}

/// A machine and where its sizes are shown.
#[derive(Debug)]
pub(crate) struct Replica {
    machine: Machine,
    sizes: Rc<Cell<Sizes>>,
}

impl Replica {
    /// The keys, for reads.
    pub(crate) fn store(&self) -> &Store {
        self.machine.store()
    }
}

impl StateMachine for Replica {
    type Command = <Machine as StateMachine>::Command;
    type Response = <Machine as StateMachine>::Response;

    fn encode(command: &Self::Command, into: &mut Vec<u8>) {
        Machine::encode(command, into);
    }

    async fn apply(
        &mut self,
        commands: &[Command<'_>],
        responses: &mut Vec<Self::Response>,
    ) -> Result<(), ApplyError> {
        let applied = self.machine.apply(commands, responses).await;
        let store = self.machine.store();
        self.sizes.set(Sizes {
            keys_len: u64::try_from(store.keys_len()).unwrap_or(u64::MAX),
            used_bytes: store.used_bytes(),
        });
        applied
    }

    fn digest(&self) -> u64 {
        self.machine.digest()
    }
}
