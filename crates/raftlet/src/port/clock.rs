//! Time as the shard sees it (D2).

use std::future::{Future, poll_fn};
use std::task::Poll;

use raftlet_core::{Now, Time};

/// The two clocks of a node.
///
/// 1. `now().time` never goes backwards within a run.
/// 2. `now().wall` may jump either way; nothing but stamps depends on it (D12).
/// 3. `sleep_until` ends at or after the deadline, never before. One that has
///    passed already ends at once.
/// 4. Dropping the future of `sleep_until` cancels it.
/// 5. `pause` waits for no time: it ends when everything else that wants the
///    thread has had it once.
/// 6. `lend_core` waits for nothing: it comes back as soon as the machine's other
///    threads let it.
pub trait Clock: 'static {
    /// Reads both clocks.
    fn now(&self) -> Now;

    /// Waits for a moment on the monotonic clock.
    fn sleep_until(&self, deadline: Time) -> impl Future<Output = ()>;

    /// Lets everything else of the thread run, between two pieces of work that
    /// would be long as one. By default a task that is ready at once again; a
    /// runtime that runs ready tasks many times before it looks at its sockets
    /// has something better.
    fn pause(&self) -> impl Future<Output = ()> {
        async {
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
    }

    /// Lets other threads of the machine have this one's core, if they want it:
    /// between two looks of a shard that does not sleep
    /// ([`ShardOptions::idle_poll`](crate::ShardOptions::idle_poll)), and where a state
    /// machine that is restored pauses. By default it does not.
    fn lend_core(&self) {}
}
