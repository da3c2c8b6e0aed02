//! Futures of one connection that are under way, polled in place.
//!
//! A connection's requests are futures of one type. Each has a slot; a slot's
//! memory is used again for the next request, so a connection in steady state
//! starts requests without allocating or spawning for them.
//!
//! Invariants
//! - A launched future is polled at once, so requests reach their groups in the
//!   order they were launched.
//! - A finished future is dropped before its outcome is handed on.
//!
//! Not here: a bound on how many are launched; the connection's pipeline limit
//! is that bound (`Limits::pipeline_len_max`).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Requests under way.
#[derive(Debug)]
pub(crate) struct Flights<F> {
    slots: Vec<Pin<Box<Option<F>>>>,
    /// Slots in use, in the order of launches, and the others.
    used: Vec<usize>,
    free: Vec<usize>,
}

impl<F: Future> Flights<F> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), used: Vec::new(), free: Vec::new() }
    }

    /// Starts a future: polls it once. The outcome, if it ended with that.
    pub(crate) fn launch(&mut self, cx: &mut Context<'_>, future: F) -> Option<F::Output> {
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Box::pin(None));
            self.slots.len() - 1
        });
        let slot = self.slots.get_mut(at)?;
        slot.as_mut().set(Some(future));
        let ended = poll_slot(slot, cx);
        if ended.is_some() { &mut self.free } else { &mut self.used }.push(at);
        ended
    }

    /// Polls all of them and hands on the outcomes of those that ended.
    /// Ready when at least one did.
    pub(crate) fn poll_ended(
        &mut self,
        cx: &mut Context<'_>,
        mut hand_on: impl FnMut(F::Output),
    ) -> Poll<()> {
        let Self { slots, used, free } = self;
        let used_before = used.len();
        used.retain(|at| {
            let outcome = slots.get_mut(*at).and_then(|slot| poll_slot(slot, cx));
            let is_under_way = outcome.is_none();
            if let Some(outcome) = outcome {
                free.push(*at);
                hand_on(outcome);
            }
            is_under_way
        });
        if used.len() < used_before { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn poll_slot<F: Future>(slot: &mut Pin<Box<Option<F>>>, cx: &mut Context<'_>) -> Option<F::Output> {
    match slot.as_mut().as_pin_mut()?.poll(cx) {
        Poll::Ready(outcome) => {
            slot.as_mut().set(None);
            Some(outcome)
        }
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::task::{Context, Poll, Waker};

    use super::Flights;

    #[test]
    fn futures_start_in_order_end_in_any_order_and_their_slots_are_used_again() {
        let mut cx = Context::from_waker(Waker::noop());
        let started = RefCell::new(Vec::new());
        let open = Cell::new(0_u32);
        let request = |number: u32| {
            let (started, open) = (&started, &open);
            async move {
                started.borrow_mut().push(number);
                std::future::poll_fn(|_| {
                    if open.get() & (1 << number) == 0 { Poll::Pending } else { Poll::Ready(()) }
                })
                .await;
                number
            }
        };
        let mut flights = Flights::new();
        for number in 0..3 {
            assert_eq!(flights.launch(&mut cx, request(number)), None);
        }
        open.set(0b100);
        let mut ended = Vec::new();
        assert!(flights.poll_ended(&mut cx, |number| ended.push(number)).is_ready());
        assert_eq!(ended, [2]);
        assert_eq!(flights.launch(&mut cx, request(3)), None);
        assert_eq!(flights.slots.len(), 3);
        open.set(0b1111);
        assert!(flights.poll_ended(&mut cx, |number| ended.push(number)).is_ready());
        assert_eq!(ended, [2, 0, 1, 3]);
        assert!(flights.used.is_empty());
        assert_eq!(flights.launch(&mut cx, request(0)), Some(0));
        assert_eq!(*started.borrow(), [0, 1, 2, 3, 0]);
        assert!(flights.poll_ended(&mut cx, |_| ()).is_pending());
    }
}
