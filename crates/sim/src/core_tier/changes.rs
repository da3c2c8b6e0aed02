//! What operators ask for: other members.
//!
//! Mostly the leader is asked, sometimes somebody else. A wish is the set in
//! effect with some nodes moved, or any set; it may rest on an old look at the
//! members, be asked for again, or be cancelled.
//!
//! Not here: what must hold of a change (`judge/change.rs`).

use super::event::Within;
use super::invariants::Violation;
use super::judge::is_leader;
use super::member::Member;
use super::roster::{Wish, node_at, seated};
use super::world::World;
use crate::random::Random;
use crate::tally::Mark;
use raftlet::core::{
    Change, ChangeError, Event, Index, Liveness, MemberRole, Output, PRIORITY_DEFAULT,
};

impl World {
    /// Somebody is asked for other members, or to forget about it.
    pub(super) fn client_changes(&mut self) -> Result<(), Violation> {
        let random = &mut self.random.clients;
        let anybody = random.index(self.members.len());
        let leader = self.members.iter().position(is_leader);
        let seat = leader.filter(|_| random.below(8) > 0).unwrap_or(anybody);
        if !self.members[seat].is_up() {
            return Ok(());
        }
        let what = random.below(16);
        if what == 0 {
            return self.cancel_on(seat);
        }
        let again = self.wish.clone().filter(|_| what < 4);
        let wish = match again {
            Some(wish) => wish,
            None => {
                match draw(&mut self.random.clients, &self.members, &self.plan.priorities, seat) {
                    Some(wish) => wish,
                    None => return Ok(()),
                }
            }
        };
        self.wish = Some(wish.clone());
        self.change_on(seat, wish)
    }

    fn change_on(&mut self, seat: usize, wish: Wish) -> Result<(), Violation> {
        let Wish { expected, members } = wish;
        self.tell(seat, || format!("is asked, on {expected}, for {members:?}"));
        let Some((waited, before, term, answer, after)) = self.with_group(seat, |group, now, _| {
            let (waited, before) = (!group.catching_up().is_empty(), group.last_index());
            let answer = group.change_members(now, expected, members);
            (waited, before, group.term(), answer, group.last_index())
        }) else {
            return Ok(());
        };
        self.tell(seat, || format!("answers {answer:?}"));
        let tally = &mut self.judge.tally;
        match answer {
            Ok(Change::Done { .. }) => tally.mark(Mark::ChangeWasDone),
            Ok(Change::UnderWay { .. }) => {
                let waits =
                    self.members[seat].group.as_ref().is_some_and(|g| !g.catching_up().is_empty());
                if !waited && (after > before || waits) {
                    tally.mark(Mark::Change);
                    self.judge.note_change(term, before);
                }
            }
            Err(ChangeError::InProgress { .. }) => tally.mark(Mark::ChangeInProgress),
            Err(ChangeError::NotReady) => tally.mark(Mark::ChangeTooEarly),
            Err(_) => tally.mark(Mark::ChangeRefused),
        }
        self.settle(seat)
    }

    fn cancel_on(&mut self, seat: usize) -> Result<(), Violation> {
        let cancelled = self.with_group(seat, |group, now, _| group.cancel_change(now));
        self.tell(seat, || format!("is asked to cancel: {cancelled:?}"));
        if cancelled == Some(Ok(())) {
            self.judge.tally.mark(Mark::ChangeCancelled);
        }
        self.settle(seat)
    }

    /// What a failure detector has said stays known to the driver, which tells
    /// it again when the members change.
    pub(super) fn note_liveness(&mut self, seat: usize, about: usize, says: Liveness) {
        self.known[seat][about] = says;
    }

    /// The members changed: tells the core what is known of them.
    pub(super) fn tell_liveness_again(&mut self, seat: usize, out: &Output) {
        let is_configured = |event: &Event| matches!(event, Event::Configuration { .. });
        if !out.events.iter().any(is_configured) {
            return;
        }
        for about in 0..self.members.len() {
            let says = self.known[seat][about];
            if says != Liveness::Unknown {
                let node = node_at(about);
                self.with_group(seat, |group, now, _| group.on_liveness(now, node, says));
            }
        }
        if self.members[seat].is_up() && !self.members[seat].owes_turn {
            self.members[seat].owes_turn = true;
            self.after_within(seat, 1, Within::Turn);
        }
    }
}

fn draw(random: &mut Random, members: &[Member], priorities: &[u8], seat: usize) -> Option<Wish> {
    let group = members[seat].group.as_ref()?;
    let current = group.configuration();
    if current.is_empty() {
        return None;
    }
    let mut roles: Vec<Option<MemberRole>> = (0..members.len())
        .map(|seat| {
            let found = current.members().iter().find(|member| member.node == node_at(seat));
            found.map(|member| member.role)
        })
        .collect();
    let moved = match random.below(4) {
        0 | 1 => 1,
        2 => 2,
        _ => roles.len(),
    };
    for _ in 0..moved {
        let at = random.index(roles.len());
        roles[at] = match random.below(5) {
            0 | 1 => None,
            2 | 3 => Some(MemberRole::Voter),
            _ => Some(MemberRole::Learner),
        };
    }
    let renumber = random.below(16) == 0;
    let members = roles.iter().enumerate().filter_map(|(seat, role)| Some((seat, (*role)?)));
    let members = members.map(|(seat, role)| {
        let known = current.find(node_at(seat)).map(|member| member.priority);
        let own = priorities.get(seat).copied().unwrap_or(PRIORITY_DEFAULT);
        let mut member = seated(seat, role, known.unwrap_or(own));
        if !priorities.is_empty() && random.below(8) == 0 {
            member.priority = priorities[random.index(priorities.len())];
        }
        if renumber {
            member.address = format!("n{}:{}", member.node, 2 + random.below(9));
        }
        member
    });
    let members = members.collect();
    let expected = match random.below(8) {
        0 => Index::new(1 + random.below(group.last_index().get().max(1))),
        _ => group.configuration_index(),
    };
    Some(Wish { expected, members })
}
