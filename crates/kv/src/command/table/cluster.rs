//! Rows of `CLUSTER` and of what else only makes sense in one.

use crate::command::Row;
use crate::command::parse::{cluster as parse, container};

const STALE: &[&str] = &["stale"];
const SLOW: &[&str] = &["slow"];
const FAST_SWITCH: &[&str] = &["loading", "stale", "fast"];

pub(super) static ROWS: &[Row] = &[
    Row::new("asking", 1, parse::switch).flags(&["fast"]).categories(&["fast", "connection"]).doc(
        "cluster",
        "3.0.0",
        "Sent by cluster clients after an -ASK redirect",
    ),
    Row::new("cluster", -2, container)
        .categories(SLOW)
        .doc("cluster", "3.0.0", "A container for cluster commands")
        .subcommands(CLUSTER),
    Row::new("readonly", 1, parse::switch)
        .flags(FAST_SWITCH)
        .categories(&["fast", "connection"])
        .doc("cluster", "3.0.0", "Enables read queries for a connection to a cluster replica node"),
    Row::new("readwrite", 1, parse::switch)
        .flags(FAST_SWITCH)
        .categories(&["fast", "connection"])
        .doc(
            "cluster",
            "3.0.0",
            "Disables read queries for a connection to a cluster replica node",
        ),
];

static CLUSTER: &[Row] = &[
    Row::new("cluster|countkeysinslot", 3, parse::countkeysinslot)
        .flags(STALE)
        .categories(SLOW)
        .doc("cluster", "3.0.0", "Return the number of local keys in the specified hash slot"),
    Row::new("cluster|getkeysinslot", 4, parse::getkeysinslot).flags(STALE).categories(SLOW).doc(
        "cluster",
        "3.0.0",
        "Return local key names in the specified hash slot",
    ),
    Row::new("cluster|help", 2, parse::help).flags(&["loading", "stale"]).categories(SLOW).doc(
        "cluster",
        "5.0.0",
        "Show helpful text about the different subcommands",
    ),
    Row::new("cluster|info", 2, parse::info).flags(STALE).categories(SLOW).doc(
        "cluster",
        "3.0.0",
        "Provides info about Redis Cluster node state",
    ),
    Row::new("cluster|keyslot", 3, parse::keyslot).flags(STALE).categories(SLOW).doc(
        "cluster",
        "3.0.0",
        "Returns the hash slot of the specified key",
    ),
    Row::new("cluster|links", 2, parse::links).flags(STALE).categories(SLOW).doc(
        "cluster",
        "7.0.0",
        "Returns a list of all TCP links to and from peer nodes in cluster",
    ),
    Row::new("cluster|myid", 2, parse::myid).flags(STALE).categories(SLOW).doc(
        "cluster",
        "3.0.0",
        "Return the node id",
    ),
    Row::new("cluster|nodes", 2, parse::nodes).flags(STALE).categories(SLOW).doc(
        "cluster",
        "3.0.0",
        "Get Cluster config for the node",
    ),
    Row::new("cluster|shards", 2, parse::shards).flags(STALE).categories(SLOW).doc(
        "cluster",
        "7.0.0",
        "Get array of cluster slots to node mappings",
    ),
    Row::new("cluster|slots", 2, parse::slots).flags(STALE).categories(SLOW).doc(
        "cluster",
        "3.0.0",
        "Get array of Cluster slot to node mappings",
    ),
];
