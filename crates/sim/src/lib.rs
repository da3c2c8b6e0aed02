//! Seeded simulation of raftlet: adversarial schedules over the real code,
//! judged after every step.
//!
//! A seed decides everything: who the members are, what goes wrong how often,
//! and every single decision on the way. The same seed is the same run, on
//! every machine and in every thread, so a failure is a number.
//!
//! One tier exists so far, [`core_tier`]: the protocol of one group, cores
//! called directly. A run has two phases. In the first anything may go wrong,
//! and nothing false may come out of it (safety). In the second all faults
//! end, and the group must recover by itself in bounded time (liveness).
//!
//! # The model
//! - *Messages* are a bag: lost, repeated, reordered, delayed by a thousand
//!   times the usual, replayed long after, to later runs of the receiver and
//!   from earlier runs of the sender. Links are cut one way or both, into
//!   halves, rings and bridges.
//! - *Disks* take hand-overs in order. They are durable when their write ends
//!   and the core learns of it later, one by one or of the last only. A crash
//!   keeps a prefix of what was not durable yet. One member at a time may have
//!   lost the end of its log, also what it had acknowledged.
//! - *Clocks* have rates of their own, from half to double; members stand
//!   still and obey deadlines late; calendars jump.
//! - *Drivers* drain after every input or after several, apply late, answer
//!   fetches late, with entries since truncated, or not at all, and release
//!   memory down to nothing.
//! - *Failure detectors* tell right or wrong things at any time.
//! - *Clients* propose, forward, retransmit, read and give up, on any member.
//!
//! Not here: the bytes of a log on disk (`crates/log`).

#![expect(
    clippy::indexing_slicing,
    reason = "a simulator that names a seat or a position wrongly must stop at once"
)]

pub mod core_tier;
pub mod random;
pub mod tally;
pub mod trace;
