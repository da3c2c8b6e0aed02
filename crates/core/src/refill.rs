//! A member that lost entries which it may have acknowledged (rule 10).
//!
//! Its disk gave back a shorter log than it had. A candidate may count on what
//! this member acknowledged, so it neither votes nor campaigns until a leader
//! has sent all of that again. It follows and acknowledges meanwhile: what it
//! says of its disk is true, and without it nobody could refill it (D29). Its
//! rejects tell how much it had held, so that a leader who counted on that need
//! not doubt what comes after (`leader/progress/loss.rs`).
//!
//! When is all of it there again? Whoever leads now was elected without this
//! member's vote, or before the loss, so it holds all that is committed
//! (§3.6.3). This member's log agrees with it up to the last entry accepted.
//! That is enough when it reaches
//! - to the last entry that was held: nothing acknowledged stood behind it; or
//! - to an entry of a later term than that of the loss: the leader of that term
//!   had all that was committed in front of it.
//!
//! The term of the loss is the member's own when the loss was found. Storage
//! remembers it: terms that the member enters afterwards, without a vote, lie
//! behind the loss, also when it starts again in one of them.

use crate::ids::{Index, LogId, Term};

/// What must be there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refill {
    /// The last entry that was held.
    pub until: Index,
    /// The member's term when the loss was found: nothing lost was acknowledged in
    /// a later one, and no vote given. A higher one is safe and may last longer.
    pub term: Term,
}

impl Refill {
    /// Whether a log that is durable up to this entry is whole again.
    pub(crate) fn is_over(&self, durable: LogId) -> bool {
        durable.index >= self.until || durable.term > self.term
    }
}

#[cfg(test)]
mod tests {
    use super::Refill;
    use crate::ids::{Index, LogId, Term};

    #[test]
    fn a_log_is_whole_again_at_its_former_end_or_in_a_later_term_and_not_before() {
        let refill = Refill { until: Index::new(9), term: Term::new(4) };
        let is_over =
            |index, term| refill.is_over(LogId { term: Term::new(term), index: Index::new(index) });
        assert!(!is_over(3, 2) && !is_over(8, 4));
        assert!(is_over(9, 4) && is_over(9, 2) && is_over(4, 5));
    }
}
