//! What the demo does to its cluster while clients work: kills the leader, or
//! everybody, and starts what it killed again.
//!
//! Invariants
//! - An outage begins in mid-run: clients may not complete so much that the
//!   next one would find them idle.
//! - The next outage begins only when all nodes serve again, so a quorum of
//!   the living holds everything.
//! - After an outage of all nodes every key is read, so that a loss shows even
//!   if later writes cover it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::demo::cluster::Cluster;
use crate::demo::prober::first_acknowledged;
use crate::demo::workload::Workload;
use crate::process::clock::TokioClock;
use crate::process::failure::Failure;

/// A takeover takes well under a second; a start of all nodes some seconds.
const SERVING_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(1);
/// Below this many nodes the survivors of one kill are no quorum.
const NODES_WITHOUT_QUORUM: usize = 3;

/// How many outages of which kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outages {
    pub(super) of_leader: u16,
    pub(super) of_all: u16,
}

/// When what was killed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    /// The process was there until now.
    pub(super) killed_ns: u64,
    /// The process was gone from now on.
    pub(super) gone_ns: u64,
    /// A write that began after its end was acknowledged.
    pub(super) serving_ns: u64,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub(super) struct OutageLog {
    pub(super) of_leader: Vec<Outage>,
    pub(super) of_all: Vec<Outage>,
}

impl Outages {
    fn len(self) -> u64 {
        u64::from(self.of_leader) + u64::from(self.of_all)
    }

    /// Completed operations at which outage `number` (from 1) begins.
    fn begins_at(self, number: u64, goal: u64) -> u64 {
        let share = u128::from(goal) * u128::from(number) / u128::from(self.len() + 1);
        u64::try_from(share).unwrap_or(goal)
    }

    /// Carries them out, one after another.
    ///
    /// # Errors
    /// The cluster did not come back, or a node ended unasked.
    pub(super) async fn run(
        self,
        clock: TokioClock,
        cluster: &Cluster,
        workload: &Workload,
    ) -> Result<OutageLog, Failure> {
        let mut log = OutageLog::default();
        let addresses = cluster.layout().client_addresses();
        for number in 1..=self.len() {
            workload.pause_at(self.begins_at(number + 1, workload.goal()));
            let begin = self.begins_at(number, workload.goal());
            while workload.completed() < begin {
                tokio::time::sleep(POLL).await;
            }
            if number <= u64::from(self.of_leader) {
                log.of_leader.push(leader_outage(clock, cluster, &addresses).await?);
            } else {
                log.of_all.push(full_outage(clock, cluster, &addresses).await?);
                let at = usize::try_from(number).unwrap_or(0);
                workload.sweep(at).await?;
            }
        }
        workload.pause_at(workload.goal());
        Ok(log)
    }
}

async fn leader_outage(
    clock: TokioClock,
    cluster: &Cluster,
    addresses: &[SocketAddr],
) -> Result<Outage, Failure> {
    let leader = cluster.leader().await?;
    let killed_ns = clock.elapsed_ns();
    cluster.kill(leader);
    let gone_ns = clock.elapsed_ns();
    let survivors: Vec<SocketAddr> = addresses
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != leader)
        .map(|(_, address)| *address)
        .collect();
    let serving_ns = if cluster.len() < NODES_WITHOUT_QUORUM {
        cluster.launch(leader)?;
        serving(clock, addresses).await?
    } else {
        let serving_ns = serving(clock, &survivors).await?;
        cluster.launch(leader)?;
        serving_ns
    };
    cluster.caught_up(leader).await?;
    Ok(Outage { killed_ns, gone_ns, serving_ns })
}

async fn full_outage(
    clock: TokioClock,
    cluster: &Cluster,
    addresses: &[SocketAddr],
) -> Result<Outage, Failure> {
    let killed_ns = clock.elapsed_ns();
    cluster.kill_all();
    let gone_ns = clock.elapsed_ns();
    for at in 0..cluster.len() {
        cluster.launch(at)?;
    }
    let serving_ns = serving(clock, addresses).await?;
    cluster.ready().await?;
    Ok(Outage { killed_ns, gone_ns, serving_ns })
}

async fn serving(clock: TokioClock, addresses: &[SocketAddr]) -> Result<u64, Failure> {
    first_acknowledged(clock, addresses, SERVING_WITHIN).await.ok_or_else(|| {
        Failure::unreachable(format!(
            "no write was acknowledged within {} s after a kill; the nodes' logs tell why",
            SERVING_WITHIN.as_secs()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::Outages;

    #[test]
    fn outages_are_spread_over_the_run_and_none_begins_at_its_end() {
        let outages = Outages { of_leader: 3, of_all: 1 };
        let begins: Vec<u64> = (1..=4).map(|number| outages.begins_at(number, 1000)).collect();
        assert_eq!(begins, [200, 400, 600, 800]);
        assert_eq!(outages.begins_at(5, 1000), 1000);
    }
}
