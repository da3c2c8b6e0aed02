//! Generated messages of every kind, for tests.

use bytes::Bytes;

use crate::random::Random;
use raftlet::Incoming;
use raftlet::core::{
    Ack, AckOutcome, Append, Arena, Body, Change, ChangeError, Checkpoint, Chunk, Configuration,
    Entries, EntryKind, Forward, ForwardOutcome, ForwardReply, Generation, GroupId, Incarnation,
    Index, LogId, Member, MemberRole, Membership, Message, NUMBER_MAX, NewEntry, NodeId, Origin,
    ReadId, Round, Run, Seal, Shortage, SnapshotAck, SnapshotOutcome, SnapshotPart, Term, VoteKind,
    VoteReply, VoteRequest, WallMs,
};

/// How many kinds [`Samples::of_kind`] tells apart.
pub(crate) const KINDS: u64 = 18;

pub(crate) struct Samples {
    random: Random,
    arena: Arena,
}

impl Samples {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), arena: Arena::new(4096) }
    }

    pub(crate) fn any(&mut self) -> Incoming {
        let kind = self.random.below(KINDS);
        self.of_kind(kind)
    }

    pub(crate) fn of_kind(&mut self, kind: u64) -> Incoming {
        let group = GroupId::new(self.random.next());
        let generation = Generation::new(self.random.next());
        let body = match kind {
            0 => Body::Append(self.append(Seal::new(group, generation))),
            1 | 2 => Body::Ack(self.ack(kind == 1)),
            3 => Body::VoteRequest(self.vote_request()),
            4 => Body::VoteReply(VoteReply {
                kind: self.vote_kind(),
                campaign: self.random.next(),
                granted: self.coin(),
            }),
            5 => Body::Probe,
            6 => Body::NotLeader { leader: self.node() },
            7 => Body::Read {
                run: Run::new(self.random.next()),
                read: ReadId::new(self.random.next()),
            },
            8 => Body::ReadReply {
                run: Run::new(self.random.next()),
                read: ReadId::new(self.random.next()),
                index: self.coin().then(|| self.index()),
            },
            9 => Body::Forward(self.forward()),
            10 | 11 => Body::ForwardReply(self.forward_reply(kind == 10)),
            12 => Body::TakeOver { last: self.log_id() },
            13 => Body::Membership(Box::new(self.membership())),
            14 => Body::Snapshot(self.snapshot_part()),
            18 => Body::Checkpoint(Checkpoint {
                index: self.index(),
                log: self.random.next(),
                state: self.random.next(),
            }),
            _ => Body::SnapshotAck(SnapshotAck {
                last: self.log_id(),
                outcome: match kind {
                    15 => SnapshotOutcome::Wants { number: self.random.next() },
                    16 => SnapshotOutcome::Installed,
                    _ => SnapshotOutcome::Refused,
                },
            }),
        };
        Incoming { group, message: Message { generation, term: self.term(), body } }
    }

    fn append(&mut self, seal: Seal) -> Append {
        let mut entries = Entries::none();
        let mut at = LogId {
            term: Term::new(1 + self.random.below(100)),
            index: Index::new(1 + self.random.below(1 << 40)),
        };
        for _ in 0..self.random.below(4) {
            let chunk = self.chunk(seal, at);
            at.index = chunk.last().next();
            at.term = Term::new(at.term.get() + self.random.below(3));
            entries.push(chunk);
        }
        Append {
            previous: self.log_id(),
            commit: self.index(),
            round: Round::new(self.random.next()),
            configuration: self.index(),
            position: self.random.next(),
            entries,
        }
    }

    fn chunk(&mut self, seal: Seal, first: LogId) -> Chunk {
        let len = 1 + self.random.below(4);
        let payloads: Vec<(Vec<u8>, bool)> = (0..len)
            .map(|_| {
                let bytes = self.random.below(40);
                let payload = (0..bytes).map(|_| self.byte()).collect();
                (payload, self.coin())
            })
            .collect();
        let entries = payloads.iter().map(|(payload, is_forwarded)| NewEntry {
            kind: EntryKind::Command,
            log_time_ms: 17,
            origin: is_forwarded.then_some(Origin {
                node: NodeId::new(3),
                incarnation: Incarnation(9 << 80),
                run: Run::new(2),
                sequence: 11,
            }),
            payload,
        });
        Chunk::encode(&mut self.arena, seal, first, entries)
    }

    fn ack(&mut self, matches: bool) -> Ack {
        Ack {
            round: Round::new(self.random.next()),
            configuration: self.index(),
            position: self.random.next(),
            commit: self.index(),
            wall: WallMs(self.random.next()),
            outcome: if matches {
                AckOutcome::Matches {
                    verified: self.index(),
                    durable: self.index(),
                    is_short: self.random.next().is_multiple_of(2),
                }
            } else {
                AckOutcome::Rejects {
                    previous: self.index(),
                    hint: self.log_id(),
                    held: self.index(),
                }
            },
        }
    }

    fn vote_request(&mut self) -> VoteRequest {
        VoteRequest {
            kind: self.vote_kind(),
            campaign: self.random.next(),
            last: self.log_id(),
            address: format!("höst-{}:7000", self.random.below(1000)),
        }
    }

    fn vote_kind(&mut self) -> VoteKind {
        match self.random.below(3) {
            0 => VoteKind::Pre,
            1 => VoteKind::Real,
            _ => VoteKind::Transfer,
        }
    }

    fn forward(&mut self) -> Forward {
        let commands = (0..self.random.below(5))
            .map(|_| {
                let bytes = self.random.below(50);
                Bytes::from_iter((0..bytes).map(|_| self.byte()))
            })
            .collect();
        Forward { first_sequence: self.random.next(), commands }
    }

    fn forward_reply(&mut self, appended: bool) -> ForwardReply {
        ForwardReply {
            run: Run::new(self.random.next()),
            first_sequence: self.random.next(),
            len: 3,
            outcome: match (appended, self.random.below(3)) {
                (true, _) => ForwardOutcome::Appended { first: self.index() },
                (false, 0) => ForwardOutcome::NoRoom(Shortage::Device),
                (false, 1) => ForwardOutcome::NoRoom(Shortage::Limit),
                (false, _) => ForwardOutcome::Refused { leader: self.node() },
            },
        }
    }

    fn snapshot_part(&mut self) -> SnapshotPart {
        let bytes = self.random.below(60);
        SnapshotPart {
            last: self.log_id(),
            number: self.random.next(),
            checksum: 0x5eed,
            bytes: Bytes::from_iter((0..bytes).map(|_| self.byte())),
        }
    }

    fn membership(&mut self) -> Membership {
        let (run, ask) = (Run::new(self.random.next()), self.random.next());
        match self.random.below(4) {
            0 => {
                let members = (1..=1 + self.random.below(5)).map(|node| Member {
                    node: NodeId::new(node),
                    incarnation: Incarnation(u128::from(self.random.next()) << 9),
                    role: MemberRole::Voter,
                    priority: self.byte(),
                    address: format!("höst-{node}:7000"),
                });
                let target = Configuration::new(members.collect()).expect("voters");
                Membership::Ask { run, ask, expected: self.index(), target }
            }
            1 => Membership::Cancel { run, ask },
            2 => {
                let index = self.index();
                let outcome = if self.coin() {
                    Ok(Change::Done { index })
                } else {
                    Err(ChangeError::InProgress { index })
                };
                Membership::Answer { run, ask, outcome }
            }
            _ => Membership::Removed { as_of: self.log_id() },
        }
    }

    fn node(&mut self) -> Option<NodeId> {
        self.coin().then(|| NodeId::new(1 + self.random.below(1 << 60)))
    }

    fn log_id(&mut self) -> LogId {
        LogId { term: self.term(), index: self.index() }
    }

    fn index(&mut self) -> Index {
        Index::new(self.random.below(NUMBER_MAX + 1))
    }

    fn term(&mut self) -> Term {
        Term::new(self.random.below(NUMBER_MAX + 1))
    }

    fn byte(&mut self) -> u8 {
        self.random.next().to_le_bytes()[0]
    }

    fn coin(&mut self) -> bool {
        self.random.below(2) == 0
    }
}
