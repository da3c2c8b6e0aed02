//! The library's own replicated state in a snapshot (rule 14).
//!
//! ```text
//! 0  version  u8   2
//! 1  chain    u64  digest of all entries up to here; 0 where it is not known
//! 9  window        `window/codec.rs`
//! ```
//!
//! Little endian. Version 1 is a window alone, as the first snapshots have it:
//! from there on the chain is not known, and not compared.

use bytes::{Buf, BufMut};

use crate::window::Window;
use raftlet_core::CHAIN_START;

const VERSION: u8 = 2;

/// What the library knows behind an index of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Library {
    /// Digest of all entries; `None` where their beginning is not known.
    pub(crate) chain: Option<u64>,
    pub(crate) window: Window,
}

impl Default for Library {
    fn default() -> Self {
        Self { chain: Some(CHAIN_START), window: Window::default() }
    }
}

impl Library {
    /// The encoded form.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut into = Vec::new();
        into.put_u8(VERSION);
        into.put_u64_le(self.chain.unwrap_or(0));
        into.extend_from_slice(&self.window.encode());
        into
    }

    /// Reads what [`encode`](Self::encode) wrote, now or before there was a chain;
    /// `None` for anything else.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.first() != Some(&VERSION) {
            return Some(Self { chain: None, window: Window::decode(bytes)? });
        }
        bytes.advance(1);
        let chain = Some(bytes.try_get_u64_le().ok()?).filter(|chain| *chain != 0);
        let window = Some(bytes).filter(|bytes| !bytes.is_empty()).and_then(Window::decode)?;
        Some(Self { chain, window })
    }
}

#[cfg(test)]
mod tests {
    use super::Library;
    use crate::window::Window;

    #[test]
    fn the_librarys_state_survives_its_encoding_and_no_prefix_of_it_passes() {
        let library = Library { chain: Some(0x11aa), window: Window::default() };
        let bytes = library.encode();
        assert_eq!(Library::decode(&bytes), Some(library));
        for cut in 1..bytes.len() {
            assert_eq!(Library::decode(&bytes[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_snapshot_of_before_there_was_a_chain_leaves_it_unknown() {
        for before in [Vec::new(), Window::default().encode()] {
            let library = Library::decode(&before).unwrap();
            assert_eq!(library, Library { chain: None, window: Window::default() });
        }
    }
}
