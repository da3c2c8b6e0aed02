//! A client that pipelines sees what it would see one request at a time.
//!
//! The node here executes work late, a piece at a time, and loses its leader
//! now and then: everything proposed and not yet executed is then refused, as
//! are reads, and goes on after a retry. Whatever happens, the replies are
//! those of a node that executes each request before it reads the next.

use std::collections::{BTreeMap, VecDeque};

use crate::node::Node;
use raftlet::core::Index;
use raftlet_kv::{
    Applied, Command, Connection, ConnectionInfo, GroupIndex, Limits, NodeInfo, Outcome, Output,
    SlotMap, Store, Ticket, Work,
};

/// What a group has been asked and hasn't done yet.
#[derive(Default)]
struct Pending {
    log: VecDeque<Ticket>,
    reads: Vec<Ticket>,
}

struct LateNode {
    connection: Connection,
    output: Output,
    stores: Vec<Store>,
    pending: BTreeMap<GroupIndex, Pending>,
    random: u64,
    refusals: usize,
}

impl LateNode {
    fn new(seed: u64, slots: SlotMap) -> Self {
        let info = ConnectionInfo { id: 7, ..ConnectionInfo::default() };
        Self {
            connection: Connection::new(info, Limits::default(), slots),
            output: Output::default(),
            stores: slots.groups().map(|_| Store::new(seed)).collect(),
            pending: BTreeMap::new(),
            random: seed,
            refusals: 0,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        usize::try_from(self.random >> 33).expect("31 bits") % bound.max(1)
    }

    fn turn(&mut self) {
        self.connection.turn(0, &mut NodeInfo::default, &mut self.output);
        for batch in self.output.batches.drain(..) {
            let pending = self.pending.entry(batch.group).or_default();
            let tickets = self.connection.asked(batch).map(|(ticket, _)| ticket);
            match batch.work {
                Work::Propose => pending.log.extend(tickets),
                Work::Read => pending.reads.extend(tickets),
            }
        }
    }

    /// One thing happens in one of the groups.
    fn step(&mut self) {
        let groups: Vec<GroupIndex> = self.pending.keys().copied().collect();
        let Some(&group) = groups.get(self.below(groups.len())) else { return };
        match self.below(8) {
            0 => self.lose_leader(group),
            1 => self.connection.retry(),
            2 | 3 => self.read(group),
            _ => self.execute_one(group),
        }
    }

    fn execute_one(&mut self, group: GroupIndex) {
        let pending = self.pending.get_mut(&group).expect("a group with work");
        let store = self.stores.get_mut(usize::from(group.number())).expect("a store per group");
        if let Some(ticket) = pending.log.pop_front() {
            let mut entry = Vec::new();
            self.connection.asked_by(ticket).expect("not ended").encode(&mut entry);
            let command = Command::decode(&entry).expect("as it was encoded");
            let at = Applied { index: Index::FIRST, log_time_ms: 0 };
            self.connection.complete(ticket, Outcome::Done(store.apply(at, &command)));
        }
    }

    fn read(&mut self, group: GroupIndex) {
        let pending = self.pending.get_mut(&group).expect("a group with work");
        let store = self.stores.get(usize::from(group.number())).expect("a store per group");
        for ticket in pending.reads.drain(..) {
            let asked = self.connection.asked_by(ticket).expect("not ended");
            let answer = store.ask(asked, 0).expect("a question");
            self.connection.complete(ticket, Outcome::Done(answer));
        }
    }

    fn lose_leader(&mut self, group: GroupIndex) {
        let pending = self.pending.get_mut(&group).expect("a group with work");
        let mut refused: Vec<Ticket> = pending.log.drain(..).collect();
        refused.append(&mut pending.reads);
        self.refusals += refused.len();
        while !refused.is_empty() {
            let at = self.below(refused.len());
            self.connection.complete(refused.swap_remove(at), Outcome::Refused);
        }
    }

    fn finish(&mut self) {
        while self.connection.unanswered_len() > 0 {
            self.step();
            self.turn();
        }
    }
}

/// Random requests to few keys, half of them reads.
fn requests(node: &mut LateNode, len: usize) -> Vec<String> {
    (0..len)
        .map(|at| {
            let key = node.below(3);
            match node.below(8) {
                0 => format!("SET k{key} {at}"),
                1 => format!("INCR n{key}"),
                2 => format!("DEL k{key}"),
                3 => format!("MSET k{key} {at} {{k{key}}}x {at}"),
                4 => format!("MGET {{k{key}}}x k{key}"),
                5 => format!("EXISTS k{key}"),
                6 => "PING".to_owned(),
                _ => format!("GET k{key}"),
            }
        })
        .collect()
}

fn run(seed: u64, groups_len: u64) -> usize {
    let slots = SlotMap::new(groups_len).expect("a number of groups");
    let mut late = LateNode::new(seed, slots);
    let requests = requests(&mut late, 60);
    let mut prompt = Node::with(Limits::default(), groups_len);
    let mut expected = String::new();
    for request in &requests {
        let line = format!("{request}\r\n");
        expected += &prompt.ask(&line);
        late.connection.input().extend_from_slice(line.as_bytes());
        // Sometimes a few requests arrive together.
        if late.below(3) == 0 {
            late.turn();
        }
        for _ in 0..late.below(4) {
            late.step();
            late.turn();
        }
    }
    late.turn();
    late.finish();
    let replies = String::from_utf8_lossy(&late.output.replies).replace("\r\n", "|");
    assert_eq!(replies, expected, "seed {seed}, {groups_len} groups: {requests:?}");
    late.refusals
}

#[test]
fn a_pipelining_client_sees_what_it_would_see_one_by_one() {
    for groups_len in [1, 4] {
        let refusals: usize = (0..1_000).map(|seed| run(seed, groups_len)).sum();
        assert!(refusals > 1_000, "only {refusals} refusals: the test lost its teeth");
    }
}
