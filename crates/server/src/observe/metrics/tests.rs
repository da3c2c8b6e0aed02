//! Claims about what Prometheus is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Metrics, Seconds};
use crate::status::{GroupStatus, NodeStatus, Role};
use raftlet::core::{Liveness, NodeId};
use raftlet_net::{NetStatus, PeerStats, PeerStatus};

const OPERATIONS: &str = include_str!("../../../../../docs/operations.md");

fn metrics(groups: u64) -> Metrics {
    let group = |group| GroupStatus {
        group,
        role: if group == 1 { Role::Leader } else { Role::Follower },
        term: group,
        leader: (group != 2).then_some(1),
        commit_index: 10 * group,
        applied_index: 9 * group,
        ..GroupStatus::default()
    };
    let peer = |node| PeerStatus {
        node: NodeId::new(node),
        liveness: Liveness::Unknown,
        is_connected: true,
        stats: PeerStats { rtt_ns: 1_500_000, ..PeerStats::default() },
    };
    let mut metrics = Metrics {
        status: NodeStatus { groups: (1..=groups).map(group).collect(), ..NodeStatus::default() },
        net: NetStatus { peers: vec![peer(2), peer(3)], ..NetStatus::default() },
        ..Metrics::default()
    };
    metrics.write_times.observe(300_000);
    metrics.write_times.observe(20_000_000_000);
    metrics
}

/// Name and labels to value; and that the text is what Prometheus reads.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut kinds = BTreeMap::new();
    let mut samples = BTreeMap::new();
    let mut helped = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(helped.insert(rest.split(' ').next().unwrap()), "twice: {line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name), "no help: {line}");
            assert!(kinds.insert(name, kind).is_none(), "twice: {line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|end| name.strip_suffix(end))
                .find(|family| kinds.get(family) == Some(&"histogram"))
                .unwrap_or(name);
            assert!(kinds.contains_key(family), "no type: {line}");
            assert!(name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'), "{line}");
            let value = value.parse().unwrap();
            assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    samples
}

#[test]
fn the_text_is_what_prometheus_reads() {
    let samples = samples(&metrics(3).render());
    let value = |series: &str| samples[&format!("raftlet_{series}")];
    assert_eq!(value("has_leader"), 0.0);
    assert_eq!((value("groups"), value("groups_led"), value("groups_leaderless")), (3.0, 1.0, 1.0));
    assert_eq!((value("proposals_committed_total"), value("apply_lag_entries")), (60.0, 3.0));
    assert_eq!(value("network_peer_round_trip_time_seconds{peer=\"3\"}"), 0.0015);
    assert_eq!(value("disk_wal_fsync_duration_seconds_bucket{le=\"0.00025\"}"), 0.0);
    assert_eq!(value("disk_wal_fsync_duration_seconds_bucket{le=\"0.0005\"}"), 1.0);
    assert_eq!(value("disk_wal_fsync_duration_seconds_bucket{le=\"10\"}"), 1.0);
    assert_eq!(value("disk_wal_fsync_duration_seconds_bucket{le=\"+Inf\"}"), 2.0);
    assert_eq!(value("disk_wal_fsync_duration_seconds_sum"), 20.0003);
}

#[test]
fn groups_add_no_series() {
    let series = |groups| samples(&metrics(groups).render()).into_keys().collect::<Vec<_>>();
    assert_eq!(series(1), series(1000));
}

#[test]
fn each_metric_is_explained_to_operators() {
    let text = metrics(1).render();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let missing: Vec<&str> =
        names.filter(|name| !OPERATIONS.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/operations.md does not explain {missing:?}");
}

/// Names of limits: constants of our crates outside of the demo, which is a
/// client, and the settings of a connection.
fn bounds(dir: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("demo") {
            bounds(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let constants = text.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| {
                let (_, behind) = line.split_once("const ")?;
                Some(behind.split_once(':')?.0)
            });
            names.extend(constants.filter(|name| name.ends_with("_MAX")).map(str::to_owned));
            if path.ends_with("limits.rs") {
                let fields =
                    text.lines().filter_map(|line| line.strip_prefix("    pub ")?.split_once(':'));
                let fields = fields.map(|(name, _)| name).filter(|name| name.ends_with("_max"));
                names.extend(fields.map(str::to_owned));
            }
        }
    }
}

/// Rule 42.
#[test]
fn each_bound_is_listed_with_the_metric_that_shows_its_fill() {
    let mut named = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    bounds(&root.join("src"), &mut named);
    bounds(&root.join("../kv/src"), &mut named);
    let (_, table) = OPERATIONS.split_once("## Every bound").unwrap();
    let (mut listed, mut metrics_of) = (BTreeSet::new(), BTreeSet::new());
    for row in table.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (name, behind) = row.split_once('`').unwrap();
        listed.insert(name.to_owned());
        let fill = behind.rsplit(" | ").next().unwrap();
        metrics_of.extend(fill.split('`').filter(|word| word.starts_with("raftlet_")));
    }
    let missing: Vec<&String> = named.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/operations.md does not list {missing:?}");
    let text = metrics(1).render();
    for metric in metrics_of {
        assert!(text.contains(&format!("# TYPE {metric} ")), "there is no {metric}");
    }
}

#[test]
fn seconds_are_exact() {
    for (ns, text) in [(0, "0"), (50_000, "0.00005"), (2_500_000_000, "2.5"), (1, "0.000000001")] {
        assert_eq!(Seconds::of_ns(ns).to_string(), text);
    }
    assert_eq!(Seconds::of_ms(1500).to_string(), "1.5");
}
