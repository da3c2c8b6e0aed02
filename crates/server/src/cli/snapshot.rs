//! When a node writes its groups down (`raftlet serve`), and telling one to
//! (`raftlet snapshot`).

use clap::Args;

use crate::cli::ask::GroupsAskArgs;

/// When groups are written down, and how much of their logs stays.
#[derive(Args, Clone, Debug)]
pub(crate) struct SnapshotArgs {
    /// A group is written down when its log has grown by so many bytes.
    #[arg(long, env = "RAFTLET_SNAPSHOT_LOG_BYTES", default_value_t = 64 << 20,
          value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=1 << 50))]
    pub(crate) snapshot_log_bytes: u64,
    /// The same in entries of the log.
    #[arg(long, env = "RAFTLET_SNAPSHOT_LOG_ENTRIES", default_value_t = 1 << 20,
          value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 50))]
    pub(crate) snapshot_log_entries: u64,
    /// Bytes of log that stay behind a snapshot, for members a little behind.
    #[arg(long, env = "RAFTLET_SNAPSHOT_TAIL_BYTES", default_value_t = 8 << 20,
          value_name = "BYTES", value_parser = clap::value_parser!(u64).range(0..=1 << 50))]
    pub(crate) snapshot_tail_bytes: u64,
    /// The same in entries; the shorter of both counts.
    #[arg(long, env = "RAFTLET_SNAPSHOT_TAIL_ENTRIES", default_value_t = 1 << 16,
          value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1 << 50))]
    pub(crate) snapshot_tail_entries: u64,
    /// Bytes of log that stay behind a snapshot on its way to a node, and until
    /// the node has them too; beyond that it may need another snapshot.
    #[arg(long, env = "RAFTLET_SNAPSHOT_HOLD_BYTES", default_value_t = 1 << 30,
          value_name = "BYTES", value_parser = clap::value_parser!(u64).range(0..=1 << 50))]
    pub(crate) snapshot_hold_bytes: u64,
    /// Bytes a second of a snapshot on its way to another node; 0: as fast as it
    /// goes.
    #[arg(
        long,
        env = "RAFTLET_SNAPSHOT_BYTES_PER_SECOND",
        default_value_t = 0,
        value_name = "BYTES"
    )]
    pub(crate) snapshot_bytes_per_second: u64,
}

/// Write groups down now and let their logs go, but for the tail. Each node
/// takes its own.
#[derive(Args, Debug)]
#[command(
    mut_arg("group", |arg| arg.help("The group. Default: all that the node has")),
    mut_arg("timeout_ms", |arg| arg.default_value("600000"))
)]
pub(crate) struct TakeSnapshotArgs {
    #[command(flatten)]
    pub(crate) ask: GroupsAskArgs,
}
