//! Claims about what a member hands to its disk.

use super::{Judge, Reign, is_leader};
use crate::core_tier::image::{Change, Record, position};
use crate::core_tier::invariants::{self, Violation, ensure};
use crate::core_tier::member::Member;
use crate::tally::Mark;
use raftlet::core::{Compaction, Index, LogId, Persist, Role, Term};

impl Judge {
    /// Judges a hand-over and adopts it in the written image.
    pub(super) fn on_persist(
        &mut self,
        member: &mut Member,
        seat: usize,
        persist: &Persist,
    ) -> Result<Change, Violation> {
        ensure(persist.ticket > member.view.ticket, invariants::STATUS_IS_TRUE, || {
            format!("ticket {} after {}", persist.ticket, member.view.ticket)
        })?;
        member.view.ticket = persist.ticket;
        let mut change = Change {
            hard_state: persist.hard_state,
            truncate_from: persist.truncate_from,
            compact: persist.compact,
            taken: None,
            records: Vec::new(),
            entries: persist.entries.clone(),
            refilled: persist.refilled,
        };
        if let Some(from) = persist.truncate_from {
            self.on_truncate(member, from, persist.compact)?;
        }
        let kept = persist.truncate_from.map_or(member.written.last().index, |from| {
            from.previous().min(member.written.last().index)
        });
        let mut before = member.written.digest(kept).expect("kept is within the log");
        let mut before_term = member.written.get(kept).map_or(Term::ZERO, |record| record.term);
        let mut kept = kept;
        if let Some(compaction) = persist.compact {
            change.taken = self.on_compact(member, compaction, kept)?;
            if compaction.base.index > kept {
                kept = compaction.base.index;
                before_term = compaction.base.term;
                before = change.taken.as_ref().map_or(0, |taken| taken.digest());
            }
        }
        change.records = Change::records_of(before, &persist.entries);
        if let Some(first) = persist.entries.first() {
            ensure(first == kept.next(), invariants::CONTIGUOUS, || {
                format!("entries from {first} behind a log that ends at {kept}")
            })?;
            ensure(change.records[0].term >= before_term, invariants::CONTIGUOUS, || {
                format!("term {} behind {before_term}", change.records[0].term)
            })?;
        }
        let hard_state = persist.hard_state.unwrap_or(member.written.hard_state);
        if let Some(last) = change.records.last() {
            ensure(last.term <= hard_state.term, invariants::TERM_DURABLE, || {
                format!("an entry of term {} before term {}", last.term, hard_state.term)
            })?;
        }
        let after =
            change.records.last().map_or(LogId { term: before_term, index: kept }, |last| LogId {
                term: last.term,
                index: persist.entries.last().map_or(kept, |last| last.index),
            });
        self.on_hard_state(member, persist, after)?;
        if !member.disk.waiting.is_empty() && persist.truncate_from.is_some() {
            self.tally.mark(Mark::OverwriteInFlight);
        }
        if change.refilled {
            self.tally.mark(Mark::Refilled);
        }
        member.written.adopt(&change);
        self.name_entries(member, seat, kept, &change.records)?;
        Ok(change)
    }

    fn on_truncate(
        &mut self,
        member: &Member,
        from: Index,
        compact: Option<Compaction>,
    ) -> Result<(), Violation> {
        let last = member.written.last().index;
        ensure(from > Index::ZERO && from <= last, invariants::CONTIGUOUS, || {
            format!("truncation from {from} of a log that ends at {last}")
        })?;
        let group = member.group.as_ref().expect("a drain comes from a core");
        ensure(
            !(is_leader(member)
                && group.role() == Role::Leader
                && group.term() == member.view.term),
            invariants::LEADER_APPENDS_ONLY,
            || format!("truncation from {from} in its own term {}", group.term()),
        )?;
        // The digest covers all before it: the first truncated entry decides.
        let gone = member.written.digest(from);
        // A leader of a term before the one that committed it may still do so
        // to a member that was not counted. Several inputs in one turn hide
        // whose wish it was: then only what the member knew before tells.
        let term = if member.inputs > 1 { member.written.hard_state.term } else { group.term() };
        let committed = self.committed.get(position(from) - 1).filter(|entry| entry.by <= term);
        // What a snapshot brings along in the same record is not lost.
        let committed = committed.filter(|_| compact.is_none_or(|c| c.base.index < from));
        ensure(
            committed.is_none_or(|entry| Some(entry.digest) != gone),
            invariants::COMMITTED_STAYS,
            || format!("truncation from {from}, which is committed"),
        )?;
        self.tally.mark(Mark::Truncation);
        if member.written.configurations().last().is_some_and(|(index, _)| *index >= from) {
            self.tally.mark(Mark::ConfigurationTruncated);
        }
        Ok(())
    }

    /// Every (index, term) names one entry; only a term's leader makes new
    /// ones.
    fn name_entries(
        &mut self,
        member: &Member,
        seat: usize,
        kept: Index,
        records: &[Record],
    ) -> Result<(), Violation> {
        let mut index = kept;
        let mut newest = None;
        for record in records {
            index = index.next();
            let at = position(index);
            if self.named.len() <= at {
                self.named.resize_with(at + 1, Vec::new);
            }
            let known = self.named[at].iter().find(|(term, _)| *term == record.term);
            match known {
                Some((_, digest)) => {
                    ensure(*digest == record.digest, invariants::LOG_MATCHING, || {
                        format!("{index}@{} names two entries", record.term)
                    })?;
                }
                None => {
                    self.named[at].push((record.term, record.digest));
                    self.lead(member, seat, record.term)?;
                    newest = Some(record.term);
                    ensure(
                        !self.refused.contains(&record.command),
                        invariants::REFUSED_STAYS_OUT,
                        || format!("{index}@{} is a command that was refused", record.term),
                    )?;
                }
            }
        }
        // The log of the one who leads grew: its reign knows it at once. What
        // a former leader gets back after a crash is no news of its reign.
        if let Some(reign) = newest.and_then(|term| self.reigns.get_mut(&term)) {
            reign.follow(member, kept);
        }
        Ok(())
    }
}

impl Reign {
    /// The log of `member` as its reign has it.
    pub(super) fn of(member: &Member, seat: usize) -> Self {
        let mut reign = Self { seat, digests: vec![0] };
        reign.follow(member, Index::ZERO);
        reign
    }

    /// Takes over what stands behind `kept`.
    fn follow(&mut self, member: &Member, kept: Index) {
        let kept = position(kept);
        self.digests.truncate(kept + 1);
        let behind = member.written.records().iter().skip(kept);
        self.digests.extend(behind.map(|record| record.digest));
    }

    /// The digest of the leader's log up to `index`.
    pub(super) fn digest(&self, index: Index) -> Option<u64> {
        self.digests.get(position(index)).copied()
    }
}
