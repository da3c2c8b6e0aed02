//! Changes of the members within the turn: asked, asked again, ended.
//!
//! Not here: who waits for them (`change.rs`), what a leader does (core).

use crate::change::{Answering, CHANGES_MAX, LeadersAnswer, Verdict, Waiting, Wish, judge};
use crate::error::{ChangeError, Halt};
use crate::port::StateMachine;
use crate::shard::state::{Phase, State};
use crate::timers::Slot;
use raftlet_core::{self as core, Body, Change, Membership, Message, Now, Role};

impl<M: StateMachine> State<M> {
    /// Takes a change in, or gives the answer back with the reason.
    pub(crate) fn accept_change(
        &mut self,
        slot: Slot,
        wish: Wish,
        answer: Answering,
    ) -> Option<(Answering, ChangeError)> {
        if let Some(halt) = self.members.get(slot).and_then(|member| member.halted.clone()) {
            return Some((answer, ChangeError::Halted(halt)));
        }
        if let Phase::Ended(_) = self.phase {
            return Some((answer, ChangeError::Stopped));
        }
        let refused = self.changes.ask(slot, wish, answer)?;
        Some((refused, ChangeError::Busy { limit: CHANGES_MAX }))
    }

    /// Asks what is due, ends what no leader has answered in time.
    pub(super) fn take_changes(&mut self, now: Now) {
        for answer in self.changes.take_answers() {
            self.on_change_answer(now, answer);
        }
        let mut at = 0;
        while let Some(waiting) = self.changes.waiting.get_mut(at) {
            let patience = self.options.propose_timeout;
            let ends_at = *waiting.ends_at.get_or_insert_with(|| now.time.after(patience));
            if now.time >= ends_at {
                let error =
                    if waiting.is_asked { ChangeError::Unknown } else { ChangeError::NoLeader };
                let ended = self.changes.end(at, Err(error));
                self.due.changes_ended.push(ended);
            } else if now.time < waiting.ask_at || self.ask_change(now, at) {
                at += 1;
            }
        }
    }

    /// Asks whoever leads. Returns whether it still waits.
    fn ask_change(&mut self, now: Now, at: usize) -> bool {
        // About what a step of a change takes where nobody has to catch up.
        let again = now.time.after(self.options.group.heartbeat_interval);
        let Some(waiting) = self.changes.waiting.get_mut(at) else {
            return false;
        };
        let Some(member) = self.members.get_mut(waiting.slot) else {
            return false;
        };
        waiting.ask_at = again;
        let (index, current) = (member.core.configuration_index(), member.core.configuration());
        let question = match waiting.question.clone() {
            Some(question) => question,
            None => match waiting.wish.question(index, current) {
                Ok(question) => question,
                Err(error) => {
                    let ended = self.changes.end(at, Err(error));
                    self.due.changes_ended.push(ended);
                    return false;
                }
            },
        };
        waiting.question = Some(question.clone());
        let (expected, members) = question;
        // One that left with the change may hear of no leader any more.
        let is_there = index <= member.core.commit_index() && !current.is_joint();
        if is_there && current.members() == members && waiting.is_asked {
            let ended = self.changes.end(at, Ok(index));
            self.due.changes_ended.push(ended);
            return false;
        }
        let (slot, id) = (waiting.slot, waiting.id);
        let is_cancel = matches!(waiting.wish, Wish::Cancel);
        if member.core.role() == Role::Leader {
            waiting.is_asked = true;
            let outcome = if is_cancel {
                member.core.cancel_change(now).map(|()| Change::UnderWay { index })
            } else {
                member.core.change_members(now, expected, members)
            };
            self.mark_dirty(slot);
            return self.hear_change(now, at, outcome);
        }
        let Some(leader) = member.core.leader() else {
            return true;
        };
        let run = member.core.seat().run;
        let said = if is_cancel {
            Membership::Cancel { run, ask: id }
        } else {
            match core::Configuration::new(members) {
                Ok(target) => Membership::Ask { run, ask: id, expected, target },
                Err(error) => {
                    let refused = ChangeError::Refused(core::ChangeError::Invalid(error));
                    let ended = self.changes.end(at, Err(refused));
                    self.due.changes_ended.push(ended);
                    return false;
                }
            }
        };
        waiting.is_asked = true;
        let generation = member.core.seat().generation;
        let body = Body::Membership(Box::new(said));
        let message = Message { generation, term: member.core.term(), body };
        let group = member.group;
        // Its silence counts from now on (rule 20).
        member.core.on_forwarded(now);
        self.due.send(leader, group, message);
        self.mark_dirty(slot);
        true
    }

    /// A leader answered one of this run's questions.
    fn on_change_answer(&mut self, now: Now, answer: LeadersAnswer) {
        let LeadersAnswer { slot, run, ask, outcome } = answer;
        let own = self.members.get(slot).map(|member| member.core.seat().run);
        let waits = |waiting: &Waiting| waiting.slot == slot && waiting.id == ask;
        if own == Some(run)
            && let Some(at) = self.changes.waiting.iter().position(waits)
        {
            self.hear_change(now, at, outcome);
        }
    }

    /// Returns whether it still waits.
    fn hear_change(
        &mut self,
        now: Now,
        at: usize,
        outcome: Result<Change, core::ChangeError>,
    ) -> bool {
        let patience = self.options.propose_timeout;
        let Some(waiting) = self.changes.waiting.get_mut(at) else {
            return false;
        };
        match judge(&waiting.wish, outcome) {
            Verdict::Ended(outcome) => {
                let ended = self.changes.end(at, outcome);
                self.due.changes_ended.push(ended);
                return false;
            }
            Verdict::GoesOn => waiting.ends_at = Some(now.time.after(patience)),
            Verdict::WorkOutAnew => waiting.question = None,
            Verdict::AskAgain => {}
        }
        true
    }

    /// A group halts, or all do.
    pub(super) fn end_changes(&mut self, slot: Option<Slot>, halt: Option<&Halt>) {
        let error = halt.map_or(ChangeError::Stopped, |halt| ChangeError::Halted(halt.clone()));
        self.due.changes_ended.extend(self.changes.on_halt(slot, &error));
    }

    /// The members of a group as it has them, for its handle.
    pub(crate) fn members_of(&self, slot: Slot) -> Option<(core::Index, core::Configuration)> {
        let core = &self.members.get(slot)?.core;
        Some((core.configuration_index(), core.configuration().clone()))
    }
}
