//! Numbers and small groups of them, as records and echoes hold them.

use crate::varint;
use raftlet::core::{HardState, Index, LogId, NodeId, Term};

/// Reads fields from the front of a record's body.
#[derive(Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    #[inline]
    pub(crate) fn number(&mut self) -> Option<u64> {
        varint::take(&mut self.0)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    #[inline]
    pub(crate) fn index(&mut self) -> Option<Index> {
        self.number().map(Index::new)
    }

    pub(crate) fn hard_state(&mut self) -> Option<HardState> {
        let term = Term::new(self.number()?);
        let vote = match self.number()? {
            0 => None,
            node => Some(NodeId::new(node)),
        };
        Some(HardState { term, vote })
    }

    #[inline]
    pub(crate) fn log_id(&mut self) -> Option<LogId> {
        let index = self.index()?;
        let term = Term::new(self.number()?);
        Some(LogId { term, index })
    }

    #[inline]
    pub(crate) fn entries(&mut self) -> Option<(LogId, u32)> {
        let first = self.log_id()?;
        let len = u32::try_from(self.number()?).ok()?;
        Some((first, len))
    }
}

pub(crate) fn put_log_id(into: &mut Vec<u8>, id: LogId) {
    varint::put(into, id.index.get());
    varint::put(into, id.term.get());
}

pub(crate) fn put_hard_state(into: &mut Vec<u8>, state: &HardState) {
    varint::put(into, state.term.get());
    varint::put(into, state.vote.map_or(0, NodeId::get));
}
