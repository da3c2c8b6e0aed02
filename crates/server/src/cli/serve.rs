//! `raftlet serve`: what a node is started with.
//!
//! Invariant: without flags it is a whole cluster of one node on loopback.
//!
//! Every flag here is also a key of the configuration file, without further
//! ado (`config/file.rs`).

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use crate::cli::clients::ClientArgs;
use crate::cli::logging::LoggingArgs;
use crate::cli::snapshot::SnapshotArgs;

/// How the log's writes reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiskChoice {
    /// The fastest that works here.
    Auto,
    /// Direct, by a thread.
    Direct,
    /// Through the page cache.
    Buffered,
}

/// Whether memory is asked for in huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HugePagesChoice {
    /// Where the kernel gives them to who asks.
    Auto,
    /// It is not.
    Off,
}

/// How long to look for more before sleeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdlePollChoice {
    /// As the cores allow.
    Auto,
    /// Microseconds.
    Us(u32),
}

impl FromStr for IdlePollChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(us @ 0..=1_000) => Ok(Self::Us(us)),
            _ if text == "auto" => Ok(Self::Auto),
            _ => Err("say 'auto', or microseconds from 0 to 1000".to_owned()),
        }
    }
}

/// One node. Without flags: a cluster of its own on loopback.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServeArgs {
    /// A TOML file with these settings: a key for each flag, by its name.
    /// What a flag or variable says wins over it.
    #[arg(long, env = "RAFTLET_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// This node's number in the cluster, from 1.
    #[arg(long, env = "RAFTLET_NODE_ID", default_value_t = 1, value_name = "N")]
    pub(crate) node_id: u64,
    /// Where this node keeps what it must not lose. Its own, never copied.
    #[arg(long, env = "RAFTLET_DATA_DIR", default_value = "./raftlet-data", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Where Redis clients connect.
    #[arg(
        long,
        env = "RAFTLET_CLIENT_ADDR",
        default_value = "127.0.0.1:7379",
        value_name = "HOST:PORT"
    )]
    pub(crate) client_addr: String,
    /// Where other nodes connect. Default: this node's address in
    /// --initial-members, else 127.0.0.1:7380.
    #[arg(long, env = "RAFTLET_PEER_ADDR", value_name = "HOST:PORT")]
    pub(crate) peer_addr: Option<String>,
    /// Where status and health are served over HTTP.
    #[arg(
        long,
        env = "RAFTLET_ADMIN_ADDR",
        default_value = "127.0.0.1:7381",
        value_name = "HOST:PORT"
    )]
    pub(crate) admin_addr: String,
    /// The cluster's first members by peer address, alike on each of them and
    /// at every start; it chooses members while the data directory is empty.
    /// Later it is only compared, and need not name one who joined.
    /// Default: this node alone.
    #[arg(long, env = "RAFTLET_INITIAL_MEMBERS", value_name = "1=HOST:PORT,2=HOST:PORT,…")]
    pub(crate) initial_members: Option<String>,
    /// Join a running cluster: the admin address of any of its nodes. This
    /// node, on an empty data directory and under an id that was never used,
    /// learns everything from there and becomes a learner; `raftlet member
    /// promote` makes it a voter. At later starts it changes nothing. Beside it
    /// --initial-members is not looked at.
    #[arg(long, env = "RAFTLET_JOIN", value_name = "HOST:PORT")]
    pub(crate) join: Option<String>,
    /// How long the first start with --join waits for a cluster that does not
    /// serve yet. The log says whom it waits for.
    #[arg(long, env = "RAFTLET_JOIN_TIMEOUT_MS", default_value_t = 60_000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub(crate) join_timeout_ms: u64,
    /// Groups that the keyspace is divided among, alike on all first members.
    /// Fixed at first start.
    #[arg(long, env = "RAFTLET_GROUPS", default_value_t = 1, value_name = "G")]
    pub(crate) groups: u64,
    /// Threads that serve groups. More than 1 is not available yet.
    #[arg(long, env = "RAFTLET_SHARDS", default_value_t = 1, value_name = "S")]
    pub(crate) shards: u64,
    /// Part of the cluster's identity: nodes of clusters with different names
    /// never talk.
    #[arg(long, env = "RAFTLET_CLUSTER_NAME", default_value = "raftlet", value_name = "NAME")]
    pub(crate) cluster_name: String,
    /// The address that clients are told, where it differs from --client-addr.
    #[arg(long, env = "RAFTLET_ADVERTISE_CLIENT_ADDR", value_name = "HOST:PORT")]
    pub(crate) advertise_client_addr: Option<String>,
    /// The admin address that other nodes are told, where it differs from
    /// --admin-addr.
    #[arg(long, env = "RAFTLET_ADVERTISE_ADMIN_ADDR", value_name = "HOST:PORT")]
    pub(crate) advertise_admin_addr: Option<String>,
    /// Listen beyond loopback although nothing is encrypted or authenticated.
    #[arg(long, env = "RAFTLET_INSECURE_BIND", value_parser = BoolishValueParser::new())]
    pub(crate) insecure_bind: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) snapshots: SnapshotArgs,
    #[command(flatten)]
    pub(crate) clients: ClientArgs,
    #[command(flatten)]
    pub(crate) logging: LoggingArgs,
    /// Stop when standard input ends: set by a parent that must leave no
    /// orphans.
    #[arg(long, hide = true)]
    pub(crate) exit_with_stdin: bool,
}

/// Limits and timings of a node, each with its default.
#[derive(Args, Clone, Debug)]
pub(crate) struct LimitArgs {
    /// How long a command waits for a leader before it is answered
    /// CLUSTERDOWN (surely not done) or UNKNOWN.
    #[arg(long, env = "RAFTLET_PROPOSE_TIMEOUT_MS", default_value_t = 5000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) propose_timeout_ms: u64,
    /// How long an orderly stop may take: leadership is handed over, and what
    /// clients were promised ends. What has not ended then is named, with code 8.
    #[arg(long, env = "RAFTLET_STOP_TIMEOUT_MS", default_value_t = 10_000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) stop_timeout_ms: u64,
    /// Memory for recent log entries; older ones are read from disk.
    #[arg(long, env = "RAFTLET_LOG_MEMORY_MIB", default_value_t = 32, value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub(crate) log_memory_mib: u32,
    /// Log on disk that is aimed at: above it groups that keep old segments
    /// are written down, also idle ones, so that the segments can be used anew.
    #[arg(long, env = "RAFTLET_LOG_DISK_MIB", default_value_t = 512, value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub(crate) log_disk_mib: u32,
    /// How the log's writes reach the disk. `auto`: the fastest way that works
    /// here, io_uring if the kernel allows it; `direct`: by a thread of their own;
    /// `buffered`: through the page cache, with a flush.
    #[arg(
        long,
        env = "RAFTLET_DISK_MODE",
        default_value = "auto",
        value_name = "MODE",
        hide_possible_values = true
    )]
    pub(crate) disk_mode: DiskChoice,
    /// Memory in huge pages. `auto`: where the kernel gives them to who asks, this
    /// node does, by starting itself once again with GLIBC_TUNABLES set; what
    /// stands there about them is left. `off`: it does not.
    #[arg(
        long,
        env = "RAFTLET_HUGE_PAGES",
        default_value = "off",
        value_name = "MODE",
        hide_possible_values = true
    )]
    pub(crate) huge_pages: HugePagesChoice,
    /// Log on disk at most: shortly before it writes are refused, by name, until
    /// snapshots have let the log go; votes and reads go on. At least twice
    /// --log-disk-mib; 0: four times.
    #[arg(long, env = "RAFTLET_LOG_DISK_MAX_MIB", default_value_t = 0, value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(0..=4_194_304))]
    pub(crate) log_disk_max_mib: u32,
    /// Silence after which a leader is replaced. Above ten round trips.
    #[arg(long, env = "RAFTLET_ELECTION_TIMEOUT_MS", default_value_t = 500, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(10..=600_000))]
    pub(crate) election_timeout_ms: u64,
    /// How often a leader asks members that do not answer. At most a third of
    /// the election timeout.
    #[arg(long, env = "RAFTLET_HEARTBEAT_INTERVAL_MS", default_value_t = 100, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) heartbeat_interval_ms: u64,
    /// Lets leaders answer reads without asking a quorum, as long as no two
    /// nodes' clocks differ by more than this in a second. With it a killed
    /// leader is replaced after an election timeout, not at once. Not for
    /// machines that are suspended or moved while they run. 0: never.
    #[arg(long, env = "RAFTLET_LEASE_CLOCK_DRIFT_US", default_value_t = 0, value_name = "US",
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) lease_clock_drift_us: u32,
    /// How long a node that expects an answer soon looks for it before its thread
    /// sleeps: no core has to wake for it, for some CPU. 0: not at all. `auto`: 100
    /// where it may use two cores or more, else 0.
    #[arg(long, env = "RAFTLET_IDLE_POLL_US", default_value = "auto", value_name = "US")]
    pub(crate) idle_poll_us: IdlePollChoice,
    /// Client connections at once; one more is told so and closed.
    #[arg(long, env = "RAFTLET_CLIENTS_MAX", default_value_t = 10_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) clients_max: u32,
    /// Close a client that has been silent this long; 0 never does.
    #[arg(long, env = "RAFTLET_CLIENT_IDLE_MS", default_value_t = 0, value_name = "MS")]
    pub(crate) client_idle_ms: u64,
}
