//! Tasks on the shard's own thread.

use std::future::Future;

/// Starts tasks.
///
/// 1. A task runs on the shard's thread, beside the shard loop, until it ends
///    or the runtime stops.
/// 2. `spawn` itself never polls the task.
pub trait Spawn: 'static {
    /// Starts a task and forgets it.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);
}
