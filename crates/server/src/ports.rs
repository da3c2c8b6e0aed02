//! Which implementations a node's shard runs on.

use std::future::Future;
use std::rc::Rc;

use crate::clock::TokioClock;
use crate::replica::Replica;
use raftlet::core::{Entries, GroupId, HardState, Index};
use raftlet::{
    GroupInfo, LoadedLog, Pin, Ports, SnapshotInfo, SnapshotMeta, Spawn, Storage, StorageError,
    WriteBatch,
};
use raftlet_log::{LogSnapshotReader, LogSnapshotWriter, RealDisk, ShardLog};
use raftlet_net::{NetDetector, NetRpc};

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

/// The shard's log, kept at hand for status.
#[derive(Clone, Debug)]
pub(crate) struct SharedLog(pub(crate) Rc<ShardLog<RealDisk>>);

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

    fn write(
        &self,
        batch: WriteBatch,
    ) -> impl Future<Output = (WriteBatch, Result<(), StorageError>)> {
        self.0.write(batch)
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

    fn open_snapshot(
        &self,
        group: GroupId,
    ) -> impl Future<Output = Result<Option<Self::SnapshotReader>, StorageError>> {
        self.0.open_snapshot(group)
    }

    fn pins(&self) -> Vec<Pin> {
        self.0.pins()
    }
}
