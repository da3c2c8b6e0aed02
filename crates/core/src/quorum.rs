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

use crate::membership::{Configuration, MEMBERS_MAX, Member, Role};
use crate::mutants;

/// The highest value that a majority of each active set has reached.
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

/// Whether some active set can no longer reach a majority of `true`, given
/// who has refused.
pub(crate) fn is_lost(configuration: &Configuration, refused: impl Fn(&Member) -> bool) -> bool {
    !reached(configuration, |member| !refused(member))
}

fn majority<T: Copy + Ord + Default>(set: &[Member], value: impl Fn(&Member) -> T) -> T {
    if let [a, b, c] = set
        && !(mutants::is_active(7) || mutants::is_active(33))
        && set.iter().all(|member| member.role == Role::Voter)
    {
        // The usual size, on the hot path: the median without sorting.
        let (a, b, c) = (value(a), value(b), value(c));
        return a.max(b).min(a.min(b).max(c));
    }
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
mod tests {
    use super::{is_lost, reached};
    use crate::ids::{Incarnation, NodeId};
    use crate::membership::{Configuration, Member, Role};

    fn set(voters: &[u64], learners: &[u64]) -> Vec<Member> {
        let member = |role| {
            move |node: &u64| Member {
                node: NodeId::new(*node),
                incarnation: Incarnation(1),
                role,
                priority: crate::membership::PRIORITY_DEFAULT,
                address: String::new(),
            }
        };
        let voters = voters.iter().map(member(Role::Voter));
        voters.chain(learners.iter().map(member(Role::Learner))).collect()
    }

    #[test]
    fn a_quorum_value_is_what_brute_force_counting_finds() {
        for voters in 1..=6_u64 {
            let ids: Vec<u64> = (1..=voters).collect();
            let configuration = Configuration::new(set(&ids, &[9])).unwrap();
            for seed in 0..500_u64 {
                let value =
                    |member: &Member| (member.node.get() * 7 + seed * member.node.get()) % 11;
                let counted = (0..=11)
                    .rev()
                    .find(|bound| {
                        let have =
                            ids.iter().filter(|id| (**id * 7 + seed * **id) % 11 >= *bound).count();
                        have * 2 > ids.len()
                    })
                    .unwrap();
                assert_eq!(reached(&configuration, value), counted);
            }
        }
    }

    #[test]
    fn joint_takes_the_lower_of_both_majorities() {
        let joint = Configuration::joint(set(&[1, 2, 3], &[]), set(&[3, 4, 5], &[])).unwrap();
        let at = |values: [u64; 5]| {
            reached(&joint, |m| values[usize::try_from(m.node.get() - 1).unwrap()])
        };
        assert_eq!(at([9, 9, 0, 9, 0]), 0);
        assert_eq!(at([9, 9, 0, 9, 4]), 4);
        assert_eq!(at([9, 2, 2, 9, 9]), 2);
    }

    #[test]
    fn learners_count_nowhere_and_nobody_reaches_nothing() {
        let one = Configuration::new(set(&[1], &[2, 3])).unwrap();
        assert_eq!(reached(&one, |m| if m.node.get() == 1 { 0 } else { 9 }), 0);
        assert_eq!(reached(&Configuration::empty(), |_| 9), 0);
        assert!(!reached(&Configuration::empty(), |_| true));
    }

    #[test]
    fn a_campaign_is_lost_when_the_rest_cannot_make_a_majority() {
        let three = Configuration::new(set(&[1, 2, 3], &[])).unwrap();
        assert!(!is_lost(&three, |m| m.node.get() == 2));
        assert!(is_lost(&three, |m| m.node.get() >= 2));
    }
}
