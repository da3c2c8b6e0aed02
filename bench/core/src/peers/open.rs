//! `openraft` 0.9.25 on one tokio thread, with a log and a state machine in
//! memory (storage v2).
//!
//! A batch of N is N client writes under way at once: all are handed over,
//! then all are waited for, which is what N callers of `client_write` do, less
//! their N tasks. So batches follow each other and do not overlap: its API
//! answers a write when it is applied.
//!
//! In its favour: a write to the log is flushed at once, an RPC is a call of
//! the other member without a codec, timers are off, the log is never
//! compacted (it would want a snapshot), and the state machine looks at each
//! entry without keeping anything.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::hint::black_box;
use std::io::Cursor;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use openraft::error::{InstallSnapshotError, RPCError, RaftError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft::{
    BasicNode, Config, Entry, LogId, LogState, OptionalSend, Raft, RaftLogReader, RaftNetwork,
    RaftNetworkFactory, RaftSnapshotBuilder, Snapshot, SnapshotMeta, SnapshotPolicy, StorageError,
    StorageIOError, StoredMembership, Vote,
};

use crate::load::{COMMAND_BYTES, Cost, Load, Meter};

/// No member may need longer for what it is waited for.
const WITHIN: Duration = Duration::from_secs(60);

openraft::declare_raft_types!(
    /// Commands with an allocation of their own, as its users have.
    Types:
        D = Vec<u8>,
        R = (),
);

type Refused = StorageError<u64>;

/// The log of a member; its readers share it.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    vote: Option<Vote<u64>>,
    /// From index 0: nothing is ever purged.
    entries: VecDeque<Entry<Types>>,
}

impl Log {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().expect("one thread never poisons")
    }
}

fn position(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry<Types>>, Refused> {
        let entries = &self.entries().entries;
        let first = match range.start_bound() {
            Bound::Included(&first) => position(first),
            Bound::Excluded(&before) => position(before) + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => position(last) + 1,
            Bound::Excluded(&end) => position(end),
            Bound::Unbounded => usize::MAX,
        };
        let end = end.min(entries.len());
        Ok(entries.range(first.min(end)..end).cloned().collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, Refused> {
        let last_log_id = self.entries().entries.back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: None, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), Refused> {
        self.entries().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, Refused> {
        Ok(self.entries().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), Refused>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.entries().entries.extend(entries);
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<(), Refused> {
        self.entries().entries.truncate(position(log_id.index));
        Ok(())
    }

    async fn purge(&mut self, _: LogId<u64>) -> Result<(), Refused> {
        Ok(())
    }
}

/// Looks at what is committed and keeps nothing.
#[derive(Clone, Debug, Default)]
struct Machine {
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>), Refused> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, Refused>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut answers = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            if let openraft::EntryPayload::Membership(membership) = &entry.payload {
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
            }
            black_box(&entry.payload);
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, Refused> {
        Err(no_snapshots())
    }

    async fn install_snapshot(
        &mut self,
        _: &SnapshotMeta<u64, BasicNode>,
        _: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), Refused> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, Refused> {
        Ok(None)
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, Refused> {
        Err(no_snapshots())
    }
}

fn no_snapshots() -> Refused {
    let why = std::io::Error::other("no snapshots here");
    StorageError::IO { source: StorageIOError::write_state_machine(&why) }
}

/// Members by id, and the messages between them.
#[derive(Clone, Default)]
struct Net {
    members: Arc<Mutex<BTreeMap<u64, Raft<Types>>>>,
    messages: Arc<AtomicU64>,
}

/// One member as another one calls it.
struct Link {
    net: Net,
    target: u64,
    member: Option<Raft<Types>>,
}

type Lost<E> = RPCError<u64, BasicNode, RaftError<u64, E>>;

impl Link {
    /// The member; an RPC to it is two messages.
    #[expect(clippy::result_large_err, reason = "the error is what its trait asks for")]
    fn member<E: std::error::Error>(&mut self) -> Result<Raft<Types>, Lost<E>> {
        self.net.messages.fetch_add(2, Ordering::Relaxed);
        if self.member.is_none() {
            let members = self.net.members.lock().expect("one thread never poisons");
            self.member = members.get(&self.target).cloned();
        }
        let absent = || RPCError::Unreachable(Unreachable::new(&std::io::Error::other("not yet")));
        self.member.clone().ok_or_else(absent)
    }
}

impl RaftNetworkFactory<Types> for Net {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _: &BasicNode) -> Link {
        Link { net: self.clone(), target, member: None }
    }
}

fn lost<E: std::error::Error>(error: RaftError<u64, E>) -> Lost<E> {
    RPCError::Unreachable(Unreachable::new(&std::io::Error::other(error.to_string())))
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        self.member()?.append_entries(rpc).await.map_err(lost)
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Lost<InstallSnapshotError>> {
        self.member()?.install_snapshot(rpc).await.map_err(lost)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        self.member()?.vote(rpc).await.map_err(lost)
    }
}

fn config() -> Arc<Config> {
    let config = Config {
        // Also the limit of an RPC; a run under callgrind is slow.
        heartbeat_interval: 20_000,
        election_timeout_min: 60_000,
        election_timeout_max: 120_000,
        max_payload_entries: 1024,
        snapshot_policy: SnapshotPolicy::Never,
        enable_tick: false,
        ..Config::default()
    };
    Arc::new(config.validate().expect("options that fit together"))
}

/// Members that have elected the first.
async fn elected(members: u64, net: &Net) -> Vec<Raft<Types>> {
    let mut rafts = Vec::new();
    for id in 1..=members {
        let (log, machine) = (Log::default(), Machine::default());
        let raft = Raft::new(id, config(), net.clone(), log, machine).await.expect("a member");
        net.members.lock().expect("one thread never poisons").insert(id, raft.clone());
        rafts.push(raft);
    }
    let nodes: BTreeMap<u64, BasicNode> =
        (1..=members).map(|id| (id, BasicNode::default())).collect();
    rafts[0].initialize(nodes).await.expect("a fresh cluster");
    for raft in &rafts {
        let wait = raft.wait(Some(WITHIN));
        wait.current_leader(1, "the first member leads").await.expect("a leader");
    }
    rafts
}

/// Commits a batch: hands all writes over, then waits for each.
async fn write(leader: &Raft<Types>, payload: &[u8], batch: u64) {
    let mut answers = Vec::new();
    for _ in 0..batch {
        answers.push(leader.client_write_ff(payload.to_vec()).await.expect("the leader runs"));
    }
    for answer in answers {
        answer.await.expect("an answer").expect("a committed write");
    }
}

async fn committed(load: Load) -> Cost {
    let payload = [7u8; COMMAND_BYTES];
    let net = Net::default();
    let rafts = elected(load.members, &net).await;
    let leader = &rafts[0];
    write(leader, &payload, load.batch).await;
    let last = || leader.metrics().borrow().last_applied.map_or(0, |applied| applied.index);
    let target = last() + load.committed();
    net.messages.store(0, Ordering::Relaxed);
    let meter = Meter::start();
    for _ in 0..load.committed() / load.batch {
        write(leader, &payload, load.batch).await;
    }
    let cost = meter.stop(load.committed(), net.messages.load(Ordering::Relaxed));
    // Followers learn the last commit index with the next heartbeat.
    leader.trigger().heartbeat().await.expect("the leader runs");
    for raft in &rafts {
        let wait = raft.wait(Some(WITHIN));
        wait.applied_index_at_least(Some(target), "all entries").await.expect("all is applied");
    }
    cost
}

/// Commits the load's entries; one group.
pub(crate) fn run(load: Load) -> Cost {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime of one thread");
    runtime.block_on(committed(load))
}
