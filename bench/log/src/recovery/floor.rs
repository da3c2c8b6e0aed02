//! The floor: all files of the log read in large reads, one after another, and
//! one checksum over every block. No format, no index, one thread.

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, OFlags, fadvise};

use raftlet_core::crc32c;
use raftlet_log::DiskMode;

const BLOCK: usize = 4096;
/// As large as the log's own reads.
const READ_BYTES: usize = 1 << 20;

/// What a reading of all files took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    /// The reads alone.
    pub(crate) read_s_per_gib: f64,
    /// With the checksums.
    pub(crate) s_per_gib: f64,
}

/// Reads all segments.
///
/// # Errors
/// What the system says.
pub(crate) fn read(dir: &Path, mode: DiskMode) -> Result<Floor, String> {
    read_all(dir, mode).map_err(|error| error.to_string())
}

fn read_all(dir: &Path, mode: DiskMode) -> io::Result<Floor> {
    let mut memory = vec![0; READ_BYTES + BLOCK];
    let start = memory.as_ptr().align_offset(BLOCK);
    let buffer = &mut memory[start..start + READ_BYTES];
    let since = Instant::now();
    let (mut bytes, mut reading) = (0u64, Duration::ZERO);
    let mut paths: Vec<_> = fs::read_dir(dir)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|it| it == "wal")) {
        let file = open(path, mode)?;
        let mut offset = 0;
        loop {
            let asked = Instant::now();
            let got = read_some(&file, buffer, offset)?;
            reading += asked.elapsed();
            for block in buffer[..got].chunks(BLOCK) {
                black_box(crc32c(1, block));
            }
            offset += got as u64;
            if got < buffer.len() {
                break;
            }
        }
        bytes += offset;
    }
    let gib = bytes as f64 / crate::GIB;
    Ok(Floor {
        read_s_per_gib: reading.as_secs_f64() / gib,
        s_per_gib: since.elapsed().as_secs_f64() / gib,
    })
}

fn open(path: &Path, mode: DiskMode) -> io::Result<File> {
    let direct = matches!(mode, DiskMode::Direct);
    let flags = if direct { OFlags::DIRECT.bits().cast_signed() } else { 0 };
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !direct {
        file.sync_data()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(file)
}

/// Fills the buffer, less only at the end of the file.
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64)? {
            0 => break,
            read => done += read,
        }
        if !done.is_multiple_of(BLOCK) {
            break;
        }
    }
    Ok(done)
}
