//! What a script sees of its members.

use std::fmt::Write;

use super::World;
use crate::telling::describe;
use raftlet_core::{Index, NodeId};

impl World {
    pub(crate) fn show(&mut self, node: u64) -> String {
        let Some(group) = &self.member(node).group else {
            return format!("n{node} down\n");
        };
        let role = match group.role() {
            raftlet_core::Role::Leader => "leader",
            raftlet_core::Role::Candidate => "candidate",
            raftlet_core::Role::PreCandidate => "pre-candidate",
            raftlet_core::Role::Follower => "follower",
        };
        let named = |node: Option<NodeId>| node.map_or("-".to_owned(), |node| format!("n{node}"));
        format!(
            "n{node} {role} term={} vote={} leader={} last={} durable={} commit={}{}{}\n",
            group.term().get(),
            named(group.hard_state().vote),
            named(group.leader()),
            group.last_index(),
            group.durable_index(),
            group.commit_index(),
            if group.base().index > Index::ZERO {
                format!(" base={} snapshot={}", group.base(), group.snapshot())
            } else {
                String::new()
            },
            if group.next_deadline().is_none() { " idle" } else { "" },
        )
    }

    pub(crate) fn show_matches(&mut self, node: u64) -> String {
        let members = self.group(node).status().members;
        let matches = members.iter().map(|it| format!(" n{}={}", it.node.get(), it.match_index));
        format!("n{node} matches{}\n", matches.collect::<String>())
    }

    pub(crate) fn show_log(&mut self, node: u64) -> String {
        let group = self.group(node);
        let mut text = format!("n{node}");
        let base = group.base();
        if base.index > Index::ZERO {
            write!(text, " [{base}]").unwrap();
        }
        for index in base.index.get() + 1..=group.last_index().get() {
            write!(text, " {}", group.term_at(Index::new(index)).unwrap().get()).unwrap();
        }
        text + "\n"
    }

    pub(crate) fn show_commands(&mut self, node: u64) -> String {
        format!("n{node} {}\n", self.member(node).commands.join(" "))
    }

    pub(crate) fn take_reads(&mut self) -> String {
        self.reads.drain(..).map(|line| line + "\n").collect()
    }

    pub(crate) fn take_events(&mut self) -> String {
        self.events.drain(..).map(|line| line + "\n").collect()
    }

    pub(crate) fn take_forward_replies(&mut self) -> String {
        self.forward_replies.drain(..).map(|line| line + "\n").collect()
    }

    pub(crate) fn show_counters(&mut self, node: u64, names: &[&str]) -> String {
        let all = format!("{:?}", self.group(node).counters());
        let inner = all.trim_start_matches("Counters { ").trim_end_matches(" }");
        let wanted = inner
            .split(", ")
            .filter(|pair| names.iter().any(|name| pair.split(": ").next() == Some(*name)));
        format!("n{node} {}\n", wanted.collect::<Vec<_>>().join(" ").replace(": ", "="))
    }

    pub(crate) fn show_queue(&self) -> String {
        self.queue
            .iter()
            .map(|m| format!("n{}->n{} {}\n", m.from.node.get(), m.to, describe(&m.message)))
            .collect()
    }
}
