//! What a frame did, group by group: the echo in the frame behind it, so that a
//! single lost frame can be attributed exactly and a vote is never in one block
//! only.
//!
//! Body of an echo:
//!
//! ```text
//! complete  u8      0 when there were more groups than are named
//! count     varint
//! of each group: number, parts u8, and of each part that is there:
//!   1 hard state   term, vote
//!   2 truncation   from
//!   4 entries      first, last, last term
//!   8 compaction   base index, base term
//!  16 snapshot     last index, last term
//!  32 life         generation, then 0 when it began, else 1 + the last index
//!                  that it was stated with
//!  64 moved        first, last, last term
//! 128 damage       first, last, parts u8 (1: term or vote are lost, 2: the term
//!                  of the loss follows), and that; 0, 0, 0 when it ended
//! ```
//!
//! A frame that states a group again (`record.rs`) has its hard state, base,
//! snapshot, life and damage in its echo too. One that found damage has the
//! truncation that this is; before format 3 it had not, nor terms of losses.

use crate::fields::{Fields, put_hard_state, put_log_id};
use crate::varint::{self, Short};
use crate::width::{u64_from, usize_from};
use raftlet::core::{Chunk, Generation, GroupId, HardState, Index, LogId, Term};

/// Groups that an echo names. A frame of more, which only a mass election
/// makes, is attributed by its first ones, and its echo says so.
pub(crate) const ECHO_GROUPS_MAX: usize = 4096;

const HARD_STATE: u8 = 1;
const TRUNCATION: u8 = 2;
const ENTRIES: u8 = 4;
const COMPACTION: u8 = 8;
const SNAPSHOT: u8 = 16;
const LIFE: u8 = 32;
const MOVED: u8 = 64;
const DAMAGE: u8 = 128;

const HARM_LOST: u8 = 1;
const HARM_TERM: u8 = 2;

/// What is wrong with a group, as its log remembers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Harm {
    /// Entries that were held and cannot be given back.
    pub(crate) entries: Option<LostEntries>,
    /// Whether term or vote are lost.
    pub(crate) is_lost: bool,
}

/// Entries that were held and cannot be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LostEntries {
    pub(crate) first: Index,
    pub(crate) last: Index,
    /// The group's term when that was found. A log that found it in a format
    /// before 3 does not tell: then it may be as high as the present one.
    pub(crate) term: Option<Term>,
}

impl Harm {
    pub(crate) fn put(&self, into: &mut Vec<u8>) {
        let (first, last) = self.entries.map_or_else(Default::default, |lost| lost.range());
        varint::put(into, first.get());
        varint::put(into, last.get());
        let term = self.entries.and_then(|lost| lost.term);
        let lost = if self.is_lost { HARM_LOST } else { 0 };
        into.push(lost | if term.is_some() { HARM_TERM } else { 0 });
        if let Some(term) = term {
            varint::put(into, term.get());
        }
    }

    pub(crate) fn take(fields: &mut Fields<'_>) -> Option<Self> {
        let (first, last) = (fields.index()?, fields.index()?);
        let parts = fields.byte()?;
        let term = if parts & HARM_TERM == 0 { None } else { Some(Term::new(fields.number()?)) };
        let lost = LostEntries { first, last, term };
        let entries = (first != Index::ZERO).then_some(lost);
        let is_known = parts & !(HARM_LOST | HARM_TERM) == 0;
        is_known.then_some(Self { entries, is_lost: parts & HARM_LOST != 0 })
    }
}

impl LostEntries {
    /// The first and the last.
    pub(crate) fn range(&self) -> (Index, Index) {
        (self.first, self.last)
    }
}

/// The last of `len` entries, at least one.
fn last_of(first: LogId, len: u32) -> Index {
    Index::new(first.index.get().saturating_add(u64::from(len))).previous()
}

/// What a frame did to one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) group: GroupId,
    pub(crate) hard_state: Option<HardState>,
    pub(crate) truncate_from: Option<Index>,
    /// First and last index, and the last one's term.
    pub(crate) entries: Option<(Index, Index, Term)>,
    pub(crate) compact: Option<LogId>,
    pub(crate) snapshot: Option<LogId>,
    /// A life, and the end of the log that it was stated with; `None`: it began.
    pub(crate) life: Option<(Generation, Option<Index>)>,
    pub(crate) moved: Option<(Index, Index, Term)>,
    pub(crate) harm: Option<Harm>,
}

/// What a frame did.
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
    /// With room for what a frame of so many records did.
    pub(crate) fn for_len(len: usize) -> Self {
        Self { traces: Vec::with_capacity(len.min(ECHO_GROUPS_MAX)), ..Self::default() }
    }

    /// Where to note what comes next of a group; `None` when there is no room.
    pub(crate) fn trace(&mut self, group: GroupId) -> Option<&mut Trace> {
        let is_last = self.traces.last().is_some_and(|t| t.group == group);
        if !is_last {
            if self.traces.len() >= ECHO_GROUPS_MAX {
                self.is_complete = false;
                return None;
            }
            self.traces.push(Trace { group, ..Trace::default() });
        }
        self.traces.last_mut()
    }

    /// Notes `len` entries from `first` on.
    pub(crate) fn note_entries(&mut self, group: GroupId, first: LogId, len: u32) {
        if let Some(trace) = self.trace(group) {
            let from = trace.entries.map_or(first.index, |(from, ..)| from);
            trace.entries = Some((from, last_of(first, len), first.term));
        }
    }

    /// Notes `len` entries from `first` on that were written again.
    pub(crate) fn note_moved(&mut self, group: GroupId, first: LogId, len: u32) {
        if let Some(trace) = self.trace(group) {
            let from = trace.moved.map_or(first.index, |(from, ..)| from);
            trace.moved = Some((from, last_of(first, len), first.term));
        }
    }

    /// Takes its traces away: those of the next group come next.
    pub(crate) fn drain_into(&mut self, traces: &mut Vec<u8>) {
        self.traces.drain(..).for_each(|trace| trace.encode(traces));
    }

    /// The body of the echo.
    pub(crate) fn encode(&self, body: &mut Vec<u8>) {
        body.push(u8::from(self.is_complete));
        varint::put(body, u64_from(self.traces.len()));
        self.traces.iter().for_each(|trace| trace.encode(body));
    }

    /// Reads the body of an echo.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let is_complete = fields.byte()? != 0;
        let count = usize_from(fields.number()?);
        if count > ECHO_GROUPS_MAX {
            return None;
        }
        let mut traces = Vec::new();
        for _ in 0..count {
            traces.push(Trace::decode(fields)?);
        }
        Some(Self { traces, is_complete })
    }
}

/// The trace of a frame that only appended to its group; `trace` is scratch.
#[inline]
pub(crate) fn put_appended(into: &mut Vec<u8>, trace: &mut Short, group: GroupId, chunk: &Chunk) {
    trace.clear();
    trace.put(group.get());
    trace.push(ENTRIES);
    trace.put(chunk.first().get());
    trace.put(chunk.last().get());
    trace.put(chunk.term().get());
    into.extend_from_slice(trace.bytes());
}

impl Trace {
    fn encode(&self, body: &mut Vec<u8>) {
        varint::put(body, self.group.get());
        let part = |is_there: bool, bit: u8| if is_there { bit } else { 0 };
        body.push(
            part(self.hard_state.is_some(), HARD_STATE)
                | part(self.truncate_from.is_some(), TRUNCATION)
                | part(self.entries.is_some(), ENTRIES)
                | part(self.compact.is_some(), COMPACTION)
                | part(self.snapshot.is_some(), SNAPSHOT)
                | part(self.life.is_some(), LIFE)
                | part(self.moved.is_some(), MOVED)
                | part(self.harm.is_some(), DAMAGE),
        );
        if let Some(state) = &self.hard_state {
            put_hard_state(body, state);
        }
        if let Some(from) = self.truncate_from {
            varint::put(body, from.get());
        }
        put_range(body, self.entries);
        for id in [self.compact, self.snapshot].into_iter().flatten() {
            put_log_id(body, id);
        }
        if let Some((generation, last)) = self.life {
            varint::put(body, generation.get());
            varint::put(body, last.map_or(0, |last| last.next().get()));
        }
        put_range(body, self.moved);
        if let Some(harm) = &self.harm {
            harm.put(body);
        }
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let group = GroupId::new(fields.number()?);
        let parts = fields.byte()?;
        let mut trace = Self { group, ..Self::default() };
        if parts & HARD_STATE != 0 {
            trace.hard_state = Some(fields.hard_state()?);
        }
        if parts & TRUNCATION != 0 {
            trace.truncate_from = Some(fields.index()?);
        }
        if parts & ENTRIES != 0 {
            trace.entries = Some(range(fields)?);
        }
        if parts & COMPACTION != 0 {
            trace.compact = Some(fields.log_id()?);
        }
        if parts & SNAPSHOT != 0 {
            trace.snapshot = Some(fields.log_id()?);
        }
        if parts & LIFE != 0 {
            let generation = Generation::new(fields.number()?);
            let last = fields.index()?;
            trace.life = Some((generation, (last != Index::ZERO).then(|| last.previous())));
        }
        if parts & MOVED != 0 {
            trace.moved = Some(range(fields)?);
        }
        if parts & DAMAGE != 0 {
            trace.harm = Some(Harm::take(fields)?);
        }
        Some(trace)
    }
}

fn put_range(body: &mut Vec<u8>, range: Option<(Index, Index, Term)>) {
    if let Some((first, last, term)) = range {
        varint::put(body, first.get());
        varint::put(body, last.get());
        varint::put(body, term.get());
    }
}

fn range(fields: &mut Fields<'_>) -> Option<(Index, Index, Term)> {
    let (first, last) = (fields.index()?, fields.index()?);
    Some((first, last, Term::new(fields.number()?)))
}
