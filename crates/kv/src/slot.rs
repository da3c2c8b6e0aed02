//! Which group holds a key?
//!
//! A key hashes to one of 16,384 slots as in Redis Cluster: CRC16 (XMODEM) of
//! the key, or of what stands between its first `{` and the next `}` if that
//! is not empty. Groups own contiguous ranges of slots (D13), so that the map
//! a client is told has one row per group.
//!
//! Not here: which node leads a group.

use std::ops::Range;

/// How many slots there are.
pub const SLOTS_LEN: u16 = 16_384;

/// A key's hash slot, below [`SLOTS_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The slot of `key`.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self(crc16(hash_tag(key)) % SLOTS_LEN)
    }

    /// The slot of a number, if there is one.
    pub(crate) fn numbered(number: u16) -> Option<Self> {
        (number < SLOTS_LEN).then_some(Self(number))
    }

    /// The slot's number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

/// Position of a group among those that share the keyspace, from 0. The
/// server maps it to the library's group id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupIndex(u16);

impl GroupIndex {
    /// The group's position.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

/// How the slots are dealt to groups. Fixed for the life of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotMap {
    groups_len: u16,
}

/// A number of groups that the slots can't be dealt to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} groups can't share {SLOTS_LEN} slots; use 1 to {SLOTS_LEN}")]
pub struct GroupsLenError(pub u64);

impl SlotMap {
    /// The whole keyspace in one group.
    pub const ONE_GROUP: Self = Self { groups_len: 1 };

    /// Deals the slots to `groups_len` groups, as evenly as they go.
    ///
    /// # Errors
    /// [`GroupsLenError`] unless there is at least one group, and a slot for
    /// each.
    pub fn new(groups_len: u64) -> Result<Self, GroupsLenError> {
        match u16::try_from(groups_len) {
            Ok(groups_len) if (1..=SLOTS_LEN).contains(&groups_len) => Ok(Self { groups_len }),
            _ => Err(GroupsLenError(groups_len)),
        }
    }

    /// How many groups there are.
    #[must_use]
    pub fn groups_len(self) -> u16 {
        self.groups_len
    }

    /// All groups in order.
    pub fn groups(self) -> impl ExactSizeIterator<Item = GroupIndex> {
        (0..self.groups_len).map(GroupIndex)
    }

    /// The group that owns `slot`.
    #[must_use]
    pub fn group_of(self, slot: Slot) -> GroupIndex {
        let group = u32::from(slot.0) * u32::from(self.groups_len) / u32::from(SLOTS_LEN);
        // Below `groups_len`, because the slot is below `SLOTS_LEN`.
        GroupIndex(u16::try_from(group).unwrap_or_default())
    }

    /// The group that holds `key`. With one group the key isn't even hashed.
    #[must_use]
    pub fn group_of_key(self, key: &[u8]) -> GroupIndex {
        if self.groups_len == 1 { GroupIndex(0) } else { self.group_of(Slot::of(key)) }
    }

    /// The slots that `group` owns.
    #[must_use]
    pub fn slots_of(self, group: GroupIndex) -> Range<u16> {
        self.first_slot(u32::from(group.0))..self.first_slot(u32::from(group.0) + 1)
    }

    fn first_slot(self, group: u32) -> u16 {
        let slot = (group * u32::from(SLOTS_LEN)).div_ceil(u32::from(self.groups_len));
        u16::try_from(slot).unwrap_or(SLOTS_LEN).min(SLOTS_LEN)
    }
}

/// The part of a key that is hashed.
fn hash_tag(key: &[u8]) -> &[u8] {
    let tag = || {
        let open = key.iter().position(|byte| *byte == b'{')?;
        let behind = key.get(open + 1..)?;
        let tag_bytes = behind.iter().position(|byte| *byte == b'}')?;
        behind.get(..tag_bytes).filter(|tag| !tag.is_empty())
    };
    tag().unwrap_or(key)
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let [high, low] = [(crc >> 8) ^ u16::from(*byte), crc << 8];
        low ^ CRC16_TABLE.get(usize::from(high)).copied().unwrap_or_default()
    })
}

/// CRC16/XMODEM of every single byte: polynomial 0x1021, nothing reflected.
static CRC16_TABLE: [u16; 256] = crc16_table();

#[expect(clippy::indexing_slicing, reason = "const fn without iterators; index < 256 by the loop")]
#[expect(clippy::cast_possible_truncation, reason = "index < 256 by the loop")]
const fn crc16_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(Slot::of(b"foo").number(), 12_182);
        assert_eq!(Slot::of(b"bar").number(), 5_061);
        assert_eq!(Slot::of(b"").number(), 0);
    }

    #[test]
    fn keys_with_the_same_tag_share_a_slot() {
        assert_eq!(Slot::of(b"{user1}.following"), Slot::of(b"{user1}.followers"));
        assert_eq!(Slot::of(b"a{foo}b{bar}"), Slot::of(b"foo"));
        assert_eq!(Slot::of(b"foo{{bar}}zap"), Slot::of(b"{bar"));
        assert_eq!(hash_tag(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(hash_tag(b"foo{bar"), b"foo{bar");
        assert_eq!(hash_tag(b"foo}{"), b"foo}{");
    }

    #[test]
    fn every_slot_is_owned_by_exactly_the_group_whose_range_holds_it() {
        for groups_len in [1, 2, 3, 7, 16, 1_000, u64::from(SLOTS_LEN)] {
            let map = SlotMap::new(groups_len).unwrap();
            let mut next = 0;
            for group in map.groups() {
                let slots = map.slots_of(group);
                assert_eq!(slots.start, next, "a gap before group {group:?} of {groups_len}");
                assert!(!slots.is_empty(), "group {group:?} of {groups_len} owns nothing");
                assert!(slots.clone().all(|slot| map.group_of(Slot(slot)) == group));
                next = slots.end;
            }
            assert_eq!(next, SLOTS_LEN);
        }
    }

    #[test]
    fn slots_are_not_dealt_to_no_group_or_to_more_groups_than_slots() {
        for groups_len in [0, u64::from(SLOTS_LEN) + 1, u64::MAX] {
            assert_eq!(SlotMap::new(groups_len), Err(GroupsLenError(groups_len)));
        }
    }
}
