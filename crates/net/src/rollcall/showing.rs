//! What one node shows of the roll call, and its bytes.
//!
//! ```text
//! flags u8 (bit 0: entry 1 is written) · count u8 · for each member:
//! node u64 · incarnation u128 (0: not met yet) · length u16 · address (UTF-8)
//! ```
//!
//! Not here: what follows from it (`rollcall.rs`).

use bytes::{BufMut, BytesMut};

use super::RollCallMember;
use crate::control::ControlError;
use crate::fields::{Cut, Fields};
use raftlet::core::{ADDRESS_BYTES_MAX, Incarnation, MEMBERS_MAX, NodeId};

const FLAG_WRITTEN: u8 = 1;

/// A list as one node shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Showing {
    /// Whether it stands in the shower's entry 1.
    pub(crate) is_written: bool,
    /// In ascending order of node ids.
    pub(crate) members: Vec<Shown>,
}

/// A member as one node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) address: String,
}

impl Shown {
    pub(crate) fn of(member: &RollCallMember) -> Self {
        Self {
            node: member.node,
            incarnation: Some(member.incarnation),
            address: member.address.clone(),
        }
    }
}

impl Showing {
    /// The list, when everyone on it was met.
    pub(crate) fn full_list(&self) -> Option<Vec<RollCallMember>> {
        let members = self.members.iter();
        members
            .map(|shown| {
                Some(RollCallMember {
                    node: shown.node,
                    incarnation: shown.incarnation?,
                    address: shown.address.clone(),
                })
            })
            .collect()
    }

    pub(crate) fn encode(&self, into: &mut BytesMut) {
        into.put_u8(if self.is_written { FLAG_WRITTEN } else { 0 });
        into.put_u8(u8::try_from(self.members.len()).expect("MEMBERS_MAX fits u8"));
        for member in &self.members {
            into.put_u64_le(member.node.get());
            into.put_u128_le(member.incarnation.map_or(0, |incarnation| incarnation.0));
            into.put_u16_le(u16::try_from(member.address.len()).expect("checked at creation"));
            into.put_slice(member.address.as_bytes());
        }
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, ControlError> {
        let what = "roll call";
        Self::read(body)
            .map_err(|Cut| ControlError::Cut { what })?
            .ok_or(ControlError::Unknown { what })
    }

    fn read(body: &[u8]) -> Result<Option<Self>, Cut> {
        let mut fields = Fields::new(body);
        let flags = fields.u8()?;
        let count = usize::from(fields.u8()?);
        if flags & !FLAG_WRITTEN != 0 || count > MEMBERS_MAX {
            return Ok(None);
        }
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            let node = NodeId::new(fields.u64()?);
            let incarnation = fields.u128()?;
            let len = usize::from(fields.u16()?);
            let address = fields.take(len)?;
            let Ok(address) = str::from_utf8(address) else {
                return Ok(None);
            };
            if len > ADDRESS_BYTES_MAX {
                return Ok(None);
            }
            members.push(Shown {
                node,
                incarnation: (incarnation != 0).then_some(Incarnation(incarnation)),
                address: address.to_owned(),
            });
        }
        let is_written = flags & FLAG_WRITTEN != 0;
        let is_whole = fields.remaining() == 0;
        Ok(is_whole.then_some(Self { is_written, members }))
    }
}
