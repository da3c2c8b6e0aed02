//! tikv `raft` 0.7, tuned as its users tune it: one proposal message a turn
//! with the whole batch, appends batched, commits not broadcast alone.
//!
//! Persisting is immediate here (`advance`), which spares it the bookkeeping of
//! writes under way that ours does: the difference is in its favour.

use prost::Message as _;
use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};

use crate::load::{COMMAND_BYTES, Cost, IDLE_TURNS_MAX, KEPT_ENTRIES, Load, Meter};

#[expect(clippy::large_enum_variant, reason = "a box would be an allocation that it does not need")]
enum Parcel {
    Whole(Message),
    Encoded(Vec<u8>),
}

struct Seated {
    node: RawNode<MemStorage>,
    store: MemStorage,
    inbox: Vec<Parcel>,
    arriving: Vec<Parcel>,
    compacted: u64,
}

struct World {
    seats: Vec<Seated>,
    members: usize,
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
                seats.push(Seated { node, store, inbox: vec![], arriving: vec![], compacted: 0 });
            }
        }
        let members = usize::try_from(load.members).expect("few");
        Self { seats, members, wire: load.wire, messages: 0 }
    }

    fn turn(&mut self, payload: Option<(&[u8], u64)>) {
        for at in 0..self.seats.len() {
            self.member_turn(at, payload);
        }
        for seated in &mut self.seats {
            std::mem::swap(&mut seated.inbox, &mut seated.arriving);
        }
    }

    fn member_turn(&mut self, at: usize, payload: Option<(&[u8], u64)>) {
        let seated = &mut self.seats[at];
        for parcel in seated.inbox.drain(..) {
            let message = match parcel {
                Parcel::Whole(message) => message,
                Parcel::Encoded(bytes) => Message::decode(bytes.as_slice()).expect("as sent"),
            };
            // A message of an earlier term is refused with an error; harmless.
            let _ = seated.node.step(message);
        }
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
        if applied > seated.compacted + 2 * KEPT_ENTRIES {
            seated.compacted = applied - KEPT_ENTRIES;
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
            self.seats[to].arriving.push(parcel);
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
            if self.seats.iter().all(|seated| seated.inbox.is_empty()) {
                return;
            }
        }
        panic!("the groups never come to rest");
    }
}

/// Commits the load's entries.
pub(crate) fn run(load: Load) -> Cost {
    let payload = [7u8; COMMAND_BYTES];
    let mut world = World::new(load);
    world.elect();
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

/// Lets `rounds` x 100 ms pass: three ticks with a heartbeat each time.
/// Returns how many messages that took.
pub(crate) fn idle(groups: u64, members: u64, rounds: u64) -> u64 {
    let mut world = World::new(Load { members, groups, batch: 1, entries: 0, wire: false });
    world.elect();
    world.messages = 0;
    for _ in 0..rounds {
        world.beat();
    }
    world.messages
}

/// Live bytes per member: fresh, then elected and at rest.
pub(crate) fn memory(groups: u64, members: u64) -> serde_json::Value {
    let load = Load { members, groups, batch: 1, entries: 0, wire: false };
    let per_member = |bytes: u64| bytes as f64 / (groups * members) as f64;
    let before = bench_counting::live_bytes();
    let mut world = World::new(load);
    let fresh = per_member(bench_counting::live_bytes() - before);
    world.elect();
    let elected = per_member(bench_counting::live_bytes() - before);
    serde_json::json!({ "struct": size_of::<RawNode<MemStorage>>(), "fresh": fresh,
                        "elected": elected, "log": 0 })
}
