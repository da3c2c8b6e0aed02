//! Is there an order of all operations that one correct object could have
//! served, and that respects real time?
//!
//! The search of Wing and Gong with Lowe's memory, one key at a time (keys are
//! independent objects, so the whole is linearizable if each key is). Input: a
//! history and a model. Output: a [`Verdict`].
//!
//! Finding an order is hard in general. What keeps it quick for histories that
//! clients really produce is written where it happens, in
//! `linearizable/search.rs`; it needs values that are unique and at most about
//! eight clients a key. Beyond that the search meets its limit and says so.
//!
//! Invariants
//! - `Linearizable` and `Violation` are proofs. A search that met its limit is
//!   `Inconclusive`, and that is never a pass.
//! - Operations that were not done are left out of every order, so a value that
//!   only they could have written is never legal to read.
//!
//! Not here: what the operations mean (`model.rs`); judgements that need more
//! than times and replies (`certificate.rs`, `ledger.rs`).

mod memo;
mod pool;
mod search;
mod timeline;

use std::fmt::Write;

use crate::history::{History, Key, OpId, Operation};
use crate::linearizable::search::{Ending, Search, Stuck};
use crate::model::Model;

/// Nodes one key may cost unless the caller says otherwise. A node takes about
/// 150 bytes of memory, so this is 150 MB at most, and a few seconds. A good
/// history needs about one node an operation.
pub const NODES_MAX_DEFAULT: u64 = 1_000_000;

/// How long to search.
#[derive(Clone, Copy, Debug)]
pub struct SearchLimits {
    /// Most configurations remembered for one key.
    pub nodes_max: u64,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self { nodes_max: NODES_MAX_DEFAULT }
    }
}

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Every key has an order.
    Linearizable,
    /// This key has none.
    Violation(Violation),
    /// No key is known to be wrong, but this one was not decided.
    Inconclusive {
        /// The first such key.
        key: Key,
        /// How many configurations were searched for it.
        nodes: u64,
    },
}

impl Verdict {
    /// Whether the history is proven good. Undecided is not.
    pub fn is_linearizable(&self) -> bool {
        *self == Self::Linearizable
    }
}

/// A key whose operations no correct object could have answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The key.
    pub key: Key,
    /// The operations of which one had to come next and none could, after the
    /// longest order that was found.
    pub blocked: Vec<OpId>,
    /// The same for a person: the end of that order, the state after it, and
    /// the blocked operations.
    pub explanation: String,
}

/// Searches every key for an order.
///
/// Costs about one step an operation where the history is good and values are
/// unique; in the worst case `limits.nodes_max` nodes a key. The first key in
/// violation ends it.
pub fn check<M: Model>(model: &M, history: &History, limits: SearchLimits) -> Verdict {
    let mut verdict = Verdict::Linearizable;
    for (key, operations) in history.by_key() {
        match Search::new(model, &operations, limits).run() {
            Ending::Ordered => {}
            Ending::NoOrder(stuck) => {
                let blocked = stuck.blocked.clone();
                let explanation = explain(key, history, &stuck);
                return Verdict::Violation(Violation { key: key.clone(), blocked, explanation });
            }
            Ending::TooLong { nodes } => {
                if verdict.is_linearizable() {
                    verdict = Verdict::Inconclusive { key: key.clone(), nodes };
                }
            }
        }
    }
    verdict
}

fn explain<S: std::fmt::Debug>(key: &Key, history: &History, stuck: &Stuck<S>) -> String {
    let mut text = format!(
        "key {key}: {} of its {} answered operations can be put in an order, and no order goes on.\n",
        stuck.ordered_len, stuck.answered_len
    );
    if !stuck.tail.is_empty() {
        text.push_str("The longest order ends with\n");
        append_operations(&mut text, history, &stuck.tail);
    }
    // Writing to a string cannot fail.
    let _ =
        writeln!(text, "after which the key holds {:?}. One of these had to be next:", stuck.state);
    append_operations(&mut text, history, &stuck.blocked);
    if stuck.unknown_left_len > 0 {
        let _ = writeln!(
            text,
            "{} more of unknown outcome may have taken effect by then; none of them helps.",
            stuck.unknown_left_len
        );
    }
    append_never_done(&mut text, history, stuck);
    text
}

fn append_operations(text: &mut String, history: &History, ids: &[OpId]) {
    for id in ids {
        if let Some(operation) = history.get(*id) {
            let _ = writeln!(text, "  {id} {operation}");
        }
    }
}

/// Names writes that were answered "not done" and whose value was read: the
/// likeliest reason why the reader is stuck.
fn append_never_done<S>(text: &mut String, history: &History, stuck: &Stuck<S>) {
    for id in &stuck.blocked {
        let Some(reader) = history.get(*id) else {
            continue;
        };
        for (failed_id, failed) in history.iter() {
            if wrote_without_doing(failed, reader) {
                let _ =
                    writeln!(text, "{id} saw what was answered as not done: {failed_id} {failed}");
            }
        }
    }
}

fn wrote_without_doing(failed: &Operation, reader: &Operation) -> bool {
    use crate::history::{Call, Outcome, Reply};

    let Some((Reply::Value(Some(seen)), _)) = reader.done() else {
        return false;
    };
    failed.key == reader.key
        && failed.outcome == Outcome::NotDone
        && matches!(&failed.call, Call::Write(value) if value == seen)
}
