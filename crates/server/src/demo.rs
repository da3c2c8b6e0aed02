//! `raftlet demo`: a cluster on this machine, killed under load, and judged by
//! what its clients saw.
//!
//! Nodes are processes of their own (`cluster.rs`, `process.rs`). Clients ask
//! through the client ports only (`workload.rs`, `plan.rs`); meanwhile
//! `outages.rs` kills and restarts, or `members.rs` replaces every node. In the end every key is read, the nodes
//! must agree, and `verdict.rs` decides. `report.rs` tells.
//!
//! Invariants
//! - Every wait has a deadline.
//! - On every way out, Ctrl-C and panics among them, no node is left running;
//!   except with `--keep` after a good start.

mod cluster;
mod connection;
mod layout;
mod members;
mod outages;
mod plan;
mod prober;
mod process;
mod progress;
mod report;
mod verdict;
mod workload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};

use crate::cli::demo::DemoArgs;
use crate::demo::cluster::Cluster;
use crate::demo::layout::Layout;
use crate::demo::members::{FOUNDERS_MIN, MemberLog, Replacement, SPARES};
use crate::demo::outages::{OutageLog, Outages};
use crate::demo::plan::KeySpace;
use crate::demo::report::{Report, Setting};
use crate::demo::verdict::Verdict;
use crate::demo::workload::Workload;
use crate::process::clock::{TokioClock, wall};
use crate::process::failure::{Exit, Failure};
use crate::process::print;
use crate::process::signal::Shutdown;

/// How long nodes may take to agree once clients are gone.
const CONVERGED_WITHIN: Duration = Duration::from_secs(60);
/// Without one completed operation in this time the run is given up.
const STALLED_AFTER: Duration = Duration::from_secs(120);

/// Runs a demo and prints its result.
///
/// # Errors
/// A broken promise, or why there is no verdict.
pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let place = Place::choose(args.data_dir.as_deref(), args.keep)?;
    let layout = layout(&args, &place)?;
    let clock = TokioClock::start();
    let mut cluster = Cluster::new(layout, clock, args.keep);
    let mut shutdown = Shutdown::listen()?;
    let started = tokio::select! {
        started = cluster.start() => started,
        () = shutdown.asked() => Err(interrupted()),
    };
    let local = LocalSet::new();
    let result = match started {
        Err(failure) => Err(failure),
        Ok(()) => tokio::select! {
            result = local.run_until(judged_run(&args, clock, &cluster)) => result,
            () = shutdown.asked() => Err(interrupted()),
        },
    };
    progress::clear();
    match (&result, args.keep) {
        (Ok(finding), true) => {
            print_finding(&args, finding);
            print_kept(&args, &cluster);
        }
        (Ok(finding), false) => {
            cluster.stop().await;
            print_finding(&args, finding);
        }
        (Err(_), _) => cluster.stop().await,
    }
    let finding = result.inspect_err(|_| place.keep_for_inspection())?;
    if finding.verdict.is_good() {
        if finding.report.is_slow() {
            place.keep_for_inspection();
        } else {
            place.remove();
        }
        return Ok(());
    }
    place.keep_for_inspection();
    Err(Failure::runtime(format!(
        "the cluster broke a promise: {}",
        finding.verdict.explanations.join(" | ")
    )))
}

/// What a run found.
struct Finding {
    verdict: Verdict,
    report: Report,
    took_ms: u64,
    data_bytes: u64,
}

async fn judged_run(
    args: &DemoArgs,
    clock: TokioClock,
    cluster: &Cluster,
) -> Result<Finding, Failure> {
    let outages = Outages {
        of_leader: args.kills.unwrap_or(u16::from(args.kill_all == 0)),
        of_all: args.kill_all,
    };
    let tag = format!("{:x}", wall().0);
    let clients = usize::from(args.clients);
    // Of members that change nobody knows beforehand how long it takes.
    let ops = if args.members { u64::MAX } else { args.ops };
    let space = KeySpace::new(tag, clients, ops, args.kill_all > 0);
    let mut addresses = cluster.layout().client_addresses();
    addresses.truncate(cluster.layout().founders());
    let workload = Rc::new(Workload::new(clock, addresses, space, ops));
    let began_ns = clock.elapsed_ns();
    let done = if args.members {
        let replacement = Replacement::new(clock, cluster, &workload);
        Done::Members(under_load(args, cluster, &workload, replacement.run()).await?)
    } else {
        let outages = outages.run(clock, cluster, &workload);
        Done::Outages(tokio::select! {
            log = under_load(args, cluster, &workload, outages) => log?,
            () = progress::draw(clock, &workload) => OutageLog::default(),
        })
    };
    let took_ms = clock.elapsed_ns().saturating_sub(began_ns) / 1_000_000;
    let converged = cluster.converged(CONVERGED_WITHIN).await?;
    let at_the_end: BTreeMap<_, _> = workload.sweep(0).await?.into_iter().collect();
    let record = workload.take_record();
    let verdict = Verdict::of(&record.history, &at_the_end, converged)?;
    let data_bytes = cluster.layout().data_bytes();
    let setting = setting(args, &verdict, took_ms, data_bytes);
    let report = match &done {
        Done::Outages(log) => Report::new(setting, &record, log),
        Done::Members(log) => {
            Report::new(setting, &record, &OutageLog::default()).with_members(log, &record.history)
        }
    };
    Ok(Finding { verdict, report, took_ms, data_bytes })
}

/// What was done to the cluster.
enum Done {
    Outages(OutageLog),
    Members(MemberLog),
}

/// The nodes' place: with room for those that join.
fn layout(args: &DemoArgs, place: &Place) -> Result<Layout, Failure> {
    let nodes = usize::from(args.nodes);
    if !args.members {
        return Layout::open(&place.dir, nodes, args.groups);
    }
    if nodes < FOUNDERS_MIN {
        return Err(Failure::config(format!(
            "--members needs --nodes {FOUNDERS_MIN} at least: one of them is wiped, and the others \
             must be a majority"
        )));
    }
    Ok(Layout::open(&place.dir, nodes + SPARES, args.groups)?.with_spares(SPARES))
}

/// Clients, and what is done to the cluster, side by side until both are done.
async fn under_load<T>(
    args: &DemoArgs,
    cluster: &Cluster,
    workload: &Rc<Workload>,
    doing: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut clients = JoinSet::new();
    for slot in 0..usize::from(args.clients) {
        clients.spawn_local(Rc::clone(workload).client(args.seed, slot));
    }
    let all_clients = async {
        while let Some(ended) = clients.join_next().await {
            ended.map_err(|error| Failure::runtime(format!("a client broke: {error}")))??;
        }
        Ok(())
    };
    let work = async { tokio::try_join!(doing, all_clients) };
    tokio::select! {
        ended = work => ended.map(|(done, ())| done),
        () = stalled(workload) => Err(Failure::unreachable(format!(
            "no operation completed within {} s; the nodes' logs are in {}",
            STALLED_AFTER.as_secs(),
            cluster.layout().dir().display()
        ))),
    }
}

async fn stalled(workload: &Workload) {
    let mut seen = workload.completed();
    loop {
        tokio::time::sleep(STALLED_AFTER).await;
        let completed = workload.completed();
        if completed == seen {
            return;
        }
        seen = completed;
    }
}

fn setting<'a>(
    args: &DemoArgs,
    verdict: &'a Verdict,
    took_ms: u64,
    data_bytes: u64,
) -> Setting<'a> {
    Setting { nodes: usize::from(args.nodes), clients: args.clients, took_ms, data_bytes, verdict }
}

fn print_finding(args: &DemoArgs, finding: &Finding) {
    if args.json {
        print::result(&finding.report.json());
    } else {
        let setting = setting(args, &finding.verdict, finding.took_ms, finding.data_bytes);
        print::result(&finding.report.table(setting));
    }
}

/// Lets the cluster live on and says how to talk to it: on standard error
/// where standard output ends with JSON.
fn print_kept(args: &DemoArgs, cluster: &Cluster) {
    let processes: Vec<String> = cluster.release().iter().map(u32::to_string).collect();
    let layout = cluster.layout();
    let mut lines = vec![String::new(), "  The cluster stays up. Try:".to_owned(), String::new()];
    let ports = layout.ports();
    if let (Some(first), Some(last)) = (ports.first(), ports.last()) {
        lines.push(format!("    redis-cli -p {} set greeting hello", first.client));
        lines.push(format!("    redis-cli -p {} get greeting", last.client));
        lines.push(format!("    redis-cli -p {} incr visits", last.client));
        lines.push(format!(
            "    redis-benchmark -p {} -t set,get -n 100000 -c 50 -P 16",
            first.client
        ));
        lines.push(format!("    {} status --admin 127.0.0.1:{}", own_name(), first.admin));
        lines.push(format!("    a browser at http://127.0.0.1:{}/", first.admin));
    }
    lines.push(String::new());
    lines.push(format!("  Data and logs: {}, yours to remove", layout.dir().display()));
    lines.push(format!("  Stop it:       kill {}", processes.join(" ")));
    let text = lines.join("\n");
    if args.json {
        print::note(&text);
    } else {
        print::result(&text);
    }
}

/// How this program was called, so that what is printed can be pasted.
fn own_name() -> String {
    std::env::args().next().unwrap_or_else(|| "raftlet".to_owned())
}

fn interrupted() -> Failure {
    Failure::runtime("interrupted; the nodes were stopped")
}

/// The demo's directory: the operator's, or one that goes away.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
    is_ours: bool,
}

impl Place {
    fn choose(asked: Option<&Path>, keep: bool) -> Result<Self, Failure> {
        if let Some(dir) = asked {
            return Ok(Self { dir: dir.to_owned(), is_ours: false });
        }
        let dir = std::env::temp_dir().join(format!(
            "raftlet-demo-{}-{:x}",
            std::process::id(),
            wall().0
        ));
        std::fs::create_dir_all(&dir).map_err(|error| {
            Failure::new(
                Exit::Config,
                format!("cannot make {}: {error}; name a directory with --data-dir", dir.display()),
            )
        })?;
        Ok(Self { dir, is_ours: !keep })
    }

    fn remove(&self) {
        if self.is_ours {
            // What cannot be removed is a temporary directory's fate anyway.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }

    fn keep_for_inspection(&self) {
        if self.is_ours {
            print::note(&format!(
                "raftlet: data and logs of this demo are kept in {}",
                self.dir.display()
            ));
        }
    }
}
