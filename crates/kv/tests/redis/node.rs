//! A node in memory: executes whatever a connection starts, at once.

use raftlet::core::Index;
use raftlet_kv::{
    Applied, Batch, Command, Connection, ConnectionInfo, Limits, NodeInfo, Outcome, Output,
    SlotMap, Store, Ticket, Work,
};

/// One client's connection to a node that has it to itself.
pub struct Node {
    pub connection: Connection,
    limits: Limits,
    slots: SlotMap,
    stores: Vec<Store>,
    pub output: Output,
    /// Where the log is: one for all stores.
    pub at: Applied,
    /// Batches started so far: quorum rounds, on a real node.
    pub rounds: usize,
}

impl Node {
    pub fn new() -> Self {
        Self::with(Limits::default(), 1)
    }

    /// With another seed for the hashes of its store.
    pub fn hashing_under(seed: u64) -> Self {
        Self { stores: vec![Store::new(seed)], ..Self::new() }
    }

    /// Of all stores.
    pub fn digests(&self) -> Vec<u64> {
        self.stores.iter().map(Store::digest).collect()
    }

    pub fn with(limits: Limits, groups_len: u64) -> Self {
        let slots = SlotMap::new(groups_len).expect("a number of groups");
        let info = ConnectionInfo {
            id: 7,
            peer_addr: "127.0.0.1:50000".to_owned(),
            local_addr: "127.0.0.1:7379".to_owned(),
            seed: 7,
        };
        Self {
            connection: Connection::new(info, limits, slots),
            limits,
            slots,
            stores: slots.groups().map(|group| Store::new(u64::from(group.number()))).collect(),
            output: Output::default(),
            at: Applied { index: Index::ZERO, log_time_ms: 1_000_000 },
            rounds: 0,
        }
    }

    /// Another client comes, the last one is gone.
    pub fn reconnect(&mut self, seed: u64) {
        let info = ConnectionInfo { seed, ..ConnectionInfo::default() };
        self.connection = Connection::new(info, self.limits, self.slots);
        self.output = Output::default();
    }

    pub fn stores(&self) -> &[Store] {
        &self.stores
    }

    /// What comes back for these bytes, line ends as `|`.
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.send(bytes.as_ref());
        self.take_replies()
    }

    /// Bytes arrive, and everything that follows from them happens.
    pub fn send(&mut self, bytes: &[u8]) {
        self.connection.input().extend_from_slice(bytes);
        loop {
            self.turn();
            if self.output.batches.is_empty() {
                break;
            }
            for batch in std::mem::take(&mut self.output.batches) {
                self.execute(batch);
            }
        }
    }

    pub fn turn(&mut self) {
        let mut info = || NodeInfo { node_id: 1, keys_len: 2, ..NodeInfo::default() };
        self.connection.turn(0, &mut info, &mut self.output);
    }

    pub fn take_replies(&mut self) -> String {
        let replies = std::mem::take(&mut self.output.replies);
        String::from_utf8_lossy(&replies).replace("\r\n", "|")
    }

    fn execute(&mut self, batch: Batch) {
        self.rounds += 1;
        let at = usize::from(batch.group.number());
        let store = self.stores.get_mut(at).expect("a store per group");
        let mut ended: Vec<(Ticket, Outcome)> = Vec::new();
        for (ticket, asked) in self.connection.asked(batch) {
            let response = match batch.work {
                Work::Read => store.ask(asked, 0).expect("a question"),
                Work::Propose => {
                    let mut entry = Vec::new();
                    asked.encode(&mut entry);
                    let decoded = Command::decode(&entry).expect("as it was encoded");
                    self.at.index = self.at.index.next();
                    store.apply(self.at, &decoded)
                }
            };
            ended.push((ticket, Outcome::Done(response)));
        }
        // Completions may come in any order.
        for (ticket, outcome) in ended.into_iter().rev() {
            self.connection.complete(ticket, outcome);
        }
    }
}
