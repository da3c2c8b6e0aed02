//! Snapshots: what the driver tells of them, and what it may ask (§5).
//!
//! ```text
//! taken here:  apply ─▶ driver writes a file ─▶ compact ─▶ Persist.compact
//! sent:        Output.snapshots ─▶ driver sends parts ─▶ on_snapshot_ended
//! received:    parts ─▶ driver writes a file ─▶ on_snapshot ─▶ Persist.compact
//!                                                          └▶ Output.install
//! ```
//!
//! Invariants
//! - A snapshot that is not beyond the commit index is refused: it could only
//!   take back what was applied.
//! - A log behind a received snapshot is kept only if the term at its index
//!   matches (rule 23).
//! - What was received counts as held only when the record that makes it
//!   current is durable (rules 7, 12).

use crate::group::{Group, RoleState};
use crate::ids::{Index, LogId, NodeId, Term};
use crate::membership::Configuration;
use crate::mutants;
use crate::output::Event;
use crate::snapshot::{Compaction, Snapshot};
use crate::state::State;
use crate::time::Now;

impl Group {
    /// The snapshot up to `snapshot` is whole and durable in its file: entries
    /// up to `base`, at most that far, may leave the log. Returns whether they
    /// do; if not, the file is of no use: it is no news any more, or of what is
    /// not committed, or not durable in this log (rule 8).
    pub fn compact(&mut self, now: Now, snapshot: LogId, base: Index) -> bool {
        self.state.now = now;
        let log = &self.state.log;
        let safe = self.state.commit.min(self.state.durability.index());
        let is_sound = snapshot.index <= safe && log.contains(snapshot);
        if self.is_halted() || !is_sound || snapshot.index <= log.snapshot().index {
            return false;
        }
        let base = base.clamp(log.base().index, snapshot.index);
        self.state.compact(base, snapshot);
        true
    }

    /// Entries up to `base` that the current snapshot contains may leave the log
    /// too: the tail that was kept for members a little behind. Returns whether
    /// any do.
    pub fn cut_tail(&mut self, now: Now, base: Index) -> bool {
        self.state.now = now;
        let (log, snapshot) = (&self.state.log, self.state.log.snapshot());
        let base = base.min(snapshot.index);
        let is_durable = self.state.durability.snapshot() == snapshot;
        if self.is_halted() || !is_durable || base <= log.base().index {
            return false;
        }
        self.state.compact(base, snapshot);
        true
    }

    /// A snapshot was received whole and is durable in its file. Returns whether
    /// it is taken: then [`Output::install`](crate::Output::install) follows,
    /// and the record that makes it current goes with the next hand-over.
    pub fn on_snapshot(&mut self, now: Now, snapshot: &Snapshot) -> bool {
        self.state.now = now;
        let is_news = snapshot.last.index > self.state.commit || mutants::is_active(47);
        let is_possible = snapshot.last.term <= self.state.term
            && !snapshot.last.is_exhausted()
            && snapshot.configuration_index <= snapshot.last.index
            && !snapshot.configuration.is_empty();
        let RoleState::Follower(follower) = &mut self.role else {
            return false;
        };
        if !is_news || !is_possible {
            self.state.counters.stale += 1;
            return false;
        }
        let is_configured = self.state.install(snapshot);
        follower.on_snapshot(snapshot.last.index);
        if is_configured {
            follower.on_configuration_committed(&mut self.state);
        }
        true
    }

    /// Sending the snapshot to `to` has ended, well or not.
    pub fn on_snapshot_ended(&mut self, now: Now, to: NodeId) {
        self.state.now = now;
        if let RoleState::Leader(leader) = &mut self.role {
            leader.on_snapshot_ended(&self.state, to);
        }
    }

    /// Whether this member leads and `node` still waits for a snapshot.
    #[must_use]
    pub fn awaits_snapshot(&self, node: NodeId) -> bool {
        matches!(&self.role, RoleState::Leader(leader) if leader.awaits_snapshot(node))
    }

    /// What `node` has acknowledged; `None` unless this member leads and sends it
    /// the log.
    #[must_use]
    pub fn matched(&self, node: NodeId) -> Option<Index> {
        match &self.role {
            RoleState::Leader(leader) => leader.acknowledged(node),
            _ => None,
        }
    }

    /// Whether a snapshot of `from`, which leads `term`, would be news. Asked
    /// after the part was given to [`step`](Self::step).
    #[must_use]
    pub fn expects_snapshot(&self, from: NodeId, term: Term, last: LogId) -> bool {
        matches!(&self.role, RoleState::Follower(follower) if follower.leader == Some(from))
            && term == self.state.term
            && last.term <= term
            && last.index > self.state.commit
    }

    /// Whether the current term would survive a crash: what a driver says in its
    /// name, it may say only then (rule 6).
    #[must_use]
    pub fn is_term_durable(&self) -> bool {
        self.state.is_term_durable()
    }

    /// The last entry of the current snapshot; zero without one.
    #[must_use]
    pub fn snapshot(&self) -> LogId {
        self.state.log.snapshot()
    }

    /// The current snapshot that would survive a crash now: one to install may be
    /// read from storage when it is this far.
    #[must_use]
    pub fn durable_snapshot(&self) -> LogId {
        self.state.durability.snapshot()
    }

    /// The last entry that left the log; zero while none has.
    #[must_use]
    pub fn base(&self) -> LogId {
        self.state.log.base()
    }

    /// The configuration in effect at `index` and where it stands; `None`
    /// before the base, where it is not known any more.
    #[must_use]
    pub fn configuration_at(&self, index: Index) -> Option<(Index, &Configuration)> {
        self.state.log.configuration_at(index)
    }

    /// Up to here every member that is not given up has the log: what lies
    /// behind it somebody will want soon. The commit index where this member
    /// does not lead.
    #[must_use]
    pub fn shared_index(&self) -> Index {
        match &self.role {
            RoleState::Leader(leader) => leader.live_matched(&self.state),
            _ => self.state.commit,
        }
    }
}

impl State {
    /// Entries up to `base` leave the log.
    fn compact(&mut self, base: Index, snapshot: LogId) {
        let term = self.log.term_at(base).expect("a base lies in the log");
        let base = LogId { term, index: base };
        self.log.compact(base, snapshot);
        let snapshot = Some(snapshot).filter(|_| !mutants::is_active(49));
        self.durability.on_compact(Compaction { base, snapshot });
    }

    /// A received snapshot takes the place of the log up to it. Returns whether
    /// that brought another configuration, or the end of the last one's doubt.
    fn install(&mut self, snapshot: &Snapshot) -> bool {
        let last = snapshot.last;
        let (before, uncommitted) = (self.log.configuration().0, self.commit);
        let reaches = self.log.last().index >= last.index;
        if self.log.contains(last) || (reaches && mutants::is_active(46)) {
            self.log.compact(last, last);
        } else {
            self.drop_log(last.index);
            self.log.begin_anew(snapshot);
        }
        self.durability.on_compact(Compaction { base: last, snapshot: Some(last) });
        self.counters.snapshots_installed += 1;
        if mutants::is_active(180) && self.refill().is_some() {
            self.seldom().refill = None;
            self.durability.on_refilled();
        }
        self.commit_to(last.index);
        self.effects.rare().install = Some(last);
        let index = self.log.configuration().0;
        if index != before {
            self.on_configured();
        }
        uncommitted < index && index <= last.index
    }

    /// What stands behind the commit index may be another history.
    fn drop_log(&mut self, until: Index) {
        let (from, end) = (self.commit.next(), self.log.last().index);
        if let Some(term) = self.log.term_at(from) {
            self.counters.entries_truncated += end - self.commit;
            self.event(Event::Truncated { from: LogId { term, index: from } });
        }
        if end >= until {
            self.durability.on_truncate(until);
        }
        self.durability.distrust_behind(self.commit);
    }
}
