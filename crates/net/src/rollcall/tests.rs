//! Claims about the roll call, with nodes that show one another their lists.

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};

use super::{MissingWhy, RollCall, RollCallError, RollCallMember, RollCallStatus, Showing};
use crate::random::Random;
use raftlet::core::{Incarnation, NodeId};

fn node(id: u64) -> NodeId {
    NodeId::new(id)
}

fn address(id: u64) -> String {
    format!("host-{id}:70")
}

fn initial(nodes: u64) -> Vec<(NodeId, String)> {
    (1..=nodes).map(|id| (node(id), address(id))).collect()
}

/// The nodes of a roll call. `lives[id]` counts the wipes of a node.
struct World {
    nodes: BTreeMap<u64, RollCall>,
    lives: BTreeMap<u64, u64>,
    count: u64,
    order: u64,
}

impl World {
    fn new(count: u64) -> Self {
        let mut world = Self { nodes: BTreeMap::new(), lives: BTreeMap::new(), count, order: 0 };
        (1..=count).for_each(|id| world.wipe(id));
        world
    }

    /// A node starts on an empty directory.
    fn wipe(&mut self, id: u64) {
        *self.lives.entry(id).or_default() += 1;
        let call = RollCall::new(node(id), self.incarnation(id), &initial(self.count)).unwrap();
        self.nodes.insert(id, call);
    }

    fn incarnation(&self, id: u64) -> Incarnation {
        Incarnation(u128::from(id * 1000 + self.lives[&id]))
    }

    /// `from` connects to `to` and shows its list; what `to` refuses by its
    /// closed list does not get through, as the handshake has it.
    fn show(&mut self, from: u64, to: u64) {
        self.order += 1;
        let incarnation = self.incarnation(from);
        let showing = self.nodes[&from].showing();
        let receiver = self.nodes.get_mut(&to).unwrap();
        if let RollCallStatus::Closed(list) = receiver.status()
            && !list.iter().any(|member| member.incarnation == incarnation)
        {
            return;
        }
        assert!(receiver.met(node(from), incarnation, self.order));
        receiver.on_showing(node(from), showing);
    }

    fn show_all(&mut self) {
        for from in 1..=self.count {
            for to in (1..=self.count).filter(|to| *to != from) {
                self.show(from, to);
            }
        }
    }

    fn write(&mut self, id: u64) -> Option<Vec<RollCallMember>> {
        let call = self.nodes.get_mut(&id).unwrap();
        let list = call.close()?;
        call.mark_written();
        Some(list)
    }
}

#[test]
fn a_single_member_needs_nobody() {
    let mut world = World::new(1);
    assert_eq!(world.write(1).unwrap().len(), 1);
}

#[test]
fn everyone_ends_with_the_same_list() {
    let mut world = World::new(3);
    world.show_all();
    world.show_all();
    let lists: Vec<_> = (1..=3).map(|id| world.write(id).unwrap()).collect();
    assert!(lists.iter().all(|list| list == &lists[0]));
    assert_eq!(lists[0][1].address, address(2));
}

#[test]
fn nobody_writes_before_every_member_has_shown_the_full_list() {
    let mut world = World::new(3);
    world.show(2, 1);
    world.show(3, 1);
    let RollCallStatus::Waiting(missing) = world.nodes[&1].status() else {
        panic!("2 and 3 never met");
    };
    let whys: Vec<_> = missing.iter().map(|missing| missing.why).collect();
    assert_eq!(whys, [MissingWhy::ListDiffers; 2]);
    assert_eq!(world.write(1), None);
}

#[test]
fn an_absent_member_is_named() {
    let mut world = World::new(3);
    for _ in 0..2 {
        world.show(1, 2);
        world.show(2, 1);
    }
    let RollCallStatus::Waiting(missing) = world.nodes[&1].status() else {
        panic!("3 was never met");
    };
    let absent = missing.iter().find(|m| m.why == MissingWhy::NotMet);
    assert_eq!(absent.unwrap().node, node(3));
    assert!(absent.unwrap().to_string().contains("host-3:70"));
}

#[test]
fn a_member_wiped_before_anyone_wrote_starts_the_roll_call_again() {
    let mut world = World::new(3);
    world.show_all();
    world.wipe(3);
    assert_eq!(world.write(3), None);
    world.show_all();
    world.show_all();
    let list = world.write(1).unwrap();
    assert_eq!(list[2].incarnation, world.incarnation(3));
    assert_eq!(world.write(3), Some(list));
}

#[test]
fn who_still_waits_takes_over_the_list_of_one_that_wrote() {
    let mut world = World::new(3);
    world.show_all();
    world.show(3, 1);
    world.show(2, 1);
    let list = world.write(1).unwrap();
    // 3 is wiped; 2 meets its new life before it hears from 1.
    world.wipe(3);
    world.show(3, 2);
    assert!(matches!(world.nodes[&2].status(), RollCallStatus::Waiting(_)));
    world.show(1, 2);
    assert_eq!(world.write(2), Some(list));
    // The wiped one never gets there.
    world.show(1, 3);
    world.show(2, 3);
    assert_eq!(world.write(3), None);
}

#[test]
fn a_leftover_connection_of_a_former_life_changes_nothing() {
    let mut call = RollCall::new(node(1), Incarnation(1), &initial(2)).unwrap();
    assert!(call.met(node(2), Incarnation(20), 5));
    assert!(call.met(node(2), Incarnation(21), 7));
    assert!(!call.met(node(2), Incarnation(20), 6));
    assert_eq!(call.showing().members[1].incarnation, Some(Incarnation(21)));
}

#[test]
fn a_closed_list_stands_whatever_is_shown_later() {
    let mut world = World::new(3);
    world.show_all();
    world.show_all();
    let list = world.nodes.get_mut(&1).unwrap().close().unwrap();
    world.wipe(3);
    let call = world.nodes.get_mut(&1).unwrap();
    call.met(node(3), Incarnation(77), 1000);
    assert_eq!(call.close(), Some(list.clone()));
    assert_eq!(call.status(), RollCallStatus::Closed(list));
}

#[test]
fn a_restarted_writer_still_shows_its_list() {
    let mut world = World::new(2);
    world.show_all();
    world.show_all();
    let list = world.write(1).unwrap();
    world.nodes.insert(1, RollCall::written(node(1), list.clone()));
    world.show(2, 1);
    assert!(world.nodes[&1].owes_showing(node(2)));
    world.show(1, 2);
    assert_eq!(world.write(2), Some(list));
    world.show(2, 1);
    assert!(!world.nodes[&1].owes_showing(node(2)));
}

#[test]
fn no_two_lists_are_ever_written_however_nodes_are_wiped() {
    for seed in 0..5000 {
        let mut random = Random::new(seed);
        let mut world = World::new(3);
        // Lists written by lives that were not wiped since.
        let mut written: BTreeMap<u64, Vec<RollCallMember>> = BTreeMap::new();
        for _ in 0..60 {
            let one = 1 + random.below(3);
            match random.below(12) {
                0 => {
                    world.wipe(one);
                    written.remove(&one);
                }
                1 | 2 => {
                    if let Some(list) = world.write(one) {
                        written.insert(one, list);
                    }
                }
                _ => world.show(one, 1 + (one + random.below(2)) % 3),
            }
            let mut lists = written.values();
            if let Some(first) = lists.next() {
                assert!(lists.all(|list| list == first), "seed {seed}");
            }
        }
    }
}

#[test]
fn lists_without_this_node_with_doubles_or_too_long_are_refused_by_name() {
    let refused = |list: &[(NodeId, String)]| RollCall::new(node(1), Incarnation(1), list).err();
    assert_eq!(refused(&[]), Some(RollCallError::WithoutMe(node(1))));
    let double = [(node(1), address(1)), (node(1), address(2))];
    assert_eq!(refused(&double), Some(RollCallError::Node(node(1))));
    assert_eq!(refused(&initial(65)), Some(RollCallError::TooLarge));
    let long = [(node(1), "a".repeat(261))];
    assert_eq!(refused(&long), Some(RollCallError::TooLarge));
}

#[test]
fn showings_survive_the_wire_and_no_prefix_of_them_passes() {
    let mut world = World::new(3);
    world.show(2, 1);
    let showing = world.nodes[&1].showing();
    let mut bytes = BytesMut::new();
    showing.encode(&mut bytes);
    assert_eq!(Showing::decode(&bytes), Ok(showing));
    for cut in 0..bytes.len() {
        assert!(Showing::decode(&bytes[..cut]).is_err());
    }
    bytes.put_u8(0);
    assert!(Showing::decode(&bytes).is_err());
}
