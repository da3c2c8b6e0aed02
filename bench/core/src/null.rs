//! The floor: replication without a protocol.
//!
//! The first member copies each command into its log and a frame of the batch
//! to every other, those copy it into theirs and answer with a length, and the
//! median of the lengths is committed. No terms, no elections, no checks, no
//! checksums: what is above this is the price of being right.

use std::hint::black_box;

use crate::load::{COMMAND_BYTES, Cost, KEPT_ENTRIES, Load, Meter};

const HEADER_BYTES: usize = 16;

#[derive(Default)]
struct Member {
    log: Vec<u8>,
    entries: u64,
    committed: u64,
    /// Arrives this turn, and what is being sent for the next.
    inbox: Vec<u8>,
    arriving: Vec<u8>,
}

impl Member {
    /// Frames as they are on the wire: count, first, then the commands.
    fn take_frame(&mut self) -> bool {
        let Some(header) = self.inbox.get(..HEADER_BYTES) else { return false };
        let count = u64::from_le_bytes(header[..8].try_into().expect("8 bytes"));
        self.committed = u64::from_le_bytes(header[8..].try_into().expect("8 bytes"));
        self.log.extend_from_slice(&self.inbox[HEADER_BYTES..]);
        self.entries += count;
        self.inbox.clear();
        true
    }

    fn compact(&mut self) {
        if self.log.len() > 2 * COMMAND_BYTES * usize::try_from(KEPT_ENTRIES).expect("small") {
            black_box(&self.log);
            self.log.clear();
        }
    }
}

/// Commits the load's entries.
pub(crate) fn run(load: Load) -> Cost {
    let payload = [7u8; COMMAND_BYTES];
    let count = usize::try_from(load.members).expect("few");
    let mut members: Vec<Member> = (0..count).map(|_| Member::default()).collect();
    let mut matches = vec![0u64; count];
    let mut answers: Vec<Option<u64>> = vec![None; count];
    let mut ordered = Vec::with_capacity(count);
    let (mut proposed, mut messages) = (0, 0);
    let meter = Meter::start();
    while members[0].committed < load.committed() {
        for at in 1..count {
            let answer = answers[at].take();
            matches[at] = answer.unwrap_or(matches[at]);
            if members[at].take_frame() {
                answers[at] = Some(members[at].entries);
                messages += 1;
            }
            members[at].compact();
        }
        let (leader, others) = members.split_first_mut().expect("a leader");
        matches[0] = leader.entries;
        ordered.clear();
        ordered.extend_from_slice(&matches);
        ordered.sort_unstable();
        leader.committed = ordered[(count - 1) / 2];
        if proposed < load.committed() {
            let start = leader.log.len();
            for _ in 0..load.batch {
                leader.log.extend_from_slice(&payload);
            }
            leader.entries += load.batch;
            proposed += load.batch;
            for other in others {
                other.arriving.extend_from_slice(&load.batch.to_le_bytes());
                other.arriving.extend_from_slice(&leader.committed.to_le_bytes());
                other.arriving.extend_from_slice(&leader.log[start..]);
                messages += 1;
            }
        }
        leader.compact();
        for member in &mut members[1..] {
            std::mem::swap(&mut member.inbox, &mut member.arriving);
        }
    }
    meter.stop(load.committed(), messages)
}
