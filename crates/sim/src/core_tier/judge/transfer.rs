//! Claims about leadership transfers and about trust.

use super::Judge;
use crate::core_tier::invariants::{self, Violation, ensure};
use crate::core_tier::member::Member;
use crate::tally::Mark;
use raftlet::core::{Event, Group, LogId, Output, Role, Term};

impl Judge {
    /// A leader tells the member at `to` to take over.
    pub(super) fn on_take_over(
        &mut self,
        members: &[Member],
        seat: usize,
        to: usize,
        (term, last): (Term, LogId),
    ) -> Result<(), Violation> {
        self.tally.mark(Mark::TakeOver);
        // A late word may be obeyed long after a later one.
        self.handed_over.entry(term).or_insert(last);
        let reign = self.reigns.get(&term).filter(|reign| reign.seat == seat);
        let Some(reign) = reign else {
            return ensure(false, invariants::HANDS_OVER_WHOLE, || {
                format!("{} hands over term {term}, which it does not lead", members[seat].node)
            });
        };
        // One that went on in a later term may have cut what it had.
        let other = &members[to];
        if other.durable.hard_state.term > term {
            return Ok(());
        }
        let held = other.held_digest(last.index);
        ensure(
            held.is_some() && held == reign.digest(last.index),
            invariants::HANDS_OVER_WHOLE,
            || {
                let disk = other.durable.last();
                format!("{} is to take over at {last}, its disk ends at {disk}", other.node)
            },
        )
    }

    /// A member campaigns because the leader of the term before wants it.
    pub(super) fn on_transfer_campaign(
        &mut self,
        term: Term,
        last: LogId,
    ) -> Result<(), Violation> {
        self.tally.mark(Mark::TransferCampaign);
        let wanted = self.handed_over.range(..term).next_back();
        ensure(
            wanted.is_some_and(|(before, wanted)| before.next() == term && last >= *wanted),
            invariants::HANDS_OVER_WHOLE,
            || format!("a campaign for term {term} at {last}, the leader wanted {wanted:?}"),
        )
    }

    /// What was said about transfers in a drain.
    pub(super) fn on_transfer_events(&mut self, out: &Output) {
        let given_up = |event: &&Event| matches!(event, Event::NotTransferred { .. });
        let given_up = out.events.iter().filter(given_up).count();
        self.tally.add(Mark::NotTransferred, u64::try_from(given_up).expect("a small number"));
    }
}

/// Whether a member must refuse others its vote at `now_ns` on its own clock:
/// it leads, or heard its leader within an election timeout.
pub(crate) fn must_refuse(member: &Member, group: &Group, now_ns: u64, timeout_ns: u64) -> bool {
    if group.role() == Role::Leader {
        return true;
    }
    let Some((leader, term, at)) = member.view.heard else {
        return false;
    };
    group.leader() == Some(leader) && group.term() == term && now_ns.saturating_sub(at) < timeout_ns
}
