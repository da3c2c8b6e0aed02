//! Whose data directory this is (rules 1–4, D14).
//!
//! `IDENTITY` holds two copies, at bytes 0 and 65 536, written in turn, so that
//! one of them is whole at any time; the one with the higher version counts.
//! Layout of a copy, little endian:
//!
//! ```text
//!  0  checksum        u32      CRC-32C of all bytes of the copy behind it
//!  4  format version  u32      1 to 4: the oldest that can say what the copy says
//!  8  magic           8 bytes  "raftid\n\0"
//! 16  version         u64      counts the copies written; odd ones are first
//! 24  length          u32      of the copy, whole blocks of 4 096
//! 28  cluster         u128
//! 44  node            u64
//! 52  incarnation     u128     random, of this directory
//! 68  run             u64      starts so far
//! 76  newest segment  u64      of the log; it must be there
//! 84  cluster name    u32 length, UTF-8
//! ..  members         u32 length, UTF-8: initial ones, "1=host:port,2=…"
//! ..  runs of peers   u32 count, then node u64, incarnation u128, run u64
//! ..  outdated        u8       1: peers refused it as an old copy
//! ..  oldest segment  u64      those before it hold nothing that counts; not in 1
//! ..  losses          u8       1: groups may be gone without a trace; of 3 on
//! ..  groups          u64      that the keyspace is divided among, 0: not said; of 4 on
//! ..  zeros
//! ```
//!
//! Invariants
//! - A run's number is durable before [`Home::open`] returns, and higher than
//!   any former one: where one copy is lost, a number is skipped for it.
//! - Nothing is made durable here that was not durable before it is believed.
//! - An old copy that was found out stays out: starting it again and again
//!   would raise its number above the one that betrayed it (rule 4).
//! - After a failed write the file is not written again (rule 9).
//!
//! Not here: the lock (`disk/lock.rs`), the handshake that compares identities (the
//! transport).

mod error;
mod file;
mod restore;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use xxhash_rust::xxh3::xxh3_128;

use crate::disk::{Disk, DiskError};
use crate::gate::Gate;
use crate::names::{self, Named};
use raftlet::core::{ClusterId, Incarnation, NUMBER_MAX, NodeId, Run, Sender};

pub use error::{IdentityError, RunRefused};
pub(crate) use file::{Contents, FILE_NAME};
pub use restore::{FOUNDING_NAME, RESTORE_NAME, RESTORE_PART_NAME, restored_cluster_id};

/// Peers whose runs are remembered: all members a node can meet (64 a group),
/// four times over for replaced ones. A new one above that is refused.
pub const PEERS_MAX: usize = 256;
/// Bytes of a cluster's name.
pub const CLUSTER_NAME_BYTES_MAX: usize = 256;
/// Bytes of the initial members as text: 64 of them with the longest address.
pub const MEMBERS_BYTES_MAX: usize = 24 << 10;

/// Who a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its id there.
    pub node: NodeId,
    /// The life of its data directory.
    pub incarnation: Incarnation,
    /// Which start on it this is.
    pub run: Run,
}

/// What the command line says about a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Name of the cluster.
    pub cluster_name: String,
    /// The node's id.
    pub node: NodeId,
    /// The first members and their addresses, in any order. Used when the
    /// directory is new, compared otherwise.
    pub initial_members: Vec<(NodeId, String)>,
    /// How many groups the keyspace is divided among, for ever. `None` says nothing
    /// of it.
    pub groups: Option<u64>,
}

/// The cluster that these first members form under this name (rule 2), if its
/// keyspace is one group.
#[must_use]
pub fn cluster_id(name: &str, initial_members: &[(NodeId, String)]) -> ClusterId {
    let text = format!("raftlet cluster 1\0{name}\0{}", members_text(initial_members));
    ClusterId(xxh3_128(text.as_bytes()))
}

/// The cluster that is founded with these claims. How many groups its keyspace is
/// divided among is part of it: members that divide it otherwise would look for a
/// key in different groups. One group, or none said, adds nothing.
fn founded_cluster_id(claims: &Claims) -> ClusterId {
    let Claims { cluster_name, initial_members, groups, .. } = claims;
    match groups {
        None | Some(1) => cluster_id(cluster_name, initial_members),
        Some(groups) => {
            let members = members_text(initial_members);
            let text = format!("raftlet cluster 1\0{cluster_name}\0{members}\0{groups} groups");
            ClusterId(xxh3_128(text.as_bytes()))
        }
    }
}

/// `1=host:port,2=host:port`, in order of id.
fn members_text(members: &[(NodeId, String)]) -> String {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort();
    let mut text = String::new();
    for (node, address) in sorted {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{}={address}", node.get());
    }
    text
}

/// A number nobody else has, from the system.
///
/// # Errors
/// [`IdentityError::NoEntropy`].
pub fn random_incarnation() -> Result<Incarnation, IdentityError> {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())
        .map_err(|error| IdentityError::NoEntropy { cause: error.to_string() })?;
    if filled < bytes.len() {
        let cause = format!("{filled} of {} bytes", bytes.len());
        return Err(IdentityError::NoEntropy { cause });
    }
    Ok(Incarnation(u128::from_le_bytes(bytes)))
}

/// A data directory in use. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Home<D: Disk>(Rc<Inner<D>>);

#[derive(Debug)]
struct Inner<D: Disk> {
    disk: D,
    file: D::File,
    identity: Identity,
    is_new: bool,
    warnings: Vec<String>,
    contents: RefCell<Contents>,
    /// One copy is written at a time, or both could be torn.
    writing: Gate,
    failed: RefCell<Option<DiskError>>,
}

impl<D: Disk> Home<D> {
    /// Checks the claims against the directory, or founds it when it is empty,
    /// and makes this run's number durable.
    ///
    /// # Errors
    /// [`IdentityError`]; nothing was changed unless the disk failed.
    pub async fn open(
        disk: D,
        claims: &Claims,
        incarnation: impl FnOnce() -> Result<Incarnation, IdentityError>,
    ) -> Result<Self, IdentityError> {
        Self::open_in(disk, claims, None, incarnation).await
    }

    /// As [`open`](Self::open); a new directory is founded in `cluster`, where
    /// one that runs already is joined: its id may be a restored one's.
    ///
    /// # Errors
    /// As of `open`.
    pub async fn open_in(
        disk: D,
        claims: &Claims,
        cluster: Option<ClusterId>,
        incarnation: impl FnOnce() -> Result<Incarnation, IdentityError>,
    ) -> Result<Self, IdentityError> {
        check_limits(claims)?;
        let files = disk.list().await?;
        if files.iter().any(|file| file.name == FILE_NAME) {
            return Self::resume(disk, claims).await;
        }
        // A log without its identity, or a directory of somebody else's.
        let is_taken = |name: &str| match names::read_name(name) {
            Named::Segment(_) | Named::Snapshot(..) | Named::Condemned(..) => true,
            Named::Foreign => !name.starts_with('.'),
            Named::Spare | Named::Known | Named::Restore => false,
        };
        let is_restore = |name: &str| names::read_name(name) == Named::Restore;
        if let Some(file) = files.iter().find(|file| is_restore(&file.name)) {
            return Err(IdentityError::Unfinished { place: disk.place(), file: file.name.clone() });
        }
        if let Some(file) = files.into_iter().find(|file| is_taken(&file.name)) {
            return Err(IdentityError::NotEmpty { place: disk.place(), file: file.name });
        }
        let cluster = cluster.unwrap_or_else(|| founded_cluster_id(claims));
        Self::found(disk, claims, cluster, incarnation()?).await
    }

    async fn found(
        disk: D,
        claims: &Claims,
        cluster: ClusterId,
        incarnation: Incarnation,
    ) -> Result<Self, IdentityError> {
        let identity = Identity { cluster, node: claims.node, incarnation, run: Run::new(1) };
        let contents = Contents {
            version: 2,
            identity,
            newest_segment: 0,
            oldest_segment: 0,
            cluster_name: claims.cluster_name.clone(),
            members: members_text(&claims.initial_members),
            peers: BTreeMap::new(),
            is_outdated: false,
            has_unknown_losses: false,
            groups: claims.groups.unwrap_or_default(),
        };
        let file = file::found(&disk, &contents).await?;
        Ok(Self::new(disk, file, contents, (true, Vec::new())))
    }

    async fn resume(disk: D, claims: &Claims) -> Result<Self, IdentityError> {
        let place = disk.place();
        let found = file::load(&disk).await?;
        let mut contents = found.contents;
        let mut warnings = Vec::new();
        compare(&place, &contents, claims)?;
        if contents.is_outdated {
            return Err(IdentityError::Outdated { place });
        }
        let members = members_text(&claims.initial_members);
        if !members.is_empty() && members != contents.members {
            warnings.push(format!(
                "this start's initial members are {members}, but {place} was founded with {}, \
                 which stands: --initial-members counts for an empty directory only",
                contents.members
            ));
        }
        // A lost copy may have been one run ahead of the one that is left.
        let mut step = 1;
        if found.has_lost_copy {
            warnings.push(format!("one copy in {place}/{FILE_NAME} was damaged; it is repaired"));
            step = 2;
        }
        if contents.identity.run.get() >= NUMBER_MAX {
            return Err(IdentityError::Exhausted { place });
        }
        contents.identity.run = Run::new(contents.identity.run.get() + step);
        contents.version += 1;
        file::store(&disk, &found.file, &contents).await?;
        Ok(Self::new(disk, found.file, contents, (false, warnings)))
    }

    /// Reads whose directory it is, checks no claim and changes nothing; with
    /// what is worth knowing about the file.
    pub(crate) async fn peek(disk: D) -> Result<(Self, Vec<String>), IdentityError> {
        let place = disk.place();
        let found = file::load(&disk).await?;
        let mut warnings = Vec::new();
        if found.has_lost_copy {
            warnings.push(format!(
                "one copy in {place}/{FILE_NAME} is damaged; the next start repairs it"
            ));
        }
        if found.contents.is_outdated {
            warnings.push(format!(
                "{place} was refused by other members as an old copy; it is not started again"
            ));
        }
        let home = Self::new(disk, found.file, found.contents, (false, Vec::new()));
        Ok((home, warnings))
    }

    fn new(disk: D, file: D::File, contents: Contents, told: (bool, Vec<String>)) -> Self {
        let (is_new, warnings) = told;
        Self(Rc::new(Inner {
            disk,
            file,
            identity: contents.identity,
            is_new,
            warnings,
            contents: RefCell::new(contents),
            writing: Gate::default(),
            failed: RefCell::new(None),
        }))
    }

    /// Who this node is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.0.identity
    }

    /// The name of its cluster.
    #[must_use]
    pub fn cluster_name(&self) -> String {
        self.0.contents.borrow().cluster_name.clone()
    }

    /// The cluster's first members as the directory was founded with them:
    /// `1=host:port,2=host:port`, in order of id.
    #[must_use]
    pub fn founders(&self) -> String {
        self.0.contents.borrow().members.clone()
    }

    /// Among how many groups the keyspace is divided, where somebody has said so.
    #[must_use]
    pub fn groups(&self) -> Option<u64> {
        Some(self.0.contents.borrow().groups).filter(|groups| *groups > 0)
    }

    /// Notes durably, in both copies, among how many groups the keyspace is divided:
    /// of a directory that was founded before that was noted. What is noted stands.
    ///
    /// # Errors
    /// [`DiskError`]: it may or may not be known at the next start.
    ///
    /// # Cancel safety
    /// As after an error.
    pub async fn note_groups(&self, groups: u64) -> Result<(), DiskError> {
        let inside = self.0.writing.enter().await;
        let mut stored = Ok(());
        if self.groups().is_none() {
            for _ in 0..2 {
                let contents = Contents { groups, ..self.0.contents.borrow().clone() };
                stored = self.store(contents).await;
                if stored.is_err() {
                    break;
                }
            }
        }
        drop(inside);
        stored
    }

    /// Whether this start founded the directory.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.0.is_new
    }

    /// What an operator should know, one line each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// The highest run of each life of each peer that was met.
    #[must_use]
    pub fn remembered_runs(&self) -> Vec<Sender> {
        let contents = self.0.contents.borrow();
        let peers = contents.peers.iter();
        peers
            .map(|((node, incarnation), run)| Sender {
                node: *node,
                incarnation: *incarnation,
                run: *run,
            })
            .collect()
    }

    /// Checks a peer's run against the highest one met, and remembers it
    /// durably before it returns when it is new (rule 4). Call it before the
    /// peer is believed anything.
    ///
    /// # Errors
    /// [`RunRefused`]: the peer is not to be talked to.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have remembered.
    pub async fn remember_run(&self, peer: Sender) -> Result<(), RunRefused> {
        let inside = self.0.writing.enter().await;
        let Sender { node, incarnation, run } = peer;
        let key = (node, incarnation);
        let mut contents = {
            let contents = self.0.contents.borrow();
            match contents.peers.get(&key) {
                Some(highest) if run < *highest => {
                    let highest = *highest;
                    return Err(RunRefused::Outdated { node, run, highest });
                }
                Some(highest) if run == *highest => return Ok(()),
                Some(_) => {}
                None if contents.peers.len() >= PEERS_MAX => {
                    return Err(RunRefused::TooMany { node });
                }
                None => {}
            }
            contents.clone()
        };
        contents.peers.insert(key, run);
        let stored = self.store(contents).await;
        drop(inside);
        stored.map_err(RunRefused::Disk)
    }

    /// Keeps this directory from being started again: a peer refused it as an
    /// old copy. Durable in both copies when it returns.
    ///
    /// # Errors
    /// [`DiskError`]: it may or may not be known at the next start.
    ///
    /// # Cancel safety
    /// As after an error.
    pub async fn mark_outdated(&self) -> Result<(), DiskError> {
        let inside = self.0.writing.enter().await;
        let mut contents = self.0.contents.borrow().clone();
        contents.is_outdated = true;
        let mut stored = self.store(contents.clone()).await;
        if stored.is_ok() {
            contents.version += 1;
            stored = self.store(contents).await;
        }
        drop(inside);
        stored
    }

    /// The newest segment that must be there.
    pub(crate) fn newest_segment(&self) -> u64 {
        self.0.contents.borrow().newest_segment
    }

    /// Notes durably that a segment is there from now on.
    pub(crate) async fn note_segment(&self, number: u64) -> Result<(), DiskError> {
        let inside = self.0.writing.enter().await;
        let mut contents = self.0.contents.borrow().clone();
        contents.newest_segment = contents.newest_segment.max(number);
        let stored = self.store(contents).await;
        drop(inside);
        stored
    }

    /// Segments before this one hold nothing that counts.
    pub(crate) fn oldest_segment(&self) -> u64 {
        self.0.contents.borrow().oldest_segment
    }

    /// Groups may be gone from here without a trace: whoever is unknown is not new.
    pub(crate) fn has_unknown_losses(&self) -> bool {
        self.0.contents.borrow().has_unknown_losses
    }

    /// Notes durably, in both copies, that segments before this one are not
    /// needed, and, for ever, whether groups are lost without a trace (D52).
    pub(crate) async fn note_oldest_segment(
        &self,
        number: u64,
        has_unknown_losses: bool,
    ) -> Result<(), DiskError> {
        let inside = self.0.writing.enter().await;
        let mut stored = Ok(());
        for _ in 0..2 {
            let mut contents = self.0.contents.borrow().clone();
            contents.oldest_segment = contents.oldest_segment.max(number);
            contents.has_unknown_losses |= has_unknown_losses;
            stored = self.store(contents).await;
            if stored.is_err() {
                break;
            }
        }
        drop(inside);
        stored
    }

    /// Writes the next copy; called by whoever is inside the gate.
    async fn store(&self, mut contents: Contents) -> Result<(), DiskError> {
        let failed = self.0.failed.borrow().clone();
        if let Some(error) = failed {
            return Err(error);
        }
        contents.version += 1;
        match file::store(&self.0.disk, &self.0.file, &contents).await {
            Ok(()) => {
                *self.0.contents.borrow_mut() = contents;
                Ok(())
            }
            Err(error) => {
                *self.0.failed.borrow_mut() = Some(error.clone());
                Err(error)
            }
        }
    }
}

fn check_limits(claims: &Claims) -> Result<(), IdentityError> {
    let refuse = |what: String| Err(IdentityError::Claim { what });
    let name_bytes = claims.cluster_name.len();
    if name_bytes == 0 || name_bytes > CLUSTER_NAME_BYTES_MAX {
        return refuse(format!(
            "the cluster's name has {name_bytes} bytes, 1 to {CLUSTER_NAME_BYTES_MAX} are allowed"
        ));
    }
    if claims.node.get() == 0 || claims.node.get() > NUMBER_MAX {
        return refuse(format!("node id {} is not one", claims.node.get()));
    }
    let members_bytes = members_text(&claims.initial_members).len();
    if members_bytes > MEMBERS_BYTES_MAX {
        return refuse(format!(
            "the initial members take {members_bytes} bytes, {MEMBERS_BYTES_MAX} are allowed"
        ));
    }
    Ok(())
}

fn compare(place: &str, contents: &Contents, claims: &Claims) -> Result<(), IdentityError> {
    let mismatch = |field, found: String, expected: String| {
        Err(IdentityError::Mismatch { place: place.to_owned(), field, found, expected })
    };
    if contents.identity.node != claims.node {
        let found = contents.identity.node.get().to_string();
        return mismatch("node id", found, claims.node.get().to_string());
    }
    if contents.cluster_name != claims.cluster_name {
        let found = contents.cluster_name.clone();
        return mismatch("cluster", found, claims.cluster_name.clone());
    }
    match claims.groups {
        Some(expected) if contents.groups > 0 && contents.groups != expected => {
            let (place, found) = (place.to_owned(), contents.groups);
            Err(IdentityError::Groups { place, found, expected })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
