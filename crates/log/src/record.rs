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
//! 2 echo        complete u8, count, then per group of the frame before:
//!               group, parts u8 (1 hard state, 2 truncation, 4 entries,
//!               8 compaction, 16 snapshot), and of each part: term, vote ·
//!               from · first, last, term · base index, base term · last
//!               index, last term
//! 3 group       generation: a group's first record, or of its next life
//! 4 hard state  term, vote (0 nobody)
//! 5 entries     first index, term, count, then the chunk's bytes verbatim
//! 6 truncation  from index
//! 7 compaction  base index, base term: entries up to the base left the log
//! 8 snapshot    last index, last term: the file of that log id is in use
//! ```
//!
//! 9 group removed, 10 moved entries, 11 checkpoint part, 12 checkpoint end,
//! 13 seal: reserved. A kind that this version does not write is refused by
//! name, never skipped.
//!
//! Invariant: lengths are checked against the bytes that are there before
//! anything is allocated for them.

use bytes::Bytes;

use crate::varint;
use crate::width::{u64_from, usize_from};
use raftlet::core::{Chunk, Generation, GroupId, HardState, Index, LogId, NodeId, Term};

/// Groups that an echo names. A frame of more, which only a mass election
/// makes, is attributed by its first ones, and its echo says so.
pub(crate) const ECHO_GROUPS_MAX: usize = 4096;
/// More than any record occupies besides its entries.
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 64;

const LINK: u8 = 1;
const ECHO: u8 = 2;
const GROUP: u8 = 3;
const HARD_STATE: u8 = 4;
const ENTRIES: u8 = 5;
const TRUNCATION: u8 = 6;
const COMPACTION: u8 = 7;
const SNAPSHOT: u8 = 8;

const PART_HARD_STATE: u8 = 1;
const PART_TRUNCATION: u8 = 2;
const PART_ENTRIES: u8 = 4;
const PART_COMPACTION: u8 = 8;
const PART_SNAPSHOT: u8 = 16;

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

/// What a frame did to one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) group: GroupId,
    pub(crate) hard_state: Option<HardState>,
    pub(crate) truncate_from: Option<Index>,
    /// First and last index, and the last one's term.
    pub(crate) entries: Option<(Index, Index, Term)>,
    pub(crate) compact: Option<LogId>,
    pub(crate) snapshot: Option<LogId>,
}

impl Trace {
    fn of(group: GroupId) -> Self {
        Self {
            group,
            hard_state: None,
            truncate_from: None,
            entries: None,
            compact: None,
            snapshot: None,
        }
    }
}

/// What a frame did, group by group: echoed by the frame behind it, so that a
/// single lost frame can be attributed exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) traces: Vec<Trace>,
    pub(crate) is_complete: bool,
}

impl Default for Directory {
    fn default() -> Self {
        Self { traces: Vec::new(), is_complete: true }
    }
}

impl Directory {
    pub(crate) fn clear(&mut self) {
        self.traces.clear();
        self.is_complete = true;
    }

    /// Notes what a record does.
    pub(crate) fn note(&mut self, item: &Item) {
        let group = item.group();
        let is_last = self.traces.last().is_some_and(|t| t.group == group);
        if !is_last {
            if self.traces.len() >= ECHO_GROUPS_MAX {
                self.is_complete = false;
                return;
            }
            self.traces.push(Trace::of(group));
        }
        let trace = self.traces.last_mut().expect("pushed above");
        match item {
            Item::Group { .. } => {}
            Item::HardState { state, .. } => trace.hard_state = Some(*state),
            Item::Truncate { from, .. } => trace.truncate_from = Some(*from),
            Item::Compact { base, .. } => trace.compact = Some(*base),
            Item::Snapshot { last, .. } => trace.snapshot = Some(*last),
            Item::Entries { chunk, .. } => {
                let first = trace.entries.map_or(chunk.first(), |(first, ..)| first);
                trace.entries = Some((first, chunk.last(), chunk.term()));
            }
        }
    }
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
}

impl Item {
    pub(crate) fn group(&self) -> GroupId {
        match self {
            Self::Group { group, .. }
            | Self::HardState { group, .. }
            | Self::Truncate { group, .. }
            | Self::Compact { group, .. }
            | Self::Snapshot { group, .. }
            | Self::Entries { group, .. } => *group,
        }
    }

    /// The entries that follow the record's head.
    pub(crate) fn payload(&self) -> &[u8] {
        match self {
            Self::Entries { chunk, .. } => chunk.bytes(),
            Self::Group { .. }
            | Self::HardState { .. }
            | Self::Truncate { .. }
            | Self::Compact { .. }
            | Self::Snapshot { .. } => &[],
        }
    }

    /// More bytes than the record will occupy.
    pub(crate) fn bytes_max(&self) -> usize {
        RECORD_OVERHEAD_BYTES + self.payload().len()
    }

    /// Writes all but the payload into the empty `head`; `body` is scratch.
    pub(crate) fn encode_head(&self, back_link: u64, head: &mut Vec<u8>, body: &mut Vec<u8>) {
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
                varint::put(body, chunk.first().get());
                varint::put(body, chunk.term().get());
                varint::put(body, u64::from(chunk.len()));
                ENTRIES
            }
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

/// Appends an echo record.
pub(crate) fn put_echo(into: &mut Vec<u8>, directory: &Directory) {
    let mut body = vec![u8::from(directory.is_complete)];
    varint::put(&mut body, u64_from(directory.traces.len()));
    for trace in &directory.traces {
        varint::put(&mut body, trace.group.get());
        let part = |is_there: bool, bit: u8| if is_there { bit } else { 0 };
        body.push(
            part(trace.hard_state.is_some(), PART_HARD_STATE)
                | part(trace.truncate_from.is_some(), PART_TRUNCATION)
                | part(trace.entries.is_some(), PART_ENTRIES)
                | part(trace.compact.is_some(), PART_COMPACTION)
                | part(trace.snapshot.is_some(), PART_SNAPSHOT),
        );
        if let Some(state) = &trace.hard_state {
            put_hard_state(&mut body, state);
        }
        if let Some(from) = trace.truncate_from {
            varint::put(&mut body, from.get());
        }
        if let Some((first, last, term)) = trace.entries {
            varint::put(&mut body, first.get());
            varint::put(&mut body, last.get());
            varint::put(&mut body, term.get());
        }
        for id in [trace.compact, trace.snapshot].into_iter().flatten() {
            put_log_id(&mut body, id);
        }
    }
    put_head(into, 0, ECHO, body.len(), 0);
    into.extend_from_slice(&body);
}

fn put_head(into: &mut Vec<u8>, group: u64, kind: u8, len: usize, back_link: u64) {
    varint::put(into, group);
    into.push(kind);
    varint::put(into, u64_from(len));
    varint::put(into, back_link);
}

fn put_log_id(into: &mut Vec<u8>, id: LogId) {
    varint::put(into, id.index.get());
    varint::put(into, id.term.get());
}

fn put_hard_state(into: &mut Vec<u8>, state: &HardState) {
    varint::put(into, state.term.get());
    varint::put(into, state.vote.map_or(0, NodeId::get));
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
}

/// Why bytes under a sound checksum are not records of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordError {
    Malformed,
    UnknownKind(u8),
}

/// Walks the records of a frame's payload.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    payload: Bytes,
    at: usize,
}

impl Records {
    /// The records from byte `at` of the payload on.
    pub(crate) fn new(payload: Bytes, at: usize) -> Self {
        Self { payload, at }
    }

    fn read(&mut self) -> Result<Record, RecordError> {
        let malformed = RecordError::Malformed;
        let rest = self.payload.get(self.at..).ok_or(malformed)?;
        let mut from = rest;
        let group = varint::take(&mut from).ok_or(malformed)?;
        let (kind, after) = from.split_first().ok_or(malformed)?;
        from = after;
        let len = usize_from(varint::take(&mut from).ok_or(malformed)?);
        varint::take(&mut from).ok_or(malformed)?;
        let body = from.get(..len).ok_or(malformed)?;
        let start = self.at + (rest.len() - from.len());
        self.at = start + len;
        let mut fields = Fields(body);
        let group = GroupId::new(group);
        let record = match *kind {
            LINK => Record::Link(fields.link().ok_or(malformed)?),
            ECHO => Record::Echo(fields.echo().ok_or(malformed)?),
            GROUP => Record::Group {
                group,
                generation: Generation::new(fields.number().ok_or(malformed)?),
            },
            HARD_STATE => Record::HardState { group, state: fields.hard_state().ok_or(malformed)? },
            TRUNCATION => {
                Record::Truncate { group, from: Index::new(fields.number().ok_or(malformed)?) }
            }
            COMPACTION => Record::Compact { group, base: fields.log_id().ok_or(malformed)? },
            SNAPSHOT => Record::Snapshot { group, last: fields.log_id().ok_or(malformed)? },
            ENTRIES => {
                let (first, len) = fields.entries().ok_or(malformed)?;
                let end = self.at;
                let bytes = self.payload.slice(end - fields.0.len()..end);
                fields.0 = &[];
                Record::Entries { group, first, len, bytes }
            }
            other => return Err(RecordError::UnknownKind(other)),
        };
        if fields.0.is_empty() { Ok(record) } else { Err(malformed) }
    }
}

impl Iterator for Records {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.payload.len() {
            return None;
        }
        let record = self.read();
        if record.is_err() {
            self.at = self.payload.len();
        }
        Some(record)
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn number(&mut self) -> Option<u64> {
        varint::take(&mut self.0)
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn link(&mut self) -> Option<Link> {
        Some(Link {
            predecessor: self.number()?,
            last_frame: self.number()?,
            end_block: u32::try_from(self.number()?).ok()?,
            ending: match self.byte()? {
                0 => Ending::First,
                1 => Ending::Whole,
                2 => Ending::Stopped,
                3 => Ending::Torn,
                _ => return None,
            },
            oldest_live: self.number()?,
        })
    }

    fn hard_state(&mut self) -> Option<HardState> {
        let term = Term::new(self.number()?);
        let vote = match self.number()? {
            0 => None,
            node => Some(NodeId::new(node)),
        };
        Some(HardState { term, vote })
    }

    fn log_id(&mut self) -> Option<LogId> {
        let index = Index::new(self.number()?);
        let term = Term::new(self.number()?);
        Some(LogId { term, index })
    }

    fn entries(&mut self) -> Option<(LogId, u32)> {
        let first = self.log_id()?;
        let len = u32::try_from(self.number()?).ok()?;
        Some((first, len))
    }

    fn echo(&mut self) -> Option<Directory> {
        let is_complete = self.byte()? != 0;
        let count = usize_from(self.number()?);
        if count > ECHO_GROUPS_MAX {
            return None;
        }
        let mut traces = Vec::new();
        for _ in 0..count {
            let group = GroupId::new(self.number()?);
            let parts = self.byte()?;
            let mut trace = Trace::of(group);
            if parts & PART_HARD_STATE != 0 {
                trace.hard_state = Some(self.hard_state()?);
            }
            if parts & PART_TRUNCATION != 0 {
                trace.truncate_from = Some(Index::new(self.number()?));
            }
            if parts & PART_ENTRIES != 0 {
                let (first, last) = (self.number()?, self.number()?);
                let term = Term::new(self.number()?);
                trace.entries = Some((Index::new(first), Index::new(last), term));
            }
            if parts & PART_COMPACTION != 0 {
                trace.compact = Some(self.log_id()?);
            }
            if parts & PART_SNAPSHOT != 0 {
                trace.snapshot = Some(self.log_id()?);
            }
            traces.push(trace);
        }
        Some(Directory { traces, is_complete })
    }
}

#[cfg(test)]
mod tests;
