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
    ADDRESS_BYTES_MAX, Ack, AckOutcome, AppendRef, Body, CHUNK_LEN_MAX, Chunk, Forward,
    ForwardOutcome, ForwardReply, Generation, GroupId, Head, Membership, Message, NodeId,
    PAYLOAD_BYTES_MAX, Shortage, Term, VoteKind, VoteReply, VoteRequest,
};

/// Bytes that a message will occupy without its length prefix; `None` when it
/// is beyond the format's limits and cannot be sent.
#[must_use]
#[inline]
pub fn encoded_bytes(message: &Message) -> Option<usize> {
    let fields = match &message.body {
        Body::Append(append) => append_bytes(&append.into()),
        Body::Ack(ack) => ack_bytes(ack),
        body => other_bytes(body)?,
    };
    let bytes = HEADER_BYTES.checked_add(fields)?;
    (bytes <= MESSAGE_BYTES_MAX).then_some(bytes)
}

/// Bytes of the fields of what steady replication does not send.
fn other_bytes(body: &Body) -> Option<usize> {
    Some(match body {
        Body::Append(_) | Body::Ack(_) => unreachable!("counted by encoded_bytes"),
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
    })
}

/// Appends a message without length prefix. What sends many uses
/// [`append_to_batch`].
///
/// # Panics
/// When [`encoded_bytes`] is `None` for it: callers refuse those before.
pub fn encode_message(incoming: &Incoming, into: &mut BytesMut) {
    let bytes = encoded_bytes(&incoming.message).expect("a message beyond the format's limits");
    let mut batch = BytesMut::new();
    append_to_batch(incoming.group, &incoming.message, bytes, &mut batch);
    into.extend_from_slice(batch.get(LENGTH_BYTES..).unwrap_or_default());
}

/// Appends a message of a group behind its length, as a batch holds it. `bytes`
/// is its [`encoded_bytes`].
///
/// # Panics
/// When `bytes` is beyond the format's limits.
pub fn append_to_batch(group: GroupId, message: &Message, bytes: usize, into: &mut BytesMut) {
    let length = u32::try_from(bytes).expect("MESSAGE_BYTES_MAX fits u32");
    into.reserve(LENGTH_BYTES + bytes);
    let stamp = Stamp { group, generation: message.generation, term: message.term };
    match &message.body {
        Body::Append(append) => write_append(stamp, &append.into(), length, into),
        Body::Ack(ack) => write_ack(stamp, ack, length, into),
        _ => write_other(group, message, length, into),
    }
}

/// Appends an append, whose entries are still the log's, as [`append_to_batch`]
/// does. Returns whether it is within the format's limits; nothing was appended
/// if not.
#[inline]
#[must_use]
pub fn append_borrowed_to_batch(
    group: GroupId,
    head: Head,
    append: &AppendRef<'_>,
    into: &mut BytesMut,
) -> bool {
    let bytes = HEADER_BYTES.saturating_add(append_bytes(append));
    let Some(length) = u32::try_from(bytes).ok().filter(|_| bytes <= MESSAGE_BYTES_MAX) else {
        return false;
    };
    write_append(Stamp::of(group, head), append, length, into);
    true
}

/// Appends an ack as [`append_to_batch`] does.
#[inline]
pub fn append_ack_to_batch(group: GroupId, head: Head, ack: &Ack, into: &mut BytesMut) {
    let bytes = HEADER_BYTES + ack_bytes(ack);
    let length = u32::try_from(bytes).expect("an ack is small");
    write_ack(Stamp::of(group, head), ack, length, into);
}

/// What stands before the fields of each message, kind and length apart.
#[derive(Clone, Copy)]
struct Stamp {
    group: GroupId,
    generation: Generation,
    term: Term,
}

impl Stamp {
    #[inline]
    fn of(group: GroupId, Head { generation, term, .. }: Head) -> Self {
        Self { group, generation, term }
    }
}

#[inline]
fn ack_bytes(ack: &Ack) -> usize {
    match ack.outcome {
        AckOutcome::Matches { .. } => ACK_FIXED_BYTES + 16,
        AckOutcome::Rejects { .. } => ACK_FIXED_BYTES + 32,
    }
}

/// Fixed fields of the largest kind, with length prefix.
const FIXED_BYTES_MAX: usize = 128;

/// What stands before the fields of each kind, as words.
#[inline]
fn head_words(kind: Kind, stamp: Stamp, length: u32) -> [u64; 4] {
    let first = u64::from(length) | u64::from(kind.byte()) << 32;
    [first, stamp.group.get(), stamp.generation.get(), stamp.term.get()]
}

/// What steady replication sends is words from end to end: they are gathered
/// and copied once.
#[inline]
fn put_words<const N: usize>(into: &mut BytesMut, words: [u64; N]) {
    into.extend_from_slice(words.map(u64::to_le_bytes).as_flattened());
}

#[inline]
fn write_append(stamp: Stamp, append: &AppendRef<'_>, length: u32, into: &mut BytesMut) {
    let [length, group, generation, term] = head_words(Kind::Append, stamp, length);
    let lengths =
        |chunk: &Chunk| u64::from(chunk.len()) | u64::from(count(chunk.bytes().len())) << 32;
    if let [chunk] = append.chunks {
        // One copy of all words.
        put_words(
            into,
            [
                length,
                group,
                generation,
                term,
                append.previous.index.get(),
                append.previous.term.get(),
                append.commit.get(),
                append.round.get(),
                append.configuration.get(),
                append.position,
                1,
                chunk.first().get(),
                chunk.term().get(),
                lengths(chunk),
            ],
        );
        into.extend_from_slice(chunk.bytes());
        return;
    }
    put_words(
        into,
        [
            length,
            group,
            generation,
            term,
            append.previous.index.get(),
            append.previous.term.get(),
            append.commit.get(),
            append.round.get(),
            append.configuration.get(),
            append.position,
            u64::from(count(append.chunks.len())),
        ],
    );
    into.reserve(append.chunks.iter().map(|chunk| CHUNK_HEADER_BYTES + chunk.bytes().len()).sum());
    for chunk in append.chunks {
        put_words(into, [chunk.first().get(), chunk.term().get(), lengths(chunk)]);
        into.extend_from_slice(chunk.bytes());
    }
}

#[inline]
fn write_ack(stamp: Stamp, ack: &Ack, length: u32, into: &mut BytesMut) {
    let [length, group, generation, term] = head_words(Kind::Ack, stamp, length);
    let (outcome, [first, second]) = match ack.outcome {
        AckOutcome::Matches { verified, durable, is_short } => {
            (if is_short { 3 } else { 1 }, [verified, durable])
        }
        AckOutcome::Rejects { previous, hint, .. } => (2, [previous, hint.index]),
    };
    put_words(
        into,
        [
            length,
            group,
            generation,
            term,
            ack.round.get(),
            ack.configuration.get(),
            ack.position,
            ack.commit.get(),
            ack.wall.0,
            outcome,
            first.get(),
            second.get(),
        ],
    );
    if let AckOutcome::Rejects { hint, held, .. } = ack.outcome {
        put_words(into, [hint.term.get(), held.get()]);
    }
}

#[inline(never)]
fn write_other(group: GroupId, message: &Message, length: u32, into: &mut BytesMut) {
    let mut fixed = [0; FIXED_BYTES_MAX];
    let mut rest = &mut fixed[..];
    rest.put_u32_le(length);
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
                Shortage::Quorum => 3,
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

#[inline]
fn append_bytes(append: &AppendRef<'_>) -> usize {
    let bytes = |chunk: &Chunk| CHUNK_HEADER_BYTES + chunk.bytes().len();
    APPEND_FIXED_BYTES
        + match append.chunks {
            [chunk] => bytes(chunk),
            many => many.iter().map(bytes).sum(),
        }
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
#[inline]
fn count(len: usize) -> u32 {
    u32::try_from(len).expect("MESSAGE_BYTES_MAX fits u32")
}
