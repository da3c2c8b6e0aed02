//! A log looked at from outside: offline, and nothing is written.
//!
//! [`inspect`] does what a start does up to its first write, then goes on where
//! a start stops: every chunk of every snapshot in use, both copies of the
//! identity, files that nothing names. [`dump`] shows what stands where, also in
//! a log that would not open.
//!
//! The directory is read through [`ReadOnlyDir`], which cannot write.

pub(crate) mod dir;
mod dump;
mod survey;

pub use dir::{InspectError, ReadOnlyDir, ReadOnlyFile};
pub use dump::{DumpLine, dump};
pub use survey::{
    Depth, Finding, GroupSurvey, SegmentSurvey, Severity, SnapshotSurvey, Survey, inspect,
};
