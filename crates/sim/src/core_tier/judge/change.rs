//! Claims about changes of the members.

use super::{Judge, seat_of};
use crate::core_tier::image::Change;
use crate::core_tier::invariants::{self, Violation, ensure};
use crate::core_tier::member::Member;
use crate::core_tier::roster::is_quorum;
use crate::tally::Mark;
use raftlet::core::{
    Configuration, Event, Group, Index, Member as Seated, MemberRole, NodeId, Output, Role, Term,
};

impl Judge {
    /// A leader of `term` whose log ended at `last` began a change: who is to
    /// vote must hold at least that.
    pub(crate) fn note_change(&mut self, term: Term, last: Index) {
        self.change_floors.insert(term, last);
    }

    /// After a drain: the configurations that it appended as leader, and the
    /// office of one whose seat is gone.
    pub(super) fn on_change(
        &mut self,
        members: &[Member],
        seat: usize,
        change: Option<&Change>,
    ) -> Result<(), Violation> {
        let member = &members[seat];
        let Some(group) = &member.group else {
            return Ok(());
        };
        let held = member.written.configurations();
        let last = held.last().map_or(Index::ZERO, |(index, _)| *index);
        let in_effect = group.configuration_index();
        ensure(in_effect == last, invariants::CONFIGURATION_OF_THE_LOG, || {
            format!("configuration {in_effect} is in effect, the log's last is {last}")
        })?;
        if group.role() != Role::Leader {
            return Ok(());
        }
        let configuration = group.configuration();
        let is_seated = configuration.is_joint() || configuration.is_voter(member.node);
        ensure(is_seated || group.commit_index() < in_effect, invariants::LEAVES_OFFICE, || {
            format!("{} leads, {in_effect} without it is committed", member.node)
        })?;
        if change.is_none_or(|change| change.records.iter().all(|r| !r.is_configuration)) {
            return Ok(());
        }
        let is_own = |index: Index| {
            member.written.get(index).is_some_and(|record| record.term == group.term())
        };
        for pair in held.windows(2) {
            if let [(before, former), (at, next)] = pair
                && *at > member.view.configuration
                && is_own(*at)
            {
                self.on_step(members, member, (*before, former), next)?;
            }
        }
        Ok(())
    }

    /// A leader went from one configuration to the next.
    fn on_step(
        &mut self,
        members: &[Member],
        leader: &Member,
        (before, former): (Index, &Configuration),
        next: &Configuration,
    ) -> Result<(), Violation> {
        let group = leader.group.as_ref().expect("a drain comes from a core");
        let (term, commit) = (group.term(), group.commit_index());
        // A late leader of a lower term may commit what a later one has long had.
        let has_own = leader.written.get(commit).is_some_and(|record| record.term == term);
        ensure(before <= commit && has_own, invariants::ONE_CHANGE, || {
            format!(
                "a change behind {before}, committed is {}, in term {term}: {has_own}",
                group.commit_index()
            )
        })?;
        ensure(overlap(former, next), invariants::QUORUMS_OVERLAP, || {
            format!("{former:?} became {next:?}")
        })?;
        match (former.is_joint(), next.is_joint()) {
            (false, true) => self.tally.mark(Mark::Joint),
            (true, _) => self.tally.mark(Mark::JointLeft),
            (false, false) => {}
        }
        let leaves = |node| former.is_voter(node) && !next.is_voter(node);
        if group.leader().is_some_and(leaves) {
            self.tally.mark(Mark::LeaderLeaves);
        }
        let promoted = next.members().iter().filter(|m| m.role == MemberRole::Voter);
        for member in promoted.filter(|m| !former.is_voter(m.node)) {
            self.on_promotion(members, group, member)?;
        }
        Ok(())
    }

    fn on_promotion(
        &mut self,
        members: &[Member],
        group: &Group,
        promoted: &Seated,
    ) -> Result<(), Violation> {
        self.tally.mark(Mark::Promotion);
        let term = group.term();
        let other = seat_of(promoted.node).and_then(|seat| members.get(seat));
        let Some(other) = other.filter(|other| other.durable.hard_state.term <= term) else {
            return Ok(());
        };
        let floor = self.change_floors.get(&term).copied();
        let reign = self.reigns.get(&term);
        let is_level = floor.is_some_and(|last| {
            let held = other.held_digest(last);
            held.is_some() && held == reign.and_then(|reign| reign.digest(last))
        });
        ensure(is_level, invariants::VOTERS_ARE_LEVEL, || {
            let disk = other.durable.last();
            format!("{} is to vote, its disk ends at {disk}; floor {floor:?}", promoted.node)
        })
    }

    /// What was said about membership in a drain.
    pub(super) fn on_change_events(&mut self, out: &Output) {
        let removed = |event: &&Event| matches!(event, Event::Removed { .. });
        let removed = out.events.iter().filter(removed).count();
        self.tally.add(Mark::Removed, u64::try_from(removed).expect("a small number"));
    }

    /// A leader took an ack of `node` that was given under `configuration`,
    /// and its match index went from `before` to `after`.
    pub(crate) fn on_fenced(
        &self,
        member: &Member,
        node: NodeId,
        configuration: Index,
        (before, after): (Index, Index),
    ) -> Result<(), Violation> {
        let since = member.written.seated_since(node, member.view.term);
        ensure(after <= before || configuration >= since, invariants::ACKS_ARE_FENCED, || {
            format!(
                "{node}, seated by {since}, went from {before} to {after} by an ack under \
                 {configuration}"
            )
        })
    }
}

/// Whether any quorum of one configuration meets any quorum of the other:
/// tried over all subsets of their nodes, which are few.
fn overlap(a: &Configuration, b: &Configuration) -> bool {
    let seats: Vec<usize> =
        a.nodes().chain(b.nodes()).filter_map(|member| seat_of(member.node)).collect();
    let top = seats.iter().max().map_or(0, |seat| seat + 1);
    (0..1_u32 << top).all(|set| {
        let inside = |seat: usize| set >> seat & 1 == 1;
        !(is_quorum(a, inside) && is_quorum(b, |seat| !inside(seat)))
    })
}
