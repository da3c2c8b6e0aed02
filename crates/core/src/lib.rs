//! The protocol of one Raft group on one member.
