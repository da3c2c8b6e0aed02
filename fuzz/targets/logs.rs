//! A damaged disk: flipped, copied, cleared and cut blocks of a small log are
//! harmless, told, or refused; never is something missing without a word, and
//! never is there something that was not written.
//!
//! What proves the end of the log, its last frame and the mark behind it, is left
//! alone: without them a device that lost the last writes looks like one that was
//! never given them, and the log says so (`TailState::Ambiguous`).
#![no_main]

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;

use raftlet_log::{MemoryDisk, block_on};

#[path = "../../crates/log/tests/shard_log/fixture.rs"]
#[allow(dead_code, missing_docs, reason = "the tests of the crate use all of it")]
mod fixture;

use fixture::{BLOCK, Change, Model, apply, small, start, started, verdict_of, write};

/// Bytes of one damage.
const DAMAGE_BYTES: usize = 6;

thread_local! {
    static LOG: OnceCell<(MemoryDisk, Model)> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    LOG.with(|log| {
        let (disk, model) = log.get_or_init(small_log);
        let disk = disk.fork();
        let end = end_of(&disk);
        for damage in data.as_chunks::<DAMAGE_BYTES>().0 {
            spoil(&disk, *damage);
        }
        disk.put(&end.name, Some(end.restored(disk.bytes(&end.name))));
        let opened = block_on(start(&disk, &small()));
        if let Ok((log, report)) = opened {
            block_on(verdict_of(&log, &report, model, "as damaged"));
        }
    });
});

/// Three groups over several segments, with truncation, compaction, snapshots
/// and two starts.
fn small_log() -> (MemoryDisk, Model) {
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    for run in 1..=2 {
        let (log, _) = started(&disk);
        for step in 0..8 {
            for changes in steps(&model, run, step) {
                block_on(write(&log, &changes)).expect("a whole disk");
                apply(&mut model, &changes);
            }
        }
        let last = vec![Change::of(4).vote(run, 1)];
        block_on(write(&log, &last)).expect("a whole disk");
        apply(&mut model, &last);
        block_on(log.close()).expect("a whole disk");
    }
    (disk, model)
}

fn steps(model: &Model, run: u64, step: u64) -> Vec<Vec<Change>> {
    let term = run * 10 + step;
    let last = |group: u64| model.get(&group).map_or(0, fixture::GroupModel::last);
    let mut one = Change::of(1).vote(term, 1).append(last(1) + 1, term, 3, 900);
    if step == 5 {
        one = one.compact(last(1), term - 1);
        one.entries = None;
        one = one.snapshot(last(1), term - 1);
    }
    let two = Change::of(2).vote(term, 2).append(last(2) + 1, term, 1, 5000);
    let three = Change::of(3).vote(term, 0).append(last(3) + 1, term, 20, 40);
    vec![vec![one], vec![two, three]]
}

/// The last frame of the log, which takes one block, and the mark behind it.
struct End {
    name: String,
    offset: usize,
    bytes: Vec<u8>,
}

impl End {
    /// The file with the end as it was.
    fn restored(&self, content: Option<Vec<u8>>) -> Vec<u8> {
        let mut content = content.unwrap_or_default();
        content.resize(content.len().max(self.offset + self.bytes.len()), 0);
        content[self.offset..][..self.bytes.len()].copy_from_slice(&self.bytes);
        content
    }
}

fn end_of(disk: &MemoryDisk) -> End {
    let segments = disk.names().into_iter().filter(|name| name.starts_with("log-"));
    let name = segments.max().expect("a log");
    let content = disk.bytes(&name).expect("it is there");
    let last = content.chunks(BLOCK).rposition(|block| block.iter().any(|it| *it != 0));
    let offset = (last.expect("a header at least") - 1) * BLOCK;
    End { name, offset, bytes: content[offset..offset + 2 * BLOCK].to_vec() }
}

/// One damage: file, kind, and two numbers.
fn spoil(disk: &MemoryDisk, [file, kind, a, b, c, d]: [u8; DAMAGE_BYTES]) {
    let names = disk.names();
    let Some(name) = names.get(usize::from(file) % names.len().max(1)) else { return };
    let at = usize::from(u16::from_le_bytes([a, b]));
    let to = usize::from(u16::from_le_bytes([c, d]));
    disk.edit(name, |bytes| {
        let blocks = (bytes.len() / BLOCK).max(1);
        let block = |number: usize| number % blocks * BLOCK;
        match kind % 5 {
            0 => {
                let at = (at << 8 | usize::from(c)) % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= d;
                }
            }
            1 if bytes.len() >= BLOCK => {
                bytes.copy_within(block(at)..block(at) + BLOCK, block(to));
            }
            2 if bytes.len() >= BLOCK => bytes[block(at)..block(at) + BLOCK].fill(0),
            3 => bytes.truncate(at),
            4 if bytes.len() >= BLOCK => bytes.truncate(block(at)),
            _ => {}
        }
    });
}
