//! What the bytes of a snapshot say at their end of all of it, without a store
//! made of them.
//!
//! Not here: whether it is true; only who restores it finds that out
//! (`snapshot.rs`).

use bytes::Buf;

/// What stands at the end of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotEnd {
    /// Keys in it.
    pub keys: u64,
    /// Their digest, as [`Machine::digest`](raftlet::StateMachine::digest) has it.
    pub digest: u64,
}

impl SnapshotEnd {
    /// Bytes of the last record: length u32, kind u8, keys u64, digest u64.
    pub const BYTES: usize = 21;

    /// Reads the last [`BYTES`](Self::BYTES) of a snapshot; `None` when they are
    /// not its last record.
    #[must_use]
    pub fn read(mut last: &[u8]) -> Option<Self> {
        if last.len() != Self::BYTES {
            return None;
        }
        let is_end = (last.get_u32_le(), last.get_u8()) == (17, 0);
        let end = Self { keys: last.get_u64_le(), digest: last.get_u64_le() };
        is_end.then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::SnapshotEnd;
    use crate::store::snapshot::put_end;

    #[test]
    fn the_end_of_a_snapshot_is_read_back_and_nothing_else_is_taken_for_it() {
        let mut bytes = BytesMut::new();
        put_end(3, 0xd1, &mut bytes);
        assert_eq!(SnapshotEnd::read(&bytes), Some(SnapshotEnd { keys: 3, digest: 0xd1 }));
        assert_eq!(SnapshotEnd::read(&bytes[1..]), None);
        bytes[4] = 1;
        assert_eq!(SnapshotEnd::read(&bytes), None);
    }
}
