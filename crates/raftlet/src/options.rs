//! What an embedder may choose for a shard.
//!
//! [`ShardOptions`] is public fields with defaults; the crate takes only
//! [`ShardSettings`], whose conversion holds every rule across fields.

use std::time::Duration;

use crate::forward::FORWARDS_IN_FLIGHT_MAX;
use raftlet_core::{Incarnation, NodeId, Options, OptionsError, Run, Settings};

/// Which node a shard belongs to, in which life and run (rules 3, 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeSeat {
    /// The node.
    pub node: NodeId,
    /// The life of its data directory.
    pub incarnation: Incarnation,
    /// Its start counter.
    pub run: Run,
}

/// Choices for one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardOptions {
    /// For every group, alike on all members.
    pub group: Options,
    /// Bytes of log entries that all groups of the shard may keep in memory
    /// once durable; older ones are read back from storage. Default 32 MiB.
    pub log_memory_bytes_max: usize,
    /// How long a proposal may stay without outcome: then it ends *not done*
    /// if no leader took it, else *unknown*. Default 5 s.
    pub propose_timeout: Duration,
    /// How long a read may wait. Default 5 s.
    pub read_timeout: Duration,
    /// Whether members that do not lead pass proposals on (D8). Default yes.
    pub forwarding: bool,
    /// Proposals without outcome. More are refused as busy. Default 65 536.
    pub proposals_max: usize,
    /// Bytes of proposals without outcome. Default 64 MiB.
    pub proposal_bytes_max: usize,
    /// Reads without outcome. More are refused as busy. Default 65 536.
    pub reads_max: usize,
    /// Messages that wait for the loop. More are dropped and counted; the
    /// protocol repairs. Default 65 536.
    pub inbox_messages_max: usize,
    /// Bytes of messages that wait for the loop; one group gets at most a
    /// quarter. Default 64 MiB.
    pub inbox_bytes_max: usize,
    /// Messages, proposals and reads that one turn takes. Default 4 096: some
    /// ten milliseconds of work at the very most.
    pub turn_inputs_max: usize,
    /// Bytes of messages and proposals that one turn takes. Default 8 MiB.
    pub turn_bytes_max: usize,
    /// Bytes gathered for the next write before proposals wait. Default 8 MiB.
    pub gather_bytes_max: usize,
    /// Bytes of commands that one propose call, forward or append to the log
    /// takes. Default 1 MiB; one larger command goes alone.
    pub chunk_bytes_max: usize,
    /// Entries handed to the state machine at once: a millisecond or two. Default 1 024.
    pub apply_entries_max: usize,
    /// Bytes handed to the state machine at once. Default 1 MiB.
    pub apply_bytes_max: usize,
    /// Reads from storage under way. Default 16.
    pub fetches_max: usize,
    /// A group's machine is written down when so many bytes of entries were
    /// applied since the last time. Default 64 MiB.
    pub snapshot_log_bytes: usize,
    /// The same in entries. Default 1 048 576.
    pub snapshot_log_entries: u64,
    /// Bytes of entries that stay behind a snapshot, for members a little
    /// behind; up to four times as many where a live member needs them.
    /// Default 8 MiB.
    pub snapshot_tail_bytes: usize,
    /// The same in entries; the shorter of both counts. Default 65 536.
    pub snapshot_tail_entries: u64,
    /// Bytes of entries that stay in the log behind a snapshot which is on its way
    /// to a member, and until the member has them too: without them it would need
    /// another snapshot, again and again while callers write. With 1 GiB on its
    /// way at 32 MiB/s, 64 MiB stay where callers write 2 MiB/s. Storage that
    /// wants space and has none to spare gets it all the same, and a member that does not get on for
    /// half a minute is not waited for. 0 for none. Default 1 GiB.
    pub snapshot_hold_bytes_max: usize,
    /// Bytes a second of a snapshot on its way to another member; 0 for as fast
    /// as it goes. Default 0.
    pub snapshot_bytes_per_second: u64,
    /// Snapshots on their way from this shard, and to it, at once. Others wait
    /// for their turn. Default 2.
    pub snapshot_transfers_max: usize,
    /// How long a shard that expects something soon looks for it before its
    /// thread may sleep, 1 ms at most; 0 for not at all. It looks by
    /// `Clock::pause`, which must reach the sockets to find anything, and lets
    /// other threads of the machine run in between by `Clock::lend_core`. In
    /// return for some CPU, at most an eighth of a core where nothing is found,
    /// messages one by one are answered without waiting for a core to wake
    /// (D61, D64). Default 0.
    pub idle_poll: Duration,
    /// Where election timeouts come from: another number on every node.
    pub seed: u64,
}

impl Default for ShardOptions {
    fn default() -> Self {
        Self {
            group: Options::default(),
            log_memory_bytes_max: 32 << 20,
            propose_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
            forwarding: true,
            proposals_max: 1 << 16,
            proposal_bytes_max: 64 << 20,
            reads_max: 1 << 16,
            inbox_messages_max: 1 << 16,
            inbox_bytes_max: 64 << 20,
            turn_inputs_max: 1 << 12,
            turn_bytes_max: 8 << 20,
            gather_bytes_max: 8 << 20,
            chunk_bytes_max: 1 << 20,
            apply_entries_max: 1 << 10,
            apply_bytes_max: 1 << 20,
            fetches_max: 16,
            snapshot_log_bytes: 64 << 20,
            snapshot_log_entries: 1 << 20,
            snapshot_tail_bytes: 8 << 20,
            snapshot_tail_entries: 1 << 16,
            snapshot_hold_bytes_max: 1 << 30,
            snapshot_bytes_per_second: 0,
            snapshot_transfers_max: 2,
            idle_poll: Duration::ZERO,
            seed: 0,
        }
    }
}

/// Choices that fit together.
#[derive(Clone, Debug)]
pub(crate) struct ShardSettings {
    pub(crate) options: ShardOptions,
    pub(crate) group: Settings,
}

impl TryFrom<ShardOptions> for ShardSettings {
    type Error = OptionsError;

    fn try_from(mut options: ShardOptions) -> Result<Self, OptionsError> {
        let group = Settings::try_from(options.group.clone())?;
        for (field, value) in [
            ("proposals_max", options.proposals_max),
            ("reads_max", options.reads_max),
            ("inbox_messages_max", options.inbox_messages_max),
            ("turn_inputs_max", options.turn_inputs_max),
            ("turn_bytes_max", options.turn_bytes_max),
            ("gather_bytes_max", options.gather_bytes_max),
            ("chunk_bytes_max", options.chunk_bytes_max),
            ("apply_entries_max", options.apply_entries_max),
            ("apply_bytes_max", options.apply_bytes_max),
            ("fetches_max", options.fetches_max),
            ("snapshot_log_bytes", options.snapshot_log_bytes),
            ("snapshot_transfers_max", options.snapshot_transfers_max),
        ] {
            if value == 0 {
                return Err(refuse(field, value, "at least 1"));
            }
        }
        let command = options.group.command_bytes_max;
        if options.proposal_bytes_max < command {
            let must_be = "at least command_bytes_max: the largest command must fit";
            return Err(refuse("proposal_bytes_max", options.proposal_bytes_max, must_be));
        }
        let append = options.group.append_bytes_max.max(command);
        if options.inbox_bytes_max / 4 < append {
            let must_be = "at least four times command_bytes_max and append_bytes_max: \
                           one group's quarter must hold its largest message";
            return Err(refuse("inbox_bytes_max", options.inbox_bytes_max, must_be));
        }
        if options.idle_poll > IDLE_POLL_MAX {
            let got = format!("{:?}", options.idle_poll);
            let must_be = "at most 1 ms: a longer wait is worth a sleep";
            return Err(OptionsError { field: "idle_poll", got, must_be });
        }
        // A chunk must fit beside another one into what a leader may hold
        // uncommitted, else it would be refused for ever.
        let chunk = options.group.uncommitted_bytes_max / 4;
        options.chunk_bytes_max = options.chunk_bytes_max.min(chunk);
        Ok(Self { options, group })
    }
}

/// A core takes less to wake.
const IDLE_POLL_MAX: Duration = Duration::from_millis(1);

fn refuse(field: &'static str, got: usize, must_be: &'static str) -> OptionsError {
    OptionsError { field, got: got.to_string(), must_be }
}

/// Commands of one propose call or forward.
pub(crate) const CHUNK_COMMANDS_MAX: usize = 1 << 12;
const _: () = assert!(CHUNK_COMMANDS_MAX <= raftlet_core::CHUNK_LEN_MAX);
const _: () = assert!(CHUNK_COMMANDS_MAX <= FORWARDS_IN_FLIGHT_MAX);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ShardOptions, ShardSettings};

    #[test]
    fn the_defaults_fit_together_and_a_zero_limit_is_refused_by_name() {
        ShardSettings::try_from(ShardOptions::default()).unwrap();
        let none = ShardOptions { reads_max: 0, ..ShardOptions::default() };
        assert_eq!(ShardSettings::try_from(none).unwrap_err().field, "reads_max");
    }

    #[test]
    fn a_shard_that_would_look_for_longer_than_a_core_takes_to_wake_is_refused() {
        let patient = |idle_poll| ShardOptions { idle_poll, ..ShardOptions::default() };
        ShardSettings::try_from(patient(Duration::from_millis(1))).unwrap();
        let error = ShardSettings::try_from(patient(Duration::from_micros(1_001))).unwrap_err();
        assert_eq!(error.field, "idle_poll");
    }

    #[test]
    fn an_inbox_that_could_not_hold_the_largest_message_is_refused() {
        let small = ShardOptions { inbox_bytes_max: 1 << 20, ..ShardOptions::default() };
        let error = ShardSettings::try_from(small).unwrap_err();
        assert_eq!(error.field, "inbox_bytes_max");
    }
}
