//! raft-engine 0.4.2 (tikv), as it comes and with its files prepared.
//!
//! Its entries are protobuf messages that tell their index. Ours carry it as
//! text in the one field of a well-known message that holds text; reading it
//! costs some twenty nanoseconds an entry, which it is charged.

use std::path::Path;
use std::time::{Duration, Instant};

use bench_log::{Payloads, Turns};
use protobuf::well_known_types::Any;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};

use crate::way::{PAYLOAD_BYTES, Point, Way};

/// Batches written before the first is measured where files are reused.
const FILES_BYTES: u64 = 8 << 20;

/// Tells an entry's index.
struct Indexed;

impl MessageExt for Indexed {
    type Entry = Any;

    fn index(entry: &Any) -> u64 {
        entry.get_type_url().parse().expect("written below")
    }
}

/// The peer's log.
pub(crate) struct Peer {
    name: &'static str,
    engine: Engine,
    turns: Turns,
    payloads: Payloads,
    batch: LogBatch,
}

impl Peer {
    /// With its default settings.
    ///
    /// # Errors
    /// It does not open.
    pub(crate) fn fresh(dir: &Path, point: Point) -> Result<Self, String> {
        let config =
            Config { dir: dir.join("engine-fresh").display().to_string(), ..Config::default() };
        Self::open("raft-engine 0.4.2", config, point)
    }

    /// With files that it has prepared before, and without compression: as
    /// near to the floor as its settings get.
    ///
    /// # Errors
    /// It does not open.
    pub(crate) fn prepared(dir: &Path, point: Point) -> Result<Self, String> {
        let config = Config {
            dir: dir.join("engine-prepared").display().to_string(),
            enable_log_recycle: true,
            prefill_for_recycle: true,
            target_file_size: ReadableSize(FILES_BYTES),
            purge_threshold: ReadableSize(FILES_BYTES * 8),
            batch_compression_threshold: ReadableSize(0),
            ..Config::default()
        };
        let mut peer = Self::open("raft-engine, prepared", config, point)?;
        // Its first file is never a prepared one: write past it.
        let bytes = (point.batch * PAYLOAD_BYTES) as u64;
        for _ in 0..FILES_BYTES / bytes.max(4096) + 1 {
            peer.put(false)?;
        }
        peer.put(true)?;
        Ok(peer)
    }

    fn open(name: &'static str, config: Config, point: Point) -> Result<Self, String> {
        let engine = Engine::open(config).map_err(|error| error.to_string())?;
        let (turns, payloads) =
            (Turns::new(point.groups, point.batch), Payloads::new(PAYLOAD_BYTES));
        Ok(Self { name, engine, turns, payloads, batch: LogBatch::default() })
    }

    fn put(&mut self, sync: bool) -> Result<(), String> {
        for (group, first, count) in self.turns.next_batch() {
            let entries: Vec<Any> = (first..)
                .zip(self.payloads.next(count))
                .map(|(index, payload)| {
                    let mut entry = Any::new();
                    entry.set_type_url(index.to_string());
                    entry.set_value(payload.to_vec());
                    entry
                })
                .collect();
            let added = self.batch.add_entries::<Indexed>(group, &entries);
            added.map_err(|error| error.to_string())?;
        }
        self.engine.write(&mut self.batch, sync).map_err(|error| error.to_string())?;
        Ok(())
    }
}

impl Way for Peer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn write(&mut self) -> Result<Duration, String> {
        let since = Instant::now();
        self.put(true)?;
        Ok(since.elapsed())
    }
}
