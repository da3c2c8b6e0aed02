//! The bytes of `IDENTITY` and the order in which they reach the disk.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut};

use crate::disk::buffer::Buffer;
use crate::disk::{Disk, DiskError, Reach};
use crate::identity::{Identity, IdentityError, PEERS_MAX};
use crate::width::{u32_from, u64_from, usize_from};
use raftlet::core::{ClusterId, Incarnation, NodeId, Run, crc32c};

/// The file's name.
pub(crate) const FILE_NAME: &str = "IDENTITY";
const NEW_NAME: &str = "IDENTITY.new";
/// 1 is read: it knows no oldest segment.
const FORMAT_VERSION: u32 = 2;
/// Only of a directory that has lost what nothing else names: a program that does
/// not know what that means must not use it.
const FORMAT_VERSION_LOSSES: u32 = 3;
/// Only of a directory that says how many groups it was founded with: a program that
/// does not know that would not hold to it.
const FORMAT_VERSION_GROUPS: u32 = 4;
const MAGIC: &[u8; 8] = b"raftid\n\0";
/// Where the length stands; behind checksum, format, magic, version.
const LENGTH_AT: usize = 24;
/// The place of a copy. What of it is written is the contents, rounded up to
/// whole blocks.
const COPY_BYTES: usize = 64 << 10;
const BLOCK_BYTES: usize = 4 << 10;
/// Sets these checksums apart from those of blocks, entries and wire frames.
pub(crate) const SEED: u32 = 0x6964_656e;

const _: () = assert!(
    117 + super::CLUSTER_NAME_BYTES_MAX + super::MEMBERS_BYTES_MAX + PEERS_MAX * 32 <= COPY_BYTES,
    "a copy must hold the largest contents"
);

/// What a copy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) version: u64,
    pub(crate) identity: Identity,
    pub(crate) newest_segment: u64,
    /// Segments before this one hold nothing that counts, and may be gone.
    pub(crate) oldest_segment: u64,
    pub(crate) cluster_name: String,
    pub(crate) members: String,
    pub(crate) peers: BTreeMap<(NodeId, Incarnation), Run>,
    /// Peers refused the directory as an old copy.
    pub(crate) is_outdated: bool,
    /// Groups may be gone from it without a trace.
    pub(crate) has_unknown_losses: bool,
    /// Groups that the keyspace is divided among; 0 where nobody said.
    pub(crate) groups: u64,
}

/// What the file says.
#[derive(Debug)]
pub(crate) struct Found<F> {
    pub(crate) file: F,
    pub(crate) contents: Contents,
    /// Whether one copy is torn or damaged.
    pub(crate) has_lost_copy: bool,
}

/// Makes the file with two equal copies. Killed at any point, it is there
/// whole or not at all.
pub(crate) async fn found<D: Disk>(disk: &D, contents: &Contents) -> Result<D::File, DiskError> {
    let file = disk.create(NEW_NAME).await?;
    for version in [contents.version - 1, contents.version] {
        let copy = Contents { version, ..contents.clone() };
        store(disk, &file, &copy).await?;
    }
    disk.rename(NEW_NAME, FILE_NAME).await?;
    disk.sync_dir().await?;
    Ok(file)
}

/// Writes one copy, over the older of the two.
pub(crate) async fn store<D: Disk>(
    disk: &D,
    file: &D::File,
    contents: &Contents,
) -> Result<(), DiskError> {
    let buffer = contents.encode();
    let offset = u64_from(COPY_BYTES) * ((contents.version + 1) % 2);
    let (_, result) = disk.write_at(file, offset, buffer, Reach::Background).await;
    result?;
    disk.flush(file).await
}

/// Reads both copies.
pub(crate) async fn load<D: Disk>(disk: &D) -> Result<Found<D::File>, IdentityError> {
    let place = || format!("{}/{FILE_NAME}", disk.place());
    let file = disk.open(FILE_NAME).await?;
    let (buffer, read) = disk.read_at(&file, 0, Buffer::zeroed(2 * COPY_BYTES)).await;
    let bytes = buffer.bytes().get(..read?).unwrap_or_default();
    let mut copies: Vec<Contents> = Vec::new();
    for copy in bytes.chunks(COPY_BYTES) {
        match Contents::decode(copy) {
            Ok(Some(contents)) => copies.push(contents),
            Ok(None) => {}
            Err(found) => {
                return Err(IdentityError::UnknownFormat { place: place(), found });
            }
        }
    }
    let has_lost_copy = copies.len() < 2;
    let newest = copies.into_iter().max_by_key(|contents| contents.version);
    match newest {
        Some(contents) => Ok(Found { file, contents, has_lost_copy }),
        None => Err(IdentityError::Damaged { place: place() }),
    }
}

impl Contents {
    /// The oldest one that can say it.
    fn format(&self) -> u32 {
        match (self.groups, self.has_unknown_losses) {
            (1.., _) => FORMAT_VERSION_GROUPS,
            (0, true) => FORMAT_VERSION_LOSSES,
            (0, false) => FORMAT_VERSION,
        }
    }

    fn encode(&self) -> Buffer {
        let mut bytes = Vec::with_capacity(1024);
        bytes.put_u32_le(0);
        let format = self.format();
        bytes.put_u32_le(format);
        bytes.put_slice(MAGIC);
        bytes.put_u64_le(self.version);
        bytes.put_u32_le(0);
        bytes.put_u128_le(self.identity.cluster.0);
        bytes.put_u64_le(self.identity.node.get());
        bytes.put_u128_le(self.identity.incarnation.0);
        bytes.put_u64_le(self.identity.run.get());
        bytes.put_u64_le(self.newest_segment);
        for text in [&self.cluster_name, &self.members] {
            bytes.put_u32_le(u32_from(text.len()));
            bytes.put_slice(text.as_bytes());
        }
        bytes.put_u32_le(u32_from(self.peers.len()));
        for ((node, incarnation), run) in &self.peers {
            bytes.put_u64_le(node.get());
            bytes.put_u128_le(incarnation.0);
            bytes.put_u64_le(run.get());
        }
        bytes.put_u8(u8::from(self.is_outdated));
        bytes.put_u64_le(self.oldest_segment);
        if format >= FORMAT_VERSION_LOSSES {
            bytes.put_u8(u8::from(self.has_unknown_losses));
        }
        if format >= FORMAT_VERSION_GROUPS {
            bytes.put_u64_le(self.groups);
        }
        let mut buffer = Buffer::zeroed(bytes.len().next_multiple_of(BLOCK_BYTES));
        let len = u32_from(buffer.len());
        let into = buffer.bytes_mut();
        for (to, from) in into.iter_mut().zip(&bytes) {
            *to = *from;
        }
        let (checksum, covered) = into.split_at_mut(4);
        covered
            .get_mut(LENGTH_AT - 4..LENGTH_AT)
            .expect("contents are longer than their head")
            .copy_from_slice(&len.to_le_bytes());
        checksum.copy_from_slice(&crc32c(SEED, covered).to_le_bytes());
        buffer
    }

    /// `Ok(None)`: not whole. `Err`: whole, but of an unknown version.
    fn decode(copy: &[u8]) -> Result<Option<Self>, u32> {
        let len = copy.get(LENGTH_AT..).and_then(|bytes| bytes.first_chunk());
        let len = len.map_or(0, |len| usize_from(u64::from(u32::from_le_bytes(*len))));
        let whole = copy.get(..len).and_then(|whole| whole.split_first_chunk());
        let Some((checksum, mut bytes)) = whole else {
            return Ok(None);
        };
        if crc32c(SEED, bytes) != u32::from_le_bytes(*checksum) {
            return Ok(None);
        }
        if bytes.len() < LENGTH_AT {
            return Ok(None);
        }
        let version = bytes.get_u32_le();
        match version {
            1..=FORMAT_VERSION_GROUPS => Ok(Self::parse(&mut bytes, version)),
            unknown => Err(unknown),
        }
    }

    fn parse(bytes: &mut &[u8], format: u32) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        if magic != MAGIC {
            return None;
        }
        let version = bytes.try_get_u64_le().ok()?;
        bytes.try_get_u32_le().ok()?;
        let identity = Identity {
            cluster: ClusterId(bytes.try_get_u128_le().ok()?),
            node: NodeId::new(bytes.try_get_u64_le().ok()?),
            incarnation: Incarnation(bytes.try_get_u128_le().ok()?),
            run: Run::new(bytes.try_get_u64_le().ok()?),
        };
        let newest_segment = bytes.try_get_u64_le().ok()?;
        let cluster_name = take_text(bytes)?;
        let members = take_text(bytes)?;
        let mut peers = BTreeMap::new();
        let count = usize_from(u64::from(bytes.try_get_u32_le().ok()?));
        for _ in 0..count.min(PEERS_MAX) {
            let node = NodeId::new(bytes.try_get_u64_le().ok()?);
            let incarnation = Incarnation(bytes.try_get_u128_le().ok()?);
            peers.insert((node, incarnation), Run::new(bytes.try_get_u64_le().ok()?));
        }
        let is_outdated = bytes.try_get_u8().ok()? != 0;
        let oldest_segment = if format == 1 { 0 } else { bytes.try_get_u64_le().ok()? };
        let has_unknown_losses = format >= FORMAT_VERSION_LOSSES && bytes.try_get_u8().ok()? != 0;
        let is_said = format >= FORMAT_VERSION_GROUPS;
        let groups = if is_said { bytes.try_get_u64_le().ok()? } else { 0 };
        Some(Self {
            version,
            identity,
            newest_segment,
            oldest_segment,
            cluster_name,
            members,
            peers,
            is_outdated,
            has_unknown_losses,
            groups,
        })
    }
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let len = usize_from(u64::from(bytes.try_get_u32_le().ok()?));
    let (text, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}
