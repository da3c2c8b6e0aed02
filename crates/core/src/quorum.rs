//! What does a quorum hold?
//!
//! Input: a configuration and a value per voter. Output: the highest value
//! that a majority of *every* active set has reached (§4.3). Pure: indexes,
//! rounds and yes-or-no votes all go through here.
//!
//! Invariants
//! - In a joint configuration the answer is the lower of both majorities'.
//! - Learners never count.
//! - Without voters nothing is reached: the answer is the default.
//!
//! Not here: whether an entry is of the current term (`leader.rs`, §3.6.2).

use crate::ids::NodeId;
use crate::membership::{Configuration, MEMBERS_MAX, Member, Role};
use crate::mutants;

/// The highest value that a majority of each active set has reached.
#[inline]
pub(crate) fn reached<T: Copy + Ord + Default>(
    configuration: &Configuration,
    value: impl Fn(&Member) -> T,
) -> T {
    let incoming = majority(configuration.members(), &value);
    if configuration.is_joint() && !mutants::is_active(37) {
        incoming.min(majority(configuration.outgoing(), &value))
    } else {
        incoming
    }
}

/// Whether a node's word is still missing: some active set seats it as a voter
/// and has no majority yet.
pub(crate) fn is_missing(
    configuration: &Configuration,
    node: NodeId,
    has: impl Fn(&Member) -> bool,
) -> bool {
    let misses = |set: &[Member]| {
        let is_seat = |member: &Member| member.node == node && member.role == Role::Voter;
        set.iter().any(is_seat) && !majority(set, &has)
    };
    misses(configuration.members())
        || (configuration.is_joint() && misses(configuration.outgoing()))
}

/// Whether some active set can no longer reach a majority of `true`, given
/// who has refused.
pub(crate) fn is_lost(configuration: &Configuration, refused: impl Fn(&Member) -> bool) -> bool {
    !reached(configuration, |member| !refused(member))
}

#[inline]
fn majority<T: Copy + Ord + Default>(set: &[Member], value: impl Fn(&Member) -> T) -> T {
    if let [a, b, c] = set
        && !(mutants::is_active(7) || mutants::is_active(33))
        && set.iter().all(|member| member.role == Role::Voter)
    {
        // The usual size, on the hot path: the median without sorting.
        let (a, b, c) = (value(a), value(b), value(c));
        return a.max(b).min(a.min(b).max(c));
    }
    majority_of_any(set, value)
}

#[inline(never)]
fn majority_of_any<T: Copy + Ord + Default>(set: &[Member], value: impl Fn(&Member) -> T) -> T {
    let voters = set.iter().filter(|member| member.role == Role::Voter);
    let mut values = [T::default(); MEMBERS_MAX];
    let mut len = 0;
    for (slot, member) in values.iter_mut().zip(voters) {
        *slot = value(member);
        len += 1;
    }
    let (values, _) = values.split_at_mut(len);
    if !mutants::is_active(33) {
        values.sort_unstable();
    }
    // Ascending: the value at (len - 1) / 2 is reached by more than half.
    let mut at = len.saturating_sub(1) / 2;
    if mutants::is_active(7) {
        at = (len - len / 2).min(len.saturating_sub(1));
    }
    if mutants::is_active(35) {
        at = len / 2;
    }
    values.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
