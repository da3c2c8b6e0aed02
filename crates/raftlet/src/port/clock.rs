//! Time as the shard sees it (D2).

use std::future::Future;

use raftlet_core::{Now, Time};

/// The two clocks of a node.
///
/// 1. `now().time` never goes backwards within a run.
/// 2. `now().wall` may jump either way; nothing but stamps depends on it (D12).
/// 3. `sleep_until` ends at or after the deadline, never before. One that has
///    passed already ends at once.
/// 4. Dropping the future of `sleep_until` cancels it.
pub trait Clock: 'static {
    /// Reads both clocks.
    fn now(&self) -> Now;

    /// Waits for a moment on the monotonic clock.
    fn sleep_until(&self, deadline: Time) -> impl Future<Output = ()>;
}
