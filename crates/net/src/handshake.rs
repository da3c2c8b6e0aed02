//! Who is at the other end, and may it come in? Pure.
//!
//! ```text
//! dialler                                   acceptor
//!    | hello: cluster, who I am, whom I want,  |
//!    |        versions I speak, a nonce        |
//!    | --------------------------------------> | judge
//!    |  welcome: cluster, who I am, the        |
//!    |           version chosen, a nonce       |
//! judge <------------------------------------- |  ... or refusal, then close
//!    | frames sealed with all of the above     |
//!    | --------------------------------------> |  ... or refusal, then close
//! ```
//!
//! Both ends judge, and both say why not, so that a wiped node learns it no
//! matter who dials whom (rule 3). The acceptor has proof of a living dialler
//! only when the first sealed frame arrives: it needs the acceptor's nonce, so
//! a hello that a dead process left in a socket proves nothing (rule 5).
//!
//! Invariants
//! - A node is let in under one incarnation: the one expected for it, once that
//!   is known. Before, it is let in for the roll call only (`Standing`).
//! - A run lower than the highest remembered of that incarnation is refused
//!   (rule 4); a higher one is remembered durably before the connection counts
//!   (`Sink::remember`).
//!
//! Not here: deadlines and sockets (`dial.rs`, `listen.rs`), refusals as bytes
//! and words (`handshake/refusal.rs`).

mod refusal;

pub use refusal::{Refusal, RefusalReason};

use bytes::{BufMut, BytesMut};

use crate::control::ControlError;
use crate::fields::{Cut, Fields};
use crate::frame::FrameSeal;
use raftlet::core::{ClusterId, Incarnation, NodeId, Run, Sender};

/// The oldest wire version spoken here.
pub const WIRE_VERSION_MIN: u16 = 1;
/// The newest wire version spoken here.
pub const WIRE_VERSION_MAX: u16 = 1;

/// The first bytes of a hello's body, in every version to come.
const MAGIC: [u8; 8] = *b"raftlet\n";

/// What a dialler says first. These fields stay where they are in every
/// version; a later one may add behind them, which is skipped here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) version_min: u16,
    pub(crate) version_max: u16,
    pub(crate) cluster: ClusterId,
    pub(crate) sender: Sender,
    /// Whom the dialler believes to reach.
    pub(crate) to: NodeId,
    pub(crate) nonce: u64,
}

impl Hello {
    pub(crate) fn encode(&self, into: &mut BytesMut) {
        into.put_slice(&MAGIC);
        into.put_u16_le(self.version_min);
        into.put_u16_le(self.version_max);
        into.put_u128_le(self.cluster.0);
        put_sender(&self.sender, into);
        into.put_u64_le(self.to.get());
        into.put_u64_le(self.nonce);
    }

    /// # Errors
    /// The refusal to answer with.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::new(body);
        let (version_min, version_max) =
            Self::read_versions(&mut fields).ok().flatten().ok_or_else(Refusal::malformed)?;
        if version_max < WIRE_VERSION_MIN || version_min > WIRE_VERSION_MAX {
            return Err(Refusal::version(version_min, version_max));
        }
        let hello = Self::read_rest(version_min, version_max, &mut fields)
            .map_err(|Cut| Refusal::malformed())?;
        if fields.remaining() > 0 && version_max <= WIRE_VERSION_MAX {
            return Err(Refusal::malformed());
        }
        Ok(hello)
    }

    fn read_versions(fields: &mut Fields<'_>) -> Result<Option<(u16, u16)>, Cut> {
        let is_ours = fields.take(MAGIC.len())? == MAGIC;
        let versions = (fields.u16()?, fields.u16()?);
        Ok((is_ours && versions.0 <= versions.1).then_some(versions))
    }

    fn read_rest(version_min: u16, version_max: u16, fields: &mut Fields<'_>) -> Result<Self, Cut> {
        Ok(Self {
            version_min,
            version_max,
            cluster: ClusterId(fields.u128()?),
            sender: read_sender(fields)?,
            to: NodeId::new(fields.u64()?),
            nonce: fields.u64()?,
        })
    }
}

/// What an acceptor answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) version: u16,
    pub(crate) cluster: ClusterId,
    pub(crate) sender: Sender,
    pub(crate) nonce: u64,
}

impl Welcome {
    pub(crate) fn encode(&self, into: &mut BytesMut) {
        into.put_u16_le(self.version);
        into.put_u128_le(self.cluster.0);
        put_sender(&self.sender, into);
        into.put_u64_le(self.nonce);
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, ControlError> {
        let what = "welcome";
        let mut fields = Fields::new(body);
        let welcome = Self::read(&mut fields).map_err(|Cut| ControlError::Cut { what })?;
        let is_known = (WIRE_VERSION_MIN..=WIRE_VERSION_MAX).contains(&welcome.version);
        match fields.remaining() {
            0 if is_known => Ok(welcome),
            _ => Err(ControlError::Unknown { what }),
        }
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, Cut> {
        Ok(Self {
            version: fields.u16()?,
            cluster: ClusterId(fields.u128()?),
            sender: read_sender(fields)?,
            nonce: fields.u64()?,
        })
    }
}

/// The seal of the frames that the dialler sends once welcome.
pub(crate) fn dialler_seal(hello: &Hello, welcome: &Welcome) -> FrameSeal {
    seal(1, hello, welcome)
}

/// The seal of the frames that the acceptor sends after its welcome.
pub(crate) fn acceptor_seal(hello: &Hello, welcome: &Welcome) -> FrameSeal {
    seal(2, hello, welcome)
}

fn seal(direction: u8, hello: &Hello, welcome: &Welcome) -> FrameSeal {
    let mut context = BytesMut::with_capacity(256);
    context.put_u8(direction);
    hello.encode(&mut context);
    welcome.encode(&mut context);
    FrameSeal::new(&context)
}

/// This node, as it presents itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster (rule 2).
    pub cluster: ClusterId,
    /// Node, incarnation and run.
    pub seat: Sender,
}

/// What is known here of a peer before it speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The incarnation that the configuration names.
    pub(crate) expected: Option<Incarnation>,
    /// The highest run seen, of which incarnation.
    pub(crate) remembered: Option<(Incarnation, Run)>,
}

/// What a peer may do that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its incarnation is the one expected.
    Member,
    /// No incarnation is expected yet: heartbeats and roll call only.
    Newcomer,
}

/// Judges who says hello.
pub(crate) fn judge_hello(
    me: &Identity,
    hello: &Hello,
    known: Option<Known>,
) -> Result<Standing, Refusal> {
    judge_cluster(me, hello.cluster)?;
    if hello.sender.node == me.seat.node {
        return Err(if hello.sender == me.seat {
            Refusal::self_connection(me.seat.node)
        } else {
            Refusal::node_taken(me.seat.node, hello.sender)
        });
    }
    if hello.to != me.seat.node {
        return Err(Refusal::wrong_node(hello.to, me.seat.node));
    }
    judge_sender(me, hello.sender, known)
}

/// Judges who answers, having dialled `wanted`.
pub(crate) fn judge_welcome(
    me: &Identity,
    wanted: NodeId,
    welcome: &Welcome,
    known: Known,
) -> Result<Standing, Refusal> {
    judge_cluster(me, welcome.cluster)?;
    if welcome.sender == me.seat {
        return Err(Refusal::self_connection(me.seat.node));
    }
    if welcome.sender.node != wanted {
        return Err(Refusal::wrong_node(wanted, welcome.sender.node));
    }
    judge_sender(me, welcome.sender, Some(known))
}

fn judge_cluster(me: &Identity, cluster: ClusterId) -> Result<(), Refusal> {
    if cluster == me.cluster {
        return Ok(());
    }
    Err(Refusal::cluster(me, cluster))
}

fn judge_sender(me: &Identity, sender: Sender, known: Option<Known>) -> Result<Standing, Refusal> {
    let known = known.ok_or_else(|| Refusal::stranger(me.seat.node, sender.node))?;
    if let Some(expected) = known.expected
        && expected != sender.incarnation
    {
        return Err(Refusal::incarnation(me.seat.node, sender, expected));
    }
    if let Some((incarnation, highest)) = known.remembered
        && incarnation == sender.incarnation
        && sender.run < highest
    {
        return Err(Refusal::stale_run(me.seat.node, sender, highest));
    }
    Ok(match known.expected {
        Some(_) => Standing::Member,
        None => Standing::Newcomer,
    })
}

fn put_sender(sender: &Sender, into: &mut BytesMut) {
    into.put_u64_le(sender.node.get());
    into.put_u128_le(sender.incarnation.0);
    into.put_u64_le(sender.run.get());
}

fn read_sender(fields: &mut Fields<'_>) -> Result<Sender, Cut> {
    Ok(Sender {
        node: NodeId::new(fields.u64()?),
        incarnation: Incarnation(fields.u128()?),
        run: Run::new(fields.u64()?),
    })
}

#[cfg(test)]
mod tests;
