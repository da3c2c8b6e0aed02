//! `raftlet backup verify`: reads all of a backup, offline.
//!
//! Code 4 says that something is damaged or is no backup; the report is printed
//! all the same.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backup::format::{BackupId, Manifest};
use crate::backup::reading::{Piece, Reading};
use crate::backup::report::{self, MemberReport, Report};
use crate::cli::backup::VerifyArgs;
use crate::process::bar::Bar;
use crate::process::failure::{Exit, Failure};
use crate::process::print;

/// Read at a time.
pub(super) const READ_BYTES: usize = 1 << 20;
/// Ending of a backup's name.
pub(super) const EXTENSION: &str = "backup";

/// Runs the command.
///
/// # Errors
/// A backup is damaged, or there is none.
pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let files = files(&args.path)?;
    let bytes = |path: &PathBuf| path.metadata().map_or(0, |about| about.len());
    let total = files.iter().map(bytes).sum();
    let (done, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(total)));
    let mut broken = Vec::new();
    for file in &files {
        let bar = Bar::start(Arc::clone(&done), Arc::clone(&total));
        let checked = check(file, &done);
        drop(bar);
        let report = match checked {
            Ok(checked) => checked.report(file),
            Err(failure) => {
                broken.push(failure.clone());
                Report::broken(file, &failure.message)
            }
        };
        print::result(&if args.json { report.json() } else { report.text() });
    }
    match broken.as_slice() {
        [] => Ok(()),
        [only] => Err(only.clone()),
        [first, ..] => {
            let text = format!("{} of {} backups are damaged", broken.len(), files.len());
            Err(Failure::new(first.exit, format!("{text}; they are named above")))
        }
    }
}

/// A backup that was read whole and is sound.
pub(super) struct Checked {
    pub(super) backup: BackupId,
    pub(super) manifest: Manifest,
    /// Of each group.
    members: Vec<Vec<MemberReport>>,
    /// Of the file.
    bytes: u64,
}

impl Checked {
    pub(super) fn report(self, file: &Path) -> Report {
        Report::new(file, (self.backup, self.bytes), &self.manifest, self.members)
    }
}

/// Reads all of a backup; counts the bytes in `done`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(path: &Path, done: &AtomicU64) -> Result<Checked, Failure> {
    let mut reading = Reading::of_file();
    let (mut members, mut manifest, mut bytes) = (Vec::new(), None, 0);
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(|error| unreadable(path, &error))?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            break;
        };
        reading.push(piece);
        bytes += u64::try_from(read).unwrap_or(u64::MAX);
        done.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        while let Some((piece, _)) = reading.next().map_err(|broken| damaged(path, &broken))? {
            match piece {
                Piece::Group(head) => members.push(report::members(&head)),
                Piece::Chunk(_) => {}
                Piece::Manifest(found) => manifest = Some(*found),
            }
        }
    }
    let backup = reading.backup();
    reading.finish().map_err(|broken| damaged(path, &broken))?;
    match (backup, manifest) {
        (Some(backup), Some(manifest)) => Ok(Checked { backup, manifest, members, bytes }),
        _ => Err(damaged(path, &"it has no manifest")),
    }
}

/// The backups that a path means: itself, or those in it.
///
/// # Errors
/// There are none.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let listed = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut files: Vec<PathBuf> = listed
        .flatten()
        .map(|entry| entry.path())
        .filter(|file| file.extension().is_some_and(|it| it == EXTENSION) && file.is_file())
        .collect();
    files.sort();
    if files.is_empty() {
        let text = format!("there is no .{EXTENSION} in {}; name the file", path.display());
        return Err(Failure::new(Exit::Data, text));
    }
    Ok(files)
}

pub(super) fn damaged(path: &Path, what: &dyn std::fmt::Display) -> Failure {
    let text =
        format!("{} is damaged: {what}; use another copy of it, or another backup", path.display());
    Failure::new(Exit::Data, text)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let text = format!("cannot read {}: {error}; give the file of a backup", path.display());
    Failure::new(Exit::Data, text)
}
