//! Parts of snapshots and their answers, both ways.
//!
//! Not here: the layout's words (`codec.rs`, `docs/wire.md`), what a part holds
//! (the driver).

use bytes::BufMut;

use super::MessageError;
use super::keep::Keeper;
use super::numbers::{limit, log_id, put_log_id};
use crate::fields::Fields;
use raftlet::core::{SNAPSHOT_PART_BYTES_MAX, SnapshotAck, SnapshotOutcome, SnapshotPart};

/// Bytes of a part's fields before its bytes.
const PART_FIXED_BYTES: usize = 32;
/// Bytes of an answer's fields.
pub(super) const ACK_BYTES: usize = 25;

/// Bytes of a part's fields; `None` when it cannot be sent.
pub(super) fn part_bytes(part: &SnapshotPart) -> Option<usize> {
    let len = part.bytes.len();
    (len <= SNAPSHOT_PART_BYTES_MAX).then_some(PART_FIXED_BYTES + len)
}

/// The fields before the part's bytes.
pub(super) fn put_part(part: &SnapshotPart, into: &mut &mut [u8]) {
    put_log_id(part.last, into);
    into.put_u64_le(part.number);
    into.put_u32_le(part.checksum);
    into.put_u32_le(u32::try_from(part.bytes.len()).expect("SNAPSHOT_PART_BYTES_MAX fits u32"));
}

pub(super) fn put_ack(ack: &SnapshotAck, into: &mut &mut [u8]) {
    let (outcome, number) = match ack.outcome {
        SnapshotOutcome::Wants { number } => (1, number),
        SnapshotOutcome::Installed => (2, 0),
        SnapshotOutcome::Refused => (3, 0),
    };
    put_log_id(ack.last, into);
    into.put_u8(outcome);
    into.put_u64_le(number);
}

pub(super) fn part(
    keeper: &mut impl Keeper,
    fields: &mut Fields<'_>,
) -> Result<SnapshotPart, MessageError> {
    let last = log_id(fields, "snapshot")?;
    let number = fields.u64()?;
    let checksum = fields.u32()?;
    let len = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
    if len > SNAPSHOT_PART_BYTES_MAX {
        return Err(limit("part", len));
    }
    Ok(SnapshotPart { last, number, checksum, bytes: keeper.keep(fields.take(len)?) })
}

pub(super) fn ack(fields: &mut Fields<'_>) -> Result<SnapshotAck, MessageError> {
    let last = log_id(fields, "snapshot")?;
    let (outcome, number) = (fields.u8()?, fields.u64()?);
    let outcome = match (outcome, number) {
        (1, number) => SnapshotOutcome::Wants { number },
        (2, 0) => SnapshotOutcome::Installed,
        (3, 0) => SnapshotOutcome::Refused,
        (other, _) => {
            return Err(MessageError::Value { field: "outcome", value: u64::from(other) });
        }
    };
    Ok(SnapshotAck { last, outcome })
}
