//! Where the node's log goes: to standard error, in the form and from the
//! level that the operator chose; and, as far as it is news, into a short
//! memory that the dashboard shows.
//!
//! The level can be changed while the node runs.
//!
//! Not here: who says what.

mod recent;

use std::io::{self, IsTerminal};
use std::sync::Arc;

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::cli::logging::{LogFormat, LogLevel, LoggingArgs};
pub(crate) use recent::{Line, Recent};

/// A running log.
#[derive(Clone, Debug)]
pub(crate) struct Logging {
    level: reload::Handle<LevelFilter, Registry>,
    recent: Arc<Recent>,
}

impl Logging {
    /// Logs from now on.
    pub(crate) fn start(args: LoggingArgs) -> Self {
        let (level, handle) = reload::Layer::new(filter(args.log_level));
        let recent = Arc::new(Recent::new(crate::process::clock::wall));
        let lines = lines(args.log_format);
        let news = recent::Layer::new(Arc::clone(&recent)).with_filter(LevelFilter::INFO);
        tracing_subscriber::registry().with(lines.with_filter(level)).with(news).init();
        Self { level: handle, recent }
    }

    /// Logs from `level` on, from now on.
    pub(crate) fn set_level(&self, level: LogLevel) {
        // It fails only when the log is gone, and then nobody misses it.
        let _ = self.level.reload(filter(level));
    }

    /// The last lines that were news.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }
}

fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(
    format: LogFormat,
) -> Box<dyn Layer<S> + Send + Sync> {
    // <https://no-color.org>
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|said| !said.is_empty());
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    match format {
        LogFormat::Text => Box::new(layer.with_ansi(io::stderr().is_terminal() && !is_plain)),
        LogFormat::Json => Box::new(layer.json().flatten_event(true)),
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
