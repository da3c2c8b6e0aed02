//! One group's machine on this node, with its sizes kept where `INFO` can see
//! them without asking the group, and its deadlines where they are waited for.

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

use crate::shard::timing::Timing;
use raftlet::{ApplyError, ChunkError, ChunkSource, Command, StateMachine};
use raftlet_kv::{Machine, Store, Unwritten};

/// How much a machine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) keys_len: u64,
    pub(crate) used_bytes: u64,
    /// Of the keys.
    pub(crate) deadlines_len: u64,
}

/// The sizes of all machines of a node, added up as they change.
#[derive(Debug, Default)]
pub(crate) struct SizesOfAll {
    total: Rc<Cell<Sizes>>,
    /// One of each machine that is there.
    unwritten: RefCell<Vec<Unwritten>>,
}

impl SizesOfAll {
    /// One more machine. `hash_seed` as in [`Machine::new`].
    pub(crate) fn replica(&self, hash_seed: u64, timing: Rc<Timing>) -> Replica {
        let (machine, sizes) = (Machine::new(hash_seed), Sizes::default());
        let mut unwritten = self.unwritten.borrow_mut();
        unwritten.retain(|it| it.bytes().is_some());
        unwritten.push(machine.unwritten());
        Replica { machine, sizes, sizes_of_all: Rc::clone(&self.total), timing }
    }

    /// All machines together, as of their last apply.
    pub(crate) fn total(&self) -> Sizes {
        self.total.get()
    }

    /// What the snapshot holds that holds most in memory, in bytes.
    pub(crate) fn unwritten_bytes(&self) -> usize {
        self.unwritten.borrow().iter().filter_map(Unwritten::bytes).max().unwrap_or(0)
    }
}

impl Sizes {
    /// What a total that contains `old` becomes with `new` in its place.
    fn with(self, old: Self, new: Self) -> Self {
        let swap = |sum: u64, old: u64, new: u64| sum.saturating_sub(old).saturating_add(new);
        Self {
            keys_len: swap(self.keys_len, old.keys_len, new.keys_len),
            used_bytes: swap(self.used_bytes, old.used_bytes, new.used_bytes),
            deadlines_len: swap(self.deadlines_len, old.deadlines_len, new.deadlines_len),
        }
    }
}

/// A machine and where its sizes are shown.
#[derive(Debug)]
pub(crate) struct Replica {
    machine: Machine,
    /// Its part of the sizes of all.
    sizes: Sizes,
    sizes_of_all: Rc<Cell<Sizes>>,
    timing: Rc<Timing>,
}

impl Replica {
    /// The keys, for reads.
    pub(crate) fn store(&self) -> Ref<'_, Store> {
        self.machine.store()
    }

    fn show_sizes(&mut self) {
        let store = self.machine.store();
        let sizes = Sizes {
            keys_len: u64::try_from(store.keys_len()).unwrap_or(u64::MAX),
            used_bytes: store.used_bytes(),
            deadlines_len: u64::try_from(store.deadlines_len()).unwrap_or(u64::MAX),
        };
        self.timing.on_applied(&store);
        drop(store);
        self.sizes_of_all.set(self.sizes_of_all.get().with(self.sizes, sizes));
        self.sizes = sizes;
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
        self.show_sizes();
        applied
    }

    fn snapshot(&mut self) -> Option<impl ChunkSource + use<>> {
        self.machine.snapshot()
    }

    async fn restore(&mut self, chunks: &mut impl ChunkSource) -> Result<(), ChunkError> {
        let restored = self.machine.restore(chunks).await;
        self.show_sizes();
        restored
    }

    async fn reset(&mut self) -> bool {
        let is_reset = self.machine.reset().await;
        self.show_sizes();
        is_reset
    }

    fn digest(&self) -> u64 {
        self.machine.digest()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    use super::{Replica, SizesOfAll};
    use crate::process::clock::TokioClock;
    use crate::shard::timing::Timing;
    use raftlet::StateMachine;
    use raftlet::core::{Index, Term};
    use raftlet_kv::{Command, StringCommand};

    const VALUE_BYTES: usize = 1000;

    /// Sets the one key to something new.
    fn set(replica: &mut Replica, index: u64) {
        let mut payload = Vec::new();
        let command = StringCommand::Set { key: b"k".to_vec(), value: vec![7; VALUE_BYTES] };
        Command::String(command).encode(&mut payload);
        let (index, term) = (Index::new(index), Term::new(1));
        let commands = [raftlet::Command { index, term, log_time_ms: 7, payload: &payload }];
        let mut responses = Vec::new();
        let applied = pin!(replica.apply(&commands, &mut responses))
            .poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(applied, Poll::Ready(Ok(())));
    }

    #[test]
    fn of_all_snapshots_the_one_that_holds_most_is_told() {
        let (sizes, timing) = (SizesOfAll::default(), Rc::new(Timing::new(TokioClock::start())));
        let mut replicas = [1, 2].map(|seed| sizes.replica(seed, Rc::clone(&timing)));
        replicas.iter_mut().for_each(|replica| set(replica, 1));
        let little = sizes.unwritten_bytes();
        let pages = replicas.each_mut().map(|replica| replica.snapshot().unwrap());
        set(&mut replicas[0], 2);
        let held = sizes.unwritten_bytes();
        assert!(little < VALUE_BYTES && (VALUE_BYTES..2 * VALUE_BYTES).contains(&held), "{held}");
        drop(pages);
        assert_eq!(sizes.unwritten_bytes(), 0);
    }
}
