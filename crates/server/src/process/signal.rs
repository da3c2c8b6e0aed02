//! SIGINT and SIGTERM: the first asks for an orderly end, the second for a
//! quick one. SIGPIPE ends nothing.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::process::failure::Failure;

/// Whoever writes to what nobody reads any more is told so, and is not ended, as
/// Rust has it from the start and a failed attempt to start again has not.
///
/// # Errors
/// The process may not handle signals.
pub(crate) fn outlive_closed_pipes() -> Result<(), Failure> {
    // Handled, by a handler that stays, it does not end the process.
    listen(SignalKind::pipe()).map(drop)
}

/// The signals that end a program.
#[derive(Debug)]
pub(crate) struct Shutdown {
    interrupt: Signal,
    terminate: Signal,
}

impl Shutdown {
    /// Takes the signals over from now on.
    ///
    /// # Errors
    /// The process may not handle signals.
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next of them. Dropping the future loses none.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| {
        Failure::runtime(format!("cannot listen to signals: {error}; start it anew"))
    })
}
