//! The window in a snapshot (rule 14).
//!
//! Version u8, 1 · origins u32 · for each, ascending: node u64 · incarnation
//! u128 · run u64 · floor u64 · last index u64 · ranges u32 · for each: first
//! u64, last u64. Little endian. Equal windows encode equally.

use bytes::{Buf, BufMut};

use super::{ORIGINS_MAX, OriginWindow, RANGES_MAX, Window};
use raftlet_core::{Incarnation, Index, NodeId, Run};

const VERSION: u8 = 1;

impl Window {
    /// The encoded form.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut into = Vec::new();
        into.put_u8(VERSION);
        into.put_u32_le(u32::try_from(self.origins.len()).expect("ORIGINS_MAX fits u32"));
        for ((node, incarnation), origin) in &self.origins {
            into.put_u64_le(node.get());
            into.put_u128_le(incarnation.0);
            into.put_u64_le(origin.run.get());
            into.put_u64_le(origin.floor);
            into.put_u64_le(origin.last_index.get());
            into.put_u32_le(u32::try_from(origin.seen.len()).expect("RANGES_MAX fits u32"));
            for (first, last) in &origin.seen {
                into.put_u64_le(*first);
                into.put_u64_le(*last);
            }
        }
        into
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` for anything else.
    /// Without bytes it is the window of a log that has no origins.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut window = Self::default();
        if bytes.is_empty() {
            return Some(window);
        }
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let origins = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
        if origins > ORIGINS_MAX {
            return None;
        }
        for _ in 0..origins {
            let node = NodeId::new(bytes.try_get_u64_le().ok()?);
            let incarnation = Incarnation(bytes.try_get_u128_le().ok()?);
            let origin = origin(&mut bytes)?;
            window.origins.insert((node, incarnation), origin);
        }
        (bytes.is_empty() && window.origins.len() == origins).then_some(window)
    }
}

fn origin(bytes: &mut &[u8]) -> Option<OriginWindow> {
    let mut origin = OriginWindow::new(Run::new(bytes.try_get_u64_le().ok()?));
    origin.floor = bytes.try_get_u64_le().ok()?;
    origin.last_index = Index::new(bytes.try_get_u64_le().ok()?);
    let ranges = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    if ranges > RANGES_MAX {
        return None;
    }
    let mut behind = origin.floor;
    for _ in 0..ranges {
        let (first, last) = (bytes.try_get_u64_le().ok()?, bytes.try_get_u64_le().ok()?);
        if first <= behind || last < first {
            return None;
        }
        behind = last;
        origin.seen.push((first, last));
    }
    Some(origin)
}
