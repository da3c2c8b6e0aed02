//! The shard: one thread's groups and the loop that drives them.
//!
//! ```text
//! loop: wait ─▶ turn (decide, in one borrow) ─▶ send ─▶ start the write
//!                                            ─▶ run machines ─▶ answer
//! ```
//!
//! The loop is one task. It alone changes groups; handles and transport leave
//! things in its lanes and wake it. The turn's messages leave first: the way
//! over another member is the longer one, and its disk works beside this one's.
//! The write future is polled by the loop itself, so that its end costs one wake
//! and no task. Without one under way the wait may begin with looks instead of
//! a sleep (D61).
//!
//! Invariants
//! - At most one write is in flight (D4, rule 28).
//! - When the loop ends, for whatever reason, everybody who waits is told:
//!   *not done* where nothing was appended, else *unknown* (rule 9).
//!
//! Not here: what a turn decides (`shard/turn.rs`), whether to look before
//! sleeping (`idle.rs`), what follows from a turn
//! (`shard/act.rs`), handles (`shard/handle.rs`).

pub(crate) mod act;
mod changes;
mod cold;
mod desk;
pub(crate) mod handle;
mod open;
mod reopen;
pub(crate) mod signal;
pub(crate) mod snapshots;
pub(crate) mod space;
pub(crate) mod state;
mod transfers;
mod turn;
pub(crate) mod writer;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::cell::ShardCell;
use crate::effects::Effects;
use crate::error::ShardError;
use crate::options::{NodeSeat, ShardOptions, ShardSettings};
use crate::port::{Clock, Ports, Storage, StorageError, WriteBatch};
use crate::shard::signal::Signal;
use crate::shard::state::{Phase, State};
use crate::status::ShardStatus;
pub use handle::members::Changing;
pub use handle::{Group, Inbox, Proposing, ProposingAll, Reading, Snapshotting, Transferring};
use raftlet_core::OptionsError;

/// Looks at the sockets before a write that others may still join; a look with
/// nothing there takes some two microseconds.
const GATHER_LOOKS_MAX: u32 = 64;
/// And in a row without anybody.
const GATHER_LOOKS_IN_VAIN_MAX: u32 = 4;

/// Looks before sleeping at most, for clocks that stand still meanwhile; one
/// takes about a microsecond.
const IDLE_LOOKS_MAX: u32 = 1_024;

/// What the tasks and handles of a shard share.
pub(crate) struct Shared<P: Ports> {
    pub(crate) state: ShardCell<State<P::Machine>>,
    pub(crate) signal: Signal,
    pub(crate) seat: NodeSeat,
    pub(crate) rpc: P::Rpc,
    pub(crate) storage: P::Storage,
    pub(crate) clock: P::Clock,
    pub(crate) spawn: P::Spawn,
    pub(crate) detector: P::Detector,
}

/// The ports of one shard, by value.
#[derive(Debug)]
pub struct PortSet<P: Ports> {
    /// Messages to other nodes.
    pub rpc: P::Rpc,
    /// Durable state.
    pub storage: P::Storage,
    /// Time.
    pub clock: P::Clock,
    /// Tasks on this thread.
    pub spawn: P::Spawn,
    /// Liveness of other nodes.
    pub detector: P::Detector,
}

/// One thread's groups. Stays on the thread that made it.
pub struct Shard<P: Ports> {
    shared: Rc<Shared<P>>,
}

/// What a finished write gives back.
type Written = (WriteBatch, Result<(), StorageError>);

impl<P: Ports> Shard<P> {
    /// A shard without groups, on the ports of one node.
    ///
    /// # Errors
    /// [`OptionsError`] names the option that cannot stand.
    pub fn new(
        options: ShardOptions,
        seat: NodeSeat,
        ports: PortSet<P>,
    ) -> Result<Self, OptionsError> {
        let settings = ShardSettings::try_from(options)?;
        let PortSet { rpc, storage, clock, spawn, detector } = ports;
        let state = ShardCell::new(State::new(settings));
        let signal = Signal::new();
        let shared = Shared { state, signal, seat, rpc, storage, clock, spawn, detector };
        Ok(Self { shared: Rc::new(shared) })
    }

    /// Where the transport delivers messages and the detector its news.
    #[must_use]
    pub fn inbox(&self) -> Inbox<P> {
        Inbox::new(&self.shared)
    }

    /// How the shard is doing.
    #[must_use]
    pub fn status(&self) -> ShardStatus {
        self.shared.state.with(|state| state.status())
    }

    /// Asks the loop to end: what waits is answered, `run` returns.
    pub fn stop(&self) {
        self.shared.state.with(|state| state.stop_asked = true);
        self.shared.signal.raise();
    }

    /// Drives the groups until `stop`, or until storage fails.
    ///
    /// # Errors
    /// [`ShardError::Storage`]: a write failed, all groups have halted and
    /// whoever waited was told (rule 9). [`ShardError::RunsAlready`]: it was
    /// called before.
    ///
    /// # Panics
    /// When the state machine or a port panics (rule 44).
    ///
    /// # Cancel safety
    /// Dropping it ends the shard as `stop` does; a write in flight may or may
    /// not happen.
    pub async fn run(&self) -> Result<(), ShardError> {
        let shared = &self.shared;
        let _running = Running::begin(shared)?;
        let mut write = pin!(None);
        let mut written = None;
        let mut fx = Effects::new();
        loop {
            let armed = shared.state.with(|state| state.next_deadline());
            let mut alarm = pin!(armed.map(|at| shared.clock.sleep_until(at)));
            loop {
                if write.is_none() && written.is_none() {
                    poll_idle(shared).await;
                }
                let rang = wait(shared, write.as_mut(), &mut written, alarm.as_mut()).await;
                if !rang && written.is_none() {
                    gather(shared).await;
                }
                let now = shared.now();
                shared.ask_space(now, written.is_some());
                shared.state.with(|state| {
                    state.turn(now, written.take());
                    state.swap_due(&mut fx);
                });
                shared.send(&mut fx);
                if let Some(batch) = fx.write.take() {
                    write.set(Some(shared.storage.write(batch)));
                    written = poll_fn(|cx| Poll::Ready(poll_write(write.as_mut(), cx))).await;
                }
                shared.act(now, &mut fx);
                if let Some(end) = shared.state.with(|state| state.ended()) {
                    return end;
                }
                let next = shared.state.with(|state| state.next_deadline());
                if rang || next.is_some_and(|next| armed.is_none_or(|armed| next < armed)) {
                    break;
                }
            }
        }
    }
}

impl<P: Ports> std::fmt::Debug for Shard<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("seat", &self.shared.seat).finish_non_exhaustive()
    }
}

/// Waits until a turn has something to do. Returns whether the alarm rang,
/// which must not be polled again then.
///
/// Where a turn left something over it comes back after letting the thread's
/// other tasks run once.
async fn wait<P: Ports>(
    shared: &Shared<P>,
    mut write: Pin<&mut Option<impl Future<Output = Written>>>,
    written: &mut Option<Written>,
    mut alarm: Pin<&mut Option<impl Future<Output = ()>>>,
) -> bool {
    let has_work = written.is_some() || shared.state.with(|state| state.has_work());
    let mut has_yielded = false;
    if has_work && shared.state.with(|state| state.is_backlogged) {
        // Turns full of applies one after the other: as after a snapshot.
        shared.clock.pause().await;
        has_yielded = true;
    }
    poll_fn(|cx| {
        let is_called = shared.signal.take(cx);
        if written.is_none() {
            *written = poll_write(write.as_mut(), cx);
        }
        let rang = alarm.as_mut().as_pin_mut().is_some_and(|alarm| alarm.poll(cx).is_ready());
        if has_work && !has_yielded && !rang {
            has_yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let is_due = is_called || rang || has_work || written.is_some();
        if is_due { Poll::Ready(rang) } else { Poll::Pending }
    })
    .await
}

/// Looks for more to do a while, where sleeping would take longer (D61). Not
/// while a write is under way: that takes long enough for a core to wake.
async fn poll_idle<P: Ports>(shared: &Shared<P>) {
    if !shared.state.with(|state| state.idle.is_on() && !state.has_work()) {
        return;
    }
    let begun = shared.now().time;
    if !shared.state.with(|state| state.idle.on_wait(begun)) {
        return;
    }
    let mut now = begun;
    for _ in 0..IDLE_LOOKS_MAX {
        shared.clock.pause().await;
        if shared.signal.is_raised() {
            shared.state.with(|state| state.counters.idle_polls_found += 1);
            return;
        }
        let lent = shared.now().time;
        shared.clock.lend_core();
        now = shared.now().time;
        if !shared.state.with(|state| state.idle.looks_on(begun, lent, now)) {
            break;
        }
    }
    shared.state.with(|state| {
        state.idle.on_vain(now.since(begun));
        state.counters.idle_polls_in_vain += 1;
    });
}

/// Lets those who were just answered ask again before a write starts without
/// them (D50).
async fn gather<P: Ports>(shared: &Shared<P>) {
    let (mut before, mut in_vain) = (None, 0);
    for _ in 0..GATHER_LOOKS_MAX {
        let came = shared.state.with(|state| state.gathers());
        in_vain = if came == before { in_vain + 1 } else { 0 };
        if came.is_none() || in_vain > GATHER_LOOKS_IN_VAIN_MAX {
            return;
        }
        before = came;
        shared.clock.pause().await;
    }
}

/// Polls the write in flight, if there is one.
fn poll_write(
    mut write: Pin<&mut Option<impl Future<Output = Written>>>,
    cx: &mut Context<'_>,
) -> Option<Written> {
    match write.as_mut().as_pin_mut()?.poll(cx) {
        Poll::Ready(written) => {
            write.set(None);
            Some(written)
        }
        Poll::Pending => None,
    }
}

/// Marks the shard as running; when dropped, nobody is left waiting.
struct Running<'a, P: Ports>(&'a Rc<Shared<P>>);

impl<'a, P: Ports> Running<'a, P> {
    fn begin(shared: &'a Rc<Shared<P>>) -> Result<Self, ShardError> {
        shared.state.with(|state| {
            if state.phase != Phase::New {
                return Err(ShardError::RunsAlready);
            }
            state.phase = Phase::Running;
            Ok(Self(shared))
        })
    }
}

impl<P: Ports> Drop for Running<'_, P> {
    fn drop(&mut self) {
        let mut fx = Effects::new();
        self.0.state.with(|state| {
            state.stop();
            state.swap_due(&mut fx);
        });
        fx.silence();
        act::answer(&mut fx);
    }
}
