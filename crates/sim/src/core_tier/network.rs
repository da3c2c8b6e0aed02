//! The bag of messages on their way, and the links they take.
//!
//! There is no order: every message draws its own delay. Some are kept and
//! delivered long after, to whichever run of the receiver lives then, still
//! under the run that its sender had when it was sent.

use super::plan::NetworkFaults;
use crate::random::Random;
use raftlet::core::{Ack, AckOutcome, Body, Index, Message, Sender, Term};

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) from: Sender,
    /// The receiver's seat.
    pub(crate) to: usize,
    /// The receiver's run when it was sent: for the tally only.
    pub(crate) to_run: u64,
    pub(crate) message: Message,
}

/// Names a flight in the bag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FlightId(usize);

/// Messages, links and what is kept of the past.
#[derive(Debug)]
pub(crate) struct Network {
    flights: Vec<Option<Flight>>,
    free: Vec<usize>,
    archive: Vec<Flight>,
    /// Kept acks for entries that were not committed when they left: what
    /// they claim may be truncated before they arrive.
    tempting: Vec<Flight>,
    /// `cut[from][to]`: messages sent there are lost.
    cut: Vec<Vec<bool>>,
}

/// Messages kept for later; a newer one replaces a random older one.
const ARCHIVE_LEN_MAX: usize = 128;

impl Network {
    pub(crate) fn new(members: usize) -> Self {
        Self {
            flights: Vec::new(),
            free: Vec::new(),
            archive: Vec::new(),
            tempting: Vec::new(),
            cut: vec![vec![false; members]; members],
        }
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut[from][to]
    }

    /// Puts a message into the bag.
    pub(crate) fn launch(&mut self, flight: Flight) -> FlightId {
        if let Some(slot) = self.free.pop() {
            self.flights[slot] = Some(flight);
            return FlightId(slot);
        }
        self.flights.push(Some(flight));
        FlightId(self.flights.len() - 1)
    }

    /// Takes a message out; `None` when the bag was emptied meanwhile.
    pub(crate) fn land(&mut self, id: FlightId) -> Option<Flight> {
        let flight = self.flights.get_mut(id.0)?.take()?;
        self.free.push(id.0);
        Some(flight)
    }

    /// Everything on its way is lost; what was kept is forgotten. The slots
    /// stay taken: arrivals that name them are still to come.
    pub(crate) fn empty(&mut self) {
        self.flights.fill(None);
        self.archive.clear();
        self.tempting.clear();
    }

    /// Keeps a message for later; `committed` is the group's prefix now.
    pub(crate) fn keep(&mut self, random: &mut Random, flight: &Flight, committed: Index) {
        let is_tempting = matches!(
            &flight.message.body,
            Body::Ack(Ack { outcome: AckOutcome::Matches { durable, .. }, .. })
                if *durable > committed
        );
        let kept = if is_tempting { &mut self.tempting } else { &mut self.archive };
        if kept.len() < ARCHIVE_LEN_MAX {
            kept.push(flight.clone());
        } else {
            let slot = random.index(ARCHIVE_LEN_MAX);
            kept[slot] = flight.clone();
        }
    }

    /// A message of the past, once more; it stays kept. Half of the time an
    /// ack that `leader`, at its seat and in its term, must not count.
    pub(crate) fn recall(
        &self,
        random: &mut Random,
        leader: Option<(usize, Term)>,
    ) -> Option<Flight> {
        let tempts = |flight: &&Flight| {
            leader.is_some_and(|(seat, term)| flight.to == seat && flight.message.term < term)
        };
        let tempting = self.tempting.iter().filter(tempts).count();
        if tempting > 0 && random.coin() {
            let nth = random.index(tempting);
            return self.tempting.iter().filter(tempts).nth(nth).cloned();
        }
        if self.archive.is_empty() {
            return None;
        }
        self.archive.get(random.index(self.archive.len())).cloned()
    }

    pub(crate) fn heal(&mut self) {
        for row in &mut self.cut {
            row.fill(false);
        }
    }

    /// Cuts both ways between `seat` and everybody.
    pub(crate) fn isolate(&mut self, seat: usize) {
        for other in 0..self.cut.len() {
            self.cut[seat][other] = other != seat;
            self.cut[other][seat] = other != seat;
        }
    }

    /// Cuts both ways between two members.
    pub(crate) fn part(&mut self, one: usize, other: usize) {
        self.cut[one][other] = true;
        self.cut[other][one] = true;
    }

    /// What `from` tells `to` is lost.
    pub(crate) fn sever_link(&mut self, from: usize, to: usize) {
        self.cut[from][to] = true;
    }

    /// What is sent to `seat` is lost.
    pub(crate) fn deafen(&mut self, seat: usize) {
        for row in &mut self.cut {
            row[seat] = true;
        }
    }

    /// Cuts links in one of the patterns that break clusters in practice.
    pub(crate) fn sever(&mut self, random: &mut Random, leader: Option<usize>) {
        let members = self.cut.len();
        let seat = match leader {
            Some(leader) if random.coin() => leader,
            _ => random.index(members),
        };
        match random.below(6) {
            0 => self.isolate(seat),
            1 => self.split(random.bits()),
            // One way only: it may speak and not hear, or the reverse.
            2 => {
                let deaf = random.coin();
                for other in (0..members).filter(|other| *other != seat) {
                    let (from, to) = if deaf { (other, seat) } else { (seat, other) };
                    self.cut[from][to] = true;
                }
            }
            // A bridge: two sides that meet in one member only.
            3 => {
                self.split(random.bits());
                for other in 0..members {
                    self.cut[seat][other] = false;
                    self.cut[other][seat] = false;
                }
            }
            // A ring: everybody hears its neighbours only.
            4 => {
                for from in 0..members {
                    for to in 0..members {
                        let apart = from.abs_diff(to);
                        self.cut[from][to] = apart > 1 && apart + 1 < members;
                    }
                }
            }
            _ => {
                let other = random.index(members);
                self.cut[seat][other] = other != seat;
            }
        }
    }

    /// Cuts everything between the members whose bit is set and the others.
    fn split(&mut self, sides: u64) {
        let side = |seat: usize| sides >> seat & 1;
        for from in 0..self.cut.len() {
            for to in 0..self.cut.len() {
                self.cut[from][to] = side(from) != side(to);
            }
        }
    }
}

/// How long a message takes under `faults`, nanoseconds.
pub(crate) fn delay(random: &mut Random, faults: &NetworkFaults) -> u64 {
    let usual = 1 + random.below(faults.latency_ns);
    if random.chance(faults.straggle) { usual * random.octaves(2, 1_000) } else { usual }
}

/// The number of a message's kind, from 0.
pub(crate) fn kind(body: &Body) -> u64 {
    match body {
        Body::Append(_) => 0,
        Body::Ack(_) => 1,
        Body::VoteRequest(_) => 2,
        Body::VoteReply(_) => 3,
        Body::Probe => 4,
        Body::NotLeader { .. } => 5,
        Body::Read { .. } => 6,
        Body::ReadReply { .. } => 7,
        Body::Forward(_) => 8,
        Body::ForwardReply(_) | Body::Snapshot(_) | Body::SnapshotAck(_) | Body::Checkpoint(_) => 9,
        Body::TakeOver { .. } => 10,
        Body::Membership(_) => 11,
    }
}
