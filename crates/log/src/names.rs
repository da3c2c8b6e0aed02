//! The names of files in a data directory, and what a name says.
//!
//! A segment's number stands in its name and in its blocks' stamp; one number
//! has exactly one name. So it is with a snapshot's group and log id.

use raftlet::core::{GroupId, Index, LogId, Term};

/// Behind the name of a snapshot that is damaged.
const CONDEMNED: &str = ".damaged";

/// The file that keeps room (`reserve.rs`).
pub(crate) const RESERVE_NAME: &str = "RESERVE";

/// The file name of a segment.
pub(crate) fn segment_name(number: u64) -> String {
    format!("log-{number:016x}.wal")
}

/// The file name of a segment that is still being made.
pub(crate) fn spare_name(number: u64) -> String {
    format!("spare-{number:016x}.wal")
}

/// The file name of a finished snapshot.
pub(crate) fn snapshot_name(group: GroupId, last: LogId) -> String {
    format!("snap-{:016x}-{:016x}-{:016x}", group.get(), last.term.get(), last.index.get())
}

/// The file name of a snapshot that was in use and is damaged.
pub(crate) fn condemned_name(group: GroupId, last: LogId) -> String {
    format!("{}{CONDEMNED}", snapshot_name(group, last))
}

/// The file name of a snapshot that is being written, the `nth` of this run.
pub(crate) fn part_name(group: GroupId, last: LogId, nth: u64) -> String {
    format!("{}-{nth:x}.part", snapshot_name(group, last))
}

/// What a file name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A segment of the log.
    Segment(u64),
    /// One that never came into use, or part of a snapshot.
    Spare,
    /// A snapshot that was finished.
    Snapshot(GroupId, LogId),
    /// One that was in use and is damaged (`forsaken.rs`).
    Condemned(GroupId, LogId),
    /// The backup that this directory is to begin with, or part of it.
    Restore,
    /// Something else of this data directory.
    Known,
    /// Nothing that this program made.
    Foreign,
}

/// Reads a file name.
pub(crate) fn read_name(file: &str) -> Named {
    if let Some(number) = numbered(file, "log-") {
        return Named::Segment(number);
    }
    let is_part = file.starts_with("snap-") && file.ends_with(".part");
    if is_part || numbered(file, "spare-").is_some() {
        return Named::Spare;
    }
    if let Some((group, last)) = snapshot(file) {
        return Named::Snapshot(group, last);
    }
    if let Some((group, last)) = file.strip_suffix(CONDEMNED).and_then(snapshot) {
        return Named::Condemned(group, last);
    }
    match file {
        "RESTORE" | "RESTORE.part" => Named::Restore,
        "IDENTITY" | "IDENTITY.new" | "FOUNDING" | "FOUNDING.part" | "LOCK" | RESERVE_NAME
        | "probe.tmp" => Named::Known,
        _ => Named::Foreign,
    }
}

fn numbered(file: &str, prefix: &str) -> Option<u64> {
    let digits = file.strip_prefix(prefix)?.strip_suffix(".wal")?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    // One number has one name: no short, signed or upper-case spelling of it.
    (format!("{number:016x}") == digits).then_some(number)
}

fn snapshot(file: &str) -> Option<(GroupId, LogId)> {
    let mut numbers = file.strip_prefix("snap-")?.split('-');
    let mut number = || u64::from_str_radix(numbers.next()?, 16).ok();
    let group = GroupId::new(number()?);
    let last = LogId { term: Term::new(number()?), index: Index::new(number()?) };
    (snapshot_name(group, last) == file).then_some((group, last))
}

#[cfg(test)]
mod tests {
    use super::{
        Named, condemned_name, part_name, read_name, segment_name, snapshot_name, spare_name,
    };
    use raftlet::core::{GroupId, Index, LogId, Term};

    #[test]
    fn a_snapshot_has_one_name_and_its_parts_are_never_taken_for_it() {
        let last = LogId { term: Term::new(0xa), index: Index::new(255) };
        let name = snapshot_name(GroupId::new(3), last);
        assert_eq!(read_name(&name), Named::Snapshot(GroupId::new(3), last));
        assert_eq!(read_name(&part_name(GroupId::new(3), last, 17)), Named::Spare);
        assert_eq!(read_name(&name.to_uppercase().replace("SNAP", "snap")), Named::Foreign);
        assert_eq!(read_name(&format!("{name}-0")), Named::Foreign);
        let condemned = condemned_name(GroupId::new(3), last);
        assert_eq!(read_name(&condemned), Named::Condemned(GroupId::new(3), last));
    }

    #[test]
    fn a_segment_has_one_name_and_others_are_not_taken_for_it() {
        assert_eq!(read_name(&segment_name(0x1f)), Named::Segment(0x1f));
        assert_eq!(read_name(&spare_name(2)), Named::Spare);
        assert_eq!(read_name("log-000000000000001F.wal"), Named::Foreign);
        assert_eq!(read_name("log-1f.wal"), Named::Foreign);
        assert_eq!(read_name("log-+00000000000001f.wal"), Named::Foreign);
        assert_eq!(read_name("log-000000000000001f.wal.bak"), Named::Foreign);
    }
}
