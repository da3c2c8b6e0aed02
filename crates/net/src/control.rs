//! Heartbeats and their replies as bytes. Pure.
//!
//! ```text
//! heartbeat: stamp u64 · received u64 · shards u16 · turns u64 each · disowned u32 ·
//!            group u64, generation u64, term u64 each
//! reply:     run u64 · stamp u64
//! ```
//!
//! A stamp is the sender's own clock; the reply gives it back with the run that
//! is answered, so that only the process that asked learns from it. `received`
//! counts the bytes that arrived from the node it goes to: while that number
//! grows both directions work, however long a reply waits behind bulk. `disowned`
//! names what the receiver must unlearn, until it has answered (`disowned.rs`).
//!
//! Not here: what follows from them (`detector.rs`).

use bytes::{BufMut, BytesMut};

use crate::disowned::{DISOWNED_MAX, Disowned};
use crate::fields::{Cut, Fields};
use raftlet::core::{Generation, GroupId, NUMBER_MAX, Run, Term, Time};

/// Shards of one node; bounds what a heartbeat may make a receiver hold.
pub const SHARDS_MAX: usize = 1024;

/// Why a body is not what its frame's kind says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The bytes end inside a field.
    #[error("a {what} ends inside its fields")]
    Cut {
        /// What it should be.
        what: &'static str,
    },
    /// The bytes go on, or a value is unknown to this version.
    #[error("a {what} holds what this wire version does not know")]
    Unknown {
        /// What it should be.
        what: &'static str,
    },
}

/// Are you there, and these are the turns of my shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// When it was made, by the sender's clock; echoed.
    pub(crate) stamp: Time,
    /// Bytes that arrived at the sender from the receiver, in the sender's run.
    pub(crate) received: u64,
    /// How often the loop of each shard has turned; 0 is never judged.
    pub(crate) turns: Vec<u64>,
    /// Groups that the sender leads no more; at most `DISOWNED_MAX`.
    pub(crate) disowned: Vec<Disowned>,
}

impl Heartbeat {
    pub(crate) fn encode(&self, into: &mut BytesMut) {
        into.put_u64_le(self.stamp.ns());
        into.put_u64_le(self.received);
        let turns = self.turns.get(..SHARDS_MAX).unwrap_or(&self.turns);
        into.put_u16_le(u16::try_from(turns.len()).expect("SHARDS_MAX fits u16"));
        for turns in turns {
            into.put_u64_le(*turns);
        }
        let disowned = self.disowned.get(..DISOWNED_MAX).unwrap_or(&self.disowned);
        into.put_u32_le(u32::try_from(disowned.len()).expect("DISOWNED_MAX fits u32"));
        for Disowned { group, generation, term } in disowned {
            into.put_u64_le(group.get());
            into.put_u64_le(generation.get());
            into.put_u64_le(term.get());
        }
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, ControlError> {
        let what = "heartbeat";
        Self::read(body)
            .map_err(|Cut| ControlError::Cut { what })?
            .ok_or(ControlError::Unknown { what })
    }

    fn read(body: &[u8]) -> Result<Option<Self>, Cut> {
        let mut fields = Fields::new(body);
        let stamp = Time::from_ns(fields.u64()?);
        let received = fields.u64()?;
        let shards = usize::from(fields.u16()?);
        if shards > SHARDS_MAX {
            return Ok(None);
        }
        let turns = (0..shards).map(|_| fields.u64()).collect::<Result<_, _>>()?;
        let len = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
        if len > DISOWNED_MAX {
            return Ok(None);
        }
        let disowned: Vec<_> =
            (0..len).map(|_| read_disowned(&mut fields)).collect::<Result<_, _>>()?;
        let is_known = fields.remaining() == 0
            && disowned.iter().all(|disowned| disowned.term.get() <= NUMBER_MAX);
        Ok(is_known.then_some(Self { stamp, received, turns, disowned }))
    }
}

fn read_disowned(fields: &mut Fields<'_>) -> Result<Disowned, Cut> {
    Ok(Disowned {
        group: GroupId::new(fields.u64()?),
        generation: Generation::new(fields.u64()?),
        term: Term::new(fields.u64()?),
    })
}

/// I heard your heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeartbeatReply {
    /// The run that sent the heartbeat.
    pub(crate) run: Run,
    /// The heartbeat's stamp.
    pub(crate) stamp: Time,
}

impl HeartbeatReply {
    pub(crate) fn encode(self, into: &mut BytesMut) {
        into.put_u64_le(self.run.get());
        into.put_u64_le(self.stamp.ns());
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, ControlError> {
        let what = "heartbeat reply";
        let mut fields = Fields::new(body);
        let mut word = || fields.u64().map_err(|Cut| ControlError::Cut { what });
        let reply = Self { run: Run::new(word()?), stamp: Time::from_ns(word()?) };
        match fields.remaining() {
            0 => Ok(reply),
            _ => Err(ControlError::Unknown { what }),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};

    use super::{ControlError, Heartbeat, HeartbeatReply, SHARDS_MAX};
    use crate::disowned::{DISOWNED_MAX, Disowned};
    use raftlet::core::{Generation, GroupId, Run, Term, Time};

    #[test]
    fn heartbeats_and_replies_survive_the_wire_and_no_prefix_of_them_passes() {
        let disowned =
            Disowned { group: GroupId::new(8), generation: Generation::new(2), term: Term::new(5) };
        let heartbeat = Heartbeat {
            stamp: Time::from_ms(7),
            received: 12,
            turns: vec![3, u64::MAX],
            disowned: vec![disowned; 2],
        };
        let reply = HeartbeatReply { run: Run::new(4), stamp: Time::MAX };
        let (mut one, mut other) = (BytesMut::new(), BytesMut::new());
        heartbeat.encode(&mut one);
        reply.encode(&mut other);
        assert_eq!(Heartbeat::decode(&one), Ok(heartbeat));
        assert_eq!(HeartbeatReply::decode(&other), Ok(reply));
        for cut in 0..one.len() {
            assert!(Heartbeat::decode(&one[..cut]).is_err());
        }
        for cut in 0..other.len() {
            assert!(HeartbeatReply::decode(&other[..cut]).is_err());
        }
        one.put_u8(0);
        other.put_u8(0);
        assert!(Heartbeat::decode(&one).is_err());
        assert!(HeartbeatReply::decode(&other).is_err());
    }

    #[test]
    fn a_claim_of_too_many_shards_or_groups_is_refused_by_name() {
        let mut body = BytesMut::new();
        body.put_u64_le(1);
        body.put_u64_le(0);
        body.put_u16_le(u16::try_from(SHARDS_MAX + 1).unwrap());
        let refused = ControlError::Unknown { what: "heartbeat" };
        assert_eq!(Heartbeat::decode(&body), Err(refused));
        let mut body = BytesMut::new();
        body.put_u64_le(1);
        body.put_u64_le(0);
        body.put_u16_le(0);
        body.put_u32_le(u32::try_from(DISOWNED_MAX + 1).unwrap());
        assert_eq!(Heartbeat::decode(&body), Err(refused));
    }
}
