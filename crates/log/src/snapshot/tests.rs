//! Claims about the bytes of a snapshot file's parts.

use bytes::Bytes;

use super::{
    HeadError, SLOT_HEADER_BYTES, Title, Trailer, decode_head, decode_slot, encode_head,
    encode_slot, head_bytes, slot_bytes,
};
use crate::block::BLOCK_BYTES;
use raftlet::core::{
    ClusterId, Generation, GroupId, Incarnation, Index, LogId, NodeId, ShardId, Term,
};
use raftlet::{GroupInfo, SnapshotInfo, SnapshotMeta};

fn title() -> Title {
    Title {
        shard: ShardId(2),
        cluster: ClusterId(3),
        node: NodeId::new(4),
        incarnation: Incarnation(5),
        group: GroupInfo { group: GroupId::new(6), generation: Generation::new(7) },
        last: LogId { term: Term::new(8), index: Index::new(9) },
    }
}

fn meta(library: usize) -> SnapshotMeta {
    SnapshotMeta {
        last: title().last,
        configuration_index: Index::new(1),
        configuration: Bytes::from_static(b"members"),
        log_time_ms: 77,
        library: vec![3; library].into(),
    }
}

#[test]
fn a_head_of_any_length_comes_back_and_every_flipped_byte_of_it_is_found() {
    for library in [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES - 127] {
        let mut head = encode_head(&title(), &meta(library));
        assert_eq!(head_bytes(&head), Some(head.len()));
        assert_eq!(decode_head(&head), Ok((title(), meta(library))));
        for at in (0..head.len()).step_by(7) {
            head[at] ^= 1;
            assert_eq!(decode_head(&head), Err(HeadError::Damaged), "byte {at}");
            head[at] ^= 1;
        }
    }
}

#[test]
fn a_slot_passes_only_as_its_number_of_its_snapshot() {
    let stamp = title().stamp();
    for len in [0, 1, BLOCK_BYTES - SLOT_HEADER_BYTES, BLOCK_BYTES] {
        let chunk: Vec<u8> = (0..=255).cycle().take(len).collect();
        let mut slot = vec![9; slot_bytes(len)];
        encode_slot(&mut slot, 5, stamp, &chunk);
        assert_eq!(decode_slot(&slot, 5, stamp), Some(&chunk[..]));
        assert_eq!(decode_slot(&slot, 6, stamp), None);
        assert_eq!(decode_slot(&slot, 5, stamp ^ 1), None);
        for at in 0..slot.len() {
            slot[at] ^= 0x10;
            assert_eq!(decode_slot(&slot, 5, stamp), None, "byte {at}");
            slot[at] ^= 0x10;
        }
    }
}

#[test]
fn a_trailer_comes_back_and_stamps_of_neighbours_differ() {
    let info = SnapshotInfo { bytes: 1, chunks: 2, digest: 3 };
    let trailer = Trailer { stamp: 4, table_offset: 5, info, file_bytes: 6 };
    let mut block = vec![1; BLOCK_BYTES];
    trailer.encode(&mut block);
    assert_eq!(Trailer::decode(&block), Some(trailer));
    block[4095] ^= 1;
    assert_eq!(Trailer::decode(&block), None);
    let mut other = title();
    other.group.generation = Generation::new(8);
    assert_ne!(other.stamp(), title().stamp());
}
