//! What clients see: a whole node in memory, driven by bytes alone.
//!
//! `node.rs` is the node: a connection, a store per group, and no consensus in
//! between; `ordering.rs` has another, which completes work late and loses it.
//! Texts of replies were checked against a Redis 7.0.15 server.

#![expect(unreachable_pub, reason = "the modules of a test binary have no outside")]

mod clients;
mod commands;
mod differential;
mod fuzz;
mod handshakes;
mod hostile;
mod listing;
mod machine;
mod node;
mod ordering;
mod scripts;
mod transactions;
mod transcripts;
