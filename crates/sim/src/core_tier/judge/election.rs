//! Claims about terms, votes and offices.

use super::{Judge, Reign, is_leader, node_at};
use crate::core_tier::invariants::{self, Violation, ensure};
use crate::core_tier::member::Member;
use crate::core_tier::roster::is_quorum;
use crate::tally::Mark;
use raftlet::core::{
    Event, LogId, NodeId, Output, Persist, Role, Term, VoteKind, VoteReply, VoteRequest,
};

impl Judge {
    /// Hard state is handed out.
    pub(super) fn on_hard_state(
        &mut self,
        member: &Member,
        persist: &Persist,
        after: LogId,
    ) -> Result<(), Violation> {
        let Some(new) = persist.hard_state else {
            return Ok(());
        };
        let old = member.written.hard_state;
        ensure(new.term >= old.term, invariants::TERM_MONOTONE, || {
            format!("term {} after {}", new.term, old.term)
        })?;
        let keeps = new.term > old.term || old.vote.is_none() || new.vote == old.vote;
        ensure(keeps, invariants::TERM_MONOTONE, || {
            format!("vote {:?} after {:?} in term {}", new.vote, old.vote, new.term)
        })?;
        let Some(candidate) = new.vote.filter(|_| new != old) else {
            return Ok(());
        };
        if !member.disk.waiting.is_empty() {
            self.tally.mark(Mark::VoteBehindWrite);
        }
        if candidate == member.node {
            return Ok(());
        }
        // Within a turn the vote may stand before or after the other changes:
        // it is wrong only if the candidate's log is worse than both.
        let claim = self.claims.get(&(new.term, candidate)).copied();
        let own = member.written.last().min(after);
        ensure(claim.is_some_and(|claim| claim >= own), invariants::VOTER_COMPARES_LOGS, || {
            format!("vote for node {candidate} with {claim:?}, own log ends at {own}")
        })
    }

    /// A candidate asks.
    pub(super) fn on_vote_request(
        &mut self,
        member: &Member,
        term: Term,
        request: &VoteRequest,
    ) -> Result<(), Violation> {
        // A later input of the same turn may have ended the campaign and cut
        // the log; the request is late then, like others.
        let is_own = request.last <= member.written.last() || member.inputs > 1;
        ensure(is_own, invariants::VOTER_COMPARES_LOGS, || {
            format!("claims {}, has {}", request.last, member.written.last())
        })?;
        if request.kind == VoteKind::Pre {
            return Ok(());
        }
        if request.kind == VoteKind::Transfer {
            self.on_transfer_campaign(term, request.last)?;
        }
        self.externalise(member, term, member.node, invariants::CANDIDACY_DURABLE)?;
        self.claims.insert((term, member.node), request.last);
        Ok(())
    }

    /// A voter answers.
    pub(super) fn on_vote_reply(
        &mut self,
        member: &Member,
        to: usize,
        term: Term,
        reply: &VoteReply,
    ) -> Result<(), Violation> {
        match (reply.kind, reply.granted) {
            (VoteKind::Pre, false) => self.tally.mark(Mark::PreVoteRefused),
            (VoteKind::Pre, true) => {}
            (_, false) => self.tally.mark(Mark::VoteRefused),
            (_, true) => {
                ensure(member.may_vote(), invariants::WHOLE_BEFORE_VOTE, || {
                    let disk = member.durable.last();
                    format!("votes in term {term} with a disk that ends at {disk} since a loss")
                })?;
                self.externalise(member, term, node_at(to), invariants::VOTE_DURABLE)?;
            }
        }
        Ok(())
    }

    /// A vote becomes known outside: it must be durable, and the only one of
    /// its member and term in all of history.
    fn externalise(
        &mut self,
        member: &Member,
        term: Term,
        candidate: NodeId,
        unless_durable: invariants::Invariant,
    ) -> Result<(), Violation> {
        let durable = member.durable_votes.get(&term).copied();
        ensure(durable == Some(candidate), unless_durable, || {
            format!("node {candidate} in term {term}, durable is {durable:?}")
        })?;
        let seat = super::seat_of(member.node).expect("members are numbered from 1");
        let seats = self.seats;
        let votes = self.votes.entry(term).or_insert_with(|| vec![None; seats]);
        let earlier = votes[seat].replace(candidate);
        ensure(earlier.is_none_or(|earlier| earlier == candidate), invariants::ONE_VOTE, || {
            format!("node {candidate} after {earlier:?} in term {term}")
        })
    }

    /// The offices that a drain tells of, in their order.
    pub(super) fn on_offices(member: &Member, out: &Output) -> Result<(), Violation> {
        let mut former = member.view.role;
        for event in &out.events {
            if let Event::Office { role, term, .. } = event {
                let campaigns = matches!(role, Role::PreCandidate | Role::Candidate);
                let has_led = former == Some(Role::Leader);
                ensure(!(campaigns && has_led), invariants::LEADS_OR_CAMPAIGNS, || {
                    format!("{} went from office to a campaign in term {term}", member.node)
                })?;
                former = Some(*role);
            }
        }
        Ok(())
    }

    /// What the core says it is, after a drain.
    pub(super) fn on_office(
        &mut self,
        members: &mut [Member],
        seat: usize,
    ) -> Result<(), Violation> {
        let Some(group) = &members[seat].group else {
            return Ok(());
        };
        let (role, term, leader) = (group.role(), group.term(), group.leader());
        let led = is_leader(&members[seat]) && members[seat].view.term == term;
        if role == Role::Leader && !led {
            self.lead(&members[seat], seat, term)?;
            self.tally.mark(Mark::Election);
        }
        let seated: Vec<bool> = (0..self.seats)
            .map(|seat| group.configuration().find(node_at(seat)).is_some())
            .collect();
        let is_reconfigured = group.configuration_index() != members[seat].view.configuration;
        let view = &mut members[seat].view;
        if role != Role::Leader || !led {
            view.unanswered = vec![None; self.seats];
        }
        // Whoever is seated anew is waited for anew.
        for (since, seated) in view.unanswered.iter_mut().zip(seated) {
            if is_reconfigured || !seated {
                *since = None;
            }
        }
        view.role = Some(role);
        view.term = term;
        view.leader = leader;
        Ok(())
    }

    /// The member at `seat` leads `term`, or made an entry as if it did.
    pub(super) fn lead(
        &mut self,
        member: &Member,
        seat: usize,
        term: Term,
    ) -> Result<(), Violation> {
        if let Some(reign) = self.reigns.get(&term) {
            return ensure(reign.seat == seat, invariants::ONE_LEADER, || {
                let other = node_at(reign.seat);
                format!("nodes {} and {other} in term {term}", member.node)
            });
        }
        self.externalise(member, term, member.node, invariants::CANDIDACY_DURABLE)?;
        let votes = self.votes.get(&term).map_or(&[][..], Vec::as_slice);
        let gave = |seat: usize| votes.get(seat).is_some_and(|vote| *vote == Some(member.node));
        let configuration = member.written.configuration_before(term);
        let is_elected = configuration.is_some_and(|configuration| is_quorum(configuration, gave));
        ensure(is_elected, invariants::ONE_LEADER, || {
            format!("node {} leads term {term} with {votes:?} in {configuration:?}", member.node)
        })?;
        // One outside of the set in effect may lead while that is not committed.
        let mut sets = member.written.configurations().iter().rev().take(2);
        let is_voter = sets.any(|(_, configuration)| configuration.is_voter(member.node));
        ensure(is_voter, invariants::VOTERS_LEAD, || {
            format!("node {} leads term {term} and is no voter", member.node)
        })?;
        // The last entry committed in an earlier term stands for all before.
        let owed = self.committed.iter().rposition(|entry| entry.by < term);
        if let Some(at) = owed {
            let held = member.written.records().get(at);
            ensure(
                held.is_some_and(|held| held.digest == self.committed[at].digest),
                invariants::LEADER_COMPLETE,
                || {
                    let last = member.written.last();
                    format!(
                        "node {} leads term {term} without committed index {}, its log ends at {last}",
                        member.node,
                        at + 1
                    )
                },
            )?;
        }
        self.reigns.insert(term, Reign::of(member, seat));
        Ok(())
    }

    /// The deadline of the member at `seat` was obeyed at `now_ns` on its own
    /// clock: a leader that no quorum has answered for three election
    /// timeouts must have stepped down.
    pub(crate) fn on_deadline_obeyed(
        &self,
        member: &Member,
        now_ns: u64,
        timeout_ns: u64,
    ) -> Result<(), Violation> {
        let Some(group) = &member.group else {
            return Ok(());
        };
        if group.role() != Role::Leader || !is_leader(member) || group.term() != member.view.term {
            return Ok(());
        }
        let overdue = |since: &Option<u64>| {
            since.is_some_and(|since| now_ns.saturating_sub(since) > 3 * timeout_ns)
        };
        let answers = |seat: usize| !member.view.unanswered.get(seat).is_some_and(&overdue);
        let answered = is_quorum(group.configuration(), answers);
        ensure(answered, invariants::QUORUM_OR_STEP_DOWN, || {
            format!("node {} leads, unanswered since {:?}", member.node, member.view.unanswered)
        })
    }
}
