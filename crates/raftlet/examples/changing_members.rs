//! A node joins a group, becomes a voter, and takes the place of another.
//!
//! `cargo run -p raftlet --example changing_members`

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

/// Counts what it is told.
#[derive(Default)]
struct Tally(usize);

impl StateMachine for Tally {
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
        for _ in commands {
            self.0 += 1;
            responses.push(self.0);
        }
        Ok(())
    }
}

const GROUP: GroupId = GroupId::new(1);
const GENERATION: Generation = Generation::new(1);

fn member(id: u64) -> Member {
    Member {
        node: NodeId::new(id),
        incarnation: Incarnation(u128::from(id) << 64 | 7),
        priority: PRIORITY_DEFAULT,
        role: MemberRole::Voter,
        address: format!("node-{id}:7380"),
    }
}

/// Starts a node; one that is not in `founders` knows no member and is silent
/// until a leader sends it the log.
fn start(
    executor: &Executor,
    network: &Network,
    id: u64,
    founders: &[u64],
) -> Result<Group<MemoryPorts<Tally>>, Box<dyn Error>> {
    let Member { node, incarnation, .. } = member(id);
    let run = Run::new(1);
    let ports = PortSet {
        rpc: network.rpc(Sender { node, incarnation, run }),
        storage: MemoryStorage::new(executor.clock()),
        clock: executor.clock(),
        spawn: executor.spawner(Owner(id)),
        detector: ManualDetector::new(),
    };
    let seat = NodeSeat { node, incarnation, run };
    let shard = Rc::new(Shard::new(ShardOptions::default(), seat, ports)?);
    if founders.contains(&id) {
        let members = founders.iter().map(|id| member(*id)).collect();
        let configuration = Configuration::new(members)?;
        executor.block_on(shard.bootstrap(GROUP, GENERATION, &configuration))?;
    }
    let group = executor.block_on(shard.open(GROUP, GENERATION, Tally::default()))?;
    let inbox = shard.inbox();
    network.join(node, move |from, messages| inbox.deliver(from, messages));
    executor.spawner(Owner(id)).spawn(async move {
        // It ends with the executor.
        let _ = shard.run().await;
    });
    Ok(group)
}

fn main() -> Result<(), Box<dyn Error>> {
    let executor = Executor::new(7);
    let network = Network::new(&executor, 7);
    let founders = [1, 2, 3];
    let mut groups = Vec::new();
    for id in founders {
        groups.push(start(&executor, &network, id, &founders)?);
    }
    let [first, ..] = &groups[..] else {
        return Err("three nodes were started".into());
    };
    println!("command {}", executor.block_on(first.propose("before"))?);

    let newcomer = start(&executor, &network, 4, &founders)?;
    let at = executor.block_on(first.add_learner(member(4)))?;
    println!("node 4 receives the log: configuration {at}");
    let at = executor.block_on(first.promote(NodeId::new(4)))?;
    println!("node 4 votes: configuration {at}");
    let at = executor.block_on(newcomer.remove(NodeId::new(1)))?;
    println!("node 1 is gone: configuration {at}");

    println!("command {}", executor.block_on(newcomer.propose("after"))?);
    let (_, configuration) = newcomer.members();
    let nodes: Vec<u64> = configuration.members().iter().map(|m| m.node.get()).collect();
    println!("members: {nodes:?}");
    Ok(())
}
