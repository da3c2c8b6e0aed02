//! raftlet-log, driven as the shard's writer drives it: chunks cut from an
//! arena, one batch in flight, segments prepared in the background.
//!
//! Three ways from a batch's bytes to the device: the log's own thread, which is
//! all that an embedder needs; the server's ring; and the thread that asks, as the
//! floor and raft-engine have it. The last is here for comparison only: a shard
//! whose thread waits for the disk could not notice that the disk hangs (rule 8).

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bench_log::{BenchClock, Opened, Source, open, open_written_by, runtime};
use rustix::io::{Errno, pwrite};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::ring::Ring;
use crate::way::{PAYLOAD_BYTES, Point, Told, Way};
use raftlet::{Storage, WriteBatch};
use raftlet_log::disk::buffer::Buffer;
use raftlet_log::{Descriptor, DiskMode, LogOptions, LogWriter, RealDisk, ShardLog, Writing};

/// Time to prepare what a round uses up, as idle moments give it.
const REST: Duration = Duration::from_millis(100);

/// Who writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    /// A thread of the log, as it comes.
    Thread,
    /// The kernel, asked by the server's ring.
    Ring,
    /// Who asks, who waits meanwhile.
    Caller,
}

impl By {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Thread => "raftlet-log",
            Self::Ring => "raftlet-log, the server's ring",
            Self::Caller => "raftlet-log, on the caller's thread",
        }
    }

    fn writer(self) -> io::Result<Option<Rc<dyn LogWriter>>> {
        Ok(match self {
            Self::Thread => None,
            Self::Ring => Some(Rc::new(Ring::open()?)),
            Self::Caller => Some(Rc::new(Caller)),
        })
    }
}

/// Writes where it is asked.
#[derive(Debug)]
struct Caller;

impl LogWriter for Caller {
    fn name(&self) -> &'static str {
        "direct, on the caller's thread"
    }

    fn write(&self, to: Descriptor, offset: u64, from: Buffer) -> Writing<'_> {
        Box::pin(async move {
            let written = write_all(&to, offset, from.bytes());
            (from, written)
        })
    }

    fn settled(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {})
    }
}

fn write_all(to: &Descriptor, mut offset: u64, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match pwrite(to, rest, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => {
                offset += bytes as u64;
                rest = &rest[bytes..];
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The shard log on the real disk.
pub(crate) struct Ours {
    by: By,
    runtime: Runtime,
    tasks: LocalSet,
    log: ShardLog<RealDisk>,
    source: Source,
    batch: WriteBatch,
}

impl Ours {
    /// # Errors
    /// The log does not open.
    pub(crate) fn new(dir: &Path, point: Point, by: By) -> Result<Self, String> {
        let runtime = runtime()?;
        let tasks = LocalSet::new();
        let log = tasks.block_on(&runtime, async {
            let options = LogOptions::default();
            let dir = dir.join(format!("{by:?}"));
            let opened = match by.writer().map_err(|error| error.to_string())? {
                None => open(&dir, DiskMode::Direct, &options).await,
                Some(writer) => open_written_by(&dir, &options, writer).await,
            };
            let Opened { log, .. } = opened?;
            tokio::task::spawn_local(log.maintain(BenchClock::start()));
            Ok::<_, String>(log)
        })?;
        Ok(Self {
            by,
            runtime,
            tasks,
            log,
            source: Source::new(point.groups, point.batch, PAYLOAD_BYTES),
            batch: WriteBatch::default(),
        })
    }
}

impl Way for Ours {
    fn name(&self) -> &'static str {
        self.by.name()
    }

    /// Background work runs only while something is awaited.
    fn rest(&mut self) {
        self.tasks.block_on(&self.runtime, async { tokio::time::sleep(REST).await });
    }

    fn write(&mut self) -> Result<Duration, String> {
        let since = Instant::now();
        self.source.fill(&mut self.batch);
        let batch = std::mem::take(&mut self.batch);
        let written = self.tasks.block_on(&self.runtime, self.log.write(batch));
        let took = since.elapsed();
        self.batch = written.0;
        written.1.map_err(|error| error.to_string())?;
        Ok(took)
    }

    fn told(&self) -> Option<Told> {
        let counters = self.log.counters();
        Some(Told { bytes: counters.log_bytes, flushes: counters.log_flushes })
    }
}
