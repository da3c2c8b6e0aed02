//! The floor: one direct durable write of as many bytes as the entries have,
//! into a file that was written before, by the thread that waits. No format,
//! no checksum, nothing to recover.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use bench_log::Payloads;
use rustix::fs::OFlags;

use crate::way::{HEADER_BYTES, PAYLOAD_BYTES, Point, Told, Way};

const BLOCK: usize = 4096;
const FILE_BYTES: usize = 64 << 20;

/// One write after another, round and round in a file.
#[derive(Debug)]
pub(crate) struct Floor {
    file: File,
    buffer: Vec<u8>,
    bytes: usize,
    payloads: Payloads,
    batch: usize,
    offset: usize,
    told: Told,
}

impl Floor {
    /// # Errors
    /// The file cannot be made, or the file system has no direct writes.
    pub(crate) fn new(dir: &Path, point: Point) -> io::Result<Self> {
        let path = dir.join("floor");
        let zeros = vec![0; 1 << 20];
        let prepared = File::create(&path)?;
        for at in 0..FILE_BYTES / zeros.len() {
            prepared.write_all_at(&zeros, (at * zeros.len()) as u64)?;
        }
        prepared.sync_all()?;
        let flags = (OFlags::DIRECT | OFlags::DSYNC).bits().cast_signed();
        let file = OpenOptions::new().write(true).custom_flags(flags).open(&path)?;
        let bytes = (point.batch * (PAYLOAD_BYTES + HEADER_BYTES)).next_multiple_of(BLOCK);
        Ok(Self {
            file,
            buffer: vec![0; bytes + BLOCK],
            bytes,
            payloads: Payloads::new(PAYLOAD_BYTES),
            batch: point.batch,
            offset: 0,
            told: Told::default(),
        })
    }
}

impl Way for Floor {
    fn name(&self) -> &'static str {
        "direct write (floor)"
    }

    fn write(&mut self) -> Result<Duration, String> {
        let since = Instant::now();
        let aligned = self.buffer.as_ptr().align_offset(BLOCK);
        let block = &mut self.buffer[aligned..aligned + self.bytes];
        let entries = block.chunks_exact_mut(PAYLOAD_BYTES + HEADER_BYTES);
        for (entry, payload) in entries.zip(self.payloads.next(self.batch)) {
            entry[HEADER_BYTES..].copy_from_slice(payload);
        }
        self.file.write_all_at(block, self.offset as u64).map_err(|error| error.to_string())?;
        let took = since.elapsed();
        self.offset += self.bytes;
        if self.offset + self.bytes > FILE_BYTES {
            self.offset = 0;
        }
        self.told.bytes += self.bytes as u64;
        self.told.flushes += 1;
        Ok(took)
    }

    fn told(&self) -> Option<Told> {
        Some(self.told)
    }
}
