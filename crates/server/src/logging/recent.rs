//! The last lines of the log that were news, kept for who looks later.
//!
//! Invariants
//! - At most [`LINES_MAX`] lines of at most [`LINE_BYTES_MAX`] bytes; older ones
//!   go first, longer ones are cut (rule 42).
//! - Each line has a number, one higher than the one before, so that a reader
//!   knows what it has and what it missed.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;

use raftlet::core::WallMs;

/// Lines kept: some hours of a quiet cluster, a minute of a broken one.
const LINES_MAX: usize = 256;
/// Of one line, with its fields.
const LINE_BYTES_MAX: usize = 1 << 10;

/// One line.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// Its number in this run, from 1.
    pub(crate) number: u64,
    /// Milliseconds since 1970, by this node's calendar.
    pub(crate) at_ms: u64,
    /// `error`, `warn` or `info`.
    pub(crate) level: String,
    /// What happened.
    pub(crate) text: String,
    /// To what: `name=value` pairs.
    pub(crate) fields: String,
}

/// The last lines.
pub(crate) struct Recent {
    wall: fn() -> WallMs,
    lines: Mutex<VecDeque<Line>>,
}

impl Recent {
    pub(super) fn new(wall: fn() -> WallMs) -> Self {
        Self { wall, lines: Mutex::new(VecDeque::new()) }
    }

    /// The lines behind number `after` that are still kept, oldest first.
    pub(crate) fn since(&self, after: u64) -> Vec<Line> {
        self.lock().iter().filter(|line| line.number > after).cloned().collect()
    }

    fn push(&self, level: &str, said: Said) {
        let at_ms = (self.wall)().0;
        let mut lines = self.lock();
        let number = lines.back().map_or(1, |last| last.number + 1);
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        let level = level.to_ascii_lowercase();
        lines.push_back(Line { number, at_ms, level, text: said.text.0, fields: said.fields.0 });
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Line>> {
        // A line is pushed whole or not at all.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

/// Feeds lines from the log.
#[derive(Debug)]
pub(super) struct Layer(Arc<Recent>);

impl Layer {
    pub(super) fn new(recent: Arc<Recent>) -> Self {
        Self(recent)
    }
}

impl<S: Subscriber> tracing_subscriber::Layer<S> for Layer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        self.0.push(event.metadata().level().as_str(), said);
    }
}

/// An event, as text.
#[derive(Default)]
struct Said {
    text: Bounded,
    fields: Bounded,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Beyond its bound the rest is left out.
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name if self.fields.0.is_empty() => write!(self.fields, "{name}={value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// Text up to half of [`LINE_BYTES_MAX`].
#[derive(Default)]
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = (LINE_BYTES_MAX / 2).saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let fits = text.char_indices().take_while(|(at, char)| at + char.len_utf8() <= room);
        self.0.extend(fits.map(|(_, char)| char));
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt;

    use super::{LINE_BYTES_MAX, LINES_MAX, Layer, Recent};
    use raftlet::core::WallMs;

    fn recorded(say: impl FnOnce()) -> Arc<Recent> {
        let recent = Arc::new(Recent::new(|| WallMs(5)));
        let subscriber = tracing_subscriber::registry().with(Layer::new(Arc::clone(&recent)));
        tracing::subscriber::with_default(subscriber, say);
        recent
    }

    #[test]
    fn a_line_is_kept_with_its_fields_and_number() {
        let recent = recorded(|| {
            tracing::info!(group = 1, leader = "none", "no leader");
            tracing::warn!("a disk hangs");
        });
        let lines = recent.since(0);
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].number, lines[0].at_ms, lines[0].level.as_str()), (1, 5, "info"));
        assert_eq!(lines[0].text, "no leader");
        assert_eq!(lines[0].fields, "group=1 leader=none");
        assert_eq!(recent.since(1), lines[1..]);
    }

    #[test]
    fn many_and_long_lines_keep_within_their_bounds() {
        let recent = recorded(|| {
            for number in 0..LINES_MAX + 10 {
                tracing::info!(number, text = "ß".repeat(4096), "{}", "ä".repeat(4096));
            }
        });
        let lines = recent.since(0);
        assert_eq!(lines.len(), LINES_MAX);
        assert_eq!(lines[0].number, 11);
        assert!(lines.iter().all(|line| line.text.len() + line.fields.len() <= LINE_BYTES_MAX));
    }
}
