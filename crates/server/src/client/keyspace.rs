//! The groups that hold the keys, as sessions use them, and what the node
//! counts about its clients.
//!
//! Invariants
//! - An error of a group becomes an outcome by its type alone (D9, rule 33):
//!   *unknown* is never told as *not done*, nor the other way round.
//! - A group that is merely busy is asked again until the request's time is up.
//!
//! Not here: which group holds a key, and texts for clients (the `kv` crate).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::client::clients::Clients;
use crate::client::shares::{Counted, Shares};
use crate::config::{Access, Config};
use crate::process::clock::TokioClock;
use crate::shard::expiry;
use crate::shard::neighbours::Neighbours;
use crate::shard::ports::Group;
use crate::shard::replica::{Sizes, SizesOfAll};
use crate::shard::timing::Timing;
use crate::status::ClientsStatus;
use raftlet::core::Role;
use raftlet::{NotDone, ProposeError, ReadError, Shortage};
use raftlet_kv::{
    Batch, Connection, Expected, Failure, Limits, NodeInfo, Outcome, Password, Refusals, Scripts,
    Setting, Share, SlotMap, Ticket, Work,
};

/// Bytes that a request's encoding in the log may add to what arrived: the
/// kind of the command, and a length for each argument that is no longer than
/// the `$…\r\n…\r\n` around it.
const ENCODING_BYTES: usize = 1 << 10;

/// The groups of this node, and its clients' numbers.
#[derive(Debug)]
pub(crate) struct Keyspace {
    /// In the order of [`GroupIndex`].
    groups: Vec<Group>,
    /// In the same order.
    timings: Vec<Rc<Timing>>,
    /// In the same order.
    expected: Vec<Rc<RefCell<Expected>>>,
    sizes: SizesOfAll,
    slots: SlotMap,
    clock: TokioClock,
    neighbours: Neighbours,
    access: Access,
    propose_timeout_ms: u64,
    /// As the operator set them, or a client since.
    memory_bytes_max: Cell<u64>,
    clients_max: Cell<usize>,
    client_idle: Cell<Option<Duration>>,
    /// By their numbers, of which there are a dozen.
    representations: RefCell<BTreeMap<u8, i64>>,
    scripts: RefCell<Scripts>,
    /// More than this many clients the process has no files for.
    clients_max_at_most: usize,
    /// What does not change within a run.
    info: NodeInfo,
    client_list: Rc<Clients>,
    shares: Shares,
    clients: Cell<u64>,
    clients_accepted: Cell<u64>,
    clients_refused: Cell<u64>,
    clients_idle_closed: Cell<u64>,
    clients_unauthenticated_closed: Cell<u64>,
    requests: Cell<u64>,
    refusals: Cell<Refusals>,
    /// Accepted clients and requests when `INFO` was last told to begin anew.
    since: Cell<(u64, u64)>,
}

impl Keyspace {
    /// `info` holds what does not change within a run.
    pub(crate) fn new(
        config: &Config,
        (groups, sizes): (Vec<(Group, Rc<Timing>)>, SizesOfAll),
        clock: TokioClock,
        (info, neighbours): (NodeInfo, Neighbours),
    ) -> Self {
        let timeout_ms = config.propose_timeout.as_millis();
        let entry_bytes_max = config.group.command_bytes_max.saturating_sub(ENCODING_BYTES);
        let mut access = config.access.clone();
        let limits = &mut access.limits;
        limits.request_bytes_max = limits.request_bytes_max.min(entry_bytes_max);
        limits.bulk_bytes_max = limits.bulk_bytes_max.min(entry_bytes_max);
        let (groups, timings): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let expected = groups.iter().map(|_| Rc::default()).collect();
        Self {
            groups,
            timings,
            expected,
            sizes,
            slots: config.slots,
            clock,
            neighbours,
            memory_bytes_max: Cell::new(access.memory_bytes_max),
            access,
            propose_timeout_ms: u64::try_from(timeout_ms).unwrap_or(u64::MAX),
            clients_max: Cell::new(config.clients_max),
            clients_max_at_most: config.clients_max,
            representations: RefCell::default(),
            scripts: RefCell::default(),
            client_idle: Cell::new(config.client_idle),
            info,
            client_list: Rc::default(),
            shares: Shares::default(),
            clients: Cell::new(0),
            clients_accepted: Cell::new(0),
            clients_refused: Cell::new(0),
            clients_idle_closed: Cell::new(0),
            clients_unauthenticated_closed: Cell::new(0),
            requests: Cell::new(0),
            refusals: Cell::default(),
            since: Cell::new((0, 0)),
        }
    }

    /// Carries out what a connection has started, and tells it.
    ///
    /// The connection is borrowed in between, never over an await; nobody may
    /// hold a borrow of it while this is polled.
    ///
    /// # Cancel safety
    /// Dropped, it stops waiting; what was proposed goes on.
    pub(crate) async fn run(&self, connection: &Rc<RefCell<Connection>>, batch: Batch) {
        let index = usize::from(batch.group.number());
        let Some(group) = self.groups.get(index) else {
            // The slot map names no group beyond the ones that were opened.
            let tickets = tickets(&connection.borrow(), batch);
            let halted = Outcome::Failed(Failure::Halted);
            return complete_all(&mut connection.borrow_mut(), tickets, &halted);
        };
        match batch.work {
            Work::Propose => propose(group, connection, batch).await,
            Work::Read => {
                let timing = self.timings.get(index);
                let clock_ms = timing.and_then(|timing| expiry::leader_clock_ms(group, timing));
                let expected = self.expected.get(index).cloned().unwrap_or_default();
                expected
                    .borrow_mut()
                    .note(connection.borrow().asked(batch).map(|(_, asked)| asked));
                let asked = (connection, batch);
                read(group, asked, expected, clock_ms.unwrap_or_default()).await;
            }
        }
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The groups, with what their machines say of time.
    pub(crate) fn timings(&self) -> impl Iterator<Item = (&Group, &Rc<Timing>)> {
        self.groups.iter().zip(&self.timings)
    }

    pub(crate) fn slots(&self) -> SlotMap {
        self.slots
    }

    pub(crate) fn limits(&self) -> Limits {
        self.access.limits
    }

    pub(crate) fn password(&self) -> Option<Arc<Password>> {
        self.access.password.clone()
    }

    pub(crate) fn auth_timeout(&self) -> Duration {
        self.access.auth_timeout
    }

    pub(crate) fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    pub(crate) fn clock(&self) -> TokioClock {
        self.clock
    }

    pub(crate) fn client_list(&self) -> &Rc<Clients> {
        &self.client_list
    }

    /// A client asks something: what it may have under way.
    pub(crate) fn share(&self, now_ms: u64, counted: &mut Counted) -> Share {
        self.shares.part(now_ms, counted, || {
            let leads_all = self.groups.iter().all(|group| group.log_time_ms().is_some());
            (!leads_all).then(|| self.groups.iter().map(Group::appended_by_others).sum())
        })
    }

    /// What keys and values may take; 0: as much as they like.
    pub(crate) fn memory_bytes_max(&self) -> u64 {
        self.memory_bytes_max.get()
    }

    /// What the snapshot holds that holds most in memory, in bytes.
    pub(crate) fn snapshot_unwritten_bytes(&self) -> usize {
        self.sizes.unwritten_bytes()
    }

    /// Whether keys and values take more than they may.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        let limit = self.memory_bytes_max.get();
        limit > 0 && self.sizes.total().used_bytes > limit
    }

    /// `None`: it was never set and has no value of its own.
    pub(crate) fn setting(&self, setting: Setting) -> Option<i64> {
        let value = match setting {
            Setting::MemoryBytesMax => self.memory_bytes_max.get(),
            Setting::ClientsMax => u64::try_from(self.clients_max.get()).unwrap_or(u64::MAX),
            Setting::ClientIdleS => self.client_idle.get().map_or(0, |idle| idle.as_secs()),
            Setting::Representation(number) => {
                return self.representations.borrow().get(&number).copied();
            }
        };
        Some(i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// Until the next start. False: it can't be set to that.
    pub(crate) fn set_setting(&self, setting: Setting, number: i64) -> bool {
        if let Setting::Representation(place) = setting {
            self.representations.borrow_mut().insert(place, number);
            return true;
        }
        let Ok(value) = u64::try_from(number) else { return false };
        match setting {
            Setting::MemoryBytesMax => self.memory_bytes_max.set(value),
            Setting::ClientsMax => match usize::try_from(value) {
                Ok(clients_max) if (1..=self.clients_max_at_most).contains(&clients_max) => {
                    self.clients_max.set(clients_max);
                }
                _ => return false,
            },
            Setting::ClientIdleS => {
                self.client_idle.set((value > 0).then(|| Duration::from_secs(value)));
            }
            Setting::Representation(_) => {}
        }
        true
    }

    /// Scripts that clients have loaded.
    pub(crate) fn scripts(&self) -> &RefCell<Scripts> {
        &self.scripts
    }

    /// `INFO` counts anew from now on; status and metrics go on.
    pub(crate) fn reset_stats(&self) {
        self.since.set((self.clients_accepted.get(), self.requests.get()));
    }

    /// Milliseconds since the start.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.elapsed_ns() / 1_000_000
    }

    pub(crate) fn propose_timeout_ms(&self) -> u64 {
        self.propose_timeout_ms
    }

    /// Different on every node and start; not secret.
    pub(crate) fn seed(&self) -> u64 {
        self.info.node_id.rotate_left(48) ^ u64::from(self.info.process_id).rotate_left(24)
    }

    pub(crate) fn client_idle(&self) -> Option<Duration> {
        self.client_idle.get()
    }

    pub(crate) fn clients_max(&self) -> usize {
        self.clients_max.get()
    }

    /// What `INFO` tells now.
    pub(crate) fn info(&self) -> NodeInfo {
        let Sizes { keys_len, used_bytes, deadlines_len } = self.sizes.total();
        let leads = |group: &&Group| group.status().core.role == Role::Leader;
        let led = self.groups.iter().filter(leads).count();
        NodeInfo {
            uptime_s: self.now_ms() / 1000,
            clients_len: self.clients.get(),
            clients_len_max: u64::try_from(self.clients_max.get()).unwrap_or(u64::MAX),
            connections_accepted: self.clients_accepted.get().wrapping_sub(self.since.get().0),
            commands_processed: self.requests.get().wrapping_sub(self.since.get().1),
            used_memory_bytes: used_bytes,
            keys_len,
            deadlines_len,
            groups_led: u64::try_from(led).unwrap_or(u64::MAX),
            ..self.info.clone()
        }
    }

    /// The client port's numbers.
    pub(crate) fn clients(&self) -> ClientsStatus {
        let refusals = self.refusals.get();
        ClientsStatus {
            connected: self.clients.get(),
            accepted: self.clients_accepted.get(),
            refused: self.clients_refused.get(),
            idle_closed: self.clients_idle_closed.get(),
            requests: self.requests.get(),
            unauthenticated_closed: self.clients_unauthenticated_closed.get(),
            wrong_passwords: refusals.wrong_passwords,
            out_of_memory: refusals.out_of_memory,
            transactions_too_big: refusals.transactions_too_big,
            replies_too_big: refusals.replies_too_big,
            requests_too_big: refusals.requests_too_big,
            protocol_errors: refusals.protocol_errors,
        }
    }

    /// Counts a client in; its number.
    pub(crate) fn admit_client(&self) -> u64 {
        increment(&self.clients);
        increment(&self.clients_accepted);
        self.clients_accepted.get()
    }

    pub(crate) fn release_client(&self) {
        self.clients.set(self.clients.get().saturating_sub(1));
    }

    pub(crate) fn count_refused_client(&self) {
        increment(&self.clients_refused);
    }

    pub(crate) fn count_idle_close(&self) {
        increment(&self.clients_idle_closed);
    }

    pub(crate) fn count_unauthenticated_close(&self) {
        increment(&self.clients_unauthenticated_closed);
    }

    pub(crate) fn count_refusals(&self, refusals: Refusals) {
        self.refusals.set(self.refusals.get() + refusals);
    }

    pub(crate) fn count_requests(&self, len: u64) {
        self.requests.set(self.requests.get().wrapping_add(len));
    }
}

fn increment(counter: &Cell<u64>) {
    counter.set(counter.get().wrapping_add(1));
}

/// Proposes all of a batch, then waits: what is proposed together commits
/// together.
async fn propose(group: &Group, connection: &RefCell<Connection>, batch: Batch) {
    // Nearly all batches have one, which needs no list.
    let (mut first, mut others) = (None, Vec::with_capacity(batch.requests_len - 1));
    let mut proposing = {
        let connection = connection.borrow();
        let asked = connection.asked(batch).map(|(ticket, asked)| {
            match first {
                None => first = Some(ticket),
                Some(_) => others.push(ticket),
            }
            move |into: &mut Vec<u8>| asked.encode(into)
        });
        group.propose_all(asked)
    };
    for ticket in first.into_iter().chain(others) {
        let outcome = match proposing.next().await {
            Some(Ok(response)) => Outcome::Done(response),
            Some(Err(error)) => outcome_of_proposal(error),
            None => return,
        };
        connection.borrow_mut().complete(ticket, outcome);
    }
}

/// Asks all of a batch of one state. `clock_ms` is what the leader's clock is
/// believed to show: a question that meets a key which has lapsed by that becomes
/// an entry (rule 31).
async fn read(
    group: &Group,
    (connection, batch): (&Rc<RefCell<Connection>>, Batch),
    expected: Rc<RefCell<Expected>>,
    clock_ms: u64,
) {
    let asks = Rc::clone(connection);
    let answered = group.read(move |replica| {
        let store = replica.store();
        expected.borrow_mut().look(&store);
        asks.borrow_mut().answer(batch, |asked| store.ask(asked, clock_ms))
    });
    let lapsing = match answered.await {
        Ok(lapsing) => lapsing,
        Err(error) => {
            let tickets = tickets(&connection.borrow(), batch);
            return complete_all(&mut connection.borrow_mut(), tickets, &outcome_of_read(&error));
        }
    };
    if lapsing.is_empty() {
        return;
    }
    // Proposed together, then awaited: one round for all.
    let propose = |ticket: Ticket| {
        let connection = connection.borrow();
        let asked = connection.asked_by(ticket)?;
        Some((ticket, group.propose_with(|into| asked.encode(into))))
    };
    let proposed: Vec<_> = lapsing.into_iter().filter_map(propose).collect();
    for (ticket, proposing) in proposed {
        let outcome = match proposing.await {
            Ok(response) => Outcome::Done(response),
            Err(error) => outcome_of_asking(error),
        };
        connection.borrow_mut().complete(ticket, outcome);
    }
}

/// Those of a batch that have not ended.
fn tickets(connection: &Connection, batch: Batch) -> Vec<Ticket> {
    connection.asked(batch).map(|(ticket, _)| ticket).collect()
}

fn complete_all(connection: &mut Connection, tickets: Vec<Ticket>, outcome: &Outcome) {
    for ticket in tickets {
        connection.complete(ticket, outcome.clone());
    }
}

/// Of a question that became an entry: it may be asked again whatever became
/// of it.
fn outcome_of_asking(error: ProposeError) -> Outcome {
    match outcome_of_proposal(error) {
        Outcome::Failed(Failure::Unknown) => Outcome::Failed(Failure::NotCommitted),
        outcome => outcome,
    }
}

fn outcome_of_proposal(error: ProposeError) -> Outcome {
    let not_done = match error {
        ProposeError::Unknown(_) => return Outcome::Failed(Failure::Unknown),
        ProposeError::NotDone(not_done) => not_done,
    };
    match not_done {
        NotDone::Busy { .. } => Outcome::Refused,
        NotDone::TooLarge { bytes, limit } => {
            Outcome::Failed(Failure::TooLarge { bytes, bytes_max: limit })
        }
        NotDone::NoLeader | NotDone::NotLeader { .. } => Outcome::Failed(Failure::NoLeader),
        NotDone::NoSpace => Outcome::Failed(Failure::DiskFull),
        NotDone::LogFull => Outcome::Failed(Failure::LogFull),
        NotDone::LeaderFull { leader, shortage: Shortage::Device } => {
            Outcome::Failed(Failure::LeaderDiskFull { node: leader.get() })
        }
        NotDone::QuorumFull | NotDone::LeaderFull { shortage: Shortage::Quorum, .. } => {
            Outcome::Failed(Failure::QuorumFull)
        }
        NotDone::LeaderFull { leader, shortage: Shortage::Limit } => {
            Outcome::Failed(Failure::LeaderLogFull { node: leader.get() })
        }
        NotDone::Exhausted => Outcome::Failed(Failure::Exhausted),
        NotDone::Stopped => Outcome::Failed(Failure::ShuttingDown),
        NotDone::NotMember => Outcome::Failed(Failure::Removed),
        // Halted, and what a later version of the library adds: another node
        // may do better.
        _ => Outcome::Failed(Failure::Halted),
    }
}

/// Nothing was read, so nothing is ever unknown.
fn outcome_of_read(error: &ReadError) -> Outcome {
    match error {
        ReadError::Busy { .. } => Outcome::Refused,
        ReadError::TimedOut => Outcome::Failed(Failure::NoLeader),
        ReadError::Stopped => Outcome::Failed(Failure::ShuttingDown),
        ReadError::NotMember => Outcome::Failed(Failure::Removed),
        _ => Outcome::Failed(Failure::Halted),
    }
}

#[cfg(test)]
mod tests {
    use super::{outcome_of_proposal, outcome_of_read};
    use raftlet::core::NodeId;
    use raftlet::{NotDone, ProposeError, ReadError, Shortage, Unknown};
    use raftlet_kv::{Failure, Outcome};

    fn text(outcome: &Outcome) -> String {
        match outcome {
            Outcome::Failed(failure) => failure.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn an_unknown_outcome_has_a_prefix_of_its_own_and_no_other_error_has_it() {
        let unknown = [Unknown::TimedOut, Unknown::QuorumLost, Unknown::Stopped];
        for error in unknown {
            let outcome = outcome_of_proposal(ProposeError::Unknown(error));
            assert!(text(&outcome).starts_with("UNKNOWN "));
        }
        let not_done = [
            NotDone::NoLeader,
            NotDone::NotLeader { leader: None },
            NotDone::Stopped,
            NotDone::NoSpace,
            NotDone::LogFull,
            NotDone::QuorumFull,
            NotDone::LeaderFull { leader: NodeId::new(2), shortage: Shortage::Quorum },
            NotDone::LeaderFull { leader: NodeId::new(2), shortage: Shortage::Device },
            NotDone::LeaderFull { leader: NodeId::new(2), shortage: Shortage::Limit },
            NotDone::Exhausted,
            NotDone::NotMember,
        ];
        for error in not_done {
            let outcome = outcome_of_proposal(ProposeError::NotDone(error));
            let Outcome::Failed(failure) = outcome else {
                panic!("{outcome:?}");
            };
            assert!(failure.is_surely_not_done());
        }
    }

    #[test]
    fn who_asks_a_removed_node_is_told_so_and_sent_elsewhere() {
        let answers = [
            outcome_of_proposal(NotDone::NotMember.into()),
            outcome_of_read(&ReadError::NotMember),
        ];
        for answer in &answers {
            let text = text(answer);
            assert!(text.starts_with("CLUSTERDOWN this node was removed"), "{text}");
            assert!(text.contains("another node"), "{text}");
        }
    }

    #[test]
    fn what_is_busy_is_tried_again_and_what_is_too_large_is_not() {
        let busy = NotDone::Busy { held: 1, bytes: 1 };
        assert_eq!(outcome_of_proposal(busy.into()), Outcome::Refused);
        let busy = ReadError::Busy { limit: 1 };
        assert_eq!(outcome_of_read(&busy), Outcome::Refused);
        let large = NotDone::TooLarge { bytes: 9, limit: 8 };
        let failure = Failure::TooLarge { bytes: 9, bytes_max: 8 };
        assert_eq!(outcome_of_proposal(large.into()), Outcome::Failed(failure));
    }
}
