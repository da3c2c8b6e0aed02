//! Which implementations a node's shard runs on.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tracing::warn;

use crate::process::clock::TokioClock;
use crate::shard::replica::Replica;
use raftlet::core::{Entries, GroupId, HardState, Index};
use raftlet::{
    GroupInfo, Histogram, LoadedLog, Pin, Ports, Room, Shortage, SnapshotInfo, SnapshotMeta, Spawn,
    Storage, StorageError, WriteBatch,
};
use raftlet_log::{LogSnapshotReader, LogSnapshotWriter, RealDisk, ShardLog};
use raftlet_net::{NetDetector, NetRpc};

/// A write as slow as this is told: a leader gives up at a second (rule 8).
const SLOW_WRITE: Duration = Duration::from_millis(500);

/// The ports of production.
#[derive(Debug)]
pub(crate) enum NodePorts {}

impl Ports for NodePorts {
    type Rpc = NetRpc;
    type Storage = SharedLog;
    type Machine = Replica;
    type Clock = TokioClock;
    type Spawn = LocalSpawn;
    type Detector = NetDetector;
}

/// A group of this node.
pub(crate) type Group = raftlet::Group<NodePorts>;
/// The shard of this node.
pub(crate) type Shard = raftlet::Shard<NodePorts>;

/// Tasks on tokio's current-thread runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalSpawn;

impl Spawn for LocalSpawn {
    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(task);
    }
}

/// The shard's log, kept at hand for status, with how long its writes take.
#[derive(Clone, Debug)]
pub(crate) struct SharedLog(pub(crate) Rc<ShardLog<RealDisk>>, pub(crate) Rc<WriteTimes>);

impl SharedLog {
    /// How long writes took, each with its flush.
    pub(crate) fn write_times(&self) -> Histogram {
        self.1.times.get()
    }
}

/// Measures writes of the log: the log itself knows no clock.
#[derive(Debug)]
pub(crate) struct WriteTimes {
    clock: TokioClock,
    times: Cell<Histogram>,
}

impl WriteTimes {
    pub(crate) fn new(clock: TokioClock) -> Self {
        Self { clock, times: Cell::default() }
    }

    fn on_written(&self, took_ns: u64) {
        let mut times = self.times.get();
        times.observe(took_ns);
        self.times.set(times);
        let took = Duration::from_nanos(took_ns);
        if took >= SLOW_WRITE {
            warn!(ms = took.as_millis(), "a write of the log was slow");
        }
    }
}

impl Storage for SharedLog {
    type SnapshotWriter = LogSnapshotWriter<RealDisk>;
    type SnapshotReader = LogSnapshotReader<RealDisk>;

    fn groups(&self) -> impl Future<Output = Result<Vec<GroupInfo>, StorageError>> {
        self.0.groups()
    }

    fn load_term_and_vote(
        &self,
        group: GroupId,
    ) -> impl Future<Output = Result<HardState, StorageError>> {
        self.0.load_term_and_vote(group)
    }

    fn load_log(&self, group: GroupId) -> impl Future<Output = Result<LoadedLog, StorageError>> {
        self.0.load_log(group)
    }

    async fn write(&self, batch: WriteBatch) -> (WriteBatch, Result<(), StorageError>) {
        let began = self.1.clock.elapsed_ns();
        let written = self.0.write(batch).await;
        self.1.on_written(self.1.clock.elapsed_ns().saturating_sub(began));
        written
    }

    fn read(
        &self,
        group: GroupId,
        first: Index,
        last: Index,
        bytes_max: usize,
    ) -> impl Future<Output = Result<Entries, StorageError>> {
        self.0.read(group, first, last, bytes_max)
    }

    fn create_snapshot(
        &self,
        group: GroupInfo,
        meta: &SnapshotMeta,
    ) -> impl Future<Output = Result<Self::SnapshotWriter, StorageError>> {
        self.0.create_snapshot(group, meta)
    }

    fn load_snapshot(
        &self,
        group: GroupId,
    ) -> impl Future<Output = Result<Option<(SnapshotMeta, SnapshotInfo)>, StorageError>> {
        self.0.load_snapshot(group)
    }

    fn condemn_snapshot(&self, group: GroupId) -> impl Future<Output = Result<(), StorageError>> {
        self.0.condemn_snapshot(group)
    }

    fn open_snapshot(
        &self,
        group: GroupId,
    ) -> impl Future<Output = Result<Option<Self::SnapshotReader>, StorageError>> {
        self.0.open_snapshot(group)
    }

    fn pins(&self) -> Vec<Pin> {
        self.0.pins()
    }

    fn is_roomy(&self) -> bool {
        self.0.is_roomy()
    }

    fn strand(&self, groups: &[GroupId]) {
        self.0.strand(groups);
    }

    fn unstrand(&self, group: GroupId) {
        self.0.unstrand(group);
    }

    fn room(&self) -> Room {
        self.0.room()
    }

    fn shortage(&self) -> Option<Shortage> {
        self.0.shortage()
    }
}
