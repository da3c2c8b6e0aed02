//! Takes a snapshot in from the leader, part by part, into a file.
//!
//! A part is acknowledged when it is written, and written when its turn comes:
//! at most a few wait. What the head promised of the whole is compared when all
//! is there (rule 11). A transfer that is replaced by another, or is no news any
//! more, leaves nothing behind; nor does one that storage has no room for,
//! which is begun anew after a rest.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::port::{GroupInfo, Ports, SnapshotMeta, SnapshotWriter, Spawn, Storage, StorageError};
use crate::shard::Shared;
use crate::shard::act::Task;
use crate::shard::state::Completion;
use crate::snapshot::head::Head;
use crate::timers::Slot;
use raftlet_core::SnapshotPart;

impl<P: Ports> Shared<P> {
    pub(in crate::shard) fn start_receive(
        self: &Rc<Self>,
        slot: Slot,
        group: GroupInfo,
        number: u64,
    ) {
        let shared = Rc::clone(self);
        self.spawn.spawn(async move {
            let mut task = Task::new(&shared);
            let meta = shared.receive((slot, number), group).await;
            task.finish(Completion::Received(slot, number, meta));
        });
    }

    /// `None`: given up; the leader begins anew if it is still needed.
    ///
    /// # Errors
    /// Why storage did not take it.
    async fn receive(
        &self,
        of: (Slot, u64),
        group: GroupInfo,
    ) -> Result<Option<SnapshotMeta>, StorageError> {
        let Some(first) = self.next_part(of).await else { return Ok(None) };
        let Some(head) = Head::decode(first.last, first.bytes) else { return Ok(None) };
        let parts = u64::from(head.info.chunks) + 1;
        let mut writer = self.storage.create_snapshot(group, &head.meta).await?;
        self.written(of, parts);
        while writer.chunks_written() < head.info.chunks {
            let Some(part) = self.next_part(of).await else { return Ok(None) };
            writer.write(part.bytes).await?;
            self.written(of, parts);
        }
        let info = writer.finish().await?;
        Ok((info == head.info).then_some(head.meta))
    }

    fn written(&self, of: (Slot, u64), parts: u64) {
        self.state.with(|state| state.on_part_written(of, parts));
        self.signal.raise();
    }

    async fn next_part(&self, of: (Slot, u64)) -> Option<SnapshotPart> {
        poll_fn(|cx| {
            let (part, former) = self.state.with(|state| state.take_part(of, cx.waker()));
            drop(former);
            part.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
