//! What a leader remembers of forwards until its term ends.
//!
//! A leader without room refuses forwards. That ends them *not done* only if no
//! copy was appended before and none will be (rule 33): messages come late and
//! twice. So of every run of an origin it is known up to where its sequences may
//! have been appended, and up to where they were refused for certain.
//!
//! Invariants
//! - What was refused for certain is not appended in this term, and in no other:
//!   a forward is appended only in the term that it names.
//! - What may have been appended is never refused for certain.
//! - Of whom nothing could be remembered nothing is refused for certain.
//!
//! Not here: when there is no room (the driver), how a forward is appended
//! (`leader.rs`).

use crate::ids::{Incarnation, NodeId, Run, Sender};
use crate::membership::MEMBERS_MAX;
use crate::message::{Forward, Shortage};

/// Origins remembered in one term: all members of a configuration, and as many
/// that came and left. Later ones are refused without certainty.
const ORIGINS_MAX: usize = 2 * MEMBERS_MAX;

/// Forwards of this term, by origin. Nothing is held until the first one.
#[derive(Debug, Default)]
pub(crate) struct Forwarded(Option<Box<Origins>>);

#[derive(Debug, Default)]
struct Origins {
    known: Vec<Known>,
    /// Somebody's forward was appended that has no place.
    has_overflown: bool,
}

/// One origin, in its latest run.
#[derive(Clone, Copy, Debug)]
struct Known {
    node: NodeId,
    incarnation: Incarnation,
    run: Run,
    /// Sequences before it may have been appended.
    appended: u64,
    /// Sequences before it are not appended any more, and why.
    refused: u64,
    why: Shortage,
}

/// How a forward is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No copy of it was appended or will be.
    Certain(Shortage),
    /// Nothing is known of other copies.
    Doubtful,
}

impl Forwarded {
    /// Why a forward must not be appended, if so.
    pub(crate) fn refusal(&mut self, from: Sender, forward: &Forward) -> Option<Refusal> {
        let first = forward.first_sequence;
        let known = self.of(from)?;
        if from.run < known.run {
            return Some(Refusal::Doubtful);
        }
        if first >= known.refused {
            return None;
        }
        let is_certain = first >= known.appended;
        Some(if is_certain { Refusal::Certain(known.why) } else { Refusal::Doubtful })
    }

    /// A forward is appended.
    pub(crate) fn on_appended(&mut self, from: Sender, forward: &Forward) {
        let end = end_of(forward);
        match self.of(from) {
            Some(known) => known.appended = known.appended.max(end),
            None => self.0.get_or_insert_default().has_overflown = true,
        }
    }

    /// There is no room for a forward.
    pub(crate) fn refuse(&mut self, from: Sender, forward: &Forward, why: Shortage) -> Refusal {
        if self.0.as_ref().is_some_and(|origins| origins.has_overflown) {
            return Refusal::Doubtful;
        }
        match self.of(from) {
            Some(known) if from.run == known.run && forward.first_sequence >= known.appended => {
                (known.refused, known.why) = (known.refused.max(end_of(forward)), why);
                Refusal::Certain(why)
            }
            _ => Refusal::Doubtful,
        }
    }

    /// What is known of an origin, which gets a place if there is one.
    fn of(&mut self, from: Sender) -> Option<&mut Known> {
        let known = &mut self.0.get_or_insert_default().known;
        let key = (from.node, from.incarnation);
        let at = known.iter().position(|it| (it.node, it.incarnation) == key);
        let fresh = Known {
            node: from.node,
            incarnation: from.incarnation,
            run: from.run,
            appended: 0,
            refused: 0,
            why: Shortage::Device,
        };
        let Some(at) = at else {
            if known.len() >= ORIGINS_MAX {
                return None;
            }
            known.push(fresh);
            return known.last_mut();
        };
        let place = known.get_mut(at)?;
        if from.run > place.run {
            *place = fresh;
        }
        Some(place)
    }
}

fn end_of(forward: &Forward) -> u64 {
    let len = u64::try_from(forward.commands.len()).unwrap_or(u64::MAX);
    forward.first_sequence.saturating_add(len)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Forwarded, ORIGINS_MAX, Refusal};
    use crate::ids::{Incarnation, NodeId, Run, Sender};
    use crate::message::{Forward, Shortage};

    const WHY: Shortage = Shortage::Limit;
    const CERTAIN: Refusal = Refusal::Certain(WHY);

    fn origin(node: u64, run: u64) -> Sender {
        Sender { node: NodeId::new(node), incarnation: Incarnation(1), run: Run::new(run) }
    }

    fn forward(first_sequence: u64, len: usize) -> Forward {
        Forward { first_sequence, commands: vec![Bytes::new(); len] }
    }

    #[test]
    fn what_was_refused_for_certain_is_never_appended_and_what_follows_is() {
        let (mut forwarded, from) = (Forwarded::default(), origin(2, 5));
        forwarded.on_appended(from, &forward(1, 3));
        assert_eq!(forwarded.refuse(from, &forward(4, 2), WHY), CERTAIN);
        let late_copies = [forward(4, 2), forward(5, 1)];
        for copy in &late_copies {
            assert_eq!(forwarded.refusal(from, copy), Some(CERTAIN));
        }
        assert_eq!(forwarded.refusal(from, &forward(6, 1)), None);
        forwarded.on_appended(from, &forward(6, 1));
        // Kept out still, though nothing certain can be said of it any more.
        assert_eq!(forwarded.refusal(from, &forward(4, 2)), Some(Refusal::Doubtful));
    }

    #[test]
    fn what_may_have_been_appended_is_not_refused_for_certain() {
        let (mut forwarded, from) = (Forwarded::default(), origin(2, 5));
        forwarded.on_appended(from, &forward(1, 3));
        assert_eq!(forwarded.refuse(from, &forward(1, 3), WHY), Refusal::Doubtful);
        assert_eq!(forwarded.refuse(from, &forward(3, 2), WHY), Refusal::Doubtful);
        assert_eq!(forwarded.refusal(from, &forward(1, 3)), None, "a copy takes effect once");
    }

    #[test]
    fn a_later_run_begins_anew_and_late_words_of_a_former_one_are_not_appended() {
        let mut forwarded = Forwarded::default();
        assert_eq!(forwarded.refuse(origin(2, 5), &forward(9, 1), WHY), CERTAIN);
        assert_eq!(forwarded.refusal(origin(2, 6), &forward(1, 1)), None);
        assert_eq!(forwarded.refuse(origin(2, 6), &forward(1, 1), WHY), CERTAIN);
        let late = forward(9, 1);
        assert_eq!(forwarded.refusal(origin(2, 5), &late), Some(Refusal::Doubtful));
        assert_eq!(forwarded.refuse(origin(2, 5), &late, WHY), Refusal::Doubtful);
    }

    #[test]
    fn of_more_origins_than_are_remembered_nothing_is_certain() {
        let mut forwarded = Forwarded::default();
        let most = u64::try_from(ORIGINS_MAX).unwrap();
        for node in 1..=most {
            assert_eq!(forwarded.refuse(origin(node, 1), &forward(1, 1), WHY), CERTAIN);
        }
        let more = origin(most + 1, 1);
        assert_eq!(forwarded.refuse(more, &forward(1, 1), WHY), Refusal::Doubtful);
        forwarded.on_appended(more, &forward(2, 1));
        assert_eq!(forwarded.refuse(origin(1, 1), &forward(2, 1), WHY), Refusal::Doubtful);
    }
}
