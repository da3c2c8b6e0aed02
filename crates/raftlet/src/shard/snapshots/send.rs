//! Takes a snapshot to a member, part by part.
//!
//! The member says which part it wants; a few are on their way ahead of that.
//! When nothing moves for a while the sender goes back to what is wanted, so a
//! part that was lost, or a connection that broke, costs a repetition and not
//! the transfer. Parts are read anew for that: the sender holds one at a time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use crate::port::{
    Clock, GroupInfo, Incoming, Ports, Rpc, SnapshotReader, Spawn, Storage, StorageError,
};
use crate::shard::Shared;
use crate::shard::act::Task;
use crate::shard::snapshots::{Go, PARTS_AHEAD, checksum};
use crate::shard::state::Completion;
use crate::snapshot::head::Head;
use crate::timers::Slot;
use raftlet_core::{Body, NodeId, SnapshotPart, Time};

/// Without news for so long, what is wanted is sent again: some round trips of a
/// slow link, and the write of a part.
const PATIENCE_NS: u64 = 500_000_000;
/// Without news for so many times that, the attempt is given up; the core asks
/// for another.
const REPEATS_MAX: u32 = 20;

impl<P: Ports> Shared<P> {
    pub(in crate::shard) fn start_send(self: &Rc<Self>, slot: Slot, group: GroupInfo, to: NodeId) {
        let shared = Rc::clone(self);
        self.spawn.spawn(async move {
            let mut task = Task::new(&shared);
            // Whatever went wrong, the core asks again as long as it is needed.
            let flaw = shared.send_snapshot(slot, group, to).await.err();
            task.finish(Completion::Sent(slot, to, flaw));
        });
    }

    async fn send_snapshot(
        &self,
        slot: Slot,
        group: GroupInfo,
        to: NodeId,
    ) -> Result<(), StorageError> {
        let Some(reader) = self.storage.open_snapshot(group.group).await? else {
            return Ok(());
        };
        let (last, info) = (reader.meta().last, reader.info());
        let head = Head { meta: reader.meta().clone(), info }.encode();
        let parts = u64::from(info.chunks) + 1;
        let (mut next, mut known, mut repeats) = (0, 0, 0);
        let mut fresh = 0;
        let mut pace = Pace { at: self.now().time };
        loop {
            let go = self.state.with(|state| state.go_on_sending((slot, to), last, parts));
            let Go::On { wanted } = go else {
                return Ok(());
            };
            if wanted != known {
                (known, repeats) = (wanted, 0);
                next = next.max(wanted);
            }
            // The head goes alone: its answer tells where to go on. So does
            // what is repeated: the link may be cut.
            let ahead = if known == 0 || repeats > 0 { 1 } else { PARTS_AHEAD };
            if next < parts && next < known + ahead {
                let bytes = match u32::try_from(next).ok().and_then(|next| next.checked_sub(1)) {
                    None => head.clone(),
                    Some(chunk) => reader.read_chunk(chunk).await?,
                };
                pace.wait(self, bytes.len()).await;
                let checksum = checksum(next, &bytes);
                let part = SnapshotPart { last, number: next, checksum, bytes };
                let is_repeated = next < fresh;
                self.send_part(slot, group, (to, is_repeated), part);
                next += 1;
                fresh = fresh.max(next);
                continue;
            }
            let deadline = self.now().time.after_ns(PATIENCE_NS);
            if !self.wait_moved((slot, to), known, deadline).await {
                repeats += 1;
                next = known;
                self.state.with(|state| state.counters_mut().snapshot_stalls += 1);
                if repeats > REPEATS_MAX {
                    return Ok(());
                }
            }
        }
    }

    fn send_part(
        &self,
        slot: Slot,
        group: GroupInfo,
        (to, is_repeated): (NodeId, bool),
        part: SnapshotPart,
    ) {
        let bytes = u64::try_from(part.bytes.len()).unwrap_or(u64::MAX);
        let message = self.state.with(|state| {
            let counters = state.counters_mut();
            counters.snapshot_parts_sent += 1;
            counters.snapshot_bytes_sent += bytes;
            if is_repeated {
                counters.snapshot_parts_repeated += 1;
                counters.snapshot_bytes_repeated += bytes;
            }
            state.snapshot_message(slot, Body::Snapshot(part))
        });
        if let Some(message) = message {
            self.rpc.send(to, &mut vec![Incoming { group: group.group, message }]);
        }
    }

    /// Waits for news; whether there is some before the deadline.
    async fn wait_moved(&self, at: (Slot, NodeId), known: u64, deadline: Time) -> bool {
        let mut alarm = pin!(self.clock.sleep_until(deadline));
        poll_fn(|cx| {
            let (moved, former) = self.state.with(|state| state.has_moved(at, known, cx.waker()));
            drop(former);
            if moved {
                return Poll::Ready(true);
            }
            alarm.as_mut().poll(cx).map(|()| false)
        })
        .await
    }
}

/// Keeps to the rate of the options.
struct Pace {
    /// The next part leaves no sooner.
    at: Time,
}

impl Pace {
    async fn wait<P: Ports>(&mut self, shared: &Shared<P>, bytes: usize) {
        let rate = shared.state.with(|state| state.options.snapshot_bytes_per_second);
        if rate == 0 {
            return;
        }
        let now = shared.now().time;
        if self.at > now {
            shared.clock.sleep_until(self.at).await;
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let takes_ns = bytes.saturating_mul(1_000_000_000) / rate;
        self.at = self.at.max(now).after_ns(takes_ns);
    }
}
