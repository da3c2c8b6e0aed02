//! The process itself: how it starts, ends, speaks and asks for the time.
//!
//! - `clock.rs`: the one reader of the machine's clocks (D2, D10).
//! - `print.rs`, `bar.rs`: the one writer to the terminal, and a line that moves.
//! - `failure.rs`, `ended.rs`: why it ends, for the shell and for a person.
//! - `signal.rs`, `parent.rs`: who may end it. `supervisor.rs`: who is told how
//!   far it is. `descriptors.rs`, `huge_pages.rs`: what the system allows
//!   it, files and memory.

pub(crate) mod bar;
pub(crate) mod clock;
pub(crate) mod descriptors;
pub(crate) mod ended;
pub(crate) mod failure;
pub(crate) mod huge_pages;
pub(crate) mod parent;
pub(crate) mod print;
pub(crate) mod signal;
pub(crate) mod supervisor;
