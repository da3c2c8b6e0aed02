//! Operations nobody knows the outcome of.
//!
//! Each may take effect at any time after its invocation, or never, so it never
//! stands in the way of another. Those that only observe are dropped: nobody
//! saw what they saw. Of two with equal calls the one invoked first is used
//! first: it could stand wherever the other does.
//!
//! Not here: when it pays to use one (`search.rs`).

use std::collections::BTreeMap;

use crate::history::{Call, OpId, Operation, Outcome};
use crate::model::Model;

/// The operations of unknown outcome of one key, by time of invocation.
#[derive(Debug)]
pub(super) struct Pool<'a> {
    members: Vec<Member<'a>>,
    used: Vec<u64>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) id: OpId,
    pub(super) call: &'a Call,
    /// Whether the state after it does not depend on the state before.
    pub(super) is_overwrite: bool,
    invoke_ns: u64,
    /// The member with an equal call that is to be used before this one.
    twin: Option<usize>,
}

impl<'a> Pool<'a> {
    pub(super) fn new<M: Model>(model: &M, operations: &[(OpId, &'a Operation)]) -> Self {
        let mut members: Vec<Member<'a>> = operations
            .iter()
            .filter(|(_, operation)| operation.outcome == Outcome::Unknown)
            .filter(|(_, operation)| !model.is_observation(&operation.call, None))
            .map(|(id, operation)| Member {
                id: *id,
                call: &operation.call,
                is_overwrite: model.is_overwrite(&operation.call, None),
                invoke_ns: operation.invoke_ns,
                twin: None,
            })
            .collect();
        members.sort_by_key(|member| (member.invoke_ns, member.id));
        let mut latest_of_call: BTreeMap<&Call, usize> = BTreeMap::new();
        for (number, member) in members.iter_mut().enumerate() {
            member.twin = latest_of_call.insert(member.call, number);
        }
        let used = vec![0; members.len().div_ceil(64)];
        Self { members, used }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn member(&self, number: usize) -> Option<&Member<'a>> {
        self.members.get(number)
    }

    /// Members invoked by `horizon_ns`, used or not.
    pub(super) fn invoked_len(&self, horizon_ns: u64) -> usize {
        self.members.partition_point(|member| member.invoke_ns <= horizon_ns)
    }

    /// How many of the first `len` members are not used.
    pub(super) fn unused_len(&self, len: usize) -> usize {
        (0..len).filter(|number| !self.is_used(*number)).count()
    }

    /// Whether the member is unused and its turn among its equals has come,
    /// given that `also_used` is used too.
    pub(super) fn is_next(&self, number: usize, also_used: Option<usize>) -> bool {
        let twin_is_used = match self.member(number).and_then(|member| member.twin) {
            None => true,
            twin if twin == also_used => true,
            Some(twin) => self.is_used(twin),
        };
        !self.is_used(number) && also_used != Some(number) && twin_is_used
    }

    pub(super) fn is_used(&self, number: usize) -> bool {
        self.used.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Marks a member used, or unused again.
    pub(super) fn flip(&mut self, number: usize) {
        if let Some(word) = self.used.get_mut(number / 64) {
            *word ^= 1 << (number % 64);
        }
    }

    /// Which members are used, one bit each, without trailing zero words.
    pub(super) fn used_words(&self) -> &[u64] {
        let len = self.used.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        self.used.get(..len).unwrap_or_default()
    }
}
