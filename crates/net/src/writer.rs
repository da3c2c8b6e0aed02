//! From the outbox into the socket, without a task between.
//!
//! Whoever sends also writes, as much as the socket takes at once, which is all
//! of it as a rule: a turn's messages have left when the turn ends. What does
//! not fit stays where it is, and a task waits for room (`dial.rs`).
//!
//! Invariants
//! - A segment that was begun is finished before another one begins, whoever
//!   writes: frames are never mixed.
//! - After a failure nothing is written any more, and the task is told it.
//! - What was begun is gone with its connection.
//!
//! Not here: what is next (`outbox.rs`).

use std::io::{self, ErrorKind};
use std::rc::Rc;

use tokio::net::tcp::OwnedWriteHalf;

use crate::outbox::{Outbox, Segment};

/// How far a socket took what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing waits, or there is no connection.
    Done,
    /// Something waits for room.
    Stuck,
}

/// The sending end of one connection.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    socket: Option<Rc<OwnedWriteHalf>>,
    /// A segment that the socket has taken so many bytes of.
    begun: Option<(Segment, usize)>,
    failure: Option<io::Error>,
}

impl Writer {
    /// A new connection; nothing of an earlier one is left.
    pub(crate) fn open(&mut self, socket: Rc<OwnedWriteHalf>) {
        *self = Self { socket: Some(socket), begun: None, failure: None };
    }

    /// The socket broke in a send: to be told to the task.
    pub(crate) fn fail(&mut self, error: io::Error) {
        self.failure = Some(error);
    }

    /// Writes what waits in the outbox, as far as the socket takes it.
    ///
    /// # Errors
    /// The connection broke, now or before.
    pub(crate) fn write(&mut self, outbox: &mut Outbox) -> io::Result<Progress> {
        if let Some(error) = self.failure.take() {
            self.socket = None;
            return Err(error);
        }
        let Some(socket) = &self.socket else {
            return Ok(Progress::Done);
        };
        write_segments(&mut self.begun, outbox, |bytes| socket.try_write(bytes))
    }
}

fn write_segments(
    begun: &mut Option<(Segment, usize)>,
    outbox: &mut Outbox,
    mut write: impl FnMut(&[u8]) -> io::Result<usize>,
) -> io::Result<Progress> {
    loop {
        let next = begun.take().or_else(|| outbox.take().map(|segment| (segment, 0)));
        let Some((segment, done)) = next else {
            return Ok(Progress::Done);
        };
        let rest = segment.bytes.get(done..).unwrap_or_default();
        if rest.is_empty() {
            outbox.give_back(segment);
            continue;
        }
        match write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => *begun = Some((segment, done + written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                *begun = Some((segment, done));
                return Ok(Progress::Stuck);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => *begun = Some((segment, done)),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::{Progress, write_segments};
    use crate::frame::{FrameKind, FrameSeal};
    use crate::outbox::Outbox;
    use crate::stats::PeerStats;

    fn push(outbox: &mut Outbox, byte: u8) {
        outbox.push_control(FrameKind::Heartbeat, &mut PeerStats::default(), |into| {
            into.extend_from_slice(&[byte; 100]);
        });
    }

    fn outbox() -> Outbox {
        let mut outbox = Outbox::new(1 << 20);
        outbox.open(FrameSeal::HANDSHAKE, true);
        outbox
    }

    #[test]
    fn a_frame_that_the_socket_took_in_pieces_is_whole_and_not_overtaken() {
        let (mut outbox, mut straight, mut begun) = (outbox(), outbox(), None);
        let mut taken = Vec::new();
        push(&mut outbox, 1);
        push(&mut straight, 1);
        let mut room = 40;
        let mut write = |bytes: &[u8]| {
            let len = bytes.len().min(room);
            room = 0;
            taken.extend_from_slice(bytes.get(..len).unwrap_or_default());
            if len == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(len) }
        };
        assert_eq!(write_segments(&mut begun, &mut outbox, &mut write).unwrap(), Progress::Stuck);
        assert_eq!(taken.len(), 40);
        // In front of everything else, but not of what was begun.
        push(&mut outbox, 2);
        push(&mut straight, 2);
        let mut write = |bytes: &[u8]| {
            let len = bytes.len().min(7);
            taken.extend_from_slice(bytes.get(..len).unwrap_or_default());
            Ok(len)
        };
        assert_eq!(write_segments(&mut begun, &mut outbox, &mut write).unwrap(), Progress::Done);
        let whole = straight.take().unwrap();
        assert_eq!(taken, whole.bytes);
        assert!(begun.is_none() && outbox.take().is_none());
    }

    #[test]
    fn a_socket_that_broke_is_told_and_takes_nothing_more() {
        let (mut outbox, mut begun) = (outbox(), None);
        push(&mut outbox, 1);
        let broken = |_: &[u8]| Err::<usize, _>(io::Error::from(ErrorKind::BrokenPipe));
        let error = write_segments(&mut begun, &mut outbox, broken).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert!(begun.is_none());
    }
}
