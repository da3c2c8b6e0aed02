//! One answer from the shard loop to one waiting caller.
//!
//! The loop keeps the [`Answer`], the caller awaits the [`Waiting`]. Both
//! live on one thread, so the two share an `Rc` and no atomics.
//!
//! Invariants
//! - At most one value is ever given: `give` takes the answer by value.
//! - Dropping `Waiting` only stops waiting (rule 43): a value given later is
//!   dropped where it is given.
//! - An `Answer` dropped without a value ends the wait with `None`, so that a
//!   loop torn down in mid-turn leaves nobody hanging.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::cell::ShardCell;

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
    state: SlotState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    Open,
    /// The answering side is done, with or without a value.
    Closed,
    /// Nobody waits any more.
    Abandoned,
}

/// The side that answers.
#[derive(Debug)]
pub(crate) struct Answer<T>(Rc<ShardCell<Slot<T>>>);

/// The side that waits; resolves to `None` when no answer will come.
#[derive(Debug)]
pub(crate) struct Waiting<T>(Rc<ShardCell<Slot<T>>>);

/// Both sides of one answer.
pub(crate) fn answer<T>() -> (Answer<T>, Waiting<T>) {
    let slot = Rc::new(ShardCell::new(Slot { value: None, waker: None, state: SlotState::Open }));
    (Answer(Rc::clone(&slot)), Waiting(slot))
}

impl<T> Answer<T> {
    /// Gives the answer and wakes who waits for it.
    pub(crate) fn give(self, value: T) {
        let unwanted = self.0.with(|slot| {
            if slot.state == SlotState::Abandoned {
                return Some(value);
            }
            slot.value = Some(value);
            None
        });
        drop(unwanted);
        // Dropping `self` closes the slot and wakes.
    }

    /// Whether nobody waits any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.with(|slot| slot.state == SlotState::Abandoned)
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let waker = self.0.with(|slot| {
            if slot.state == SlotState::Open {
                slot.state = SlotState::Closed;
            }
            slot.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Waiting<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let polled = self.0.with(|slot| match slot.value.take() {
            Some(value) => Poll::Ready(Some(value)),
            None if slot.state == SlotState::Closed => Poll::Ready(None),
            None => Poll::Pending,
        });
        let is_known = |slot: &mut Slot<T>| {
            slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
        };
        if polled.is_pending() && !self.0.with(is_known) {
            // Made and dropped outside of the cell: a waker is a caller's value.
            let waker = cx.waker().clone();
            let former = self.0.with(|slot| slot.waker.replace(waker));
            drop(former);
        }
        polled
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        let left = self.0.with(|slot| {
            slot.state = SlotState::Abandoned;
            (slot.value.take(), slot.waker.take())
        });
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    use super::{Waiting, answer};

    fn poll<T>(waiting: &mut Waiting<T>) -> Poll<Option<T>> {
        pin!(waiting).as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn an_answer_arrives_once_and_a_dropped_one_ends_the_wait() {
        let (give, mut wait) = answer();
        assert_eq!(poll(&mut wait), Poll::Pending);
        give.give(7);
        assert_eq!(poll(&mut wait), Poll::Ready(Some(7)));
        let (dropped, mut wait) = answer::<u8>();
        drop(dropped);
        assert_eq!(poll(&mut wait), Poll::Ready(None));
    }

    #[test]
    fn an_answer_nobody_waits_for_is_dropped_where_it_is_given() {
        let (give, wait) = answer();
        drop(wait);
        assert!(give.is_abandoned());
        let value = Rc::new(());
        give.give(Rc::clone(&value));
        assert_eq!(Rc::strong_count(&value), 1);
    }
}
