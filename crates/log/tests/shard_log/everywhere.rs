//! Power is lost after every operation of a script, in every way that the disk
//! allows, and again at every operation of the start behind it and of the
//! maintenance behind that. Nothing acknowledged is ever missing, nothing comes
//! back that was replaced, and what frees space may be killed anywhere.
//!
//! The gate tries a part of the ways; all of them, with the counts:
//! `RAFTLET_ALL=1 cargo test --release -p raftlet-log everywhere -- --nocapture`.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use crate::crash::{Dice, Hurried, nudge, recovered, tight, wants_all};
use crate::fixture::{BLOCK, Change, Model, apply, start, write};
use raftlet::StorageError;
use raftlet_log::disk::memory::Fate;
use raftlet_log::{LogCounters, LogOptions, MemoryDisk, ShardLog, block_on};

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Change>),
    /// Entries of 9 000 bytes for a group until the log refuses them.
    FillUp(u64),
    /// Time for maintenance: space is prepared, the tail marked.
    Idle,
    Restart,
    Close,
}

/// Votes, several groups, several blocks a frame, truncation within a frame and
/// across frames, a switch of segments with and without maintenance, starts
/// after clean and unclean ends.
fn script() -> Vec<Step> {
    let write = Step::Write;
    vec![
        write(vec![Change::of(1).vote(1, 1).append(1, 1, 2, 50)]),
        write(vec![Change::of(1).append(3, 1, 1, 9000), Change::of(2).vote(1, 2)]),
        write(vec![Change::of(1).vote(2, 0).truncate(3).append(3, 2, 2, 60)]),
        Step::Idle,
        write(vec![Change::of(2).append(1, 2, 3, 1500), Change::of(3).append(1, 1, 1, 5)]),
        write(vec![Change::of(1).truncate(2)]),
        write(vec![Change::of(1).append(2, 4, 1, 12_000)]),
        Step::Restart,
        write(vec![Change::of(2).vote(7, 3)]),
        write(vec![Change::of(3).append(2, 2, 1, 20_000)]),
        write(vec![Change::of(3).append(3, 2, 1, 20_000)]),
        Step::Close,
        Step::Restart,
        Step::Restart,
        write(vec![Change { generation: 2, ..Change::of(2) }.vote(1, 1).append(1, 1, 1, 10)]),
        write(vec![Change::of(1).append(3, 4, 2, 10)]),
        Step::Idle,
        // Rule 12: file, directory, record; then the former file goes.
        write(vec![Change::of(1).compact(2, 4).snapshot(3, 4).append(5, 4, 1, 40)]),
        write(vec![Change::of(1).compact(4, 4).snapshot(4, 4), Change::of(3).vote(2, 2)]),
        Step::Idle,
        // A log that ends before the snapshot that a leader sent.
        write(vec![Change::of(3).truncate(2).compact(40, 6).snapshot(40, 6).append(41, 6, 2, 99)]),
        Step::Restart,
        write(vec![Change::of(3).compact(41, 6)]),
        Step::Idle,
        // Segments become free, are freed and used again; groups 1 and 2 are
        // idle and are written again.
        write(vec![Change::of(3).append(43, 6, 1, 30_000)]),
        Step::Idle,
        write(vec![Change::of(3).append(44, 6, 1, 30_000)]),
        write(vec![Change::of(3).compact(43, 6).snapshot(43, 6)]),
        Step::Idle,
        write(vec![Change::of(3).append(45, 6, 2, 20_000)]),
        Step::Idle,
        Step::Restart,
        write(vec![Change::of(3).compact(45, 6).snapshot(45, 6)]),
        write(vec![Change::of(3).append(47, 6, 2, 20_000)]),
        Step::Idle,
        write(vec![Change { generation: 2, ..Change::of(2) }.vote(3, 0)]),
    ]
}

/// A log against its limit: filled up, votes and truncations that still go in,
/// snapshots that free what is full, space that is used again.
fn limited_script() -> Vec<Step> {
    let write = Step::Write;
    vec![
        write(vec![Change::of(1).vote(1, 1).append(1, 1, 2, 50), Change::of(2).vote(1, 2)]),
        Step::FillUp(1),
        write(vec![Change::of(2).vote(5, 1)]),
        write(vec![Change::of(1).truncate(2)]),
        write(vec![Change::of(1).vote(2, 1)]),
        Step::Idle,
        write(vec![Change::of(1).compact(1, 1).snapshot(1, 1)]),
        Step::Idle,
        Step::FillUp(3),
        Step::Restart,
        write(vec![Change::of(3).compact(2, 1).snapshot(2, 1)]),
        Step::Idle,
        Step::FillUp(2),
        write(vec![Change::of(2).vote(6, 0)]),
        Step::Restart,
        Step::Idle,
        write(vec![Change { generation: 2, ..Change::of(2) }.vote(1, 1)]),
        Step::Idle,
        Step::FillUp(1),
    ]
}

/// Room for a segment more than the script of the limit needs to go on.
fn limited() -> LogOptions {
    LogOptions { log_bytes_hard: 48 * BLOCK as u64, ..tight() }
}

/// A script and the log that it is played on.
#[derive(Clone, Debug)]
struct Workload {
    script: Vec<Step>,
    options: LogOptions,
    /// Every how many points the gate tries, which has no time for all of each.
    stride: u64,
}

/// How far a script came: what was acknowledged, what was under way, and what
/// the log counted.
#[derive(Clone, Debug, Default)]
struct Progress {
    acked: Model,
    in_flight: Option<Vec<Change>>,
    freed: u64,
    recycled: u64,
    moves: u64,
    snapshots: u64,
    refused: u64,
}

impl Progress {
    fn count(&mut self, counters: &LogCounters) {
        self.freed += counters.segments_freed;
        self.recycled += counters.segments_recycled;
        self.moves += counters.move_writes;
        self.snapshots += counters.snapshots_written;
        self.refused += counters.no_space;
    }
}

/// Writes, and notes what is acknowledged; `false` when the log is full.
async fn put(
    log: &ShardLog<MemoryDisk>,
    changes: &[Change],
    progress: &std::cell::RefCell<Progress>,
) -> bool {
    progress.borrow_mut().in_flight = Some(changes.to_vec());
    let result = write(log, changes).await;
    let mut progress = progress.borrow_mut();
    progress.in_flight = None;
    match result {
        Ok(()) => apply(&mut progress.acked, changes),
        Err(StorageError::NoSpace { .. }) => return false,
        Err(error) => panic!("{error}"),
    }
    true
}

async fn play(disk: &MemoryDisk, workload: &Workload, progress: &std::cell::RefCell<Progress>) {
    let mut steps = workload.script.iter().peekable();
    loop {
        let Ok((log, _)) = start(disk, &workload.options).await else {
            return;
        };
        let mut maintenance = pin!(log.maintain(Hurried::default()));
        let is_over = loop {
            match steps.next() {
                None => break true,
                Some(Step::Restart) => break false,
                Some(Step::Idle) => nudge(maintenance.as_mut()).await,
                Some(Step::Close) => log.close().await.unwrap(),
                Some(Step::Write(changes)) => {
                    assert!(put(&log, changes, progress).await, "no room for {changes:?}");
                }
                Some(Step::FillUp(group)) => loop {
                    let held = progress.borrow().acked.get(group).cloned().unwrap_or_default();
                    let term = held.term.max(held.entries.last().map_or(1, |(term, _)| *term));
                    let entry = Change { generation: held.generation.max(1), ..Change::of(*group) };
                    let entry = entry.append(held.last() + 1, term.max(1), 1, 9000);
                    if !put(&log, &[entry], progress).await {
                        break;
                    }
                },
            }
        };
        progress.borrow_mut().count(&log.counters());
        if is_over {
            return;
        }
    }
}

/// Plays the script until its `n`-th change of the disk, which never ends.
fn play_until(workload: &Workload, n: u64) -> (MemoryDisk, Progress) {
    let disk = MemoryDisk::new();
    disk.halt_at(n);
    let progress = std::cell::RefCell::default();
    {
        let mut playing = pin!(play(&disk, workload, &progress));
        let _ = playing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    let progress = progress.take();
    (disk, progress)
}

/// The disk after each crash to be tried: every subset of up to 3 pending
/// things (8 when all is wanted), else a sample; torn blocks besides.
fn crashes(disk: &MemoryDisk, dice: &mut Dice) -> Vec<MemoryDisk> {
    let pending = disk.pending();
    let mut crashed = Vec::new();
    let subsets_of = if wants_all() { 8 } else { 3 };
    let subsets = if pending <= subsets_of { 1u64 << pending } else { 0 };
    for subset in 0..subsets {
        let copy = disk.fork();
        let mut at = 0;
        copy.crash(|_| {
            at += 1;
            if subset >> (at - 1) & 1 == 1 { Fate::Kept } else { Fate::Lost }
        });
        crashed.push(copy);
    }
    let samples = if pending == 0 {
        0
    } else if wants_all() {
        24
    } else {
        4
    };
    for _ in 0..samples {
        let copy = disk.fork();
        copy.crash(|_| dice.fate());
        crashed.push(copy);
    }
    let killed = disk.fork();
    killed.kill();
    crashed.push(killed);
    crashed
}

/// How much was tried.
#[derive(Debug, Default)]
struct Trials {
    points: u64,
    crashes: u64,
    in_recovery: u64,
    in_maintenance: u64,
}

/// Crashes at every change that the workload makes to the disk, and again at
/// every change of the start behind it, and of the maintenance behind that.
fn enumerate(workload: &Workload, dice: &mut Dice) -> Trials {
    let options = &workload.options;
    let mut trials = Trials::default();
    for n in 1.. {
        let (disk, progress) = play_until(workload, n);
        if !disk.is_halted() {
            break;
        }
        trials.points += 1;
        if !wants_all() && n % workload.stride != 0 {
            continue;
        }
        let mut with_in_flight = progress.acked.clone();
        if let Some(changes) = &progress.in_flight {
            apply(&mut with_in_flight, changes);
        }
        for (at, crashed) in crashes(&disk, dice).into_iter().enumerate() {
            let what = format!("operation {n}, crash {at}");
            let first = crashed.fork();
            let model = recovered(&first, options, &what);
            let is_right = model == progress.acked || model == with_in_flight;
            assert!(is_right, "{what}: {model:?}\n{progress:?}");
            trials.crashes += 1;
            // What was recovered once stays, also when power goes right behind.
            first.crash(|_| Fate::Lost);
            assert_eq!(recovered(&first, options, &what), model, "{what}, then again");
            if at % 24 == 0 && (wants_all() || n % 4 == 0) {
                // What a killed process left unflushed may still go.
                let other = if crashed.pending() > 0 { &progress.acked } else { &model };
                let allowed = [&model, other];
                trials.in_recovery += crash_in_recovery(&crashed, options, allowed, dice, &what);
                trials.in_maintenance += crash_in_maintenance(&first, options, &model, dice, &what);
            }
        }
    }
    trials
}

#[test]
fn a_crash_at_any_point_in_any_way_loses_nothing_and_brings_nothing_back() {
    let workload = Workload { script: script(), options: tight(), stride: 1 };
    let trials = enumerate(&workload, &mut Dice(7));
    let (disk, whole) = play_until(&workload, 0);
    println!("{trials:?}; uninterrupted: {}", counted(&whole));
    let names = disk.names().into_iter();
    let oldest = names.filter(|name| name.starts_with("log-")).min().unwrap();
    assert!(oldest.as_str() > "log-0000000000000003.wal", "nothing was freed: {oldest}");
    assert!(whole.freed > 0 && whole.recycled > 0 && whole.moves > 0 && whole.snapshots > 3);
    assert!(trials.points > 60 && trials.crashes > 1000);
    assert!(trials.in_recovery > 1000 && trials.in_maintenance > 100);
}

#[test]
fn a_crash_at_any_point_of_a_log_at_its_limit_loses_nothing_and_it_goes_on() {
    let workload = Workload { script: limited_script(), options: limited(), stride: 4 };
    let trials = enumerate(&workload, &mut Dice(11));
    let (_, whole) = play_until(&workload, 0);
    println!("{trials:?}; uninterrupted: {}", counted(&whole));
    assert!(whole.refused >= 4 && whole.freed > 0 && whole.recycled > 0, "{whole:?}");
    assert!(trials.points > 60 && trials.crashes > 300 && trials.in_recovery > 50);
}

fn counted(progress: &Progress) -> String {
    let Progress { freed, recycled, moves, snapshots, refused, .. } = progress;
    format!(
        "{freed} segments freed, {recycled} used again, {moves} moves, {snapshots} snapshots, \
         {refused} refusals"
    )
}

/// Crashes after every operation of a recovery: the next one ends alike.
fn crash_in_recovery(
    disk: &MemoryDisk,
    options: &LogOptions,
    allowed: [&Model; 2],
    dice: &mut Dice,
    what: &str,
) -> u64 {
    for n in 1.. {
        let copy = disk.fork();
        copy.halt_at(n);
        {
            let mut starting = pin!(start(&copy, options));
            let _ = starting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        if !copy.is_halted() {
            return n;
        }
        copy.crash(|_| dice.fate());
        let what = format!("{what}, operation {n} of recovery");
        let model = recovered(&copy, options, &what);
        assert!(allowed.contains(&&model), "{what}: {model:?}, not {allowed:?}");
    }
    0
}

/// Crashes after every operation of what frees and prepares space behind a
/// start: the next one finds the same, and can do it again.
fn crash_in_maintenance(
    disk: &MemoryDisk,
    options: &LogOptions,
    model: &Model,
    dice: &mut Dice,
    what: &str,
) -> u64 {
    for n in 1.. {
        let copy = disk.fork();
        let (log, _) = block_on(start(&copy, options)).unwrap();
        copy.halt_at(n);
        {
            let mut maintenance = pin!(log.maintain(Hurried::default()));
            block_on(nudge(maintenance.as_mut()));
            if !copy.is_halted() {
                return n;
            }
        }
        drop(log);
        copy.crash(|_| dice.fate());
        let what = format!("{what}, operation {n} of maintenance");
        assert_eq!(recovered(&copy, options, &what), *model, "{what}");
    }
    0
}
