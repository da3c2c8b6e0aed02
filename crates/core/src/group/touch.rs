//! Asks for the memory of a member's next turn, without any effect (`walk.rs`).
//!
//! What is touched is what a steady turn uses: a follower that takes an append, a
//! leader that takes acks. The rest comes when it is wanted.

use std::hint::black_box;

use crate::group::{Group, RoleState};
use crate::walk::Reach;

impl Group {
    /// Reads a word of each line of memory that a steady turn of this member uses, for
    /// nothing.
    ///
    /// For who hosts many groups and knows which of them has its turn next: its
    /// memory comes near while others have theirs. [`walk`](crate::walk) does that in
    /// order. Costs some twenty instructions each time, and changes nothing.
    #[inline]
    pub fn touch(&self, reach: Reach) {
        match reach {
            Reach::Itself => self.touch_itself(),
            Reach::Held => {
                self.state.log.touch_slots();
                self.state.durability.touch_held();
                if let RoleState::Leader(leader) = &self.role {
                    leader.touch_itself();
                    black_box(self.state.counters.appends_sent);
                }
            }
            Reach::Beyond => {
                self.state.log.touch_entries(self.state.held_bytes_max());
                if let RoleState::Leader(leader) = &self.role {
                    leader.touch_peers();
                }
            }
        }
    }

    #[inline]
    fn touch_itself(&self) {
        self.state.touch();
        self.state.log.touch();
        self.state.durability.touch();
        if let RoleState::Follower(follower) = &self.role {
            follower.touch();
        }
        black_box(self.owed_vote.is_some());
    }
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use crate::durability::Durability;
    use crate::follower::Follower;
    use crate::group::{Group, RoleState};
    use crate::leader::Leader;
    use crate::leader::progress::Peer;
    use crate::leader::reads::LeaderReads;
    use crate::log::Log;
    use crate::state::State;

    /// Bytes of a line of memory.
    const LINE_BYTES: usize = 64;

    /// Fails where more than a line lies between two touched words.
    fn assert_near(name: &str, bytes: usize, mut touched: Vec<usize>) {
        touched.extend([0, bytes]);
        touched.sort_unstable();
        for pair in touched.windows(2) {
            assert!(pair[1] - pair[0] <= LINE_BYTES, "{name}: nothing touched in {pair:?}");
        }
    }

    fn within(part: usize, touched: &[usize]) -> impl Iterator<Item = usize> {
        touched.iter().map(move |at| part + at)
    }

    #[test]
    fn no_line_of_a_member_is_left_out() {
        let state = offset_of!(Group, state);
        let mut touched: Vec<usize> = within(state, State::TOUCHED).collect();
        touched.extend(within(state + offset_of!(State, log), Log::TOUCHED));
        touched.extend(within(state + offset_of!(State, durability), Durability::TOUCHED));
        // A follower fills the place of its role.
        assert_eq!(size_of::<RoleState>(), size_of::<Follower>());
        touched.extend(within(offset_of!(Group, role), Follower::TOUCHED));
        touched.push(offset_of!(Group, owed_vote));
        assert_near("group", size_of::<Group>(), touched);
    }

    #[test]
    fn no_line_of_what_a_leader_knows_is_left_out() {
        assert_near("peer", size_of::<Peer>(), Peer::TOUCHED.to_vec());
        let mut touched = Leader::TOUCHED.to_vec();
        touched.extend(within(Leader::READS_AT, LeaderReads::TOUCHED));
        // How many reads wait, and how many peers there are.
        touched.extend([Leader::READS_AT, Leader::PEERS_AT]);
        assert_near("leader", size_of::<Leader>(), touched);
    }
}
