//! Power is lost: what of a torn tail, of a batch of several frames and of a
//! killed process's cache is there afterwards.
//!
//! Not here: crashes at every change of a whole script (`everywhere.rs`).

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::fixture::{BLOCK, Change, Model, apply, held, small, start, started, write};
use raftlet::Clock;
use raftlet::core::{Now, Time, WallMs};
use raftlet_log::disk::memory::{Fate, Fault, Pending, Wrong};
use raftlet_log::{LogOptions, MemoryDisk, TailState, block_on};

/// A clock on which every wait ends at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hurried(Rc<Cell<u64>>);

impl Clock for Hurried {
    fn now(&self) -> Now {
        Now { time: Time::from_ns(self.0.get()), wall: WallMs(0) }
    }

    async fn sleep_until(&self, deadline: Time) {
        self.0.set(self.0.get().max(deadline.ns()));
    }
}

/// Polls once: on a simulated disk all is done then that can be.
pub(crate) async fn nudge<F: Future>(mut future: std::pin::Pin<&mut F>) {
    poll_fn(|context| {
        let _ = future.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}

/// A small generator: tests name their seeds.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn fate(&mut self) -> Fate {
        match self.roll() % 4 {
            0 => Fate::Lost,
            1 | 2 => Fate::Kept,
            _ => Fate::Torn(self.roll().to_le_bytes()[0]),
        }
    }
}

/// Whether all is tried that can be, for minutes, instead of what the gate has
/// time for: `RAFTLET_ALL=1 cargo test --release -p raftlet-log`.
pub(crate) fn wants_all() -> bool {
    std::env::var_os("RAFTLET_ALL").is_some()
}

/// So little log that garbage is collected in the script.
pub(crate) fn tight() -> LogOptions {
    LogOptions { log_bytes_soft: 16 * BLOCK as u64, ..small() }
}

pub(crate) fn recovered(disk: &MemoryDisk, options: &LogOptions, what: &str) -> Model {
    let (log, _) = block_on(start(disk, options)).unwrap_or_else(|error| panic!("{what}: {error}"));
    block_on(held(&log)).unwrap()
}

#[test]
fn twenty_crashes_at_the_same_place_leave_the_log_readable_and_small() {
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    {
        let (log, _) = started(&disk);
        let changes = [Change::of(1).vote(1, 1).append(1, 1, 3, 100)];
        block_on(write(&log, &changes)).unwrap();
        apply(&mut model, &changes);
    }
    for round in 0..20 {
        let (log, _) = started(&disk);
        disk.halt_at(1);
        {
            let changes = [Change::of(1).append(4, 2, 1, 20_000)];
            let mut torn = pin!(write(&log, &changes));
            let _ = torn.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        drop(log);
        // The torn frame gets shorter from round to round.
        disk.crash(|pending| match pending {
            Pending::Block { block, .. } if block % 5 >= round % 5 => Fate::Lost,
            _ => Fate::Kept,
        });
        let bytes: usize = disk.names().iter().map(|name| disk.bytes(name).unwrap().len()).sum();
        assert!(bytes < 60 * BLOCK, "{bytes} bytes after round {round}");
        let (log, _) = started(&disk);
        assert_eq!(block_on(held(&log)).unwrap(), model, "round {round}");
    }
}

#[test]
fn a_directory_stays_small_however_often_its_process_is_killed() {
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    let mut index = 1;
    for round in 0..8 {
        let (log, _) = block_on(start(&disk, &LogOptions::default())).unwrap();
        let mut maintenance = pin!(log.maintain(Hurried::default()));
        block_on(nudge(maintenance.as_mut()));
        for _ in 0..4 {
            let changes = [Change::of(1).append(index, 1, 1, 1000)];
            block_on(write(&log, &changes)).unwrap();
            apply(&mut model, &changes);
            index += 1;
        }
        drop(log);
        disk.kill();
        let bytes: usize = disk.names().iter().map(|name| disk.bytes(name).unwrap().len()).sum();
        // The segment in use and the one prepared behind it; besides, what was
        // written and a head and a link for each start; the reserve.
        let segments = (4 << 20) + (8 << 20) + (128 << 10) + 16 * BLOCK * (round + 1);
        let bound = segments + (16 << 20);
        assert!(bytes <= bound, "{bytes} bytes after round {round}");
    }
    let (log, _) = block_on(start(&disk, &LogOptions::default())).unwrap();
    assert_eq!(block_on(held(&log)).unwrap(), model);
}

#[test]
fn a_torn_tail_is_counted_and_the_terms_before_it_stand() {
    for torn in 1..8u8 {
        let disk = MemoryDisk::new();
        let mut model = Model::new();
        let (log, _) = started(&disk);
        let changes = [Change::of(1).vote(3, 1), Change::of(2).vote(4, 2).append(1, 4, 1, 10)];
        block_on(write(&log, &changes)).unwrap();
        apply(&mut model, &changes);
        disk.halt_at(1);
        let lost = [
            Change::of(1).vote(9, 9).append(1, 9, 1, 4000),
            Change::of(2).append(2, 9, 1, 4000),
            Change::of(3).append(1, 9, 1, 3000),
        ];
        {
            let mut writing = pin!(write(&log, &lost));
            let _ = writing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        drop(log);
        let mut at = 0;
        disk.crash(|_| {
            at += 1;
            if torn == 7 {
                // Old and new within one block.
                return if at == 3 { Fate::Torn(0b1010_1010) } else { Fate::Kept };
            }
            if torn >> (at - 1) & 1 == 1 { Fate::Kept } else { Fate::Lost }
        });
        assert_eq!(at, 3, "a frame of three blocks");
        let (log, report) = started(&disk);
        assert_eq!(report.tail, TailState::Torn);
        assert_eq!(report.garbled_blocks, u64::from(torn == 7));
        assert!(report.trimmed_blocks > 0);
        assert_eq!(block_on(held(&log)).unwrap(), model);
    }
}

#[test]
fn a_batch_of_several_frames_counts_whole_or_not_at_all() {
    // Law 2 of the port, cut after each of its device writes, with space
    // for all of it prepared before.
    let big = [
        Change::of(1).vote(5, 1).append(1, 1, 3, 900 << 10),
        Change::of(2).vote(6, 2).append(1, 1, 1, 10),
    ];
    let options = LogOptions { prepare_bytes: 4 << 20, ..LogOptions::default() };
    for frames in 0..4 {
        let disk = MemoryDisk::new();
        let mut model = Model::new();
        let (log, _) = block_on(start(&disk, &options)).unwrap();
        let small = [Change::of(2).vote(1, 1)];
        block_on(write(&log, &small)).unwrap();
        apply(&mut model, &small);
        disk.inject(Fault {
            operation: "write",
            file: String::new(),
            skip: frames,
            times: 1,
            wrong: Wrong::Fails(std::io::ErrorKind::Other),
        });
        let result = block_on(write(&log, &big));
        assert_eq!(result.is_err(), frames < 3, "after {frames} frames");
        if result.is_ok() {
            apply(&mut model, &big);
        }
        drop(log);
        disk.crash(|_| Fate::Lost);
        let (log, report) = block_on(start(&disk, &options)).unwrap();
        assert_eq!(block_on(held(&log)).unwrap(), model, "after {frames} frames");
        assert_eq!(report.tail == TailState::Torn, (1..3).contains(&frames));
    }
}

#[test]
fn a_frame_that_never_reached_the_disk_leaves_no_trace() {
    let disk = MemoryDisk::new();
    let (log, _) = started(&disk);
    disk.halt_at(1);
    {
        let changes = [Change::of(1).append(1, 1, 1, 9000)];
        let mut lost = pin!(write(&log, &changes));
        let _ = lost.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    drop(log);
    disk.crash(|_| Fate::Lost);
    let (log, report) = started(&disk);
    assert_eq!((report.tail, report.trimmed_blocks), (TailState::Ambiguous, 0));
    assert_eq!(block_on(held(&log)).unwrap(), Model::new());
}

#[test]
fn what_a_killed_process_left_in_the_cache_is_flushed_before_the_next_ack() {
    let disk = MemoryDisk::new();
    let (log, _) = started(&disk);
    disk.halt_at(1);
    let changes = [Change::of(1).vote(1, 1).append(1, 1, 1, 9000)];
    {
        let mut unflushed = pin!(write(&log, &changes));
        let _ = unflushed.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    drop(log);
    disk.kill();
    let mut model = Model::new();
    apply(&mut model, &changes);
    let (log, _) = started(&disk);
    assert_eq!(block_on(held(&log)).unwrap(), model, "it was read, so it counts");
    block_on(write(&log, &[Change::of(2).vote(1, 1)])).unwrap();
    drop(log);
    disk.crash(|_| Fate::Lost);
    apply(&mut model, &[Change::of(2).vote(1, 1)]);
    assert_eq!(recovered(&disk, &tight(), "after power loss"), model);
}

#[test]
fn idleness_marks_the_tail_once_and_prepares_the_next_segment() {
    let disk = MemoryDisk::new();
    let (log, _) = started(&disk);
    block_on(async {
        let mut maintenance = pin!(log.maintain(Hurried::default()));
        write(&log, &[Change::of(1).append(1, 1, 1, 10)]).await.unwrap();
        nudge(maintenance.as_mut()).await;
        nudge(maintenance.as_mut()).await;
        assert_eq!(log.counters().mark_writes, 1);
        let before = log.counters();
        for index in 2..14 {
            write(&log, &[Change::of(1).append(index, 1, 1, 3000)]).await.unwrap();
        }
        let after = log.counters();
        assert_eq!(log.segments(), 2);
        assert_eq!(after.space_waits, before.space_waits, "the next segment was ready");
        assert_eq!(after.log_writes - before.log_writes, 12);
        nudge(maintenance.as_mut()).await;
        assert_eq!(log.counters().mark_writes, 2);
    });
    drop(log);
    let (log, report) = started(&disk);
    assert_eq!(report.tail, TailState::Marked);
    drop(log);
    let spare: Vec<String> = disk.names().into_iter().filter(|n| n.starts_with("spare")).collect();
    assert!(spare.is_empty(), "{spare:?}");
    let segments = disk.names().iter().filter(|name| name.starts_with("log-")).count();
    assert_eq!(segments, 3, "the two in use and the new one; the unused one is gone");
}

#[test]
fn a_finished_segment_that_ends_early_is_cut_off_and_a_full_one_is_kept_for_use() {
    for (entries, is_cut) in [(1, true), (11, false)] {
        let disk = MemoryDisk::new();
        let (log, _) = started(&disk);
        let mut maintenance = pin!(log.maintain(Hurried::default()));
        for index in 1..=entries {
            block_on(write(&log, &[Change::of(1).append(index, 1, 1, 3000)])).unwrap();
        }
        block_on(write(&log, &[Change::of(2).append(1, 1, 1, 52_000)])).unwrap();
        assert_eq!(log.segments(), 2);
        block_on(nudge(maintenance.as_mut()));
        let first = disk.names().into_iter().find(|name| name.starts_with("log-")).unwrap();
        let bytes = disk.bytes(&first).unwrap().len();
        assert_eq!(bytes < 16 * BLOCK, is_cut, "{entries} entries, {bytes} bytes");
    }
}
