//! Make Rpc, Storage and StateMachine, hand them to a shard, propose, see it
//! applied everywhere.
//!
//! Three nodes live in this one process, each with a shard of its own. What an
//! embedder writes is written out here, as small as it gets; for time and tasks
//! the example borrows `raftlet::memory`, where a real program has its runtime.
//!
//! `cargo run -p raftlet --example first_usage`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::rc::Rc;

use raftlet::core::{
    Chunk, Configuration, Entries, EntryKind, Generation, GroupId, HardState, Incarnation, Index,
    LogId, Member, MemberRole, NodeId, PRIORITY_DEFAULT, Run, Sender,
};
use raftlet::memory::{Executor, ManualDetector, Owner, Spawner, VirtualClock};
use raftlet::{
    ApplyError, Command, GroupInfo, Inbox, Incoming, LoadedLog, NoSnapshots, NodeSeat, PortSet,
    Ports, Rpc, Shard, ShardOptions, Spawn, StateMachine, Storage, StorageError, WriteBatch,
};

/// The state that is kept on all nodes: a counter by name.
#[derive(Default)]
struct Counters(BTreeMap<String, i64>);

/// What can be done to it.
struct Add {
    name: String,
    amount: i64,
}

impl StateMachine for Counters {
    type Command = Add;
    type Response = i64;

    fn encode(command: &Add, into: &mut Vec<u8>) {
        into.extend_from_slice(&command.amount.to_le_bytes());
        into.extend_from_slice(command.name.as_bytes());
    }

    async fn apply(
        &mut self,
        commands: &[Command<'_>],
        responses: &mut Vec<i64>,
    ) -> Result<(), ApplyError> {
        for command in commands {
            // What cannot be decoded is a broken log: halt, never guess.
            let Some((amount, name)) = command.payload.split_first_chunk() else {
                let detail = "a command shorter than its amount".to_owned();
                return Err(ApplyError { index: command.index, detail });
            };
            let name = String::from_utf8_lossy(name).into_owned();
            let counter = self.0.entry(name).or_default();
            *counter = counter.wrapping_add(i64::from_le_bytes(*amount));
            responses.push(*counter);
        }
        Ok(())
    }
}

/// A disk that holds the log of one group.
#[derive(Clone, Default)]
struct Notebook(Rc<RefCell<Page>>);

#[derive(Default)]
struct Page {
    groups: Vec<GroupInfo>,
    hard_state: HardState,
    chunks: Vec<Chunk>,
}

impl Storage for Notebook {
    type SnapshotWriter = NoSnapshots;
    type SnapshotReader = NoSnapshots;

    async fn groups(&self) -> Result<Vec<GroupInfo>, StorageError> {
        Ok(self.0.borrow().groups.clone())
    }

    async fn load_term_and_vote(&self, _: GroupId) -> Result<HardState, StorageError> {
        Ok(self.0.borrow().hard_state)
    }

    async fn load_log(&self, _: GroupId) -> Result<LoadedLog, StorageError> {
        let mut log = LoadedLog::default();
        for chunk in &self.0.borrow().chunks {
            if log.runs.last().is_none_or(|run| run.term < chunk.term()) {
                log.runs.push(LogId { term: chunk.term(), index: chunk.first() });
            }
            for entry in chunk.entries() {
                log.last_log_time_ms = entry.log_time_ms;
                if entry.kind == EntryKind::Configuration {
                    log.configurations.push((entry.index, entry.payload.to_vec().into()));
                }
            }
            log.last = chunk.last();
        }
        Ok(log)
    }

    async fn write(&self, batch: WriteBatch) -> (WriteBatch, Result<(), StorageError>) {
        let mut page = self.0.borrow_mut();
        for write in &batch.writes {
            page.groups = vec![GroupInfo { group: write.group, generation: write.generation }];
            page.hard_state = write.hard_state.unwrap_or(page.hard_state);
            if let Some(from) = write.truncate_from {
                let before = std::mem::take(&mut page.chunks).into_iter();
                let kept = before.filter(|chunk| chunk.first() < from);
                page.chunks = kept.filter_map(|chunk| chunk.until(from.previous())).collect();
            }
            page.chunks.extend(write.entries.chunks().cloned());
        }
        drop(page);
        (batch, Ok(()))
    }

    async fn read(
        &self,
        group: GroupId,
        first: Index,
        last: Index,
        bytes_max: usize,
    ) -> Result<Entries, StorageError> {
        // At least one entry, from `first` on: one chunk's worth will do.
        let page = self.0.borrow();
        let chunk = page.chunks.iter().find(|chunk| chunk.last() >= first);
        let part = chunk.and_then(|chunk| chunk.from(first)?.until(last));
        let entries = part.map(|part| part.head_within(bytes_max).into());
        entries.ok_or(StorageError::Missing { group, index: first })
    }
}

/// A post office: who can be reached, and where to leave messages.
#[derive(Clone)]
struct Post {
    boxes: Rc<RefCell<BTreeMap<NodeId, Inbox<Mine>>>>,
    sender: Sender,
    spawner: Spawner,
}

impl Rpc for Post {
    fn send(&self, to: NodeId, messages: &mut Vec<Incoming>) {
        let mut messages = std::mem::take(messages);
        let (boxes, sender) = (Rc::clone(&self.boxes), self.sender);
        self.spawner.spawn(async move {
            let inbox = boxes.borrow().get(&to).cloned();
            if let Some(inbox) = inbox {
                inbox.deliver(sender, &mut messages);
            }
        });
    }
}

/// All ports of a shard.
struct Mine;

impl Ports for Mine {
    type Rpc = Post;
    type Storage = Notebook;
    type Machine = Counters;
    type Clock = VirtualClock;
    type Spawn = Spawner;
    type Detector = ManualDetector;
}

const GROUP: GroupId = GroupId::new(1);
const GENERATION: Generation = Generation::new(1);

fn incarnation(node: u64) -> Incarnation {
    // A real node draws this once, when its data directory is made.
    Incarnation(u128::from(node) + 1_000)
}

fn main() -> Result<(), Box<dyn Error>> {
    let executor = Executor::new(1);
    let boxes = Rc::default();
    let members = (1..=3).map(|node| Member {
        node: NodeId::new(node),
        incarnation: incarnation(node),
        priority: PRIORITY_DEFAULT,
        role: MemberRole::Voter,
        address: format!("node-{node}.example:7380"),
    });
    let configuration = Configuration::new(members.collect())?;

    let mut groups = Vec::new();
    for node in 1..=3 {
        let spawner = executor.spawner(Owner(node));
        let seat =
            NodeSeat { node: NodeId::new(node), incarnation: incarnation(node), run: Run::new(1) };
        let sender = Sender { node: seat.node, incarnation: seat.incarnation, run: seat.run };
        let ports = PortSet::<Mine> {
            rpc: Post { boxes: Rc::clone(&boxes), sender, spawner: spawner.clone() },
            storage: Notebook::default(),
            clock: executor.clock(),
            spawn: spawner.clone(),
            detector: ManualDetector::new(),
        };
        let shard =
            Shard::new(ShardOptions { seed: node, ..ShardOptions::default() }, seat, ports)?;
        boxes.borrow_mut().insert(seat.node, shard.inbox());

        // Once in the life of the group, on every member alike.
        executor.block_on(shard.bootstrap(GROUP, GENERATION, &configuration))?;
        groups.push(executor.block_on(shard.open(GROUP, GENERATION, Counters::default()))?);
        spawner.spawn(async move {
            if let Err(error) = shard.run().await {
                println!("the shard of node {node} ended: {error}");
            }
        });
    }

    // Any member takes a proposal; the answer is its own machine's.
    executor.block_on(async {
        for ((group, node), amount) in groups.iter().zip(1..).zip([5, 30, 7]) {
            let name = "apples".to_owned();
            let total = group.propose(Add { name, amount }).await?;
            println!("{amount} apples more make {total}, says node {node}");
        }
        for (group, node) in groups.iter().zip(1..) {
            let apples = group.read(|counters| counters.0.get("apples").copied()).await?;
            let role = group.status().core.role;
            println!("node {node}, a {role:?}, counts {apples:?}");
        }
        Ok(())
    })
}
