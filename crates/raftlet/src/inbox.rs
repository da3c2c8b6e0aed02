//! What handles and the transport leave for the shard loop.
//!
//! Nobody but the loop touches a group: callers and transport enqueue here and
//! wake it. Each group has a lane; the lanes that hold something stand in a
//! ring, and a turn goes round the ring taking a share of each, so one busy
//! group delays another by one share and never starves it.
//!
//! Invariants
//! - Messages are bounded in number and bytes, and one group holds at most a
//!   quarter of the bytes: what does not fit is dropped and counted, and the
//!   protocol repairs.
//! - Reads are bounded in number: more are refused as busy. Proposals are
//!   bounded by the shard's budget (`proposal.rs`), which counts them until
//!   they end.
//! - A lane stands in the ring exactly when it is not empty.

use std::collections::VecDeque;

use crate::error::ReadError;
use crate::options::ShardOptions;
use crate::proposal::Proposal;
use crate::reads::ReadJob;
use crate::timers::Slot;
use raftlet_core::{Body, Member, Membership, Message, Sender, mutants};

/// What a message costs beside its payload, in bytes.
const MESSAGE_OVERHEAD_BYTES: usize = 128;

/// Inputs of one group that wait for a turn.
pub(crate) struct Lane<R, M> {
    pub(crate) messages: VecDeque<(Sender, Message)>,
    pub(crate) proposals: VecDeque<Proposal<R>>,
    pub(crate) reads: Vec<ReadJob<M>>,
    message_bytes: usize,
    queued: bool,
}

impl<R, M> Lane<R, M> {
    const fn new() -> Self {
        Self {
            messages: VecDeque::new(),
            proposals: VecDeque::new(),
            reads: Vec::new(),
            message_bytes: 0,
            queued: false,
        }
    }

    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.proposals.is_empty() && self.reads.is_empty()
    }
}

/// The lanes of one shard.
pub(crate) struct Lanes<R, M> {
    lanes: Vec<Lane<R, M>>,
    ring: VecDeque<Slot>,
    messages: usize,
    message_bytes: usize,
    messages_max: usize,
    message_bytes_max: usize,
    /// Reads accepted by the shard and not ended.
    reads: usize,
    reads_max: usize,
    dropped: u64,
}

impl<R, M> Lanes<R, M> {
    pub(crate) const fn new(options: &ShardOptions) -> Self {
        Self {
            lanes: Vec::new(),
            ring: VecDeque::new(),
            messages: 0,
            message_bytes: 0,
            messages_max: options.inbox_messages_max,
            message_bytes_max: options.inbox_bytes_max,
            reads: 0,
            reads_max: options.reads_max,
            dropped: 0,
        }
    }

    /// A lane for one more group; lanes are numbered like groups' slots.
    pub(crate) fn add(&mut self) -> Slot {
        self.lanes.push(Lane::new());
        self.lanes.len() - 1
    }

    /// Whether no lane holds anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Messages that wait, and their bytes.
    pub(crate) const fn fill(&self) -> (usize, usize) {
        (self.messages, self.message_bytes)
    }

    /// Reads without outcome.
    pub(crate) const fn reads(&self) -> usize {
        self.reads
    }

    /// Messages dropped for want of room or of a group.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A message for nobody here.
    pub(crate) const fn drop_one(&mut self) {
        self.dropped += 1;
    }

    pub(crate) fn push_message(&mut self, slot: Slot, from: Sender, message: Message) {
        let bytes = message_bytes(&message);
        let Some(lane) = self.lanes.get_mut(slot) else {
            self.dropped += 1;
            return;
        };
        let fits = self.messages < self.messages_max
            && bytes <= self.message_bytes_max - self.message_bytes
            && lane.message_bytes + bytes <= self.message_bytes_max / 4;
        if !fits {
            self.dropped += 1;
            return;
        }
        self.messages += 1;
        self.message_bytes += bytes;
        lane.message_bytes += bytes;
        lane.messages.push_back((from, message));
        self.enqueue(slot);
    }

    /// Adds a proposal that the budget has admitted.
    pub(crate) fn push_proposal(&mut self, slot: Slot, proposal: Proposal<R>) {
        if let Some(lane) = self.lanes.get_mut(slot) {
            lane.proposals.push_back(proposal);
            self.enqueue(slot);
        }
    }

    /// Adds a read, or says that there are too many; then the job comes back.
    pub(crate) fn push_read(
        &mut self,
        slot: Slot,
        job: ReadJob<M>,
    ) -> Result<(), (ReadJob<M>, ReadError)> {
        let limit = self.reads_max;
        if self.reads >= limit {
            return Err((job, ReadError::Busy { limit }));
        }
        let Some(lane) = self.lanes.get_mut(slot) else {
            return Err((job, ReadError::Stopped));
        };
        self.reads += 1;
        lane.reads.push(job);
        self.enqueue(slot);
        Ok(())
    }

    /// So many reads have ended.
    pub(crate) fn release_reads(&mut self, ended: usize) {
        assert!(ended <= self.reads, "a read ended twice");
        self.reads -= ended;
    }

    /// The next lane of the ring, taken out of it. Its messages are to be
    /// taken by [`Lanes::take_message`]; then `put_back` it.
    pub(crate) fn next(&mut self) -> Option<Slot> {
        let slot = self.ring.pop_front()?;
        if let Some(lane) = self.lanes.get_mut(slot) {
            lane.queued = false;
        }
        Some(slot)
    }

    pub(crate) fn lane(&mut self, slot: Slot) -> Option<&mut Lane<R, M>> {
        self.lanes.get_mut(slot)
    }

    /// The lane's first message and its bytes.
    pub(crate) fn take_message(&mut self, slot: Slot) -> Option<(Sender, Message, usize)> {
        let lane = self.lanes.get_mut(slot)?;
        let (from, message) = lane.messages.pop_front()?;
        let bytes = message_bytes(&message);
        lane.message_bytes -= bytes;
        self.message_bytes -= bytes;
        self.messages -= 1;
        Some((from, message, bytes))
    }

    /// Puts a lane back at the end of the ring if it still holds something.
    pub(crate) fn put_back(&mut self, slot: Slot) {
        if self.lanes.get(slot).is_some_and(|lane| !lane.is_empty()) {
            self.enqueue(slot);
            if mutants::is_active(73) {
                self.ring.rotate_right(1);
            }
        }
    }

    fn enqueue(&mut self, slot: Slot) {
        if let Some(lane) = self.lanes.get_mut(slot)
            && !lane.queued
        {
            lane.queued = true;
            self.ring.push_back(slot);
        }
    }
}

/// Bytes that a message holds in memory, roughly. Alike at push and take.
pub(crate) fn message_bytes(message: &Message) -> usize {
    let payload = match &message.body {
        Body::Append(append) => append.entries.bytes_len(),
        Body::Forward(forward) => {
            forward.commands.iter().map(|command| command.len() + size_of::<bytes::Bytes>()).sum()
        }
        Body::VoteRequest(request) => request.address.len(),
        Body::Membership(said) => membership_bytes(said),
        Body::Snapshot(part) => part.bytes.len(),
        Body::Ack(_)
        | Body::VoteReply(_)
        | Body::Probe
        | Body::NotLeader { .. }
        | Body::Read { .. }
        | Body::ReadReply { .. }
        | Body::TakeOver { .. }
        | Body::Checkpoint(_)
        | Body::SnapshotAck(_)
        | Body::ForwardReply(_) => 0,
    };
    MESSAGE_OVERHEAD_BYTES + payload
}

/// What a set of members takes, roughly; the rest is part of the overhead.
fn membership_bytes(said: &Membership) -> usize {
    match said {
        Membership::Ask { target, .. } => {
            target.members().iter().map(|m| size_of::<Member>() + m.address.len()).sum()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::Lanes;
    use crate::options::ShardOptions;
    use raftlet_core::{Body, Forward, Generation, Message, Sender, Term};

    fn lanes(groups: usize) -> Lanes<u64, u64> {
        let options = ShardOptions {
            inbox_messages_max: 6,
            inbox_bytes_max: 4_000,
            reads_max: 2,
            ..ShardOptions::default()
        };
        let mut lanes = Lanes::new(&options);
        for _ in 0..groups {
            lanes.add();
        }
        lanes
    }

    fn message(bytes: usize) -> Message {
        Message {
            generation: Generation::new(1),
            term: Term::new(1),
            body: Body::Forward(Forward {
                first_sequence: 1,
                commands: vec![vec![0; bytes].into()],
            }),
        }
    }

    fn push(lanes: &mut Lanes<u64, u64>, slot: usize, bytes: usize) {
        lanes.push_message(slot, Sender::default(), message(bytes));
    }

    #[test]
    fn messages_beyond_the_limits_are_dropped_and_counted() {
        let mut lanes = lanes(2);
        for _ in 0..7 {
            push(&mut lanes, 0, 1);
        }
        assert_eq!(lanes.dropped(), 1, "the seventh of six");
        while lanes.take_message(0).is_some() {}
        push(&mut lanes, 1, 900);
        assert_eq!(lanes.dropped(), 2, "more than a quarter of the bytes");
        push(&mut lanes, 1, 700);
        assert!(lanes.take_message(1).is_some(), "what was taken makes room");
    }

    #[test]
    fn the_ring_goes_round_the_groups_that_hold_something() {
        let mut lanes = lanes(3);
        push(&mut lanes, 2, 1);
        push(&mut lanes, 2, 1);
        push(&mut lanes, 0, 1);
        for expected in [2, 0, 2] {
            let slot = lanes.next().unwrap();
            assert_eq!(slot, expected);
            assert!(lanes.take_message(slot).is_some());
            lanes.put_back(slot);
        }
        assert!(lanes.next().is_none() && lanes.is_empty());
    }

    #[test]
    fn reads_beyond_the_limit_are_refused_until_some_ended() {
        let mut lanes = lanes(1);
        let mut read = || lanes.push_read(0, Box::new(|_| ())).is_ok();
        assert!(read() && read() && !read());
        lanes.release_reads(1);
        assert!(lanes.push_read(0, Box::new(|_| ())).is_ok());
    }
}
