//! A data directory that begins with a backup.
//!
//! The backup is copied into it under [`RESTORE_PART_NAME`], made durable, named
//! [`RESTORE_NAME`]; only then the directory is founded. So a restore that was
//! killed leaves a directory without identity, which no start takes, and one with
//! an identity has the whole backup. The first start makes groups of it, once
//! all members have met, and removes it; [`FOUNDING_NAME`] holds the list that
//! they came to.
//!
//! Invariant: the cluster's id is made of the backup's as well, so it is nobody
//! else's: not of the cluster that was backed up, not of one that is begun with
//! the same name and members, not of one restored from another backup (rule 2).
//!
//! Not here: the bytes of backup and list (the server's).

use std::io;

use xxhash_rust::xxh3::xxh3_128;

use super::{Claims, FILE_NAME, Home, IdentityError, check_limits, members_text};
use crate::disk::{Disk, DiskError};
use raftlet::core::{ClusterId, Incarnation, NodeId};

/// The backup that a directory is to begin with.
pub const RESTORE_NAME: &str = "RESTORE";
/// The same while it is copied.
pub const RESTORE_PART_NAME: &str = "RESTORE.part";
/// The members with which it began.
pub const FOUNDING_NAME: &str = "FOUNDING";

/// The cluster that these first members form under this name when they begin
/// with this backup.
#[must_use]
pub fn restored_cluster_id(
    name: &str,
    initial_members: &[(NodeId, String)],
    backup: u128,
) -> ClusterId {
    let members = members_text(initial_members);
    let text = format!("raftlet restored cluster 1\0{name}\0{members}\0{backup:032x}");
    ClusterId(xxh3_128(text.as_bytes()))
}

impl<D: Disk> Home<D> {
    /// Founds a directory into which this backup was copied.
    ///
    /// # Errors
    /// [`IdentityError`]; there is no identity then, unless the disk failed.
    pub async fn restore(
        disk: D,
        claims: &Claims,
        backup: u128,
        incarnation: impl FnOnce() -> Result<Incarnation, IdentityError>,
    ) -> Result<Self, IdentityError> {
        check_limits(claims)?;
        let files = disk.list().await?;
        let has = |name: &str| files.iter().any(|file| file.name == name);
        if has(FILE_NAME) {
            let (place, file) = (disk.place(), FILE_NAME.to_owned());
            return Err(IdentityError::NotEmpty { place, file });
        }
        if !has(RESTORE_NAME) {
            let missing = io::Error::from(io::ErrorKind::NotFound);
            return Err(DiskError::from_io("open", RESTORE_NAME, 0, &missing).into());
        }
        let (name, members) = (&claims.cluster_name, &claims.initial_members);
        let cluster = restored_cluster_id(name, members, backup);
        Self::found(disk, claims, cluster, incarnation()?).await
    }
}

#[cfg(test)]
mod tests {
    use super::{RESTORE_NAME, RESTORE_PART_NAME, restored_cluster_id};
    use crate::disk::Disk;
    use crate::disk::lane::block_on;
    use crate::disk::memory::MemoryDisk;
    use crate::identity::{Claims, Home, IdentityError, cluster_id};
    use raftlet::core::{Incarnation, NodeId};

    fn claims() -> Claims {
        Claims {
            cluster_name: "raftlet".to_owned(),
            node: NodeId::new(1),
            initial_members: vec![(NodeId::new(1), "a:1".to_owned())],
            groups: Some(3),
        }
    }

    fn open(disk: &MemoryDisk) -> Result<Home<MemoryDisk>, IdentityError> {
        block_on(Home::open(disk.clone(), &claims(), || Ok(Incarnation(7))))
    }

    #[test]
    fn a_restored_cluster_is_no_other_ones() {
        let Claims { cluster_name, initial_members, .. } = claims();
        let id = |name: &str, backup| restored_cluster_id(name, &initial_members, backup);
        let restored = id(&cluster_name, 5);
        assert_eq!(restored, id(&cluster_name, 5), "its members agree");
        assert_ne!(restored, cluster_id(&cluster_name, &initial_members));
        assert_ne!(restored, id(&cluster_name, 6), "of another backup");
        assert_ne!(restored, id("other", 5));
    }

    #[test]
    fn a_restore_that_did_not_finish_is_no_data_directory_and_a_whole_one_is() {
        for name in [RESTORE_PART_NAME, RESTORE_NAME] {
            let disk = MemoryDisk::new();
            block_on(disk.create(name)).unwrap();
            let refused = open(&disk).unwrap_err();
            assert!(matches!(&refused, IdentityError::Unfinished { file, .. } if file == name));
            assert!(refused.to_string().contains("backup restore"), "{refused}");
        }
        let disk = MemoryDisk::new();
        let restore = || block_on(Home::restore(disk.clone(), &claims(), 5, || Ok(Incarnation(7))));
        assert!(matches!(restore().unwrap_err(), IdentityError::Disk(_)), "without a backup");
        block_on(disk.create(RESTORE_NAME)).unwrap();
        let made = restore().unwrap().identity();
        let opened = open(&disk).unwrap().identity();
        assert_eq!((opened.cluster, opened.node), (made.cluster, made.node));
        assert_eq!(opened.run.get(), made.run.get() + 1);
        assert!(matches!(restore().unwrap_err(), IdentityError::NotEmpty { .. }), "twice");
    }
}
