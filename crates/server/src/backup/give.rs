//! A node gives the state of one group away: a snapshot of it, read from its
//! file chunk by chunk.
//!
//! Before that it asks a quorum where the log is, waits until its own machine is
//! there, and writes it down: so the state holds whatever was acknowledged
//! before the question, and is that of one applied index.
//!
//! Invariants
//! - At most [`STREAMS_MAX`] at once, each with [`PIECES_AHEAD`] chunks in
//!   memory: whoever takes them slowly is waited for (rule 42).
//! - The file stays until it is read, also when a later one comes into use.
//!
//! Not here: the bytes of the question (`admin/backup.rs`), who asks
//! (`create.rs`).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::backup::format::{self, BackupId, GroupHead, Kind};
use crate::process::clock;
use crate::shard::ports::{Group, SharedLog};
use crate::shard::snapshots;
use raftlet::core::{GroupId, Index};
use raftlet::{GroupInfo, SnapshotReader, Storage};
use raftlet_log::{LogSnapshotReader, RealDisk};

/// Groups given away at once: a disk that serves clients has more to do.
const STREAMS_MAX: u32 = 2;
/// Chunks read ahead of whoever takes them: 4 MiB at most.
const PIECES_AHEAD: usize = 3;
/// A snapshot that was finished comes into use with the next write of the log.
const IN_USE_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) group: u64,
    /// The backup's number, 32 hexadecimal digits.
    pub(crate) backup: String,
    /// What this node has is enough.
    #[serde(default)]
    pub(crate) stale: bool,
}

/// Why it is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no such group.
    NoGroup(String),
    /// Not now, and why.
    Not(String),
}

/// A node that can be asked for the state of its groups.
pub(crate) trait GivesBackups: 'static {
    /// Frames of one group, piece by piece.
    fn give_backup(
        &self,
        order: Order,
    ) -> impl Future<Output = Result<mpsc::Receiver<Bytes>, Refused>>;
}

/// How many groups are being given away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(Rc<Cell<u32>>);

/// One of them.
struct Stream(Rc<Cell<u32>>);

impl Streams {
    fn begin(&self) -> Option<Stream> {
        let streams = self.0.get();
        (streams < STREAMS_MAX).then(|| {
            self.0.set(streams + 1);
            Stream(Rc::clone(&self.0))
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Begins to give a group away; returns when its snapshot is open.
///
/// # Errors
/// [`Refused`]
pub(crate) async fn give(
    groups: &[Group],
    log: &SharedLog,
    streams: &Streams,
    order: Order,
) -> Result<mpsc::Receiver<Bytes>, Refused> {
    let id = |group: &Group| group.status().group.get();
    let Some(group) = groups.iter().find(|group| id(group) == order.group) else {
        return Err(Refused::NoGroup(format!("no group {}", order.group)));
    };
    let backup = u128::from_str_radix(&order.backup, 16)
        .map_err(|_| Refused::Not("the backup's number is 32 hexadecimal digits".to_owned()))?;
    let stream = streams.begin().ok_or_else(|| {
        Refused::Not(format!("{STREAMS_MAX} backups are being taken here; try again later"))
    })?;
    let wanted = barrier(group, order.stale).await?;
    let status = group.status();
    let info = GroupInfo { group: status.group, generation: status.generation };
    let reader = snapshot(group, log, wanted).await?;
    let head = GroupHead {
        group: info,
        groups_len: u32::try_from(groups.len()).unwrap_or(u32::MAX),
        meta: reader.meta().clone(),
        info: reader.info(),
        taken_ms: clock::wall().0,
    };
    info!(
        group = order.group,
        index = head.meta.last.index.get(),
        bytes = head.info.bytes,
        "gives a backup away"
    );
    let (pieces, taken) = mpsc::channel(PIECES_AHEAD);
    spawn_local(send(BackupId(backup), head, reader, (pieces, stream)));
    Ok(taken)
}

/// An index at or behind everything that was acknowledged before this call.
async fn barrier(group: &Group, is_stale: bool) -> Result<Index, Refused> {
    if !is_stale {
        group.read(|_| ()).await.map_err(|error| {
            Refused::Not(format!(
                "what this node has may not be all: {error}; ask again when a majority answers, or \
                 say --stale to take what it has"
            ))
        })?;
    }
    Ok(group.status().applied_index)
}

/// Opens a snapshot that reaches `wanted`.
async fn snapshot(
    group: &Group,
    log: &SharedLog,
    wanted: Index,
) -> Result<LogSnapshotReader<RealDisk>, Refused> {
    let refused = |error: &dyn std::error::Error| {
        Refused::Not(format!("the group cannot be written down: {error}"))
    };
    snapshots::reaching(wanted, async || group.snapshot().await)
        .await
        .map_err(|error| refused(&error))?;
    let id = group.status().group;
    match timeout(IN_USE_WITHIN, in_use(log, id, wanted)).await {
        Ok(opened) => opened.map_err(|error| refused(&error)),
        Err(_) => Err(Refused::Not(format!(
            "no snapshot up to entry {wanted} came into use within {} s; try again",
            IN_USE_WITHIN.as_secs()
        ))),
    }
}

async fn in_use(
    log: &SharedLog,
    group: GroupId,
    wanted: Index,
) -> Result<LogSnapshotReader<RealDisk>, raftlet::StorageError> {
    loop {
        if let Some(reader) = log.open_snapshot(group).await?
            && reader.meta().last.index >= wanted
        {
            return Ok(reader);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Sends head and chunks, as fast as they are taken.
async fn send(
    backup: BackupId,
    head: GroupHead,
    reader: LogSnapshotReader<RealDisk>,
    (pieces, _stream): (mpsc::Sender<Bytes>, Stream),
) {
    let group = head.group.group.get();
    let first = format::encode(backup, (Kind::Group, group, 0), &head.encode());
    if pieces.send(first).await.is_err() {
        return;
    }
    for number in 0..head.info.chunks {
        let piece = match reader.read_chunk(number).await {
            Ok(chunk) => format::encode(backup, (Kind::Chunk, group, number), &chunk),
            Err(error) => {
                warn!(group, %error, "a backup is given up");
                let text = error.to_string();
                let failure = format::encode(backup, (Kind::Failure, group, 0), text.as_bytes());
                // Who is gone does not ask why.
                let _ = pieces.send(failure).await;
                return;
            }
        };
        if pieces.send(piece).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{STREAMS_MAX, Streams};

    #[test]
    fn only_so_many_groups_are_given_away_at_once() {
        let streams = Streams::default();
        let mut begun: Vec<_> = (0..STREAMS_MAX).map(|_| streams.begin()).collect();
        assert!(begun.iter().all(Option::is_some) && streams.begin().is_none());
        begun.pop();
        assert!(streams.begin().is_some());
    }
}
