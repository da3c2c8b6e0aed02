//! Promises of the binary, kept by real processes on real sockets and disks.
//!
//! Each test starts nodes of its own on loopback ports that were free a moment
//! ago, and kills whatever it started when it ends, also by a panic. Waits poll
//! for what they wait for and give up by a deadline, so a slow machine makes
//! the tests slow, not wrong.
//!
//! The long soak is a command: `raftlet demo --kill-all 50`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "what does not hold ends the test"
)]

mod backups;
mod browser;
mod calendars;
mod client;
mod clients;
mod cluster;
mod counters;
mod damage;
mod dashboard;
mod demo;
mod expiry;
mod failing_disk;
mod free_port;
mod full_disk;
mod hostile;
mod hosts;
mod identity;
mod joining;
mod logs;
mod members;
mod operator;
mod outages;
mod partitions;
mod proxies;
mod refusals;
mod serving;
mod snapshot_damage;
mod snapshots;
mod transfers;
mod waiting;
