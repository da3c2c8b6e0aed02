//! The head of a snapshot on its way: part 0 of a transfer.
//!
//! ```text
//!  0  version              u8   1
//!  1  configuration index  u64
//!  9  log time             u64  milliseconds
//! 17  chunks               u32  how many follow
//! 21  bytes                u64  of all chunks
//! 29  digest               u64  of all chunks (`SnapshotInfo`)
//! 37  configuration        u32 length, bytes
//! ..  library              u32 length, bytes
//! ```
//!
//! Little endian. It travels between runs of this library only; another version
//! is refused and the member waits for a leader of its own (rule 45).

use bytes::{Buf, BufMut, Bytes};

use crate::port::{SnapshotInfo, SnapshotMeta};
use raftlet_core::{Configuration, Index, LogId, Snapshot};

const VERSION: u8 = 1;

/// What a receiver must know before the first chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) meta: SnapshotMeta,
    pub(crate) info: SnapshotInfo,
}

impl Head {
    pub(crate) fn encode(&self) -> Bytes {
        let Self { meta, info } = self;
        let mut into = Vec::with_capacity(64 + meta.configuration.len() + meta.library.len());
        into.put_u8(VERSION);
        into.put_u64_le(meta.configuration_index.get());
        into.put_u64_le(meta.log_time_ms);
        into.put_u32_le(info.chunks);
        into.put_u64_le(info.bytes);
        into.put_u64_le(info.digest);
        for field in [&meta.configuration, &meta.library] {
            into.put_u32_le(u32::try_from(field.len()).unwrap_or(u32::MAX));
            into.put_slice(field);
        }
        into.into()
    }

    /// Reads a head of the snapshot of `last`; `None` for bytes that are none of
    /// this version.
    pub(crate) fn decode(last: LogId, mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let configuration_index = Index::new(bytes.try_get_u64_le().ok()?);
        let log_time_ms = bytes.try_get_u64_le().ok()?;
        let info = SnapshotInfo {
            chunks: bytes.try_get_u32_le().ok()?,
            bytes: bytes.try_get_u64_le().ok()?,
            digest: bytes.try_get_u64_le().ok()?,
        };
        let configuration = field(&mut bytes)?;
        let library = field(&mut bytes)?;
        let meta = SnapshotMeta { last, configuration_index, configuration, log_time_ms, library };
        bytes.is_empty().then_some(Self { meta, info })
    }
}

fn field(bytes: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    (len <= bytes.len()).then(|| bytes.split_to(len))
}

/// What the core must know of a snapshot; `None` when its configuration does
/// not decode.
pub(crate) fn of_core(meta: &SnapshotMeta) -> Option<Snapshot> {
    Some(Snapshot {
        last: meta.last,
        configuration_index: meta.configuration_index,
        configuration: Configuration::decode(&meta.configuration).ok()?,
        log_time_ms: meta.log_time_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::Head;
    use crate::port::{SnapshotInfo, SnapshotMeta};
    use raftlet_core::{Index, LogId, Term};

    #[test]
    fn a_head_survives_its_encoding_and_no_prefix_of_it_passes() {
        let last = LogId { term: Term::new(3), index: Index::new(9) };
        let head = Head {
            meta: SnapshotMeta {
                last,
                configuration_index: Index::new(4),
                configuration: b"members".to_vec().into(),
                log_time_ms: 77,
                library: b"window".to_vec().into(),
            },
            info: SnapshotInfo { chunks: 5, bytes: 1_000, digest: 0xd1 },
        };
        let bytes = head.encode();
        assert_eq!(Head::decode(last, bytes.clone()), Some(head));
        for cut in 0..bytes.len() {
            assert_eq!(Head::decode(last, bytes.slice(..cut)), None, "cut at {cut}");
        }
    }
}
