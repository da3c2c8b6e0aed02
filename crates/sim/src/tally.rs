//! How often rare things happened.
//!
//! A schedule that never truncates proves nothing about truncation. Every rare
//! thing is counted by name, summed over the runs of a batch, and those that
//! never happened are reported as missed.

use std::ops::AddAssign;

macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident = $name:literal,)*) => {
        /// Something that should happen sometimes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mark {
            $($(#[$doc])* $mark,)*
        }

        /// Their names, in order.
        const NAMES: &[&str] = &[$($name),*];
        const MARKS: &[Mark] = &[$(Mark::$mark),*];
    };
}

marks! {
    /// A member became leader of a term.
    Election = "elections",
    /// A leader saw no quorum and stepped down.
    QuorumLost = "quorum_lost",
    /// A pre-vote was refused.
    PreVoteRefused = "pre_votes_refused",
    /// A vote was refused.
    VoteRefused = "votes_refused",
    /// A vote was decided while an earlier write was under way.
    VoteBehindWrite = "votes_behind_a_write",
    /// The committed prefix of the group grew.
    Commit = "commits",
    /// A leader committed entries of an earlier leader with its own.
    InheritedCommit = "commits_of_inherited_entries",
    /// A leader committed before its own copy was durable.
    CommitAheadOfSelf = "commits_ahead_of_the_leaders_disk",
    /// A member handed out a truncation.
    Truncation = "truncations",
    /// Entries were written again while the truncated ones were being written.
    OverwriteInFlight = "overwrites_in_flight",
    /// An append was refused because the logs did not meet.
    Reject = "rejected_appends",
    /// A follower held entries back because its disk was behind.
    Throttle = "throttled_appends",
    /// A member started again.
    Restart = "restarts",
    /// All members went down at once.
    Blackout = "blackouts",
    /// A crash lost writes.
    LostWrites = "crashes_that_lost_writes",
    /// A disk lost entries that were acknowledged.
    Damage = "disks_damaged",
    /// It lost entries again before the former ones were there again.
    DamageAgain = "disks_damaged_during_a_refill",
    /// A snapshot was damaged, and with it all of the log was lost.
    SnapshotDamaged = "snapshots_damaged",
    /// It was, before an earlier loss was made good.
    SnapshotDamagedAgain = "snapshots_damaged_during_a_refill",
    /// A snapshot was damaged whose log goes without.
    SnapshotForgone = "snapshots_damaged_of_whole_logs",
    /// A disk was damaged while another member was harmed.
    DamageOfSeveral = "disks_damaged_beside_another",
    /// A chunk of a snapshot was damaged and nobody knew.
    Rot = "chunks_damaged",
    /// A machine was to be restored from it.
    RotMet = "chunks_damaged_met_by_a_restore",
    /// It was to be sent.
    RotNotSent = "chunks_damaged_met_by_a_sender",
    /// A start found that all is lost before anything was written since.
    LossFound = "starts_without_a_log",
    /// What was lost is there again.
    Refilled = "refills_ended",
    /// A crash took back some of what a machine with durable state had applied.
    KeeperFell = "machines_taken_back_by_a_crash",
    /// Damage left a machine with more than its log has.
    KeeperAhead = "machines_ahead_of_a_damaged_log",
    /// A machine was not given an entry that it has.
    KeeperSkips = "entries_machines_had_already",
    /// A machine waited until its own disk had what was committed.
    KeeperWaits = "machines_waited_for_their_disk",
    /// A machine was restored from a snapshot that it was ahead of.
    KeeperBack = "machines_restored_from_behind",
    /// No quorum had room, as far as the leader was told.
    QuorumFull = "proposals_refused_without_room",
    /// A crash came after the disk was done but before the core was told.
    UntoldWrites = "crashes_with_untold_writes",
    /// Several completions were told as one.
    FoldedCompletion = "folded_completions",
    /// A term and vote became durable ahead of what waited before them.
    HardStateAhead = "hard_states_ahead",
    /// Entries came back from storage.
    Fetch = "fetches",
    /// A fetch failed.
    FetchFailed = "fetches_failed",
    /// A fetch ended when the office that had asked for it was over.
    FetchLate = "fetches_ended_after_the_office",
    /// Entries were applied from storage, not from memory.
    ColdApply = "cold_applies",
    /// A snapshot was taken and the log compacted.
    SnapshotTaken = "snapshots_taken",
    /// A snapshot was no news any more when it was finished.
    SnapshotStale = "snapshots_stale",
    /// A hand-over compacted a log.
    Compaction = "compactions",
    /// A received snapshot took the place of a shorter log.
    SnapshotInstalled = "snapshots_installed",
    /// A received snapshot left what stood behind it.
    SuffixKept = "snapshots_installed_before_a_tail",
    /// A received snapshot took the place of a log of another history.
    SuffixDropped = "snapshots_installed_over_another_tail",
    /// A received snapshot was refused.
    SnapshotRefused = "snapshots_refused",
    /// A message was kept and delivered much later.
    Replay = "replays",
    /// A message reached a later run of its receiver.
    ToLaterRun = "messages_to_a_later_run",
    /// A message came from an earlier run of its sender.
    FromEarlierRun = "messages_from_an_earlier_run",
    /// A member's storage failed and it halted.
    Poison = "halts",
    /// Links were cut.
    Cut = "cuts",
    /// A member stood still.
    Pause = "pauses",
    /// Several inputs shared one drain.
    BatchedInputs = "batched_inputs",
    /// A leader appended commands for another member.
    Forward = "forwards_appended",
    /// A forward was refused.
    ForwardRefused = "forwards_refused",
    /// A forwarded command was applied twice.
    ForwardTwice = "forwards_applied_twice",
    /// A command was applied where it was asked for.
    Done = "proposals_done",
    /// A command was found to be dead for ever.
    Dead = "proposals_dead",
    /// A leader refused proposals because too many bytes wait.
    Busy = "proposals_refused_busy",
    /// A read was served by the leader.
    LeaderRead = "reads_served_by_the_leader",
    /// A read was served by another member.
    FollowerRead = "reads_served_by_others",
    /// A read was refused.
    ReadRefused = "reads_refused",
    /// Something happened while a leader had a lease.
    Lease = "steps_under_a_lease",
    /// A leader with a lease was cut off.
    Trap = "traps_for_leases",
    /// A leader gave way to who should lead rather, after faults had ended.
    Preferred = "offices_given_to_who_should_lead",
    /// A leader began to hand over.
    Transfer = "transfers",
    /// A member was told to take over.
    TakeOver = "take_overs_told",
    /// A member campaigned because the leader wished it.
    TransferCampaign = "transfer_campaigns",
    /// A transfer was given up.
    NotTransferred = "transfers_given_up",
    /// A proposal was refused because of a transfer.
    RefusedInTransfer = "proposals_refused_in_a_transfer",
    /// A change of the members began.
    Change = "changes",
    /// A change was asked for that was there already.
    ChangeWasDone = "changes_done_already",
    /// A change was refused because another was under way.
    ChangeInProgress = "changes_refused_in_progress",
    /// A change was refused because the leader was too new.
    ChangeTooEarly = "changes_refused_too_early",
    /// A change was refused for another reason.
    ChangeRefused = "changes_refused",
    /// A change was cancelled while members caught up.
    ChangeCancelled = "changes_cancelled",
    /// A leader appended a joint configuration.
    Joint = "joint_configurations",
    /// A leader appended the configuration behind a joint one.
    JointLeft = "joint_configurations_left",
    /// A member became a voter.
    Promotion = "promotions",
    /// A leader appended a configuration in which it has no vote.
    LeaderLeaves = "leaders_that_leave",
    /// A member learnt that its removal is committed.
    Removed = "members_removed",
    /// A truncation took a configuration.
    ConfigurationTruncated = "configurations_truncated",
    /// A member named another whose digest differs.
    Diverged = "divergences_named",
    /// A third phase began: links were cut for good.
    Severed = "severed",
    /// A second phase ended well.
    Healed = "healed",
}

/// Counts of every mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally([u64; NAMES.len()]);

impl Tally {
    /// One more.
    pub fn mark(&mut self, mark: Mark) {
        self.add(mark, 1);
    }

    /// Several more.
    pub fn add(&mut self, mark: Mark, count: u64) {
        let at = MARKS.iter().position(|known| *known == mark);
        if let Some(slot) = at.and_then(|at| self.0.get_mut(at)) {
            *slot += count;
        }
    }

    /// How often.
    #[must_use]
    pub fn get(&self, mark: Mark) -> u64 {
        let at = MARKS.iter().position(|known| *known == mark);
        at.and_then(|at| self.0.get(at)).copied().unwrap_or(0)
    }

    /// Names and counts, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.iter().copied().zip(self.0)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self([0; NAMES.len()])
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}
