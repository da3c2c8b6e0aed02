//! Three cores of one group, a link between each two, and a clock.

use std::collections::BTreeMap;
use std::rc::Rc;

use raftlet::core::{
    Arena, Body, Chunk, Configuration, Entries, Generation, Group, GroupId, HardState, Incarnation,
    Index, Liveness, Member, MemberRole, Message, NodeId, Now, Options, Output, PRIORITY_DEFAULT,
    Restored, Role, Run, Seat, Sender, Settings, Term, Time, WallMs, genesis,
};

pub(crate) const GENERATION: Generation = Generation::new(1);

/// How long messages take from a member to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) one_way_ns: u64,
    /// Bytes of entries that pass in a second; 0 is no limit.
    pub(crate) bytes_per_s: u64,
}

/// A message on its way: to whom, from whom.
type Flight = (usize, Sender, Message);

pub(crate) struct Trio {
    pub(crate) groups: Vec<Group>,
    /// Entries that a restored log holds, one a chunk, for fetches.
    pub(crate) stored: Vec<Vec<Chunk>>,
    pub(crate) now_ns: u64,
    pub(crate) messages: u64,
    link: Link,
    flights: BTreeMap<(u64, u64), Flight>,
    /// When the link to each is free again.
    free_ns: Vec<Vec<u64>>,
    arena: Arena,
}

pub(crate) fn configuration() -> Configuration {
    let member = |node| Member {
        node: NodeId::new(node),
        incarnation: Incarnation(u128::from(node)),
        role: MemberRole::Voter,
        priority: PRIORITY_DEFAULT,
        address: format!("n{node}:1"),
    };
    Configuration::new((1..=3).map(member).collect()).unwrap()
}

/// What every member of a group starts with.
pub(crate) fn first(group: GroupId) -> (Restored, Vec<Chunk>) {
    let entries = genesis(group, GENERATION, &configuration());
    let last = entries.last().unwrap();
    let restored = Restored {
        hard_state: HardState { term: Term::BOOTSTRAP, vote: None },
        last: last.index,
        runs: vec![last],
        configurations: vec![(Index::FIRST, configuration())],
        ..Restored::default()
    };
    (restored, entries.chunks().cloned().collect())
}

impl Trio {
    pub(crate) fn new(group: GroupId, link: Link, logs: Vec<(Restored, Vec<Chunk>)>) -> Self {
        let settings = Rc::new(Settings::try_from(Options::default()).unwrap());
        let mut stored = Vec::new();
        let groups = logs.into_iter().zip(1..).map(|((restored, chunks), node)| {
            stored.push(chunks);
            let seat = Seat {
                group,
                generation: GENERATION,
                node: NodeId::new(node),
                incarnation: Incarnation(u128::from(node)),
                run: Run::new(1),
            };
            let seed = group.get() * 8 + node;
            Group::new(Rc::clone(&settings), seat, restored, seed, Now::default()).unwrap()
        });
        let groups: Vec<Group> = groups.collect();
        let mut trio = Self {
            free_ns: vec![vec![0; groups.len()]; groups.len()],
            groups,
            stored,
            now_ns: 0,
            messages: 0,
            link,
            flights: BTreeMap::new(),
            arena: Arena::default(),
        };
        // Every detector vouches for every node.
        for at in 0..3 {
            for other in (0..3).filter(|other| *other != at) {
                let node = trio.groups[other].seat().node;
                let alive = Liveness::Alive { run: Run::new(1) };
                trio.groups[at].on_liveness(Now::default(), node, alive);
            }
            trio.obey(at);
        }
        trio
    }

    pub(crate) fn now(&self) -> Now {
        let wall = WallMs(1_700_000_000_000 + self.now_ns / 1_000_000);
        Now { time: Time::ZERO.after_ns(self.now_ns), wall }
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        self.groups.iter().position(|group| group.role() == Role::Leader)
    }

    /// When something happens next, if ever.
    fn next(&self) -> Option<u64> {
        let flight = self.flights.keys().next().map(|(at, _)| *at);
        let deadlines = self.groups.iter().filter_map(Group::next_deadline).map(Time::ns);
        deadlines.chain(flight).min()
    }

    /// Lets happen what happens until then; returns whether something did.
    pub(crate) fn run_until(&mut self, until_ns: u64) -> bool {
        let mut any = false;
        while let Some(at) = self.next().filter(|at| *at <= until_ns) {
            any = true;
            self.now_ns = self.now_ns.max(at);
            let now = self.now();
            if let Some(((due, _), _)) = self.flights.first_key_value()
                && *due <= self.now_ns
            {
                let (_, (to, from, mut message)) = self.flights.pop_first().unwrap();
                self.groups[to].step(now, &mut self.arena, from, &mut message);
                self.obey(to);
            }
            for at in 0..self.groups.len() {
                if self.groups[at].next_deadline().is_some_and(|due| due <= now.time) {
                    self.groups[at].on_deadline(now);
                    self.obey(at);
                }
            }
        }
        self.now_ns = self.now_ns.max(until_ns);
        any
    }

    /// Proposes at the leader; whether it took it.
    pub(crate) fn propose(&mut self, at: usize, commands: &[&[u8]]) -> bool {
        let now = self.now();
        let commands = commands.iter().copied();
        let taken = self.groups[at].propose(now, &mut self.arena, commands).is_ok();
        self.obey(at);
        taken
    }

    /// Disks and machines take no time; only links do.
    pub(crate) fn obey(&mut self, at: usize) {
        let mut out = Output::default();
        loop {
            let now = self.now();
            let group = &mut self.groups[at];
            group.drain(&mut out);
            if out.is_empty() {
                return;
            }
            if let Some(persist) = out.persist.take() {
                group.on_persisted(now, persist.ticket);
            }
            if let Some(index) = out.committed {
                group.on_applied(index);
            }
            for fetch in std::mem::take(&mut out.fetches) {
                let wanted = self.stored[at]
                    .iter()
                    .filter(|chunk| fetch.first <= chunk.first() && chunk.last() <= fetch.last);
                let mut entries = Entries::none();
                wanted.for_each(|chunk| entries.push(chunk.clone()));
                self.groups[at].on_fetched(now, fetch.id, Some(entries));
            }
            let seat = self.groups[at].seat();
            let from = Sender { node: seat.node, incarnation: seat.incarnation, run: seat.run };
            for envelope in out.messages.drain(..) {
                let to = usize::try_from(envelope.to.get()).unwrap() - 1;
                self.messages += 1;
                let bytes = match &envelope.message.body {
                    Body::Append(append) => append.entries.bytes_len(),
                    _ => 0,
                };
                let takes = u64::try_from(bytes).unwrap().saturating_mul(1_000_000_000)
                    / self.link.bytes_per_s.max(1);
                let takes = if self.link.bytes_per_s == 0 { 0 } else { takes };
                let free = &mut self.free_ns[at][to];
                *free = (*free).max(self.now_ns) + takes;
                let key = (*free + self.link.one_way_ns, self.messages);
                self.flights.insert(key, (to, from, envelope.message));
            }
        }
    }
}
