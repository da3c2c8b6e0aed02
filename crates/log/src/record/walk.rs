//! Records where they lie: their heads are read, their bodies stay in the frame.
//!
//! A replay looks at each of millions of records once. Nothing is moved, shared
//! or allocated for it here; a record that must be had as a whole is taken out
//! with [`Record::parse`](crate::record::Record::parse).

use crate::fields::Fields;
use crate::record::{ECHO, ENTRIES, LINK, RecordError};
use crate::varint;
use crate::width::usize_from;
use raftlet::core::{GroupId, LogId};

/// A record whose body was not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) group: GroupId,
    pub(super) kind: u8,
    /// Frames back to the last one with a record of this group; 0 for none.
    pub(crate) back_link: u64,
    pub(super) body: &'a [u8],
}

impl<'a> Raw<'a> {
    #[inline]
    fn take(from: &mut &'a [u8]) -> Option<Self> {
        let group = GroupId::new(varint::take(from)?);
        let (kind, after) = from.split_first()?;
        *from = after;
        let len = usize_from(varint::take(from)?);
        let back_link = varint::take(from)?;
        let (body, after) = from.split_at_checked(len)?;
        *from = after;
        Some(Self { group, kind: *kind, back_link, body })
    }

    /// Whether it is an echo or a link: most readers have no use for them, and
    /// an echo names as many groups as the frame before it has.
    #[inline]
    pub(crate) fn is_of_log(&self) -> bool {
        matches!(self.kind, LINK | ECHO) && self.group == GroupId::default()
    }

    /// What it says of entries; `None` when it is another record, or malformed.
    #[inline]
    pub(crate) fn entries(&self) -> Option<RawEntries<'a>> {
        if self.kind != ENTRIES {
            return None;
        }
        let mut fields = Fields(self.body);
        let (first, len) = fields.entries()?;
        Some(RawEntries { group: self.group, first, len, bytes: fields.0 })
    }
}

/// A record of entries that nobody has verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawEntries<'a> {
    pub(crate) group: GroupId,
    pub(crate) first: LogId,
    pub(crate) len: u32,
    pub(crate) bytes: &'a [u8],
}

/// Walks the records of a frame's payload. Behind what cannot be read there is
/// nothing more.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    pub(crate) fn new(records: &'a [u8]) -> Self {
        Self { rest: records }
    }

    /// What lies behind the record that was read last.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Raw<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let raw = Raw::take(&mut self.rest);
        if raw.is_none() {
            self.rest = &[];
        }
        Some(raw.ok_or(RecordError::Malformed))
    }
}
