//! What the admin port asks of a node, so that its routes can be tested
//! without one.
//!
//! Invariant: answering asks nobody; it is what this node knows now.

use crate::cli::logging::LogLevel;
use crate::fill::AdminFill;
use crate::logging::Line;
use crate::observe::history::Sample;
use crate::observe::metrics::Metrics;
use crate::status::NodeStatus;

/// A node that answers questions.
pub(crate) trait Inspect: 'static {
    /// How the node is now.
    fn status(&self) -> NodeStatus;
    /// Why the node does not live, if it doesn't.
    fn broken(&self) -> Option<String>;
    /// Whether the node is on its way out.
    fn is_stopping(&self) -> bool;
    /// All that it counts.
    fn metrics(&self) -> Metrics;
    /// What the admin port's users fill; who counts them sets it.
    fn admin_fill(&self) -> &AdminFill;
    /// The last lines of the log that were news, behind number `after`.
    fn news(&self, after: u64) -> Vec<Line>;
    /// Takes a sample of how it does.
    fn sample(&self);
    /// The last samples, oldest first.
    fn samples(&self, len: usize) -> Vec<Sample>;
    /// What is logged from now on.
    fn set_log_level(&self, level: LogLevel);
}

/// A node made of answers.
#[cfg(test)]
pub(crate) mod fake {
    use std::cell::Cell;

    use super::Inspect;
    use crate::cli::logging::LogLevel;
    use crate::fill::AdminFill;
    use crate::logging::Line;
    use crate::observe::history::Sample;
    use crate::observe::metrics::Metrics;
    use crate::status::NodeStatus;

    #[derive(Default)]
    pub(crate) struct Fake {
        pub(crate) broken: Option<String>,
        pub(crate) is_stopping: bool,
        pub(crate) status: NodeStatus,
        pub(crate) log_level: Cell<Option<LogLevel>>,
        pub(crate) admin_fill: AdminFill,
    }

    impl Inspect for Fake {
        fn status(&self) -> NodeStatus {
            self.status.clone()
        }

        fn broken(&self) -> Option<String> {
            self.broken.clone()
        }

        fn is_stopping(&self) -> bool {
            self.is_stopping
        }

        fn metrics(&self) -> Metrics {
            Metrics { status: self.status(), ..Metrics::default() }
        }

        fn admin_fill(&self) -> &AdminFill {
            &self.admin_fill
        }

        fn news(&self, after: u64) -> Vec<Line> {
            let numbers = 1..=3;
            let line = |number| Line { number, ..Line::default() };
            numbers.filter(|number| *number > after).map(line).collect()
        }

        fn sample(&self) {}

        fn samples(&self, len: usize) -> Vec<Sample> {
            vec![Sample::default(); len.min(3)]
        }

        fn set_log_level(&self, level: LogLevel) {
            self.log_level.set(Some(level));
        }
    }
}
