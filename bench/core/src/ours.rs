//! raftlet-core, driven as the shard loop drives it.
//!
//! A turn of a group: what its members sent in the last turn arrives; then each
//! takes what its disk finished since, the batch if it leads, one drain. A write is durable one turn after
//! it was handed out. What a drain lends is taken up at once: without the wire into messages of their own,
//! with it into the bytes that leave. All nodes vouch for each other, as the failure detector
//! does in a healthy cluster, so no group sends anything for liveness.
//!
//! What is on its way lies in one queue in the order of groups, as a node's outbox has it for another
//! node.

use std::hint::black_box;
use std::rc::Rc;
use std::slice::IterMut;

use bytes::BytesMut;

use crate::load::{COMMAND_BYTES, Cost, IDLE_TURNS_MAX, Load, Meter, kept_entries};
use raftlet::Incoming;
use raftlet_core::{
    Ack, Append, AppendRef, Arena, Configuration, Entry, Envelope, Generation, Group, GroupId,
    HardState, Head, Incarnation, Index, Liveness, LogId, Member, MemberRole, NodeId, Now, Options,
    Outlet, Output, PRIORITY_DEFAULT, PersistRef, Restored, Role, Run, Seat, Sender, Settings,
    Term, Ticket, Time, WallMs,
};
use raftlet_net::{
    BatchReader, Receiver, append_ack_to_batch, append_borrowed_to_batch, append_to_batch,
    encoded_bytes,
};

/// Between two turns.
const TURN_NS: u64 = 20_000;
const RUN: Run = Run::new(1);

struct Seated {
    group: Group,
    /// Handed out in the last turn: durable in the next.
    ticket: Option<Ticket>,
}

/// What a member sent with the wire: bytes on their way until the next turn, a
/// buffer for each other member.
struct Mail {
    encoded: Vec<BytesMut>,
    /// Which of them hold something, a bit each.
    filled: u64,
}

/// A message on its way in memory.
struct Letter {
    /// The seat that sent it.
    from: usize,
    message: Sent,
}

enum Sent {
    Append(Head, Append),
    Ack(Head, Ack),
    Other(Envelope),
}

/// What a drain lends goes to the disk and on its way.
struct Post<'a> {
    ticket: &'a mut Option<Ticket>,
    sent: &'a mut Vec<Letter>,
    from: usize,
}

impl Post<'_> {
    #[inline]
    fn send(&mut self, message: Sent) {
        self.sent.push(Letter { from: self.from, message });
    }
}

impl Outlet for Post<'_> {
    #[inline]
    fn persist(&mut self, persist: PersistRef<'_>) {
        *self.ticket = Some(persist.ticket);
        // What a writer would put into its buffer.
        black_box(persist.chunks);
    }

    #[inline]
    fn append(&mut self, head: Head, append: AppendRef<'_>) {
        self.send(Sent::Append(head, append.to_owned()));
    }

    #[inline]
    fn ack(&mut self, head: Head, ack: &Ack) {
        self.send(Sent::Ack(head, ack.clone()));
    }

    fn other(&mut self, envelope: Envelope) {
        self.send(Sent::Other(envelope));
    }
}

impl Sent {
    #[inline]
    fn to(&self) -> NodeId {
        match self {
            Self::Append(head, _) | Self::Ack(head, _) => head.to,
            Self::Other(envelope) => envelope.to,
        }
    }
}

/// One member's ear.
struct Delivery<'a> {
    group: &'a mut Group,
    arenas: &'a mut [Arena],
    to: usize,
    now: Now,
    sender: &'a Sender,
}

impl Delivery<'_> {
    #[inline]
    fn take(&mut self, message: &mut Sent) {
        match message {
            Sent::Append(head, append) => {
                let of = (head.generation, head.term);
                self.group.step_append(self.now, self.sender, of, append);
            }
            Sent::Ack(head, ack) => {
                self.group.step_ack(self.now, self.sender, (head.generation, head.term), ack);
            }
            Sent::Other(envelope) => {
                let arena = &mut self.arenas[self.to];
                self.group.step(self.now, arena, *self.sender, &mut envelope.message);
            }
        }
    }
}

impl Receiver for Delivery<'_> {
    #[inline]
    fn append(&mut self, _: GroupId, of: (Generation, Term), append: &mut Append) {
        self.group.step_append(self.now, self.sender, of, append);
    }

    #[inline]
    fn ack(&mut self, _: GroupId, of: (Generation, Term), ack: &Ack) {
        self.group.step_ack(self.now, self.sender, of, ack);
    }

    fn other(&mut self, mut incoming: Incoming) {
        let arena = &mut self.arenas[self.to];
        self.group.step(self.now, arena, *self.sender, &mut incoming.message);
    }
}

/// The same, encoded as the transport does.
struct Wire<'a> {
    ticket: &'a mut Option<Ticket>,
    mail: &'a mut Mail,
    count: &'a mut u64,
    group: GroupId,
}

impl Wire<'_> {
    #[inline]
    fn buffer(&mut self, to: NodeId) -> &mut BytesMut {
        let to = place_of(to);
        *self.count += 1;
        self.mail.filled |= 1 << to;
        &mut self.mail.encoded[to]
    }
}

impl Outlet for Wire<'_> {
    #[inline]
    fn persist(&mut self, persist: PersistRef<'_>) {
        *self.ticket = Some(persist.ticket);
        black_box(persist.chunks);
    }

    #[inline]
    fn append(&mut self, head: Head, append: AppendRef<'_>) {
        let group = self.group;
        let is_sent = append_borrowed_to_batch(group, head, &append, self.buffer(head.to));
        assert!(is_sent, "within the format's limits");
    }

    #[inline]
    fn ack(&mut self, head: Head, ack: &Ack) {
        let group = self.group;
        append_ack_to_batch(group, head, ack, self.buffer(head.to));
    }

    fn other(&mut self, Envelope { to, message }: Envelope) {
        let (group, bytes) = (self.group, encoded_bytes(&message).expect("within the limits"));
        append_to_batch(group, &message, bytes, self.buffer(to));
    }
}

/// All members of all groups, group by group.
pub(crate) struct World {
    now: Now,
    seats: Vec<Seated>,
    /// Sent in this turn, in the order of groups: arrives in the next.
    sent: Vec<Letter>,
    /// The other buffer; empty between turns.
    arriving: Vec<Letter>,
    /// With the wire, instead: one a seat.
    mail: Vec<Mail>,
    /// Messages so far.
    count: u64,
    members: u64,
    /// One a node: what the handshake says of it.
    senders: Vec<Sender>,
    /// One a node: groups share it.
    arenas: Vec<Arena>,
    /// One a node: what it received.
    received: Vec<Arena>,
    out: Output,
    is_wired: bool,
}

fn node(at: u64) -> NodeId {
    NodeId::new(at + 1)
}

#[inline]
fn place_of(node: NodeId) -> usize {
    usize::try_from(node.get() - 1).expect("few")
}

fn incarnation(node: NodeId) -> Incarnation {
    Incarnation(u128::from(node.get()))
}

fn sender(node: NodeId) -> Sender {
    Sender { node, incarnation: incarnation(node), run: RUN }
}

fn settings(groups: u64) -> Settings {
    let entry_bytes = COMMAND_BYTES + raftlet_core::HEADER_BYTES;
    let kept = usize::try_from(kept_entries(groups)).expect("a small number");
    let trailing_bytes_max = kept * entry_bytes;
    Settings::try_from(Options { trailing_bytes_max, ..Options::default() })
        .expect("options that fit together")
}

impl World {
    /// Members that have just started with nothing but the first entry.
    pub(crate) fn new(groups: u64, members: u64, wire: bool, vouched: bool) -> Self {
        let configuration = Configuration::new(
            (0..members)
                .map(|at| Member {
                    node: node(at),
                    incarnation: incarnation(node(at)),
                    priority: PRIORITY_DEFAULT,
                    role: MemberRole::Voter,
                    address: String::new(),
                })
                .collect(),
        )
        .expect("a configuration");
        let settings = Rc::new(settings(groups));
        let now = Now { time: Time::ZERO, wall: WallMs(1_700_000_000_000) };
        let count = usize::try_from(groups * members).expect("they fit in memory");
        let mut seats = Vec::with_capacity(count);
        for group in 1..=groups {
            for at in 0..members {
                let seat = Seat {
                    group: GroupId::new(group),
                    generation: Generation::new(1),
                    node: node(at),
                    incarnation: incarnation(node(at)),
                    run: RUN,
                };
                let restored = Restored {
                    hard_state: HardState { term: Term::BOOTSTRAP, vote: None },
                    last: Index::FIRST,
                    runs: vec![LogId { term: Term::BOOTSTRAP, index: Index::FIRST }],
                    configurations: vec![(Index::FIRST, configuration.clone())],
                    ..Restored::default()
                };
                let mut group = Group::new(Rc::clone(&settings), seat, restored, at, now)
                    .expect("a fresh member");
                for other in (0..members).filter(|&other| vouched && other != at) {
                    group.on_liveness(now, node(other), Liveness::Alive { run: RUN });
                }
                seats.push(Seated { group, ticket: None });
            }
        }
        Self {
            now,
            sent: Vec::new(),
            arriving: Vec::new(),
            mail: seats.iter().filter(|_| wire).map(|_| mail(members)).collect(),
            count: 0,
            seats,
            members,
            senders: (0..members).map(|at| sender(node(at))).collect(),
            arenas: (0..members).map(|_| Arena::default()).collect(),
            received: (0..members).map(|_| Arena::default()).collect(),
            out: Output::default(),
            is_wired: wire,
        }
    }

    /// Lets `ns` pass.
    pub(crate) fn pass(&mut self, ns: u64) {
        let time = self.now.time.after_ns(ns);
        self.now = Now { time, wall: WallMs(1_700_000_000_000 + time.ns() / 1_000_000) };
    }

    /// One turn of every member; a group that is led gets `commands`.
    fn turn(&mut self, commands: &[&[u8]]) {
        let mut arriving = std::mem::take(&mut self.arriving);
        std::mem::swap(&mut self.sent, &mut arriving);
        let mut letters = arriving.iter_mut();
        let members = self.senders.len();
        for home in (0..self.seats.len()).step_by(members) {
            self.deliver(home, &mut letters);
            for place in 0..members {
                self.member_turn(home, place, commands);
            }
        }
        assert!(letters.as_slice().is_empty(), "a letter to nobody");
        arriving.clear();
        self.arriving = arriving;
    }

    /// What a group's members sent in the last turn arrives.
    fn deliver(&mut self, home: usize, letters: &mut IterMut<'_, Letter>) {
        let Self { seats, arenas, senders, now, .. } = self;
        while let Some(Letter { from, message }) = next_before(letters, home + senders.len()) {
            let to = place_of(message.to());
            let (group, sender) = (&mut seats[home + to].group, &senders[*from - home]);
            Delivery { group, arenas, to, now: *now, sender }.take(message);
        }
        if self.is_wired {
            for from in 0..self.senders.len() {
                self.deliver_bytes(home, from);
            }
        }
    }

    /// What one member sent in the last turn arrives as bytes.
    fn deliver_bytes(&mut self, home: usize, from: usize) {
        let Self { seats, mail, arenas, received, senders, now, .. } = self;
        let Mail { encoded, filled } = &mut mail[home + from];
        while *filled != 0 {
            let to = filled.trailing_zeros() as usize;
            *filled &= *filled - 1;
            let buffer = &mut encoded[to];
            // What the socket has received is read where it lies; entries are
            // copied into the receiver's memory.
            let mut batch = BatchReader::copying(buffer, &mut received[to]);
            let group = &mut seats[home + to].group;
            let mut delivery = Delivery { group, arenas, to, now: *now, sender: &senders[from] };
            while let Some(read) = batch.read_to(&mut delivery) {
                read.expect("what was sent");
            }
            buffer.clear();
        }
    }

    fn member_turn(&mut self, home: usize, place: usize, commands: &[&[u8]]) {
        let now = self.now;
        let from = home + place;
        let Self { seats, sent, mail, count, arenas, out, is_wired, .. } = self;
        let Seated { group, ticket } = &mut seats[from];
        if let Some(ticket) = ticket.take() {
            group.on_persisted(now, ticket);
        }
        if group.next_deadline().is_some_and(|deadline| deadline <= now.time) {
            group.on_deadline(now);
        }
        if !commands.is_empty() && group.role() == Role::Leader {
            group
                .propose(now, &mut arenas[place], commands.iter().copied())
                .expect("the leader has room");
        }
        if *is_wired {
            let group_id = group.seat().group;
            let mail = &mut mail[from];
            group.drain_into(out, &mut Wire { ticket, mail, count, group: group_id });
        } else {
            let before = sent.len();
            group.drain_into(out, &mut Post { ticket, sent, from });
            *count += (sent.len() - before) as u64;
        }
        if let Some(index) = out.committed {
            apply(group, index);
        }
        if !out.events.is_empty() {
            out.clear();
        }
    }

    /// Messages that were sent.
    pub(crate) fn messages(&self) -> u64 {
        self.count
    }

    /// Counts messages anew.
    pub(crate) fn forget_messages(&mut self) {
        self.count = 0;
    }

    /// Whether each member has committed its index.
    fn have_committed(&self, targets: &[Index]) -> bool {
        let mut seats = self.seats.iter().zip(targets);
        seats.all(|(seated, &target)| seated.group.commit_index() >= target)
    }

    /// Runs until each group has a leader whose first entry is everywhere.
    pub(crate) fn elect(&mut self) {
        for _ in 0..1000 {
            // In large steps until somebody campaigns, all deadlines differ.
            self.pass(5_000_000);
            for _ in 0..20 {
                self.pass(TURN_NS);
                self.turn(&[]);
            }
            let first = Index::new(2);
            if self.seats.iter().all(|seated| seated.group.commit_index() >= first) {
                return;
            }
        }
        panic!("no leader in every group");
    }

    /// Turns until nothing is on its way.
    pub(crate) fn settle(&mut self) {
        for _ in 0..IDLE_TURNS_MAX {
            self.pass(TURN_NS);
            self.turn(&[]);
            let is_quiet = self.sent.is_empty() && self.mail.iter().all(|mail| mail.filled == 0);
            if is_quiet && self.seats.iter().all(|seated| seated.ticket.is_none()) {
                return;
            }
        }
        panic!("the groups never come to rest");
    }

    /// Lets `rounds` x 100 ms pass over members that have nothing to do, waking
    /// only those whose deadline has come. Returns how many were woken.
    pub(crate) fn idle(&mut self, rounds: u64) -> u64 {
        let mut woken = 0;
        let mut due: Vec<Option<Time>> =
            self.seats.iter().map(|seated| seated.group.next_deadline()).collect();
        // As a timer wheel would: the earliest deadline is known without
        // looking at every member.
        let mut earliest = due.iter().flatten().min().copied();
        for _ in 0..rounds {
            let until = self.now.time.after_ns(100_000_000);
            while let Some(time) = earliest.filter(|&time| time <= until) {
                self.pass(time.since(self.now.time));
                for at in 0..self.seats.len() {
                    if due[at].is_some_and(|due| due <= self.now.time) {
                        woken += 1;
                        let place = at % usize::try_from(self.members).expect("few");
                        self.member_turn(at - place, place, &[]);
                    }
                }
                self.settle();
                due.clear();
                due.extend(self.seats.iter().map(|seated| seated.group.next_deadline()));
                earliest = due.iter().flatten().min().copied();
            }
            self.pass(until.since(self.now.time));
        }
        woken
    }
}

/// Buffers for the mail to each of the members.
fn mail(members: u64) -> Mail {
    Mail { encoded: (0..members).map(|_| BytesMut::new()).collect(), filled: 0 }
}

/// The next letter, if a seat before `end` sent it.
#[inline]
fn next_before<'a>(letters: &mut IterMut<'a, Letter>, end: usize) -> Option<&'a mut Letter> {
    if letters.as_slice().first()?.from < end { letters.next() } else { None }
}

/// What the applier does: reads entry by entry what is committed.
fn apply(group: &mut Group, index: Index) {
    // The first entry was there before the start.
    let first = group.applied_index().next().max(Index::new(2));
    if first <= index {
        if let Some(chunk) = group.whole_chunk(first, index) {
            read(chunk.entries());
        } else {
            let entries = group.entries(first, index, usize::MAX).expect("still in memory");
            read(entries.iter());
        }
    }
    group.on_applied(index);
}

#[inline]
fn read<'a>(entries: impl Iterator<Item = Entry<'a>>) {
    for entry in entries {
        black_box(entry.payload);
    }
}

/// Commits the load's entries.
pub(crate) fn run(load: Load) -> Cost {
    let payload = [7u8; COMMAND_BYTES];
    let commands: Vec<&[u8]> = (0..load.batch).map(|_| payload.as_slice()).collect();
    let mut world = World::new(load.groups, load.members, load.wire, true);
    world.elect();
    for _ in 0..load.warm_turns() {
        world.pass(TURN_NS);
        world.turn(&commands);
    }
    world.settle();
    let turns = load.entries_per_group() / load.batch;
    let target = |seated: &Seated| seated.group.last_index().plus(load.entries_per_group());
    let targets: Vec<Index> = world.seats.iter().map(target).collect();
    world.forget_messages();
    let meter = Meter::start();
    for _ in 0..turns {
        world.pass(TURN_NS);
        world.turn(&commands);
    }
    // Until nothing is on its way: then the leaders have committed everything.
    world.settle();
    let cost = meter.stop(load.committed(), world.messages());
    // Followers learn the last commit index when the leader next has news.
    for _ in 0..100 {
        world.pass(10_000_000);
        world.settle();
    }
    assert!(world.have_committed(&targets), "not everything was committed");
    cost
}

/// Live bytes per member: fresh, then elected and at rest.
pub(crate) fn memory(groups: u64, members: u64) -> serde_json::Value {
    let per_member = |bytes: u64| bytes as f64 / (groups * members) as f64;
    let before = bench_counting::live_bytes();
    let mut world = World::new(groups, members, false, true);
    // What the harness keeps beside each group is not the group's.
    let harness = (size_of::<Seated>() - size_of::<Group>()) as f64;
    let fresh = per_member(bench_counting::live_bytes() - before) - harness;
    world.elect();
    world.settle();
    (world.sent, world.arriving) = (Vec::new(), Vec::new());
    let elected = per_member(bench_counting::live_bytes() - before) - harness;
    let log: usize = world.seats.iter().map(|seated| seated.group.log_bytes()).sum();
    let log = per_member(log as u64);
    serde_json::json!({ "struct": size_of::<Group>(), "fresh": fresh, "elected": elected,
                        "log": log })
}
