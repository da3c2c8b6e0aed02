//! A data directory on a real disk, opened in the right order (rule 1): lock,
//! disk mode, identity with the start counter made durable.

use std::path::Path;

use crate::disk::DiskError;
use crate::disk::lock::{DirLock, LockError};
use crate::disk::real::{DiskMode, RealDisk};
use crate::identity::{Claims, FILE_NAME, Home, IdentityError, random_incarnation};

/// Why a data directory is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// Another process has it, or it cannot be made.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No way of writing passes its trial.
    #[error("{0}; check the file system and the free space of the data directory")]
    Disk(DiskError),
    /// It is not this node's.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

// These two by hand: derived, the cause would be told twice, in the text and as
// a source.
impl From<DiskError> for DataDirError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl From<DiskError> for IdentityError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// Whether a directory tells whose it is: then a start there is not the first one.
/// It need not be locked.
#[must_use]
pub fn has_identity(path: &Path) -> bool {
    path.join(FILE_NAME).exists()
}

/// Locks a directory, tries its disk out, and checks whose it is.
///
/// The lock is held as long as the returned home, or a log opened on it, lives.
///
/// # Errors
/// [`DataDirError`]: one line that says what, where, remedy.
pub async fn open_data_dir(
    path: &Path,
    claims: &Claims,
    mode: DiskMode,
) -> Result<(RealDisk, Home<RealDisk>), DataDirError> {
    let lock = DirLock::acquire(path)?;
    let disk = RealDisk::open(lock, mode)?;
    let home = Home::open(disk.clone(), claims, random_incarnation).await?;
    Ok((disk, home))
}
