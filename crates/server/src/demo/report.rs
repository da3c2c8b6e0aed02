//! What a demo ends with: a table for a person, or one JSON object.
//!
//! The JSON object is a schema that scripts rely on: fields are added, never
//! renamed.

use serde::Serialize;

use crate::demo::members::MemberLog;
use crate::demo::outages::{Outage, OutageLog};
use crate::demo::verdict::Verdict;
use crate::demo::workload::Record;
use raftlet_check::{Call, History, Operation};

/// A change of members has to cost less.
const PAUSE_MS_ASKED_ABOUT: u64 = 1_000;

/// A run in numbers.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    nodes: u64,
    ops_acked: u64,
    ops_unknown: u64,
    lost: u64,
    stale_reads: u64,
    failovers: u64,
    /// Kill of the leader to the next acknowledged write, in order.
    failover_ms: Vec<u64>,
    converged: bool,
    p50_us: u64,
    p99_us: u64,
    /// Kills of all nodes at once; only where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    full_outages: Option<FullOutages>,
    /// Members that were replaced; only where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Members>,
}

#[derive(Clone, Debug, Serialize)]
struct FullOutages {
    outages: u64,
    /// Kill of all nodes to the next acknowledged write, in order.
    outage_ms: Vec<u64>,
    data_bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Members {
    /// At the start, at most, in the end.
    voters: Vec<u64>,
    steps: Vec<MemberStep>,
    /// Between two acknowledged writes of any clients.
    longest_pause_ms: u64,
    /// From its request to its acknowledgement.
    slowest_write_ms: u64,
    /// Commands that were refused, and done when they were repeated.
    refused: u64,
    refusals: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct MemberStep {
    what: String,
    took_ms: u64,
    /// The longest time without an acknowledged write that touches it.
    pause_ms: u64,
}

/// What the table says beside the numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting<'a> {
    pub(super) nodes: usize,
    pub(super) clients: u16,
    pub(super) took_ms: u64,
    pub(super) data_bytes: u64,
    pub(super) verdict: &'a Verdict,
}

impl Report {
    pub(super) fn new(setting: Setting<'_>, record: &Record, outages: &OutageLog) -> Self {
        let durations = |outages: &[Outage]| -> Vec<u64> {
            outages.iter().map(|outage| outage_ms(outage, &record.history)).collect()
        };
        let failover_ms = durations(&outages.of_leader);
        let outage_ms = durations(&outages.of_all);
        Self {
            nodes: count(setting.nodes),
            ops_acked: record.acknowledged,
            ops_unknown: record.unknown,
            lost: setting.verdict.lost,
            stale_reads: setting.verdict.stale_reads,
            failovers: count(failover_ms.len()),
            failover_ms,
            converged: setting.verdict.converged,
            p50_us: percentile(&record.latencies_ns, 50) / 1000,
            p99_us: percentile(&record.latencies_ns, 99) / 1000,
            members: None,
            full_outages: (!outage_ms.is_empty()).then(|| FullOutages {
                outages: count(outage_ms.len()),
                outage_ms,
                data_bytes: setting.data_bytes,
            }),
        }
    }

    /// The same, with how members were replaced.
    pub(super) fn with_members(self, log: &MemberLog, history: &History) -> Self {
        let writes = acknowledged_writes(history);
        let pauses = pauses(&writes);
        let steps = log.steps.iter().map(|step| MemberStep {
            what: step.what.clone(),
            took_ms: step.to_ns.saturating_sub(step.from_ns) / 1_000_000,
            pause_ms: longest(&pauses, step.from_ns, step.to_ns),
        });
        let slowest = writes.iter().map(|(began, ended)| ended.saturating_sub(*began)).max();
        let members = Members {
            voters: log.voters.iter().map(|len| count(*len)).collect(),
            steps: steps.collect(),
            longest_pause_ms: longest(&pauses, 0, u64::MAX),
            slowest_write_ms: slowest.unwrap_or(0).div_ceil(1_000_000),
            refused: log.refused,
            refusals: log.refusals.clone(),
        };
        Self { members: Some(members), ..self }
    }

    /// Whether writes paused for so long, while members changed, that somebody
    /// will want to know why.
    pub(super) fn is_slow(&self) -> bool {
        self.members.as_ref().is_some_and(|it| it.longest_pause_ms >= PAUSE_MS_ASKED_ABOUT)
    }

    /// One line.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
    }

    /// Some lines.
    pub(super) fn table(&self, setting: Setting<'_>) -> String {
        let seconds = tenths(setting.took_ms, 1000);
        let per_second = (self.ops_acked * 1000) / setting.took_ms.max(1);
        let mut lines = vec![
            String::new(),
            format!("  {} nodes, {} clients, {} s", self.nodes, setting.clients, seconds),
            String::new(),
            row(
                "acknowledged",
                &format!("{} ({} a second)", grouped(self.ops_acked), grouped(per_second)),
            ),
            row("outcome unknown", &grouped(self.ops_unknown)),
            row(
                "latency",
                &format!("{} half, {} all but 1 %", micros(self.p50_us), micros(self.p99_us)),
            ),
        ];
        if self.failovers > 0 {
            lines.push(row(
                "leader killed",
                &format!("{}, then the next write acknowledged after", times(self.failovers)),
            ));
            lines.push(row("", &list(&self.failover_ms)));
        }
        if let Some(full) = &self.full_outages {
            lines.push(row(
                "all nodes killed",
                &format!("{}, then the next write acknowledged after", times(full.outages)),
            ));
            lines.push(row("", &list(&full.outage_ms)));
        }
        if let Some(members) = &self.members {
            lines.extend(members.rows());
        }
        let mib = tenths(setting.data_bytes, 1 << 20);
        lines.push(row("data on disk", &format!("{mib} MiB, all nodes together")));
        lines.push(String::new());
        lines.push(row("lost writes", &self.lost.to_string()));
        lines.push(row("stale reads", &self.stale_reads.to_string()));
        let agreement =
            if self.converged { "yes, the same digest at the same index" } else { "NO" };
        lines.push(row("nodes agree", agreement));
        lines.push(String::new());
        lines.push(if setting.verdict.is_good() {
            "  Every acknowledged write is there, and every read saw the latest one.".to_owned()
        } else {
            "  THE CLUSTER BROKE A PROMISE.".to_owned()
        });
        lines.join("\n")
    }
}

impl Members {
    fn rows(&self) -> Vec<String> {
        let voters: Vec<String> = self.voters.iter().map(u64::to_string).collect();
        let mut rows = vec![row("voters", &voters.join(", then "))];
        for (at, step) in self.steps.iter().enumerate() {
            let name = if at == 0 { "members changed" } else { "" };
            let text = format!(
                "{}: {} s, writes paused {} ms at most",
                step.what,
                tenths(step.took_ms, 1000),
                step.pause_ms
            );
            rows.push(row(name, &text));
        }
        rows.push(row("longest pause", &format!("{} ms", self.longest_pause_ms)));
        rows.push(row("slowest write", &format!("{} ms", self.slowest_write_ms)));
        rows.push(row("commands refused", &self.refused.to_string()));
        rows.extend(self.refusals.iter().map(|refusal| row("", refusal)));
        rows
    }
}

/// When acknowledged writes began and ended, by their end.
fn acknowledged_writes(history: &History) -> Vec<(u64, u64)> {
    let writes = history.operations().iter().filter_map(|operation| {
        let is_write = matches!(operation.call, Call::Write(_) | Call::Incr(_));
        let (_, return_ns) = operation.done()?;
        is_write.then_some((operation.invoke_ns, return_ns))
    });
    let mut writes: Vec<(u64, u64)> = writes.collect();
    writes.sort_unstable_by_key(|(_, ended)| *ended);
    writes
}

/// From one acknowledgement to the next.
fn pauses(writes: &[(u64, u64)]) -> Vec<(u64, u64)> {
    writes.windows(2).filter_map(|pair| Some((pair.first()?.1, pair.last()?.1))).collect()
}

/// The longest pause that touches a stretch of time, milliseconds.
fn longest(pauses: &[(u64, u64)], from_ns: u64, to_ns: u64) -> u64 {
    let touching = pauses.iter().filter(|(began, ended)| *ended > from_ns && *began < to_ns);
    let longest = touching.map(|(began, ended)| ended.saturating_sub(*began)).max();
    longest.unwrap_or(0).div_ceil(1_000_000)
}

/// From the kill to the first acknowledged write that began after the process
/// was gone: the prober's, or a client's that was quicker.
fn outage_ms(outage: &Outage, history: &History) -> u64 {
    let write_ended = |operation: &Operation| {
        let writes = matches!(operation.call, Call::Write(_) | Call::Incr(_));
        let (_, return_ns) = operation.done()?;
        (writes && operation.invoke_ns >= outage.gone_ns).then_some(return_ns)
    };
    let by_clients = history.operations().iter().filter_map(write_ended).min();
    let serving_ns = by_clients.map_or(outage.serving_ns, |at| at.min(outage.serving_ns));
    serving_ns.saturating_sub(outage.killed_ns).div_ceil(1_000_000)
}

fn percentile(ascending: &[u64], percent: usize) -> u64 {
    let at = (ascending.len() * percent / 100).min(ascending.len().saturating_sub(1));
    ascending.get(at).copied().unwrap_or(0)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn row(name: &str, value: &str) -> String {
    format!("  {name:<18} {value}").trim_end().to_owned()
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

fn list(ms: &[u64]) -> String {
    const SHOWN: usize = 8;
    let mut parts: Vec<String> = ms.iter().take(SHOWN).map(|ms| format!("{ms} ms")).collect();
    if ms.len() > SHOWN {
        let longest = ms.iter().max().copied().unwrap_or(0);
        parts.push(format!("… the longest {longest} ms"));
    }
    parts.join(", ")
}

fn micros(us: u64) -> String {
    if us < 1000 { format!("{us} µs") } else { format!("{} ms", tenths(us, 1000)) }
}

fn tenths(value: u64, unit: u64) -> String {
    format!("{}.{}", value / unit, value % unit * 10 / unit)
}

/// 1234567 as `1 234 567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{
        Report, Setting, acknowledged_writes, grouped, longest, outage_ms, pauses, percentile,
    };
    use crate::demo::outages::{Outage, OutageLog};
    use crate::demo::verdict::Verdict;
    use crate::demo::workload::Record;
    use raftlet_check::{Call, ClientId, History, Key, Operation, Outcome, Reply, Value};

    const MS: u64 = 1_000_000;

    fn write(invoke_ns: u64, return_ns: u64) -> Operation {
        Operation {
            client: ClientId(1),
            key: Key::from("k"),
            call: Call::Write(Value::from(format!("{invoke_ns}"))),
            invoke_ns,
            outcome: Outcome::Done { reply: Reply::Written, return_ns },
            certificate: None,
        }
    }

    #[test]
    fn an_outage_ends_with_the_first_write_that_began_after_the_kill() {
        let outage = Outage { killed_ns: 100 * MS, gone_ns: 101 * MS, serving_ns: 400 * MS };
        let mut history = History::new();
        history.push(write(90 * MS, 110 * MS)).unwrap();
        assert_eq!(outage_ms(&outage, &history), 300);
        history.push(write(120 * MS, 380 * MS)).unwrap();
        assert_eq!(outage_ms(&outage, &history), 280);
    }

    #[test]
    fn a_pause_belongs_to_every_step_that_it_touches() {
        let mut history = History::new();
        for (began, ended) in [(0, 10), (5, 20), (15, 400), (401, 410)] {
            history.push(write(began * MS, ended * MS)).unwrap();
        }
        let pauses = pauses(&acknowledged_writes(&history));
        assert_eq!(longest(&pauses, 0, u64::MAX), 380);
        assert_eq!(longest(&pauses, 100 * MS, 110 * MS), 380);
        assert_eq!(longest(&pauses, 0, 15 * MS), 10);
        assert_eq!(longest(&pauses, 405 * MS, 500 * MS), 10);
        assert_eq!(longest(&[], 0, 1), 0);
    }

    #[test]
    fn the_json_object_has_exactly_the_promised_fields() {
        let verdict = Verdict {
            lost: 0,
            stale_reads: 0,
            explained: true,
            converged: true,
            explanations: Vec::new(),
        };
        let setting =
            Setting { nodes: 3, clients: 2, took_ms: 1000, data_bytes: 5, verdict: &verdict };
        let record = Record {
            acknowledged: 7,
            unknown: 1,
            history: History::new(),
            latencies_ns: vec![1000, 2000, 3000],
        };
        let report = Report::new(setting, &record, &OutageLog::default());
        assert_eq!(
            report.json(),
            r#"{"nodes":3,"ops_acked":7,"ops_unknown":1,"lost":0,"stale_reads":0,"failovers":0,"failover_ms":[],"converged":true,"p50_us":2,"p99_us":3}"#
        );
        assert!(report.table(setting).contains("Every acknowledged write is there"));
    }

    #[test]
    fn numbers_are_grouped_and_percentiles_are_of_what_is_there() {
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(12), "12");
        assert_eq!(percentile(&[], 99), 0);
        assert_eq!(percentile(&[5], 99), 5);
    }
}
