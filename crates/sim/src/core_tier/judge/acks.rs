//! Claims about appends, acks and what a leader makes of them.

use super::{Judge, seat_of};
use crate::core_tier::invariants::{self, Violation, ensure};
use crate::core_tier::member::Member;
use crate::tally::Mark;
use raftlet::core::{Ack, AckOutcome, Append, ForwardOutcome, ForwardReply, Index, Role, Term};

impl Judge {
    /// A leader sends.
    pub(super) fn on_append(
        &self,
        member: &Member,
        seat: usize,
        term: Term,
        append: &Append,
    ) -> Result<(), Violation> {
        let reign = self.reigns.get(&term);
        ensure(reign.is_some_and(|reign| reign.seat == seat), invariants::ONE_LEADER, || {
            format!("{} appends in term {term}, which it does not lead", member.node)
        })?;
        ensure(append.commit <= self.committed_len(), invariants::COMMIT_BY_QUORUM, || {
            let len = self.committed_len();
            format!("tells commit {}, the group has {len}", append.commit)
        })?;
        // Its log may have been truncated within the turn after it led; then
        // the entries cannot be compared here, and are where they arrive.
        if member.written.hard_state.term != term {
            return Ok(());
        }
        let mut index = append.previous.index;
        let previous = member.written.get(index).map_or(Term::ZERO, |r| r.term);
        ensure(previous == append.previous.term, invariants::CONTIGUOUS, || {
            format!("previous {} is of term {previous}", append.previous)
        })?;
        for chunk in append.entries.chunks() {
            let held = member.written.get(chunk.last()).map(|record| record.term);
            ensure(
                chunk.first() == index.next() && held == Some(chunk.term()),
                invariants::CONTIGUOUS,
                || format!("{chunk:?} behind {index}, own term there {held:?}"),
            )?;
            index = chunk.last();
        }
        Ok(())
    }

    /// A follower answers a leader.
    pub(super) fn on_ack(
        &mut self,
        member: &Member,
        to: usize,
        term: Term,
        ack: &Ack,
    ) -> Result<(), Violation> {
        let reign = self.reigns.get(&term);
        let reign = reign.filter(|reign| reign.seat == to);
        let Some(reign) = reign else {
            return ensure(false, invariants::DURABLE_BEFORE_ACK, || {
                format!("{ack:?} in term {term} to one who never led it")
            });
        };
        match ack.outcome {
            AckOutcome::Matches { verified, durable, .. } => {
                let held = member.durable.digest(durable);
                ensure(
                    durable <= verified && held.is_some() && held == reign.digest(durable),
                    invariants::DURABLE_BEFORE_ACK,
                    || {
                        let disk = member.durable.last();
                        format!("acks {durable} of term {term}, disk ends at {disk} or differs")
                    },
                )?;
                // Behind the term's end the written log says nothing about it.
                if member.written.hard_state.term != term {
                    return Ok(());
                }
                let held = member.written.digest(verified);
                ensure(
                    held.is_some() && held == reign.digest(verified),
                    invariants::DURABLE_BEFORE_ACK,
                    || format!("verified {verified} differs from the leader's log"),
                )
            }
            AckOutcome::Rejects { previous, hint, held } => {
                self.tally.mark(Mark::Reject);
                let is_known = held == Index::ZERO || member.durable.is_harmed();
                ensure(is_known, invariants::MATCH_IS_TRUE, || {
                    format!("says that it had held {held}, and nothing of it is lost")
                })?;
                // Where the log changed again within the turn the hint is of
                // the log that refused: it says where to probe, no more.
                ensure(hint.index <= previous, invariants::CONTIGUOUS, || {
                    format!("hint {hint} for {previous}")
                })
            }
        }
    }

    /// A leader tells what became of a forward.
    pub(super) fn on_forward_reply(
        &mut self,
        member: &Member,
        to: usize,
        term: Term,
        reply: &ForwardReply,
    ) -> Result<(), Violation> {
        let ForwardOutcome::Appended { first } = reply.outcome else {
            self.tally.mark(Mark::ForwardRefused);
            return Ok(());
        };
        self.tally.mark(Mark::Forward);
        if member.written.hard_state.term != term {
            return Ok(());
        }
        let held = member.written.get(first);
        ensure(
            held.is_some_and(|held| {
                held.term == term
                    && held.origin.is_some_and(|origin| {
                        seat_of(origin.node) == Some(to)
                            && origin.run == reply.run
                            && origin.sequence == reply.first_sequence
                    })
            }),
            invariants::DONE_IS_APPLIED,
            || format!("{reply:?} in term {term}, there stands {held:?}"),
        )
    }

    /// After an ack or a completion: a leader's match indexes are true.
    pub(crate) fn on_progress(&self, members: &[Member], seat: usize) -> Result<(), Violation> {
        let Some(group) = &members[seat].group else {
            return Ok(());
        };
        if group.role() != Role::Leader {
            return Ok(());
        }
        let term = group.term();
        // Elected within the turn: nothing is known of its log yet.
        let Some(reign) = self.reigns.get(&term) else {
            return Ok(());
        };
        for status in group.status().members {
            let Some(other) = seat_of(status.node).and_then(|seat| members.get(seat)) else {
                continue;
            };
            if other.durable.hard_state.term > term || status.match_index == Index::ZERO {
                continue;
            }
            let held = other.held_digest(status.match_index);
            ensure(
                held.is_some() && held == reign.digest(status.match_index),
                invariants::MATCH_IS_TRUE,
                || {
                    let disk = other.durable.last();
                    format!(
                        "match of {} is {}, its disk ends at {disk} or differs",
                        status.node, status.match_index
                    )
                },
            )?;
        }
        Ok(())
    }
}
