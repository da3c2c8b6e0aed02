//! Which way a node's log is written: by a ring where there is one, else by a
//! thread.

use std::rc::Rc;

use tracing::info;

use crate::cli::serve::DiskChoice;
use crate::node::ring::Ring;
use raftlet_log::{DirLock, DiskError, DiskMode, RealDisk};

/// Opens a node's disk, its log's writes on a ring if that is wanted and can be
/// had: many a sandbox forbids it.
///
/// # Errors
/// No way of writing that is allowed passes its trial.
pub(crate) fn disk(lock: DirLock, choice: DiskChoice) -> Result<RealDisk, DiskError> {
    let mode = match choice {
        DiskChoice::Auto => DiskMode::Probe,
        DiskChoice::Direct => DiskMode::Direct,
        DiskChoice::Buffered => DiskMode::Buffered,
    };
    let disk = RealDisk::open(lock, mode)?;
    if choice != DiskChoice::Auto || !disk.is_direct() {
        return Ok(disk);
    }
    Ok(match Ring::open() {
        Ok(ring) => disk.written_by(Rc::new(ring)),
        Err(error) => {
            info!(%error, "no io_uring here: a thread writes the log");
            disk
        }
    })
}

#[cfg(test)]
mod tests {
    use super::disk;
    use crate::cli::serve::DiskChoice;
    use raftlet_log::DirLock;
    use raftlet_log::disk::buffer::Buffer;
    use raftlet_log::disk::{Disk, Reach};

    /// The same by io_uring, where this machine has it: else the thread.
    #[test]
    fn a_ring_writes_what_a_thread_writes_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DirLock::acquire(dir.path()).unwrap();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(async {
            let disk = disk(lock, DiskChoice::Auto).unwrap();
            println!("writes are {}", disk.mode());
            let file = disk.create("a").await.unwrap();
            let mut blocks = Vec::new();
            for number in 0..64 {
                let mut block = Buffer::zeroed(8192);
                block.bytes_mut().fill(number);
                blocks.push(block);
            }
            // Each overwrites half of the one before.
            for (number, block) in (0..).zip(blocks) {
                let reach = if number % 3 == 0 { Reach::Cache } else { Reach::Durable };
                let writing = disk.write_at(&file, number * 4096, block, reach);
                let (block, result) = writing.await;
                result.unwrap();
                assert_eq!(block.len(), 8192);
            }
            let (read, bytes) = disk.read_at(&file, 0, Buffer::zeroed(65 * 4096)).await;
            assert_eq!(bytes.unwrap(), 65 * 4096);
            for (number, block) in (0..=63).chain([63]).zip(read.bytes().chunks(4096)) {
                assert!(block.iter().all(|byte| *byte == number), "block {number}");
            }
        });
    }

    /// A write that its caller gave up may still be under way: the next one
    /// must find the ring in order, and the end must not take the buffer away.
    #[test]
    fn a_write_by_ring_that_was_given_up_disturbs_no_later_one() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DirLock::acquire(dir.path()).unwrap();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(async {
            let disk = disk(lock, DiskChoice::Auto).unwrap();
            let file = disk.create("a").await.unwrap();
            // Large, so that it is still under way when its last block is
            // written again.
            const LARGE: usize = 4 << 20;
            let place = LARGE as u64 - 4096;
            for number in 0..16 {
                let mut given_up = Buffer::zeroed(LARGE);
                given_up.bytes_mut().fill(255);
                let giving_up = disk.write_at(&file, 0, given_up, Reach::Durable);
                let polled_once = tokio::select! {
                    biased;
                    done = giving_up => Some(done),
                    () = std::future::ready(()) => None,
                };
                drop(polled_once);
                let mut block = Buffer::zeroed(4096);
                block.bytes_mut().fill(number);
                let (_, result) = disk.write_at(&file, place, block, Reach::Durable).await;
                result.unwrap();
                disk.settled().await;
                let (read, bytes) = disk.read_at(&file, place, Buffer::zeroed(4096)).await;
                assert_eq!(bytes.unwrap(), 4096);
                assert!(read.bytes().iter().all(|byte| *byte == number), "{number}");
            }
            let last = disk.write_at(&file, 0, Buffer::zeroed(4096), Reach::Durable);
            tokio::select! {
                biased;
                _ = last => {}
                () = std::future::ready(()) => {}
            }
            disk.settled().await;
            let (read, _) = disk.read_at(&file, 0, Buffer::zeroed(4096)).await;
            assert!(read.bytes().iter().all(|byte| *byte == 0), "it was settled, not written");
        });
    }
}
