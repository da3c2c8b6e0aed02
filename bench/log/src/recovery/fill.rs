//! Fills a log as the shard's writer does, and opens it.

use std::path::Path;
use std::time::Instant;

use bench_log::{BenchClock, Opened, Source, runtime};
use tokio::task::LocalSet;

use crate::Point;
use raftlet::{Storage, WriteBatch};
use raftlet_log::{DiskMode, LogOptions};

/// A log that is there.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

async fn open_log(dir: &Path, mode: DiskMode) -> Result<Opened, String> {
    // Nothing is moved for the sake of space.
    let options = LogOptions { log_bytes_soft: 1 << 40, ..LogOptions::default() };
    bench_log::open(dir, mode, &options).await
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
        tokio::task::spawn_local(log.maintain(BenchClock::start()));
        let since = Instant::now();
        let mut source = Source::new(point.groups, point.batch, point.payload);
        let mut batch = WriteBatch::default();
        let mut entries = 0;
        while log.bytes() < point.mib << 20 {
            entries += source.fill(&mut batch);
            let result;
            (batch, result) = log.write(batch).await;
            result.map_err(|error| error.to_string())?;
        }
        log.close().await.map_err(|error| error.to_string())?;
        let seconds = since.elapsed().as_secs_f64();
        Ok(Filled { entries, bytes: log.bytes(), seconds })
    })
}
