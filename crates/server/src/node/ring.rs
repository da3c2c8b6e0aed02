//! Writes of the log by io_uring, without a thread between.
//!
//! A write is handed to the kernel by the thread that makes it, and the ring
//! becomes readable when it is done: the shard's runtime waits for sockets and
//! disk at once. What a hand-over to a thread and back costs is saved (D35).
//! Even a disk that hangs does not hold the shard up: what cannot be done at
//! once is given to a worker of the kernel.
//!
//! One write is under way at a time, in the order of asking: the kernel may do
//! two in any order.
//!
//! The driver hands over only where it also waits for a completion, and a wait
//! that is to be over at once is a timer of the kernel: dearer than the write's
//! way to the disk. So each write takes a question along that the kernel answers
//! on the spot, and its answer ends the wait before it begins (D40).
//!
//! Not here: reads, and what may take its time. They stay on their threads; and
//! when a ring is asked for (`node/disk.rs`).

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use compio_buf::{BufResult, IntoInner, IoBuf};
use compio_driver::op::{Interest, PollOnce, WriteAt};
use compio_driver::{Proactor, ProactorBuilder, PushEntry};
use rustix::event::{EventfdFlags, eventfd};
use tokio::io::Interest as Readiness;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::yield_now;

use raftlet_log::disk::buffer::Buffer;
use raftlet_log::{Descriptor, LogWriter, Writing};

/// One write, the question beside it, the driver's own, and room for as many.
const ENTRIES: u32 = 8;

/// A ring of one shard, on its thread.
pub(crate) struct Ring {
    /// One write after the other, in the order of asking.
    turn: Mutex<()>,
    driver: AsyncFd<Driver>,
    /// An eventfd that nobody writes to: it always has room.
    roomy: Roomy,
    /// Shared with what the kernel holds, also when nobody waits for it.
    held: Rc<()>,
}

/// Dropped with a write under way it keeps what the kernel still reads: the
/// write's buffer is never freed.
struct Driver(RefCell<Proactor>);

impl AsRawFd for Driver {
    fn as_raw_fd(&self) -> RawFd {
        self.0.borrow().as_raw_fd()
    }
}

/// Writable at any time.
#[derive(Clone)]
struct Roomy(Rc<OwnedFd>);

impl AsFd for Roomy {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Ring {
    /// A ring whose completions wake tasks of the runtime that this runs on.
    ///
    /// # Errors
    /// There is no such runtime, or the kernel or a sandbox refuses rings.
    pub(crate) fn open() -> io::Result<Self> {
        Handle::try_current().map_err(io::Error::other)?;
        let roomy = Roomy(Rc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?));
        let proactor = ProactorBuilder::new().capacity(ENTRIES).coop_taskrun(true).build()?;
        #[expect(
            deprecated,
            reason = "what it asks for, that the descriptor stays open, a proactor does"
        )]
        let driver = AsyncFd::with_interest(Driver(RefCell::new(proactor)), Readiness::READABLE)?;
        Ok(Self { turn: Mutex::new(()), driver, roomy, held: Rc::default() })
    }

    /// Writes a whole buffer and gives it back; durably when the descriptor
    /// is a durable one.
    ///
    /// # Cancel safety
    /// Dropped after its first poll, what was handed to the kernel is written
    /// all the same.
    async fn write_all(
        &self,
        file: Descriptor,
        offset: u64,
        from: Buffer,
    ) -> (Buffer, io::Result<()>) {
        let _turn = self.turn.lock().await;
        if let Err(error) = self.quiet().await {
            return (from, Err(error));
        }
        let mut rest = Rest { buffer: from, done: 0, _held: Rc::clone(&self.held) };
        loop {
            if rest.as_init().is_empty() {
                return (rest.buffer, Ok(()));
            }
            let at = offset.saturating_add(u64::try_from(rest.done).unwrap_or(u64::MAX));
            let (back, written) = match self.run(WriteAt::new(file.clone(), at, rest)).await {
                Ok(BufResult(written, back)) => (back, written),
                // The kernel may still hold the buffer.
                Err(error) => return (Buffer::zeroed(0), Err(error)),
            };
            rest = back.into_inner();
            match written {
                Ok(0) => return (rest.buffer, Err(io::ErrorKind::WriteZero.into())),
                Ok(bytes) => rest.done += bytes,
                Err(error) if is_passing(&error) => {}
                Err(error) => return (rest.buffer, Err(error)),
            }
        }
    }

    /// Ends when every write that was asked for has ended, also those that
    /// their callers gave up.
    async fn all_ended(&self) {
        let _turn = self.turn.lock().await;
        // A broken ring ends nothing any more.
        let _ = self.quiet().await;
    }

    /// Waits for a write that was given up.
    async fn quiet(&self) -> io::Result<()> {
        while Rc::strong_count(&self.held) > 1 {
            self.poll().await?;
            if Rc::strong_count(&self.held) > 1 {
                self.driver.readable().await?.clear_ready();
            }
        }
        Ok(())
    }

    async fn run(&self, write: Write) -> io::Result<BufResult<usize, Write>> {
        let mut key = match self.proactor().push(write) {
            PushEntry::Ready(ended) => return Ok(ended),
            PushEntry::Pending(key) => key,
        };
        self.hand_over().await?;
        loop {
            match self.proactor().pop(key) {
                PushEntry::Ready(ended) => return Ok(ended),
                PushEntry::Pending(waiting) => key = waiting,
            }
            self.driver.readable().await?.clear_ready();
            self.poll().await?;
        }
    }

    /// Gives the kernel what was pushed. Once the question is answered it has
    /// all that was pushed before.
    async fn hand_over(&self) -> io::Result<()> {
        let question = PollOnce::new(self.roomy.clone(), Interest::Writable);
        let pushed = self.proactor().push(question);
        let PushEntry::Pending(mut question) = pushed else {
            return Ok(());
        };
        loop {
            self.poll().await?;
            match self.proactor().pop(question) {
                PushEntry::Ready(_) => return Ok(()),
                PushEntry::Pending(waiting) => question = waiting,
            }
        }
    }

    fn proactor(&self) -> RefMut<'_, Proactor> {
        self.driver.get_ref().0.borrow_mut()
    }

    /// Hands over what was pushed, and takes what is done.
    async fn poll(&self) -> io::Result<()> {
        loop {
            let polled = self.proactor().poll(Some(Duration::ZERO));
            match polled {
                Ok(()) => return Ok(()),
                // Handed over; nothing is done yet.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
                // The kernel is short of something, and says so at once.
                Err(error) if is_passing(&error) => yield_now().await,
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

impl LogWriter for Ring {
    fn name(&self) -> &'static str {
        "direct, io_uring"
    }

    fn write(&self, to: Descriptor, offset: u64, from: Buffer) -> Writing<'_> {
        Box::pin(self.write_all(to, offset, from))
    }

    fn settled(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(self.all_ended())
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}

type Write = WriteAt<Rest, Descriptor>;

/// What of a buffer is still to be written.
#[derive(Debug)]
struct Rest {
    buffer: Buffer,
    done: usize,
    _held: Rc<()>,
}

impl IoBuf for Rest {
    fn as_init(&self) -> &[u8] {
        self.buffer.bytes().get(self.done..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn outside_of_a_runtime_there_is_no_ring() {
        assert!(Ring::open().is_err());
    }
}
