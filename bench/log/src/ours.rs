//! raftlet-log, driven as the shard's writer drives it: chunks cut from an
//! arena, one batch in flight, segments prepared in the background.

use std::path::Path;
use std::time::{Duration, Instant};

use bench_log::{BenchClock, Opened, Payloads, Turns, group_write, open, runtime};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::way::{PAYLOAD_BYTES, Point, Told, Way};
use raftlet::{Storage, WriteBatch};
use raftlet_core::Arena;
use raftlet_log::{DiskMode, LogOptions, RealDisk, ShardLog};

/// Time to prepare what a round uses up, as idle moments give it.
const REST: Duration = Duration::from_millis(100);

/// The shard log on the real disk.
pub(crate) struct Ours {
    runtime: Runtime,
    tasks: LocalSet,
    log: ShardLog<RealDisk>,
    arena: Arena,
    turns: Turns,
    payloads: Payloads,
    batch: WriteBatch,
}

impl Ours {
    /// # Errors
    /// The log does not open.
    pub(crate) fn new(dir: &Path, point: Point) -> Result<Self, String> {
        let runtime = runtime()?;
        let tasks = LocalSet::new();
        let log = tasks.block_on(&runtime, async {
            let options = LogOptions::default();
            let Opened { log, .. } = open(&dir.join("ours"), DiskMode::Direct, &options).await?;
            tokio::task::spawn_local(log.maintain(BenchClock::start()));
            Ok::<_, String>(log)
        })?;
        Ok(Self {
            runtime,
            tasks,
            log,
            arena: Arena::default(),
            turns: Turns::new(point.groups, point.batch),
            payloads: Payloads::new(PAYLOAD_BYTES),
            batch: WriteBatch::default(),
        })
    }

    fn fill(&mut self) {
        self.batch.writes.clear();
        for (group, first, count) in self.turns.next_batch() {
            let payloads = self.payloads.next(count);
            self.batch.writes.push(group_write(&mut self.arena, group, first, payloads));
        }
    }
}

impl Way for Ours {
    fn name(&self) -> &'static str {
        "raftlet-log"
    }

    /// Background work runs only while something is awaited.
    fn rest(&mut self) {
        self.tasks.block_on(&self.runtime, async { tokio::time::sleep(REST).await });
    }

    fn write(&mut self) -> Result<Duration, String> {
        let since = Instant::now();
        self.fill();
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
