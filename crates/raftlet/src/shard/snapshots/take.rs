//! Writes a machine down, and restores one: the tasks between machine and
//! storage.
//!
//! Both move one chunk at a time and let the thread's other tasks run between
//! two of them, so the memory they take and the time they hold are a chunk's.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;

use crate::applier::Start;
use crate::couriers::Restored;
use crate::error::{Halt, SnapshotError};
use crate::observe::Note;
use crate::patience::{READ_PAUSE_NS, READ_TRIES_MAX, given_up};
use crate::port::{
    ChunkError, ChunkSource, Clock, GroupInfo, Ports, SnapshotMeta, SnapshotReader, SnapshotWriter,
    Spawn, StateMachine, Storage, StorageError,
};
use crate::shard::Shared;
use crate::shard::act::Task;
use crate::shard::state::Completion;
use crate::timers::Slot;
use raftlet_core::{GroupId, LogId};

impl<P: Ports> Shared<P> {
    /// Takes the hand-over of a machine and writes it down beside the loop.
    pub(in crate::shard) fn run_snapshot(
        self: &Rc<Self>,
        slot: Slot,
        mut machine: Box<P::Machine>,
        group: GroupInfo,
        meta: SnapshotMeta,
    ) {
        let source = machine.snapshot();
        self.state.with(|state| state.give_back(slot, machine));
        let shared = Rc::clone(self);
        self.spawn.spawn(async move {
            let mut task = Task::new(&shared);
            let result = match source {
                None => Err(SnapshotError::Unsupported),
                Some(source) => write(&shared.storage, group, meta, source).await,
            };
            task.finish(Completion::Taken(slot, result));
        });
    }

    /// Restores a machine beside the loop.
    pub(in crate::shard) fn run_restore(
        self: &Rc<Self>,
        slot: Slot,
        mut machine: Box<P::Machine>,
        group: GroupId,
        last: LogId,
    ) {
        let shared = Rc::clone(self);
        self.spawn.spawn(async move {
            let mut task = Task::new(&shared);
            let restoring = restore(&shared, machine.as_mut(), group, last);
            let result = courteous(&shared.clock, restoring).await;
            task.finish(Completion::Restored(slot, Restored { machine, result }));
        });
    }
}

impl<P: Ports> Shared<P> {
    /// Asks storage until it can read, or does not for too long.
    ///
    /// # Errors
    /// Those of `ask`; of one that is given up, that it is damaged.
    async fn patiently<T>(
        &self,
        group: GroupId,
        mut ask: impl AsyncFnMut() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut tries = 0;
        loop {
            let error = match ask().await {
                Err(error @ StorageError::Unreadable { .. }) => error,
                asked => return asked,
            };
            tries += 1;
            if tries == 1 {
                let why = error.clone();
                self.state.with(|state| state.due.notes.push(Note::NotRead { group, why }));
            }
            if tries >= READ_TRIES_MAX {
                return Err(given_up(group, &error));
            }
            if self.has_ended() {
                return Err(error);
            }
            self.clock.sleep_until(self.now().time.after_ns(READ_PAUSE_NS)).await;
        }
    }
}

async fn write<S: Storage>(
    storage: &S,
    group: GroupInfo,
    meta: SnapshotMeta,
    mut source: impl ChunkSource,
) -> Result<LogId, SnapshotError> {
    let failed = |error: StorageError| SnapshotError::Failed { detail: error.to_string() };
    let mut writer = storage.create_snapshot(group, &meta).await.map_err(failed)?;
    loop {
        match source.next_chunk().await {
            Ok(Some(chunk)) => writer.write(chunk).await.map_err(failed)?,
            Ok(None) => break,
            Err(error) => return Err(SnapshotError::Failed { detail: error.detail }),
        }
        breathe().await;
    }
    writer.finish().await.map_err(failed)?;
    Ok(meta.last)
}

async fn restore<P: Ports>(
    shared: &Rc<Shared<P>>,
    machine: &mut P::Machine,
    group: GroupId,
    last: LogId,
) -> Result<Start, Halt> {
    let failed = |detail: &str| Halt::Restore { last, detail: detail.to_owned() };
    let opened = shared.patiently(group, async || shared.storage.open_snapshot(group).await).await;
    let opened = opened.map_err(Halt::Storage)?;
    let reader = opened.ok_or_else(|| failed("storage does not have it"))?;
    reader.read_ahead();
    let start = Start::behind(reader.meta()).ok_or_else(|| failed("its head does not decode"))?;
    let mut chunks = Chunks { shared: Rc::clone(shared), group, reader, next: 0, failure: None };
    let restored = machine.restore(&mut chunks).await;
    match (chunks.failure, restored) {
        // Whatever the machine makes of it: storage is what failed.
        (Some(error), _) => Err(Halt::Storage(error)),
        (None, Err(error)) => Err(failed(&error.detail)),
        (None, Ok(())) => Ok(start),
    }
}

/// The chunks of a snapshot in storage.
struct Chunks<P: Ports> {
    shared: Rc<Shared<P>>,
    group: GroupId,
    reader: <P::Storage as Storage>::SnapshotReader,
    next: u32,
    failure: Option<StorageError>,
}

impl<P: Ports> ChunkSource for Chunks<P> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ChunkError> {
        if self.next >= self.reader.info().chunks {
            return Ok(None);
        }
        breathe().await;
        let read = async || self.reader.read_chunk(self.next).await;
        match self.shared.patiently(self.group, read).await {
            Ok(chunk) => {
                self.next += 1;
                Ok(Some(chunk))
            }
            Err(error) => {
                let detail = error.to_string();
                self.failure = Some(error);
                Err(ChunkError { detail })
            }
        }
    }
}

/// Lends this thread's core whenever the work pauses. A machine that is restored
/// computes for seconds: a scheduler that lets it have whole slices, of milliseconds
/// each, holds up every thread that serves somebody beside it. Half of the time at
/// most: this thread may serve other groups, and neighbours may never have enough.
async fn courteous<T>(clock: &impl Clock, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let (begun, mut lent_ns) = (clock.now().time, 0);
    poll_fn(|cx| {
        let polled = work.as_mut().poll(cx);
        let paused = clock.now().time;
        if polled.is_pending() && lent_ns <= paused.since(begun) / 2 {
            clock.lend_core();
            lent_ns += clock.now().time.since(paused);
        }
        polled
    })
    .await
}

/// Lets the thread's other tasks run once.
async fn breathe() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::{breathe, courteous};
    use crate::port::Clock;
    use raftlet_core::{Now, Time};

    /// Time passes as it is told to, and while the core is lent.
    #[derive(Default)]
    struct Neighbours {
        now_ns: Cell<u64>,
        each_takes_ns: u64,
        lent: Cell<u64>,
    }

    impl Clock for Neighbours {
        fn now(&self) -> Now {
            Now { time: Time::from_ns(self.now_ns.get()), ..Now::default() }
        }

        async fn sleep_until(&self, _: Time) {}

        fn lend_core(&self) {
            self.now_ns.set(self.now_ns.get() + self.each_takes_ns);
            self.lent.set(self.lent.get() + 1);
        }
    }

    /// How often work that pauses a thousand times, each microsecond, lends its core.
    fn lent(each_takes_ns: u64) -> u64 {
        let clock = Neighbours { each_takes_ns, ..Neighbours::default() };
        let mut work = pin!(courteous(&clock, async {
            for _ in 0..1_000 {
                clock.now_ns.set(clock.now_ns.get() + 1_000);
                breathe().await;
            }
            7
        }));
        let mut cx = Context::from_waker(Waker::noop());
        let mut polls = 0;
        let ended = loop {
            polls += 1;
            if let Poll::Ready(ended) = work.as_mut().poll(&mut cx) {
                break ended;
            }
        };
        assert_eq!((ended, polls), (7, 1_001));
        clock.lent.get()
    }

    #[test]
    fn work_lends_its_core_each_time_it_pauses_and_not_at_its_end() {
        assert_eq!(lent(0), 1_000);
        assert_eq!(lent(900), 1_000, "neighbours that leave it more than half");
    }

    #[test]
    fn neighbours_that_never_have_enough_are_lent_half_of_the_time() {
        let lent = lent(50_000);
        assert!((10..=30).contains(&lent), "{lent} times 50 µs beside a ms of work");
    }
}
