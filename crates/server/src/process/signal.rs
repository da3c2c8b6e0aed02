//! SIGINT and SIGTERM: the first asks for an orderly end, the second for a
//! quick one.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::process::failure::Failure;

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
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::runtime(format!("cannot listen to signals: {error}; start it anew"))
            })
        };
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
