//! What one connection has queued since `MULTI`, and which keys it watches.
//!
//! `EXEC` becomes one entry of the log: the queued commands, reads among them
//! at their place, and of each watched key the version it had when it was
//! watched. Whoever applies the entry compares first: if any version differs,
//! nothing is executed. So the decision is made at one place of the log, alike
//! on every member, and survives a change of leader.
//!
//! ```text
//!             WATCH: versions are asked of the group, nothing else is read
//!               |
//!   plain --MULTI--> queueing --refused at the queue--> doomed
//!     ^                 |                                 |
//!     |    EXEC: one entry, or its local answers    EXEC: EXECABORT
//!     +-----------------+---------------------------------+   DISCARD, RESET
//! ```
//!
//! Invariants
//! - Everything in one transaction, watched keys included, is of one group.
//! - What is queued and watched has bounds in number and bytes; a doomed
//!   transaction holds nothing.
//!
//! Not here: answers (`session.rs`), the comparison (`store.rs`).

use bytes::Bytes;

use crate::command::{ConnectionRequest, Request};
use crate::errors;
use crate::limits::Limits;
use crate::operation::Query;
use crate::operation::key::KeyQuery;
use crate::resp::reply::Reply;
use crate::slot::{GroupIndex, SlotMap};

/// Keys watched at once. A client watches a handful; each costs its bytes and
/// 48 more here, and a comparison in the entry.
const WATCHED_LEN_MAX: usize = 4_096;

/// What one connection has queued and watches.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    queue: Option<Queue>,
    /// Keys with their versions when they were watched.
    watched: Vec<(Bytes, u64)>,
    watched_bytes: usize,
    /// Of the watched keys; `None` while there are none.
    watched_group: Option<GroupIndex>,
    /// Something was refused for its size, and not yet counted.
    is_too_big: bool,
    /// Keys whose versions were asked for and are not known yet.
    awaited: Vec<Bytes>,
}

#[derive(Debug, Default)]
struct Queue {
    requests: Vec<Request>,
    held_bytes: usize,
    /// Of the keys so far.
    group: Option<GroupIndex>,
    is_doomed: bool,
    may_grow: bool,
}

/// A transaction to be executed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Taken {
    pub(crate) group: GroupIndex,
    pub(crate) watched: Vec<(Bytes, u64)>,
    pub(crate) requests: Vec<Request>,
    /// Roughly what all of this keeps in memory.
    pub(crate) held_bytes: usize,
}

impl Transaction {
    /// Whether requests are queued now.
    pub(crate) fn is_queueing(&self) -> bool {
        self.queue.is_some()
    }

    /// How many are queued, if any may be.
    pub(crate) fn queued_len(&self) -> Option<usize> {
        self.queue.as_ref().map(|queue| queue.requests.len())
    }

    /// Roughly what it keeps in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        let queued = self.queue.as_ref().map_or(0, |queue| queue.held_bytes);
        queued.saturating_add(self.watched_bytes)
    }

    /// Whether something queued may make the data grow.
    pub(crate) fn may_grow(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.may_grow)
    }

    /// Notes that what was queued last may make the data grow.
    pub(crate) fn set_may_grow(&mut self) {
        if let Some(queue) = self.queue.as_mut().filter(|queue| !queue.is_doomed) {
            queue.may_grow = true;
        }
    }

    /// Whether something was refused for its size since this was last asked.
    pub(crate) fn take_is_too_big(&mut self) -> bool {
        std::mem::take(&mut self.is_too_big)
    }

    /// Whether nothing may be read before versions have come: they belong to
    /// the place where their `WATCH` stands.
    pub(crate) fn awaits_versions(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// Begins to queue.
    pub(crate) fn begin(&mut self) -> Reply {
        if self.is_queueing() {
            return Reply::error(errors::NESTED_MULTI);
        }
        self.queue = Some(Queue::default());
        Reply::OK
    }

    /// Something was refused: what is queued will not be executed.
    pub(crate) fn doom(&mut self) {
        if let Some(queue) = &mut self.queue {
            *queue = Queue { is_doomed: true, ..Queue::default() };
        }
    }

    /// Ends without executing anything.
    pub(crate) fn discard(&mut self) -> Reply {
        if !self.is_queueing() {
            return Reply::error(errors::DISCARD_WITHOUT_MULTI);
        }
        self.reset();
        Reply::OK
    }

    /// Back to the beginning.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Forgets the watched keys.
    pub(crate) fn unwatch(&mut self) {
        *self = Self { queue: self.queue.take(), ..Self::default() };
    }

    /// Queues one request, or refuses it, and with it the whole transaction.
    /// `held_bytes` is roughly what the request keeps in memory.
    pub(crate) fn enqueue(
        &mut self,
        (group, request): (GroupIndex, Request),
        held_bytes: usize,
        (slots, limits): (SlotMap, &Limits),
    ) -> Reply {
        match self.try_enqueue((group, request), held_bytes, (slots, limits)) {
            Ok(()) => Reply::simple_static("QUEUED"),
            Err(refusal) => {
                self.doom();
                refusal
            }
        }
    }

    fn try_enqueue(
        &mut self,
        (group, request): (GroupIndex, Request),
        held_bytes: usize,
        (slots, limits): (SlotMap, &Limits),
    ) -> Result<(), Reply> {
        let Some(queue) = self.queue.as_mut().filter(|queue| !queue.is_doomed) else {
            return Ok(());
        };
        match &request {
            Request::Connection(request) if !is_local_question(request) => {
                return Err(Reply::error(errors::NOT_IN_TRANSACTION));
            }
            Request::Read(_) | Request::Write(_) => {
                let known = *queue.group.get_or_insert(self.watched_group.unwrap_or(group));
                if known != group {
                    return Err(errors::crossslot());
                }
            }
            request if request.is_for_every_group() && slots.groups_len() > 1 => {
                return Err(errors::crossslot());
            }
            _ => {}
        }
        let held_bytes =
            queue.held_bytes.saturating_add(held_bytes).saturating_add(size_of::<Request>());
        if queue.requests.len() >= limits.transaction_len_max
            || held_bytes > limits.transaction_bytes_max
        {
            self.is_too_big = true;
            return Err(errors::too_big_transaction(
                limits.transaction_len_max,
                limits.transaction_bytes_max,
            ));
        }
        queue.held_bytes = held_bytes;
        queue.requests.push(request);
        Ok(())
    }

    /// Takes what is to be executed; there is no transaction afterwards.
    ///
    /// # Errors
    /// The reply, if nothing is.
    pub(crate) fn take(&mut self) -> Result<Taken, Reply> {
        let Self { queue, watched, watched_bytes, watched_group, .. } = std::mem::take(self);
        let Some(queue) = queue else {
            // Without `MULTI` nothing has ended: the keys stay watched.
            *self = Self { watched, watched_bytes, watched_group, ..Self::default() };
            return Err(Reply::error(errors::EXEC_WITHOUT_MULTI));
        };
        if queue.is_doomed {
            return Err(Reply::error(errors::EXEC_ABORTED));
        }
        Ok(Taken {
            group: watched_group.or(queue.group).unwrap_or_default(),
            watched,
            requests: queue.requests,
            held_bytes: queue.held_bytes.saturating_add(watched_bytes),
        })
    }

    /// Watches keys of `group`: the question to ask it, if there is one.
    ///
    /// # Errors
    /// The reply, if they can't be watched.
    pub(crate) fn watch(
        &mut self,
        group: GroupIndex,
        keys: &[Bytes],
        limits: &Limits,
    ) -> Result<Option<Query<Bytes>>, Reply> {
        if self.is_queueing() {
            return Err(Reply::error(errors::WATCH_IN_MULTI));
        }
        if self.watched_group.is_some_and(|known| known != group) {
            return Err(errors::crossslot());
        }
        let mut new: Vec<Bytes> = Vec::new();
        let mut bytes = self.watched_bytes;
        for key in keys {
            let is_known = self.watched.iter().map(|(known, _)| known).chain(&new);
            if is_known.into_iter().any(|known| known == key) {
                continue;
            }
            bytes = bytes.saturating_add(key.len()).saturating_add(size_of::<(Bytes, u64)>());
            if self.watched.len() + new.len() >= WATCHED_LEN_MAX
                || bytes > limits.transaction_bytes_max
            {
                self.is_too_big = true;
                return Err(errors::too_many_watched(
                    WATCHED_LEN_MAX,
                    limits.transaction_bytes_max,
                ));
            }
            // A copy, so that the request's frame isn't kept for it.
            new.push(Bytes::copy_from_slice(key));
        }
        if new.is_empty() {
            return Ok(None);
        }
        self.awaited.clone_from(&new);
        self.watched_bytes = bytes;
        self.watched_group = Some(group);
        Ok(Some(KeyQuery::Versions { keys: new }.into()))
    }

    /// The versions that were asked for have come; `None`: they won't, and the
    /// client was told.
    pub(crate) fn on_versions(&mut self, versions: Option<Vec<u64>>) {
        let keys = std::mem::take(&mut self.awaited);
        if let Some(versions) = versions {
            debug_assert_eq!(keys.len(), versions.len(), "a version for each key");
            self.watched.extend(keys.into_iter().zip(versions));
        } else if self.watched.is_empty() {
            self.unwatch();
        }
    }
}

/// What may be queued although it is about the connection: it changes nothing
/// there, so it means the same wherever in the transaction it stands.
fn is_local_question(request: &ConnectionRequest) -> bool {
    matches!(
        request,
        ConnectionRequest::ClientId
            | ConnectionRequest::ClientInfo
            | ConnectionRequest::ClientGetName
    )
}
