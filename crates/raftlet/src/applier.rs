//! Brings a state machine up to the committed index, off the consensus path.
//!
//! The applier is told an *index*, never handed a queue: a slow machine delays
//! its own callers, and neither votes nor acks (D5). It reads the entries from
//! memory, or from storage once they left it, in batches bounded in entries
//! and bytes.
//!
//! Invariants
//! - Entries are applied in log order, each once within a run, never beyond
//!   the committed index (rule 14).
//! - A machine with durable state of its own is never given an entry that a
//!   crash could still take from this member's log (rule 8); one without has no
//!   reason to wait for this member's disk.
//! - A machine that is to be restored from a snapshot is given nothing before.
//! - The machine is in one place: here, or out with one batch or some reads.
//!   So at most one apply is under way, and reads run between two of them.
//! - Which forwarded entries take effect is decided here, in log order, by
//!   the replicated window (rule 33). The window moves with every entry, also
//!   those that the machine skips (rule 14).
//!
//! - An entry is checked against its checksums when it is applied, the last of
//!   the places where that is done (rule 11). Of one that storage has just read
//!   the check there is this one: it lies in the same bytes since, which nobody
//!   can change.
//!
//! Not here: who is told (`member.rs`), polling and spawning (`shard/act.rs`).

use crate::error::Halt;
use crate::library::Library;
use crate::options::ShardOptions;
use crate::patience::READ_PAUSE_NS;
use crate::port::{Command, SnapshotMeta, StateMachine, StorageError};
use crate::snapshot::Reach;
use crate::window::Verdict;
use raftlet_core::{
    self as core, CHECKPOINT_ENTRIES, Checkpoint, Chunk, Entries, Entry, EntryError, EntryKind,
    GroupId, Index, LogId, Seal, Time, mutants,
};

/// The machine of one group and how far it is.
pub(crate) struct Applier<M: StateMachine> {
    machine: Option<Box<M>>,
    applied: Index,
    committed: Index,
    library: Library,
    /// Log time of what is applied, milliseconds.
    log_time_ms: u64,
    /// The machine has applied up to here by itself (rule 14).
    has_applied: Index,
    /// What it is given outlasts the process.
    keeps_state: bool,
    /// It is to be restored from this snapshot.
    install: Option<LogId>,
    source: Source,
    spare: Vec<M::Response>,
}

/// Where a machine begins.
#[derive(Debug, Default)]
pub(crate) struct Start {
    /// The library's own state is that of this index; behind it the log is read.
    pub(crate) applied: Index,
    pub(crate) library: Library,
    pub(crate) log_time_ms: u64,
    /// The machine's own durable state is that of this index.
    pub(crate) has_applied: Index,
}

impl Start {
    /// From what a snapshot says of the library; `None` when it does not decode.
    pub(crate) fn behind(meta: &SnapshotMeta) -> Option<Self> {
        let library = Library::decode(&meta.library)?;
        let applied = meta.last.index;
        Some(Self { applied, library, log_time_ms: meta.log_time_ms, has_applied: applied })
    }
}

/// Where the next batch comes from.
#[derive(Debug)]
enum Source {
    Memory,
    /// Storage was asked for entries that left memory, so often in vain before.
    Asked {
        tries: u32,
    },
    /// It was asked before a snapshot was to be installed: the answer is void.
    Void,
    /// They came.
    Read(Entries),
    /// Storage could not read now; to be asked again.
    Resting {
        until: Time,
        tries: u32,
    },
}

impl Source {
    /// How often the same was asked for in vain.
    const fn tries(&self) -> u32 {
        match self {
            Self::Asked { tries } | Self::Resting { tries, .. } => *tries,
            Self::Memory | Self::Void | Self::Read(_) => 0,
        }
    }
}

/// What the applier needs next.
pub(crate) enum Next<M: StateMachine> {
    /// Nothing, or something under way must end first.
    Nothing,
    /// The machine, to be restored from the snapshot and handed back by
    /// `on_restored`.
    Restore { machine: Box<M>, last: LogId },
    /// Entries from storage; answer with `on_read`.
    Read { first: Index, last: Index },
    /// The machine, to be handed back by `on_applied`.
    Apply(Job<M>),
}

/// One batch on its way through the machine.
pub(crate) struct Job<M: StateMachine> {
    pub(crate) machine: Box<M>,
    pub(crate) entries: Entries,
    /// Indexes of second copies, ascending. Nearly always empty.
    pub(crate) without_effect: Vec<Index>,
    /// The machine has what is at or before this index.
    pub(crate) has_applied: Index,
    pub(crate) responses: Vec<M::Response>,
    pub(crate) group: GroupId,
    /// What its entries are sealed with.
    pub(crate) seal: Seal,
    /// They were checked a moment ago, by the read that brought them.
    pub(crate) is_checked: bool,
    /// Digest of all entries before it; of all up to its end once it came back.
    pub(crate) chain: Option<u64>,
}

/// A batch that came back.
pub(crate) struct Applied<M: StateMachine> {
    pub(crate) job: Job<M>,
    pub(crate) result: Result<(), Halt>,
}

impl<M: StateMachine> Applier<M> {
    pub(crate) fn new(machine: M, start: Start) -> Self {
        let Start { applied, library, log_time_ms, has_applied } = start;
        Self {
            keeps_state: machine.durable_index().is_some(),
            machine: Some(Box::new(machine)),
            applied,
            committed: applied,
            library,
            log_time_ms,
            has_applied,
            install: None,
            source: Source::Memory,
            spare: Vec::new(),
        }
    }

    pub(crate) fn applied(&self) -> Index {
        self.applied
    }

    /// How far the log has come.
    pub(crate) fn reach(&self) -> Reach {
        Reach { applied: self.applied, committed: self.committed }
    }

    /// Entries up to here are committed.
    pub(crate) fn on_committed(&mut self, committed: Index) {
        assert!(committed >= self.committed, "the commit index fell");
        self.committed = committed;
    }

    /// The snapshot up to `last` takes the place of whatever the machine has.
    pub(crate) fn install(&mut self, last: LogId) {
        self.install = Some(last);
        self.source = match self.source {
            Source::Asked { .. } | Source::Void => Source::Void,
            _ => Source::Memory,
        };
    }

    /// Whether the machine is to be restored before anything else.
    pub(crate) const fn is_installing(&self) -> bool {
        self.install.is_some()
    }

    /// Whether the machine's state is that of what is applied here. One with durable
    /// state of its own is ahead while it skips what it has: then nobody may write it
    /// down, or compare it, as of here.
    pub(crate) fn is_level(&self) -> bool {
        self.applied >= self.has_applied || mutants::is_active(177)
    }

    /// The library's own state as of what is applied, for a snapshot.
    pub(crate) fn library(&self) -> (Vec<u8>, u64) {
        (self.library.encode(), self.log_time_ms)
    }

    /// The machine came back, restored from what `start` tells of.
    pub(crate) fn on_restored(&mut self, machine: Box<M>, start: Start) {
        self.machine = Some(machine);
        self.applied = start.applied;
        self.library = start.library;
        self.log_time_ms = start.log_time_ms;
        self.has_applied = start.has_applied;
        // Another may have been received meanwhile.
        self.install.take_if(|last| last.index <= start.applied);
    }

    /// Whether an answer of storage is void; it is dropped then.
    pub(crate) fn drop_void(&mut self) -> bool {
        let is_void = matches!(self.source, Source::Void);
        if is_void {
            self.source = Source::Memory;
        }
        is_void
    }

    fn next_restore(&mut self, last: LogId, group: &core::Group) -> Next<M> {
        if group.durable_snapshot().index < last.index {
            return Next::Nothing;
        }
        let machine = self.machine.take();
        machine.map_or(Next::Nothing, |machine| Next::Restore { machine, last })
    }

    /// What to do next.
    pub(crate) fn next(
        &mut self,
        now: Time,
        group: &core::Group,
        options: &ShardOptions,
    ) -> Next<M> {
        if let Some(last) = self.install {
            return self.next_restore(last, group);
        }
        let waits = match self.source {
            Source::Asked { .. } | Source::Void => true,
            Source::Resting { until, .. } => until > now,
            Source::Memory | Source::Read(_) => false,
        };
        let until = self.until(group);
        if waits || self.machine.is_none() || self.applied >= until {
            return Next::Nothing;
        }
        let mut first = self.applied.next();
        if mutants::is_active(74) && self.applied > Index::ZERO {
            first = self.applied;
        }
        let entries_max = u64::try_from(options.apply_entries_max).unwrap_or(u64::MAX);
        // A batch ends at a checkpoint, so that there is a state of exactly there.
        let to_checkpoint = CHECKPOINT_ENTRIES - self.applied.get() % CHECKPOINT_ENTRIES;
        let behind = (until - self.applied).min(entries_max).min(to_checkpoint);
        let last = self.applied.plus(behind);
        let tries = self.source.tries();
        let (entries, is_checked) = match std::mem::replace(&mut self.source, Source::Memory) {
            Source::Read(entries) => (Some(entries), true),
            _ => (group.entries(first, last, options.apply_bytes_max), false),
        };
        let Some(entries) = entries else {
            // Behind the durable index storage may still hold a tail that a
            // later leader replaced, its truncation being in flight.
            let last = last.min(group.durable_index());
            if last < first {
                return Next::Nothing;
            }
            self.source = Source::Asked { tries };
            return Next::Read { first, last };
        };
        assert_eq!(entries.first(), Some(first), "a gap before the applied log");
        let without_effect = self.decide(&entries);
        let machine = self.machine.take().expect("looked at above");
        let seat = group.seat();
        Next::Apply(Job {
            machine,
            entries,
            without_effect,
            has_applied: self.has_applied,
            responses: std::mem::take(&mut self.spare),
            group: seat.group,
            seal: Seal::new(seat.group, seat.generation),
            is_checked,
            chain: self.library.chain,
        })
    }

    /// Which of the entries the window refuses.
    fn decide(&mut self, entries: &Entries) -> Vec<Index> {
        let mut without_effect = Vec::new();
        for chunk in entries.chunks() {
            self.log_time_ms = self.log_time_ms.max(chunk.log_time_ms());
        }
        let forwarded = entries.chunks().filter(|chunk| !chunk.is_plain());
        for entry in forwarded.flat_map(Chunk::entries) {
            if let Some(origin) = &entry.origin
                && self.library.window.admit(entry.index, origin) == Verdict::NoEffect
            {
                without_effect.push(entry.index);
            }
        }
        without_effect
    }

    /// Storage answered. Entries that are not the log's are refused: then what
    /// it holds is damaged.
    pub(crate) fn on_read(&mut self, entries: Entries, group: &core::Group) -> Result<(), Halt> {
        let is_of_log = entries.first() == Some(self.applied.next())
            && entries.last().is_some_and(|last| last.index <= self.committed)
            && entries.chunks().all(|chunk| {
                let term = Some(chunk.term());
                group.term_at(chunk.first()) == term && group.term_at(chunk.last()) == term
            });
        if !is_of_log {
            let detail = format!("storage returned {entries:?}, which are not the log's entries");
            return Err(Halt::Storage(StorageError::Damaged { group: group.seat().group, detail }));
        }
        self.source = Source::Read(entries);
        Ok(())
    }

    /// Storage could not read now; it is asked again after a pause. Returns how often
    /// it was asked for the same.
    pub(crate) fn on_unreadable(&mut self, now: Time) -> u32 {
        let tries = self.source.tries().saturating_add(1);
        self.source = Source::Resting { until: now.after_ns(READ_PAUSE_NS), tries };
        tries
    }

    /// When storage is to be asked again.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        match self.source {
            Source::Resting { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Up to here the machine may be given the log now. The end of a write settles
    /// the member anew, so nothing else waits for it.
    fn until(&self, group: &core::Group) -> Index {
        if self.keeps_state && !mutants::is_active(170) {
            return self.committed.min(group.durable_index());
        }
        self.committed
    }

    /// Whether the machine may be given more than it has applied.
    pub(crate) fn is_behind(&self, group: &core::Group) -> bool {
        self.applied < self.until(group)
    }

    /// Takes the machine back after a batch.
    pub(crate) fn on_applied(&mut self, job: Job<M>, last: Index) {
        self.machine = Some(job.machine);
        self.applied = last;
        self.library.chain = job.chain;
        self.spare = job.responses;
    }

    /// What is held here at this moment, where that is a checkpoint (D3).
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        let index = self.applied;
        let machine = self.machine.as_ref().filter(|_| is_checkpoint(index))?;
        let state = if self.is_level() { machine.digest() } else { 0 };
        Some(Checkpoint { index, log: self.library.chain.unwrap_or(0), state })
    }

    /// Whether the machine is here, and not with a batch or a snapshot.
    pub(crate) const fn is_at_home(&self) -> bool {
        self.machine.is_some()
    }

    /// Lends the machine for reads; `None` while a batch is under way.
    pub(crate) fn lend(&mut self) -> Option<Box<M>> {
        self.machine.take()
    }

    /// Takes the machine back after reads.
    pub(crate) fn give_back(&mut self, machine: Box<M>) {
        self.machine = Some(machine);
    }
}

/// Whether members compare what they hold there.
pub(crate) const fn is_checkpoint(index: Index) -> bool {
    index.get() > 0 && index.get().is_multiple_of(CHECKPOINT_ENTRIES)
}

/// Whether an entry reaches the machine.
pub(crate) fn has_effect(entry: &Entry<'_>, without_effect: &[Index], has_applied: Index) -> bool {
    entry.kind == EntryKind::Command
        && (entry.index > has_applied || mutants::is_active(176))
        && without_effect.binary_search(&entry.index).is_err()
}

/// Runs one batch through the machine it brings.
pub(crate) async fn apply<M: StateMachine>(mut job: Job<M>) -> Applied<M> {
    let mut commands = Commands::default();
    let has_effect = |entry: &Entry<'_>| has_effect(entry, &job.without_effect, job.has_applied);
    let checked = check(&job.entries, (job.seal, job.is_checked), job.chain, |entry, len| {
        if has_effect(&entry) {
            commands.push(&entry, len);
        }
    });
    match checked {
        Ok(chain) => job.chain = chain,
        Err(error) => {
            drop(commands);
            let detail = format!("in memory, before it was applied: {error}");
            let damaged = StorageError::Damaged { group: job.group, detail };
            let result = Err(Halt::until_a_start(damaged));
            return Applied { job, result };
        }
    }
    let asked = commands.as_slice().len();
    let mut result = Ok(());
    if asked > 0 {
        let applied = job.machine.apply(commands.as_slice(), &mut job.responses).await;
        result = applied.map_err(Halt::Machine);
    }
    drop(commands);
    if result.is_ok() && job.responses.len() != asked {
        result = Err(Halt::Responses {
            index: job.entries.last().map_or(Index::ZERO, |last| last.index),
            commands: asked,
            responses: job.responses.len(),
        });
    }
    Applied { job, result }
}

/// Checks a batch where it is used, and hands on its entries, each with how many
/// there are; the chain up to its end.
fn check<'a>(
    entries: &'a Entries,
    (seal, is_checked): (Seal, bool),
    chain: Option<u64>,
    mut hand_on: impl FnMut(Entry<'a>, u64),
) -> Result<Option<u64>, EntryError> {
    let len = entries.len();
    let mut linked = chain.unwrap_or(0);
    for chunk in entries.chunks() {
        if is_checked {
            linked = chunk.link(linked);
            chunk.entries().for_each(|entry| hand_on(entry, len));
        } else {
            linked = chunk.chain_each(seal, linked, |entry| hand_on(entry, len))?;
        }
    }
    Ok(chain.map(|_| linked))
}

/// What a machine is given. One alone, of a client that waits for each, needs no
/// list.
#[derive(Default)]
struct Commands<'a> {
    first: Option<Command<'a>>,
    all: Vec<Command<'a>>,
}

impl<'a> Commands<'a> {
    /// One more of at most so many.
    #[inline]
    fn push(&mut self, entry: &Entry<'a>, len_max: u64) {
        let command = Command {
            index: entry.index,
            term: entry.term,
            log_time_ms: entry.log_time_ms,
            payload: entry.payload,
        };
        let Some(first) = self.first else {
            self.first = Some(command);
            return;
        };
        if self.all.is_empty() {
            self.all.reserve(usize::try_from(len_max).unwrap_or_default());
            self.all.push(first);
        }
        self.all.push(command);
    }

    fn as_slice(&self) -> &[Command<'a>] {
        if self.all.is_empty() { self.first.as_slice() } else { &self.all }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::{Job, apply};
    use crate::error::Halt;
    use crate::port::{ApplyError, Command, StateMachine, StorageError};
    use raftlet_core::{
        Arena, CHAIN_START, Chunk, EntryKind, Generation, GroupId, Index, LogId, NewEntry, Seal,
        Term,
    };

    /// Counts what it is given.
    #[derive(Default)]
    struct Counting(usize);

    impl StateMachine for Counting {
        type Command = ();
        type Response = ();

        fn encode(_: &(), _: &mut Vec<u8>) {}

        async fn apply(
            &mut self,
            commands: &[Command<'_>],
            responses: &mut Vec<()>,
        ) -> Result<(), ApplyError> {
            self.0 += commands.len();
            responses.resize(commands.len(), ());
            Ok(())
        }
    }

    /// A batch sealed for one group, applied in another's name: what damage of a
    /// header between log and machine looks like.
    fn applied(sealed_for: u64, is_checked: bool) -> (usize, Option<u64>, Result<(), Halt>) {
        let (group, generation) = (GroupId::new(7), Generation::new(1));
        let at = LogId { term: Term::new(2), index: Index::new(5) };
        let entry =
            NewEntry { kind: EntryKind::Command, log_time_ms: 0, origin: None, payload: b"x" };
        let made_with = Seal::new(GroupId::new(sealed_for), generation);
        let chunk = Chunk::encode(&mut Arena::new(64), made_with, at, std::iter::once(entry));
        let job = Job {
            machine: Box::new(Counting::default()),
            entries: chunk.into(),
            without_effect: Vec::new(),
            has_applied: Index::ZERO,
            responses: Vec::new(),
            group,
            seal: Seal::new(group, generation),
            is_checked,
            chain: Some(CHAIN_START),
        };
        let ended = pin!(apply(job)).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(applied) = ended else { panic!("it waits for nothing") };
        (applied.job.machine.0, applied.job.chain, applied.result)
    }

    #[test]
    fn damage_between_log_and_machine_is_found_before_the_machine() {
        let (given, chain, result) = applied(7, false);
        assert!(given == 1 && result.is_ok() && chain != Some(CHAIN_START));
        let (given, _, result) = applied(8, false);
        assert_eq!(given, 0);
        let Err(Halt::Storage(StorageError::Damaged { group, detail })) = result else {
            panic!("{result:?}");
        };
        assert!(group == GroupId::new(7) && detail.contains("entry 5"), "{detail}");
    }

    #[test]
    fn what_storage_has_just_read_and_checked_makes_the_same_chain() {
        let (given, chain, result) = applied(7, true);
        assert!(given == 1 && result.is_ok());
        assert_eq!(chain, applied(7, false).1);
    }
}
