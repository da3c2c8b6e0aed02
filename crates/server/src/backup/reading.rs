//! A backup read from bytes as they come, each checked before it is given out.
//!
//! ```text
//! file:    magic · (group · chunk …) … · manifest
//! stream:  group · chunk …                           of one group, from a node
//! ```
//!
//! Invariants
//! - Groups come in the order of their ids, once each; of a group all its chunks
//!   in order, as many and with the digest that its head says.
//! - The manifest says the same of every group as its frames did. Nothing stands
//!   behind it.
//! - Memory: what was pushed and is not a whole frame yet, a frame at most.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::backup::format::{
    BackupId, Frame, GroupHead, GroupSummary, Kind, MAGIC, Manifest, take_frame, version,
};
use raftlet::{SNAPSHOT_CHUNKS_MAX, SNAPSHOT_META_BYTES_MAX, SnapshotInfo};
use raftlet_kv::SnapshotEnd;

const _: () = assert!(crate::backup::format::BODY_BYTES_MAX > SNAPSHOT_META_BYTES_MAX);

/// Why a backup is not read any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is not as it was written, or cut.
    Damaged {
        /// Where the trouble begins.
        offset: u64,
        /// What it is.
        what: String,
    },
    /// Something else, or of a version that is not known here.
    Foreign(String),
    /// The node that sends it gave up, and says why.
    GivenUp(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { offset, what } => write!(f, "at byte {offset}: {what}"),
            Self::Foreign(text) | Self::GivenUp(text) => f.write_str(text),
        }
    }
}

/// What comes next in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A group begins.
    Group(Box<GroupHead>),
    /// Some of its state.
    Chunk(Bytes),
    /// All is there.
    Manifest(Box<Manifest>),
}

#[derive(Debug)]
enum At {
    /// Before the first byte of a file.
    Start,
    /// Between two groups.
    Between,
    /// In a group.
    In(Box<Open>),
    /// Behind the last frame.
    End,
}

/// A group that is being read.
#[derive(Debug)]
struct Open {
    head: GroupHead,
    seen: SnapshotInfo,
    /// The last bytes of its state.
    last: Vec<u8>,
    offset: u64,
}

/// A backup on its way through.
#[derive(Debug)]
pub(crate) struct Reading {
    input: BytesMut,
    /// Bytes taken off the input.
    offset: u64,
    backup: Option<BackupId>,
    is_stream: bool,
    at: At,
    groups: Vec<GroupSummary>,
}

impl Reading {
    /// Of a file, from its beginning.
    pub(crate) fn of_file() -> Self {
        let (input, groups) = (BytesMut::new(), Vec::new());
        Self { input, offset: 0, backup: None, is_stream: false, at: At::Start, groups }
    }

    /// Of one group from a node that was told the backup's number.
    pub(crate) fn of_stream(backup: BackupId) -> Self {
        Self { backup: Some(backup), is_stream: true, at: At::Between, ..Self::of_file() }
    }

    /// The backup's number, once a frame was read.
    pub(crate) const fn backup(&self) -> Option<BackupId> {
        self.backup
    }

    /// The groups that were read whole.
    pub(crate) fn groups(&self) -> &[GroupSummary] {
        &self.groups
    }

    /// More bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next piece with the frame that it came in; `None` until more is
    /// pushed.
    ///
    /// # Errors
    /// [`Broken`]: what was given out before is sound, nothing more is.
    pub(crate) fn next(&mut self) -> Result<Option<(Piece, Bytes)>, Broken> {
        if matches!(self.at, At::Start) {
            let Some(first) = self.input.first_chunk::<16>() else {
                return Ok(None);
            };
            check_magic(first)?;
            let _ = self.input.split_to(MAGIC.len());
            (self.offset, self.at) = (16, At::Between);
        }
        let offset = self.offset;
        let broken = |what: String| Broken::Damaged { offset, what };
        if matches!(self.at, At::End) && !self.input.is_empty() {
            return Err(broken("there are bytes behind its end".to_owned()));
        }
        let Some(frame) = take_frame(&mut self.input).map_err(|error| broken(error.to_string()))?
        else {
            return Ok(None);
        };
        self.offset += u64::try_from(frame.whole.len()).unwrap_or(u64::MAX);
        let whole = frame.whole.clone();
        let piece = self.take(frame, offset)?;
        Ok(Some((piece, whole)))
    }

    /// All bytes were pushed and all pieces taken.
    ///
    /// # Errors
    /// [`Broken`]: it ends too early.
    pub(crate) fn finish(self) -> Result<(), Broken> {
        let is_whole = match self.at {
            At::End => true,
            At::Between => self.is_stream && !self.groups.is_empty(),
            At::Start | At::In(_) => false,
        };
        if is_whole && self.input.is_empty() {
            return Ok(());
        }
        let what = "it ends before its end".to_owned();
        Err(Broken::Damaged { offset: self.offset, what })
    }

    fn take(&mut self, frame: Frame, offset: u64) -> Result<Piece, Broken> {
        let broken = |what: &str| Broken::Damaged { offset, what: what.to_owned() };
        if *self.backup.get_or_insert(frame.backup) != frame.backup {
            return Err(broken("a frame of another backup"));
        }
        let at = std::mem::replace(&mut self.at, At::End);
        match (frame.kind, at) {
            (Kind::Failure, _) => {
                Err(Broken::GivenUp(String::from_utf8_lossy(&frame.body).into_owned()))
            }
            (Kind::Group, At::Between) => self.begin(&frame, offset),
            (Kind::Chunk, At::In(open)) => self.go_on(frame, open, offset),
            (Kind::Manifest, At::Between) if !self.is_stream => {
                let manifest = Manifest::decode(frame.body)
                    .ok_or_else(|| broken("its manifest does not decode"))?;
                if manifest.groups != self.groups || self.groups.is_empty() {
                    return Err(broken("its manifest tells of other groups than are there"));
                }
                Ok(Piece::Manifest(Box::new(manifest)))
            }
            _ => Err(broken("a frame that does not belong there")),
        }
    }

    fn begin(&mut self, frame: &Frame, offset: u64) -> Result<Piece, Broken> {
        let broken = |what: &str| Broken::Damaged { offset, what: what.to_owned() };
        let head = GroupHead::decode(frame.group, frame.body.clone())
            .filter(|head| head.info.chunks <= SNAPSHOT_CHUNKS_MAX && frame.number == 0)
            .ok_or_else(|| broken("the head of a group does not decode"))?;
        let is_next = self.groups.last().is_none_or(|last| last.group < frame.group);
        if !is_next || (self.is_stream && !self.groups.is_empty()) {
            return Err(broken("a group out of order"));
        }
        let (seen, last) = (SnapshotInfo::default(), Vec::new());
        let open = Box::new(Open { head: head.clone(), seen, last, offset });
        self.enter(open, offset)?;
        Ok(Piece::Group(Box::new(head)))
    }

    fn go_on(&mut self, frame: Frame, mut open: Box<Open>, offset: u64) -> Result<Piece, Broken> {
        let is_next =
            (frame.group, frame.number) == (open.head.group.group.get(), open.seen.chunks);
        if !is_next {
            let what = "a chunk out of order".to_owned();
            return Err(Broken::Damaged { offset, what });
        }
        open.seen.add(&frame.body);
        let from = frame.body.len().saturating_sub(SnapshotEnd::BYTES);
        open.last.extend_from_slice(frame.body.get(from..).unwrap_or_default());
        let surplus = open.last.len().saturating_sub(SnapshotEnd::BYTES);
        open.last.drain(..surplus);
        self.enter(open, offset)?;
        Ok(Piece::Chunk(frame.body))
    }

    /// Goes on in a group, or behind it where it is whole.
    fn enter(&mut self, open: Box<Open>, offset: u64) -> Result<(), Broken> {
        if open.seen.chunks < open.head.info.chunks {
            self.at = At::In(open);
            return Ok(());
        }
        if open.seen != open.head.info {
            let what = "a group's chunks are not those that its head tells of".to_owned();
            return Err(Broken::Damaged { offset, what });
        }
        self.groups.push(open.summary());
        self.at = At::Between;
        Ok(())
    }
}

impl Open {
    fn summary(&self) -> GroupSummary {
        let Self { head, last, offset, .. } = self;
        let end = SnapshotEnd::read(last).unwrap_or_default();
        GroupSummary {
            group: head.group.group.get(),
            generation: head.group.generation.get(),
            term: head.meta.last.term.get(),
            index: head.meta.last.index.get(),
            log_time_ms: head.meta.log_time_ms,
            taken_ms: head.taken_ms,
            offset: *offset,
            bytes: head.info.bytes,
            chunks: head.info.chunks,
            digest: head.info.digest,
            keys: end.keys,
            state_digest: end.digest,
        }
    }
}

fn check_magic(first: &[u8; 16]) -> Result<(), Broken> {
    match version(first) {
        _ if first == MAGIC => Ok(()),
        Some(version) => Err(Broken::Foreign(format!(
            "it is a backup of format {version}, this program knows 1; use the version that wrote \
             it, or a newer one"
        ))),
        None => Err(Broken::Foreign(
            "it is no backup; name a file that `raftlet backup create` made".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests;
