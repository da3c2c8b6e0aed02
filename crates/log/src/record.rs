//! What a frame holds: records, one after another without padding.
//!
//! ```text
//! group      varint   0 for records that concern the log itself
//! kind       u8
//! length     varint   of the body
//! back-link  varint   frames back to the last one with a record of this
//!                     group; 0 when there is none
//! body
//! ```
//!
//! Bodies by kind (numbers are varints unless said otherwise):
//!
//! ```text
//! 1 link        predecessor, its last frame, its end block, how it ended u8,
//!               oldest live segment; first record of a segment
//! 2 echo        what the frame before did (`directory.rs`)
//! 3 group       generation: a group's first record, or of its next life
//! 4 hard state  term, vote (0 nobody)
//! 5 entries     first index, term, count, then the chunk's bytes verbatim
//! 6 truncation  from index
//! 7 compaction  base index, base term: entries up to the base left the log
//! 8 snapshot    last index, last term: the file of that log id is in use
//! 10 moved      as entries: the same ones, written again at this place
//! 11 state      generation, term, vote, base index, base term, last index,
//!               parts u8 (1 snapshot, 2 damage), then of each part: last
//!               index, last term · as damage
//! 14 damage     first, last (0, 0: no entries), parts u8 (1: term or vote are
//!               lost, 2: a term follows), the term in which that was found
//! 15 refilled   nothing: the damage ended
//! ```
//!
//! 9 group removed, 12 checkpoint end, 13 seal: reserved. A kind that this
//! version does not write is refused by name, never skipped.
//!
//! Invariants
//! - The first record of a group in a segment is of kind 3 or 11. So a segment
//!   says all of a group but its entries, and older segments may go.
//! - Lengths are checked against the bytes that are there before anything is
//!   allocated for them.

use bytes::Bytes;

use crate::directory::{Directory, Harm};
use crate::fields::{Fields, put_hard_state, put_log_id};
use crate::record::walk::{Raw, Walk};
use crate::varint::{self, Short};
use crate::width::u64_from;
use raftlet::core::{Chunk, Generation, GroupId, HardState, Index, LogId};

/// More than any record occupies besides its entries.
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 64;
/// More than a statement of a group occupies.
pub(crate) const STATE_BYTES_MAX: usize = 3 * RECORD_OVERHEAD_BYTES;

const LINK: u8 = 1;
const ECHO: u8 = 2;
const GROUP: u8 = 3;
const HARD_STATE: u8 = 4;
const ENTRIES: u8 = 5;
const TRUNCATION: u8 = 6;
const COMPACTION: u8 = 7;
const SNAPSHOT: u8 = 8;

const MOVED: u8 = 10;
const STATE: u8 = 11;
const DAMAGE: u8 = 14;
const REFILLED: u8 = 15;

const PART_SNAPSHOT: u8 = 1;
const PART_DAMAGE: u8 = 2;

/// How the segment before this one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// There is none: the log starts here.
    First,
    /// Whole: the same run went on in this one.
    Whole,
    /// Its run ended; nothing was found behind its last frame.
    Stopped,
    /// Its run ended in the middle of a write, which was trimmed.
    Torn,
}

/// Ties a segment to the one before it, and makes the judgement of that one's
/// tail permanent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Number of the segment before; 0 when there is none.
    pub(crate) predecessor: u64,
    /// Its last frame that counts.
    pub(crate) last_frame: u64,
    /// The first block behind that frame.
    pub(crate) end_block: u32,
    /// How it ended.
    pub(crate) ending: Ending,
    /// The oldest segment still needed.
    pub(crate) oldest_live: u64,
}

/// All of a group but its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupState {
    pub(crate) generation: Generation,
    pub(crate) hard_state: HardState,
    pub(crate) base: LogId,
    pub(crate) last: Index,
    pub(crate) snapshot: Option<LogId>,
    pub(crate) harm: Harm,
}

/// A record to be written.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Group { group: GroupId, generation: Generation },
    HardState { group: GroupId, state: HardState },
    Truncate { group: GroupId, from: Index },
    Compact { group: GroupId, base: LogId },
    Snapshot { group: GroupId, last: LogId },
    Entries { group: GroupId, chunk: Chunk },
    Moved { group: GroupId, chunk: Chunk },
    State { group: GroupId, state: Box<GroupState> },
    Damage { group: GroupId, harm: Harm },
    Refilled { group: GroupId },
}

impl Item {
    pub(crate) fn group(&self) -> GroupId {
        match self {
            Self::Group { group, .. }
            | Self::HardState { group, .. }
            | Self::Truncate { group, .. }
            | Self::Compact { group, .. }
            | Self::Snapshot { group, .. }
            | Self::Moved { group, .. }
            | Self::State { group, .. }
            | Self::Damage { group, .. }
            | Self::Refilled { group }
            | Self::Entries { group, .. } => *group,
        }
    }

    /// The entries that follow the record's head.
    pub(crate) fn payload(&self) -> &[u8] {
        match self {
            Self::Entries { chunk, .. } | Self::Moved { chunk, .. } => chunk.bytes(),
            Self::Group { .. }
            | Self::HardState { .. }
            | Self::Truncate { .. }
            | Self::Compact { .. }
            | Self::Snapshot { .. }
            | Self::State { .. }
            | Self::Damage { .. }
            | Self::Refilled { .. } => &[],
        }
    }

    /// Notes what the record does, for the echo.
    pub(crate) fn note(&self, directory: &mut Directory) {
        let Some(trace) = directory.trace(self.group()) else {
            return;
        };
        match self {
            Self::Group { generation, .. } => trace.life = Some((*generation, None)),
            Self::HardState { state, .. } => trace.hard_state = Some(*state),
            Self::Truncate { from, .. } => trace.truncate_from = Some(*from),
            Self::Compact { base, .. } => trace.compact = Some(*base),
            Self::Snapshot { last, .. } => trace.snapshot = Some(*last),
            Self::Entries { group, chunk } => {
                directory.note_entries(*group, first_of(chunk), chunk.len());
            }
            Self::Moved { group, chunk } => {
                directory.note_moved(*group, first_of(chunk), chunk.len());
            }
            Self::State { state, .. } => {
                trace.life = Some((state.generation, Some(state.last)));
                trace.hard_state = Some(state.hard_state);
                trace.compact = (state.base != LogId::default()).then_some(state.base);
                trace.snapshot = state.snapshot;
                trace.harm = (state.harm != Harm::default()).then_some(state.harm);
            }
            Self::Damage { harm, .. } => {
                trace.harm = Some(*harm);
                // The log ends before what is lost.
                trace.truncate_from = harm.entries.map(|lost| lost.first);
            }
            Self::Refilled { .. } => trace.harm = Some(Harm::default()),
        }
    }

    /// More bytes than the record will occupy.
    pub(crate) fn bytes_max(&self) -> usize {
        match self {
            Self::State { .. } => STATE_BYTES_MAX,
            _ => RECORD_OVERHEAD_BYTES + self.payload().len(),
        }
    }

    /// Writes all but the payload into the empty `head`; `body` is scratch.
    pub(crate) fn encode_head(&self, back_link: u64, head: &mut Vec<u8>, body: &mut Vec<u8>) {
        if let Self::Entries { group, chunk } = self {
            let mut short = Short::default();
            put_entries_head(&mut short, *group, back_link, chunk);
            return head.extend_from_slice(short.bytes());
        }
        body.clear();
        let kind = match self {
            Self::Group { generation, .. } => {
                varint::put(body, generation.get());
                GROUP
            }
            Self::HardState { state, .. } => {
                put_hard_state(body, state);
                HARD_STATE
            }
            Self::Truncate { from, .. } => {
                varint::put(body, from.get());
                TRUNCATION
            }
            Self::Compact { base, .. } => {
                put_log_id(body, *base);
                COMPACTION
            }
            Self::Snapshot { last, .. } => {
                put_log_id(body, *last);
                SNAPSHOT
            }
            Self::Entries { chunk, .. } => {
                put_chunk(body, chunk);
                ENTRIES
            }
            Self::Moved { chunk, .. } => {
                put_chunk(body, chunk);
                MOVED
            }
            Self::State { state, .. } => {
                put_state(body, state);
                STATE
            }
            Self::Damage { harm, .. } => {
                harm.put(body);
                DAMAGE
            }
            Self::Refilled { .. } => REFILLED,
        };
        let len = body.len() + self.payload().len();
        put_head(head, self.group().get(), kind, len, back_link);
        head.extend_from_slice(body);
    }
}

/// Appends a link record.
pub(crate) fn put_link(into: &mut Vec<u8>, link: &Link) {
    let mut body = Vec::new();
    varint::put(&mut body, link.predecessor);
    varint::put(&mut body, link.last_frame);
    varint::put(&mut body, u64::from(link.end_block));
    body.push(match link.ending {
        Ending::First => 0,
        Ending::Whole => 1,
        Ending::Stopped => 2,
        Ending::Torn => 3,
    });
    varint::put(&mut body, link.oldest_live);
    put_head(into, 0, LINK, body.len(), 0);
    into.extend_from_slice(&body);
}

/// Room before the traces of an echo for all else of it.
pub(crate) const ECHO_START_BYTES: usize = 24;

/// Makes an echo record of bytes that are so many traces, behind
/// [`ECHO_START_BYTES`] to be written over.
pub(crate) fn begin_echo(echo: &mut Vec<u8>, is_complete: bool, count: usize) {
    let count = u64_from(count);
    let traces = echo.len() - ECHO_START_BYTES;
    let mut start = Short::default();
    start.put(0);
    start.push(ECHO);
    start.put(u64_from(1 + varint::bytes_of(count) + traces));
    start.put(0);
    start.push(u8::from(is_complete));
    start.put(count);
    let unused = ECHO_START_BYTES - start.bytes().len();
    let place = echo.get_mut(unused..ECHO_START_BYTES).expect("the room is there");
    place.copy_from_slice(start.bytes());
    echo.drain(..unused);
}

/// Appends an echo record.
pub(crate) fn put_echo(into: &mut Vec<u8>, directory: &Directory) {
    let mut body = Vec::new();
    directory.encode(&mut body);
    put_head(into, 0, ECHO, body.len(), 0);
    into.extend_from_slice(&body);
}

fn put_head(into: &mut Vec<u8>, group: u64, kind: u8, len: usize, back_link: u64) {
    varint::put(into, group);
    into.push(kind);
    varint::put(into, u64_from(len));
    varint::put(into, back_link);
}

/// All but the payload of a record of entries: what most records are, without
/// scratch.
#[inline]
pub(crate) fn put_entries_head(head: &mut Short, group: GroupId, back_link: u64, chunk: &Chunk) {
    let numbers = [chunk.first().get(), chunk.term().get(), u64::from(chunk.len())];
    let body: usize = numbers.into_iter().map(varint::bytes_of).sum();
    head.clear();
    head.put(group.get());
    head.push(ENTRIES);
    head.put(u64_from(body + chunk.bytes().len()));
    head.put(back_link);
    numbers.into_iter().for_each(|number| head.put(number));
}

fn first_of(chunk: &Chunk) -> LogId {
    LogId { term: chunk.term(), index: chunk.first() }
}

fn put_chunk(into: &mut Vec<u8>, chunk: &Chunk) {
    put_log_id(into, LogId { term: chunk.term(), index: chunk.first() });
    varint::put(into, u64::from(chunk.len()));
}

fn put_state(into: &mut Vec<u8>, state: &GroupState) {
    varint::put(into, state.generation.get());
    put_hard_state(into, &state.hard_state);
    put_log_id(into, state.base);
    varint::put(into, state.last.get());
    let is_harmed = state.harm != Harm::default();
    let snapshot = if state.snapshot.is_some() { PART_SNAPSHOT } else { 0 };
    into.push(snapshot | if is_harmed { PART_DAMAGE } else { 0 });
    if let Some(last) = state.snapshot {
        put_log_id(into, last);
    }
    if is_harmed {
        state.harm.put(into);
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Link(Link),
    Echo(Directory),
    Group { group: GroupId, generation: Generation },
    HardState { group: GroupId, state: HardState },
    Entries { group: GroupId, first: LogId, len: u32, bytes: Bytes },
    Truncate { group: GroupId, from: Index },
    Compact { group: GroupId, base: LogId },
    Snapshot { group: GroupId, last: LogId },
    Moved { group: GroupId, first: LogId, len: u32, bytes: Bytes },
    State { group: GroupId, state: Box<GroupState> },
    Damage { group: GroupId, harm: Harm },
    Refilled { group: GroupId },
}

impl Record {
    /// Notes what the record did, for the echo; entries from their head alone.
    pub(crate) fn note(self, directory: &mut Directory) {
        let item = match self {
            Self::Link(_) | Self::Echo(_) => return,
            Self::Entries { group, first, len, .. } => {
                return directory.note_entries(group, first, len);
            }
            Self::Moved { group, first, len, .. } => {
                return directory.note_moved(group, first, len);
            }
            Self::Group { group, generation } => Item::Group { group, generation },
            Self::HardState { group, state } => Item::HardState { group, state },
            Self::Truncate { group, from } => Item::Truncate { group, from },
            Self::Compact { group, base } => Item::Compact { group, base },
            Self::Snapshot { group, last } => Item::Snapshot { group, last },
            Self::State { group, state } => Item::State { group, state },
            Self::Damage { group, harm } => Item::Damage { group, harm },
            Self::Refilled { group } => Item::Refilled { group },
        };
        item.note(directory);
    }
}

/// Why bytes under a sound checksum are not records of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordError {
    Malformed,
    UnknownKind(u8),
}

/// Takes the records of a frame's payload out of it.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    payload: Bytes,
    at: usize,
    /// Of the record that was read last.
    pub(crate) back_link: u64,
}

impl Records {
    /// The records from byte `at` of the payload on.
    pub(crate) fn new(payload: Bytes, at: usize) -> Self {
        Self { payload, at, back_link: 0 }
    }
}

impl Iterator for Records {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut walk = Walk::new(self.payload.get(self.at..).unwrap_or_default());
        let record = walk.next()?.and_then(|raw| {
            self.back_link = raw.back_link;
            Record::parse(&raw, &self.payload)
        });
        self.at = match record {
            Ok(_) => self.payload.len() - walk.rest().len(),
            Err(_) => self.payload.len(),
        };
        Some(record)
    }
}

impl Record {
    /// Takes a record apart that lies in this payload; its entries share that.
    pub(crate) fn parse(raw: &Raw<'_>, payload: &Bytes) -> Result<Self, RecordError> {
        let malformed = RecordError::Malformed;
        let group = raw.group;
        let mut fields = Fields(raw.body);
        let record = match raw.kind {
            LINK => Self::Link(take_link(&mut fields).ok_or(malformed)?),
            ECHO => Self::Echo(Directory::decode(&mut fields).ok_or(malformed)?),
            GROUP => {
                let generation = Generation::new(fields.number().ok_or(malformed)?);
                Self::Group { group, generation }
            }
            HARD_STATE => Self::HardState { group, state: fields.hard_state().ok_or(malformed)? },
            TRUNCATION => Self::Truncate { group, from: fields.index().ok_or(malformed)? },
            COMPACTION => Self::Compact { group, base: fields.log_id().ok_or(malformed)? },
            SNAPSHOT => Self::Snapshot { group, last: fields.log_id().ok_or(malformed)? },
            STATE => {
                let state = Box::new(take_state(&mut fields).ok_or(malformed)?);
                Self::State { group, state }
            }
            DAMAGE => Self::Damage { group, harm: Harm::take(&mut fields).ok_or(malformed)? },
            REFILLED => Self::Refilled { group },
            kind @ (ENTRIES | MOVED) => {
                let (first, len) = fields.entries().ok_or(malformed)?;
                let bytes = payload.slice_ref(std::mem::take(&mut fields.0));
                if kind == ENTRIES {
                    Self::Entries { group, first, len, bytes }
                } else {
                    Self::Moved { group, first, len, bytes }
                }
            }
            other => return Err(RecordError::UnknownKind(other)),
        };
        if fields.0.is_empty() { Ok(record) } else { Err(malformed) }
    }
}

fn take_link(fields: &mut Fields<'_>) -> Option<Link> {
    Some(Link {
        predecessor: fields.number()?,
        last_frame: fields.number()?,
        end_block: u32::try_from(fields.number()?).ok()?,
        ending: match fields.byte()? {
            0 => Ending::First,
            1 => Ending::Whole,
            2 => Ending::Stopped,
            3 => Ending::Torn,
            _ => return None,
        },
        oldest_live: fields.number()?,
    })
}

fn take_state(fields: &mut Fields<'_>) -> Option<GroupState> {
    let mut state = GroupState {
        generation: Generation::new(fields.number()?),
        hard_state: fields.hard_state()?,
        base: fields.log_id()?,
        last: fields.index()?,
        snapshot: None,
        harm: Harm::default(),
    };
    let parts = fields.byte()?;
    if parts & PART_SNAPSHOT != 0 {
        state.snapshot = Some(fields.log_id()?);
    }
    if parts & PART_DAMAGE != 0 {
        state.harm = Harm::take(fields)?;
    }
    (parts & !(PART_SNAPSHOT | PART_DAMAGE) == 0).then_some(state)
}

pub(crate) mod walk;

#[cfg(test)]
mod tests;
