//! tikv `raft` 0.7, tuned as its users tune it: one proposal message a turn
//! with the whole batch, appends batched, commits not broadcast alone.
//!
//! Persisting is immediate here (`advance`), which spares it the bookkeeping of
//! writes under way that ours does: the difference is in its favour.
//!
//! What is on its way lies in one queue in the order of groups, as for ours.

use std::vec::Drain;

use prost::Message as _;
use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};

use crate::load::{COMMAND_BYTES, Cost, IDLE_TURNS_MAX, Load, Meter, kept_entries};

#[expect(clippy::large_enum_variant, reason = "a box would be an allocation that it does not need")]
enum Parcel {
    Whole(Message),
    Encoded(Vec<u8>),
}

struct Seated {
    node: RawNode<MemStorage>,
    store: MemStorage,
    compacted: u64,
}

/// A parcel on its way, and to which seat.
struct Letter {
    to: usize,
    parcel: Parcel,
}

struct World {
    seats: Vec<Seated>,
    /// Sent in this turn, in the order of groups: arrives in the next.
    sent: Vec<Letter>,
    /// The other buffer; empty between turns.
    arriving: Vec<Letter>,
    members: usize,
    kept: u64,
    wire: bool,
    messages: u64,
}

impl World {
    fn new(load: Load) -> Self {
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let voters: Vec<u64> = (1..=load.members).collect();
        let mut seats = Vec::new();
        for _ in 0..load.groups {
            for &id in &voters {
                let config = Config {
                    id,
                    election_tick: 10,
                    heartbeat_tick: 3,
                    max_size_per_msg: 1 << 20,
                    max_inflight_msgs: 256,
                    skip_bcast_commit: true,
                    batch_append: true,
                    pre_vote: true,
                    check_quorum: true,
                    ..Config::default()
                };
                let store = MemStorage::new_with_conf_state((voters.clone(), vec![]));
                let node = RawNode::new(&config, store.clone(), &logger).expect("a node");
                seats.push(Seated { node, store, compacted: 0 });
            }
        }
        let members = usize::try_from(load.members).expect("few");
        let kept = kept_entries(load.groups);
        let (sent, arriving) = (Vec::new(), Vec::new());
        Self { seats, sent, arriving, members, kept, wire: load.wire, messages: 0 }
    }

    fn turn(&mut self, payload: Option<(&[u8], u64)>) {
        let mut arriving = std::mem::take(&mut self.arriving);
        std::mem::swap(&mut self.sent, &mut arriving);
        let mut letters = arriving.drain(..);
        for home in (0..self.seats.len()).step_by(self.members) {
            let end = home + self.members;
            while let Some(letter) = next_before(&mut letters, end) {
                self.deliver(letter);
            }
            for at in home..end {
                self.member_turn(at, payload);
            }
        }
        drop(letters);
        self.arriving = arriving;
    }

    fn deliver(&mut self, Letter { to, parcel }: Letter) {
        let message = match parcel {
            Parcel::Whole(message) => message,
            Parcel::Encoded(bytes) => Message::decode(bytes.as_slice()).expect("as sent"),
        };
        // A message of an earlier term is refused with an error; harmless.
        let _ = self.seats[to].node.step(message);
    }

    fn member_turn(&mut self, at: usize, payload: Option<(&[u8], u64)>) {
        let seated = &mut self.seats[at];
        if let Some((payload, batch)) = payload
            && seated.node.raft.state == StateRole::Leader
        {
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgPropose);
            message.from = seated.node.raft.id;
            let entry = || Entry { data: payload.to_vec(), ..Entry::default() };
            message.entries = (0..batch).map(|_| entry()).collect();
            seated.node.raft.step(message).expect("the leader has room");
        }
        let mut out = Vec::new();
        while seated.node.has_ready() {
            let mut ready = seated.node.ready();
            out.append(&mut ready.take_messages());
            drop(std::hint::black_box(ready.take_committed_entries()));
            if !ready.entries().is_empty() {
                seated.store.wl().append(ready.entries()).expect("entries that follow");
            }
            if let Some(hard_state) = ready.hs() {
                seated.store.wl().set_hardstate(hard_state.clone());
            }
            out.append(&mut ready.take_persisted_messages());
            let mut light = seated.node.advance(ready);
            if let Some(commit) = light.commit_index() {
                seated.store.wl().mut_hard_state().set_commit(commit);
            }
            out.append(&mut light.take_messages());
            drop(std::hint::black_box(light.take_committed_entries()));
            seated.node.advance_apply();
        }
        let applied = seated.node.raft.raft_log.applied;
        if applied > seated.compacted + 2 * self.kept {
            seated.compacted = applied - self.kept;
            seated.store.wl().compact(seated.compacted).expect("a compacted log");
        }
        let home = at / self.members * self.members;
        for message in out {
            self.messages += 1;
            let to = home + usize::try_from(message.to - 1).expect("few");
            let parcel = if self.wire {
                Parcel::Encoded(message.encode_to_vec())
            } else {
                Parcel::Whole(message)
            };
            self.sent.push(Letter { to, parcel });
        }
    }

    fn have_committed(&self, targets: &[u64]) -> bool {
        let mut seats = self.seats.iter().zip(targets);
        seats.all(|(seated, &target)| seated.node.raft.raft_log.committed >= target)
    }

    /// The first member of each group campaigns and leads.
    fn elect(&mut self) {
        for first in (0..self.seats.len()).step_by(self.members) {
            self.seats[first].node.campaign().expect("a campaign");
        }
        self.settle();
        // The commit index of the first entry travels with a heartbeat.
        self.beat();
    }

    /// One heartbeat of every leader, and its answers.
    fn beat(&mut self) {
        for _ in 0..3 {
            for seated in &mut self.seats {
                seated.node.tick();
            }
        }
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..IDLE_TURNS_MAX {
            self.turn(None);
            if self.sent.is_empty() {
                return;
            }
        }
        panic!("the groups never come to rest");
    }
}

/// The next letter, if it is for a seat before `end`.
fn next_before(letters: &mut Drain<'_, Letter>, end: usize) -> Option<Letter> {
    if letters.as_slice().first()?.to < end { letters.next() } else { None }
}

/// Commits the load's entries.
pub(crate) fn run(load: Load) -> Cost {
    let payload = [7u8; COMMAND_BYTES];
    let mut world = World::new(load);
    world.elect();
    for _ in 0..load.warm_turns() {
        world.turn(Some((&payload, load.batch)));
    }
    world.settle();
    let target =
        |seated: &Seated| seated.node.raft.raft_log.last_index() + load.entries_per_group();
    let targets: Vec<u64> = world.seats.iter().map(target).collect();
    world.messages = 0;
    let meter = Meter::start();
    for _ in 0..load.entries_per_group() / load.batch {
        world.turn(Some((&payload, load.batch)));
    }
    world.settle();
    let cost = meter.stop(load.committed(), world.messages);
    // Followers learn the last commit index with the next heartbeat.
    for _ in 0..10 {
        if world.have_committed(&targets) {
            break;
        }
        world.beat();
    }
    assert!(world.have_committed(&targets), "not everything was committed");
    cost
}

fn at_rest(groups: u64, members: u64) -> Load {
    Load { members, groups, batch: 1, entries: 0, wire: false, warm: false }
}

/// Lets `rounds` x 100 ms pass: three ticks with a heartbeat each time.
/// Returns how many messages that took.
pub(crate) fn idle(groups: u64, members: u64, rounds: u64) -> u64 {
    let mut world = World::new(at_rest(groups, members));
    world.elect();
    world.messages = 0;
    for _ in 0..rounds {
        world.beat();
    }
    world.messages
}

/// Live bytes per member: fresh, then elected and at rest.
pub(crate) fn memory(groups: u64, members: u64) -> serde_json::Value {
    let load = at_rest(groups, members);
    let per_member = |bytes: u64| bytes as f64 / (groups * members) as f64;
    let before = bench_counting::live_bytes();
    let mut world = World::new(load);
    let fresh = per_member(bench_counting::live_bytes() - before);
    world.elect();
    let elected = per_member(bench_counting::live_bytes() - before);
    serde_json::json!({ "struct": size_of::<RawNode<MemStorage>>(), "fresh": fresh,
                        "elected": elected, "log": 0 })
}
