//! Looking at a log from outside: it finds what a start would find and more, and
//! changes nothing.

use std::path::Path;

use crate::fixture::{BLOCK, Change, claims, small, write};
use raftlet_log::inspect::{
    Depth, DumpLine, InspectError, ReadOnlyDir, Severity, Survey, dump, inspect,
};
use raftlet_log::{DiskMode, ShardLog, block_on, open_data_dir};

/// A directory with two runs, several segments and a snapshot.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        for run in 0..2u64 {
            let (disk, home) = open_data_dir(dir.path(), &claims(), DiskMode::Probe).await.unwrap();
            let (log, _) = ShardLog::open(disk, home, &small()).await.unwrap();
            let first = run * 10 + 1;
            write(&log, &[Change::of(1).vote(run + 1, 1).append(first, run + 1, 10, 3000)])
                .await
                .unwrap();
            write(&log, &[Change::of(2).vote(run + 1, 2)]).await.unwrap();
            let last = (first + 4, run + 1);
            write(&log, &[Change::of(1).compact(last.0, last.1).snapshot(last.0, last.1)])
                .await
                .unwrap();
            log.close().await.unwrap();
        }
    });
    dir
}

fn survey(dir: &Path, depth: Depth) -> Result<Survey, InspectError> {
    let dir = ReadOnlyDir::open(dir)?;
    block_on(inspect(&dir, &small(), depth))
}

fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let mut contents: Vec<_> = files
        .map(|path| (path.to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    contents.sort();
    contents
}

fn spoil(dir: &Path, prefix: &str, at: usize) {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let mut found: Vec<_> = files
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix))
        .collect();
    found.sort();
    // The newest snapshot is in use, the newest segment holds what it does not.
    let file = found.pop().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
}

#[test]
fn a_sound_log_is_told_as_it_is_and_not_touched() {
    let dir = directory();
    let before = contents(dir.path());
    let survey = survey(dir.path(), Depth::All).unwrap();
    assert!(!survey.is_damaged(), "{:?}", survey.findings);
    let group = &survey.groups[0];
    assert_eq!((group.base.index.get(), group.last.get()), (15, 20));
    assert_eq!(group.snapshot.map(|last| last.index.get()), Some(15));
    assert_eq!(survey.snapshots[0].info.map(|info| info.chunks), Some(4));
    assert_eq!(survey.segments.len() as u64, survey.report.segments);
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn damage_to_log_snapshot_and_identity_is_found_each() {
    let dir = directory();
    spoil(dir.path(), "log-", 4 * BLOCK + 100);
    let found = survey(dir.path(), Depth::Log).unwrap();
    assert!(found.is_damaged());
    assert!(found.findings.iter().any(|finding| finding.text.contains("log-")), "{found:?}");

    let dir = directory();
    spoil(dir.path(), "snap-", 2 * BLOCK);
    assert!(!survey(dir.path(), Depth::Log).unwrap().is_damaged(), "chunks are not read");
    let found = survey(dir.path(), Depth::All).unwrap();
    assert!(found.findings.iter().any(|it| it.text.contains("chunk")), "{:?}", found.findings);

    let dir = directory();
    spoil(dir.path(), "IDENTITY", 50);
    let found = survey(dir.path(), Depth::Log).unwrap();
    assert!(!found.is_damaged());
    assert!(found.findings.iter().any(|it| it.severity == Severity::Notice), "{found:?}");
}

#[test]
fn a_directory_in_use_is_not_looked_at() {
    let dir = directory();
    block_on(async {
        let _in_use = open_data_dir(dir.path(), &claims(), DiskMode::Probe).await.unwrap();
        let refused = ReadOnlyDir::open(dir.path()).unwrap_err();
        assert!(matches!(&refused, InspectError::InUse { .. }), "{refused}");
    });
    assert!(ReadOnlyDir::open(dir.path()).is_ok());
    let missing = ReadOnlyDir::open(&dir.path().join("nowhere")).unwrap_err();
    assert!(matches!(missing, InspectError::Unreadable(_)));
}

#[test]
fn a_dump_shows_every_record_also_of_a_log_that_would_not_open() {
    let lines = |dir: &Path| {
        let mut lines: Vec<DumpLine> = Vec::new();
        let dir = ReadOnlyDir::open(dir).unwrap();
        block_on(dump(&dir, &small(), |line| {
            lines.push(line);
            true
        }))
        .unwrap();
        lines
    };
    let dir = directory();
    let whole = lines(dir.path());
    for wanted in ["link to segment", "entries 1 to 10 of term 1", "is life 1", "snapshot 5@1"] {
        assert!(whole.iter().any(|line| line.text.contains(wanted)), "{wanted}: {whole:?}");
    }
    // A log whose end is cut off is refused.
    spoil(dir.path(), "log-", 2 * BLOCK + 100);
    let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    segments.retain(|path| path.to_string_lossy().contains("log-"));
    let newest = segments.iter().max().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(newest).unwrap();
    file.set_len(file.metadata().unwrap().len() - BLOCK as u64).unwrap();
    assert!(survey(dir.path(), Depth::Log).is_err());
    let spoilt = lines(dir.path());
    assert!(spoilt.iter().any(|line| line.text.contains("damaged")), "{spoilt:?}");
    assert!(spoilt.len() + 4 > whole.len());
}

#[test]
fn a_directory_without_identity_is_named_once_with_what_to_do() {
    let dir = directory();
    std::fs::remove_file(dir.path().join("IDENTITY")).unwrap();
    let found = survey(dir.path(), Depth::All).unwrap_err();
    let dumped = ReadOnlyDir::open(dir.path()).unwrap();
    let dumped = block_on(dump(&dumped, &small(), |_| true)).unwrap_err();
    for error in [found, dumped] {
        let text = error.to_string();
        assert!(matches!(&error, InspectError::NoIdentity { .. }), "{text}");
        assert!(text.starts_with(&*dir.path().to_string_lossy()), "{text}");
        assert!(std::error::Error::source(&error).is_none(), "the cause is told twice");
    }
}
