//! The first start of a directory that was restored: groups out of a backup.
//!
//! The members meet in a roll call as those of any new cluster do (rule 5, D32),
//! under an id that only those have who were restored alike. The list they come
//! to is written down first; then every group's state becomes its snapshot,
//! which says that this list are the members, and one write of the log names all
//! of them (rule 12). Then the backup goes.
//!
//! Invariants
//! - All members begin with the same bytes: same list, same state, same log id.
//!   The list is the closed one of the roll call, and is never asked for again.
//! - Killed at any point, the next start ends in the same state: without the
//!   list it meets the others again; with it, and without groups, it makes them
//!   from the backup; with groups, the backup is a leftover.
//!
//! ```text
//! FOUNDING   "raftlet founding 1\n" · checksum u32, CRC-32C of the rest ·
//!            configuration, as an entry of the log has it
//! ```

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::backup::draft::{Draft, failed, sync_directory};
use crate::backup::format::GroupHead;
use crate::backup::reading::{Piece, Reading};
use crate::backup::verify::{READ_BYTES, damaged};
use crate::process::failure::{Exit, Failure};
use crate::shard::ports::SharedLog;
use raftlet::core::{Configuration, HardState, Member, MemberRole, PRIORITY_DEFAULT, crc32c};
use raftlet::{
    Compaction, GroupWrite, SnapshotMeta, SnapshotWriter, Storage, StorageError, WriteBatch,
};
use raftlet_kv::SlotMap;
use raftlet_log::{FOUNDING_NAME, LogSnapshotWriter, RESTORE_NAME, RealDisk};
use raftlet_net::RollCallMember;

const MAGIC: &[u8] = b"raftlet founding 1\n";
/// Sets the checksum apart from all others.
const SEED: u32 = 0x666f_756e;
/// A configuration of 64 members with the longest addresses, and its head.
const BYTES_MAX: usize = 32 << 10;

/// What a restore left in a data directory.
#[derive(Debug)]
pub(crate) struct Founding {
    dir: PathBuf,
    /// Groups of the backup that is there.
    backup: Option<u32>,
    list: Option<Vec<RollCallMember>>,
}

impl Founding {
    /// Looks at a directory, which as a rule was not restored.
    ///
    /// # Errors
    /// What a restore left is damaged.
    pub(crate) fn look(dir: &Path) -> Result<Self, Failure> {
        let list = match fs::read(dir.join(FOUNDING_NAME)) {
            Ok(bytes) => Some(decode(&bytes).ok_or_else(|| harmed(dir, FOUNDING_NAME))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("read", &dir.join(FOUNDING_NAME), &error)),
        };
        let backup = dir.join(RESTORE_NAME);
        let backup = if backup.exists() { Some(groups_len(&backup)?) } else { None };
        Ok(Self { dir: dir.to_owned(), backup, list })
    }

    /// Whether the directory is to begin with a backup, or has.
    pub(crate) const fn is_restored(&self) -> bool {
        self.backup.is_some() || self.list.is_some()
    }

    /// The members it began with, once they have met.
    pub(crate) fn list(&self) -> Option<&[RollCallMember]> {
        self.list.as_deref()
    }

    /// Compares the groups that were asked for with those of the backup.
    ///
    /// # Errors
    /// They are not as many.
    pub(crate) fn check(&self, slots: SlotMap) -> Result<(), Failure> {
        match self.backup {
            Some(there) if there != u32::from(slots.groups_len()) => Err(Failure::config(format!(
                "--groups {} does not fit the data directory, which was restored with {there}; \
                     say --groups {there}",
                slots.groups_len()
            ))),
            _ => Ok(()),
        }
    }

    /// The members have met: this is the list for ever.
    ///
    /// # Errors
    /// It cannot be made durable.
    pub(crate) fn close(&mut self, list: &[RollCallMember]) -> Result<(), Failure> {
        let configuration = configuration(list)?;
        let mut bytes = MAGIC.to_vec();
        let mut encoded = Vec::new();
        configuration.encode(&mut encoded);
        bytes.extend_from_slice(&crc32c(SEED, &encoded).to_le_bytes());
        bytes.extend_from_slice(&encoded);
        let path = self.dir.join(FOUNDING_NAME);
        // What a killed start left of it says nothing.
        let _ = fs::remove_file(path.with_extension("part"));
        let mut draft = Draft::begin(&path)?;
        draft.write(&bytes)?;
        draft.finish()?;
        self.list = Some(list.to_vec());
        Ok(())
    }

    /// Makes the groups of the list and the backup. Takes as long as reading and
    /// writing the state does.
    ///
    /// # Errors
    /// The backup is damaged or gone, or the log refuses; no group is there then.
    pub(crate) async fn write(&self, log: &SharedLog) -> Result<(), Failure> {
        let Some(list) = &self.list else {
            return Err(harmed(&self.dir, FOUNDING_NAME));
        };
        let path = self.dir.join(RESTORE_NAME);
        let mut groups =
            Groups { log, configuration: configuration(list)?, open: None, writes: Vec::new() };
        let mut file = File::open(&path).map_err(|_| harmed(&self.dir, RESTORE_NAME))?;
        let (mut reading, mut buffer) = (Reading::of_file(), vec![0; READ_BYTES]);
        loop {
            let read = file.read(&mut buffer).map_err(|error| failed("read", &path, &error))?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                break;
            };
            reading.push(piece);
            while let Some((piece, _)) = reading.next().map_err(|it| damaged(&path, &it))? {
                groups.take(piece).await.map_err(|error| refused(&error))?;
            }
        }
        reading.finish().map_err(|broken| damaged(&path, &broken))?;
        let (count, batch) = (groups.writes.len(), WriteBatch { writes: groups.writes });
        log.write(batch).await.1.map_err(|error| refused(&error))?;
        info!(groups = count, members = list.len(), "begins with a backup");
        Ok(())
    }

    /// The groups are there: the backup goes.
    pub(crate) fn end(&mut self) {
        if self.backup.take().is_some() {
            let path = self.dir.join(RESTORE_NAME);
            let removed = fs::remove_file(&path)
                .map_err(|error| failed("remove", &path, &error))
                .and_then(|()| sync_directory(&path));
            if let Err(failure) = removed {
                // It costs room, and is tried again at the next start.
                warn!("the backup that this node began with is still there: {failure}");
            }
        }
    }
}

/// Groups on their way into the log.
struct Groups<'a> {
    log: &'a SharedLog,
    configuration: Configuration,
    open: Option<LogSnapshotWriter<RealDisk>>,
    writes: Vec<GroupWrite>,
}

impl Groups<'_> {
    async fn take(&mut self, piece: Piece) -> Result<(), StorageError> {
        match piece {
            Piece::Group(head) => {
                self.finish().await?;
                self.begin(*head).await
            }
            Piece::Chunk(bytes) => match &mut self.open {
                Some(writer) => writer.write(bytes).await,
                None => Ok(()),
            },
            Piece::Manifest(_) => self.finish().await,
        }
    }

    async fn begin(&mut self, head: GroupHead) -> Result<(), StorageError> {
        let mut configuration = Vec::new();
        self.configuration.encode(&mut configuration);
        let last = head.meta.last;
        let meta = SnapshotMeta {
            configuration: configuration.into(),
            configuration_index: last.index,
            ..head.meta
        };
        self.open = Some(self.log.create_snapshot(head.group, &meta).await?);
        self.writes.push(GroupWrite {
            // Nobody of this cluster has voted in any term yet.
            hard_state: Some(HardState { term: last.term, vote: None }),
            compact: Some(Compaction { base: last, snapshot: Some(last) }),
            ..GroupWrite::new(head.group.group, head.group.generation)
        });
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), StorageError> {
        match self.open.take() {
            Some(writer) => writer.finish().await.map(|_| ()),
            None => Ok(()),
        }
    }
}

fn refused(error: &StorageError) -> Failure {
    Failure::caused(Exit::Runtime, "the restored groups cannot be written", error)
}

fn harmed(dir: &Path, name: &str) -> Failure {
    Failure::new(
        Exit::Data,
        format!(
            "{}/{name} is damaged or missing, and this directory was to begin with a backup; run \
             `raftlet backup restore` again on an empty directory",
            dir.display()
        ),
    )
}

fn configuration(list: &[RollCallMember]) -> Result<Configuration, Failure> {
    let members = list.iter().map(|member| Member {
        node: member.node,
        incarnation: member.incarnation,
        role: MemberRole::Voter,
        priority: PRIORITY_DEFAULT,
        address: member.address.clone(),
    });
    Configuration::new(members.collect())
        .map_err(|error| Failure::caused(Exit::Config, "--initial-members", &error))
}

fn decode(bytes: &[u8]) -> Option<Vec<RollCallMember>> {
    if bytes.len() > BYTES_MAX {
        return None;
    }
    let (checksum, encoded) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    if crc32c(SEED, encoded) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let configuration = Configuration::decode(encoded).ok()?;
    let member = |member: &Member| RollCallMember {
        node: member.node,
        incarnation: member.incarnation,
        address: member.address.clone(),
    };
    Some(configuration.members().iter().map(member).collect())
}

/// How many groups the cluster of a backup has, as its first frame says.
fn groups_len(path: &Path) -> Result<u32, Failure> {
    let mut file = File::open(path).map_err(|error| failed("read", path, &error))?;
    let (mut reading, mut buffer) = (Reading::of_file(), vec![0; READ_BYTES]);
    loop {
        let read = file.read(&mut buffer).map_err(|error| failed("read", path, &error))?;
        reading.push(buffer.get(..read).unwrap_or_default());
        match reading.next().map_err(|broken| damaged(path, &broken))? {
            Some((Piece::Group(head), _)) => return Ok(head.groups_len),
            None if read > 0 => {}
            _ => return Err(damaged(path, &"it does not begin with a group")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Founding;
    use raftlet::core::{Incarnation, NodeId};
    use raftlet_log::FOUNDING_NAME;
    use raftlet_net::RollCallMember;

    #[test]
    fn the_list_of_members_is_kept_for_ever_and_not_believed_when_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let mut founding = Founding::look(dir.path()).unwrap();
        assert!(!founding.is_restored());
        let member = |node: u64| RollCallMember {
            node: NodeId::new(node),
            incarnation: Incarnation(u128::from(node) << 90),
            address: format!("h{node}:1"),
        };
        let list = [member(1), member(2)];
        // What a killed start left.
        std::fs::write(dir.path().join("FOUNDING.part"), b"half").unwrap();
        founding.close(&list).unwrap();
        let again = Founding::look(dir.path()).unwrap();
        assert_eq!(again.list(), Some(&list[..]));
        assert!(again.is_restored());
        let path = dir.path().join(FOUNDING_NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 4;
            std::fs::write(&path, &bytes).unwrap();
            let refused = Founding::look(dir.path()).unwrap_err();
            assert!(refused.message.contains("backup restore"), "byte {at}: {refused}");
            bytes[at] ^= 4;
        }
    }
}
