//! How much readers of snapshots may read before they are asked for it.
//!
//! One number for all readers of a shard: thousands of groups that restore at once
//! do not multiply it. Who finds nothing left of it reads what it is asked for, and
//! goes on.
//!
//! Not here: what is read (`snapshot/stretch.rs`).

use std::cell::Cell;
use std::rc::Rc;

use crate::block::BLOCK_BYTES;
use crate::width::u64_from;

/// Bytes of one read at most, if one chunk has not more: four chunks of 256 KiB with
/// what stands before each, in whole blocks. A virtual disk gave 430
/// MB/s in reads of 256 KiB, 900 in reads of 1 MiB, 1 100 in reads of 4 (measured on
/// 2026-11-30); three of a MiB under way keep it as busy as one of 4.
pub(crate) const STRETCH_BYTES: usize = 4 * ((256 << 10) + BLOCK_BYTES);
/// Reads under way, or read, behind the one in use.
pub(crate) const STRETCHES_AHEAD: usize = 3;
/// What all readers of a shard may have read beyond what they were asked for: two
/// at full speed, each with the stretch in use, the one before and those behind.
pub(crate) const AHEAD_BYTES_MAX: usize = 2 * (STRETCHES_AHEAD + 2) * STRETCH_BYTES;

/// What may be read beyond what is asked for. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowance {
    taken_bytes: Rc<Cell<usize>>,
}

impl Allowance {
    /// A part of it, if so much is left.
    pub(crate) fn take(&self, bytes: usize) -> Option<Taken> {
        let taken = self.taken_bytes.get().checked_add(bytes)?;
        if taken > AHEAD_BYTES_MAX {
            return None;
        }
        self.taken_bytes.set(taken);
        Some(Taken { allowance: self.clone(), bytes })
    }

    pub(crate) fn taken_bytes(&self) -> u64 {
        u64_from(self.taken_bytes.get())
    }
}

/// A part of the allowance, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    allowance: Allowance,
    bytes: usize,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let taken = &self.allowance.taken_bytes;
        taken.set(taken.get().saturating_sub(self.bytes));
    }
}
