//! The names of files in a data directory, and what a name says.
//!
//! A segment's number stands in its name and in its blocks' stamp; one number
//! has exactly one name.

/// The file name of a segment.
pub(crate) fn segment_name(number: u64) -> String {
    format!("log-{number:016x}.wal")
}

/// The file name of a segment that is still being made.
pub(crate) fn spare_name(number: u64) -> String {
    format!("spare-{number:016x}.wal")
}

/// What a file name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A segment of the log.
    Segment(u64),
    /// One that never came into use.
    Spare,
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
    if numbered(file, "spare-").is_some() {
        return Named::Spare;
    }
    match file {
        "IDENTITY" | "IDENTITY.new" | "LOCK" | "probe.tmp" => Named::Known,
        _ => Named::Foreign,
    }
}

fn numbered(file: &str, prefix: &str) -> Option<u64> {
    let digits = file.strip_prefix(prefix)?.strip_suffix(".wal")?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    // One number has one name: no short, signed or upper-case spelling of it.
    (format!("{number:016x}") == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{Named, read_name, segment_name, spare_name};

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
