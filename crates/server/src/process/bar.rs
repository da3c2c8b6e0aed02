//! A progress bar: one line on a terminal, nothing elsewhere.
//!
//! It draws on a thread of its own, so that whoever works may block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::process::print;

const EVERY: Duration = Duration::from_millis(100);
const LEN: u64 = 30;

/// Drawn until it is ended or dropped.
pub(crate) struct Bar {
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Bar {
    /// Draws `done` of `total` bytes, as they are at each moment.
    pub(crate) fn start(done: Arc<AtomicU64>, total: Arc<AtomicU64>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let draw = move || {
            while !over.load(Ordering::Relaxed) {
                let line = bar(done.load(Ordering::Relaxed), total.load(Ordering::Relaxed));
                print::replace_line(&line);
                thread::park_timeout(EVERY);
            }
            print::replace_line("");
        };
        // Without a thread there is no bar, and nothing else is lost.
        let thread = thread::Builder::new().name("raftlet-bar".to_owned()).spawn(draw).ok();
        Self { is_over, thread }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn bar(done: u64, total: u64) -> String {
    let total = total.max(1);
    let filled = done.min(total).saturating_mul(LEN) / total;
    let bar: String = (0..LEN).map(|at| if at < filled { '█' } else { '░' }).collect();
    let percent = done.min(total).saturating_mul(100) / total;
    format!("  {bar} {percent:>3} %  {} of {} MiB", done >> 20, total >> 20)
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn the_bar_is_full_when_all_is_done_and_never_longer() {
        for (done, percent) in [(0, "  0 %"), (50, " 50 %"), (100, "100 %"), (170, "100 %")] {
            let line = bar(done, 100);
            assert!(line.contains(percent), "{line}");
            assert_eq!(line.chars().filter(|c| "█░".contains(*c)).count(), 30);
        }
    }
}
