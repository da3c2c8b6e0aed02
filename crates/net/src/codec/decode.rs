//! Bytes to message. Every byte may be hostile.
//!
//! Not here: the layout's words (`codec.rs`, `docs/wire.md`).

use std::mem;

use bytes::Bytes;

use super::keep::{Keeper, Shared};
use super::numbers::{check, index, limit, log_id};
use super::{Kind, LENGTH_BYTES, MESSAGE_BYTES_MAX, MessageError, snapshot};
use crate::fields::Fields;
use raftlet::Incoming;
use raftlet::core::{
    ADDRESS_BYTES_MAX, Ack, AckOutcome, Append, Arena, Body, CHUNK_LEN_MAX, Checkpoint, Chunk,
    Entries, Forward, ForwardOutcome, ForwardReply, Generation, GroupId, Index, LogId,
    MEMBERSHIP_BYTES_MAX, Membership, Message, NodeId, PAYLOAD_BYTES_MAX, ReadId, Round, Run, Seal,
    Shortage, Term, VoteKind, VoteReply, VoteRequest, WallMs,
};

/// Walks the messages of a batch.
///
/// A message that is wrong in itself is one `Err` and the walk goes on behind
/// it: one group's damaged memory does not silence the others. After
/// [`MessageError::Batch`] the walk ends.
#[derive(Debug)]
pub struct BatchReader<'a, K = Shared<'a>> {
    keeper: K,
    rest: Fields<'a>,
}

impl<'a> BatchReader<'a> {
    /// The messages of one frame's body. What they carry shares its memory.
    #[must_use]
    pub fn new(batch: &'a Bytes) -> Self {
        Self { keeper: Shared::new(batch), rest: Fields::new(batch) }
    }
}

impl<'a> BatchReader<'a, &'a mut Arena> {
    /// The same; what they carry is copied into `arena`.
    #[must_use]
    pub fn copying(batch: &'a [u8], arena: &'a mut Arena) -> Self {
        Self { keeper: arena, rest: Fields::new(batch) }
    }
}

impl<K: Keeper> BatchReader<'_, K> {
    /// Reads the next message onto the end of `into`; `None` behind the last.
    /// An iterator would move a message several times over.
    ///
    /// # Errors
    /// [`MessageError`] says what is wrong with it; nothing was added then.
    #[inline]
    pub fn read_onto(&mut self, into: &mut Vec<Incoming>) -> Option<Result<(), MessageError>> {
        self.read_to(into)
    }

    /// Reads the next message and hands it to `receiver`; `None` behind the last.
    ///
    /// # Errors
    /// [`MessageError`] says what is wrong with it; nothing was handed over then.
    #[inline]
    pub fn read_to(&mut self, receiver: &mut impl Receiver) -> Option<Result<(), MessageError>> {
        if self.rest.remaining() == 0 {
            return None;
        }
        let mut rest = self.rest;
        let message =
            rest.u32().and_then(|len| rest.take(usize::try_from(len).unwrap_or(usize::MAX)));
        let Ok(message) = message else {
            self.rest = Fields::new(&[]);
            return Some(Err(MessageError::Batch));
        };
        self.rest = rest;
        Some(decode(&mut self.keeper, message, receiver))
    }
}

/// Takes messages as they are read.
pub trait Receiver {
    /// Entries, or a heartbeat; what it takes out of `append` is its own.
    fn append(&mut self, group: GroupId, of: (Generation, Term), append: &mut Append);

    /// What a follower has.
    fn ack(&mut self, group: GroupId, of: (Generation, Term), ack: &Ack);

    /// Any other message.
    fn other(&mut self, incoming: Incoming);
}

/// Keeps them.
impl Receiver for Vec<Incoming> {
    #[inline]
    fn append(
        &mut self,
        group: GroupId,
        (generation, term): (Generation, Term),
        append: &mut Append,
    ) {
        let entries = mem::take(&mut append.entries);
        let body = Body::Append(Append { entries, ..*append });
        self.push(Incoming { group, message: Message { generation, term, body } });
    }

    #[inline]
    fn ack(&mut self, group: GroupId, (generation, term): (Generation, Term), ack: &Ack) {
        let body = Body::Ack(ack.clone());
        self.push(Incoming { group, message: Message { generation, term, body } });
    }

    fn other(&mut self, incoming: Incoming) {
        self.push(incoming);
    }
}

impl<K: Keeper> Iterator for BatchReader<'_, K> {
    type Item = Result<Incoming, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut one = Vec::with_capacity(1);
        let read = self.read_onto(&mut one)?;
        Some(read.map(|()| one.pop().expect("just read")))
    }
}

/// Reads one message, which `bytes` hold from end to end, without length
/// prefix.
///
/// # Errors
/// [`MessageError`] says what is wrong with it.
pub fn decode_message(bytes: &Bytes) -> Result<Incoming, MessageError> {
    let mut one = Vec::with_capacity(1);
    decode(&mut Shared::new(bytes), bytes, &mut one)?;
    Ok(one.pop().expect("just read"))
}

/// Reads `message` for `receiver`; what it carries is kept by `keeper`.
#[inline]
fn decode(
    keeper: &mut impl Keeper,
    message: &[u8],
    receiver: &mut impl Receiver,
) -> Result<(), MessageError> {
    const _: () = assert!(LENGTH_BYTES == size_of::<u32>());
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(limit("message", message.len()));
    }
    // Fields of fixed length are taken as one: their bounds are checked once.
    let mut fields = Fields::new(message);
    let kind = fields.u32()?;
    let [group, generation, in_term] = fields.words()?;
    let of = Of {
        group: GroupId::new(group),
        generation: Generation::new(generation),
        term: Term::new(in_term),
    };
    // The kind is one byte and the others are 0. What is read is handed on where
    // it stands: given back, it would be moved.
    if kind == u32::from(Kind::Append.byte()) {
        check(in_term, || [("term", in_term)])?;
        hand_append(keeper, of, fields, receiver)
    } else if kind == u32::from(Kind::Ack.byte()) {
        check(in_term, || [("term", in_term)])?;
        hand_ack(of, fields, receiver)
    } else {
        receiver.other(other(keeper, kind, of, fields)?);
        Ok(())
    }
}

/// What stands before the fields of each message, its kind apart.
#[derive(Clone, Copy)]
struct Of {
    group: GroupId,
    generation: Generation,
    term: Term,
}

/// Nothing may follow the last field.
#[inline]
fn behind(fields: &Fields<'_>) -> Result<(), MessageError> {
    match fields.remaining() {
        0 => Ok(()),
        bytes => Err(MessageError::Trailing { bytes }),
    }
}

/// A message that steady replication does not send, or that is none.
#[inline(never)]
fn other(
    keeper: &mut impl Keeper,
    kind: u32,
    Of { group, generation, term }: Of,
    mut fields: Fields<'_>,
) -> Result<Incoming, MessageError> {
    let [kind, reserved @ ..] = kind.to_le_bytes();
    let kind = Kind::from_byte(kind).ok_or(MessageError::Kind(kind))?;
    if let Some(found) = reserved.into_iter().find(|byte| *byte != 0) {
        return Err(value("reserved", found));
    }
    check(term.get(), || [("term", term.get())])?;
    let body = seldom(keeper, kind, &mut fields)?;
    behind(&fields)?;
    Ok(Incoming { group, message: Message { generation, term, body } })
}

/// The kinds that steady replication does not send.
#[inline(never)]
fn seldom(
    keeper: &mut impl Keeper,
    kind: Kind,
    fields: &mut Fields<'_>,
) -> Result<Body, MessageError> {
    Ok(match kind {
        Kind::Append | Kind::Ack => unreachable!("read by decode"),
        Kind::VoteRequest => Body::VoteRequest(vote_request(fields)?),
        Kind::VoteReply => Body::VoteReply(vote_reply(fields)?),
        Kind::Probe => Body::Probe,
        Kind::NotLeader => Body::NotLeader { leader: node(fields)? },
        Kind::Read => Body::Read { run: Run::new(fields.u64()?), read: ReadId::new(fields.u64()?) },
        Kind::ReadReply => read_reply(fields)?,
        Kind::Forward => Body::Forward(forward(keeper, fields)?),
        Kind::ForwardReply => Body::ForwardReply(forward_reply(fields)?),
        Kind::TakeOver => Body::TakeOver { last: log_id(fields, "last")? },
        Kind::Membership => membership(fields)?,
        Kind::Snapshot => Body::Snapshot(snapshot::part(keeper, fields)?),
        Kind::SnapshotAck => Body::SnapshotAck(snapshot::ack(fields)?),
        Kind::Checkpoint => Body::Checkpoint(Checkpoint {
            index: index(fields, "index")?,
            log: fields.u64()?,
            state: fields.u64()?,
        }),
    })
}

#[inline]
fn hand_append(
    keeper: &mut impl Keeper,
    Of { group, generation, term }: Of,
    mut fields: Fields<'_>,
    receiver: &mut impl Receiver,
) -> Result<(), MessageError> {
    let [previous, previous_term, commit, round, configuration, position, chunks] =
        fields.words()?;
    check(previous | previous_term | commit | configuration, || {
        [
            ("previous", previous),
            ("previous", previous_term),
            ("commit", commit),
            ("configuration", configuration),
        ]
    })?;
    let seal = Seal::new(group, generation);
    let mut append = Append {
        previous: LogId { index: Index::new(previous), term: Term::new(previous_term) },
        commit: Index::new(commit),
        round: Round::new(round),
        configuration: Index::new(configuration),
        position,
        entries: Entries::none(),
    };
    match chunks {
        0 => {}
        1 => append.entries = chunk(keeper, seal, &mut fields)?.into(),
        _ => append.entries = entries(keeper, seal, chunks, &mut fields)?,
    }
    behind(&fields)?;
    receiver.append(group, (generation, term), &mut append);
    Ok(())
}

#[inline(never)]
fn entries(
    keeper: &mut impl Keeper,
    seal: Seal,
    chunks: u64,
    fields: &mut Fields<'_>,
) -> Result<Entries, MessageError> {
    let mut entries = Entries::none();
    for _ in 0..chunks {
        let chunk = chunk(keeper, seal, fields)?;
        if let Some(last) = entries.last()
            && (chunk.first() != last.index.next() || chunk.term() < last.term)
        {
            return Err(MessageError::Gap { index: chunk.first() });
        }
        entries.push(chunk);
    }
    Ok(entries)
}

#[inline]
fn chunk(
    keeper: &mut impl Keeper,
    seal: Seal,
    fields: &mut Fields<'_>,
) -> Result<Chunk, MessageError> {
    let [first, in_term, lengths] = fields.words()?;
    check(first | in_term, || [("chunk", first), ("chunk", in_term)])?;
    let first = LogId { index: Index::new(first), term: Term::new(in_term) };
    let [len, bytes] = halves(lengths);
    let bytes = fields.take(usize::try_from(bytes).unwrap_or(usize::MAX))?;
    Ok(Chunk::decode(seal, first, len, keeper.keep(bytes))?)
}

/// The lower and the upper half of a word.
#[inline]
fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

#[inline]
fn hand_ack(
    Of { group, generation, term }: Of,
    mut fields: Fields<'_>,
    receiver: &mut impl Receiver,
) -> Result<(), MessageError> {
    let [round, configuration, position, commit, wall, outcome] = fields.words()?;
    check(configuration | commit, || [("configuration", configuration), ("commit", commit)])?;
    let ack = Ack {
        round: Round::new(round),
        configuration: Index::new(configuration),
        position,
        commit: Index::new(commit),
        wall: WallMs(wall),
        outcome: match outcome {
            1 | 3 => {
                let [verified, durable] = fields.words()?;
                check(verified | durable, || [("verified", verified), ("durable", durable)])?;
                let (verified, durable) = (Index::new(verified), Index::new(durable));
                AckOutcome::Matches { verified, durable, is_short: outcome == 3 }
            }
            2 => rejects(&mut fields)?,
            value => return Err(MessageError::Value { field: "outcome", value }),
        },
    };
    behind(&fields)?;
    receiver.ack(group, (generation, term), &ack);
    Ok(())
}

#[cold]
fn rejects(fields: &mut Fields<'_>) -> Result<AckOutcome, MessageError> {
    Ok(AckOutcome::Rejects {
        previous: index(fields, "previous")?,
        hint: log_id(fields, "hint")?,
        held: index(fields, "held")?,
    })
}

fn vote_request(fields: &mut Fields<'_>) -> Result<VoteRequest, MessageError> {
    let kind = vote_kind(fields)?;
    let campaign = fields.u64()?;
    let last = log_id(fields, "last")?;
    let len = usize::from(fields.u16()?);
    if len > ADDRESS_BYTES_MAX {
        return Err(limit("address", len));
    }
    let address = std::str::from_utf8(fields.take(len)?).map_err(|_| MessageError::Address)?;
    Ok(VoteRequest { kind, campaign, last, address: address.to_owned() })
}

fn vote_reply(fields: &mut Fields<'_>) -> Result<VoteReply, MessageError> {
    Ok(VoteReply {
        kind: vote_kind(fields)?,
        campaign: fields.u64()?,
        granted: boolean(fields, "granted")?,
    })
}

fn read_reply(fields: &mut Fields<'_>) -> Result<Body, MessageError> {
    let run = Run::new(fields.u64()?);
    let read = ReadId::new(fields.u64()?);
    let is_known = boolean(fields, "index")?;
    let index = index(fields, "index")?;
    if !is_known && index > Index::ZERO {
        return Err(MessageError::Value { field: "index", value: index.get() });
    }
    Ok(Body::ReadReply { run, read, index: is_known.then_some(index) })
}

fn forward(keeper: &mut impl Keeper, fields: &mut Fields<'_>) -> Result<Forward, MessageError> {
    let first_sequence = fields.u64()?;
    let len = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
    if len > CHUNK_LEN_MAX {
        return Err(limit("commands", len));
    }
    // Each command brings at least its length: room is made for what is here.
    let mut commands = Vec::with_capacity(len.min(fields.remaining() / LENGTH_BYTES));
    for _ in 0..len {
        let bytes = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(limit("command", bytes));
        }
        commands.push(keeper.keep(fields.take(bytes)?));
    }
    Ok(Forward { first_sequence, commands })
}

fn forward_reply(fields: &mut Fields<'_>) -> Result<ForwardReply, MessageError> {
    Ok(ForwardReply {
        run: Run::new(fields.u64()?),
        first_sequence: fields.u64()?,
        len: fields.u32()?,
        outcome: match fields.u8()? {
            1 => ForwardOutcome::Appended { first: index(fields, "first")? },
            2 => ForwardOutcome::Refused { leader: node(fields)? },
            3 => ForwardOutcome::NoRoom(shortage(fields.u64()?)?),
            other => return Err(value("outcome", other)),
        },
    })
}

fn shortage(code: u64) -> Result<Shortage, MessageError> {
    match code {
        1 => Ok(Shortage::Device),
        2 => Ok(Shortage::Limit),
        3 => Ok(Shortage::Quorum),
        other => Err(value("shortage", u8::try_from(other).unwrap_or(u8::MAX))),
    }
}

fn membership(fields: &mut Fields<'_>) -> Result<Body, MessageError> {
    let len = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
    if len > MEMBERSHIP_BYTES_MAX {
        return Err(limit("membership", len));
    }
    let said = Membership::decode(fields.take(len)?).ok_or(MessageError::Membership)?;
    Ok(Body::Membership(Box::new(said)))
}

fn vote_kind(fields: &mut Fields<'_>) -> Result<VoteKind, MessageError> {
    match fields.u8()? {
        1 => Ok(VoteKind::Pre),
        2 => Ok(VoteKind::Real),
        3 => Ok(VoteKind::Transfer),
        other => Err(value("vote kind", other)),
    }
}

fn boolean(fields: &mut Fields<'_>, field: &'static str) -> Result<bool, MessageError> {
    match fields.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(value(field, other)),
    }
}

fn node(fields: &mut Fields<'_>) -> Result<Option<NodeId>, MessageError> {
    let node = fields.u64()?;
    Ok((node != 0).then_some(NodeId::new(node)))
}

fn value(field: &'static str, value: u8) -> MessageError {
    MessageError::Value { field, value: u64::from(value) }
}
