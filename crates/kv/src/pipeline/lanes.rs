//! The requests of one connection to each group, in order.
//!
//! Most connections ask one group, or a few: lanes lie side by side, ascending,
//! and the one that is asked most is found without a search.

use std::collections::{VecDeque, vec_deque};

use crate::slot::GroupIndex;
use raftlet::core::mutants;

/// Groups whose lanes a connection keeps while it asks nothing of them.
pub(super) const LANES_KEPT: usize = 4;
/// Requests for which such a lane keeps room.
const LANE_LEN_KEPT: usize = 64;

/// Requests of this connection to one group, in order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) waiting: VecDeque<u64>,
    pub(super) waiting_writes_len: usize,
    pub(super) under_way: VecDeque<u64>,
    /// What is under way is a read, and nothing else.
    pub(super) is_reading: bool,
    pub(super) refused: Vec<u64>,
    /// The last of those under way that may have taken effect.
    pub(super) last_effective: Option<u64>,
    pub(super) is_held: bool,
}

impl Lane {
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    #[inline]
    pub(super) fn may_start(&self) -> bool {
        !self.waiting.is_empty()
            && !self.is_held
            && self.refused.is_empty()
            && (self.under_way.is_empty() || !self.is_reading)
    }

    /// Whether it keeps more room than a lane that rests may.
    #[inline]
    pub(super) fn has_much_room(&self) -> bool {
        self.waiting.capacity().max(self.under_way.capacity()) > LANE_LEN_KEPT
    }

    /// What waited is under way.
    #[inline]
    pub(super) fn started(&mut self) {
        if self.under_way.is_empty() {
            std::mem::swap(&mut self.under_way, &mut self.waiting);
        } else {
            self.under_way.append(&mut self.waiting);
        }
    }

    /// Those under way from one to another.
    #[inline]
    pub(super) fn between(&self, first: u64, last: u64) -> vec_deque::Iter<'_, u64> {
        // Mostly all of them are of one batch.
        if self.is_all(first, last) { self.under_way.iter() } else { self.part(first, last) }
    }

    /// Whether nothing else is under way than those from one to another.
    #[inline]
    pub(super) fn is_all(&self, first: u64, last: u64) -> bool {
        let is_all = self.under_way.front() == Some(&first) && self.under_way.back() == Some(&last);
        is_all || mutants::is_active(152)
    }

    fn part(&self, first: u64, last: u64) -> vec_deque::Iter<'_, u64> {
        let from = self.under_way.partition_point(|request| *request < first);
        let to = self.under_way.partition_point(|request| *request <= last);
        self.under_way.range(from..to)
    }

    /// Takes those from one to another off those under way, but for the open ones.
    pub(super) fn answered(&mut self, first: u64, last: u64, is_open: impl Fn(u64) -> bool) {
        let mut last_answered = None;
        self.under_way.retain(|&request| {
            let stays = !(first..=last).contains(&request) || is_open(request);
            if !stays {
                last_answered = Some(request);
            }
            stays
        });
        self.last_effective = self.last_effective.max(last_answered);
    }

    /// Takes a request off those under way; false if it is not there.
    #[inline]
    pub(super) fn ended(&mut self, request: u64) -> bool {
        // Mostly they end in the order in which they were started.
        if self.under_way.front() == Some(&request) {
            self.under_way.pop_front();
            return true;
        }
        match self.under_way.iter().position(|started| *started == request) {
            Some(at) => self.under_way.remove(at).is_some(),
            None => false,
        }
    }
}

/// The lanes of a connection, one for each group that it asked.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// Ascending by group.
    lanes: Vec<(GroupIndex, Lane)>,
}

impl Lanes {
    /// Puts a request into the lane of its group.
    #[inline]
    pub(super) fn enqueue(&mut self, group: GroupIndex, request: u64, is_write: bool) {
        let at = match self.position(group) {
            Ok(at) => at,
            Err(at) => {
                self.lanes.insert(at, (group, Lane::default()));
                at
            }
        };
        if let Some((_, lane)) = self.lanes.get_mut(at) {
            lane.waiting.push_back(request);
            lane.waiting_writes_len += usize::from(is_write);
        }
    }

    #[inline]
    pub(super) fn get(&self, group: GroupIndex) -> Option<&Lane> {
        let at = self.position(group).ok()?;
        self.lanes.get(at).map(|(_, lane)| lane)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, group: GroupIndex) -> Option<&mut Lane> {
        let at = self.position(group).ok()?;
        self.lanes.get_mut(at).map(|(_, lane)| lane)
    }

    /// Whether there are more than a connection keeps.
    #[inline]
    pub(super) fn are_many(&self) -> bool {
        self.lanes.len() > LANES_KEPT
    }

    /// Nothing more is asked of a group: keeps the memory of few lanes, and
    /// little of it, for what is asked next.
    pub(super) fn retire(&mut self, group: GroupIndex) {
        let is_kept = !self.are_many();
        if let Ok(at) = self.position(group)
            && let Some((_, lane)) = self.lanes.get_mut(at)
        {
            if !is_kept {
                self.lanes.remove(at);
            } else if lane.has_much_room() {
                lane.waiting.shrink_to(LANE_LEN_KEPT);
                lane.under_way.shrink_to(LANE_LEN_KEPT);
            }
        }
    }

    /// Keeps those in which something waits or is under way.
    pub(super) fn retain_busy(&mut self) {
        self.lanes.retain(|(_, lane)| !lane.is_idle());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().map(|(_, lane)| lane)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (GroupIndex, &mut Lane)> {
        self.lanes.iter_mut().map(|(group, lane)| (*group, lane))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Where the lane of a group is, or belongs.
    #[inline]
    fn position(&self, group: GroupIndex) -> Result<usize, usize> {
        match self.lanes.as_slice() {
            [(only, _)] if *only == group => Ok(0),
            lanes => lanes.binary_search_by_key(&group, |(group, _)| *group),
        }
    }
}
