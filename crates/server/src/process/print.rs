//! The one place that writes to the terminal, beside the log (`logging.rs`).
//!
//! Results go to standard output, everything else (failures, progress) to
//! standard error, so that a script may read one and a person the other.
//! A closed pipe is not an error: whoever closed it has seen enough.

use std::io::{self, IsTerminal, Write};

use crate::process::failure::Failure;

/// A result, ended with a line break.
pub(crate) fn result(text: &str) {
    let mut out = io::stdout().lock();
    // A reader that went away has read what it wanted.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Why the program ends.
pub(crate) fn failure(failure: &Failure) {
    note(&format!("raftlet: {failure}"));
}

/// Something for the person at the terminal.
pub(crate) fn note(text: &str) {
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "{text}").and_then(|()| err.flush());
}

/// Replaces the current line of a terminal; nothing elsewhere.
pub(crate) fn replace_line(text: &str) {
    let mut err = io::stderr().lock();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush());
    }
}
