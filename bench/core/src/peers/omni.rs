//! `omnipaxos` 0.2.4, the leanest peer, with its own storage in memory.
//!
//! Appends of one turn leave in one message per follower: it merges them in
//! its outbox, and the commands are given before what arrived, so that
//! decisions ride along instead of leaving alone. Nobody reads decided entries here, which spares it a copy of
//! each: in its favour. Its messages have no codec of their own.

use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::{ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;

use crate::load::{COMMAND_BYTES, Cost, IDLE_TURNS_MAX, KEPT_ENTRIES, Load, Meter};

/// A command with an allocation of its own, as its users have.
#[derive(Clone, Debug)]
struct Command {
    _bytes: Vec<u8>,
}

impl Entry for Command {
    type Snapshot = NoSnapshot;
}

type Node = OmniPaxos<Command, MemoryStorage<Command>>;

struct World {
    nodes: Vec<Node>,
    inboxes: Vec<Vec<Message<Command>>>,
    arriving: Vec<Vec<Message<Command>>>,
    outbox: Vec<Message<Command>>,
    messages: u64,
    trimmed: usize,
}

impl World {
    fn new(members: u64) -> Self {
        let nodes: Vec<Node> = (1..=members)
            .map(|pid| {
                let config = OmniPaxosConfig {
                    cluster_config: ClusterConfig {
                        configuration_id: 1,
                        nodes: (1..=members).collect(),
                        flexible_quorum: None,
                    },
                    server_config: ServerConfig {
                        pid,
                        leader_priority: u32::from(pid == 1),
                        ..ServerConfig::default()
                    },
                };
                config.build(MemoryStorage::default()).expect("a node")
            })
            .collect();
        let empty = || nodes.iter().map(|_| Vec::new()).collect::<Vec<Vec<_>>>();
        let (inboxes, arriving) = (empty(), empty());
        Self { nodes, inboxes, arriving, outbox: Vec::new(), messages: 0, trimmed: 0 }
    }

    fn turn(&mut self, leader: usize, payload: Option<(&[u8], u64)>) {
        for at in 0..self.nodes.len() {
            if let Some((payload, batch)) = payload.filter(|_| at == leader) {
                for _ in 0..batch {
                    let command = Command { _bytes: payload.to_vec() };
                    self.nodes[at].append(command).expect("it takes commands");
                }
            }
            for message in self.inboxes[at].drain(..) {
                self.nodes[at].handle_incoming(message);
            }
            self.nodes[at].take_outgoing_messages(&mut self.outbox);
            for message in self.outbox.drain(..) {
                self.messages += 1;
                let to = usize::try_from(message.get_receiver() - 1).expect("few");
                self.arriving[to].push(message);
            }
        }
        std::mem::swap(&mut self.inboxes, &mut self.arriving);
        let kept = usize::try_from(KEPT_ENTRIES).expect("small");
        let decided = self.nodes.iter().map(OmniPaxos::get_decided_idx).min().unwrap_or(0);
        if decided > self.trimmed + 2 * kept {
            self.trimmed = decided - kept;
            // Refused while a member lags; tried again next turn.
            if self.nodes[leader].trim(Some(self.trimmed)).is_err() {
                self.trimmed = self.nodes[leader].get_compacted_idx();
            }
        }
    }

    fn elect(&mut self) -> usize {
        for _ in 0..IDLE_TURNS_MAX {
            for node in &mut self.nodes {
                node.tick();
            }
            self.turn(0, None);
            if let Some((leader, true)) = self.nodes[0].get_current_leader() {
                return usize::try_from(leader - 1).expect("few");
            }
        }
        panic!("no leader");
    }
}

/// Commits the load's entries; one group.
pub(crate) fn run(load: Load) -> Cost {
    let payload = [7u8; COMMAND_BYTES];
    let mut world = World::new(load.members);
    let leader = world.elect();
    for _ in 0..100 {
        world.turn(leader, None);
    }
    let start = world.nodes[leader].get_decided_idx();
    let target = start + usize::try_from(load.committed()).expect("it fits in memory");
    world.messages = 0;
    let meter = Meter::start();
    for _ in 0..load.committed() / load.batch {
        world.turn(leader, Some((&payload, load.batch)));
    }
    let done = |world: &World| world.nodes.iter().all(|node| node.get_decided_idx() >= target);
    for _ in 0..IDLE_TURNS_MAX {
        if done(&world) {
            break;
        }
        world.turn(leader, None);
    }
    assert!(done(&world), "not everything was decided");
    meter.stop(load.committed(), world.messages)
}
