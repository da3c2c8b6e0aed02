//! A peer's bytes: the two ways to read a batch agree about each message, and
//! what was read is written and read again as the same.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;

use raftlet::core::{Arena, Membership};
use raftlet_net::{BatchReader, decode_message, encode_message};

fuzz_target!(|data: &[u8]| {
    let batch = Bytes::copy_from_slice(data);
    let mut arena = Arena::default();
    let sharing: Vec<_> = BatchReader::new(&batch).collect();
    let copying: Vec<_> = BatchReader::copying(data, &mut arena).collect();
    assert_eq!(format!("{sharing:?}"), format!("{copying:?}"));
    for incoming in sharing.into_iter().flatten() {
        let mut again = BytesMut::new();
        encode_message(&incoming, &mut again);
        let read = decode_message(&again.freeze()).expect("just encoded");
        assert_eq!(format!("{incoming:?}"), format!("{read:?}"));
    }
    if let Some(membership) = Membership::decode(data) {
        let mut again = Vec::new();
        membership.encode(&mut again);
        assert_eq!(Membership::decode(&again).as_ref(), Some(&membership));
    }
});
