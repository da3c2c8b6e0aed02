//! Notices when the parent process is gone.
//!
//! A parent that must leave no orphans holds the other end of standard input
//! and never writes: its end is the parent's.

use std::io::Read;

use tokio::sync::oneshot;

/// Resolves when standard input ends. The thread behind it blocks until then,
/// and ends with the process.
pub(crate) fn gone() -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        let mut input = std::io::stdin().lock();
        // An error is an end as good as any.
        while input.read(&mut ignored).is_ok_and(|len| len > 0) {}
        // Nobody listens when the node stops for another reason.
        let _ = tell.send(());
    });
    told
}
