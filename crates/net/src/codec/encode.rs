//! Message to bytes: fixed fields gathered on the stack, one copy each.
//!
//! Invariant: what [`encoded_bytes`] says is what [`encode_message`] appends;
//! the outbox relies on it to decide before it copies.
//!
//! Not here: the layout's words (`codec.rs`, `docs/wire.md`).

use bytes::{BufMut, BytesMut};

use super::numbers::put_log_id;
use super::{
    ACK_FIXED_BYTES, APPEND_FIXED_BYTES, CHUNK_HEADER_BYTES, HEADER_BYTES, Kind, LENGTH_BYTES,
    MESSAGE_BYTES_MAX, snapshot,
};
use raftlet::Incoming;
use raftlet::core::{
    ADDRESS_BYTES_MAX, Ack, AckOutcome, Append, Body, CHUNK_LEN_MAX, Chunk, Forward,
    ForwardOutcome, ForwardReply, GroupId, Membership, Message, NodeId, PAYLOAD_BYTES_MAX,
    Shortage, VoteKind, VoteReply, VoteRequest,
};

/// Bytes that a message will occupy without its length prefix; `None` when it
/// is beyond the format's limits and cannot be sent.
#[must_use]
pub fn encoded_bytes(message: &Message) -> Option<usize> {
    let fields = match &message.body {
        Body::Append(append) => append_bytes(append),
        Body::Ack(ack) => match ack.outcome {
            AckOutcome::Matches { .. } => ACK_FIXED_BYTES + 16,
            AckOutcome::Rejects { .. } => ACK_FIXED_BYTES + 24,
        },
        Body::VoteRequest(request) => {
            if request.address.len() > ADDRESS_BYTES_MAX {
                return None;
            }
            27 + request.address.len()
        }
        Body::VoteReply(_) => 10,
        Body::Probe => 0,
        Body::NotLeader { .. } => 8,
        Body::Read { .. } => 16,
        Body::ReadReply { .. } => 25,
        Body::Forward(forward) => forward_bytes(forward)?,
        Body::ForwardReply(_) => 29,
        Body::TakeOver { .. } => 16,
        Body::Membership(said) => 4 + membership(said).len(),
        Body::Snapshot(part) => snapshot::part_bytes(part)?,
        Body::SnapshotAck(_) => snapshot::ACK_BYTES,
        Body::Checkpoint(_) => 24,
    };
    let bytes = HEADER_BYTES.checked_add(fields)?;
    (bytes <= MESSAGE_BYTES_MAX).then_some(bytes)
}

/// Appends a message without length prefix.
///
/// # Panics
/// When [`encoded_bytes`] is `None` for it: callers refuse those before.
pub fn encode_message(incoming: &Incoming, into: &mut BytesMut) {
    let bytes = encoded_bytes(&incoming.message).expect("a message beyond the format's limits");
    into.reserve(bytes);
    write_message(incoming.group, &incoming.message, None, into);
}

/// Appends a message of a group behind its length, as a batch holds it. `bytes`
/// is its [`encoded_bytes`].
///
/// # Panics
/// When `bytes` is beyond the format's limits.
pub fn append_to_batch(group: GroupId, message: &Message, bytes: usize, into: &mut BytesMut) {
    let length = u32::try_from(bytes).expect("MESSAGE_BYTES_MAX fits u32");
    into.reserve(LENGTH_BYTES + bytes);
    write_message(group, message, Some(length), into);
}

/// Fixed fields of the largest kind, with length prefix.
const FIXED_BYTES_MAX: usize = 128;

fn write_message(group: GroupId, message: &Message, length: Option<u32>, into: &mut BytesMut) {
    match &message.body {
        Body::Append(append) => write_append(group, message, append, length, into),
        Body::Ack(ack) => write_ack(group, message, ack, length, into),
        _ => write_other(group, message, length, into),
    }
}

/// What steady replication sends is words from end to end: they are gathered
/// and copied once.
struct Words<const N: usize> {
    words: [u64; N],
    len: usize,
}

impl<const N: usize> Words<N> {
    /// Begins with what stands before the fields of each kind. Room for the
    /// length is there whether it is written or not.
    #[inline]
    fn begin(kind: Kind, group: GroupId, message: &Message, length: Option<u32>) -> Self {
        let mut words = Self { words: [0; N], len: 0 };
        words.push(u64::from(length.unwrap_or(0)) | u64::from(kind.byte()) << 32);
        words.push(group.get());
        words.push(message.generation.get());
        words.push(message.term.get());
        words
    }

    #[inline]
    fn push(&mut self, word: u64) {
        if let Some(place) = self.words.get_mut(self.len) {
            *place = word;
        }
        self.len += 1;
    }

    #[inline]
    fn write(&self, length: Option<u32>, into: &mut BytesMut) {
        debug_assert!(self.len <= N, "more words than there is room for");
        let bytes = self.words.map(u64::to_le_bytes);
        let skipped = if length.is_some() { 0 } else { LENGTH_BYTES };
        into.put_slice(bytes.as_flattened().get(skipped..self.len * 8).unwrap_or_default());
    }
}

/// Words of an append and of its first chunk's header, length and kind first.
const APPEND_WORDS: usize = 4 + APPEND_FIXED_BYTES / 8 + CHUNK_HEADER_BYTES / 8;

fn write_append(
    group: GroupId,
    message: &Message,
    append: &Append,
    length: Option<u32>,
    into: &mut BytesMut,
) {
    let mut words = Words::<APPEND_WORDS>::begin(Kind::Append, group, message, length);
    words.push(append.previous.index.get());
    words.push(append.previous.term.get());
    words.push(append.commit.get());
    words.push(append.round.get());
    words.push(append.configuration.get());
    words.push(append.position);
    let mut chunks = append.entries.chunks();
    let Some(first) = chunks.next() else {
        words.push(0);
        words.write(length, into);
        return;
    };
    words.push(u64::from(count(append.entries.chunks_len())));
    for word in chunk_words(first) {
        words.push(word);
    }
    words.write(length, into);
    into.put_slice(first.bytes());
    for chunk in chunks {
        into.put_slice(chunk_words(chunk).map(u64::to_le_bytes).as_flattened());
        into.put_slice(chunk.bytes());
    }
}

/// What stands in front of a chunk's entries.
#[inline]
fn chunk_words(chunk: &Chunk) -> [u64; CHUNK_HEADER_BYTES / 8] {
    let lengths = u64::from(chunk.len()) | u64::from(count(chunk.bytes().len())) << 32;
    [chunk.first().get(), chunk.term().get(), lengths]
}

/// Words of the longest ack, length and kind first.
const ACK_WORDS: usize = 4 + ACK_FIXED_BYTES / 8 + 3;

fn write_ack(
    group: GroupId,
    message: &Message,
    ack: &Ack,
    length: Option<u32>,
    into: &mut BytesMut,
) {
    let mut words = Words::<ACK_WORDS>::begin(Kind::Ack, group, message, length);
    words.push(ack.round.get());
    words.push(ack.configuration.get());
    words.push(ack.position);
    words.push(ack.commit.get());
    words.push(ack.wall.0);
    match ack.outcome {
        AckOutcome::Matches { verified, durable } => {
            words.push(1);
            words.push(verified.get());
            words.push(durable.get());
        }
        AckOutcome::Rejects { previous, hint } => {
            words.push(2);
            words.push(previous.get());
            words.push(hint.index.get());
            words.push(hint.term.get());
        }
    }
    words.write(length, into);
}

fn write_other(group: GroupId, message: &Message, length: Option<u32>, into: &mut BytesMut) {
    let mut fixed = [0; FIXED_BYTES_MAX];
    let mut rest = &mut fixed[..];
    if let Some(length) = length {
        rest.put_u32_le(length);
    }
    rest.put_u8(kind(&message.body).byte());
    rest.put_bytes(0, 3);
    rest.put_u64_le(group.get());
    rest.put_u64_le(message.generation.get());
    rest.put_u64_le(message.term.get());
    put_fixed(&message.body, &mut rest);
    let used = FIXED_BYTES_MAX - rest.len();
    into.put_slice(fixed.get(..used).expect("within the array"));
    match &message.body {
        Body::VoteRequest(request) => into.put_slice(request.address.as_bytes()),
        Body::Forward(forward) => put_commands(forward, into),
        Body::Membership(said) => into.put_slice(&membership(said)),
        Body::Snapshot(part) => into.put_slice(&part.bytes),
        _ => {}
    }
}

const fn kind(body: &Body) -> Kind {
    match body {
        Body::Append(_) => Kind::Append,
        Body::Ack(_) => Kind::Ack,
        Body::VoteRequest(_) => Kind::VoteRequest,
        Body::VoteReply(_) => Kind::VoteReply,
        Body::Probe => Kind::Probe,
        Body::NotLeader { .. } => Kind::NotLeader,
        Body::Read { .. } => Kind::Read,
        Body::ReadReply { .. } => Kind::ReadReply,
        Body::Forward(_) => Kind::Forward,
        Body::ForwardReply(_) => Kind::ForwardReply,
        Body::TakeOver { .. } => Kind::TakeOver,
        Body::Membership(_) => Kind::Membership,
        Body::Snapshot(_) => Kind::Snapshot,
        Body::SnapshotAck(_) => Kind::SnapshotAck,
        Body::Checkpoint(_) => Kind::Checkpoint,
    }
}

fn put_fixed(body: &Body, into: &mut &mut [u8]) {
    match body {
        // Written as words.
        Body::Append(_) | Body::Ack(_) => {}
        Body::VoteRequest(request) => put_vote_request(request, into),
        Body::VoteReply(reply) => put_vote_reply(reply, into),
        Body::Probe => {}
        Body::NotLeader { leader } => put_node(*leader, into),
        Body::Read { run, read } => {
            into.put_u64_le(run.get());
            into.put_u64_le(read.get());
        }
        Body::ReadReply { run, read, index } => {
            into.put_u64_le(run.get());
            into.put_u64_le(read.get());
            into.put_u8(u8::from(index.is_some()));
            into.put_u64_le(index.map_or(0, |index| index.get()));
        }
        Body::Forward(forward) => {
            into.put_u64_le(forward.first_sequence);
            into.put_u32_le(count(forward.commands.len()));
        }
        Body::ForwardReply(reply) => put_forward_reply(reply, into),
        Body::TakeOver { last } => put_log_id(*last, into),
        Body::Membership(said) => into.put_u32_le(count(membership(said).len())),
        Body::Snapshot(part) => snapshot::put_part(part, into),
        Body::SnapshotAck(ack) => snapshot::put_ack(ack, into),
        Body::Checkpoint(checkpoint) => {
            into.put_u64_le(checkpoint.index.get());
            into.put_u64_le(checkpoint.log);
            into.put_u64_le(checkpoint.state);
        }
    }
}

fn put_vote_request(request: &VoteRequest, into: &mut &mut [u8]) {
    into.put_u8(vote_kind(request.kind));
    into.put_u64_le(request.campaign);
    put_log_id(request.last, into);
    into.put_u16_le(u16::try_from(request.address.len()).expect("ADDRESS_BYTES_MAX fits u16"));
}

fn put_vote_reply(reply: &VoteReply, into: &mut &mut [u8]) {
    into.put_u8(vote_kind(reply.kind));
    into.put_u64_le(reply.campaign);
    into.put_u8(u8::from(reply.granted));
}

fn put_forward_reply(reply: &ForwardReply, into: &mut &mut [u8]) {
    into.put_u64_le(reply.run.get());
    into.put_u64_le(reply.first_sequence);
    into.put_u32_le(reply.len);
    match reply.outcome {
        ForwardOutcome::Appended { first } => {
            into.put_u8(1);
            into.put_u64_le(first.get());
        }
        ForwardOutcome::Refused { leader } => {
            into.put_u8(2);
            put_node(leader, into);
        }
        ForwardOutcome::NoRoom(shortage) => {
            into.put_u8(3);
            into.put_u64_le(match shortage {
                Shortage::Device => 1,
                Shortage::Limit => 2,
            });
        }
    }
}

fn put_commands(forward: &Forward, into: &mut BytesMut) {
    for command in &forward.commands {
        into.put_u32_le(count(command.len()));
        into.put_slice(command);
    }
}

/// Its own form; encoded three times over, which is rare enough.
fn membership(said: &Membership) -> Vec<u8> {
    let mut bytes = Vec::new();
    said.encode(&mut bytes);
    bytes
}

/// Node 0 names nobody.
fn put_node(node: Option<NodeId>, into: &mut &mut [u8]) {
    into.put_u64_le(node.map_or(0, NodeId::get));
}

const fn vote_kind(kind: VoteKind) -> u8 {
    match kind {
        VoteKind::Pre => 1,
        VoteKind::Real => 2,
        VoteKind::Transfer => 3,
    }
}

fn append_bytes(append: &Append) -> usize {
    let chunks = append.entries.chunks();
    APPEND_FIXED_BYTES + chunks.map(|chunk| CHUNK_HEADER_BYTES + chunk.bytes().len()).sum::<usize>()
}

fn forward_bytes(forward: &Forward) -> Option<usize> {
    let commands = &forward.commands;
    if commands.len() > CHUNK_LEN_MAX {
        return None;
    }
    if commands.iter().any(|command| command.len() > PAYLOAD_BYTES_MAX) {
        return None;
    }
    Some(12 + commands.iter().map(|command| 4 + command.len()).sum::<usize>())
}

/// A count or length that [`encoded_bytes`] has bounded.
fn count(len: usize) -> u32 {
    u32::try_from(len).expect("MESSAGE_BYTES_MAX fits u32")
}
