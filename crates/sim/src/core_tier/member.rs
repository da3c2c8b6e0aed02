//! One member: a core, what it has on disk, and what its driver remembers.
//!
//! The disk works like a real one behind one shared log: what the core hands
//! out waits in order, some of it is being written, and becomes durable only
//! when that write ends. The core is told later still, one by one or only of
//! the last. A crash keeps a prefix of what was handed out and not durable.
//!
//! Not here: when things happen (`world.rs`), whether they may (`judge.rs`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use bytes::Bytes;

use super::clock::Clock;
use super::image::{Change, Image, Taken};
use super::keeper::Keeper;
use crate::random::Random;
use raftlet::core::{
    Entries, Fetch, Group, HardState, Incarnation, Index, LogId, NodeId, Output, ReadId, Role, Run,
    Sender, Term, Ticket,
};

/// A seat of the group and everything in it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) run: Run,
    /// `None` while it is down.
    pub(crate) group: Option<Group>,
    /// What the core has handed out, durable or not.
    pub(crate) written: Image,
    /// What survives a loss of power.
    pub(crate) durable: Image,
    /// What the disk held before entries of it were damaged, until they are
    /// there again.
    pub(crate) lost: Vec<Lost>,
    /// Damage of its current snapshot that shows when that is read.
    pub(crate) rot: Option<Rot>,
    /// What its machine keeps over a restart, if it does.
    pub(crate) keeper: Option<Keeper>,
    /// Every vote that was ever durable here.
    pub(crate) durable_votes: BTreeMap<Term, NodeId>,
    pub(crate) disk: Disk,
    pub(crate) clock: Clock,
    /// Stands still until then, true time.
    pub(crate) paused_until: u64,
    /// When its deadline will be looked at next.
    pub(crate) wake_at: Option<u64>,
    /// Inputs since the last drain.
    pub(crate) inputs: u32,
    /// A drain is owed.
    pub(crate) owes_turn: bool,
    pub(crate) view: View,
    pub(crate) driver: Driver,
}

/// What a member held before its disk lost a part of it.
#[derive(Debug)]
pub(crate) struct Lost {
    image: Image,
    /// In which term.
    term: Term,
}

/// A damaged chunk of a snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rot {
    /// The last entry of that snapshot.
    pub(crate) of: LogId,
    /// It was read: the next start finds the snapshot damaged.
    pub(crate) is_met: bool,
}

/// What the last drain showed of the core.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) role: Option<Role>,
    pub(crate) term: Term,
    pub(crate) leader: Option<NodeId>,
    pub(crate) commit: Index,
    /// Where the configuration in effect stood.
    pub(crate) configuration: Index,
    pub(crate) ticket: Ticket,
    /// Deadlines obeyed in a row without moving the next one.
    pub(crate) stuck_deadlines: u32,
    /// Whom it heard last as leader, of which term, when on its own clock.
    pub(crate) heard: Option<(NodeId, Term, u64)>,
    /// As leader, per seat: since when its own messages there are unanswered,
    /// on its own clock.
    pub(crate) unanswered: Vec<Option<u64>>,
}

/// What a driver would remember of one run.
#[derive(Debug, Default)]
pub(crate) struct Driver {
    pub(crate) applied: Index,
    /// Digest of what was applied.
    pub(crate) applied_digest: u64,
    /// The machine had that when it started: it is not given it again.
    pub(crate) has_applied: Index,
    /// Entries were missing when this run began.
    pub(crate) began_harmed: bool,
    pub(crate) is_applying: bool,
    /// The machine is to be restored from this snapshot first.
    pub(crate) installing: Option<LogId>,
    /// Snapshot files that are finished; after a crash all but the current one
    /// are leftovers.
    pub(crate) files: BTreeMap<LogId, Rc<Taken>>,
    /// The file that is being written, if one is.
    pub(crate) taking: Option<Rc<Taken>>,
    pub(crate) next_read: ReadId,
    pub(crate) reads: BTreeMap<ReadId, Read>,
    /// Given up while a drain was owed that may hold their answers.
    pub(crate) forgotten: BTreeSet<ReadId>,
    pub(crate) next_fetch: u64,
    pub(crate) fetches: BTreeMap<u64, FetchUnderWay>,
    /// Proposals appended here: index to (term, command).
    pub(crate) local: BTreeMap<Index, (Term, u64)>,
    pub(crate) next_sequence: u64,
    /// Proposals forwarded from here, by their first sequence.
    pub(crate) forwards: BTreeMap<u64, Forwarded>,
    /// Sequences that were applied here, so that a second copy is noticed.
    pub(crate) sequences_applied: BTreeMap<u64, Index>,
}

/// A read that a client waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    /// The highest index acknowledged or observed when it began.
    pub(crate) floor: Index,
    /// Set when the core gave it an index.
    pub(crate) ready: Option<Index>,
}

/// A fetch under way.
#[derive(Clone, Debug)]
pub(crate) struct FetchUnderWay {
    pub(crate) fetch: Fetch,
    /// The leader's term that asked.
    pub(crate) term: Term,
    /// What storage held when it was asked, for those that answer so.
    pub(crate) early: Option<Entries>,
}

/// Commands that another member was asked to append.
#[derive(Clone, Debug)]
pub(crate) struct Forwarded {
    pub(crate) term: Term,
    pub(crate) leader: usize,
    pub(crate) commands: Vec<Bytes>,
    /// Their numbers; taken out as they are applied.
    pub(crate) numbers: Vec<u64>,
}

/// Writes on their way to the durable image.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Handed out, in order; the first `writing` of them are being written.
    pub(crate) waiting: VecDeque<(Ticket, Change)>,
    pub(crate) writing: usize,
    /// Durable, the core not told.
    pub(crate) untold: VecDeque<Ticket>,
}

impl Member {
    pub(crate) fn new(
        node: NodeId,
        incarnation: Incarnation,
        genesis: &Change,
        clock: Clock,
    ) -> Self {
        let mut image = Image::default();
        image.adopt(genesis);
        Self {
            node,
            incarnation,
            run: Run::new(0),
            group: None,
            written: image.clone(),
            durable: image,
            lost: Vec::new(),
            rot: None,
            keeper: None,
            durable_votes: BTreeMap::new(),
            disk: Disk::default(),
            clock,
            paused_until: 0,
            wake_at: None,
            inputs: 0,
            owes_turn: false,
            view: View::default(),
            driver: Driver::default(),
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.group.is_some()
    }

    /// Up, but its storage has failed: it takes no part any more.
    pub(crate) fn is_halted(&self) -> bool {
        self.group.as_ref().is_some_and(Group::is_halted)
    }

    pub(crate) fn sender(&self) -> Sender {
        Sender { node: self.node, incarnation: self.incarnation, run: self.run }
    }

    /// The first write that waits has become durable.
    pub(crate) fn settle_one(&mut self) {
        let Some((ticket, change)) = self.disk.waiting.pop_front() else {
            return;
        };
        self.durable.adopt(&change);
        if !self.durable.is_harmed() {
            self.lost.clear();
        }
        self.rot = self.rot.filter(|rot| rot.of == self.durable.snapshot_last());
        self.disk.untold.push_back(ticket);
        self.disk.writing = self.disk.writing.saturating_sub(1);
        self.note_vote();
    }

    /// The last term and vote that wait have become durable, nothing else has.
    /// The ticket they went under.
    pub(crate) fn settle_hard_state(&mut self) -> Option<Ticket> {
        let waiting = &mut self.disk.waiting;
        let last = waiting.iter().rposition(|(_, change)| change.hard_state.is_some())?;
        let (ticket, hard_state) = waiting.get(last).map(|(t, change)| (*t, change.hard_state))?;
        self.durable.hard_state = hard_state?;
        for (_, change) in waiting.iter_mut().take(last + 1) {
            change.hard_state = None;
        }
        self.note_vote();
        Some(ticket)
    }

    fn note_vote(&mut self) {
        let HardState { term, vote } = self.durable.hard_state;
        if let Some(vote) = vote {
            self.durable_votes.insert(term, vote);
        }
    }

    /// Everything volatile is gone. Says how many writes were lost.
    pub(crate) fn crash(&mut self, random: &mut Random) -> usize {
        let kept = random.index(self.disk.waiting.len() + 1);
        for _ in 0..kept {
            self.settle_one();
        }
        let lost = self.disk.waiting.len();
        self.group = None;
        self.written = self.durable.clone();
        self.disk = Disk::default();
        self.wake_at = None;
        self.owes_turn = false;
        self.inputs = 0;
        self.view = View::default();
        self.driver = Driver::default();
        lost
    }

    /// The disk of a member that is down has lost the entries from `from` on.
    pub(crate) fn damage(&mut self, from: Index) {
        let term = self.durable.hard_state.term;
        self.lost.push(Lost { image: self.durable.clone(), term });
        self.durable.lose(from);
        self.written = self.durable.clone();
    }

    /// The snapshot of a member that is down is damaged. Whether all is lost with it.
    pub(crate) fn damage_snapshot(&mut self) -> bool {
        let (image, term) = (self.durable.clone(), self.durable.hard_state.term);
        let is_lost = self.durable.lose_snapshot();
        if is_lost {
            self.lost.push(Lost { image, term });
        }
        self.rot = None;
        self.written = self.durable.clone();
        is_lost
    }

    /// Whether something of it is lost, or will be.
    pub(crate) fn is_spoilt(&self) -> bool {
        !self.lost.is_empty() || self.rot.is_some()
    }

    /// The digest of the log up to `index`, durable now or before it was lost: a
    /// leader may count what was acknowledged then (D29).
    pub(crate) fn held_digest(&self, index: Index) -> Option<u64> {
        let lost = || self.lost.iter().rev().find_map(|lost| lost.image.digest(index));
        self.durable.digest(index).or_else(lost)
    }

    /// Whether the log may stand behind a vote: all that was ever held is there
    /// again, or an entry of a term in which the loss was known.
    pub(crate) fn may_vote(&self) -> bool {
        let last = self.durable.last();
        let is_back = |lost: &Lost| last.index >= lost.image.last().index || last.term > lost.term;
        self.lost.iter().all(is_back)
    }

    /// Takes what is due out of the core.
    pub(crate) fn drain(&mut self, out: &mut Output) {
        if let Some(group) = &mut self.group {
            group.drain(out);
        }
    }
}
