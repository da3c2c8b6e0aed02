//! Stop, start again on what storage holds, go on.
//!
//! The machine here lives in memory, so every run applies the log to it from
//! the start: the same command reaches *a* machine once per run. One that keeps
//! its own state on disk, or rings a bell, has to expect that.
//!
//! `cargo run -p raftlet --example subsequent_usage`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::rc::Rc;

use raftlet::core::{
    Configuration, Generation, GroupId, Incarnation, Member, MemberRole, NodeId, PRIORITY_DEFAULT,
    Run, Sender,
};
use raftlet::memory::{Executor, ManualDetector, MemoryPorts, MemoryStorage, Network, Owner};
use raftlet::{
    ApplyError, Command, Group, NodeSeat, PortSet, Shard, ShardOptions, Spawn, StateMachine,
};

/// Writes every command down, and says aloud when it does.
struct Diary {
    run: u64,
    lines: Vec<String>,
}

impl StateMachine for Diary {
    type Command = &'static str;
    type Response = usize;

    fn encode(command: &&'static str, into: &mut Vec<u8>) {
        into.extend_from_slice(command.as_bytes());
    }

    async fn apply(
        &mut self,
        commands: &[Command<'_>],
        responses: &mut Vec<usize>,
    ) -> Result<(), ApplyError> {
        for command in commands {
            let line = String::from_utf8_lossy(command.payload).into_owned();
            println!("    run {}: entry {} is applied: {line}", self.run, command.index);
            self.lines.push(line);
            responses.push(self.lines.len());
        }
        Ok(())
    }
}

type Mine = MemoryPorts<Diary>;
/// The shard, to stop it, and a handle on its group.
type Started = (Rc<Shard<Mine>>, Group<Mine>);

const GROUP: GroupId = GroupId::new(1);
const GENERATION: Generation = Generation::new(1);
const NODE: NodeId = NodeId::new(1);
const INCARNATION: Incarnation = Incarnation(0xd1a7);

/// One run of the node: a shard on the storage that outlives it.
fn start(
    executor: &Executor,
    storage: &MemoryStorage,
    run: u64,
) -> Result<Started, Box<dyn Error>> {
    // The start counter is durable in a real node; it tells runs apart.
    let seat = NodeSeat { node: NODE, incarnation: INCARNATION, run: Run::new(run) };
    let sender = Sender { node: NODE, incarnation: INCARNATION, run: seat.run };
    let spawner = executor.spawner(Owner(run));
    let ports = PortSet {
        rpc: Network::new(executor, 1).rpc(sender),
        storage: storage.clone(),
        clock: executor.clock(),
        spawn: spawner.clone(),
        detector: ManualDetector::new(),
    };
    let shard = Rc::new(Shard::<Mine>::new(ShardOptions::default(), seat, ports)?);
    if run == 1 {
        let address = "node-1.example:7380".to_owned();
        let member = Member {
            node: NODE,
            incarnation: INCARNATION,
            priority: PRIORITY_DEFAULT,
            role: MemberRole::Voter,
            address,
        };
        let configuration = Configuration::new(vec![member])?;
        executor.block_on(shard.bootstrap(GROUP, GENERATION, &configuration))?;
    }
    let machine = Diary { run, lines: Vec::new() };
    let group = executor.block_on(shard.open(GROUP, GENERATION, machine))?;
    let running = Rc::clone(&shard);
    spawner.spawn(async move {
        if let Err(error) = running.run().await {
            println!("the shard ended: {error}");
        }
    });
    Ok((shard, group))
}

fn main() -> Result<(), Box<dyn Error>> {
    let executor = Executor::new(1);
    let storage = MemoryStorage::new(executor.clock());

    println!("run 1, on empty storage");
    let (shard, group) = start(&executor, &storage, 1)?;
    executor.block_on(group.propose("planted beans"))?;
    executor.block_on(group.propose("watered beans"))?;
    shard.stop();

    println!("run 2, killed without warning");
    let (_shard, group) = start(&executor, &storage, 2)?;
    executor.block_on(group.propose("picked beans"))?;
    executor.kill(Owner(2));

    println!("run 3, on what is there");
    let (_shard, group) = start(&executor, &storage, 3)?;
    let place = executor.block_on(group.propose("cooked beans"))?;
    let lines = executor.block_on(group.read(|diary| diary.lines.clone()))?;
    println!("line {place} of {lines:?}");
    Ok(())
}
