//! Ports in memory, and a small executor to run them on.
//!
//! For tests and examples: several nodes in one thread, time that passes only
//! when nothing else can happen, a network that loses what it is told to. No
//! runtime, no socket, no file; the same seed gives the same run.
//!
//! - [`Executor`] runs tasks, [`VirtualClock`] is its time.
//! - [`MemoryStorage`] outlives a node's run, as a disk does.
//! - [`Network`] carries messages between the shards of one process.
//! - [`ManualDetector`] says of other nodes what it is told to say.
//!
//! Not here: faults of real disks and real networks; those are the simulator's.

mod clock;
mod detector;
mod disk;
mod executor;
mod network;
mod snapshots;
mod storage;

use std::marker::PhantomData;

pub use clock::{Sleep, VirtualClock};
pub use detector::ManualDetector;
pub use executor::{Executor, Owner, Spawner};
pub use network::{Network, NetworkRpc};
pub use snapshots::{MemorySnapshotReader, MemorySnapshotWriter};
pub use storage::MemoryStorage;

use crate::port::{Ports, StateMachine};

/// The ports of this module around a machine of yours.
#[derive(Debug)]
pub struct MemoryPorts<M>(PhantomData<M>);

impl<M: StateMachine> Ports for MemoryPorts<M> {
    type Rpc = NetworkRpc;
    type Storage = MemoryStorage;
    type Machine = M;
    type Clock = VirtualClock;
    type Spawn = Spawner;
    type Detector = ManualDetector;
}
