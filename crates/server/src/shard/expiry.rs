//! Keys lapse when the log's time comes to their deadline; somebody must bring
//! it there (rule 31).
//!
//! Whatever is written brings its time along. Where nothing is written, the
//! leader proposes an entry with nothing but the time when the earliest
//! deadline has passed by its clock: at most one every [`TICK_EVERY`], which
//! takes many keys with it, and none while no key has a deadline.
//!
//! A read that meets a key whose deadline has passed by the clock, but not yet
//! in the log, must not show it as it is: it becomes an entry itself, is
//! stamped by the leader, and its answer is what holds there. On a member that
//! doesn't lead the clock is a guess, from the last entry's time and the
//! monotonic clock since. Guessed too late, a key shows for as long as the
//! leader's own entry takes; too early, a read costs an entry.
//!
//! The same task gives a new group the seed of its hashes, so that a walk over
//! all keys may go on at another member.
//!
//! Not here: what a machine says of time (`timing.rs`), what lapses when, and the removal (the `kv` crate), stamps (the
//! core).

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::debug;

use crate::shard::ports::Group;
use crate::shard::timing::Timing;
use raftlet_kv::Command;

/// 20 a second (rule 31).
const TICK_EVERY: Duration = Duration::from_millis(50);

/// How often a deadline is compared with the clock although it should lie
/// further ahead: the calendar may have been confirmed to be later, and who
/// leads may have changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a member that doesn't lead looks whether it does, when a deadline
/// has passed by its guess.
const OVERDUE_LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the leader's clock shows, if that matters to a read: exactly at the
/// leader, elsewhere by a guess. `None`: no key has a deadline.
pub(crate) fn leader_clock_ms(group: &Group, timing: &Timing) -> Option<u64> {
    let last = timing.last();
    last.next_deadline_ms?;
    Some(group.log_time_ms().unwrap_or_else(|| timing.guess_ms(last)))
}

/// Brings the log's time to each deadline of a group while this member leads
/// it, and the seed of its hashes. Never ends.
pub(crate) async fn keep_time(group: Group, timing: Rc<Timing>, draw: impl Fn() -> Option<u64>) {
    loop {
        let last = timing.last();
        let clock_ms = group.log_time_ms();
        if !last.is_seeded && clock_ms.is_some() {
            if let Some(seed) = draw() {
                propose(&group, Command::Seed(seed)).await;
            }
            pause(TICK_EVERY).await;
            continue;
        }
        let Some(deadline_ms) = last.next_deadline_ms else {
            if last.is_seeded {
                timing.changed().await;
            } else {
                // Somebody else may lead, and give it one, or stop leading.
                changed_within(&timing, LOOK_EVERY).await;
            }
            continue;
        };
        match clock_ms {
            Some(clock_ms) if clock_ms >= deadline_ms => {
                let spaced = pause(TICK_EVERY);
                propose(&group, Command::Tick).await;
                spaced.await;
            }
            Some(clock_ms) => changed_within(&timing, until(clock_ms, deadline_ms)).await,
            None => {
                let left = until(timing.guess_ms(last), deadline_ms);
                changed_within(&timing, left.max(OVERDUE_LOOK_EVERY)).await;
            }
        }
    }
}

/// How long to rest before a deadline is looked at again.
fn until(clock_ms: u64, deadline_ms: u64) -> Duration {
    Duration::from_millis(deadline_ms.saturating_sub(clock_ms)).min(LOOK_EVERY)
}

/// Rests until something has changed, but no longer than this.
async fn changed_within(timing: &Timing, longest: Duration) {
    // Either way the next look tells.
    let _ = timeout(longest, timing.changed()).await;
}

/// Begins now, whenever it is awaited.
fn pause(length: Duration) -> impl Future<Output = ()> {
    tokio::time::sleep(length)
}

async fn propose(group: &Group, command: Command<bytes::Bytes>) {
    if let Err(error) = group.propose(command).await {
        // Whoever leads then will do it.
        debug!(%error, "an entry of time did not come about");
    }
}
