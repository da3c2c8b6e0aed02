//! The disk behind the log, a small port of its own (D11).
//!
//! Two disks exist: `disk/real.rs` is a directory of a Linux file system,
//! `disk/memory.rs` a simulated one whose crashes and faults a test chooses.
//! The log knows neither; it awaits this trait.
//!
//! Laws
//! 1. A disk is one flat directory. Names are plain, without a path.
//! 2. `write_at` with [`Reach::Durable`]: after `Ok` the bytes survive power
//!    loss, together with what is needed to find them in the file. With
//!    [`Reach::Cache`] or [`Reach::Background`] they do so after a later
//!    `flush` of that file. Before, any part of them may survive.
//! 3. `Durable` and `Cache` writes take effect in the order of calls. Neither
//!    waits behind reads or behind anything of [`Reach::Background`].
//! 4. Created and renamed names survive power loss after `sync_dir`; a rename
//!    happens whole or not at all.
//! 5. After an error nothing is known of what was written. EINTR and short
//!    writes that make progress are not errors: the disk goes on.
//! 6. Buffers are handed over and come back at completion. Dropping a future
//!    stops waiting and nothing else.
//!
//! Offsets and lengths of reads and writes are multiples of
//! [`ALIGNMENT_BYTES`](buffer::ALIGNMENT_BYTES).

pub mod buffer;
pub(crate) mod lane;
pub(crate) mod lock;
pub mod memory;
pub mod real;

use std::fmt;
use std::future::Future;
use std::io;

use rustix::io::Errno;

use buffer::Buffer;

/// How far a write reaches before it counts as done, and on which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Onto the device, surviving power loss: frames of the log.
    Durable,
    /// Into the device's cache, in order with durable writes: marks.
    Cache,
    /// Into the device's cache, in the background: zero filling.
    Background,
}

/// A file of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// An operation that failed: what, where, why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {operation} {file}{}: {cause}", place_in(*.offset))]
pub struct DiskError {
    /// What was tried.
    pub operation: &'static str,
    /// The file's name.
    pub file: String,
    /// Where in the file; 0 where that means nothing.
    pub offset: u64,
    /// The kind of failure.
    pub kind: io::ErrorKind,
    /// What the system said.
    pub cause: String,
    /// Of a read: the device knows that it cannot give these bytes back. Nothing
    /// is wrong with the way to it, as far as it says.
    pub is_of_medium: bool,
}

fn place_in(offset: u64) -> String {
    if offset == 0 { String::new() } else { format!(" at byte {offset}") }
}

impl DiskError {
    /// An error as the system reported it.
    pub(crate) fn from_io(
        operation: &'static str,
        file: &str,
        offset: u64,
        error: &io::Error,
    ) -> Self {
        Self {
            operation,
            file: file.to_owned(),
            offset,
            kind: error.kind(),
            cause: error.to_string(),
            is_of_medium: operation == "read" && is_of_medium(error),
        }
    }

    /// Whether there was no room: full, or above a quota.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(self.kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// What devices, and file systems with checksums of their own, say of bytes that
/// are gone. EIO is also said by a device that is going altogether: whoever
/// believes it bears with a bounded number of such places.
fn is_of_medium(error: &io::Error) -> bool {
    let gone =
        [Errno::IO, Errno::NODATA, Errno::ILSEQ, Errno::REMOTEIO, Errno::BADMSG, Errno::UCLEAN];
    Errno::from_io_error(error).is_some_and(|errno| gone.contains(&errno))
}

/// A flat directory of files. The laws are those of the module.
pub trait Disk: Clone + fmt::Debug + 'static {
    /// An open file.
    type File: Clone + fmt::Debug + 'static;

    /// How durable writes are made, for status.
    fn mode(&self) -> &'static str;

    /// Where it is, for messages.
    fn place(&self) -> String;

    /// All files, in order of name.
    fn list(&self) -> impl Future<Output = Result<Vec<FileInfo>, DiskError>>;

    /// Makes an empty file, in place of one of that name.
    fn create(&self, name: &str) -> impl Future<Output = Result<Self::File, DiskError>>;

    /// Opens a file that is there.
    fn open(&self, name: &str) -> impl Future<Output = Result<Self::File, DiskError>>;

    /// Fills the buffer from `offset` on; gives it back with the bytes read,
    /// fewer than its length only at the end of the file.
    fn read_at(
        &self,
        file: &Self::File,
        offset: u64,
        into: Buffer,
    ) -> impl Future<Output = (Buffer, Result<usize, DiskError>)>;

    /// Writes the whole buffer at `offset` and gives it back.
    fn write_at(
        &self,
        file: &Self::File,
        offset: u64,
        from: Buffer,
        reach: Reach,
    ) -> impl Future<Output = (Buffer, Result<(), DiskError>)>;

    /// Makes durable what was written to the file before.
    fn flush(&self, file: &Self::File) -> impl Future<Output = Result<(), DiskError>>;

    /// Takes room for `bytes` of the file in all, of which those beyond its
    /// end read as zeros. After an error part of it may be taken.
    fn allocate(
        &self,
        file: &Self::File,
        bytes: u64,
    ) -> impl Future<Output = Result<(), DiskError>>;

    /// Cuts the file off behind `bytes`.
    fn truncate(
        &self,
        file: &Self::File,
        bytes: u64,
    ) -> impl Future<Output = Result<(), DiskError>>;

    /// Gives a file another name, in place of a file that has it.
    fn rename(&self, from: &str, to: &str) -> impl Future<Output = Result<(), DiskError>>;

    /// Removes a name.
    fn remove(&self, name: &str) -> impl Future<Output = Result<(), DiskError>>;

    /// Makes durable which names there are.
    fn sync_dir(&self) -> impl Future<Output = Result<(), DiskError>>;
}
