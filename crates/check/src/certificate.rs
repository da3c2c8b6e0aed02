//! Is a history good, given where in the log each operation took effect?
//!
//! The log is an order of all changes. If replies carry their place in it,
//! nothing need be searched:
//! 1. **Real time.** What began after an operation returned comes after it in
//!    its group's log: a change strictly, a read at an applied index no lower.
//!    One sweep over time keeps the highest index returned so far.
//! 2. **One place each.** No two changes of a key share an index, and what was
//!    answered "not done" has none.
//! 3. **Replay.** Served in the order of the log, the model answers the same.
//!
//! This is stricter than the search: it holds the order over all keys of a
//! group, and it sees a wrong certificate even where some other order would do.
//!
//! Invariants
//! - Costs two sorts of the history.
//! - A key with a change whose place nobody knows is not replayed: it is listed
//!   as uncertified, and only a search can judge it.
//!
//! Not here: where certificates come from (the replies; for unknown outcomes
//! the committed log).

use std::collections::BTreeMap;
use std::fmt;

use crate::history::{Certificate, History, Key, OpId, Operation, Outcome};
use crate::model::Model;

/// What the certificates prove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CertificateReport {
    /// What is wrong, in the order of the checks.
    pub violations: Vec<CertificateViolation>,
    /// Keys that were not replayed: a certificate is missing.
    pub uncertified_keys: Vec<Key>,
}

impl CertificateReport {
    /// Whether everything was checked and nothing is wrong.
    pub fn is_certified(&self) -> bool {
        self.violations.is_empty() && self.uncertified_keys.is_empty()
    }
}

/// A certificate that cannot be true of a correct object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateViolation {
    /// An operation took effect before one that had returned when it began.
    TooEarly {
        /// The operation.
        operation: OpId,
        /// Its place.
        certificate: Certificate,
        /// One that had returned before.
        earlier: OpId,
        /// The place of that one.
        earlier_index: u64,
    },
    /// Two changes of one key claim the same place.
    SharedIndex {
        /// The two.
        operations: [OpId; 2],
        /// The place.
        certificate: Certificate,
    },
    /// What was answered "not done" took effect.
    NotDoneInLog {
        /// The operation.
        operation: OpId,
        /// Where it stands.
        certificate: Certificate,
    },
    /// Operations of one key claim places in two logs.
    TwoGroups {
        /// One operation of each.
        operations: [OpId; 2],
    },
    /// At its place the reply is wrong.
    WrongReply {
        /// The operation.
        operation: OpId,
        /// Its place.
        certificate: Certificate,
        /// What the key held just before.
        state: String,
    },
}

impl fmt::Display for CertificateViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooEarly { operation, certificate, earlier, earlier_index } => write!(
                f,
                "{operation} is at {certificate}, but {earlier} had returned before it began and is at index {earlier_index}"
            ),
            Self::SharedIndex { operations: [first, second], certificate } => {
                write!(f, "{first} and {second} are both at {certificate}")
            }
            Self::NotDoneInLog { operation, certificate } => {
                write!(f, "{operation} was answered as not done and is at {certificate}")
            }
            Self::TwoGroups { operations: [first, second] } => {
                write!(f, "{first} and {second} have one key and two groups")
            }
            Self::WrongReply { operation, certificate, state } => {
                write!(f, "{operation} at {certificate} found {state} and was answered otherwise")
            }
        }
    }
}

/// Checks every certificate of the history.
///
/// Costs O(n log n). Not everything that is wrong is listed: a key's replay
/// ends at its first wrong reply.
pub fn check_certificates<M: Model>(model: &M, history: &History) -> CertificateReport {
    let mut report = CertificateReport::default();
    check_not_done(history, &mut report);
    check_real_time(model, history, &mut report);
    for (key, operations) in history.by_key() {
        replay(model, key, &operations, &mut report);
    }
    report
}

fn check_not_done(history: &History, report: &mut CertificateReport) {
    for (operation, recorded) in history.iter() {
        if let (Outcome::NotDone, Some(certificate)) = (&recorded.outcome, recorded.certificate) {
            report.violations.push(CertificateViolation::NotDoneInLog { operation, certificate });
        }
    }
}

/// A certified operation, as the sweep and the replay see it.
#[derive(Clone, Copy)]
struct Placed<'a> {
    id: OpId,
    operation: &'a Operation,
    certificate: Certificate,
    is_observation: bool,
}

impl<'a> Placed<'a> {
    /// `None` without a certificate, and for what is not done.
    fn new<M: Model>(model: &M, id: OpId, operation: &'a Operation) -> Option<Self> {
        let certificate = operation.certificate?;
        if operation.outcome == Outcome::NotDone {
            return None;
        }
        let reply = operation.done().map(|(reply, _)| reply);
        let is_observation = model.is_observation(&operation.call, reply);
        Some(Self { id, operation, certificate, is_observation })
    }
}

fn check_real_time<M: Model>(model: &M, history: &History, report: &mut CertificateReport) {
    let mut events: Vec<((u64, u8), Placed<'_>)> = Vec::new();
    for (id, operation) in history.iter() {
        let Some(placed) = Placed::new(model, id, operation) else {
            continue;
        };
        // At one time beginnings come first: what touches is concurrent.
        events.push(((operation.invoke_ns, BEGINS), placed));
        if let Some((_, return_ns)) = operation.done() {
            events.push(((return_ns, RETURNS), placed));
        }
    }
    events.sort_by_key(|(when, placed)| (*when, placed.id));
    let mut highest: BTreeMap<u64, Placed<'_>> = BTreeMap::new();
    for ((_, kind), placed) in events {
        let Certificate { group, index } = placed.certificate;
        let before = highest.get(&group).copied();
        if kind == RETURNS {
            if before.is_none_or(|before| before.certificate.index < index) {
                highest.insert(group, placed);
            }
            continue;
        }
        let Some(before) = before else { continue };
        let earlier_index = before.certificate.index;
        if index < earlier_index || (index == earlier_index && !placed.is_observation) {
            report.violations.push(CertificateViolation::TooEarly {
                operation: placed.id,
                certificate: placed.certificate,
                earlier: before.id,
                earlier_index,
            });
        }
    }
}

const BEGINS: u8 = 0;
const RETURNS: u8 = 1;

fn replay<M: Model>(
    model: &M,
    key: &Key,
    operations: &[(OpId, &Operation)],
    report: &mut CertificateReport,
) {
    let placed = operations.iter().filter_map(|(id, operation)| Placed::new(model, *id, operation));
    let mut placed: Vec<Placed<'_>> = placed.collect();
    placed.sort_by_key(|one| (one.certificate, one.is_observation, one.id));
    let is_missing = |operation: &Operation| match operation.outcome {
        Outcome::NotDone => false,
        Outcome::Done { .. } => operation.certificate.is_none(),
        Outcome::Unknown => {
            operation.certificate.is_none() && !model.is_observation(&operation.call, None)
        }
    };
    if let [first, .., last] = placed.as_slice()
        && first.certificate.group != last.certificate.group
    {
        let operations = [first.id, last.id];
        report.violations.push(CertificateViolation::TwoGroups { operations });
        return;
    }
    if operations.iter().any(|(_, operation)| is_missing(operation)) {
        report.uncertified_keys.push(key.clone());
        return;
    }
    let mut state = model.initial();
    let mut last_change: Option<Placed<'_>> = None;
    for one in placed {
        if !one.is_observation {
            let shared = last_change.filter(|last| last.certificate == one.certificate);
            if let Some(other) = shared {
                let (operations, certificate) = ([other.id, one.id], one.certificate);
                report
                    .violations
                    .push(CertificateViolation::SharedIndex { operations, certificate });
            }
            last_change = Some(one);
        }
        let reply = one.operation.done().map(|(reply, _)| reply);
        let Some(after) = model.step(&state, &one.operation.call, reply) else {
            report.violations.push(CertificateViolation::WrongReply {
                operation: one.id,
                certificate: one.certificate,
                state: format!("{state:?}"),
            });
            return;
        };
        state = after;
    }
}
