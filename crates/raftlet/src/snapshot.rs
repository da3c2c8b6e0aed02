//! When a group's machine is written down, and how much of the log stays.
//!
//! A snapshot is due when enough bytes or entries were applied since the last,
//! or when somebody asks. What stays behind it, the tail, serves members that
//! are a little behind; for those further behind it may be some times as long,
//! so that one slow member does not cost everybody a snapshot. What a member on
//! its way with a snapshot will need stays longer (`snapshot/hold.rs`).
//!
//! Invariants
//! - At most one snapshot of a group is being taken.
//! - It covers only what is applied *and* durable in the own log (rule 8).
//! - Where storage wants space no tail stays of what is in the way, and nothing for
//!   a member on its way but where storage has room to spare.
//! - A replay is not written down before its end, unless it is in the way: all that
//!   is written meanwhile would be read and applied while it is changed, and a start
//!   waits for both.
//!
//! Not here: writing it (`shard/snapshots/take.rs`), sending and receiving
//! (`shard/snapshots/send.rs`, `shard/snapshots/receive.rs`).

pub(crate) mod head;
pub(crate) mod hold;

use std::collections::VecDeque;

use crate::answer::Answer;
use crate::error::SnapshotError;
use crate::options::ShardOptions;
use raftlet_core::{self as core, Index, LogId, Time};

/// How many times its usual length the tail may have for members that are
/// behind.
const TAIL_STRETCH: u64 = 4;
/// Places remembered of the applied log: the tail is cut to within this share of
/// its longest.
const MARKS_MAX: u64 = 64;
/// How long a snapshot that could not be written rests.
const PAUSE_NS: u64 = 5_000_000_000;

/// Entries that a machine may have to apply when it is written down by itself: a
/// batch of an applier, which under load is always on its way.
const BEHIND_LEN_MAX: u64 = 4_096;

/// How far a group's log has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub(crate) applied: Index,
    pub(crate) committed: Index,
}

/// What of a log stays for others, and what is to go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    /// What lies behind this entry stays for members on their way.
    pub(crate) held: Option<Index>,
    /// Storage wants the log up to here gone, whoever needs it.
    pub(crate) wanted: Index,
}

/// Whom to tell that a snapshot is taken.
pub(crate) type Asked = Answer<Result<Index, SnapshotError>>;

/// One group's snapshots.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// Bytes of entries applied in this run.
    applied_bytes: u64,
    /// `applied_bytes` when the current snapshot was taken.
    taken_bytes: u64,
    /// The last entry of the current snapshot.
    taken: Index,
    /// Storage wants the log up to here gone.
    pinned: Index,
    /// Indexes and `applied_bytes` up to and with them, ascending.
    marks: VecDeque<(Index, u64)>,
    is_taking: bool,
    asked: Vec<Asked>,
    rests_until: Time,
    /// The machine gives none.
    is_unsupported: bool,
    /// The current one is damaged.
    is_flawed: bool,
}

impl Policy {
    /// Entries up to `index` were applied, `bytes` of them since the last time.
    pub(crate) fn on_applied(&mut self, index: Index, bytes: usize, options: &ShardOptions) {
        self.applied_bytes += u64::try_from(bytes).expect("usize is at most 64 bits");
        let longest = self.tail_bytes(options).saturating_mul(TAIL_STRETCH);
        let newest = self.marks.back().map_or(0, |(_, at)| *at);
        if self.applied_bytes - newest >= (longest / MARKS_MAX).max(1) {
            self.marks.push_back((index, self.applied_bytes));
        }
        let reach = self.applied_bytes.saturating_sub(longest);
        while self.marks.get(1).is_some_and(|(_, at)| *at <= reach) {
            self.marks.pop_front();
        }
    }

    fn tail_bytes(&self, options: &ShardOptions) -> u64 {
        u64::try_from(options.snapshot_tail_bytes).expect("usize is at most 64 bits")
    }

    /// Somebody wants one; given back if `max` do already.
    pub(crate) fn ask(&mut self, asked: Asked, max: usize) -> Result<(), Asked> {
        if self.asked.len() >= max {
            return Err(asked);
        }
        self.asked.push(asked);
        Ok(())
    }

    /// Who wants one, if the machine gives none or the group halts.
    pub(crate) fn take_asked(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.asked)
    }

    pub(crate) const fn is_taking(&self) -> bool {
        self.is_taking
    }

    /// Whether the machine gives any.
    pub(crate) const fn may_take(&self) -> bool {
        !self.is_unsupported
    }

    /// The current snapshot cannot be read: another takes its place as soon as there
    /// is something new to write down. Returns whether that is news.
    pub(crate) fn renew(&mut self) -> bool {
        !std::mem::replace(&mut self.is_flawed, true)
    }

    /// Whether a snapshot is due of a machine that has come so far.
    pub(crate) fn is_due(&self, now: Time, reach: Reach, options: &ShardOptions) -> bool {
        if self.is_taking || self.is_unsupported {
            return false;
        }
        let Reach { applied, committed } = reach;
        let bytes = self.applied_bytes - self.taken_bytes;
        let is_long = bytes >= u64::try_from(options.snapshot_log_bytes).unwrap_or(u64::MAX)
            || applied - self.taken >= options.snapshot_log_entries;
        let has_come = committed - applied <= BEHIND_LEN_MAX;
        let is_due = self.is_flawed || (is_long && has_come);
        !self.asked.is_empty() || (is_due && now >= self.rests_until)
    }

    /// Storage wants the log up to `until` gone. Returns whether that is news.
    pub(crate) fn pin(&mut self, until: Index) -> bool {
        let is_news = until > self.pinned;
        self.pinned = self.pinned.max(until);
        is_news
    }

    /// Up to where storage wants the log gone.
    pub(crate) const fn pinned(&self) -> Index {
        self.pinned
    }

    /// Whether a log with this base is to be cut for space: not before all that
    /// is in the way was applied, or it would be cut again and again.
    pub(crate) fn is_in_the_way(&self, now: Time, base: Index, applied: Index) -> bool {
        self.pinned > base
            && self.pinned <= applied
            && !self.is_taking
            && !self.is_unsupported
            && now >= self.rests_until
    }

    /// A snapshot is begun; ended by [`on_taken`](Self::on_taken) or
    /// [`on_failed`](Self::on_failed).
    pub(crate) fn begin(&mut self) {
        self.is_taking = true;
    }

    /// Bytes of entries applied in this run.
    pub(crate) const fn applied_bytes(&self) -> u64 {
        self.applied_bytes
    }

    /// The same when the current snapshot was taken.
    pub(crate) const fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// Where the log may be cut behind a snapshot of `last`.
    pub(crate) fn base(
        &self,
        last: LogId,
        Stay { held, wanted }: Stay,
        group: &core::Group,
        options: &ShardOptions,
    ) -> Index {
        let cut = |stretch: u64| {
            let bytes = self.tail_bytes(options).saturating_mul(stretch);
            let reach = self.applied_bytes.saturating_sub(bytes);
            let by_bytes = self.marks.iter().find(|(_, at)| *at >= reach);
            let entries = options.snapshot_tail_entries.saturating_mul(stretch);
            let by_entries = Index::new(last.index.get().saturating_sub(entries));
            by_bytes.map_or(last.index, |(index, _)| *index).max(by_entries).min(last.index)
        };
        let (usual, longest) = (cut(1), cut(TAIL_STRETCH));
        let base = group.shared_index().clamp(longest.min(usual), usual);
        let base = held.map_or(base, |held| base.min(held));
        base.max(wanted.min(last.index))
    }

    /// The snapshot up to `index` is the current one, taken here or received.
    pub(crate) fn on_current(&mut self, index: Index) {
        self.is_flawed &= index <= self.taken;
        self.taken = self.taken.max(index);
    }

    /// A snapshot is written, of what was applied at its beginning. Returns who
    /// asked.
    pub(crate) fn on_taken(&mut self, index: Index) -> Vec<Asked> {
        self.is_taking = false;
        self.on_current(index);
        let at = self.marks.iter().rev().find(|(at, _)| *at <= index);
        self.taken_bytes = at.map_or(self.taken_bytes, |(_, bytes)| *bytes);
        self.take_asked()
    }

    /// It could not be written. Returns who asked.
    pub(crate) fn on_failed(&mut self, now: Time, error: &SnapshotError) -> Vec<Asked> {
        self.is_taking = false;
        self.is_unsupported |= *error == SnapshotError::Unsupported;
        self.rests_until = now.after_ns(PAUSE_NS);
        self.take_asked()
    }
}

#[cfg(test)]
mod tests {
    use super::{BEHIND_LEN_MAX, Policy, Reach};
    use crate::options::ShardOptions;
    use raftlet_core::{Index, Time};

    fn options() -> ShardOptions {
        ShardOptions {
            snapshot_log_bytes: 1_000,
            snapshot_log_entries: 50,
            snapshot_tail_bytes: 100,
            snapshot_tail_entries: 10,
            ..ShardOptions::default()
        }
    }

    /// All that is committed is applied.
    fn at(index: u64) -> Reach {
        Reach { applied: Index::new(index), committed: Index::new(index) }
    }

    #[test]
    fn a_snapshot_is_due_by_bytes_or_by_entries_and_not_while_one_is_taken() {
        let (now, options) = (Time::ZERO, options());
        let mut policy = Policy::default();
        policy.on_applied(Index::new(10), 999, &options);
        assert!(!policy.is_due(now, at(10), &options));
        assert!(policy.is_due(now, at(50), &options), "by entries");
        policy.on_applied(Index::new(11), 1, &options);
        assert!(policy.is_due(now, at(11), &options), "by bytes");
        policy.begin();
        assert!(!policy.is_due(now, at(99), &options));
        policy.on_taken(Index::new(11));
        assert!(!policy.is_due(now, at(12), &options));
    }

    #[test]
    fn a_replay_is_written_down_at_its_end_unless_somebody_asks() {
        let (now, options) = (Time::ZERO, options());
        let mut policy = Policy::default();
        policy.on_applied(Index::new(60), 5_000, &options);
        let reach = |behind| Reach { committed: Index::new(60 + behind), ..at(60) };
        assert!(policy.is_due(now, reach(0), &options));
        assert!(policy.is_due(now, reach(BEHIND_LEN_MAX), &options), "as under load");
        assert!(!policy.is_due(now, reach(BEHIND_LEN_MAX + 1), &options));
        policy.pin(Index::new(60));
        assert!(policy.is_in_the_way(now, Index::ZERO, Index::new(60)), "storage wants space");
        let (asked, _answer) = crate::answer::answer();
        assert!(policy.ask(asked, 1).is_ok());
        assert!(policy.is_due(now, reach(1 << 20), &options));
    }

    #[test]
    fn marks_stay_few_however_long_the_log() {
        let options = options();
        let mut policy = Policy::default();
        for index in 1..100_000 {
            policy.on_applied(Index::new(index), 37, &options);
        }
        assert!(policy.marks.len() < 80, "{}", policy.marks.len());
    }
}
