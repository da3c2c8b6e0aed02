//! How a group comes to be on a shard: bootstrap, then open.
//!
//! Not here: who the initial members are and that all agree (rule 5) is the
//! embedder's.

use std::future::poll_fn;
use std::task::Poll;

use crate::applier::Start;
use crate::error::{BootstrapError, Halt, OpenError};
use crate::observe::Note;
use crate::options::NodeSeat;
use crate::port::{
    FailureDetector, GroupInfo, GroupWrite, LoadedLog, Ports, SnapshotMeta, StateMachine, Storage,
    StorageError, WriteBatch,
};
use crate::reopening::Prepared;
use crate::shard::Group;
use crate::shard::state::Phase;
use crate::shard::{Shard, Shared};
use crate::snapshot::head;
use raftlet_core::{
    self as core, Configuration, Generation, GroupId, HardState, Restored, Seat, Term, mutants,
};

impl<P: Ports> Shard<P> {
    /// Makes a group on this member: term 1 and its first configuration become
    /// durable. Every initial member must be given the same configuration
    /// (rule 5); `open` the group afterwards.
    ///
    /// # Errors
    /// [`BootstrapError::Exists`] when storage knows the group already.
    ///
    /// # Cancel safety
    /// Dropping it leaves the group made or not; ask storage.
    pub async fn bootstrap(
        &self,
        group: GroupId,
        generation: Generation,
        configuration: &Configuration,
    ) -> Result<(), BootstrapError> {
        if configuration.is_empty() {
            return Err(BootstrapError::NoMembers { group });
        }
        let storage = &self.shared.storage;
        let failed = |source| BootstrapError::Storage { group, source };
        self.learn_stored().await.map_err(failed)?;
        let hard_state = storage.load_term_and_vote(group).await.map_err(failed)?;
        let log = storage.load_log(group).await.map_err(failed)?;
        let is_open = self.shared.state.with(|state| state.is_open(group));
        if is_open || hard_state != HardState::default() || log != LoadedLog::default() {
            return Err(BootstrapError::Exists { group });
        }
        let write = GroupWrite {
            hard_state: Some(HardState { term: Term::BOOTSTRAP, vote: None }),
            entries: core::genesis(group, generation, configuration),
            ..GroupWrite::new(group, generation)
        };
        let _permit = WritePermit::take(&self.shared).await;
        let (_, result) = storage.write(WriteBatch { writes: vec![write] }).await;
        result.map_err(failed)?;
        let made = vec![GroupInfo { group, generation }];
        self.shared.state.with(|state| state.set_stored(made));
        Ok(())
    }

    /// Opens a group with what storage holds of it, and `machine` in its
    /// initial state, or in the one it says that it has. It is restored from the
    /// group's snapshot if that is ahead of it; behind that the log is applied
    /// (law 1 of [`StateMachine`](crate::StateMachine)).
    ///
    /// A group that storage does not know opens as a member of nothing, which
    /// waits for a leader.
    ///
    /// # Errors
    /// [`OpenError`]; the group is not open then.
    ///
    /// # Cancel safety
    /// Dropping it leaves the group not open.
    pub async fn open(
        &self,
        group: GroupId,
        generation: Generation,
        machine: P::Machine,
    ) -> Result<Group<P>, OpenError> {
        let failed = |source| OpenError::Storage { group, source };
        self.check_openable(group)?;
        self.learn_stored().await.map_err(failed)?;
        let stored = self.shared.state.with(|state| state.stored(group));
        if let Some(stored) = stored.filter(|stored| *stored != generation) {
            return Err(OpenError::Generation { group, stored, asked: generation });
        }
        let info = GroupInfo { group, generation };
        let Prepared { core, start, flaw } = self.shared.prepare(info, &machine).await?;
        // Another `open` may have been faster.
        self.check_openable(group)?;
        let shared = &self.shared;
        let now = shared.now();
        for member in core.configuration().nodes() {
            let liveness = shared.detector.liveness(member.node);
            shared.state.with(|state| state.on_liveness(member.node, liveness));
        }
        let slot = shared.state.with(|state| {
            state.due.notes.extend(flaw.map(|why| Note::Forsaken { group, why }));
            state.add(now, core, (machine, start))
        });
        shared.storage.unstrand(group);
        shared.signal.raise();
        Ok(Group::new(shared, slot))
    }

    /// Opens a group that storage cannot give back, so that its shard serves the
    /// others: halted from the start, it takes no part, and whoever asks it for
    /// something is told the cause. Storage is not touched.
    ///
    /// # Errors
    /// [`OpenError`]; it is not open then.
    pub fn open_damaged(
        &self,
        group: GroupId,
        generation: Generation,
        machine: P::Machine,
        cause: StorageError,
    ) -> Result<Group<P>, OpenError> {
        self.check_openable(group)?;
        let shared = &self.shared;
        let now = shared.now();
        let settings = shared.state.with(|state| std::rc::Rc::clone(&state.group_settings));
        let nothing = Restored::default();
        let core = core::Group::new(settings, shared.seat_in(group, generation), nothing, 0, now)
            .map_err(|source| OpenError::Restore { group, source })?;
        let slot = shared.state.with(|state| {
            let slot = state.add(now, core, (machine, Start::default()));
            state.halt(now, slot, &Halt::Storage(cause));
            slot
        });
        shared.signal.raise();
        Ok(Group::new(shared, slot))
    }

    /// Asks storage once which groups it holds.
    async fn learn_stored(&self) -> Result<(), StorageError> {
        if !self.shared.state.with(|state| state.knows_stored()) {
            let groups = self.shared.storage.groups().await?;
            self.shared.state.with(|state| state.set_stored(groups));
        }
        Ok(())
    }

    fn check_openable(&self, group: GroupId) -> Result<(), OpenError> {
        self.shared.state.with(|state| match state.phase {
            Phase::Ended(_) => Err(OpenError::Stopped),
            _ if state.is_open(group) => Err(OpenError::AlreadyOpen { group }),
            _ => Ok(()),
        })
    }
}

impl<P: Ports> Shared<P> {
    /// What a start makes of a group, and an opening while the node runs
    /// (`reopen.rs`). Nothing is written.
    ///
    /// # Errors
    /// [`OpenError`]. Also where something is lost and no other member has it.
    pub(super) async fn prepare(
        &self,
        info: GroupInfo,
        machine: &P::Machine,
    ) -> Result<Prepared, OpenError> {
        let GroupInfo { group, generation } = info;
        let failed = |source| OpenError::Storage { group, source };
        let storage = &self.storage;
        let hard_state = storage.load_term_and_vote(group).await.map_err(failed)?;
        let (log, meta, flaw) = load(storage, group).await.map_err(failed)?;
        let damage = log.damage.filter(|_| flaw.is_none() || !mutants::is_active(160));
        let refill = damage.map(|damage| core::Refill { until: damage.last, term: damage.term });
        let mut restored = restored(group, hard_state, log)?;
        let (settings, seed) = self.state.with(|state| {
            for (_, configuration) in &mut restored.configurations {
                state.share(configuration);
            }
            let seed = seed_of(state.options.seed, group, self.seat.node.get());
            (std::rc::Rc::clone(&state.group_settings), seed)
        });
        restored.machine = machine.durable_index().unwrap_or_default();
        restored.refill = refill;
        let start = start(group, &mut restored, meta.as_ref())?;
        let (seat, now) = (self.seat_in(group, generation), self.now());
        let core = core::Group::new(settings, seat, restored, seed, now)
            .map_err(|source| OpenError::Restore { group, source })?;
        if let Some(refill) = refill.filter(|_| core.configuration().nodes().count() == 1) {
            let until = refill.until;
            let detail = format!("entries up to {until} are lost, and no other member has them");
            return Err(failed(StorageError::Damaged { group, detail }));
        }
        Ok(Prepared { core, start, flaw })
    }

    fn seat_in(&self, group: GroupId, generation: Generation) -> Seat {
        let NodeSeat { node, incarnation, run } = self.seat;
        Seat { group, generation, node, incarnation, run }
    }
}

/// A group's log and what its snapshot says of itself. Where that is not whole all
/// of the log is lost, and the third tells why (law 9 of the port): the member
/// starts with nothing but term and vote, and whoever leads refills it.
///
/// A log that begins with entry 1 has all that the snapshot held: it goes without.
///
/// # Errors
/// What storage says. Also where the snapshot is damaged and no other member has
/// what it held: then nothing takes its place.
async fn load<S: Storage>(
    storage: &S,
    group: GroupId,
) -> Result<(LoadedLog, Option<SnapshotMeta>, Option<StorageError>), StorageError> {
    let flaw = match storage.load_snapshot(group).await {
        Ok(snapshot) => {
            let log = storage.load_log(group).await?;
            return Ok((log, snapshot.map(|(meta, _)| meta), None));
        }
        Err(flaw @ StorageError::Damaged { .. }) => flaw,
        Err(error) => return Err(error),
    };
    let mut log = storage.load_log(group).await?;
    let is_told = log.damage.is_some_and(|damage| damage.first == core::Index::FIRST);
    let known = if is_told { std::mem::take(&mut log.configurations) } else { Vec::new() };
    let known = known.last().and_then(|(_, bytes)| Configuration::decode(bytes).ok());
    let is_alone = known.is_some_and(|known| known.nodes().count() == 1);
    if !is_told && log.base == core::LogId::default() {
        return Ok((log, None, None));
    }
    if !is_told || is_alone {
        return Err(flaw);
    }
    Ok((log, None, Some(flaw)))
}

fn restored(group: GroupId, hard_state: HardState, log: LoadedLog) -> Result<Restored, OpenError> {
    let LoadedLog { base, last, runs, configurations, last_log_time_ms, .. } = log;
    let decode = |(index, bytes): (core::Index, bytes::Bytes)| {
        let decoded = Configuration::decode(&bytes);
        decoded
            .map(|configuration| (index, configuration))
            .map_err(|source| OpenError::Configuration { group, index, source })
    };
    let configurations = configurations.into_iter().map(decode).collect::<Result<_, _>>()?;
    let shape = Restored { hard_state, base, last, runs, configurations, ..Restored::default() };
    Ok(Restored { last_log_time_ms, ..shape })
}

/// Where the machine begins, and what the core learns of the snapshot.
fn start(
    group: GroupId,
    restored: &mut Restored,
    meta: Option<&SnapshotMeta>,
) -> Result<Start, OpenError> {
    let machine = restored.machine;
    let Some(meta) = meta else {
        return Ok(Start { has_applied: machine, ..Start::default() });
    };
    let damaged = || OpenError::Snapshot { group, last: meta.last };
    restored.snapshot = Some(head::of_core(meta).ok_or_else(damaged)?);
    let start = Start::behind(meta).ok_or_else(damaged)?;
    if machine < meta.last.index {
        // It is restored from the snapshot first; that says where it begins.
        return Ok(Start::default());
    }
    Ok(Start { has_applied: machine, ..start })
}

/// Another number for every group and node (splitmix64's finalizer).
fn seed_of(seed: u64, group: GroupId, node: u64) -> u64 {
    let mut z = seed ^ group.get().rotate_left(32) ^ node.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The right to write, beside the loop.
pub(super) struct WritePermit<'a, P: Ports>(&'a Shared<P>);

impl<'a, P: Ports> WritePermit<'a, P> {
    pub(super) async fn take(shared: &'a Shared<P>) -> Self {
        poll_fn(|cx| {
            let taken = shared.state.with(|state| state.writer.permit().take_or_wait(cx.waker()));
            if taken { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Self(shared)
    }
}

impl<P: Ports> Drop for WritePermit<'_, P> {
    fn drop(&mut self) {
        let waker = self.0.state.with(|state| state.writer.permit().release());
        if let Some(waker) = waker {
            waker.wake();
        }
        self.0.signal.raise();
    }
}
