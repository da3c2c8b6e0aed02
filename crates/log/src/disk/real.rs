//! A directory of a Linux file system.
//!
//! Four threads a shard, each a lane (`disk/lane.rs`): one for the writes of the log, two
//! for reads in turn, one for everything that may take its time (files made, filled,
//! renamed, flushed). So no append waits behind a read or behind zero filling.
//! An embedder may bring a way of its own for the log's writes, [`LogWriter`].
//!
//! Durable writes are made in the better of two modes, tried out at open with
//! a real write that is read back:
//! - *direct*: `O_DIRECT | O_DSYNC`. One system call writes and flushes, and
//!   reads see the device, not the page cache.
//! - *buffered*: write, then `fdatasync`, where direct I/O is refused (some
//!   overlays and network file systems). Opening a file then flushes it and
//!   drops its pages first, so that recovery judges by the disk: after a failed
//!   flush the cache shows bytes that never reached it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate};
use rustix::io::Errno;

use crate::disk::buffer::{ALIGNMENT_BYTES, Buffer};
use crate::disk::lane::{Completion, Lane};
use crate::disk::lock::{DirLock, sync_directory};
use crate::disk::{Disk, DiskError, FileInfo, Reach};
use crate::width::u64_from;

/// Which mode to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskMode {
    /// Direct where the file system allows it, else buffered.
    #[default]
    Probe,
    /// Direct or nothing.
    Direct,
    /// Buffered, for comparison and for tests.
    Buffered,
}

/// A directory of a Linux file system. Clones are the same disk; the last one
/// dropped waits for the operations in flight.
#[derive(Clone, Debug)]
pub struct RealDisk {
    inner: Arc<Inner>,
    writer: Option<Rc<dyn LogWriter>>,
}

#[derive(Debug)]
struct Inner {
    dir: Arc<PathBuf>,
    is_direct: bool,
    log: Lane,
    reads: [Lane; READERS],
    /// Reads so far: which lane is next.
    turns: AtomicUsize,
    background: Lane,
    /// Last, so that it is given up when the threads have ended.
    lock: DirLock,
}

/// An open file: a descriptor for durable writes, one for all else.
#[derive(Debug)]
pub struct RealFile {
    name: String,
    durable: Option<File>,
    plain: File,
}

/// Which of a file's descriptors to write to; keeps it open.
#[derive(Clone, Debug)]
pub struct Descriptor {
    file: Arc<RealFile>,
    reach: Reach,
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let durable = if self.reach == Reach::Durable { self.file.durable.as_ref() } else { None };
        durable.unwrap_or(&self.file.plain).as_fd()
    }
}

/// A write under way; dropping it stops waiting and nothing else.
pub type Writing<'a> = Pin<Box<dyn Future<Output = (Buffer, io::Result<()>)> + 'a>>;

/// Another way of the log's writes to the device than a thread, for a disk in
/// direct mode.
///
/// Laws
/// 1. `write` writes the whole buffer and gives it back. What it is given
///    flushes with each write where that is asked for; it adds nothing.
/// 2. Writes take effect in the order of their first polls, also behind one
///    that its caller gave up.
/// 3. The thread that polls is never held up by the device.
pub trait LogWriter: fmt::Debug {
    /// What it is, for status.
    fn name(&self) -> &'static str;

    /// Writes a buffer at `offset`.
    fn write(&self, to: Descriptor, offset: u64, from: Buffer) -> Writing<'_>;

    /// Ends when all writes have ended, also those that were given up.
    fn settled(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}

/// Threads that read. Of a read into new memory the kernel makes the pages first,
/// which is a third of what a start computes: the device has the other's read then.
const READERS: usize = 2;

const PROBE_NAME: &str = "probe.tmp";
/// Written at a time where nothing can be allocated.
const ZEROS_BYTES: usize = 1 << 20;

impl RealDisk {
    /// Uses a locked directory. The lock is given up with the disk's last
    /// clone.
    ///
    /// # Errors
    /// [`DiskError`] when no mode allowed passes its trial, or no thread
    /// could be started.
    pub fn open(lock: DirLock, mode: DiskMode) -> Result<Self, DiskError> {
        let dir = lock.path();
        let is_direct = match mode {
            DiskMode::Buffered => probe(dir, false).map(|()| false),
            DiskMode::Direct => probe(dir, true).map(|()| true),
            DiskMode::Probe => match probe(dir, true) {
                Ok(()) => Ok(true),
                Err(_) => probe(dir, false).map(|()| false),
            },
        }?;
        let lane = |name| {
            Lane::start(name)
                .map_err(|error| DiskError::from_io("start a thread for", name, 0, &error))
        };
        let inner = Arc::new(Inner {
            dir: Arc::new(dir.to_owned()),
            is_direct,
            log: lane("raftlet-log")?,
            reads: [lane("raftlet-read")?, lane("raftlet-read")?],
            turns: AtomicUsize::new(0),
            background: lane("raftlet-prepare")?,
            lock,
        });
        Ok(Self { inner, writer: None })
    }

    /// Whether writes go past the page cache.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.inner.is_direct
    }

    /// The same disk with another way for the log's writes. Clones made before
    /// keep theirs.
    #[must_use]
    pub fn written_by(self, writer: Rc<dyn LogWriter>) -> Self {
        Self { writer: Some(writer), ..self }
    }

    /// Ends when everything that was handed over so far has ended.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting and nothing else.
    pub async fn settled(&self) {
        let Inner { log, reads, background, .. } = &*self.inner;
        // Queued behind what is there, on all at once.
        let lanes = [log, background].into_iter().chain(reads);
        let ends: Vec<_> = lanes.map(|lane| lane.run(|| ())).collect();
        for end in ends {
            end.await;
        }
        if let Some(writer) = &self.writer {
            writer.settled().await;
        }
    }

    fn dir(&self) -> Arc<PathBuf> {
        Arc::clone(&self.inner.dir)
    }

    /// Reads in turn: none waits for another.
    fn reads(&self) -> &Lane {
        let [first, second] = &self.inner.reads;
        let turn = self.inner.turns.fetch_add(1, Ordering::Relaxed);
        if turn.is_multiple_of(READERS) { first } else { second }
    }
}

impl Disk for RealDisk {
    type File = Arc<RealFile>;

    fn mode(&self) -> &'static str {
        match &self.writer {
            Some(writer) => writer.name(),
            None if self.inner.is_direct => "direct",
            None => "buffered",
        }
    }

    fn place(&self) -> String {
        self.inner.lock.path().to_string_lossy().into_owned()
    }

    fn list(&self) -> impl Future<Output = Result<Vec<FileInfo>, DiskError>> {
        let dir = self.dir();
        ended(self.inner.background.run(move || {
            list(&dir)
                .map_err(|error| DiskError::from_io("list", &dir.to_string_lossy(), 0, &error))
        }))
    }

    fn create(&self, name: &str) -> impl Future<Output = Result<Self::File, DiskError>> {
        let (dir, is_direct, name) = (self.dir(), self.inner.is_direct, name.to_owned());
        ended(self.inner.background.run(move || {
            let path = dir.join(&name);
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&path)
                .and_then(|_| open_both(&path, &name, is_direct))
                .map_err(|error| DiskError::from_io("create", &name, 0, &error))
        }))
    }

    fn open(&self, name: &str) -> impl Future<Output = Result<Self::File, DiskError>> {
        let (dir, is_direct, name) = (self.dir(), self.inner.is_direct, name.to_owned());
        ended(self.reads().run(move || {
            open_both(&dir.join(&name), &name, is_direct)
                .and_then(|file| {
                    if !is_direct {
                        file.plain.sync_data()?;
                        fadvise(&file.plain, 0, None, Advice::DontNeed)?;
                    }
                    Ok(file)
                })
                .map_err(|error| DiskError::from_io("open", &name, 0, &error))
        }))
    }

    fn read_at(
        &self,
        file: &Self::File,
        offset: u64,
        into: Buffer,
    ) -> impl Future<Output = (Buffer, Result<usize, DiskError>)> {
        let reading = Arc::clone(file);
        let done = self.reads().run(move || read_all(&reading, offset, into));
        with_buffer(done, "read", file, offset)
    }

    fn write_at(
        &self,
        file: &Self::File,
        offset: u64,
        from: Buffer,
        reach: Reach,
    ) -> impl Future<Output = (Buffer, Result<(), DiskError>)> {
        let disk = self.clone();
        async move {
            if let Some(writer) = disk.writer.filter(|_| reach != Reach::Background) {
                let to = Descriptor { file: Arc::clone(file), reach };
                let (buffer, written) = writer.write(to, offset, from).await;
                let failed = |error| DiskError::from_io("write", &file.name, offset, &error);
                return (buffer, written.map_err(failed));
            }
            let writing = Arc::clone(file);
            let lane = match reach {
                Reach::Durable | Reach::Cache => &disk.inner.log,
                Reach::Background => &disk.inner.background,
            };
            let done = lane.run(move || {
                let result = write_all(&writing, offset, from.bytes(), reach)
                    .map_err(|error| DiskError::from_io("write", &writing.name, offset, &error));
                (from, result)
            });
            with_buffer(done, "write", file, offset).await
        }
    }

    fn flush(&self, file: &Self::File) -> impl Future<Output = Result<(), DiskError>> {
        let file = Arc::clone(file);
        ended(self.inner.background.run(move || {
            file.plain
                .sync_data()
                .map_err(|error| DiskError::from_io("flush", &file.name, 0, &error))
        }))
    }

    fn allocate(
        &self,
        file: &Self::File,
        bytes: u64,
    ) -> impl Future<Output = Result<(), DiskError>> {
        let file = Arc::clone(file);
        ended(self.inner.background.run(move || {
            allocate(&file, bytes)
                .map_err(|error| DiskError::from_io("allocate", &file.name, bytes, &error))
        }))
    }

    fn truncate(
        &self,
        file: &Self::File,
        bytes: u64,
    ) -> impl Future<Output = Result<(), DiskError>> {
        let file = Arc::clone(file);
        ended(self.inner.background.run(move || {
            file.plain
                .set_len(bytes)
                .map_err(|error| DiskError::from_io("cut", &file.name, bytes, &error))
        }))
    }

    fn rename(&self, from: &str, to: &str) -> impl Future<Output = Result<(), DiskError>> {
        let (dir, from, to) = (self.dir(), from.to_owned(), to.to_owned());
        ended(self.inner.background.run(move || {
            fs::rename(dir.join(&from), dir.join(&to))
                .map_err(|error| DiskError::from_io("rename", &from, 0, &error))
        }))
    }

    fn remove(&self, name: &str) -> impl Future<Output = Result<(), DiskError>> {
        let (dir, name) = (self.dir(), name.to_owned());
        ended(self.inner.background.run(move || {
            fs::remove_file(dir.join(&name))
                .map_err(|error| DiskError::from_io("remove", &name, 0, &error))
        }))
    }

    fn sync_dir(&self) -> impl Future<Output = Result<(), DiskError>> {
        let dir = self.dir();
        ended(self.inner.background.run(move || {
            sync_directory(&dir)
                .map_err(|error| DiskError::from_io("sync", &dir.to_string_lossy(), 0, &error))
        }))
    }
}

/// The one error of a thread that is gone.
fn gone(operation: &'static str, file: &str, offset: u64) -> DiskError {
    DiskError {
        operation,
        file: file.to_owned(),
        offset,
        kind: io::ErrorKind::BrokenPipe,
        cause: "the disk's thread has ended".to_owned(),
        is_of_medium: false,
    }
}

async fn ended<T>(done: Completion<Result<T, DiskError>>) -> Result<T, DiskError> {
    done.await.unwrap_or_else(|| Err(gone("reach", "the disk", 0)))
}

async fn with_buffer<T>(
    done: Completion<(Buffer, Result<T, DiskError>)>,
    operation: &'static str,
    file: &Arc<RealFile>,
    offset: u64,
) -> (Buffer, Result<T, DiskError>) {
    match done.await {
        Some(ended) => ended,
        None => (Buffer::zeroed(0), Err(gone(operation, &file.name, offset))),
    }
}

fn list(dir: &Path) -> io::Result<Vec<FileInfo>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_file() {
            files.push(FileInfo {
                name: entry.file_name().to_string_lossy().into_owned(),
                bytes: about.len(),
            });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn open_both(path: &Path, name: &str, is_direct: bool) -> io::Result<Arc<RealFile>> {
    let plain = if is_direct { OFlags::DIRECT } else { OFlags::empty() };
    let durable =
        if is_direct { Some(open_with(path, OFlags::DIRECT | OFlags::DSYNC)?) } else { None };
    Ok(Arc::new(RealFile { name: name.to_owned(), durable, plain: open_with(path, plain)? }))
}

fn open_with(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = i32::try_from(flags.bits()).expect("open flags fit the system's int");
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)
}

fn read_all(file: &RealFile, offset: u64, mut into: Buffer) -> (Buffer, Result<usize, DiskError>) {
    let bytes = into.bytes_mut();
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.plain.read_at(rest, offset + u64_from(done)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let error = DiskError::from_io("read", &file.name, offset, &error);
                return (into, Err(error));
            }
        }
        // Direct reads end unaligned only at the end of the file, and going on
        // from there would be refused.
        if !done.is_multiple_of(ALIGNMENT_BYTES) {
            break;
        }
    }
    (into, Ok(done))
}

fn write_all(file: &RealFile, offset: u64, bytes: &[u8], reach: Reach) -> io::Result<()> {
    match (reach, &file.durable) {
        (Reach::Durable, Some(durable)) => durable.write_all_at(bytes, offset),
        (Reach::Durable, None) => {
            file.plain.write_all_at(bytes, offset)?;
            file.plain.sync_data()
        }
        (Reach::Cache | Reach::Background, _) => file.plain.write_all_at(bytes, offset),
    }
}

/// Where the file system cannot allocate, zeros are written.
fn allocate(file: &RealFile, bytes: u64) -> io::Result<()> {
    match fallocate(&file.plain, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => return Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    let zeros = Buffer::zeroed(ZEROS_BYTES);
    let mut end = file.plain.metadata()?.len();
    while end < bytes {
        let step = usize::try_from(bytes - end).unwrap_or(ZEROS_BYTES).min(ZEROS_BYTES);
        file.plain.write_all_at(zeros.bytes().get(..step).unwrap_or_default(), end)?;
        end += u64_from(step);
    }
    Ok(())
}

/// Tries a mode: writes a block, reads it back, removes it.
fn probe(dir: &Path, is_direct: bool) -> Result<(), DiskError> {
    let path = dir.join(PROBE_NAME);
    let result = probe_file(&path, is_direct);
    let _ = fs::remove_file(&path);
    result.map_err(|error| {
        let operation = if is_direct { "use direct I/O on" } else { "write and read back" };
        DiskError::from_io(operation, &path.to_string_lossy(), 0, &error)
    })
}

fn probe_file(path: &Path, is_direct: bool) -> io::Result<()> {
    File::create(path)?;
    let file = open_both(path, PROBE_NAME, is_direct)?;
    let mut buffer = Buffer::zeroed(ALIGNMENT_BYTES);
    for (byte, pattern) in buffer.bytes_mut().iter_mut().zip((0..=250).cycle()) {
        *byte = pattern;
    }
    match write_all(&file, 0, buffer.bytes(), Reach::Durable) {
        // It was opened in this mode, and a full disk must not keep a node from
        // starting.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
        written => written?,
    }
    let (read, result) = read_all(&file, 0, Buffer::zeroed(ALIGNMENT_BYTES));
    let is_whole = result.is_ok_and(|bytes| bytes == ALIGNMENT_BYTES);
    if !is_whole || read.bytes() != buffer.bytes() {
        return Err(io::Error::other("what was written is not what is read back"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{DiskMode, RealDisk};
    use crate::disk::buffer::Buffer;
    use crate::disk::lane::block_on;
    use crate::disk::lock::DirLock;
    use crate::disk::{Disk, FileInfo, Reach};

    fn in_each_mode(check: impl Fn(&RealDisk)) {
        for mode in [DiskMode::Probe, DiskMode::Buffered] {
            let dir = tempfile::tempdir().unwrap();
            let lock = DirLock::acquire(dir.path()).unwrap();
            check(&RealDisk::open(lock, mode).unwrap());
        }
    }

    #[test]
    fn what_is_written_is_read_back_listed_renamed_cut_and_removed() {
        in_each_mode(|disk| {
            block_on(async {
                let file = disk.create("a").await.unwrap();
                let mut block = Buffer::zeroed(8192);
                block.bytes_mut().fill(7);
                let (block, result) = disk.write_at(&file, 4096, block, Reach::Durable).await;
                result.unwrap();
                let (_, result) = disk.write_at(&file, 12288, block, Reach::Background).await;
                result.unwrap();
                disk.flush(&file).await.unwrap();
                disk.rename("a", "b").await.unwrap();
                disk.sync_dir().await.unwrap();
                let file = disk.open("b").await.unwrap();
                let (read, bytes) = disk.read_at(&file, 0, Buffer::zeroed(32768)).await;
                assert_eq!(bytes.unwrap(), 20480);
                assert!(read.bytes()[..4096].iter().all(|byte| *byte == 0));
                assert!(read.bytes()[4096..20480].iter().all(|byte| *byte == 7));
                disk.truncate(&file, 5000).await.unwrap();
                let (_, bytes) = disk.read_at(&file, 4096, Buffer::zeroed(8192)).await;
                assert_eq!(bytes.unwrap(), 904);
                let names = |files: Vec<FileInfo>| -> Vec<_> {
                    files
                        .into_iter()
                        .map(|f| (f.name, f.bytes))
                        .filter(|(n, _)| n != "LOCK")
                        .collect()
                };
                let files = names(disk.list().await.unwrap());
                assert_eq!(files, vec![("b".to_owned(), 5000)]);
                disk.remove("b").await.unwrap();
                assert_eq!(names(disk.list().await.unwrap()), vec![]);
            });
        });
    }

    #[test]
    fn an_error_names_operation_and_file() {
        in_each_mode(|disk| {
            let error = block_on(disk.open("missing")).unwrap_err();
            assert_eq!(error.kind, std::io::ErrorKind::NotFound);
            assert!(error.to_string().starts_with("cannot open missing"));
        });
    }
}
