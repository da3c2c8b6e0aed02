//! The bytes of a backup. Specified in `docs/format-backup.md`; little endian.
//!
//! ```text
//! backup    "raftlet backup\n" · version u8 1 · frames
//! frame      0  header checksum  u32   CRC-32C of bytes 4..48
//!            4  body checksum    u32   CRC-32C of the body
//!            8  length           u32   of the body
//!           12  kind             u8    1 group, 2 chunk, 3 manifest, 4 failure
//!           13  reserved         3 x u8, 0
//!           16  backup           u128  random, of this backup
//!           32  group            u64   0 for a manifest
//!           40  number           u32   of a chunk, from 0; else 0
//!           44  reserved         u32   0
//!           48  body
//! group     groups u32 · generation u64 · term u64 · index u64 · configuration
//!           index u64 · log time u64 · taken u64 · chunks u32 · bytes u64 ·
//!           digest u64 · configuration: length u32, bytes · library: same
//! chunk     the bytes, in the machine's own form
//! manifest  created u64 · cluster u128 · node u64 · groups u32 · name, founders,
//!           program: length u16, UTF-8 · count u32 · of each group: group u64 ·
//!           generation u64 · term u64 · index u64 · log time u64 · taken u64 ·
//!           offset u64 · bytes u64 · chunks u32 · digest u64 · keys u64 · state
//!           digest u64
//! failure   UTF-8; only on the way from a node
//! ```
//!
//! Invariants
//! - Every byte is under a checksum that knows whose it is: the backup's and the
//!   group's number, and the chunk's, are part of each frame (rule 11).
//! - The length is checked before a byte of the body is waited for, and bounded.
//!
//! Not here: in which order frames may come (`reading.rs`).

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use raftlet::core::{ClusterId, Generation, GroupId, Index, LogId, Term, crc32c};
use raftlet::{GroupInfo, SNAPSHOT_META_BYTES_MAX, SnapshotInfo, SnapshotMeta};

/// The first bytes: what it is, and the version.
pub(crate) const MAGIC: &[u8; 16] = b"raftlet backup\n\x01";
/// Bytes of it before the version.
const MAGIC_NAME_BYTES: usize = 15;
/// Bytes of a frame before its body.
pub(crate) const HEADER_BYTES: usize = 48;
/// Largest body: the head of a group is the largest. A manifest of 16 384 groups
/// is an eighth of it.
pub(crate) const BODY_BYTES_MAX: usize = SNAPSHOT_META_BYTES_MAX + (64 << 10);
/// Sets the checksums of backups apart from all others.
const SEED: u32 = 0x6261_636b;
/// Bytes of a manifest's texts each; the list of first members is the longest.
const TEXT_BYTES_MAX: usize = 60 << 10;

/// Which backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BackupId(pub(crate) u128);

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A group begins.
    Group = 1,
    /// Bytes of its machine.
    Chunk = 2,
    /// All of it, once more; the last frame.
    Manifest = 3,
    /// There will be no more.
    Failure = 4,
}

/// A frame that its checksums hold for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) backup: BackupId,
    pub(crate) kind: Kind,
    pub(crate) group: u64,
    pub(crate) number: u32,
    pub(crate) body: Bytes,
    /// All of its bytes, header included.
    pub(crate) whole: Bytes,
}

/// A group's state at one entry, as its first frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupHead {
    pub(crate) group: GroupInfo,
    /// Of the keyspace, this one included.
    pub(crate) groups_len: u32,
    pub(crate) meta: SnapshotMeta,
    pub(crate) info: SnapshotInfo,
    /// By the node's calendar, milliseconds.
    pub(crate) taken_ms: u64,
}

/// A group as the manifest has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupSummary {
    pub(crate) group: u64,
    pub(crate) generation: u64,
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) log_time_ms: u64,
    pub(crate) taken_ms: u64,
    /// Where its first frame stands.
    pub(crate) offset: u64,
    /// Of its chunks.
    pub(crate) bytes: u64,
    pub(crate) chunks: u32,
    /// Of the chunks.
    pub(crate) digest: u64,
    pub(crate) keys: u64,
    /// Of the keys, as members show it.
    pub(crate) state_digest: u64,
}

/// What a backup is, at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) created_ms: u64,
    /// That was backed up.
    pub(crate) cluster: ClusterId,
    /// That was asked.
    pub(crate) node: u64,
    /// Of the keyspace.
    pub(crate) groups_len: u32,
    pub(crate) cluster_name: String,
    /// Its first members, `1=host:port,2=host:port`.
    pub(crate) founders: String,
    /// The version of the program.
    pub(crate) program: String,
    pub(crate) groups: Vec<GroupSummary>,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// The header is not what was written.
    Header,
    /// The body is not.
    Body,
    /// A later version's.
    Unknown,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the header of a frame is damaged",
            Self::Body => "the body of a frame is damaged",
            Self::Unknown => "a frame of a kind that this version does not know",
        })
    }
}

/// A frame's bytes.
pub(crate) fn encode(
    backup: BackupId,
    (kind, group, number): (Kind, u64, u32),
    body: &[u8],
) -> Bytes {
    assert!(body.len() <= BODY_BYTES_MAX, "a body above its limit");
    let mut into = BytesMut::with_capacity(HEADER_BYTES + body.len());
    into.put_u32_le(0);
    into.put_u32_le(crc32c(SEED, body));
    into.put_u32_le(u32::try_from(body.len()).unwrap_or(u32::MAX));
    into.put_u8(match kind {
        Kind::Group => 1,
        Kind::Chunk => 2,
        Kind::Manifest => 3,
        Kind::Failure => 4,
    });
    into.put_bytes(0, 3);
    into.put_u128_le(backup.0);
    into.put_u64_le(group);
    into.put_u32_le(number);
    into.put_u32_le(0);
    if let Some((checksum, covered)) = into.split_first_chunk_mut::<4>() {
        *checksum = crc32c(SEED, covered).to_le_bytes();
    }
    into.put_slice(body);
    into.freeze()
}

/// Takes the first frame off; `None` until all of it is there.
///
/// # Errors
/// [`FrameError`]: nothing behind it can be read either.
pub(crate) fn take_frame(input: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some(header) = input.get(..HEADER_BYTES) else {
        return Ok(None);
    };
    let (checksum, covered) = header.split_first_chunk::<4>().ok_or(FrameError::Header)?;
    if crc32c(SEED, covered) != u32::from_le_bytes(*checksum) {
        return Err(FrameError::Header);
    }
    let mut fields = covered;
    let body_checksum = fields.get_u32_le();
    let length = usize::try_from(fields.get_u32_le()).unwrap_or(usize::MAX);
    let kind = fields.get_u8();
    fields.advance(3);
    let backup = BackupId(fields.get_u128_le());
    let (group, number) = (fields.get_u64_le(), fields.get_u32_le());
    if length > BODY_BYTES_MAX {
        return Err(FrameError::Unknown);
    }
    if input.len() < HEADER_BYTES + length {
        return Ok(None);
    }
    let whole = input.split_to(HEADER_BYTES + length).freeze();
    let body = whole.slice(HEADER_BYTES..);
    if crc32c(SEED, &body) != body_checksum {
        return Err(FrameError::Body);
    }
    let kind = match kind {
        1 => Kind::Group,
        2 => Kind::Chunk,
        3 => Kind::Manifest,
        4 => Kind::Failure,
        _ => return Err(FrameError::Unknown),
    };
    Ok(Some(Frame { backup, kind, group, number, body, whole }))
}

/// The version that the first bytes name, if it is a backup at all.
pub(crate) fn version(first: &[u8; 16]) -> Option<u8> {
    let (name, version) = first.split_at_checked(MAGIC_NAME_BYTES)?;
    (MAGIC.starts_with(name)).then(|| version.first().copied())?
}

impl GroupHead {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { group, groups_len, meta, info, taken_ms } = self;
        let mut into = Vec::with_capacity(96 + meta.configuration.len() + meta.library.len());
        into.put_u32_le(*groups_len);
        into.put_u64_le(group.generation.get());
        into.put_u64_le(meta.last.term.get());
        into.put_u64_le(meta.last.index.get());
        into.put_u64_le(meta.configuration_index.get());
        into.put_u64_le(meta.log_time_ms);
        into.put_u64_le(*taken_ms);
        into.put_u32_le(info.chunks);
        into.put_u64_le(info.bytes);
        into.put_u64_le(info.digest);
        for field in [&meta.configuration, &meta.library] {
            into.put_u32_le(u32::try_from(field.len()).unwrap_or(u32::MAX));
            into.put_slice(field);
        }
        into
    }

    /// Reads the body of a group's frame; `None` when it is none.
    pub(crate) fn decode(group: u64, mut body: Bytes) -> Option<Self> {
        let groups_len = body.try_get_u32_le().ok()?;
        let generation = Generation::new(body.try_get_u64_le().ok()?);
        let term = Term::new(body.try_get_u64_le().ok()?);
        let last = LogId { term, index: Index::new(body.try_get_u64_le().ok()?) };
        let configuration_index = Index::new(body.try_get_u64_le().ok()?);
        let log_time_ms = body.try_get_u64_le().ok()?;
        let taken_ms = body.try_get_u64_le().ok()?;
        let chunks = body.try_get_u32_le().ok()?;
        let bytes = body.try_get_u64_le().ok()?;
        let info = SnapshotInfo { bytes, chunks, digest: body.try_get_u64_le().ok()? };
        let configuration = take_bytes(&mut body)?;
        let library = take_bytes(&mut body)?;
        let meta = SnapshotMeta { last, configuration_index, configuration, log_time_ms, library };
        let group = GroupInfo { group: GroupId::new(group), generation };
        body.is_empty().then_some(Self { group, groups_len, meta, info, taken_ms })
    }
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut into = Vec::with_capacity(256 + 96 * self.groups.len());
        into.put_u64_le(self.created_ms);
        into.put_u128_le(self.cluster.0);
        into.put_u64_le(self.node);
        into.put_u32_le(self.groups_len);
        for text in [&self.cluster_name, &self.founders, &self.program] {
            let text = text.get(..TEXT_BYTES_MAX).unwrap_or(text);
            into.put_u16_le(u16::try_from(text.len()).unwrap_or(u16::MAX));
            into.put_slice(text.as_bytes());
        }
        into.put_u32_le(u32::try_from(self.groups.len()).unwrap_or(u32::MAX));
        for group in &self.groups {
            into.put_u64_le(group.group);
            into.put_u64_le(group.generation);
            into.put_u64_le(group.term);
            into.put_u64_le(group.index);
            into.put_u64_le(group.log_time_ms);
            into.put_u64_le(group.taken_ms);
            into.put_u64_le(group.offset);
            into.put_u64_le(group.bytes);
            into.put_u32_le(group.chunks);
            into.put_u64_le(group.digest);
            into.put_u64_le(group.keys);
            into.put_u64_le(group.state_digest);
        }
        into
    }

    /// Reads the body of a manifest's frame; `None` when it is none.
    pub(crate) fn decode(mut body: Bytes) -> Option<Self> {
        let created_ms = body.try_get_u64_le().ok()?;
        let cluster = ClusterId(body.try_get_u128_le().ok()?);
        let node = body.try_get_u64_le().ok()?;
        let groups_len = body.try_get_u32_le().ok()?;
        let cluster_name = take_text(&mut body)?;
        let founders = take_text(&mut body)?;
        let program = take_text(&mut body)?;
        let count = body.try_get_u32_le().ok()?;
        // As many as there are bytes for, whatever the count says.
        let mut groups = Vec::new();
        for _ in 0..count {
            groups.push(take_summary(&mut body)?);
        }
        let whole = body.is_empty();
        let about =
            Self { created_ms, cluster, node, groups_len, cluster_name, founders, program, groups };
        whole.then_some(about)
    }
}

fn take_summary(body: &mut Bytes) -> Option<GroupSummary> {
    Some(GroupSummary {
        group: body.try_get_u64_le().ok()?,
        generation: body.try_get_u64_le().ok()?,
        term: body.try_get_u64_le().ok()?,
        index: body.try_get_u64_le().ok()?,
        log_time_ms: body.try_get_u64_le().ok()?,
        taken_ms: body.try_get_u64_le().ok()?,
        offset: body.try_get_u64_le().ok()?,
        bytes: body.try_get_u64_le().ok()?,
        chunks: body.try_get_u32_le().ok()?,
        digest: body.try_get_u64_le().ok()?,
        keys: body.try_get_u64_le().ok()?,
        state_digest: body.try_get_u64_le().ok()?,
    })
}

fn take_bytes(body: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(body.try_get_u32_le().ok()?).ok()?;
    (len <= body.len()).then(|| body.split_to(len))
}

fn take_text(body: &mut Bytes) -> Option<String> {
    let len = usize::from(body.try_get_u16_le().ok()?);
    let bytes = (len <= body.len()).then(|| body.split_to(len))?;
    String::from_utf8(bytes.to_vec()).ok()
}
