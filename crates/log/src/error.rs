//! Why a log is not opened: what, where, remedy.
//!
//! Errors while the log is in use are those of the port
//! (`raftlet::StorageError`); errors about whose directory it is are in
//! `identity.rs`. Nothing here is ever answered by going on with less.

use std::fmt;

use crate::disk::DiskError;
use raftlet::core::{GroupId, Index};

const REMEDY: &str = "put back an intact copy of the file, or give this member up: \
    remove it from its groups and add it again under a new node id on an empty directory";

/// Entries or votes known to be affected by damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affected {
    /// Whose.
    pub group: GroupId,
    /// First and last entry, when entries are affected.
    pub entries: Option<(Index, Index)>,
    /// Whether a term and vote are.
    pub hard_state: bool,
}

impl fmt::Display for Affected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.group)?;
        if let Some((first, last)) = self.entries {
            write!(f, " entries {first}..={last}")?;
        }
        if self.hard_state {
            write!(f, " term and vote")?;
        }
        Ok(())
    }
}

/// Damage to what was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// The first byte of the damaged frame or block.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
    /// Whose data, as far as intact neighbours tell; empty when they don't.
    pub affected: Vec<Affected>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is damaged at byte {}: {}", self.file, self.offset, self.what)?;
        // One line: the first few say enough.
        for (affected, separator) in self.affected.iter().zip(["; it held ", ", ", ", "]) {
            write!(f, "{separator}{affected}")?;
        }
        if self.affected.len() > 3 {
            write!(f, " and {} more", self.affected.len() - 3)?;
        }
        Ok(())
    }
}

/// Why a log is not opened. Nothing was changed on disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Acknowledged data is damaged (rule 10).
    #[error("{0}; {REMEDY}")]
    Damaged(Box<Damage>),
    /// A segment that another one names is not there.
    #[error("{file} is missing, though {named_by} names it; {REMEDY}")]
    MissingSegment {
        /// The file.
        file: String,
        /// Where it is named.
        named_by: String,
    },
    /// A segment of another directory, shard or number.
    #[error(
        "{file} belongs elsewhere: its {field} is {found}, here it is {expected}; \
         move the file back to where it belongs"
    )]
    Foreign {
        /// The file.
        file: String,
        /// What differs.
        field: &'static str,
        /// In the file.
        found: String,
        /// Here.
        expected: String,
    },
    /// A format that this program does not know.
    #[error(
        "{file} has format version {found}, this program knows {known}; \
         start the version that wrote it, or a newer one"
    )]
    UnknownFormat {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
        /// The newest one known.
        known: u32,
    },
    /// A record kind that this format version does not have.
    #[error(
        "{file} holds a record of unknown kind {kind} in the frame at byte {offset}; \
         start the version that wrote it, or a newer one"
    )]
    UnknownRecord {
        /// The file.
        file: String,
        /// The frame's first byte.
        offset: u64,
        /// The kind.
        kind: u8,
    },
    /// The device could not be read. Nothing is concluded from that.
    #[error("the log cannot be read: {0}; check the device, then start again")]
    Unreadable(DiskError),
    /// No room for the first segment of this run.
    #[error("no space to start a segment: {0}; free space, then start again")]
    NoSpace(DiskError),
    /// A write or flush failed.
    #[error("the log cannot be written: {0}; check the device, then start again")]
    Unwritable(DiskError),
}

impl OpenError {
    /// A failed write, told apart by cause.
    pub(crate) fn from_write(error: DiskError) -> Self {
        if error.is_no_space() { Self::NoSpace(error) } else { Self::Unwritable(error) }
    }
}
