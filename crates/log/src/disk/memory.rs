//! A simulated disk: deterministic, with everything a real one may do wrong.
//!
//! What was written and not flushed is *pending*, block by block, and so are
//! names until the directory is synced. A crash decides the fate of each
//! pending thing on its own: lost, kept, or torn inside the block. Between
//! crashes, reads see what was written last, as through a cache.
//!
//! A test chooses: which operation never returns ([`MemoryDisk::halt_at`]),
//! what fails or lies ([`MemoryDisk::inject`]), how much fits
//! ([`MemoryDisk::set_capacity`]), which bytes rot ([`MemoryDisk::edit`]) or
//! cannot be read ([`MemoryDisk::wear_out`]), and, with
//! [`MemoryDisk::set_manual`], when each operation completes, so that a simulator
//! can do other things meanwhile.
//!
//! Invariant: no time, no randomness, no map order. The same calls give the
//! same disk.

mod world;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::task::Poll;

use crate::disk::buffer::Buffer;
use crate::disk::memory::world::{Effect, World};
use crate::disk::{Disk, DiskError, FileInfo, Reach};

/// Names an operation that was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationId(u64);

/// A simulated disk. Clones are the same disk; [`MemoryDisk::fork`] copies it.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Rc<RefCell<World>>);

/// An open file of a simulated disk. It dies with the next crash.
#[derive(Clone, Debug)]
pub struct MemoryFile {
    id: u64,
    name: String,
    life: u64,
}

/// Something that may or may not survive a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending<'a> {
    /// A block of 4 KiB that was written.
    Block {
        /// The file's name when it was opened.
        file: &'a str,
        /// Which block.
        block: u64,
    },
    /// A file that was cut off.
    Cut {
        /// The file's name when it was opened.
        file: &'a str,
    },
    /// A name that was made, changed or removed.
    Name {
        /// The name.
        name: &'a str,
    },
}

/// What becomes of a pending thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never reached the device.
    Lost,
    /// It did.
    Kept,
    /// Some 512-byte sectors of the block did: those whose bit is set. Names
    /// and cuts take it for lost.
    Torn(u8),
}

/// What an injected fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The operation fails. What a write wrote stays in the cache, pending. A read
    /// that fails with `Other` is the device's own failure.
    Fails(io::ErrorKind),
    /// The operation reports success and does nothing.
    Lies,
    /// A write lands this many blocks further on, and reports success.
    Misses(u64),
}

/// Something that goes wrong once or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `read`, `write`, `flush`, `create`, `open`, `cut`, `rename`, `remove`,
    /// `sync` or `list`.
    pub operation: &'static str,
    /// Only files whose names start with this.
    pub file: String,
    /// How many such operations pass before.
    pub skip: u64,
    /// How many it hits.
    pub times: u64,
    /// What it does.
    pub wrong: Wrong,
}

/// What a simulated disk did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Durable writes.
    pub durable_writes: u64,
    /// Other writes.
    pub plain_writes: u64,
    /// Flushes of files.
    pub flushes: u64,
    /// Operations that change something, begun.
    pub changes: u64,
}

impl MemoryDisk {
    /// An empty disk that does everything at once and right.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of it as it is, pending things included, without files open.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().fork())))
    }

    /// The `n`-th operation from now on that changes something (counted from
    /// 1) begins and never ends, and so do all behind it. 0: none.
    pub fn halt_at(&self, n: u64) {
        self.0.borrow_mut().halt_in(n);
    }

    /// Whether an operation has begun that will never end.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.0.borrow().is_halted()
    }

    /// From now on operations end only by [`MemoryDisk::complete`].
    pub fn set_manual(&self, is_manual: bool) {
        self.0.borrow_mut().is_manual = is_manual;
    }

    /// The operations that wait to be completed, in order of begin.
    #[must_use]
    pub fn waiting(&self) -> Vec<OperationId> {
        self.0.borrow().waiting().map(OperationId).collect()
    }

    /// Ends an operation. Durable writes must end in the order of their begin.
    pub fn complete(&self, operation: OperationId) {
        let waker = self.0.borrow_mut().complete(operation.0);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Loses power: each pending thing meets the fate that `decide` gives it,
    /// in order of begin; files that are open die.
    pub fn crash(&self, decide: impl FnMut(Pending<'_>) -> Fate) {
        self.0.borrow_mut().crash(decide);
    }

    /// Kills the process: what was written is in the device's cache, pending
    /// until flushed; files that are open die.
    pub fn kill(&self) {
        self.0.borrow_mut().kill();
    }

    /// How many things a crash would decide about.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.0.borrow().pending()
    }

    /// Adds a fault.
    pub fn inject(&self, fault: Fault) {
        self.0.borrow_mut().faults.push(fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.0.borrow_mut().faults.clear();
    }

    /// Limits the bytes of all files together; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.borrow_mut().capacity = bytes;
    }

    /// Changes a file behind the program's back; `None` when there is none.
    pub fn edit<R>(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        self.0.borrow_mut().edit(name, edit)
    }

    /// From now on no read of this block of a file succeeds, until it is written.
    pub fn wear_out(&self, name: &str, block: u64) {
        self.0.borrow_mut().wear_out(name, block);
    }

    /// A file's bytes as a read would see them.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.0.borrow().bytes(name).map(<[u8]>::to_vec)
    }

    /// Removes a file behind the program's back, or puts one there.
    pub fn put(&self, name: &str, bytes: Option<Vec<u8>>) {
        self.0.borrow_mut().put(name, bytes);
    }

    /// The names of all files.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.borrow().names.keys().cloned().collect()
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> DiskCounters {
        self.0.borrow().counters
    }

    /// Begins an operation, waits until it may end, and gives its result.
    async fn run(
        &self,
        at: (&'static str, &str, u64),
        begin: impl FnOnce(&mut World) -> Result<Effect, io::ErrorKind>,
    ) -> Result<(), DiskError> {
        let (operation, file, offset) = at;
        let id = self.0.borrow_mut().begin(operation, file, begin);
        let result = poll_fn(|context| {
            let mut world = self.0.borrow_mut();
            match world.result(id) {
                Some(result) => Poll::Ready(result),
                None => {
                    world.wait(id, context.waker());
                    Poll::Pending
                }
            }
        });
        result.await.map_err(|kind| DiskError {
            operation,
            file: file.to_owned(),
            offset,
            kind,
            cause: format!("simulated: {kind}"),
            is_of_medium: operation == "read" && kind == io::ErrorKind::Other,
        })
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    fn mode(&self) -> &'static str {
        "memory"
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }

    async fn list(&self) -> Result<Vec<FileInfo>, DiskError> {
        self.run(("list", "", 0), |_| Ok(Effect::Nothing)).await?;
        Ok(self.0.borrow().list())
    }

    async fn create(&self, name: &str) -> Result<Self::File, DiskError> {
        let mut made = (0, 0);
        self.run(("create", name, 0), |world| {
            made = (world.create(name)?, world.life);
            Ok(Effect::Nothing)
        })
        .await?;
        Ok(MemoryFile { id: made.0, name: name.to_owned(), life: made.1 })
    }

    async fn open(&self, name: &str) -> Result<Self::File, DiskError> {
        let mut found = (0, 0);
        self.run(("open", name, 0), |world| {
            let id = world.names.get(name).ok_or(io::ErrorKind::NotFound)?;
            found = (*id, world.life);
            Ok(Effect::Nothing)
        })
        .await?;
        Ok(MemoryFile { id: found.0, name: name.to_owned(), life: found.1 })
    }

    async fn read_at(
        &self,
        file: &Self::File,
        offset: u64,
        mut into: Buffer,
    ) -> (Buffer, Result<usize, DiskError>) {
        let at = ("read", file.name.as_str(), offset);
        let begin = |world: &mut World| {
            world.check(file)?;
            world.check_readable(file.id, offset, into.len())?;
            Ok(Effect::Nothing)
        };
        let result = self.run(at, begin).await;
        let read = result.map(|()| self.0.borrow().read(file.id, offset, into.bytes_mut()));
        (into, read)
    }

    async fn write_at(
        &self,
        file: &Self::File,
        offset: u64,
        from: Buffer,
        reach: Reach,
    ) -> (Buffer, Result<(), DiskError>) {
        let at = ("write", file.name.as_str(), offset);
        let begin = |world: &mut World| {
            world.check(file)?;
            world.write(file.id, &file.name, offset, from.bytes())?;
            Ok(match reach {
                Reach::Durable => {
                    world.counters.durable_writes += 1;
                    Effect::Durable { file: file.id }
                }
                Reach::Cache | Reach::Background => {
                    world.counters.plain_writes += 1;
                    Effect::Nothing
                }
            })
        };
        let result = self.run(at, begin).await;
        (from, result)
    }

    async fn flush(&self, file: &Self::File) -> Result<(), DiskError> {
        let begin = |world: &mut World| {
            world.check(file)?;
            world.counters.flushes += 1;
            Ok(Effect::Flush { file: file.id })
        };
        self.run(("flush", &file.name, 0), begin).await
    }

    async fn allocate(&self, file: &Self::File, bytes: u64) -> Result<(), DiskError> {
        let begin = |world: &mut World| {
            world.check(file)?;
            world.allocate(file.id, &file.name, bytes)?;
            Ok(Effect::Nothing)
        };
        self.run(("allocate", &file.name, bytes), begin).await
    }

    async fn truncate(&self, file: &Self::File, bytes: u64) -> Result<(), DiskError> {
        let begin = |world: &mut World| {
            world.check(file)?;
            world.cut(file.id, &file.name, bytes);
            Ok(Effect::Nothing)
        };
        self.run(("cut", &file.name, bytes), begin).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let begin = |world: &mut World| world.rename(from, to).map(|()| Effect::Nothing);
        self.run(("rename", from, 0), begin).await
    }

    async fn remove(&self, name: &str) -> Result<(), DiskError> {
        let begin = |world: &mut World| world.remove(name).map(|()| Effect::Nothing);
        self.run(("remove", name, 0), begin).await
    }

    fn sync_dir(&self) -> impl Future<Output = Result<(), DiskError>> {
        self.run(("sync", "", 0), |_| Ok(Effect::SyncNames))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Fate, Fault, MemoryDisk, Pending, Wrong};
    use crate::disk::buffer::Buffer;
    use crate::disk::lane::block_on;
    use crate::disk::{Disk, Reach};

    fn block(byte: u8) -> Buffer {
        let mut buffer = Buffer::zeroed(4096);
        buffer.bytes_mut().fill(byte);
        buffer
    }

    async fn written(disk: &MemoryDisk, name: &str) {
        let file = disk.create(name).await.unwrap();
        disk.write_at(&file, 0, block(1), Reach::Durable).await.1.unwrap();
        disk.sync_dir().await.unwrap();
        disk.write_at(&file, 0, block(2), Reach::Cache).await.1.unwrap();
    }

    #[test]
    fn a_crash_decides_about_every_unflushed_block_and_name_on_its_own() {
        let disk = MemoryDisk::new();
        block_on(async {
            written(&disk, "a").await;
            written(&disk, "b").await;
            disk.create("c").await.unwrap();
        });
        disk.crash(|pending| match pending {
            Pending::Block { file: "a", .. } => Fate::Torn(0b11),
            Pending::Block { .. } => Fate::Kept,
            _ => Fate::Lost,
        });
        let a = disk.bytes("a").unwrap();
        assert!(a[..1024].iter().all(|byte| *byte == 2));
        assert!(a[1024..].iter().all(|byte| *byte == 1));
        assert_eq!(disk.bytes("b").unwrap()[0], 2);
        assert_eq!(disk.bytes("c"), None);
    }

    #[test]
    fn a_durable_write_outlives_an_earlier_cached_one_at_its_place() {
        let disk = MemoryDisk::new();
        block_on(async {
            let file = disk.create("a").await.unwrap();
            disk.sync_dir().await.unwrap();
            disk.write_at(&file, 0, block(1), Reach::Cache).await.1.unwrap();
            disk.write_at(&file, 0, block(2), Reach::Durable).await.1.unwrap();
        });
        disk.crash(|_| Fate::Kept);
        assert_eq!(disk.bytes("a").unwrap()[0], 2);
    }

    #[test]
    fn faults_hit_what_they_name_as_often_as_they_say() {
        let disk = MemoryDisk::new();
        disk.inject(Fault {
            operation: "flush",
            file: "a".to_owned(),
            skip: 1,
            times: 1,
            wrong: Wrong::Fails(io::ErrorKind::Other),
        });
        block_on(async {
            let file = disk.create("a").await.unwrap();
            assert!(disk.flush(&file).await.is_ok());
            assert!(disk.flush(&file).await.is_err());
            assert!(disk.flush(&file).await.is_ok());
        });
    }

    #[test]
    fn a_full_disk_refuses_before_it_writes() {
        let disk = MemoryDisk::new();
        disk.set_capacity(Some(4096));
        block_on(async {
            let file = disk.create("a").await.unwrap();
            disk.write_at(&file, 0, block(1), Reach::Durable).await.1.unwrap();
            let full = disk.write_at(&file, 4096, block(2), Reach::Durable).await.1;
            assert!(full.unwrap_err().is_no_space());
        });
        assert_eq!(disk.bytes("a").unwrap().len(), 4096);
    }

    #[test]
    fn in_manual_mode_a_write_is_durable_when_it_is_completed_and_not_before() {
        use std::pin::pin;
        use std::task::{Context, Waker};

        let disk = MemoryDisk::new();
        let file = block_on(disk.create("a")).unwrap();
        block_on(disk.sync_dir()).unwrap();
        disk.set_manual(true);
        let early = disk.fork();
        let mut write = pin!(disk.write_at(&file, 0, block(1), Reach::Durable));
        let mut context = Context::from_waker(Waker::noop());
        assert!(write.as_mut().poll(&mut context).is_pending());
        let waiting = disk.waiting();
        assert_eq!((waiting.len(), early.pending(), disk.pending()), (1, 0, 1));
        disk.complete(waiting[0]);
        assert!(write.as_mut().poll(&mut context).is_ready());
        assert_eq!(disk.pending(), 0);
    }
}
