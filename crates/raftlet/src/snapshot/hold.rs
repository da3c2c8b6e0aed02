//! Keeps the log for a member that gets a snapshot, until it has what is behind it.
//!
//! A transfer takes its time, and meanwhile other snapshots are taken and the
//! log is cut. Were what lies behind the one on its way cut as well, the member
//! would need another when it has arrived, and then another, for as long as
//! callers write.
//!
//! Invariants
//! - It ends: with the member's arrival in the usual tail, where it keeps nothing
//!   any more; when the member has not got on for [`PATIENCE_NS`], or took no part
//!   of the last attempt; beyond a number of bytes; with this member's leadership.
//! - Where storage wants space it gets what is held, too, unless it has room to
//!   spare.
//!
//! Not here: how a snapshot is sent (`shard/snapshots/send.rs`), where the log is
//! cut and who is told (`shard/snapshots/cut.rs`).

use raftlet_core::{Index, Time};

/// A member that neither takes a part nor acknowledges an entry for so long is
/// not waited for: three times as long as its transfer is (some 10 s), for one
/// may follow another.
const PATIENCE_NS: u64 = 30_000_000_000;

/// How far a member is with its snapshot and what is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Progress {
    /// It has the log durably up to here.
    pub(crate) matched: Index,
    /// Parts of the snapshot that it has.
    pub(crate) parts: u64,
}

/// The log as it is held for one member.
#[derive(Debug)]
pub(crate) struct Hold {
    /// What lies behind this entry stays.
    index: Index,
    /// Bytes that the group had applied up to the snapshot's last entry.
    bytes: u64,
    progress: Progress,
    moved_at: Time,
    end: Option<End>,
}

/// Why the log is not held for a member any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The member does not get on, or is not this one's to send to.
    Left,
    /// More was applied since its snapshot than may be held.
    Full,
}

/// What a group has applied, and how much of that may be held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Volume {
    pub(crate) applied_bytes: u64,
    pub(crate) held_bytes_max: u64,
}

impl Hold {
    /// A snapshot up to `last`, reached with the group's first `bytes`, begins
    /// its way to the member.
    pub(crate) fn new(now: Time, last: Index, bytes: u64) -> Self {
        let progress = Progress { matched: Index::ZERO, parts: 0 };
        Self { index: last, bytes, progress, moved_at: now, end: None }
    }

    /// Another snapshot begins its way after an attempt that failed. Only what the
    /// member does makes it patient again.
    pub(crate) fn again(&mut self, last: Index, bytes: u64) {
        (self.index, self.bytes, self.progress.parts) = (last, bytes, 0);
    }

    /// Behind which entry the log stays, now that the member is so far; `None`
    /// when it is not held any more. Without progress this member does not lead.
    pub(crate) fn look(
        &mut self,
        now: Time,
        progress: Option<Progress>,
        volume: Volume,
    ) -> Option<Index> {
        self.end = self.end_of(now, progress, volume);
        let index = self.index.max(progress?.matched);
        self.index = index;
        self.end.is_none().then_some(index)
    }

    fn end_of(&mut self, now: Time, progress: Option<Progress>, volume: Volume) -> Option<End> {
        let Some(progress) = progress else {
            return Some(End::Left);
        };
        if progress > self.progress {
            (self.progress, self.moved_at) = (progress, now);
        }
        let has_stopped = now.since(self.moved_at) >= PATIENCE_NS;
        let bytes = volume.applied_bytes.saturating_sub(self.bytes);
        let is_full = bytes > volume.held_bytes_max;
        has_stopped.then_some(End::Left).or(is_full.then_some(End::Full))
    }

    /// Why it has ended.
    pub(crate) const fn end(&self) -> Option<End> {
        self.end
    }

    /// Behind which entry the log was to stay.
    pub(crate) const fn index(&self) -> Index {
        self.index
    }
}

#[cfg(test)]
mod tests {
    use super::{Hold, PATIENCE_NS, Progress, Volume};
    use raftlet_core::{Index, Time};

    fn at(matched: u64, parts: u64) -> Option<Progress> {
        Some(Progress { matched: Index::new(matched), parts })
    }

    fn volume(applied_bytes: u64) -> Volume {
        Volume { applied_bytes, held_bytes_max: 1_000 }
    }

    #[test]
    fn the_log_stays_behind_the_snapshot_and_then_behind_what_the_member_has() {
        let now = Time::ZERO;
        let mut hold = Hold::new(now, Index::new(50), 500);
        assert_eq!(hold.look(now, at(3, 1), volume(600)), Some(Index::new(50)));
        assert_eq!(hold.look(now, at(70, 9), volume(1_500)), Some(Index::new(70)));
        assert_eq!(hold.look(now, at(70, 9), volume(1_501)), None, "too much");
    }

    #[test]
    fn another_attempt_alone_is_no_progress_and_its_first_part_is() {
        let late = Time::ZERO.after_ns(PATIENCE_NS);
        let mut hold = Hold::new(Time::ZERO, Index::new(50), 0);
        assert!(hold.look(Time::ZERO, at(0, 4), volume(0)).is_some());
        hold.again(Index::new(60), 900);
        assert_eq!(hold.look(late, at(0, 1), volume(1_900)), Some(Index::new(60)));
        hold.again(Index::new(70), 900);
        assert_eq!(hold.look(late.after_ns(PATIENCE_NS), at(0, 0), volume(1_900)), None);
    }

    #[test]
    fn who_does_not_get_on_is_waited_for_no_longer_than_the_patience() {
        let moved = Time::ZERO.after_ns(5);
        let end = moved.after_ns(PATIENCE_NS);
        let mut hold = Hold::new(Time::ZERO, Index::new(50), 0);
        assert!(hold.look(moved, at(0, 1), volume(0)).is_some());
        let almost = Time::ZERO.after_ns(PATIENCE_NS);
        assert!(hold.look(almost, at(0, 1), volume(0)).is_some());
        assert_eq!(hold.look(end, at(0, 1), volume(0)), None);
    }
}
