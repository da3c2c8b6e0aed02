//! Was anything lost, was anything stale?
//!
//! For workloads whose values are unique and whose keys are each read once more
//! at the end, two counters answer in words everybody understands:
//! - `lost`: an acknowledged write that the final state is older than. The
//!   value found at the end was certainly there before that write began.
//! - `stale_reads`: a read that returned a value older than one that had been
//!   acknowledged, or read, before it began.
//!
//! A third, `phantom_reads`, counts values nobody can have written by then,
//! among them those of writes that were answered "not done".
//!
//! Invariants
//! - Each counted operation is a proof: a linearizable history has none.
//! - The counters may miss what only shows when several operations are seen
//!   together. The search (`linearizable.rs`) misses nothing and has the last
//!   word: [`Judgement::is_clean`] asks all of them.
//! - Costs a sort of the history, then one pass; the search comes on top.
//!
//! Keys with increments or deletes are judged by the search alone and counted
//! in `uncounted_keys`.
//!
//! Not here: whether the members agree among themselves (the demo compares
//! their digests).

mod register;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use crate::history::{Call, History, HistoryError, Key, OpId, Operation, Outcome, Value};
use crate::ledger::register::Register;
use crate::linearizable::{SearchLimits, Verdict, check};
use crate::model::KeyValue;

/// What a history comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Judgement {
    /// Acknowledged writes that are missing at the end.
    pub lost: u64,
    /// Reads that returned what had been superseded before they began.
    pub stale_reads: u64,
    /// Reads that returned what nobody can have written by then.
    pub phantom_reads: u64,
    /// Keys that only the search judged.
    pub uncounted_keys: u64,
    /// The last word.
    pub linearizable: Verdict,
    /// For a person: the first twenty operations behind the counters, then the
    /// search's own explanation.
    pub explanations: Vec<String>,
}

/// Most counted operations that are explained one by one; a broken run has
/// thousands alike.
const EXPLANATIONS_MAX: usize = 20;

impl Judgement {
    /// Whether nothing at all is wrong. Undecided is wrong.
    pub fn is_clean(&self) -> bool {
        self.lost == 0
            && self.stale_reads == 0
            && self.phantom_reads == 0
            && self.linearizable.is_linearizable()
    }

    fn note(&mut self, explanation: impl FnOnce() -> String) {
        if self.explanations.len() < EXPLANATIONS_MAX {
            self.explanations.push(explanation());
        }
    }
}

/// Judges a history and what each of its keys held after everything healed.
///
/// Every key starts out absent. The final reads count as begun after all
/// recorded operations; keys without recorded operations may be among them.
///
/// # Errors
/// [`JudgeError`] when the history cannot be judged so: the run is then neither
/// good nor bad, the recorder is wrong.
pub fn judge(
    history: &History,
    final_reads: &BTreeMap<Key, Option<Value>>,
    limits: SearchLimits,
) -> Result<Judgement, JudgeError> {
    let mut history = history.clone();
    for (key, value) in final_reads {
        history.push_final_read(key, value.as_ref()).map_err(JudgeError::History)?;
    }
    let mut judgement = Judgement {
        lost: 0,
        stale_reads: 0,
        phantom_reads: 0,
        uncounted_keys: 0,
        linearizable: Verdict::Linearizable,
        explanations: Vec::new(),
    };
    for (key, operations) in history.by_key() {
        if !final_reads.contains_key(key) {
            return Err(JudgeError::NoFinalRead { key: key.clone() });
        }
        if is_register(&operations) {
            Register::new(&operations)?.count(&mut judgement);
        } else {
            judgement.uncounted_keys += 1;
        }
    }
    judgement.linearizable = check(&KeyValue, &history, limits);
    match &judgement.linearizable {
        Verdict::Linearizable => {}
        Verdict::Violation(violation) => {
            judgement.explanations.push(violation.explanation.clone());
        }
        Verdict::Inconclusive { key, nodes } => judgement.explanations.push(format!(
            "key {key}: not decided after {nodes} nodes; use fewer clients a key or allow more nodes"
        )),
    }
    Ok(judgement)
}

/// Whether the key was only read and written.
fn is_register(operations: &[(OpId, &Operation)]) -> bool {
    operations.iter().all(|(_, operation)| {
        matches!(operation.call, Call::Read | Call::Write(_))
            || operation.outcome == Outcome::NotDone
    })
}

/// Why a history cannot be judged.
#[derive(Debug)]
#[non_exhaustive]
pub enum JudgeError {
    /// A key that was used was not read at the end.
    NoFinalRead {
        /// The key.
        key: Key,
    },
    /// Two writes of one key may both have stored the same value.
    ValueReused {
        /// The key.
        key: Key,
        /// The value.
        value: Value,
        /// The write met first, and the other.
        writes: [OpId; 2],
    },
    /// The final reads do not fit into the history.
    History(HistoryError),
}

impl fmt::Display for JudgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFinalRead { key } => write!(
                f,
                "key {key} was not read at the end; read every key once more after the run"
            ),
            Self::ValueReused { key, value, writes: [first, second] } => write!(
                f,
                "operations {first} and {second} both write {value} to key {key}; \
                 give every write a value of its own, retries too"
            ),
            Self::History(_) => write!(f, "the final reads do not fit into the history"),
        }
    }
}

impl Error for JudgeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::History(error) => Some(error),
            Self::NoFinalRead { .. } | Self::ValueReused { .. } => None,
        }
    }
}
