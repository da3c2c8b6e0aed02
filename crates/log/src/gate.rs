//! Waiting among the tasks of one thread: one at a time ([`Gate`]), and until
//! something happened ([`Bell`]).
//!
//! Both are for one thread and need no runtime: they keep wakers and nothing
//! else. No waker is called while a cell is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Lets one task in at a time, in the order of asking.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    queue: RefCell<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    is_held: bool,
    next_ticket: u64,
    waiting: VecDeque<(u64, Waker)>,
}

impl Gate {
    /// Waits for its turn. Dropping the future gives the place up.
    pub(crate) fn enter(&self) -> Enter<'_> {
        Enter { gate: self, ticket: None }
    }

    fn wake_first(&self) {
        let first = {
            let queue = self.queue.borrow();
            if queue.is_held { None } else { queue.waiting.front().map(|(_, waker)| waker.clone()) }
        };
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

/// A task's place before the gate.
#[derive(Debug)]
pub(crate) struct Enter<'a> {
    gate: &'a Gate,
    ticket: Option<u64>,
}

impl<'a> Future for Enter<'a> {
    type Output = Inside<'a>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Inside<'a>> {
        let gate = self.gate;
        let mut queue = gate.queue.borrow_mut();
        let first = queue.waiting.front().map(|(ticket, _)| *ticket);
        let is_first = match self.ticket {
            Some(ticket) => first == Some(ticket),
            None => first.is_none(),
        };
        if !queue.is_held && is_first {
            if self.ticket.take().is_some() {
                queue.waiting.pop_front();
            }
            queue.is_held = true;
            return Poll::Ready(Inside { gate });
        }
        let waker = context.waker().clone();
        match self.ticket {
            Some(ticket) => {
                let place = queue.waiting.iter_mut().find(|(other, _)| *other == ticket);
                if let Some((_, old)) = place {
                    *old = waker;
                }
            }
            None => {
                let ticket = queue.next_ticket;
                queue.next_ticket += 1;
                queue.waiting.push_back((ticket, waker));
                self.ticket = Some(ticket);
            }
        }
        Poll::Pending
    }
}

impl Drop for Enter<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut queue = self.gate.queue.borrow_mut();
            queue.waiting.retain(|(other, _)| *other != ticket);
            drop(queue);
            self.gate.wake_first();
        }
    }
}

/// Being the one inside; dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Inside<'a> {
    gate: &'a Gate,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.gate.queue.borrow_mut().is_held = false;
        self.gate.wake_first();
    }
}

/// Wakes the one task that waits for it. Rings while nobody waits are one
/// ring, heard by the next wait.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Cell<bool>,
    closed: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Bell {
    /// Something happened.
    pub(crate) fn ring(&self) {
        self.rung.set(true);
        let waiting = self.waiting.borrow_mut().take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// Nothing will happen any more.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.ring();
    }

    /// Waits for a ring; `false` when the bell is closed.
    pub(crate) async fn heard(&self) -> bool {
        poll_fn(|context| {
            if self.closed.get() {
                return Poll::Ready(false);
            }
            if self.rung.replace(false) {
                return Poll::Ready(true);
            }
            *self.waiting.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::{Bell, Gate};

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_gate_lets_in_one_at_a_time_in_the_order_of_asking() {
        let gate = Gate::default();
        let Poll::Ready(first) = poll(pin!(gate.enter())) else {
            panic!("an open gate");
        };
        let mut second = pin!(gate.enter());
        let mut third = pin!(gate.enter());
        assert!(poll(second.as_mut()).is_pending());
        assert!(poll(third.as_mut()).is_pending());
        drop(first);
        assert!(poll(third.as_mut()).is_pending(), "the third jumped the queue");
        assert!(poll(second.as_mut()).is_ready());
        assert!(poll(third.as_mut()).is_ready());
    }

    #[test]
    fn whoever_stops_waiting_before_a_gate_blocks_nobody() {
        let gate = Gate::default();
        let inside = poll(pin!(gate.enter()));
        {
            let mut gone = pin!(gate.enter());
            assert!(poll(gone.as_mut()).is_pending());
        }
        let mut next = pin!(gate.enter());
        assert!(poll(next.as_mut()).is_pending());
        drop(inside);
        assert!(poll(next.as_mut()).is_ready());
    }

    #[test]
    fn a_bell_rung_early_is_heard_once_and_a_closed_one_says_so() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        assert_eq!(poll(pin!(bell.heard())), Poll::Ready(true));
        assert_eq!(poll(pin!(bell.heard())), Poll::Pending);
        bell.close();
        assert_eq!(poll(pin!(bell.heard())), Poll::Ready(false));
    }
}
