//! What the block device under a directory has counted.
//!
//! The whole device counts, and on a shared machine others write too: told
//! beside what each way counts itself, as a check and not as a figure.

use std::fs;
use std::os::linux::fs::MetadataExt;
use std::path::Path;

/// The kernel counts in sectors of this size, whatever the device has.
const SECTOR_BYTES: u64 = 512;
/// Fields of a device's `stat`, counted from zero.
const SECTORS_WRITTEN: usize = 6;
const FLUSHES: usize = 15;

/// Since the machine started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Device {
    pub(crate) bytes: u64,
    pub(crate) flushes: u64,
}

impl Device {
    /// # Errors
    /// The kernel does not tell, as in some containers.
    pub(crate) fn under(dir: &Path) -> Result<Self, String> {
        let id = fs::metadata(dir).map_err(|error| error.to_string())?.st_dev();
        let (major, minor) = (rustix::fs::major(id), rustix::fs::minor(id));
        let path = format!("/sys/dev/block/{major}:{minor}/stat");
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let field = |at: usize| text.split_whitespace().nth(at)?.parse::<u64>().ok();
        let (sectors, flushes) = (field(SECTORS_WRITTEN), field(FLUSHES));
        match (sectors, flushes) {
            (Some(sectors), Some(flushes)) => Ok(Self { bytes: sectors * SECTOR_BYTES, flushes }),
            _ => Err(format!("{path} tells no flushes")),
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self { bytes: self.bytes - before.bytes, flushes: self.flushes - before.flushes }
    }
}
