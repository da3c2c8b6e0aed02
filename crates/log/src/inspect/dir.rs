//! A data directory that is read and never written.
//!
//! It is locked against a start while it is looked at, by a shared lock: several
//! may look at once. Reads go past the page cache as far as the system allows,
//! so that the disk is judged and not what was meant to be on it.

use std::fs::{self, File};
use std::future::{Future, ready};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Advice, FlockOperation, fadvise, flock};

use crate::disk::buffer::Buffer;
use crate::disk::{Disk, DiskError, FileInfo, Reach};
use crate::error::OpenError;
use crate::identity::{FILE_NAME, Home, IdentityError};
use crate::width::u64_from;

/// Why a directory cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// There is none, or it cannot be read.
    #[error("{0}; give the data directory of a node")]
    Unreadable(DiskError),
    /// A node uses it.
    #[error("data directory {} is in use; stop its node first", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It is no node's, or its identity is gone.
    #[error(
        "{place} holds no {FILE_NAME}; give the data directory of a node, or put the {FILE_NAME} \
         of this one back"
    )]
    NoIdentity {
        /// The directory.
        place: String,
    },
    /// The device does not give its files back.
    #[error("{0}; check the device and the permissions")]
    Device(DiskError),
    /// It has no identity that can be understood.
    #[error(transparent)]
    Identity(IdentityError),
    /// The log would not open.
    #[error(transparent)]
    Log(OpenError),
}

// By hand: what a start would be told to do is not what is to be done here.
impl From<OpenError> for InspectError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unreadable(error) => Self::Device(error),
            error => Self::Log(error),
        }
    }
}

/// Whose directory it is, with what is worth knowing about the file that says so.
pub(super) async fn peek<D: Disk>(disk: &D) -> Result<(Home<D>, Vec<String>), InspectError> {
    Home::peek(disk.clone()).await.map_err(|error| match error {
        IdentityError::Disk(error) if error.kind == io::ErrorKind::NotFound => {
            InspectError::NoIdentity { place: disk.place() }
        }
        IdentityError::Disk(error) => InspectError::Device(error),
        error => InspectError::Identity(error),
    })
}

/// A directory opened for reading only. Clones are the same one.
#[derive(Clone, Debug)]
pub struct ReadOnlyDir(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    bytes_read: Arc<AtomicU64>,
    _lock: Option<File>,
}

/// A file of it.
#[derive(Debug)]
pub struct ReadOnlyFile {
    name: String,
    file: File,
}

impl ReadOnlyDir {
    /// Opens a directory that no node uses.
    ///
    /// # Errors
    /// [`InspectError`]
    pub fn open(path: &Path) -> Result<Self, InspectError> {
        let unreadable = |operation, error: &io::Error| {
            let place = path.to_string_lossy();
            InspectError::Unreadable(DiskError::from_io(operation, &place, 0, error))
        };
        fs::read_dir(path).map_err(|error| unreadable("list", &error))?;
        let lock = match File::open(path.join("LOCK")) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable("open the lock of", &error)),
        };
        if let Some(file) = &lock
            && flock(file, FlockOperation::NonBlockingLockShared).is_err()
        {
            return Err(InspectError::InUse { path: path.to_owned() });
        }
        let bytes_read = Arc::default();
        Ok(Self(Rc::new(Inner { path: path.to_owned(), bytes_read, _lock: lock })))
    }

    /// Counts the bytes read so far, for whoever shows progress.
    #[must_use]
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.bytes_read)
    }

    /// Bytes of all its files.
    ///
    /// # Errors
    /// [`DiskError`] when it cannot be listed.
    pub fn bytes(&self) -> Result<u64, DiskError> {
        Ok(self.files()?.iter().map(|file| file.bytes).sum())
    }

    fn files(&self) -> Result<Vec<FileInfo>, DiskError> {
        let mut files = Vec::new();
        let list = || -> io::Result<()> {
            for entry in fs::read_dir(&self.0.path)? {
                let entry = entry?;
                let about = entry.metadata()?;
                if about.is_file() {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    files.push(FileInfo { name, bytes: about.len() });
                }
            }
            Ok(())
        };
        let mut list = list;
        list().map_err(|error| DiskError::from_io("list", &self.place(), 0, &error))?;
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn open_file(&self, name: &str) -> Result<Arc<ReadOnlyFile>, DiskError> {
        let opened = File::open(self.0.path.join(name));
        let file = opened.map_err(|error| DiskError::from_io("open", name, 0, &error))?;
        // Where that is refused, what the cache has is all there is.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        Ok(Arc::new(ReadOnlyFile { name: name.to_owned(), file }))
    }
}

fn read(file: &ReadOnlyFile, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.file.read_at(rest, offset + u64_from(done)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(DiskError::from_io("read", &file.name, offset, &error)),
        }
    }
    Ok(done)
}

/// Every attempt to change something.
fn refused<T>(operation: &'static str, file: &str) -> Result<T, DiskError> {
    let error = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
    Err(DiskError::from_io(operation, file, 0, &error))
}

impl Disk for ReadOnlyDir {
    type File = Arc<ReadOnlyFile>;

    fn mode(&self) -> &'static str {
        "read only"
    }

    fn place(&self) -> String {
        self.0.path.to_string_lossy().into_owned()
    }

    fn list(&self) -> impl Future<Output = Result<Vec<FileInfo>, DiskError>> {
        ready(self.files())
    }

    fn create(&self, name: &str) -> impl Future<Output = Result<Self::File, DiskError>> {
        ready(refused("create", name))
    }

    fn open(&self, name: &str) -> impl Future<Output = Result<Self::File, DiskError>> {
        ready(self.open_file(name))
    }

    fn read_at(
        &self,
        file: &Self::File,
        offset: u64,
        mut into: Buffer,
    ) -> impl Future<Output = (Buffer, Result<usize, DiskError>)> {
        let result = read(file, offset, into.bytes_mut());
        if let Ok(bytes) = &result {
            self.0.bytes_read.fetch_add(u64_from(*bytes), Ordering::Relaxed);
        }
        ready((into, result))
    }

    fn write_at(
        &self,
        file: &Self::File,
        _: u64,
        from: Buffer,
        _: Reach,
    ) -> impl Future<Output = (Buffer, Result<(), DiskError>)> {
        ready((from, refused("write", &file.name)))
    }

    fn flush(&self, file: &Self::File) -> impl Future<Output = Result<(), DiskError>> {
        ready(refused("flush", &file.name))
    }

    fn allocate(&self, file: &Self::File, _: u64) -> impl Future<Output = Result<(), DiskError>> {
        ready(refused("allocate", &file.name))
    }

    fn truncate(&self, file: &Self::File, _: u64) -> impl Future<Output = Result<(), DiskError>> {
        ready(refused("cut", &file.name))
    }

    fn rename(&self, from: &str, _: &str) -> impl Future<Output = Result<(), DiskError>> {
        ready(refused("rename", from))
    }

    fn remove(&self, name: &str) -> impl Future<Output = Result<(), DiskError>> {
        ready(refused("remove", name))
    }

    fn sync_dir(&self) -> impl Future<Output = Result<(), DiskError>> {
        ready(refused("sync", "the directory"))
    }
}
