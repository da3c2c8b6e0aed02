//! What the tables of the log share: opening a log, what entries carry, and batches
//! as the shard's writer makes them.
//!
//! Read next: `main.rs` (writing), `recovery/main.rs` (opening).

use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use raftlet::{Clock, GroupWrite, WriteBatch};
use raftlet_core::{
    Arena, Chunk, Entries, EntryKind, Generation, GroupId, HardState, Index, LogId, NewEntry,
    NodeId, Now, Seal, Term, Time, WallMs,
};
use raftlet_log::{
    Claims, DiskMode, LogOptions, LogWriter, RealDisk, RecoveryReport, ShardLog, open_data_dir,
};

const GENERATION: Generation = Generation::new(1);
const TERM: Term = Term::new(2);

/// The monotonic clock of this process, for the log's background work.
#[derive(Clone, Copy, Debug)]
pub struct BenchClock(Instant);

impl BenchClock {
    /// It starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for BenchClock {
    fn now(&self) -> Now {
        let ns = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now { time: Time::from_ns(ns), wall: WallMs(0) }
    }

    async fn sleep_until(&self, deadline: Time) {
        tokio::time::sleep_until((self.0 + Duration::from_nanos(deadline.ns())).into()).await;
    }
}

/// Where a log runs: one thread, as a shard has it.
///
/// # Errors
/// What the system says.
pub fn runtime() -> Result<Runtime, String> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())
}

/// A log that is open.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub log: ShardLog<RealDisk>,
    /// What was found.
    pub report: RecoveryReport,
}

/// Opens the log of a directory, or begins one.
///
/// # Errors
/// What the log says.
pub async fn open(dir: &Path, mode: DiskMode, options: &LogOptions) -> Result<Opened, String> {
    open_on(dir, mode, options, |disk| disk).await
}

/// The same, its writes made by `writer`.
///
/// # Errors
/// What the log says.
pub async fn open_written_by(
    dir: &Path,
    options: &LogOptions,
    writer: Rc<dyn LogWriter>,
) -> Result<Opened, String> {
    open_on(dir, DiskMode::Direct, options, |disk| disk.written_by(writer)).await
}

async fn open_on(
    dir: &Path,
    mode: DiskMode,
    options: &LogOptions,
    with: impl FnOnce(RealDisk) -> RealDisk,
) -> Result<Opened, String> {
    let claims = Claims {
        cluster_name: "bench".to_owned(),
        node: NodeId::new(1),
        initial_members: vec![(NodeId::new(1), "127.0.0.1:1".to_owned())],
        groups: None,
    };
    let opened = open_data_dir(dir, &claims, mode).await;
    let (disk, home) = opened.map_err(|error| error.to_string())?;
    let opened = ShardLog::open(with(disk), home, options).await;
    let (log, report) = opened.map_err(|error| error.to_string())?;
    Ok(Opened { log, report })
}

/// What entries carry: bytes that do not compress, other ones for each entry
/// until the pool is used up.
#[derive(Debug)]
pub struct Payloads {
    pool: Vec<u8>,
    payload_bytes: usize,
    at: usize,
}

impl Payloads {
    /// More than the largest batch has.
    const POOL_BYTES: usize = 1 << 20;

    /// Payloads of `payload_bytes` bytes.
    #[must_use]
    pub fn new(payload_bytes: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let word = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        Self { pool: (0..Self::POOL_BYTES / 8).flat_map(word).collect(), payload_bytes, at: 0 }
    }

    /// The next ones.
    pub fn next(&mut self, count: usize) -> impl Iterator<Item = &[u8]> + Clone {
        let bytes = count * self.payload_bytes;
        if self.at + bytes > self.pool.len() {
            self.at = 0;
        }
        let first = self.at;
        self.at += bytes;
        self.pool[first..first + bytes].chunks_exact(self.payload_bytes)
    }
}

/// Batches, made as the shard's writer makes them: chunks cut from an arena.
#[derive(Debug)]
pub struct Source {
    arena: Arena,
    turns: Turns,
    payloads: Payloads,
}

impl Source {
    /// Batches of `batch` entries of so many groups.
    ///
    /// # Panics
    /// When they do not fit in memory.
    #[must_use]
    pub fn new(groups: u64, batch: usize, payload_bytes: usize) -> Self {
        Self {
            arena: Arena::default(),
            turns: Turns::new(groups, batch),
            payloads: Payloads::new(payload_bytes),
        }
    }

    /// Makes the next one in place of what is there; tells how many entries it has.
    pub fn fill(&mut self, batch: &mut WriteBatch) -> u64 {
        batch.writes.clear();
        let mut entries = 0;
        for (group, first, count) in self.turns.next_batch() {
            entries += count as u64;
            let payloads = self.payloads.next(count);
            batch.writes.push(group_write(&mut self.arena, group, first, payloads));
        }
        entries
    }
}

/// One group's part of a batch: entries from `first` on, and with its first
/// one a term.
fn group_write<'a>(
    arena: &mut Arena,
    group: u64,
    first: u64,
    payloads: impl Iterator<Item = &'a [u8]> + Clone,
) -> GroupWrite {
    let group = GroupId::new(group);
    let seal = Seal::new(group, GENERATION);
    let at = LogId { term: TERM, index: Index::new(first) };
    let entries = payloads.map(|payload| NewEntry {
        kind: EntryKind::Command,
        log_time_ms: 1,
        origin: None,
        payload,
    });
    GroupWrite {
        hard_state: (first == 1).then_some(HardState { term: TERM, vote: None }),
        entries: Entries::from(Chunk::encode(arena, seal, at, entries)),
        ..GroupWrite::new(group, GENERATION)
    }
}

/// Where entries go next: groups take turns, each group's indexes ascend.
#[derive(Debug)]
pub struct Turns {
    batch: usize,
    next_group: usize,
    last: Vec<u64>,
}

impl Turns {
    /// Batches of `batch` entries of so many groups.
    ///
    /// # Panics
    /// When they do not fit in memory.
    #[must_use]
    pub fn new(groups: u64, batch: usize) -> Self {
        let groups = usize::try_from(groups).expect("they fit in memory");
        Self { batch, next_group: 0, last: vec![0; groups] }
    }

    /// The batch's entries: group, first index, how many. A group of many gets
    /// one entry; a group alone gets all.
    pub fn next_batch(&mut self) -> Vec<(u64, u64, usize)> {
        let (writes, entries) =
            if self.last.len() == 1 { (1, self.batch) } else { (self.batch, 1) };
        let mut turns = Vec::with_capacity(writes);
        for _ in 0..writes {
            let group = self.next_group;
            self.next_group = (group + 1) % self.last.len();
            let last = &mut self.last[group];
            turns.push((group as u64 + 1, *last + 1, entries));
            *last += entries as u64;
        }
        turns
    }
}
