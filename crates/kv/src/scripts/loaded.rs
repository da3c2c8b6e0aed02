//! Which scripts clients have loaded, by their digests.
//!
//! Only scripts that are known can be loaded, so all there is to remember is in
//! which further spellings: the ones of their libraries need no loading.
//!
//! Invariant: at most [`SPELLINGS_LEN_MAX`] are remembered; beyond that the
//! oldest is forgotten, and its user is told `NOSCRIPT` and loads it again.

use std::collections::VecDeque;

use crate::scripts::Script;

/// There are a dozen known scripts; a program spells one in one way.
const SPELLINGS_LEN_MAX: usize = 256;

/// Scripts loaded on a node.
#[derive(Debug, Default)]
pub struct Scripts(VecDeque<([u8; 20], Script)>);

impl Scripts {
    /// How many spellings are remembered at most.
    pub const LEN_MAX: usize = SPELLINGS_LEN_MAX;

    /// How many spellings are remembered.
    #[must_use]
    pub fn loaded_len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn find(&self, digest: &[u8; 20]) -> Option<Script> {
        let loaded = self.0.iter().find(|(known, _)| known == digest);
        Script::of_digest(digest).or(loaded.map(|(_, script)| *script))
    }

    pub(crate) fn load(&mut self, digest: [u8; 20], script: Script) {
        if self.find(&digest).is_some() {
            return;
        }
        if self.0.len() >= SPELLINGS_LEN_MAX {
            self.0.pop_front();
        }
        self.0.push_back((digest, script));
    }

    pub(crate) fn forget_all(&mut self) {
        self.0.clear();
    }
}
