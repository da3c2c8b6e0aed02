//! A read that was begun before it is needed.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use crate::disk::DiskError;
use crate::disk::buffer::Buffer;

/// What a read gives back: its buffer, and how many bytes were there.
pub(crate) type ReadResult = (Buffer, Result<usize, DiskError>);

/// A read under way, or what came of it. Dropping it stops waiting and nothing
/// else.
pub(crate) enum Begun {
    Underway(Pin<Box<dyn Future<Output = ReadResult>>>),
    Done(ReadResult),
}

impl Begun {
    /// Begins a read: polls it once.
    pub(crate) async fn begin(read: impl Future<Output = ReadResult> + 'static) -> Self {
        let mut reading = Box::pin(read);
        match poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await {
            Poll::Ready(result) => Self::Done(result),
            Poll::Pending => Self::Underway(reading),
        }
    }

    /// Waits for it.
    pub(crate) async fn ended(self) -> ReadResult {
        match self {
            Self::Done(result) => result,
            Self::Underway(reading) => reading.await,
        }
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a read that was begun")
    }
}
