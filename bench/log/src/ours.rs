//! raftlet-log, driven as the shard's writer drives it: chunks cut from an
//! arena, one batch in flight, segments prepared in the background.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::way::{Payloads, Point, Told, Turns, Way};
use raftlet::{Clock, GroupWrite, Storage, WriteBatch};
use raftlet_core::{
    Arena, Chunk, Entries, EntryKind, Generation, GroupId, HardState, Index, LogId, NewEntry,
    NodeId, Now, Seal, Term, Time, WallMs,
};
use raftlet_log::{Claims, DiskMode, LogOptions, RealDisk, ShardLog, open_data_dir};

const GENERATION: Generation = Generation::new(1);
const TERM: Term = Term::new(2);
/// Time to prepare what a round uses up, as idle moments give it.
const REST: Duration = Duration::from_millis(100);

/// The monotonic clock of this process, for the log's background work.
#[derive(Clone, Copy, Debug)]
struct BenchClock(Instant);

impl Clock for BenchClock {
    fn now(&self) -> Now {
        let ns = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now { time: Time::from_ns(ns), wall: WallMs(0) }
    }

    async fn sleep_until(&self, deadline: Time) {
        tokio::time::sleep_until((self.0 + Duration::from_nanos(deadline.ns())).into()).await;
    }
}

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
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let tasks = LocalSet::new();
        let claims = Claims {
            cluster_name: "bench".to_owned(),
            node: NodeId::new(1),
            initial_members: vec![(NodeId::new(1), "127.0.0.1:1".to_owned())],
        };
        let log = tasks.block_on(&runtime, async {
            let opened = open_data_dir(&dir.join("ours"), &claims, DiskMode::Direct).await;
            let (disk, home) = opened.map_err(|error| error.to_string())?;
            let log = ShardLog::open(disk, home, &LogOptions::default()).await;
            let (log, _) = log.map_err(|error| error.to_string())?;
            tokio::task::spawn_local(log.maintain(BenchClock(Instant::now())));
            Ok::<_, String>(log)
        })?;
        Ok(Self {
            runtime,
            tasks,
            log,
            arena: Arena::default(),
            turns: Turns::new(point),
            payloads: Payloads::new(),
            batch: WriteBatch::default(),
        })
    }

    fn fill(&mut self) {
        self.batch.writes.clear();
        for (group, first, count) in self.turns.next() {
            let group = GroupId::new(group);
            let seal = Seal::new(group, GENERATION);
            let at = LogId { term: TERM, index: Index::new(first) };
            let entries = self.payloads.next(count).map(|payload| NewEntry {
                kind: EntryKind::Command,
                log_time_ms: 1,
                origin: None,
                payload,
            });
            let hard_state = (first == 1).then_some(HardState { term: TERM, vote: None });
            self.batch.writes.push(GroupWrite {
                hard_state,
                entries: Entries::from(Chunk::encode(&mut self.arena, seal, at, entries)),
                ..GroupWrite::new(group, GENERATION)
            });
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
