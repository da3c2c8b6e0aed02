//! One process a data directory.
//!
//! `LOCK` is locked with `flock` and holds the process id as text, for the
//! message to whoever comes second. The system gives the lock up when the
//! process ends, however it ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::disk::DiskError;

const NAME: &str = "LOCK";

/// Why a directory is not ours to use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Another process uses it.
    #[error(
        "data directory {} is in use by process {pid}; stop that process, or choose another \
         directory",
        path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// As the other process wrote it.
        pid: String,
    },
    /// It cannot be made or opened.
    #[error("{0}; check the path and its permissions")]
    Unusable(DiskError),
}

/// A data directory locked for this process, for as long as this lives.
#[derive(Debug)]
pub struct DirLock {
    path: PathBuf,
    /// Its descriptor is the lock.
    _file: File,
}

impl DirLock {
    /// Makes the directory when there is none, and locks it.
    ///
    /// # Errors
    /// [`LockError::Locked`] when another process has it.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let unusable = |operation| {
            move |error: io::Error| {
                let place = path.to_string_lossy();
                LockError::Unusable(DiskError::from_io(operation, &place, 0, &error))
            }
        };
        if !path.is_dir() {
            fs::create_dir_all(path).map_err(unusable("make data directory"))?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_directory(parent.unwrap_or(Path::new(".")))
                .map_err(unusable("sync the directory above"))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(NAME))
            .map_err(unusable("lock data directory"))?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(unusable("lock data directory")(error.into()));
            }
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(LockError::Locked { path: path.to_owned(), pid: pid.trim().to_owned() });
        }
        // The number helps people; the lock holds without it.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { path: path.to_owned(), _file: file })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes durable which names a directory holds (rule 13).
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{DirLock, LockError};

    #[test]
    fn a_second_lock_is_refused_with_the_pid_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/deep");
        let first = DirLock::acquire(&path).unwrap();
        let LockError::Locked { pid, .. } = DirLock::acquire(&path).unwrap_err() else {
            panic!("another reason than the lock");
        };
        assert_eq!(pid, std::process::id().to_string());
        drop(first);
        DirLock::acquire(&path).unwrap();
    }
}
