//! Snapshots within the turn: begun, sent, received, installed.
//!
//! Bytes never pass through a turn except as parts of messages: tasks beside
//! the loop write files, read them and feed machines. Here is what they share
//! with the loop.
//!
//! ```text
//! applied ─▶ Work::Snapshot ─▶ take ─▶ Taken ─▶ core.compact
//! Output.snapshots ─▶ send ─▶ parts … acks ─▶ Sent ─▶ core.on_snapshot_ended
//! part ─▶ receive ─▶ file ─▶ Received ─▶ core.on_snapshot
//! Output.install ─▶ Work::Restore ─▶ Restored
//! ```
//!
//! Invariants
//! - Of parts at most [`PARTS_AHEAD`] wait on either side of a transfer
//!   (rule 42), and a shard has few transfers at once.
//! - A part counts only from the leader of the present term, in order, of a
//!   snapshot that is news. All others cost their repetition.
//! - A transfer from a leader ends: with the group's part in it (halted, removed,
//!   ahead of it), or when nothing comes and another waits for its place.
//!
//! Not here: when one is due (`snapshot.rs`), what the protocol makes of it
//! (core).

mod cut;
mod receive;
mod send;
mod take;

use std::collections::VecDeque;
use std::task::Waker;

use crate::applier::Start;
use crate::couriers::{Couriers, Receiving, Restored};
use crate::effects::{Courier, Work};
use crate::error::SnapshotError;
use crate::observe::Note;
use crate::port::{GroupInfo, SnapshotMeta, StateMachine, StorageError};
use crate::reopening::Lost;
use crate::shard::state::{Phase, State};
use crate::snapshot::{Asked, head};
use crate::status::{SnapshotFills, SnapshotProgress, SnapshotsStatus};
use crate::timers::Slot;
use raftlet_core::{
    Body, Index, LogId, Message, NodeId, Now, Sender, SnapshotAck, SnapshotOutcome, SnapshotPart,
    crc32c,
};

/// Parts sent ahead of the last that is known to have arrived, and parts that
/// wait to be written: with 256 KiB each, 1 MiB, some 10 ms of a slow link.
pub(super) const PARTS_AHEAD: u64 = 4;
/// How long a shard takes no snapshot in after storage did not take one: each
/// attempt may write all the room that there is.
const RECEIVE_REST_NS: u64 = 1_000_000_000;
/// Snapshots that a shard writes at once: each costs the machine's copies.
const TAKES_MAX: usize = 1;
/// Callers that wait for one snapshot.
const ASKED_MAX: usize = 64;

/// What of a message concerns transfers.
pub(super) enum Piece {
    Part(SnapshotPart),
    Ack(SnapshotAck),
}

impl Piece {
    pub(super) fn of(body: &Body) -> Option<Self> {
        match body {
            Body::Snapshot(part) => Some(Self::Part(part.clone())),
            Body::SnapshotAck(ack) => Some(Self::Ack(*ack)),
            _ => None,
        }
    }
}

/// How sending goes on.
pub(super) enum Go {
    /// Nobody wants it any more, or it is done.
    Home,
    /// With this part.
    On { wanted: u64 },
}

impl<M: StateMachine> State<M> {
    // ---- taken here

    /// Takes an asking in, or gives it back with the reason.
    pub(crate) fn accept_snapshot(
        &mut self,
        slot: Slot,
        asked: Asked,
    ) -> Option<(Asked, SnapshotError)> {
        let is_ended = matches!(self.phase, Phase::Ended(_));
        let Some(member) = self.members.get_mut(slot).filter(|_| !is_ended) else {
            return Some((asked, SnapshotError::Stopped));
        };
        if let Some(halt) = &member.halted {
            return Some((asked, SnapshotError::Halted(halt.clone())));
        }
        if let Err(asked) = member.policy.ask(asked, ASKED_MAX) {
            let detail = format!("{ASKED_MAX} callers wait for it already");
            return Some((asked, SnapshotError::Failed { detail }));
        }
        self.mark_dirty(slot);
        None
    }

    /// Begins a snapshot if one is due and the machine is at hand.
    fn begin_snapshot(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.members.get_mut(slot) else {
            return;
        };
        let (applied, base) = (member.applier.applied(), member.core.base().index);
        let current = member.core.snapshot().index;
        let may_be_cut = member.policy.is_in_the_way(now.time, base, applied);
        let is_in_the_way = may_be_cut && !self.is_spared(now.time, slot);
        let Some(member) = self.members.get_mut(slot) else {
            return;
        };
        let reach = member.applier.reach();
        let is_due = is_in_the_way || member.policy.is_due(now.time, reach, &self.options);
        if !is_due || member.halted.is_some() || member.applier.is_installing() {
            return;
        }
        if is_in_the_way && member.core.cut_tail(now, member.policy.pinned()) {
            self.note_unheld(now.time, slot);
            self.mark_dirty(slot);
            return;
        }
        if !member.applier.is_level() {
            return;
        }
        if applied <= current {
            let asked = member.policy.take_asked();
            self.due.snapshots_ended.extend(asked.into_iter().map(|asked| (asked, Ok(current))));
            return;
        }
        if applied > member.core.durable_index() {
            return;
        }
        let Some(meta) = meta_of(member, applied) else {
            return;
        };
        if self.couriers.taking >= TAKES_MAX {
            if !self.couriers.takes_waiting.contains(&slot) {
                self.couriers.takes_waiting.push_back(slot);
            }
            return;
        }
        let group = GroupInfo { group: member.group, generation: member.core.seat().generation };
        if let Some(machine) = member.applier.lend() {
            member.policy.begin();
            self.couriers.taking += 1;
            self.due.work.push_back(Work::Snapshot { slot, machine, group, meta });
        }
    }

    /// A snapshot is written, or not.
    pub(super) fn on_taken(&mut self, now: Now, slot: Slot, result: Result<LogId, SnapshotError>) {
        self.couriers.taking -= 1;
        let next = self.couriers.takes_waiting.pop_front();
        next.into_iter().for_each(|next| self.mark_dirty(next));
        let (Some(stay), Some(member)) = (self.stay(now.time, slot), self.members.get_mut(slot))
        else {
            return;
        };
        let (asked, outcome) = match result {
            Ok(last) => {
                let base = member.policy.base(last, stay, &member.core, &self.options);
                // A file that is no news any more is a leftover of storage.
                member.core.compact(now, last, base);
                self.counters.snapshots_taken += 1;
                let current = member.core.snapshot().index;
                (member.policy.on_taken(last.index), Ok(current))
            }
            Err(error) => {
                if error != SnapshotError::Unsupported {
                    self.counters.snapshots_failed += 1;
                    let (group, times) = (member.group, self.counters.snapshots_failed);
                    if times.is_power_of_two() {
                        self.due.notes.push(Note::NotTaken { group, why: error.clone(), times });
                    }
                }
                (member.policy.on_failed(now.time, &error), Err(error))
            }
        };
        let ended = asked.into_iter().map(|asked| (asked, outcome.clone()));
        self.due.snapshots_ended.extend(ended);
        self.note_unheld(now.time, slot);
        self.mark_dirty(slot);
    }

    /// The machine came back from being restored.
    pub(super) fn on_restored(&mut self, now: Now, slot: Slot, restored: Restored<M>) {
        let Some(member) = self.members.get_mut(slot) else {
            return;
        };
        match restored.result {
            Ok(start) => member.on_restored(restored.machine, start, &mut self.due),
            Err(halt) => {
                member.applier.give_back(restored.machine);
                self.halt_or_reopen(now, slot, halt, Lost::Snapshot);
            }
        }
        self.mark_dirty(slot);
    }

    /// What a drain and the turn leave to do for a member's snapshots.
    pub(super) fn mind_snapshots(&mut self, now: Now, slot: Slot, wanted: Vec<NodeId>) {
        self.begin_snapshot(now, slot);
        for to in wanted {
            self.want_sent(slot, to);
        }
        if self.is_carrying() {
            self.tend_receiving(slot);
        }
    }

    // ---- sent

    /// The core wants its snapshot sent to a member.
    fn want_sent(&mut self, slot: Slot, to: NodeId) {
        let key = (slot, to);
        if !self.couriers.sends.contains_key(&key) && !self.couriers.waiting.contains(&key) {
            self.couriers.waiting.push_back(key);
        }
        self.start_sends();
    }

    fn start_sends(&mut self) {
        while self.couriers.sends.len() < self.options.snapshot_transfers_max {
            let Some((slot, to)) = self.couriers.waiting.pop_front() else {
                return;
            };
            let Some(member) = self.members.get(slot) else {
                continue;
            };
            let (group, generation) = (member.group, member.core.seat().generation);
            let (last, bytes) = (member.core.snapshot().index, member.policy.taken_bytes());
            self.couriers.begin_sending(self.now.time, (slot, to), last, bytes);
            let group = GroupInfo { group, generation };
            self.due.couriers.push(Courier::Send { slot, group, to });
        }
    }

    /// What the sender is to do; it says what it sends.
    pub(super) fn go_on_sending(&mut self, at: (Slot, NodeId), last: LogId, parts: u64) -> Go {
        let is_over = matches!(self.phase, Phase::Ended(_));
        let member = self.members.get(at.0).filter(|member| !is_over && member.halted.is_none());
        let is_wanted = member.is_some_and(|member| member.core.awaits_snapshot(at.1));
        match self.couriers.sends.get_mut(&at).filter(|_| is_wanted) {
            Some(sending) if !sending.is_answered => {
                (sending.last, sending.parts) = (last, parts);
                Go::On { wanted: sending.wanted }
            }
            _ => Go::Home,
        }
    }

    /// Whether there is news for a sender that knows of `wanted`; else it is
    /// woken when there is. Gives what must be dropped outside.
    pub(super) fn has_moved(
        &mut self,
        at: (Slot, NodeId),
        wanted: u64,
        waker: &Waker,
    ) -> (bool, Option<Waker>) {
        match self.couriers.sends.get_mut(&at) {
            Some(sending) if !sending.is_answered && sending.wanted <= wanted => {
                (false, sending.waker.replace(waker.clone()))
            }
            _ => (true, None),
        }
    }

    /// A message of this group's present term, if the group may send any.
    pub(super) fn snapshot_message(&self, slot: Slot, body: Body) -> Option<Message> {
        let core = &self.members.get(slot).filter(|member| member.halted.is_none())?.core;
        let generation = core.seat().generation;
        core.is_term_durable().then(|| Message { generation, term: core.term(), body })
    }

    /// Sending is over. What a snapshot held that cannot be read the machine has: it
    /// is written down again.
    pub(super) fn on_sent(
        &mut self,
        now: Now,
        (slot, to): (Slot, NodeId),
        flaw: Option<StorageError>,
    ) {
        self.couriers.end_sending((slot, to));
        if let Some(member) = self.members.get_mut(slot) {
            member.core.on_snapshot_ended(now, to);
            if let Some(why) = flaw.filter(|_| member.halted.is_none() && member.policy.renew()) {
                self.due.notes.push(Note::Outlived { group: member.group, why });
            }
        }
        self.mark_dirty(slot);
        self.start_sends();
    }

    fn on_snapshot_ack(&mut self, at: (Slot, NodeId), ack: &SnapshotAck) {
        let Some(sending) = self.couriers.sends.get_mut(&at).filter(|s| s.last == ack.last) else {
            return;
        };
        match ack.outcome {
            SnapshotOutcome::Wants { number } if number <= sending.parts => {
                // It may have lost what it had, with its process.
                sending.wanted = number;
            }
            SnapshotOutcome::Wants { .. } => return,
            SnapshotOutcome::Installed | SnapshotOutcome::Refused => sending.is_answered = true,
        }
        self.due.wakers.extend(sending.waker.take());
    }

    // ---- received

    /// What a message held beside what the core has taken of it.
    pub(super) fn on_piece(&mut self, slot: Slot, from: Sender, message: (u64, u64), piece: Piece) {
        let Some(member) = self.members.get(slot) else {
            return;
        };
        let core = &member.core;
        let is_current = (core.seat().generation.get(), core.term().get()) == message;
        match piece {
            Piece::Ack(ack) if is_current => self.on_snapshot_ack((slot, from.node), &ack),
            Piece::Part(part) if is_current => self.on_part(slot, from.node, part),
            _ => {}
        }
    }

    fn on_part(&mut self, slot: Slot, from: NodeId, part: SnapshotPart) {
        let Some(member) = self.members.get(slot) else {
            return;
        };
        let (last, number) = (part.last, part.number);
        if !member.core.expects_snapshot(from, member.core.term(), last) {
            self.counters.snapshot_parts_dropped += 1;
            let is_installing =
                self.couriers.receives.get(&slot).is_some_and(|receiving| receiving.last == last);
            if !is_installing {
                self.answer_part(slot, from, last, SnapshotOutcome::Refused);
            }
            return;
        }
        if checksum(number, &part.bytes) != part.checksum {
            self.counters.snapshot_parts_dropped += 1;
            return;
        }
        match self.couriers.receives.get_mut(&slot) {
            Some(receiving) if (receiving.from, receiving.last) == (from, last) => {
                let ahead = receiving.next() - receiving.written;
                if number == receiving.next() && ahead < PARTS_AHEAD {
                    receiving.moved_at = self.now.time;
                    receiving.queue.push_back(part);
                    self.due.wakers.extend(receiving.waker.take());
                    return;
                }
                // Twice, or one is missing: the sender does not know how far it
                // is, as after a break.
                self.counters.snapshot_parts_dropped += 1;
                let outcome = SnapshotOutcome::Wants { number: receiving.written };
                self.answer_part(slot, from, last, outcome);
            }
            former => {
                if self.now.time < self.couriers.receives_rest_until {
                    self.counters.snapshot_parts_dropped += 1;
                    return;
                }
                let is_new = former.is_none();
                let mut room = self.couriers.receives.len() < self.options.snapshot_transfers_max;
                if is_new
                    && !room
                    && number == 0
                    && let Some(forsaken) = self.couriers.forsaken(self.now.time)
                {
                    self.due.wakers.extend(self.couriers.give_up_receiving(forsaken));
                    room = true;
                }
                if number > 0 {
                    self.answer_part(slot, from, last, SnapshotOutcome::Wants { number: 0 });
                } else if room || !is_new {
                    self.begin_receiving(slot, from, part);
                } else {
                    self.counters.snapshot_parts_dropped += 1;
                }
            }
        }
    }

    fn begin_receiving(&mut self, slot: Slot, from: NodeId, head: SnapshotPart) {
        let Some(member) = self.members.get(slot) else {
            return;
        };
        let group = GroupInfo { group: member.group, generation: member.core.seat().generation };
        self.couriers.receives_begun += 1;
        let number = self.couriers.receives_begun;
        let last = head.last;
        let receiving = Receiving {
            number,
            from,
            last,
            parts: 0,
            written: 0,
            queue: VecDeque::from([head]),
            is_installed: false,
            moved_at: self.now.time,
            waker: None,
        };
        // The task of a former one finds itself replaced.
        let former = self.couriers.receives.insert(slot, receiving);
        self.due.wakers.extend(former.and_then(|former| former.waker));
        self.due.couriers.push(Courier::Receive { slot, group, number });
    }

    fn answer_part(&mut self, slot: Slot, to: NodeId, last: LogId, outcome: SnapshotOutcome) {
        let body = Body::SnapshotAck(SnapshotAck { last, outcome });
        let group = self.members.get(slot).map(|member| member.group);
        if let (Some(message), Some(group)) = (self.snapshot_message(slot, body), group) {
            self.due.send(to, group, message);
        }
    }

    /// The next part for the task `number` of a group, if it is still wanted:
    /// `None` where it is to wait.
    #[expect(clippy::option_option, reason = "to wait, to give up, or to go on")]
    pub(super) fn take_part(
        &mut self,
        (slot, number): (Slot, u64),
        waker: &Waker,
    ) -> (Option<Option<SnapshotPart>>, Option<Waker>) {
        let is_over = matches!(self.phase, Phase::Ended(_));
        let receiving = self.couriers.receives.get_mut(&slot);
        let Some(receiving) = receiving.filter(|r| r.number == number && !is_over) else {
            return (Some(None), None);
        };
        match receiving.queue.front() {
            Some(part) => (Some(Some(part.clone())), None),
            None => (None, receiving.waker.replace(waker.clone())),
        }
    }

    /// The task has written the part that it took, the first of `parts`.
    pub(super) fn on_part_written(&mut self, (slot, number): (Slot, u64), parts: u64) {
        let receiving = self.couriers.receives.get_mut(&slot);
        let Some(receiving) = receiving.filter(|receiving| receiving.number == number) else {
            return;
        };
        receiving.parts = parts;
        receiving.moved_at = self.now.time;
        receiving.queue.pop_front();
        receiving.written += 1;
        let (to, last, wanted) = (receiving.from, receiving.last, receiving.written);
        self.answer_part(slot, to, last, SnapshotOutcome::Wants { number: wanted });
    }

    /// The file of a received snapshot is finished, or will not be.
    pub(super) fn on_received(
        &mut self,
        now: Now,
        (slot, number): (Slot, u64),
        result: Result<Option<SnapshotMeta>, StorageError>,
    ) {
        let meta = match result {
            Ok(meta) => meta,
            Err(why) => {
                self.on_not_received(now, slot, why);
                None
            }
        };
        let receiving = self.couriers.receives.get_mut(&slot);
        let (Some(receiving), Some(member)) =
            (receiving.filter(|r| r.number == number), self.members.get_mut(slot))
        else {
            return;
        };
        let snapshot = meta.as_ref().and_then(head::of_core);
        let is_sound = meta.is_some_and(|meta| Start::behind(&meta).is_some());
        let taken = snapshot.filter(|_| is_sound && member.halted.is_none());
        if taken.is_some_and(|snapshot| member.core.on_snapshot(now, &snapshot)) {
            receiving.is_installed = true;
        } else {
            self.couriers.receives.remove(&slot);
        }
        self.mark_dirty(slot);
    }

    /// Storage did not take a snapshot that came from a leader. The leader goes on
    /// asking; meanwhile the room that was taken is given back.
    fn on_not_received(&mut self, now: Now, slot: Slot, why: StorageError) {
        self.counters.snapshots_not_received += 1;
        let times = self.counters.snapshots_not_received;
        self.couriers.receives_rest_until = now.time.after_ns(RECEIVE_REST_NS);
        if let Some(member) = self.members.get(slot).filter(|_| times.is_power_of_two()) {
            let group = member.group;
            self.due.notes.push(Note::NotReceived { group, why, times });
        }
    }

    /// Announces what became durable, forgets what is no news any more.
    fn tend_receiving(&mut self, slot: Slot) {
        let (Some(receiving), Some(member)) =
            (self.couriers.receives.get(&slot), self.members.get(slot))
        else {
            return;
        };
        let (to, last) = (receiving.from, receiving.last);
        if member.halted.is_some() {
            self.due.wakers.extend(self.couriers.give_up_receiving(slot));
        } else if receiving.is_installed {
            if member.core.durable_snapshot().index >= last.index {
                self.couriers.receives.remove(&slot);
                self.answer_part(slot, to, last, SnapshotOutcome::Installed);
            }
        } else if member.core.commit_index() >= last.index {
            self.due.wakers.extend(self.couriers.give_up_receiving(slot));
        }
    }

    fn is_carrying(&self) -> bool {
        !self.couriers.receives.is_empty()
    }

    /// How much of the bounds is taken.
    pub(crate) fn snapshot_fills(&self) -> SnapshotFills {
        let Couriers { sends, receives, waiting, taking, takes_waiting, holds, .. } =
            &self.couriers;
        let ahead = usize::try_from(PARTS_AHEAD).unwrap_or(usize::MAX);
        let transfers_max = self.options.snapshot_transfers_max;
        SnapshotFills {
            taking: *taking,
            taking_max: TAKES_MAX,
            takes_waiting: takes_waiting.len(),
            sending: sends.len(),
            receiving: receives.len(),
            transfers_max,
            sends_waiting: waiting.len(),
            logs_held: holds.len(),
            parts_waiting: receives.values().map(|receiving| receiving.queue.len()).sum(),
            parts_waiting_max: ahead.saturating_mul(transfers_max),
            parts_sending: sends.values().map(|sending| sending.parts).sum(),
            parts_sent: sends.values().map(|sending| sending.wanted).sum(),
            parts_receiving: receives.values().map(|receiving| receiving.parts).sum(),
            parts_received: receives.values().map(|receiving| receiving.written).sum(),
        }
    }

    /// Progress, for operators.
    pub(crate) fn snapshots_status(&self, slot: Slot) -> SnapshotsStatus {
        let sends = self.couriers.sends.iter().filter(|((of, _), _)| *of == slot);
        SnapshotsStatus {
            is_taking: self.members.get(slot).is_some_and(|member| member.policy.is_taking()),
            sending: sends
                .map(|((_, node), sending)| SnapshotProgress {
                    node: *node,
                    last: sending.last.index,
                    parts_done: sending.wanted,
                    parts: sending.parts,
                })
                .collect(),
            receiving: self.couriers.receives.get(&slot).map(|receiving| SnapshotProgress {
                node: receiving.from,
                last: receiving.last.index,
                parts_done: receiving.written,
                parts: receiving.parts,
            }),
        }
    }
}

/// What a snapshot of a machine that has applied up to `applied` says of itself.
fn meta_of<M: StateMachine>(
    member: &crate::member::Member<M>,
    applied: Index,
) -> Option<SnapshotMeta> {
    let term = member.core.term_at(applied)?;
    let (configuration_index, configuration) = member.core.configuration_at(applied)?;
    let mut encoded = Vec::new();
    configuration.encode(&mut encoded);
    let (library, log_time_ms) = member.applier.library();
    Some(SnapshotMeta {
        last: LogId { term, index: applied },
        configuration_index,
        configuration: encoded.into(),
        log_time_ms,
        library: library.into(),
    })
}

/// As `SnapshotPart::checksum` says.
pub(super) fn checksum(number: u64, bytes: &[u8]) -> u32 {
    crc32c(u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX), bytes)
}
