//! Any well-typed message, in any state, from anybody, leaves a member
//! standing: nothing panics, no invariant breaks, and what was committed stays.
//!
//! A member is brought into a random state by plausible and implausible
//! messages alike; numbers come from a pool that favours edges.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test stops at its first surprise"
)]

use std::rc::Rc;

use raftlet_core::{
    Ack, AckOutcome, Append, AppendRef, Arena, Body, Change, Checkpoint, Chunk, Configuration,
    Entries, EntryKind, Envelope, Forward, ForwardOutcome, ForwardReply, Generation, Group,
    GroupId, HardState, Head, Incarnation, Index, Liveness, LogId, Member, MemberRole, Membership,
    Message, NewEntry, NodeId, Now, Options, Outlet, Output, PRIORITY_DEFAULT, Persist, PersistRef,
    ReadId, Restored, Round, Run, Seal, Seat, Sender, Settings, Snapshot, SnapshotAck,
    SnapshotOutcome, SnapshotPart, Term, Time, VoteKind, VoteReply, VoteRequest, WallMs, genesis,
};

const GROUP: GroupId = GroupId::new(1);
const GENERATION: Generation = Generation::new(1);

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Mostly small, sometimes at an edge.
    fn number(&mut self) -> u64 {
        match self.below(24) {
            0 => u64::MAX,
            1 => u64::MAX >> 2,
            2 => (u64::MAX >> 2) - 1,
            3 => u64::MAX >> 1,
            _ => self.below(9),
        }
    }

    fn log_id(&mut self) -> LogId {
        LogId { term: Term::new(self.number()), index: Index::new(self.number()) }
    }

    fn node(&mut self) -> NodeId {
        NodeId::new(self.below(5))
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    fn entries(&mut self, previous: LogId) -> Entries {
        let mut entries = Entries::none();
        let mut arena = Arena::new(64);
        let first = if self.below(8) == 0 {
            self.below(9) + 1
        } else {
            previous.index.get().min(1 << 40) + 1
        };
        let mut at = LogId { term: Term::new(self.below(6)), index: Index::new(first) };
        for _ in 0..self.below(4) {
            let kind = [EntryKind::Noop, EntryKind::Command, EntryKind::Configuration]
                [self.below(3) as usize];
            let mut payload = Vec::new();
            if kind == EntryKind::Configuration && self.flip() {
                configuration(1 + self.below(4)).encode(&mut payload);
            }
            let entry =
                NewEntry { kind, log_time_ms: self.number(), origin: None, payload: &payload };
            let len = self.below(3) as usize + 1;
            let chunk = Chunk::encode(
                &mut arena,
                Seal::new(GROUP, GENERATION),
                at,
                vec![entry; len].into_iter(),
            );
            at = LogId {
                term: Term::new(at.term.get() + self.below(2)),
                index: chunk.last().next(),
            };
            entries.push(chunk);
        }
        entries
    }

    fn body(&mut self) -> Body {
        match self.below(13) {
            12 => Body::Membership(Box::new(self.membership())),
            0..=2 => {
                let previous = self.log_id();
                Body::Append(Append {
                    previous,
                    commit: Index::new(self.number()),
                    round: Round::new(self.number()),
                    configuration: Index::new(self.number()),
                    position: self.number(),
                    entries: self.entries(previous),
                })
            }
            3 | 4 => Body::Ack(self.ack()),
            5 => Body::VoteRequest(VoteRequest {
                kind: [VoteKind::Pre, VoteKind::Real, VoteKind::Transfer][self.below(3) as usize],
                campaign: self.number(),
                last: self.log_id(),
                address: String::new(),
            }),
            6 => Body::VoteReply(VoteReply {
                kind: [VoteKind::Pre, VoteKind::Real][self.below(2) as usize],
                campaign: self.number(),
                granted: self.flip(),
            }),
            7 => [Body::Probe, Body::NotLeader { leader: Some(self.node()) }]
                [self.below(2) as usize]
                .clone(),
            8 if self.flip() => Body::TakeOver { last: self.log_id() },
            8 => Body::Read { run: Run::new(self.number()), read: ReadId::new(self.number()) },
            9 => Body::ReadReply {
                run: Run::new(1),
                read: ReadId::new(self.number()),
                index: self.flip().then(|| Index::new(self.number())),
            },
            10 if self.flip() => Body::Snapshot(SnapshotPart {
                last: self.log_id(),
                number: self.number(),
                checksum: 0,
                bytes: bytes::Bytes::new(),
            }),
            10 if self.flip() => Body::Checkpoint(Checkpoint {
                index: Index::new(self.number()),
                log: self.number(),
                state: self.number(),
            }),
            10 => Body::SnapshotAck(SnapshotAck {
                last: self.log_id(),
                outcome: SnapshotOutcome::Wants { number: self.number() },
            }),
            _ if self.flip() => Body::Forward(Forward {
                first_sequence: self.number(),
                commands: vec![bytes::Bytes::from_static(b"x"); self.below(4) as usize],
            }),
            _ => Body::ForwardReply(ForwardReply {
                run: Run::new(self.number()),
                first_sequence: self.number(),
                len: 1,
                outcome: ForwardOutcome::Appended { first: Index::new(self.number()) },
            }),
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        Snapshot {
            last: self.log_id(),
            configuration_index: Index::new(self.number()),
            configuration: configuration(1 + self.below(4)),
            log_time_ms: self.number(),
        }
    }

    fn membership(&mut self) -> Membership {
        let (run, ask) = (Run::new(self.number()), self.number());
        match self.below(4) {
            0 => Membership::Ask {
                run,
                ask,
                expected: Index::new(self.number()),
                target: configuration(1 + self.below(4)),
            },
            1 => Membership::Cancel { run, ask },
            2 => {
                let outcome = Ok(Change::Done { index: Index::new(self.number()) });
                Membership::Answer { run, ask, outcome }
            }
            _ => Membership::Removed { as_of: self.log_id() },
        }
    }

    fn ack(&mut self) -> Ack {
        let outcome = if self.flip() {
            AckOutcome::Matches {
                verified: Index::new(self.number()),
                durable: Index::new(self.number()),
                is_short: self.flip(),
            }
        } else {
            AckOutcome::Rejects {
                previous: Index::new(self.number()),
                hint: self.log_id(),
                held: Index::new(self.number()),
            }
        };
        Ack {
            round: Round::new(self.number()),
            configuration: Index::new(self.number()),
            position: self.number(),
            commit: Index::new(self.number()),
            wall: WallMs(self.number()),
            outcome,
        }
    }
}

fn configuration(voters: u64) -> Configuration {
    let member = |node| Member {
        node: NodeId::new(node),
        incarnation: Incarnation(u128::from(node)),
        role: MemberRole::Voter,
        priority: if voters.is_multiple_of(2) { PRIORITY_DEFAULT } else { node.to_le_bytes()[0] },
        address: String::new(),
    };
    Configuration::new((1..=voters).map(member).collect()).unwrap()
}

fn member(random: &mut Random) -> Group {
    let voters = [1, 2, 3, 4][random.below(4) as usize];
    let seat = Seat {
        group: GROUP,
        generation: GENERATION,
        node: NodeId::new(1),
        incarnation: Incarnation(1),
        run: Run::new(1),
    };
    let genesis = genesis(GROUP, GENERATION, &configuration(voters));
    let restored = Restored {
        hard_state: HardState { term: Term::BOOTSTRAP, vote: None },
        last: genesis.last().unwrap().index,
        runs: vec![genesis.last().unwrap()],
        configurations: vec![(Index::FIRST, configuration(voters))],
        ..Restored::default()
    };
    let settings = Rc::new(Settings::try_from(Options::default()).unwrap());
    Group::new(settings, seat, restored, random.below(1000), Now::default()).unwrap()
}

#[test]
fn no_message_from_anybody_in_any_state_brings_a_member_down() {
    let mut delivered = 0;
    let mut led = 0;
    for seed in 0..3_000 {
        let mut random = Random(seed);
        let mut group = member(&mut random);
        let (mut out, mut arena, mut ms) = (Output::default(), Arena::new(256), 0);
        let mut committed: Vec<(Index, Term)> = Vec::new();
        for _ in 0..60 {
            ms += random.below(400);
            let now = Now { time: Time::from_ms(ms), wall: WallMs(random.number()) };
            match random.below(12) {
                0 => group.on_deadline(now),
                4 => drop(group.on_snapshot(now, &random.snapshot())),
                5 => {
                    let (snapshot, base) = (random.log_id(), Index::new(random.number()));
                    group.compact(now, snapshot, base);
                    group.on_snapshot_ended(now, random.node());
                }
                1 => {
                    let liveness = [
                        Liveness::Unknown,
                        Liveness::Suspected,
                        Liveness::Alive { run: Run::new(random.below(3)) },
                    ];
                    group.on_liveness(now, random.node(), liveness[random.below(3) as usize]);
                }
                2 => drop(group.propose(now, &mut arena, [&b"y"[..]].into_iter())),
                3 => drop(group.read(now, ReadId::new(random.below(9)))),
                _ => {
                    let node = random.node();
                    let sender = Sender {
                        node,
                        incarnation: Incarnation(u128::from(node.get() + random.below(9) / 8)),
                        run: Run::new(random.below(3)),
                    };
                    let term =
                        if random.flip() { group.term() } else { Term::new(random.number()) };
                    let message = Message { generation: GENERATION, term, body: random.body() };
                    group.step(now, &mut arena, sender, &mut { message });
                    delivered += 1;
                }
            }
            if random.below(3) > 0 {
                obey(&mut group, &mut out, now, &mut random);
            }
            group.check_invariants();
            for (index, term) in &committed {
                let held = group.term_at(*index);
                let is_gone = *index < group.base().index;
                assert!(held == Some(*term) || is_gone, "seed {seed} lost {index}");
            }
            let commit = group.commit_index();
            committed.push((commit, group.term_at(commit).unwrap()));
            led += u64::from(group.role() == raftlet_core::Role::Leader);
        }
    }
    assert!(delivered > 50_000 && led > 1_000, "the messages reached nothing: {delivered}, {led}");
}

/// Keeps what it is lent.
#[derive(Default)]
struct Lent {
    persist: Option<Persist>,
    messages: Vec<Envelope>,
}

impl Lent {
    fn keep(&mut self, Head { to, generation, term }: Head, body: Body) {
        self.messages.push(Envelope { to, message: Message { generation, term, body } });
    }
}

impl Outlet for Lent {
    fn persist(&mut self, persist: PersistRef<'_>) {
        assert!(self.persist.is_none(), "twice in a drain");
        self.persist = Some(persist.to_owned());
    }

    fn append(&mut self, head: Head, append: AppendRef<'_>) {
        self.keep(head, Body::Append(append.to_owned()));
    }

    fn ack(&mut self, head: Head, ack: &Ack) {
        self.keep(head, Body::Ack(ack.clone()));
    }

    fn other(&mut self, envelope: Envelope) {
        self.messages.push(envelope);
    }
}

/// Two members that are told the same.
struct Twins {
    owning: Group,
    lending: Group,
    arenas: [Arena; 2],
    /// Appends and acks that they sent.
    sent: [u64; 2],
}

impl Twins {
    fn random_input(&mut self, now: Now, random: &mut Random) {
        let Self { owning, lending, arenas: [arena, other_arena], .. } = self;
        match random.below(12) {
            0 => {
                owning.on_deadline(now);
                lending.on_deadline(now);
            }
            1 => {
                let (node, run) = (random.node(), Run::new(random.below(3)));
                owning.on_liveness(now, node, Liveness::Alive { run });
                lending.on_liveness(now, node, Liveness::Alive { run });
            }
            2 => {
                let mine = owning.propose(now, arena, [&b"y"[..]].into_iter());
                let its = lending.propose(now, other_arena, [&b"y"[..]].into_iter());
                assert_eq!(mine, its);
            }
            3 => {
                let read = ReadId::new(random.below(9));
                assert_eq!(owning.read(now, read), lending.read(now, read));
            }
            _ => {
                let node = random.node();
                let incarnation = Incarnation(u128::from(node.get() + random.below(9) / 8));
                let sender = Sender { node, incarnation, run: Run::new(random.below(3)) };
                let generation = Generation::new(1 + random.below(16) / 15);
                let term = if random.flip() { owning.term() } else { Term::new(random.number()) };
                self.step(now, sender, &Message { generation, term, body: random.body() });
            }
        }
    }

    fn step(&mut self, now: Now, sender: Sender, message: &Message) {
        let Self { owning, lending, arenas: [arena, other_arena], .. } = self;
        let strangers = lending.counters().other_generation;
        owning.step(now, arena, sender, &mut message.clone());
        let of = (message.generation, message.term);
        match &message.body {
            Body::Append(append) => lending.step_append(now, &sender, of, &mut append.clone()),
            Body::Ack(ack) => lending.step_ack(now, &sender, of, ack),
            _ => lending.step(now, other_arena, sender, &mut message.clone()),
        }
        let is_stranger = message.generation != GENERATION;
        let counted = lending.counters().other_generation - strangers;
        assert_eq!(counted, u64::from(is_stranger), "heard in another life of the group");
    }

    /// Drains both. Whoever is asked for a vote gives it, or they would never lead
    /// anybody.
    fn obey(&mut self, now: Now, is_durable: bool) {
        let (mut out, mut rest, mut lent) = (Output::default(), Output::default(), Lent::default());
        self.owning.drain(&mut out);
        self.lending.drain_into(&mut rest, &mut lent);
        (rest.persist, rest.messages) = (lent.persist, lent.messages);
        assert_eq!(format!("{out:?}"), format!("{rest:?}"));
        for group in [&mut self.owning, &mut self.lending] {
            if let Some(persist) = out.persist.as_ref().filter(|_| is_durable) {
                group.on_persisted(now, persist.ticket);
            }
            if let Some(index) = out.committed {
                group.on_applied(index);
            }
            for fetch in &out.fetches {
                group.on_fetched(now, fetch.id, None);
            }
        }
        for Envelope { to, message } in out.messages {
            self.sent[0] += u64::from(matches!(message.body, Body::Append(_)));
            self.sent[1] += u64::from(matches!(message.body, Body::Ack(_)));
            if let Body::VoteRequest(VoteRequest { kind, campaign, .. }) = message.body {
                let body = Body::VoteReply(VoteReply { kind, campaign, granted: true });
                let incarnation = Incarnation(u128::from(to.get()));
                let sender = Sender { node: to, incarnation, run: Run::new(1) };
                self.step(now, sender, &Message { body, ..message });
            }
        }
    }
}

#[test]
fn a_member_that_lends_and_reads_in_place_does_what_one_does_that_owns_its_messages() {
    let mut sent = [0, 0];
    for seed in 0..1_000 {
        let mut random = Random(seed);
        let mut twins = Twins {
            owning: member(&mut random),
            lending: member(&mut Random(seed)),
            arenas: [Arena::new(256), Arena::new(256)],
            sent,
        };
        let mut ms = 0;
        for _ in 0..60 {
            ms += random.below(400);
            let now = Now { time: Time::from_ms(ms), wall: WallMs(random.number()) };
            twins.random_input(now, &mut random);
            if random.below(3) > 0 {
                twins.obey(now, random.below(4) > 0);
            }
            let Twins { owning, lending, .. } = &twins;
            assert_eq!(owning.next_deadline(), lending.next_deadline(), "seed {seed}");
            assert_eq!(format!("{:?}", owning.counters()), format!("{:?}", lending.counters()));
        }
        sent = twins.sent;
    }
    assert!(sent.iter().all(|count| *count > 500), "hardly anything was said: {sent:?}");
}

fn obey(group: &mut Group, out: &mut Output, now: Now, random: &mut Random) {
    group.drain(out);
    if let Some(persist) = out.persist.take()
        && random.below(4) > 0
    {
        group.on_persisted(now, persist.ticket);
    }
    if let Some(index) = out.committed {
        group.on_applied(index);
    }
    for fetch in out.fetches.drain(..) {
        group.on_fetched(now, fetch.id, None);
    }
}
