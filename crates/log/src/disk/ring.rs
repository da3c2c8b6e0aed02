//! Writes of the log by io_uring, without a thread between.
//!
//! A write is handed to the kernel by the thread that makes it, and the kernel
//! rings an eventfd when it is done: the shard's runtime waits for sockets and
//! disk at once. What a hand-over to a thread and back costs is saved (D34).
//! Even a disk that hangs does not hold the shard up: what cannot be done at
//! once is given to a worker of the kernel.
//!
//! One write is under way at a time, in the order of asking: the kernel may do
//! two in any order.
//!
//! Not here: reads, and what may take its time. They stay on their threads.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use compio_buf::{BufResult, IntoInner, IoBuf};
use compio_driver::op::WriteAt;
use compio_driver::{Proactor, ProactorBuilder, PushEntry};
use rustix::event::{EventfdFlags, eventfd};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::task::yield_now;

use crate::disk::buffer::Buffer;
use crate::disk::real::RealFile;
use crate::gate::Gate;
use crate::width::u64_from;

/// One write, the kernel's notice, and room for both.
const ENTRIES: u32 = 8;

/// A ring of one shard, on its thread.
pub(crate) struct Ring {
    turn: Gate,
    /// `None` when dropped.
    proactor: RefCell<Option<Proactor>>,
    done: AsyncFd<OwnedFd>,
    /// Shared with what the kernel holds, also when nobody waits for it.
    held: Rc<()>,
}

impl Ring {
    /// A ring whose completions wake tasks of the runtime that this runs on.
    ///
    /// # Errors
    /// There is no such runtime, or the kernel or a sandbox refuses rings.
    pub(crate) fn open() -> io::Result<Self> {
        Handle::try_current().map_err(io::Error::other)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let mut builder = ProactorBuilder::new();
        builder.capacity(ENTRIES).register_eventfd(bell.as_raw_fd());
        let proactor = builder.build()?;
        #[expect(
            deprecated,
            reason = "what it asks for, that the descriptor stays open, an OwnedFd does"
        )]
        let done = AsyncFd::new(bell)?;
        Ok(Self {
            turn: Gate::default(),
            proactor: RefCell::new(Some(proactor)),
            done,
            held: Rc::default(),
        })
    }

    /// Writes a whole buffer and gives it back; durably when the descriptor
    /// is a durable one.
    ///
    /// # Cancel safety
    /// Dropped after its first poll, what was handed to the kernel is written
    /// all the same.
    pub(crate) async fn write(
        &self,
        file: Descriptor,
        offset: u64,
        from: Buffer,
    ) -> (Buffer, io::Result<()>) {
        let _turn = self.turn.enter().await;
        if let Err(error) = self.quiet().await {
            return (from, Err(error));
        }
        let mut rest = Rest { buffer: from, done: 0, _held: Rc::clone(&self.held) };
        loop {
            if rest.as_init().is_empty() {
                return (rest.buffer, Ok(()));
            }
            let at = offset + u64_from(rest.done);
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
    pub(crate) async fn settled(&self) {
        let _turn = self.turn.enter().await;
        // A broken ring ends nothing any more.
        let _ = self.quiet().await;
    }

    /// Waits for a write that was given up.
    async fn quiet(&self) -> io::Result<()> {
        while Rc::strong_count(&self.held) > 1 {
            self.poll().await?;
            if Rc::strong_count(&self.held) > 1 {
                self.done.readable().await?.clear_ready();
            }
        }
        Ok(())
    }

    async fn run(&self, write: Write) -> io::Result<BufResult<usize, Write>> {
        let mut key = match self.with(|proactor| proactor.push(write))? {
            PushEntry::Ready(ended) => return Ok(ended),
            PushEntry::Pending(key) => key,
        };
        loop {
            self.poll().await?;
            match self.with(|proactor| proactor.pop(key))? {
                PushEntry::Ready(ended) => return Ok(ended),
                PushEntry::Pending(waiting) => key = waiting,
            }
            self.done.readable().await?.clear_ready();
        }
    }

    /// Hands over what was pushed, and takes what is done.
    async fn poll(&self) -> io::Result<()> {
        loop {
            match self.with(|proactor| proactor.poll(Some(Duration::ZERO)))? {
                Ok(()) => return Ok(()),
                // Handed over; nothing is done yet.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
                // The kernel is short of something, and says so at once.
                Err(error) if is_passing(&error) => yield_now().await,
                Err(error) => return Err(error),
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Proactor) -> T) -> io::Result<T> {
        let mut proactor = self.proactor.borrow_mut();
        let proactor = proactor.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(act(proactor))
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

impl Drop for Ring {
    fn drop(&mut self) {
        // The kernel may still read the buffer: neither is ever given back.
        if Rc::strong_count(&self.held) > 1 {
            std::mem::forget(self.proactor.take());
        }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}

type Write = WriteAt<Rest, Descriptor>;

/// Which of a file's descriptors to write to; keeps it open.
#[derive(Clone, Debug)]
pub(crate) enum Descriptor {
    /// Flushes with every write.
    Durable(Arc<RealFile>),
    /// Into the device's cache.
    Plain(Arc<RealFile>),
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Durable(file) => file.durable_or_plain().as_fd(),
            Self::Plain(file) => file.plain().as_fd(),
        }
    }
}

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
