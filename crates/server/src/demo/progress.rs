//! The demo's progress bar: one line on a terminal, nothing elsewhere.

use std::time::Duration;

use crate::demo::workload::Workload;
use crate::process::clock::TokioClock;
use crate::process::print;

const EVERY: Duration = Duration::from_millis(100);
const BAR_LEN: u64 = 30;

/// Draws until dropped.
pub(super) async fn draw(clock: TokioClock, workload: &Workload) {
    let mut seen = (clock.elapsed_ns(), workload.completed());
    loop {
        tokio::time::sleep(EVERY).await;
        let now = (clock.elapsed_ns(), workload.completed());
        let elapsed_ms = (now.0.saturating_sub(seen.0) / 1_000_000).max(1);
        let rate = now.1.saturating_sub(seen.1) * 1000 / elapsed_ms;
        seen = now;
        print::replace_line(&line(now.1, workload.goal(), rate));
    }
}

/// Removes the bar.
pub(super) fn clear() {
    print::replace_line("");
}

fn line(completed: u64, goal: u64, rate: u64) -> String {
    let goal = goal.max(1);
    let filled = completed.min(goal) * BAR_LEN / goal;
    let bar: String = (0..BAR_LEN).map(|at| if at < filled { '█' } else { '░' }).collect();
    let percent = completed.min(goal) * 100 / goal;
    format!("  {bar} {percent:>3} %  {completed} of {goal} operations, {rate} a second")
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn the_bar_is_full_at_the_goal_and_never_longer() {
        assert!(line(0, 10, 0).contains("  0 %"));
        assert_eq!(line(10, 10, 5).matches('█').count(), line(99, 10, 5).matches('█').count());
    }
}
