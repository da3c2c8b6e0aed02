//! Frames over one TCP connection: the parts that dialler and acceptor share.
//!
//! A connection carries messages one way, from dialler to acceptor. Each node
//! dials every other, so a pair of nodes has two: whichever breaks is noticed by
//! both and made anew by its dialler, and no tie must be broken between them.
//!
//! Invariant: partial input lives in the [`FrameReader`], which lives as long as
//! its connection; no half frame outlives either (rule 43).
//!
//! Not here: who may come in (`handshake.rs`), when to dial (`dial.rs`).

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::control::ControlError;
use crate::frame::{self, Frame, FrameError, FrameKind, FrameReader, FrameSeal};
use crate::handshake::Refusal;

/// Why a connection ended, or was not established.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The other side closed it.
    #[error("the other side closed the connection")]
    Closed,
    /// The operating system ended it or would not open it.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// Bytes that are no frame of it.
    #[error("the stream cannot be read on")]
    Frame(#[from] FrameError),
    /// A frame that is not what its kind says.
    #[error("a frame cannot be read")]
    Control(#[from] ControlError),
    /// A frame of messages whose lengths do not add up.
    #[error("the messages of a frame cannot be told apart")]
    Batch,
    /// A frame of a kind that has no place here.
    #[error("frame kind {kind} has no place in this direction or at this point")]
    OutOfPlace {
        /// Its kind.
        kind: u8,
    },
    /// No answer within `handshake_timeout`.
    #[error("no answer within the deadline of the handshake")]
    Deadline,
    /// Nothing was proved over it for `idle_after`.
    #[error("nothing was heard over the connection for too long")]
    Silent,
    /// A newer connection of the same node took its place.
    #[error("a newer connection of the same node took its place")]
    Replaced,
    /// It belongs to a life of the node that is over.
    #[error("the connection belongs to a former life of the node")]
    Leftover,
    /// The configuration names another incarnation; the next handshake says so.
    #[error("the configuration names another incarnation of the node")]
    Unexpected,
    /// This side refused.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The other side refused.
    #[error("refused by the other side: {0}")]
    RefusedBy(Refusal),
}

impl ConnectionError {
    /// Whether it shows that the node's process, as met before, is gone: nobody
    /// listens at its address, or another process answers there.
    pub(crate) fn is_node_gone(&self) -> bool {
        match self {
            Self::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
            Self::Refused(refusal) => refusal.is_about_identity(),
            _ => false,
        }
    }

    /// Whether the other side sent what it may not.
    pub(crate) const fn is_protocol(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::Control(_) | Self::Batch | Self::OutOfPlace { .. })
    }
}

/// The next whole frame.
///
/// # Cancel safety
/// What has arrived stays in `frames`.
pub(crate) async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    frames: &mut FrameReader,
) -> Result<Frame, ConnectionError> {
    loop {
        if let Some(frame) = frames.next_frame()? {
            return Ok(frame);
        }
        if stream.read_buf(frames.room()).await? == 0 {
            return Err(ConnectionError::Closed);
        }
    }
}

/// Writes one frame of the handshake.
pub(crate) async fn write_frame(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: FrameKind,
    seal: FrameSeal,
    write: impl FnOnce(&mut BytesMut),
) -> Result<(), ConnectionError> {
    let mut bytes = BytesMut::new();
    frame::put(kind, seal, &mut bytes, write);
    stream.write_all(&bytes).await?;
    Ok(())
}

/// Says why, then closes the sending side.
pub(crate) async fn write_refusal(
    stream: &mut (impl AsyncWrite + Unpin),
    seal: FrameSeal,
    refusal: &Refusal,
) -> Result<(), ConnectionError> {
    write_frame(stream, FrameKind::Refusal, seal, |into| {
        refusal.encode(into);
    })
    .await?;
    stream.shutdown().await?;
    Ok(())
}

/// What a frame means that is neither expected nor harmless here.
pub(crate) fn out_of_place(frame: &Frame) -> ConnectionError {
    if frame.kind == FrameKind::Refusal {
        return match Refusal::decode(&frame.body) {
            Ok(refusal) => ConnectionError::RefusedBy(refusal),
            Err(error) => ConnectionError::Control(error),
        };
    }
    ConnectionError::OutOfPlace { kind: frame.kind as u8 }
}
