//! Backups: taken from a running cluster, looked at, and made the beginning of
//! a new one.
//!
//! ```text
//! node:    snapshot of a group ─▶ give ─▶ POST /backup
//! create:  ─▶ reading (checks) ─▶ draft ─▶ FILE          one after the other group
//! verify:  FILE ─▶ reading ─▶ report
//! restore: FILE ─▶ reading ─▶ DIR/RESTORE, then DIR/IDENTITY
//! serve:   DIR/RESTORE ─▶ roll call ─▶ founding ─▶ snapshots in the log
//! ```
//!
//! Where what is:
//! - `backup/format.rs`: the bytes, specified in `docs/format-backup.md`;
//!   `backup/reading.rs`: in which order they may come.
//! - `backup/give.rs`: a node gives a group's state away.
//! - `backup/create.rs`, `backup/verify.rs`, `backup/restore.rs`: the commands,
//!   on `backup/draft.rs` and `backup/report.rs`.
//! - `backup/founding.rs`: the first start of what was restored.
//!
//! Invariant: whatever is read is under a checksum, and nothing that fails one
//! becomes data (rule 11).

mod calendar;
mod create;
mod draft;
pub(crate) mod format;
pub(crate) mod founding;
pub(crate) mod give;
pub(crate) mod reading;
mod report;
mod restore;
mod verify;

use crate::cli::backup::BackupCommand;
use crate::process::failure::Failure;

/// Does what was asked.
///
/// # Errors
/// It could not be done, or something is damaged.
pub(crate) async fn run(command: &BackupCommand) -> Result<(), Failure> {
    match command {
        BackupCommand::Create(args) => create::run(args).await,
        BackupCommand::Verify(args) => verify::run(args),
        BackupCommand::Restore(args) => restore::run(args).await,
    }
}
