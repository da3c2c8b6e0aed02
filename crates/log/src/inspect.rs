//! A log looked at from outside: offline, and nothing is written.
//!
//! [`inspect`] does what a start does up to its first write, then goes on where
//! a start stops: every chunk of every snapshot in use, both copies of the
//! identity, files that nothing names. [`inspect_refused`] goes on where a start
//! is refused. [`dump`] shows what stands where, also in
//! a log that would not open.
//!
//! The directory is read through [`ReadOnlyDir`], which cannot write.

mod beyond;
pub(crate) mod dir;
mod dump;
mod survey;

pub use beyond::inspect_refused;
pub use dir::{InspectError, ReadOnlyDir, ReadOnlyFile};
pub use dump::{DumpLine, dump};
pub use survey::{
    Depth, Finding, GroupSurvey, SegmentSurvey, Severity, SnapshotSurvey, Survey, inspect,
};
