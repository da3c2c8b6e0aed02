//! Fills a log as the shard's writer does, and opens it.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::Point;
use raftlet::{Clock, GroupWrite, Storage, WriteBatch};
use raftlet_core::{
    Arena, Chunk, Entries, EntryKind, Generation, GroupId, HardState, Index, LogId, NewEntry,
    NodeId, Now, Seal, Term, Time, WallMs,
};
use raftlet_log::{
    Claims, DiskMode, LogOptions, RealDisk, RecoveryReport, ShardLog, open_data_dir,
};

const GENERATION: Generation = Generation::new(1);
const TERM: Term = Term::new(2);
/// Bytes that payloads are cut from: they do not compress.
const POOL_BYTES: usize = 1 << 20;

/// A log that is there.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

/// A log that is open.
pub(crate) struct Opened {
    pub(crate) log: ShardLog<RealDisk>,
    pub(crate) report: RecoveryReport,
}

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

fn runtime() -> Result<Runtime, String> {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.map_err(|error| error.to_string())
}

/// Nothing is moved for the sake of space.
fn options() -> LogOptions {
    LogOptions { log_bytes_soft: 1 << 40, ..LogOptions::default() }
}

async fn open_log(dir: &Path, mode: DiskMode) -> Result<Opened, String> {
    let claims = Claims {
        cluster_name: "bench".to_owned(),
        node: NodeId::new(1),
        initial_members: vec![(NodeId::new(1), "127.0.0.1:1".to_owned())],
    };
    let opened = open_data_dir(dir, &claims, mode).await;
    let (disk, home) = opened.map_err(|error| error.to_string())?;
    let opened = ShardLog::open(disk, home, &options()).await;
    let (log, report) = opened.map_err(|error| error.to_string())?;
    Ok(Opened { log, report })
}

/// Opens the log.
///
/// # Errors
/// What the log says.
pub(crate) fn open(dir: &Path, mode: DiskMode) -> Result<Opened, String> {
    runtime()?.block_on(open_log(dir, mode))
}

/// Writes a log: groups take turns, one entry each; a group alone gets all of a
/// batch.
///
/// # Errors
/// What the log says.
pub(crate) fn fill(dir: &Path, point: &Point) -> Result<Filled, String> {
    let runtime = runtime()?;
    LocalSet::new().block_on(&runtime, async {
        let Opened { log, .. } = open_log(dir, DiskMode::Direct).await?;
        tokio::task::spawn_local(log.maintain(BenchClock(Instant::now())));
        let since = Instant::now();
        let mut filler = Filler::new(point);
        while log.bytes() < point.mib << 20 {
            let (_, result) = log.write(filler.batch()).await;
            result.map_err(|error| error.to_string())?;
        }
        log.close().await.map_err(|error| error.to_string())?;
        let seconds = since.elapsed().as_secs_f64();
        Ok(Filled { entries: filler.entries, bytes: log.bytes(), seconds })
    })
}

struct Filler<'a> {
    point: &'a Point,
    arena: Arena,
    pool: Vec<u8>,
    at: usize,
    next_group: u64,
    last: Vec<u64>,
    entries: u64,
}

impl<'a> Filler<'a> {
    fn new(point: &'a Point) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let word = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let groups = usize::try_from(point.groups).expect("they fit in memory");
        Self {
            point,
            arena: Arena::default(),
            pool: (0..POOL_BYTES / 8).flat_map(word).collect(),
            at: 0,
            next_group: 0,
            last: vec![0; groups],
            entries: 0,
        }
    }

    fn batch(&mut self) -> WriteBatch {
        let mut batch = WriteBatch::default();
        let (writes, entries) =
            if self.point.groups == 1 { (1, self.point.batch) } else { (self.point.batch, 1) };
        for _ in 0..writes {
            let group = self.next_group;
            self.next_group = (group + 1) % self.point.groups;
            batch.writes.push(self.write(group, entries));
        }
        batch
    }

    fn write(&mut self, group: u64, count: usize) -> GroupWrite {
        let last = &mut self.last[usize::try_from(group).expect("a group in memory")];
        let first = *last + 1;
        *last += count as u64;
        self.entries += count as u64;
        let payload = self.point.payload;
        if self.at + count * payload > self.pool.len() {
            self.at = 0;
        }
        let bytes = &self.pool[self.at..self.at + count * payload];
        self.at += count * payload;
        let entries = bytes.chunks_exact(payload).map(|payload| NewEntry {
            kind: EntryKind::Command,
            log_time_ms: 1,
            origin: None,
            payload,
        });
        let group = GroupId::new(group + 1);
        let seal = Seal::new(group, GENERATION);
        let at = LogId { term: TERM, index: Index::new(first) };
        GroupWrite {
            hard_state: (first == 1).then_some(HardState { term: TERM, vote: None }),
            entries: Entries::from(Chunk::encode(&mut self.arena, seal, at, entries)),
            ..GroupWrite::new(group, GENERATION)
        }
    }
}
