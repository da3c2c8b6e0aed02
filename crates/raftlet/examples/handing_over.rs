//! Leadership goes to a member of choice and nothing is lost on the way; under a
//! lease reads cost no message.
//!
//! `cargo run -p raftlet --example handing_over`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::rc::Rc;

use raftlet::core::{
    Configuration, Generation, GroupId, Incarnation, LeaseOptions, Member, MemberRole, NodeId,
    PRIORITY_DEFAULT, Role, Run, Sender,
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

type Ports = MemoryPorts<Tally>;

/// A node of the example.
struct Node {
    shard: Rc<Shard<Ports>>,
    group: Group<Ports>,
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

fn start(executor: &Executor, network: &Network, id: u64) -> Result<Node, Box<dyn Error>> {
    let Member { node, incarnation, .. } = member(id);
    let run = Run::new(1);
    let ports = PortSet {
        rpc: network.rpc(Sender { node, incarnation, run }),
        storage: MemoryStorage::new(executor.clock()),
        clock: executor.clock(),
        spawn: executor.spawner(Owner(id)),
        detector: ManualDetector::new(),
    };
    let mut options = ShardOptions::default();
    // The embedder's word for its machines' clocks. Without it a read takes a
    // round of messages, and is right whatever clocks do.
    options.group.lease = Some(LeaseOptions { clock_drift_us: 1_000 });
    let shard = Rc::new(Shard::new(options, NodeSeat { node, incarnation, run }, ports)?);
    let configuration = Configuration::new((1..=3).map(member).collect())?;
    executor.block_on(shard.bootstrap(GROUP, GENERATION, &configuration))?;
    let group = executor.block_on(shard.open(GROUP, GENERATION, Tally::default()))?;
    let inbox = shard.inbox();
    network.join(node, move |from, messages| inbox.deliver(from, messages));
    let running = Rc::clone(&shard);
    executor.spawner(Owner(id)).spawn(async move {
        // It ends with the executor.
        let _ = running.run().await;
    });
    Ok(Node { shard, group })
}

/// Reads `times` times at a node; how many messages that took it.
fn read(executor: &Executor, node: &Node, times: usize) -> Result<u64, Box<dyn Error>> {
    let before = node.shard.status().counters.messages_sent;
    for _ in 0..times {
        executor.block_on(node.group.read(|tally: &Tally| tally.0))?;
    }
    Ok(node.shard.status().counters.messages_sent - before)
}

fn main() -> Result<(), Box<dyn Error>> {
    let executor = Executor::new(7);
    let network = Network::new(&executor, 7);
    let mut nodes = Vec::new();
    for id in 1..=3 {
        nodes.push(start(&executor, &network, id)?);
    }
    let [first, ..] = &nodes[..] else {
        return Err("three nodes were started".into());
    };
    println!("command {}", executor.block_on(first.group.propose("before"))?);
    let leads = |node: &&Node| node.group.office().role == Role::Leader;
    let leader = nodes.iter().find(leads).ok_or("somebody has committed a command")?;
    let other = nodes.iter().find(|node| !leads(node)).ok_or("two of them follow")?;
    println!("node {} leads", leader.group.node());

    // The first read asks a quorum; from then on the lease answers.
    read(&executor, leader, 1)?;
    println!("a hundred reads take {} messages", read(&executor, leader, 100)?);

    // What is proposed meanwhile is held for the new leader; dropping either
    // future would stop the waiting and nothing else.
    let handing_over = leader.group.transfer_leadership(Some(other.group.node()));
    let meanwhile = leader.group.propose("meanwhile");
    println!("node {} leads now", executor.block_on(handing_over)?);
    println!("command {}", executor.block_on(meanwhile)?);

    // Who told another to take over has no lease any more, and who does not lead
    // says who does.
    let refused = executor.block_on(leader.group.transfer_leadership(None));
    println!("asked again: {}", refused.expect_err("it follows"));
    let tally = executor.block_on(other.group.read(|tally: &Tally| tally.0))?;
    println!("the tally is {tally}");
    Ok(())
}
