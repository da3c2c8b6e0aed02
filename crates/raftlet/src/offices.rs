//! Who leads, as a stream that loses nothing unheard.
//!
//! Each change of role, term or leader is queued for every watcher of the
//! group. Waiting for "the next leader" by looking at a status misses what came
//! and went in between; a queue does not.
//!
//! Invariants
//! - Changes come in order; two neighbours are never equal.
//! - A watcher that does not keep up with [`OFFICES_MAX`] changes is told how
//!   many it lost, at the place where they were (rule 42).
//! - Nobody is woken inside of the shard's state: wakers are handed out.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use crate::cell::ShardCell;
use crate::timers::Slot;
use raftlet_core::{NodeId, Role, Term};

/// Changes kept for one watcher: a campaign takes four, so this is a day of
/// failed elections at one in five minutes.
pub const OFFICES_MAX: usize = 1024;

/// What a member is, in which term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Office {
    /// What it is.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// Whom it follows, itself if it leads.
    pub leader: Option<NodeId>,
}

/// A watcher did not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{lost} changes of office were not taken in time; the next one is the latest")]
pub struct Lagged {
    /// How many changes it did not see.
    pub lost: u64,
}

#[derive(Debug, Default)]
struct Queue {
    changes: VecDeque<Office>,
    /// The last one queued or lost.
    last: Option<Office>,
    lost: u64,
    waker: Option<Waker>,
    is_closed: bool,
}

type Feed = ShardCell<Queue>;

/// The changes of office of one group on this member, from
/// [`Group::offices`](crate::Group::offices).
#[derive(Debug)]
pub struct Offices(Rc<Feed>);

impl Offices {
    /// The next change, or the present office at the first call; `None` when the
    /// shard has stopped.
    ///
    /// # Errors
    /// [`Lagged`] once for each stretch that was lost; what follows it is the
    /// office at the end of that stretch.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Office, Lagged>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Result<Office, Lagged>>> {
        let waker = cx.waker().clone();
        let (polled, former) = self.0.with(|queue| {
            if let Some(office) = queue.changes.pop_front() {
                return (Poll::Ready(Some(Ok(office))), Some(waker));
            }
            if queue.lost > 0 {
                let lost = std::mem::take(&mut queue.lost);
                queue.changes.extend(queue.last);
                return (Poll::Ready(Some(Err(Lagged { lost }))), Some(waker));
            }
            if queue.is_closed {
                return (Poll::Ready(None), Some(waker));
            }
            (Poll::Pending, queue.waker.replace(waker))
        });
        drop(former);
        polled
    }
}

/// The watchers of a shard's groups. Few: they cost a group nothing.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Vec<(Slot, Weak<Feed>)>);

impl Watchers {
    /// One more watcher, which begins with the present office.
    pub(crate) fn watch(&mut self, slot: Slot, present: Office) -> Offices {
        self.0.retain(|(_, feed)| feed.strong_count() > 0);
        let feed = Rc::new(ShardCell::new(Queue::default()));
        push(&feed, present);
        self.0.push((slot, Rc::downgrade(&feed)));
        Offices(feed)
    }

    /// An office changed: queues it, and adds who waits to `wakers`.
    pub(crate) fn tell(&self, slot: Slot, office: Office, wakers: &mut Vec<Waker>) {
        for (of, feed) in &self.0 {
            if *of == slot
                && let Some(feed) = feed.upgrade()
            {
                wakers.extend(push(&feed, office));
            }
        }
    }

    /// The shard stops: nothing changes any more.
    pub(crate) fn close(&mut self, wakers: &mut Vec<Waker>) {
        for feed in self.0.drain(..).filter_map(|(_, feed)| feed.upgrade()) {
            wakers.extend(feed.with(|queue| {
                queue.is_closed = true;
                queue.waker.take()
            }));
        }
    }
}

fn push(feed: &Feed, office: Office) -> Option<Waker> {
    feed.with(|queue| {
        if queue.last == Some(office) {
            return None;
        }
        queue.last = Some(office);
        // Behind a loss everything is lost until the watcher has been told.
        if queue.lost > 0 || queue.changes.len() >= OFFICES_MAX {
            queue.lost += 1;
        } else {
            queue.changes.push_back(office);
        }
        queue.waker.take()
    })
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::{Lagged, OFFICES_MAX, Office, Offices, Watchers};
    use raftlet_core::{Role, Term};

    fn office(term: u64) -> Office {
        Office { role: Role::Follower, term: Term::new(term), leader: None }
    }

    fn next(offices: &Offices) -> Option<Result<u64, Lagged>> {
        match offices.poll_next(&Context::from_waker(Waker::noop())) {
            Poll::Ready(change) => Some(change?.map(|office| office.term.get())),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_watcher_gets_every_change_in_order_and_equal_ones_once() {
        let (mut watchers, mut wakers) = (Watchers::default(), Vec::new());
        let offices = watchers.watch(3, office(1));
        for term in [1, 2, 2, 3, 2] {
            watchers.tell(3, office(term), &mut wakers);
            watchers.tell(4, office(9), &mut wakers);
        }
        let seen: Vec<_> = std::iter::from_fn(|| next(&offices)).collect();
        assert_eq!(seen, [Ok(1), Ok(2), Ok(3), Ok(2)]);
    }

    #[test]
    fn who_does_not_keep_up_is_told_how_much_it_lost_and_sees_the_latest() {
        let (mut watchers, mut wakers) = (Watchers::default(), Vec::new());
        let offices = watchers.watch(3, office(0));
        let many = u64::try_from(OFFICES_MAX).unwrap();
        for term in 1..many + 5 {
            watchers.tell(3, office(term), &mut wakers);
        }
        for term in 0..many {
            assert_eq!(next(&offices), Some(Ok(term)));
        }
        assert_eq!(next(&offices), Some(Err(Lagged { lost: 5 })));
        assert_eq!(next(&offices), Some(Ok(many + 4)));
        assert_eq!(next(&offices), None);
    }

    #[test]
    fn a_dropped_watcher_is_forgotten_and_a_stopped_shard_ends_the_others() {
        let (mut watchers, mut wakers) = (Watchers::default(), Vec::new());
        drop(watchers.watch(3, office(1)));
        let offices = watchers.watch(3, office(1));
        assert_eq!(watchers.0.len(), 1);
        assert_eq!(next(&offices), Some(Ok(1)));
        assert_eq!(next(&offices), None);
        watchers.close(&mut wakers);
        assert_eq!(wakers.len(), 1, "who waits is woken");
        let ended = offices.poll_next(&Context::from_waker(Waker::noop()));
        assert!(matches!(ended, Poll::Ready(None)));
    }
}
