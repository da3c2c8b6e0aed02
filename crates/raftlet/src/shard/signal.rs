//! Wakes the shard loop, once however many call.

use std::task::{Context, Waker};

use crate::cell::ShardCell;

/// Says that something waits for the loop.
#[derive(Debug)]
pub(crate) struct Signal(ShardCell<(bool, Option<Waker>)>);

impl Signal {
    pub(crate) const fn new() -> Self {
        Self(ShardCell::new((false, None)))
    }

    /// Wakes the loop if nobody has since it last looked.
    pub(crate) fn raise(&self) {
        let waker = self.0.with(|(raised, waker)| {
            let first = !std::mem::replace(raised, true);
            waker.take_if(|_| first)
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it is raised; says nothing to anybody.
    pub(crate) fn is_raised(&self) -> bool {
        self.0.with(|(raised, _)| *raised)
    }

    /// Whether it was raised since the last look; if not, wakes `cx` when it is.
    pub(crate) fn take(&self, cx: &Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let (raised, former) = self.0.with(|(raised, waiting)| {
            if std::mem::take(raised) {
                return (true, Some(waker));
            }
            (false, waiting.replace(waker))
        });
        drop(former);
        raised
    }
}
