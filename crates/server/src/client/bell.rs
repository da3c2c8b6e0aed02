//! What a session waits for besides its client, without asking at each poll.
//!
//! A session is polled for every request, and asked each time whether the node
//! stops or somebody wants this client gone: some thousand instructions and a
//! dozen locked words, for what happens once. A future that was polled wakes when
//! there is something to see. So it hears a waker of its own, which rings a bell
//! besides waking the session, and while the bell is silent it is left alone.
//!
//! Not here: what is waited for (`session.rs`).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A future that is polled only when it was woken.
#[derive(Debug)]
pub(crate) struct Belled<F> {
    future: F,
    /// With the waker that rings it, once there is one to be woken.
    bell: Option<(Arc<Bell>, Waker)>,
}

#[derive(Debug)]
struct Bell {
    has_rung: AtomicBool,
    /// Whom it wakes.
    sleeper: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.sleeper.wake_by_ref();
    }
}

impl<F: Future + Unpin> Belled<F> {
    pub(crate) const fn new(future: F) -> Self {
        Self { future, bell: None }
    }

    /// Polls the future if it was woken since the last time, or would wake
    /// somebody else than who asks now. Not to be called behind its end.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<F::Output> {
        match &self.bell {
            Some((bell, _)) if bell.sleeper.will_wake(cx.waker()) => {
                if !bell.has_rung.load(Ordering::Acquire) {
                    return Poll::Pending;
                }
                // Before the look, and in one step with what was rung: what rings
                // behind it is another look.
                bell.has_rung.swap(false, Ordering::AcqRel);
            }
            _ => {
                let sleeper = cx.waker().clone();
                let bell = Arc::new(Bell { has_rung: AtomicBool::new(false), sleeper });
                let waker = Waker::from(Arc::clone(&bell));
                self.bell = Some((bell, waker));
            }
        }
        self.look()
    }

    fn look(&mut self) -> Poll<F::Output> {
        let Some((_, waker)) = &self.bell else {
            return Poll::Pending;
        };
        Pin::new(&mut self.future).poll(&mut Context::from_waker(waker))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    use super::Belled;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn session() -> (Arc<Counting>, Waker) {
        let counting = Arc::new(Counting::default());
        (Arc::clone(&counting), Waker::from(counting))
    }

    #[test]
    fn it_is_looked_at_once_and_again_when_it_was_woken() {
        let (looks, is_over) = (Cell::new(0), Cell::new(false));
        let registered = Cell::new(None);
        let mut belled = Belled::new(poll_fn(|cx| {
            looks.set(looks.get() + 1);
            registered.set(Some(cx.waker().clone()));
            if is_over.get() { Poll::Ready(7) } else { Poll::Pending }
        }));
        let (woken, waker) = session();
        let cx = Context::from_waker(&waker);
        for _ in 0..3 {
            assert_eq!(belled.poll(&cx), Poll::Pending);
        }
        assert_eq!((looks.get(), woken.0.load(Ordering::Relaxed)), (1, 0));
        registered.take().unwrap().wake();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(belled.poll(&cx), Poll::Pending);
        assert_eq!(belled.poll(&cx), Poll::Pending);
        assert_eq!(looks.get(), 2);
        is_over.set(true);
        registered.take().unwrap().wake();
        assert_eq!((belled.poll(&cx), woken.0.load(Ordering::Relaxed)), (Poll::Ready(7), 2));
    }

    #[test]
    fn who_asks_last_is_woken() {
        let registered = Cell::new(None);
        let mut belled = Belled::new(poll_fn(|cx| {
            registered.set(Some(cx.waker().clone()));
            Poll::<()>::Pending
        }));
        let (first, second) = (session(), session());
        assert!(belled.poll(&Context::from_waker(&first.1)).is_pending());
        assert!(belled.poll(&Context::from_waker(&second.1)).is_pending());
        registered.take().unwrap().wake();
        let woken = [first.0, second.0].map(|woken| woken.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 1]);
    }
}
