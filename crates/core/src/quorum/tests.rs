//! Claims about quorums, against counting by hand.

use super::{is_lost, reached};
use crate::ids::{Incarnation, NodeId};
use crate::membership::{Configuration, MEMBERS_MAX, Member, Role};
use crate::rng::Rng;

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
            let value = |member: &Member| (member.node.get() * 7 + seed * member.node.get()) % 11;
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
    let at =
        |values: [u64; 5]| reached(&joint, |m| values[usize::try_from(m.node.get() - 1).unwrap()]);
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

/// Nodes 1 to 5 as bits; 0 is the outgoing set of a configuration that is not
/// joint.
fn of_bits(outgoing: u32, incoming: u32) -> Configuration {
    let nodes =
        |bits: u32| -> Vec<u64> { (1..=5).filter(|node| bits >> (node - 1) & 1 == 1).collect() };
    let incoming = set(&nodes(incoming), &[]);
    match outgoing {
        0 => Configuration::new(incoming).unwrap(),
        _ => Configuration::joint(set(&nodes(outgoing), &[]), incoming).unwrap(),
    }
}

/// Whether the nodes of `yes` are more than half of each set that is not empty.
fn counts(sets: [u32; 2], yes: u32) -> bool {
    sets.iter().all(|set| *set == 0 || (set & yes).count_ones() * 2 > set.count_ones())
}

#[test]
fn every_joint_configuration_of_five_nodes_reaches_what_counting_by_hand_finds() {
    for outgoing in 0..32 {
        for incoming in 1..32 {
            let configuration = of_bits(outgoing, incoming);
            for values in 0..3_u32.pow(5) {
                let value = |node: u32| values / 3_u32.pow(node - 1) % 3;
                let at_least = |bound: u32| {
                    (1..=5).filter(|node| value(*node) >= bound).map(|node| 1 << (node - 1)).sum()
                };
                let by_hand =
                    (0..3).rev().find(|bound| counts([outgoing, incoming], at_least(*bound)));
                let found = reached(&configuration, |member| {
                    value(u32::try_from(member.node.get()).unwrap())
                });
                assert_eq!(Some(found), by_hand, "{outgoing:05b} to {incoming:05b}, {values}");
            }
        }
    }
}

#[test]
fn a_campaign_in_any_joint_configuration_of_five_is_lost_when_silence_could_not_win_it() {
    for outgoing in 0..32 {
        for incoming in 1..32 {
            let configuration = of_bits(outgoing, incoming);
            for refused in 0..32 {
                let by_hand = !counts([outgoing, incoming], !refused);
                let found =
                    is_lost(&configuration, |member| refused >> (member.node.get() - 1) & 1 == 1);
                assert_eq!(found, by_hand, "{outgoing:05b} to {incoming:05b}, {refused:05b}");
            }
        }
    }
}

#[test]
fn any_mixture_of_voters_and_learners_counts_its_voters_alone() {
    for voters in 1..32_u32 {
        let bits = |wanted: u32| -> Vec<u64> {
            (1..=5).filter(|node| voters >> (node - 1) & 1 == wanted).collect()
        };
        let configuration = Configuration::new(set(&bits(1), &bits(0))).unwrap();
        for yes in 0..32 {
            let found = reached(&configuration, |member| yes >> (member.node.get() - 1) & 1 == 1);
            assert_eq!(found, counts([0, voters], yes), "{voters:05b}, {yes:05b}");
        }
    }
}

#[test]
fn large_joint_configurations_reach_what_counting_by_hand_finds() {
    let mut rng = Rng::new(11);
    let nodes = u64::try_from(MEMBERS_MAX).unwrap();
    for _ in 0..2_000 {
        let mut draw = || -> Vec<u64> {
            let one = 1 + rng.below(nodes);
            (1..=nodes).filter(|node| *node == one || rng.below(3) == 0).collect()
        };
        let (outgoing, incoming) = (draw(), draw());
        let values: Vec<u64> = (0..nodes).map(|_| rng.below(9)).collect();
        let value = |node: u64| values[usize::try_from(node - 1).unwrap()];
        let holds = |set: &[u64], bound| {
            set.iter().filter(|node| value(**node) >= bound).count() * 2 > set.len()
        };
        let by_hand =
            (0..9).rev().find(|bound| holds(&outgoing, *bound) && holds(&incoming, *bound));
        let joint = Configuration::joint(set(&outgoing, &[]), set(&incoming, &[])).unwrap();
        assert_eq!(Some(reached(&joint, |member| value(member.node.get()))), by_hand);
    }
}
