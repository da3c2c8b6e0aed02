//! Nodes that come, and members that change.

use super::{GENERATION, InFlight, Seated, World};
use crate::disk::Disk;
use crate::members::{self, listed};
use crate::words::{number, option};
use raftlet_core::{Body, Configuration, Index, Membership, Message, Run};

impl World {
    /// A node with an empty disk: a new one, or one that lost what it had.
    pub(crate) fn join(&mut self, node: u64, args: &[&str]) {
        let incarnation = option(args, "incarnation").map_or(node, number);
        self.members.insert(node, Seated::new(incarnation, Disk::default()));
        self.start(node);
    }

    /// `change N voters=.. [learners=..] [expected=I]`: based on the
    /// configuration in effect unless told otherwise.
    pub(crate) fn change(&mut self, node: u64, args: &[&str]) -> String {
        let now = self.now();
        let group = self.group(node);
        let current = group.configuration_index();
        let expected = option(args, "expected").map_or(current, |index| Index::new(number(index)));
        let before = group.last_index();
        let outcome = group.change_members(now, expected, listed(args));
        assert!(outcome.is_ok() || group.last_index() == before, "refused, and yet appended");
        self.pump(node);
        self.settle();
        members::show_change(&outcome)
    }

    /// `ask N L voters=..`: N asks the leader L on behalf of a caller.
    pub(crate) fn ask(&mut self, node: u64, leader: u64, args: &[&str]) {
        let term = self.group(node).term();
        let expected = self.group(node).configuration_index();
        let target = Configuration::new(listed(args)).unwrap();
        let ask = Membership::Ask { run: Run::new(1), ask: 1, expected, target };
        let body = Body::Membership(Box::new(ask));
        let message = Message { generation: GENERATION, term, body };
        let from = self.member(node).sender(node);
        self.queue.push_back(InFlight { from, to: leader, message });
        self.settle();
    }

    pub(crate) fn cancel(&mut self, node: u64) -> String {
        let now = self.now();
        let outcome = self.group(node).cancel_change(now);
        self.pump(node);
        self.settle();
        outcome.map_or_else(|refusal| format!("refused: {refusal}\n"), |()| String::new())
    }

    pub(crate) fn show_members(&mut self, node: u64) -> String {
        match &self.member(node).group {
            Some(group) => members::show(node, group),
            None => format!("n{node} down\n"),
        }
    }
}
