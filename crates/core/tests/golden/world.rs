//! Members, disks and a network that a script has in its hands.
//!
//! Time moves in steps of a millisecond. Writes end at once unless the disk is
//! slow; messages arrive at once unless they are held.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use crate::disk::{Disk, Taken};
use crate::forge::body;
use crate::members::{self, listed};
use crate::telling::{describe, name};
use crate::words::{number, option};
use raftlet_core::{
    Arena, Body, Checkpoint, Chunk, Configuration, Diverged, EntryKind, Event, Forward, Generation,
    Group, GroupId, HardState, Incarnation, Index, LeaseOptions, Liveness, LogId, Membership,
    Message, NewEntry, NodeId, Now, Options, Output, Persist, ReadId, Refill, Run, Seal, Seat,
    Sender, Settings, Term, Time, WallMs, genesis,
};

mod changes;

struct Seated {
    group: Option<Group>,
    incarnation: u64,
    disk: Disk,
    run: u64,
    commands: Vec<String>,
    applied: Index,
    applied_time_ms: u64,
    /// The snapshot that the machine is to be restored from.
    installing: bool,
    liveness: BTreeMap<u64, Liveness>,
    is_short: bool,
}

impl Seated {
    fn new(incarnation: u64, disk: Disk) -> Self {
        Self {
            group: None,
            incarnation,
            disk,
            run: 0,
            commands: Vec::new(),
            applied: Index::ZERO,
            applied_time_ms: 0,
            installing: false,
            liveness: BTreeMap::new(),
            is_short: false,
        }
    }

    fn sender(&self, node: u64) -> Sender {
        sender(node, self.incarnation, self.run)
    }
}

struct InFlight {
    from: Sender,
    to: u64,
    message: Message,
}

pub(crate) struct World {
    members: BTreeMap<u64, Seated>,
    settings: Rc<Settings>,
    seed: u64,
    time_ms: u64,
    queue: VecDeque<InFlight>,
    pub(crate) hold: bool,
    pub(crate) cut: BTreeSet<(u64, u64)>,
    reads: Vec<String>,
    events: Vec<String>,
    kept: Option<Taken>,
    /// Leaders and the members that they want sent their snapshot.
    wanted: Vec<(u64, u64)>,
    forward_replies: Vec<String>,
    arena: Arena,
}

const GROUP: GroupId = GroupId::new(3);
const GENERATION: Generation = Generation::new(1);

impl World {
    pub(crate) const ELECTION_TIMEOUT_MS: u64 = 500;

    pub(crate) fn new(args: &[&str]) -> Self {
        let seats = listed(args);
        let ids: Vec<u64> = seats.iter().map(|member| member.node.get()).collect();
        let configuration = Configuration::new(seats).unwrap();
        let size = |name, default| {
            option(args, name).map_or(default, |n| usize::try_from(number(n)).unwrap())
        };
        let uncommitted = size("uncommitted-bytes", 16 << 20);
        let options = Options {
            uncommitted_bytes_max: uncommitted,
            command_bytes_max: (uncommitted / 2).min(1 << 20),
            window_messages_max: size("window-messages", 256),
            append_bytes_max: size("append-bytes", 256 << 10),
            trailing_bytes_max: size("trailing-bytes", 1 << 20),
            lease: option(args, "lease").map(|drift| LeaseOptions {
                clock_drift_us: u32::try_from(number(drift)).unwrap(),
            }),
            ..Options::default()
        };
        let mut disk = Disk::default();
        disk.apply(&Persist {
            refilled: false,
            ticket: raftlet_core::Ticket::default(),
            hard_state: Some(HardState { term: Term::BOOTSTRAP, vote: None }),
            truncate_from: None,
            compact: None,
            entries: genesis(GROUP, GENERATION, &configuration),
        });
        let member = |id: &u64| Seated::new(*id, disk.clone());
        let mut world = Self {
            members: ids.iter().map(|id| (*id, member(id))).collect::<BTreeMap<_, _>>(),
            settings: Rc::new(Settings::try_from(options).unwrap()),
            seed: option(args, "seed").map_or(1, number),
            time_ms: 0,
            queue: VecDeque::new(),
            hold: false,
            cut: BTreeSet::new(),
            reads: Vec::new(),
            events: Vec::new(),
            kept: None,
            wanted: Vec::new(),
            forward_replies: Vec::new(),
            arena: Arena::default(),
        };
        for id in ids {
            world.start(id);
        }
        world
    }

    fn now(&self) -> Now {
        Now { time: Time::from_ms(self.time_ms), wall: WallMs(1_700_000_000_000 + self.time_ms) }
    }

    fn member(&mut self, node: u64) -> &mut Seated {
        self.members.get_mut(&node).unwrap_or_else(|| panic!("no member {node}"))
    }

    fn group(&mut self, node: u64) -> &mut Group {
        self.member(node).group.as_mut().unwrap_or_else(|| panic!("member {node} is down"))
    }

    pub(crate) fn nodes(&self) -> Vec<u64> {
        self.members.keys().copied().collect()
    }

    // ---- A member's life ----

    /// Puts a log on the disk of a member that starts from it at once.
    pub(crate) fn set_disk(&mut self, node: u64, args: &[&str]) {
        let terms: Vec<u64> = option(args, "terms").unwrap().split(',').map(number).collect();
        let term = option(args, "term").map_or(*terms.iter().max().unwrap(), number);
        let vote = option(args, "vote").map(|vote| NodeId::new(number(vote)));
        let seal = Seal::new(GROUP, GENERATION);
        let mut arena = Arena::default();
        let disk = &mut self.member(node).disk;
        disk.entries.truncate(1);
        assert_eq!(terms[0], 1, "entry 1 is the configuration of term 1");
        for (index, term) in (2..).zip(&terms[1..]) {
            let payload = format!("{term}.{index}");
            let entry = NewEntry {
                kind: EntryKind::Command,
                log_time_ms: 0,
                origin: None,
                payload: payload.as_bytes(),
            };
            let at = LogId { term: Term::new(*term), index: Index::new(index) };
            disk.entries.push(Chunk::encode(&mut arena, seal, at, [entry].into_iter()));
        }
        disk.hard_state = HardState { term: Term::new(term), vote };
        self.start(node);
    }

    /// The entries behind `last` on the disk of a member that is down are damaged:
    /// its storage knows that there were some up to `held`.
    pub(crate) fn damage(&mut self, node: u64, last: Index, held: Index) {
        let disk = &mut self.member(node).disk;
        disk.entries = disk.entries.iter().filter_map(|chunk| chunk.until(last)).collect();
        disk.refill = Some(Refill { until: held, term: disk.hard_state.term });
    }

    pub(crate) fn start(&mut self, node: u64) {
        let (now, settings, seed) = (self.now(), self.settings.clone(), self.seed);
        let member = self.member(node);
        member.run += 1;
        member.applied = Index::ZERO;
        member.applied_time_ms = 0;
        member.installing = false;
        member.disk.files.clear();
        member.commands.clear();
        member.liveness.clear();
        let seat = Seat {
            group: GROUP,
            generation: GENERATION,
            node: NodeId::new(node),
            incarnation: Incarnation(u128::from(member.incarnation)),
            run: Run::new(member.run),
        };
        let restored = member.disk.restored();
        let group = Group::new(settings, seat, restored, seed * 1_000 + node, now).unwrap();
        member.group = Some(group);
        self.pump(node);
    }

    pub(crate) fn crash(&mut self, node: u64) {
        let member = self.member(node);
        member.group = None;
        member.disk.pending.clear();
    }

    pub(crate) fn set_disk_speed(&mut self, node: u64, is_slow: bool) {
        self.member(node).disk.is_slow = is_slow;
        if !is_slow {
            self.finish_writes(node);
            self.pump(node);
            self.settle();
        }
    }

    pub(crate) fn set_room(&mut self, node: u64, is_short: bool) {
        self.member(node).is_short = is_short;
    }

    pub(crate) fn set_storage(&mut self, node: u64, works: bool) {
        self.member(node).disk.is_broken = !works;
    }

    /// The oldest write of a slow disk ends.
    pub(crate) fn finish_write(&mut self, node: u64) {
        let now = self.now();
        let member = self.member(node);
        let persist = member.disk.pending.pop_front().expect("no write is under way");
        member.disk.apply(&persist);
        self.group(node).on_persisted(now, persist.ticket);
        self.install(node);
        self.catch_up(node);
        self.pump(node);
        self.settle();
    }

    fn finish_writes(&mut self, node: u64) {
        let now = self.now();
        let member = self.member(node);
        let mut last = None;
        while let Some(persist) = member.disk.pending.pop_front() {
            member.disk.apply(&persist);
            last = Some(persist.ticket);
        }
        if let (Some(ticket), Some(group)) = (last, member.group.as_mut()) {
            group.on_persisted(now, ticket);
            self.install(node);
            self.catch_up(node);
        }
    }

    pub(crate) fn set_liveness(&mut self, node: u64, of: u64, word: &str) {
        let run = self.member(of).run;
        let liveness = match word.split('=').next().unwrap_or_default() {
            "alive" => {
                let run = word.split_once('=').map_or(run, |(_, run)| number(run));
                Liveness::Alive { run: Run::new(run) }
            }
            "suspected" => Liveness::Suspected,
            _ => Liveness::Unknown,
        };
        self.member(node).liveness.insert(of, liveness);
        let now = self.now();
        self.group(node).on_liveness(now, NodeId::new(of), liveness);
        self.pump(node);
        self.settle();
    }

    // ---- Time ----

    pub(crate) fn advance(&mut self, ms: u64) {
        for _ in 0..ms {
            self.time_ms += 1;
            for node in self.nodes() {
                self.pass_deadline(node);
            }
            self.settle();
        }
    }

    fn pass_deadline(&mut self, node: u64) {
        let now = self.now();
        let Some(group) = self.member(node).group.as_mut() else {
            return;
        };
        if group.next_deadline().is_some_and(|at| at <= now.time) {
            group.on_deadline(now);
            self.pump(node);
        }
    }

    pub(crate) fn deadline(&mut self, node: u64) {
        let due = self.group(node).next_deadline().expect("a member without deadline");
        self.time_ms = self.time_ms.max(due.ns().div_ceil(1_000_000));
        self.pass_deadline(node);
        self.settle();
    }

    /// Lets only `node` lose patience, until it leads.
    pub(crate) fn elect(&mut self, node: u64) -> Result<(), String> {
        for _ in 0..20 * Self::ELECTION_TIMEOUT_MS {
            if self.group(node).role() == raftlet_core::Role::Leader {
                return Ok(());
            }
            self.time_ms += 1;
            self.pass_deadline(node);
            self.settle();
        }
        Err(format!("member {node} does not get elected"))
    }

    /// Lets only `node` lose patience, until it asks for pre-votes.
    pub(crate) fn campaign(&mut self, node: u64) {
        while self.group(node).role() == raftlet_core::Role::Follower {
            self.deadline(node);
        }
    }

    // ---- Messages ----

    /// Drains a member and obeys its output.
    fn pump(&mut self, node: u64) {
        let mut out = Output::default();
        loop {
            let Some(group) = self.member(node).group.as_mut() else {
                return;
            };
            group.drain(&mut out);
            group.check_invariants();
            if out.is_empty() {
                return;
            }
            self.obey(node, &mut out);
        }
    }

    fn obey(&mut self, node: u64, out: &mut Output) {
        if let Some(persist) = out.persist.take() {
            self.member(node).disk.pending.push_back(persist);
        }
        let from = self.member(node).sender(node);
        for envelope in out.messages.drain(..) {
            let (to, mut message) = (envelope.to.get(), envelope.message);
            if self.member(node).is_short {
                message.tell_shortage();
            }
            if !self.cut.contains(&(node, to)) {
                self.queue.push_back(InFlight { from, to, message });
            }
        }
        if out.install.is_some() {
            self.member(node).installing = true;
            self.install(node);
        }
        for to in out.snapshots.drain(..) {
            self.wanted.push((node, to.get()));
        }
        if let Some(index) = out.committed {
            self.apply(node, index);
        }
        for ready in out.reads.drain(..) {
            self.reads.push(format!("n{node} read {} at {}", ready.read.get(), ready.index));
        }
        for event in out.events.drain(..) {
            if let Event::NotTransferred { why } = event {
                self.events.push(format!("n{node} keeps leading: {why:?}"));
            }
            if let Event::QuorumRoom { is_short } = event {
                let has = if is_short { "no quorum" } else { "a quorum" };
                self.events.push(format!("n{node}: {has} has room"));
            }
            if let Event::Diverged(Diverged { node: other, index, what }) = event {
                self.events.push(format!("n{node}: n{other} differs at {index}, {what:?}"));
            }
        }
        let now = self.now();
        for fetch in out.fetches.drain(..) {
            let disk = &self.member(node).disk;
            let entries = (!disk.is_broken).then(|| disk.read(fetch.first, fetch.last)).flatten();
            self.group(node).on_fetched(now, fetch.id, entries);
        }
        if !self.member(node).disk.is_slow {
            self.finish_writes(node);
        }
    }

    fn apply(&mut self, node: u64, index: Index) {
        let member = self.member(node);
        if member.installing || member.applied >= index {
            return;
        }
        let group = member.group.as_mut().unwrap();
        let first = member.applied.next();
        // Behind the durable index the disk may hold a tail that was replaced.
        let on_disk = index.min(group.durable_index());
        let in_memory = group.entries(first, index, usize::MAX);
        let Some(entries) = in_memory.or_else(|| member.disk.read(first, on_disk)) else {
            assert!(on_disk < first, "committed entries are somewhere");
            return;
        };
        for entry in entries.iter().filter(|entry| entry.kind == EntryKind::Command) {
            member.commands.push(String::from_utf8(entry.payload.to_vec()).unwrap());
        }
        member.applied = entries.last().unwrap().index;
        member.applied_time_ms = entries.iter().map(|entry| entry.log_time_ms).max().unwrap();
        group.on_applied(member.applied);
        if member.applied < index {
            self.apply(node, index);
        }
    }

    /// Applies what waited for the disk.
    fn catch_up(&mut self, node: u64) {
        let member = self.member(node);
        let commit = member.group.as_ref().map(Group::commit_index);
        if let Some(commit) = commit.filter(|commit| *commit > member.applied) {
            self.apply(node, commit);
        }
    }

    fn settle(&mut self) {
        if !self.hold {
            self.deliver();
        }
    }

    pub(crate) fn deliver(&mut self) {
        while let Some(in_flight) = self.queue.pop_front() {
            self.arrive(in_flight);
        }
    }

    pub(crate) fn deliver_kind(&mut self, kind: &str) {
        let (due, rest): (VecDeque<_>, VecDeque<_>) =
            self.queue.drain(..).partition(|m| name(&m.message.body) == kind);
        self.queue = rest;
        for in_flight in due {
            self.arrive(in_flight);
        }
    }

    fn arrive(&mut self, in_flight: InFlight) {
        let InFlight { from, to, message } = in_flight;
        if self.cut.contains(&(from.node.get(), to)) || !self.members.contains_key(&to) {
            return;
        }
        if let Body::Membership(said) = &message.body
            && let Membership::Answer { outcome, .. } = &**said
        {
            let text = members::show_change(outcome);
            self.forward_replies.push(format!("n{to} hears n{}: {}", from.node, text.trim_end()));
        }
        if let Body::ForwardReply(reply) = &message.body {
            let text = format!("n{to} hears n{}: {:?}", from.node, reply.outcome);
            self.forward_replies.push(text);
        }
        let now = self.now();
        let mut arena = std::mem::take(&mut self.arena);
        if let Some(group) = self.member(to).group.as_mut() {
            group.step(now, &mut arena, from, &mut { message });
        }
        self.arena = arena;
        self.pump(to);
    }

    pub(crate) fn isolate(&mut self, node: u64) {
        for other in self.nodes() {
            self.cut.insert((node, other));
            self.cut.insert((other, node));
        }
    }

    pub(crate) fn drop_messages(&mut self, from: u64, to: u64, kind: Option<&str>) {
        self.queue.retain(|m| !matches(m, from, to, kind));
    }

    pub(crate) fn repeat_messages(&mut self, from: u64, to: u64, kind: Option<&str>) {
        let found = self.queue.iter().filter(|m| matches(m, from, to, kind));
        let again: Vec<_> = found
            .map(|m| InFlight { from: m.from, to: m.to, message: m.message.clone() })
            .collect();
        self.queue.extend(again);
    }

    pub(crate) fn move_to_back(&mut self, kind: &str) {
        let (mut late, rest): (VecDeque<_>, VecDeque<_>) =
            self.queue.drain(..).partition(|m| name(&m.message.body) == kind);
        self.queue = rest;
        self.queue.append(&mut late);
    }

    pub(crate) fn propose(&mut self, node: u64, commands: &[&str]) -> String {
        let now = self.now();
        let mut arena = std::mem::take(&mut self.arena);
        let commands = commands.iter().map(|command| command.as_bytes());
        let result = self.group(node).propose(now, &mut arena, commands);
        self.arena = arena;
        self.pump(node);
        self.settle();
        match result {
            Ok(_) => String::new(),
            Err(refusal) => format!("refused: {refusal}\n"),
        }
    }

    /// `forward N L x seq=S [term=T]`
    pub(crate) fn forward(&mut self, args: &[&str]) {
        let (node, leader) = (number(args[0]), number(args[1]));
        let own = self.group(node).term();
        let term = option(args, "term").map_or(own, |term| Term::new(number(term)));
        let forward = Forward {
            first_sequence: option(args, "seq").map_or(1, number),
            commands: vec![bytes::Bytes::copy_from_slice(args[2].as_bytes())],
        };
        let message = Message { generation: GENERATION, term, body: Body::Forward(forward) };
        let from = self.member(node).sender(node);
        self.queue.push_back(InFlight { from, to: leader, message });
        self.settle();
    }

    /// `say FROM->TO ..`: a message made by hand arrives at once, and what it
    /// brings about at its receiver is told instead of sent.
    pub(crate) fn say(&mut self, from: u64, to: u64, words: &[&str]) -> String {
        let term = Term::new(number(option(words, "term").unwrap()));
        let generation = option(words, "generation");
        let generation = generation.map_or(GENERATION, |life| Generation::new(number(life)));
        let message = Message { generation, term, body: body(words[0], words) };
        let known = self.members.get(&from).map(|member| member.sender(from));
        let mut from = known.unwrap_or_else(|| sender(from, from, 1));
        from.run = option(words, "of-run").map_or(from.run, |run| Run::new(number(run)));
        let before = self.queue.len();
        self.arrive(InFlight { from, to, message });
        let answers: Vec<_> = self.queue.drain(before..).collect();
        if answers.is_empty() {
            return format!("n{to} is silent\n");
        }
        answers.iter().map(|m| format!("n{to}->n{} {}\n", m.to, describe(&m.message))).collect()
    }

    /// `checkpoint N index=I [log=L] [state=S]`: what N holds at an index.
    pub(crate) fn checkpoint(&mut self, node: u64, args: &[&str]) {
        let value = |name| option(args, name).map_or(0, number);
        let index = Index::new(value("index"));
        let checkpoint = Checkpoint { index, log: value("log"), state: value("state") };
        self.group(node).on_checkpoint(checkpoint);
        self.pump(node);
        self.settle();
    }

    pub(crate) fn transfer(&mut self, node: u64, to: Option<u64>) -> String {
        let now = self.now();
        let result = self.group(node).transfer(now, to.map(NodeId::new));
        self.pump(node);
        self.settle();
        result.map_or_else(|refusal| format!("refused: {refusal}\n"), |()| String::new())
    }

    pub(crate) fn read(&mut self, node: u64, id: u64) -> String {
        let now = self.now();
        let result = self.group(node).read(now, ReadId::new(id));
        self.pump(node);
        self.settle();
        result.map_or_else(|refusal| format!("refused: {refusal}\n"), |()| String::new())
    }

    pub(crate) fn forget(&mut self, node: u64, id: u64) {
        self.group(node).forget_read(ReadId::new(id));
    }

    pub(crate) fn release_memory(&mut self, node: u64) {
        self.group(node).release_memory(0);
    }
}

fn sender(node: u64, incarnation: u64, run: u64) -> Sender {
    let incarnation = Incarnation(u128::from(incarnation));
    Sender { node: NodeId::new(node), incarnation, run: Run::new(run) }
}

fn matches(m: &InFlight, from: u64, to: u64, kind: Option<&str>) -> bool {
    m.from.node.get() == from && m.to == to && kind.is_none_or(|kind| name(&m.message.body) == kind)
}

mod shows;
mod snapshots;
