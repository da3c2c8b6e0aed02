//! Could one correct object, served one request at a time, have answered all
//! of this?
//!
//! Clients record what they asked, when, and what they were told: a
//! [`History`]. Three judges read it, from the cheapest to the last word:
//!
//! 1. [`check_certificates`]: replies say at which log index they were served,
//!    so one sweep and one replay decide. Simulations use it after every run.
//! 2. [`judge`]: values are unique and every key is read once more at the end;
//!    two counters say in plain words what was lost and what was stale, then
//!    the search has the final word. This is what `raftlet demo` prints.
//! 3. [`check`]: the search for a linearization, with nothing but times and
//!    replies to go by.
//!
//! Invariants
//! - No judge raises a false alarm: a linearizable history never fails.
//! - Giving up is not passing: [`Verdict::Inconclusive`] is a verdict of its
//!   own.
//! - The same history gives the same verdict and the same words, in every run.
//!
//! Not here: clocks, clients and sockets (whoever records has them); which
//! faults were injected (the simulator and the demo know).

mod certificate;
mod history;
mod ledger;
mod linearizable;
mod model;

pub use certificate::{CertificateReport, CertificateViolation, check_certificates};
pub use history::{
    Call, Certificate, ClientId, HISTORY_OPERATIONS_MAX, History, HistoryError, Key, OpId,
    Operation, Outcome, Reply, TIME_NS_MAX, Value,
};
pub use ledger::{JudgeError, Judgement, judge};
pub use linearizable::{NODES_MAX_DEFAULT, SearchLimits, Verdict, Violation, check};
pub use model::{Cell, KeyValue, Model};
