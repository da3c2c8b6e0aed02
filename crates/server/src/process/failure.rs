//! Why the program ends, for the shell and for a person.
//!
//! The only catch-all error of the house: every typed error of the libraries
//! becomes one of these at the edge of the process, with the exit code that
//! scripts branch on. The text is one line and says what, where, why and what
//! to do next; it never is a bare error number.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// What kind of ending, as exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something failed while running.
    Runtime = 1,
    /// Flags, environment or initial members that cannot stand. What does not
    /// even parse is a usage error, code 2, and clap's business.
    Config = 3,
    /// The data directory is locked, foreign, damaged or of another node.
    Data = 4,
    /// An address is taken or not ours.
    Bind = 5,
    /// Nobody answered in time.
    Unreachable = 6,
    /// It answered and is not well.
    Unhealthy = 7,
    /// Told to stop, and not all of it ended in time.
    Unfinished = 8,
}

impl Exit {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Runtime => 1,
            Self::Config => 3,
            Self::Data => 4,
            Self::Bind => 5,
            Self::Unreachable => 6,
            Self::Unhealthy => 7,
            Self::Unfinished => 8,
        })
    }
}

/// An ending with its one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    pub(crate) fn runtime(message: impl Into<String>) -> Self {
        Self::new(Exit::Runtime, message)
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(Exit::Config, message)
    }

    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, message)
    }

    /// `context: error: its cause: …` on one line.
    pub(crate) fn caused(exit: Exit, context: &str, error: &dyn Error) -> Self {
        Self::new(exit, format!("{context}: {}", chain(error)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.message.lines().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(line.trim())?;
        }
        Ok(())
    }
}

/// An error and all its causes, outermost first.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn a_failure_is_printed_on_one_line_whatever_it_was_made_of() {
        let failure = Failure::runtime("what\n  where\nremedy");
        assert_eq!(failure.to_string(), "what where remedy");
    }
}
