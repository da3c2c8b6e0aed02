//! The groups that hold the keys, as sessions use them, and what the node
//! counts about its clients.
//!
//! Invariants
//! - An error of a group becomes an outcome by its type alone (D9, rule 33):
//!   *unknown* is never told as *not done*, nor the other way round.
//! - A group that is merely busy is asked again until the request's time is up.
//!
//! Not here: which group holds a key, and texts for clients (the `kv` crate).

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::TokioClock;
use crate::config::Config;
use crate::ports::Group;
use crate::replica::{Sizes, SizesOfAll};
use crate::status::ClientsStatus;
use raftlet::core::Role;
use raftlet::{NotDone, ProposeError, ReadError};
use raftlet_kv::{
    Command, Connection, Failure, GroupIndex, Limits, NodeInfo, Outcome, Query, SlotMap, Ticket,
};

/// Bytes that a request's encoding in the log may add to what arrived: the
/// kind of the command, and a length for each argument that is no longer than
/// the `$…\r\n…\r\n` around it.
const ENCODING_BYTES: usize = 1 << 10;

/// Work for one group.
#[derive(Debug)]
pub(crate) enum Job {
    Propose(Ticket, Command<Bytes>),
    Read(Vec<(Ticket, Query<Bytes>)>),
}

/// How work ended.
#[derive(Debug)]
pub(crate) enum Settled {
    One(Ticket, Outcome),
    All(Vec<(Ticket, Outcome)>),
}

impl Settled {
    /// Tells the connection that waits.
    pub(crate) fn tell(self, connection: &mut Connection) {
        match self {
            Self::One(ticket, outcome) => connection.complete(ticket, outcome),
            Self::All(outcomes) => {
                for (ticket, outcome) in outcomes {
                    connection.complete(ticket, outcome);
                }
            }
        }
    }
}

/// The groups of this node, and its clients' numbers.
#[derive(Debug)]
pub(crate) struct Keyspace {
    /// In the order of [`GroupIndex`].
    groups: Vec<Group>,
    sizes: SizesOfAll,
    slots: SlotMap,
    clock: TokioClock,
    limits: Limits,
    propose_timeout_ms: u64,
    clients_max: usize,
    client_idle: Option<Duration>,
    /// What does not change within a run.
    info: NodeInfo,
    clients: Cell<u64>,
    clients_accepted: Cell<u64>,
    clients_refused: Cell<u64>,
    clients_idle_closed: Cell<u64>,
    requests: Cell<u64>,
}

impl Keyspace {
    /// `info` holds what does not change within a run.
    pub(crate) fn new(
        config: &Config,
        (groups, sizes): (Vec<Group>, SizesOfAll),
        clock: TokioClock,
        info: NodeInfo,
    ) -> Self {
        let timeout_ms = config.propose_timeout.as_millis();
        let request_bytes_max = config.group.command_bytes_max.saturating_sub(ENCODING_BYTES);
        Self {
            groups,
            sizes,
            slots: config.slots,
            clock,
            limits: Limits {
                request_bytes_max,
                bulk_bytes_max: request_bytes_max,
                ..Limits::default()
            },
            propose_timeout_ms: u64::try_from(timeout_ms).unwrap_or(u64::MAX),
            clients_max: config.clients_max,
            client_idle: config.client_idle,
            info,
            clients: Cell::new(0),
            clients_accepted: Cell::new(0),
            clients_refused: Cell::new(0),
            clients_idle_closed: Cell::new(0),
            requests: Cell::new(0),
        }
    }

    /// Carries out one piece of work.
    ///
    /// # Cancel safety
    /// Dropped, it stops waiting; what was proposed goes on.
    pub(crate) async fn run(&self, index: GroupIndex, job: Job) -> Settled {
        let group = self.groups.get(usize::from(index.number()));
        match (group, job) {
            (Some(group), Job::Propose(ticket, command)) => {
                let outcome = match group.propose(command).await {
                    Ok(response) => Outcome::Done(response),
                    Err(error) => outcome_of_proposal(error),
                };
                Settled::One(ticket, outcome)
            }
            (Some(group), Job::Read(queries)) => read(group, queries).await,
            // The slot map names no group beyond the ones that were opened.
            (None, Job::Propose(ticket, _)) => {
                Settled::One(ticket, Outcome::Failed(Failure::Halted))
            }
            (None, Job::Read(queries)) => {
                let tickets = queries.into_iter().map(|(ticket, _)| ticket);
                refuse_all(tickets, &Outcome::Failed(Failure::Halted))
            }
        }
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub(crate) fn slots(&self) -> SlotMap {
        self.slots
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
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
        self.client_idle
    }

    pub(crate) fn clients_max(&self) -> usize {
        self.clients_max
    }

    /// What `INFO` tells now.
    pub(crate) fn info(&self) -> NodeInfo {
        let Sizes { keys_len, used_bytes } = self.sizes.total();
        let leads = |group: &&Group| group.status().core.role == Role::Leader;
        let led = self.groups.iter().filter(leads).count();
        NodeInfo {
            uptime_s: self.now_ms() / 1000,
            clients_len: self.clients.get(),
            connections_accepted: self.clients_accepted.get(),
            commands_processed: self.requests.get(),
            used_memory_bytes: used_bytes,
            keys_len,
            groups_led: u64::try_from(led).unwrap_or(u64::MAX),
            ..self.info.clone()
        }
    }

    /// The client port's numbers.
    pub(crate) fn clients(&self) -> ClientsStatus {
        ClientsStatus {
            connected: self.clients.get(),
            accepted: self.clients_accepted.get(),
            refused: self.clients_refused.get(),
            idle_closed: self.clients_idle_closed.get(),
            requests: self.requests.get(),
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

    pub(crate) fn count_requests(&self, len: u64) {
        self.requests.set(self.requests.get().wrapping_add(len));
    }
}

fn increment(counter: &Cell<u64>) {
    counter.set(counter.get().wrapping_add(1));
}

async fn read(group: &Group, queries: Vec<(Ticket, Query<Bytes>)>) -> Settled {
    let tickets: Vec<Ticket> = queries.iter().map(|(ticket, _)| *ticket).collect();
    let answered = group.read(move |replica| {
        let store = replica.store();
        let answers = queries.iter();
        answers.map(|(ticket, query)| (*ticket, Outcome::Done(store.query(query)))).collect()
    });
    match answered.await {
        Ok(outcomes) => Settled::All(outcomes),
        Err(error) => refuse_all(tickets.into_iter(), &outcome_of_read(&error)),
    }
}

fn refuse_all(tickets: impl Iterator<Item = Ticket>, outcome: &Outcome) -> Settled {
    Settled::All(tickets.map(|ticket| (ticket, outcome.clone())).collect())
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
        NotDone::Exhausted => Outcome::Failed(Failure::Exhausted),
        NotDone::Stopped => Outcome::Failed(Failure::ShuttingDown),
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
        _ => Outcome::Failed(Failure::Halted),
    }
}

#[cfg(test)]
mod tests {
    use super::{outcome_of_proposal, outcome_of_read};
    use raftlet::{NotDone, ProposeError, ReadError, Unknown};
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
            NotDone::Exhausted,
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
