//! A whole shard on this log: one group that writes, two hundred that do not,
//! and a disk that stays within its limit all the same (rule 29).

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::fixture::{BLOCK, small, start};
use raftlet::core::{
    Configuration, Generation, GroupId, Incarnation, Member, MemberRole, NodeId, Run, Sender,
};
use raftlet::memory::{
    Executor, ManualDetector, Network, NetworkRpc, Owner, Spawner, VirtualClock,
};
use raftlet::{
    ApplyError, ChunkError, ChunkSource, Command, Group, NodeSeat, PortSet, Ports, Shard,
    ShardOptions, Spawn, StateMachine,
};
use raftlet_log::{LogOptions, MemoryDisk, ShardLog, block_on};

const GENERATION: Generation = Generation::new(1);
const IDLE_GROUPS: u64 = 200;

/// Knows how many commands there were.
#[derive(Debug, Default)]
struct Counter(u64);

struct Once(Option<Bytes>);

impl ChunkSource for Once {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ChunkError> {
        Ok(self.0.take())
    }
}

impl StateMachine for Counter {
    type Command = Vec<u8>;
    type Response = u64;

    fn encode(command: &Vec<u8>, into: &mut Vec<u8>) {
        into.extend_from_slice(command);
    }

    async fn apply(
        &mut self,
        commands: &[Command<'_>],
        responses: &mut Vec<u64>,
    ) -> Result<(), ApplyError> {
        for _ in commands {
            self.0 += 1;
            responses.push(self.0);
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Option<impl ChunkSource + use<>> {
        Some(Once(Some(Bytes::copy_from_slice(&self.0.to_le_bytes()))))
    }

    async fn restore(&mut self, chunks: &mut impl ChunkSource) -> Result<(), ChunkError> {
        while let Some(chunk) = chunks.next_chunk().await? {
            let held = chunk.first_chunk().copied().unwrap_or_default();
            self.0 = u64::from_le_bytes(held);
        }
        Ok(())
    }

    fn digest(&self) -> u64 {
        self.0
    }
}

#[derive(Debug)]
enum OnLog {}

impl Ports for OnLog {
    type Rpc = NetworkRpc;
    type Storage = ShardLog<MemoryDisk>;
    type Machine = Counter;
    type Clock = VirtualClock;
    type Spawn = Spawner;
    type Detector = ManualDetector;
}

/// Segments of 64 blocks and a limit of eight of them.
fn limited() -> LogOptions {
    let block = BLOCK as u64;
    LogOptions { segment_bytes_max: 64 * block, log_bytes_soft: 512 * block, ..small() }
}

/// One run of the only node, all groups open and led.
struct Node {
    executor: Executor,
    groups: Vec<Group<OnLog>>,
}

impl Node {
    fn start(disk: &MemoryDisk, run: u64) -> Self {
        let executor = Executor::new(run);
        let network = Network::new(&executor, run);
        let log = block_on(start(disk, &limited())).expect("a log that opens").0;
        let (node, incarnation) = (NodeId::new(1), Incarnation(5));
        let sender = Sender { node, incarnation, run: Run::new(run) };
        executor.spawner(Owner(1)).spawn(log.maintain(executor.clock()));
        let ports = PortSet::<OnLog> {
            rpc: network.rpc(sender),
            storage: log,
            clock: executor.clock(),
            spawn: executor.spawner(Owner(1)),
            detector: ManualDetector::new(),
        };
        let seat = NodeSeat { node, incarnation, run: Run::new(run) };
        let shard = Rc::new(Shard::new(ShardOptions::default(), seat, ports).unwrap());
        let member = Member {
            node,
            incarnation,
            role: MemberRole::Voter,
            priority: raftlet::core::PRIORITY_DEFAULT,
            address: "node-1:1".to_owned(),
        };
        let members = Configuration::new(vec![member]).unwrap();
        let groups = (1..=IDLE_GROUPS + 1).map(|id| {
            let id = GroupId::new(id);
            if run == 1 {
                executor.block_on(shard.bootstrap(id, GENERATION, &members)).unwrap();
            }
            executor.block_on(shard.open(id, GENERATION, Counter::default())).unwrap()
        });
        let groups = groups.collect();
        let running = Rc::clone(&shard);
        executor.spawner(Owner(1)).spawn(async move {
            let _ = running.run().await;
        });
        executor.run_for(Duration::from_secs(5));
        Self { executor, groups }
    }

    /// Writes to a group; how many commands it has had.
    fn write(&self, at: usize, bytes: usize) -> u64 {
        let proposal = self.groups[at].propose(vec![7; bytes]);
        self.executor.block_on(proposal).unwrap()
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.executor.block_on(future)
    }
}

fn log_bytes(disk: &MemoryDisk) -> usize {
    let names = disk.names().into_iter().filter(|name| name.ends_with(".wal"));
    names.map(|name| disk.bytes(&name).unwrap().len()).sum()
}

#[test]
fn two_hundred_idle_groups_do_not_keep_the_log_of_one_that_writes() {
    let disk = MemoryDisk::new();
    let node = Node::start(&disk, 1);
    // More than is ever moved for a group: only a snapshot frees it.
    for at in 1..node.groups.len() {
        for _ in 0..2 {
            node.write(at, 40_000);
        }
    }
    let before = log_bytes(&disk);
    let (mut after, mut written) = (0, 0);
    for round in 0..40 {
        for _ in 0..25 {
            written = node.write(0, 20_000);
            // A disk's time, which maintenance has too.
            node.executor.run_for(Duration::from_millis(2));
        }
        // Then what the idle ones wrote, 16 MB, is gone.
        if round > 20 {
            after = after.max(log_bytes(&disk));
        }
    }
    println!("{} KiB, then {} KiB", before >> 10, after >> 10);
    // The limit, the segment in use and the next, spares, and one segment more
    // while a snapshot is on its way.
    assert!(after < (512 + 7 * 64) * BLOCK, "{after} bytes");
    drop(node);
    disk.kill();
    let node = Node::start(&disk, 2);
    assert_eq!(node.write(0, 10), written + 1);
    for at in [1, 100, 200] {
        assert_eq!(node.wait(node.groups[at].read(|counter: &Counter| counter.0)).unwrap(), 2);
    }
}
