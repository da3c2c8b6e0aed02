//! The counters of one key that was only read and written.
//!
//! Values are unique, so whoever returned a value says which write it saw. A
//! value is *settled* when its write was acknowledged or some read had returned
//! it, whichever came first: from then on it certainly had been stored. That
//! absence is settled from the start.
//!
//! Value `w` is newer than `v` if `w` was written, or read while current, by an
//! operation that began after `v` was settled. So one sweep over time decides:
//! it keeps the latest beginning that is known of values settled so far, and a
//! read of `v` is stale if one of another value lies after `v` was settled.
//!
//! Invariants
//! - A read that was found stale proves that its value had been stored, but not
//!   that it was current: it makes no other read stale.
//! - Times that touch order nothing.
//!
//! Not here: what is wrong only in combination (`linearizable.rs`).

use std::collections::BTreeMap;

use super::{JudgeError, Judgement};
use crate::history::{Call, ClientId, OpId, Operation, Outcome, Reply, Value};

/// One key, its final read among the reads.
#[derive(Debug)]
pub(super) struct Register<'a> {
    writes: BTreeMap<&'a Value, WriteOf<'a>>,
    reads: Vec<ReadOf<'a>>,
    settled_ns: BTreeMap<&'a Value, u64>,
}

#[derive(Clone, Copy, Debug)]
struct WriteOf<'a> {
    id: OpId,
    operation: &'a Operation,
}

#[derive(Clone, Copy, Debug)]
struct ReadOf<'a> {
    id: OpId,
    operation: &'a Operation,
    value: Option<&'a Value>,
    return_ns: u64,
}

/// Somebody who wrote or saw a value, and when they began.
#[derive(Clone, Copy, Debug)]
struct Witness<'a> {
    value: &'a Value,
    invoke_ns: u64,
    id: OpId,
    operation: &'a Operation,
}

/// The latest witness, and the latest of another value.
#[derive(Debug, Default)]
struct Latest<'a> {
    best: Option<Witness<'a>>,
    other: Option<Witness<'a>>,
}

/// What happens to the sweep.
#[derive(Clone, Copy, Debug)]
enum Event<'a> {
    ReadBegins(usize),
    ReadReturns(usize),
    WriteReturns(&'a Value, WriteOf<'a>),
}

impl<'a> Register<'a> {
    /// Collects who wrote and who saw what.
    pub(super) fn new(operations: &[(OpId, &'a Operation)]) -> Result<Self, JudgeError> {
        let mut register =
            Self { writes: BTreeMap::new(), reads: Vec::new(), settled_ns: BTreeMap::new() };
        for (id, operation) in operations {
            if let (Call::Write(value), Outcome::Done { .. } | Outcome::Unknown) =
                (&operation.call, &operation.outcome)
            {
                register.add_write(*id, operation, value)?;
            }
            if let Some((Reply::Value(value), return_ns)) = operation.done() {
                let value = value.as_ref();
                register.reads.push(ReadOf { id: *id, operation, value, return_ns });
            }
        }
        register.settle();
        Ok(register)
    }

    fn add_write(
        &mut self,
        id: OpId,
        operation: &'a Operation,
        value: &'a Value,
    ) -> Result<(), JudgeError> {
        if let Some(first) = self.writes.insert(value, WriteOf { id, operation }) {
            return Err(JudgeError::ValueReused {
                key: operation.key.clone(),
                value: value.clone(),
                writes: [first.id, id],
            });
        }
        Ok(())
    }

    fn settle(&mut self) {
        let acked = self.writes.iter().filter_map(|(value, write)| {
            let (_, return_ns) = write.operation.done()?;
            Some((*value, return_ns))
        });
        let seen = self.reads.iter().filter_map(|read| Some((read.value?, read.return_ns)));
        for (value, return_ns) in acked.chain(seen) {
            let settled_ns = self.settled_ns.entry(value).or_insert(return_ns);
            *settled_ns = return_ns.min(*settled_ns);
        }
    }

    /// Adds what is wrong with this key to the judgement.
    pub(super) fn count(&self, judgement: &mut Judgement) {
        let lost_before = judgement.lost;
        for read in self.reads.iter().filter(|read| self.is_phantom(read)) {
            judgement.phantom_reads += 1;
            judgement.note(|| {
                format!("phantom: {} {}: nobody had written that", read.id, read.operation)
            });
        }
        for read in self.reads.iter().filter(|read| is_final(read) && !self.is_phantom(read)) {
            self.count_lost(read, judgement);
        }
        for (read, newer) in self.stale_reads() {
            // A final state that is too old was counted above, write by write.
            if is_final(&read) && judgement.lost > lost_before {
                continue;
            }
            judgement.stale_reads += 1;
            judgement.note(|| {
                format!(
                    "stale: {} {}: newer is {} {}",
                    read.id, read.operation, newer.id, newer.operation
                )
            });
        }
    }

    fn count_lost(&self, last: &ReadOf<'a>, judgement: &mut Judgement) {
        let settled_ns = self.settled_ns_of(last.value);
        for (value, write) in &self.writes {
            let is_acked = write.operation.done().is_some();
            let began_after = Some(write.operation.invoke_ns) > settled_ns;
            if is_acked && began_after && last.value != Some(*value) {
                judgement.lost += 1;
                judgement.note(|| {
                    let (id, operation) = (write.id, write.operation);
                    format!("lost: {id} {operation}: the end is older: {}", last.operation)
                });
            }
        }
    }

    /// The stale reads in the order they began, each with something newer.
    fn stale_reads(&self) -> Vec<(ReadOf<'a>, Witness<'a>)> {
        let mut latest = Latest::default();
        let mut is_stale = vec![false; self.reads.len()];
        let mut found = Vec::new();
        for event in self.events() {
            match event {
                Event::WriteReturns(value, write) => latest.add(write.witness(value)),
                Event::ReadBegins(number) => {
                    let Some(read) = self.reads.get(number) else {
                        continue;
                    };
                    let settled_ns = self.settled_ns_of(read.value);
                    let newer = latest.of_another_than(read.value);
                    let newer = newer.filter(|newer| Some(newer.invoke_ns) > settled_ns);
                    if let (Some(newer), Some(flag)) = (newer, is_stale.get_mut(number)) {
                        *flag = true;
                        found.push((*read, newer));
                    }
                }
                Event::ReadReturns(number) => {
                    let Some(read) = self.reads.get(number) else {
                        continue;
                    };
                    let Some(value) = read.value else { continue };
                    let Some(write) = self.writes.get(value) else {
                        continue;
                    };
                    latest.add(write.witness(value));
                    if is_stale.get(number) == Some(&false) {
                        latest.add(read.witness(value));
                    }
                }
            }
        }
        found
    }

    /// Beginnings and ends by time; at one time beginnings first, so that what
    /// touches orders nothing. Phantoms are no part of it.
    fn events(&self) -> impl Iterator<Item = Event<'a>> {
        let mut events = Vec::with_capacity(2 * self.reads.len() + self.writes.len());
        for (number, read) in self.reads.iter().enumerate() {
            if !self.is_phantom(read) {
                events.push(((read.operation.invoke_ns, 0), Event::ReadBegins(number)));
                events.push(((read.return_ns, 1), Event::ReadReturns(number)));
            }
        }
        for (value, write) in &self.writes {
            if let Some((_, return_ns)) = write.operation.done() {
                events.push(((return_ns, 1), Event::WriteReturns(value, *write)));
            }
        }
        events.sort_by_key(|(when, _)| *when);
        events.into_iter().map(|(_, event)| event)
    }

    /// Whether nobody can have written by then what was read.
    fn is_phantom(&self, read: &ReadOf<'a>) -> bool {
        let Some(value) = read.value else {
            return false;
        };
        let write = self.writes.get(value);
        write.is_none_or(|write| read.return_ns < write.operation.invoke_ns)
    }

    /// Since when the value had certainly been stored; absence always had been.
    fn settled_ns_of(&self, value: Option<&Value>) -> Option<u64> {
        self.settled_ns.get(value?).copied()
    }
}

fn is_final(read: &ReadOf<'_>) -> bool {
    read.operation.client == ClientId::FINAL_READER
}

impl<'a> WriteOf<'a> {
    fn witness(&self, value: &'a Value) -> Witness<'a> {
        let (id, operation) = (self.id, self.operation);
        Witness { value, invoke_ns: operation.invoke_ns, id, operation }
    }
}

impl<'a> ReadOf<'a> {
    fn witness(&self, value: &'a Value) -> Witness<'a> {
        let (id, operation) = (self.id, self.operation);
        Witness { value, invoke_ns: operation.invoke_ns, id, operation }
    }
}

impl<'a> Latest<'a> {
    fn add(&mut self, witness: Witness<'a>) {
        let is_later =
            |than: Option<Witness<'a>>| than.is_none_or(|than| witness.invoke_ns > than.invoke_ns);
        if self.best.is_some_and(|best| best.value == witness.value) {
            if is_later(self.best) {
                self.best = Some(witness);
            }
        } else if is_later(self.best) {
            self.other = self.best.replace(witness);
        } else if is_later(self.other) {
            self.other = Some(witness);
        }
    }

    fn of_another_than(&self, value: Option<&Value>) -> Option<Witness<'a>> {
        let best = self.best.filter(|best| Some(best.value) != value);
        best.or(self.other)
    }
}
