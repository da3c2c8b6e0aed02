//! What `serve` was asked for, checked: the flags that parse and cannot stand
//! are refused here, each by name.
//!
//! Pure except for the resolution of host names, and for a look whether the data
//! directory has begun: what it says wins later (`node.rs`, rule 2), and only a
//! first start is held to a list that names its node.
//!
//! Invariant: nothing beyond loopback is listened on unless the operator said
//! `--insecure-bind` (rule 35).

mod access;
pub(crate) mod file;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::serve::{DiskChoice, IdlePollChoice, LimitArgs, ServeArgs};
use crate::cli::snapshot::SnapshotArgs;
use crate::process::failure::{Exit, Failure};
use raftlet::core::{ClusterId, LeaseOptions, NodeId, Options, Settings};
use raftlet_kv::SlotMap;
use raftlet_log::{LogOptions, has_identity};

pub(crate) use access::Access;

/// Where a node listens for peers unless it is told.
const PEER_ADDR_DEFAULT: &str = "127.0.0.1:7380";
/// Members that a list may name: the limit of a configuration.
const MEMBERS_MAX: usize = raftlet::core::MEMBERS_MAX;
/// Bytes of a cluster's name: it is printed in every refusal.
const CLUSTER_NAME_BYTES_MAX: usize = 64;

/// A member as the operator lists it, with its peer address as written.
pub(crate) type InitialMember = (NodeId, String);

/// An address to listen on: as written, and resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenAddr {
    pub(crate) text: String,
    pub(crate) socket: SocketAddr,
}

/// How much log there may be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogDisk {
    /// Aimed at, not a bound.
    pub(crate) bytes_soft: u64,
    /// Never exceeded.
    pub(crate) bytes_max: u64,
}

/// What a node is started with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) node: NodeId,
    pub(crate) data_dir: PathBuf,
    pub(crate) client: ListenAddr,
    pub(crate) peer: ListenAddr,
    pub(crate) admin: ListenAddr,
    /// What clients are told to connect to, `host:port`.
    pub(crate) advertised_client: String,
    /// Where other nodes are told that the admin port is.
    pub(crate) advertised_admin: String,
    /// Whether the operator said where peers connect, by either flag.
    pub(crate) is_peer_said: bool,
    /// In order of node id. It names this node at a first start.
    pub(crate) initial_members: Vec<InitialMember>,
    /// The admin address of a node of the cluster to join.
    pub(crate) join: Option<String>,
    /// How long it may not serve yet.
    pub(crate) join_timeout: Duration,
    pub(crate) cluster_name: String,
    /// Of the cluster to join, once it was told: it need not follow from name
    /// and first members.
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) slots: SlotMap,
    pub(crate) group: Options,
    pub(crate) propose_timeout: Duration,
    pub(crate) stop_timeout: Duration,
    pub(crate) log_memory_bytes_max: usize,
    pub(crate) idle_poll: Duration,
    pub(crate) log_disk: LogDisk,
    pub(crate) disk_mode: DiskChoice,
    pub(crate) clients_max: usize,
    pub(crate) client_idle: Option<Duration>,
    pub(crate) snapshots: SnapshotArgs,
    pub(crate) access: Access,
    pub(crate) exit_with_stdin: bool,
}

impl Config {
    /// Checks what the operator said.
    ///
    /// # Errors
    /// What cannot stand, by the name of its flag.
    pub(crate) fn from_args(args: ServeArgs) -> Result<Self, Failure> {
        let node = node_id(args.node_id)?;
        if args.shards != 1 {
            return Err(Failure::config(format!(
                "--shards {} is not available yet: this version serves all groups on one thread; \
                 leave --shards out or say 1",
                args.shards
            )));
        }
        let slots = SlotMap::new(args.groups)
            .map_err(|error| Failure::caused(Exit::Config, "--groups", &error))?;
        let listed = listed(&args)?;
        let own_listed = listed.iter().flatten().find(|(id, _)| *id == node);
        let peer_addr = match (&args.peer_addr, own_listed) {
            (Some(address), _) => address.clone(),
            (None, Some((_, own))) => own.clone(),
            (None, None) => PEER_ADDR_DEFAULT.to_owned(),
        };
        let is_peer_said = args.peer_addr.is_some() || own_listed.is_some();
        let initial_members = first_members(&args, listed, (node, peer_addr.clone()))?;
        check_name(&args.cluster_name)?;
        let listen = |flag, address: &str| listen_addr(flag, address, args.insecure_bind);
        let client = listen("--client-addr", &args.client_addr)?;
        let admin = listen("--admin-addr", &args.admin_addr)?;
        Ok(Self {
            node,
            cluster_name: args.cluster_name.clone(),
            is_peer_said,
            peer: listen("--peer-addr", &peer_addr)?,
            advertised_client: advertised(
                "--advertise-client-addr",
                args.advertise_client_addr.as_ref(),
                &client,
            )?,
            advertised_admin: advertised(
                "--advertise-admin-addr",
                args.advertise_admin_addr.as_ref(),
                &admin,
            )?,
            admin,
            client,
            initial_members,
            join: args.join.clone(),
            cluster: None,
            join_timeout: Duration::from_millis(args.join_timeout_ms),
            slots,
            group: group_options(&args)?,
            propose_timeout: Duration::from_millis(args.limits.propose_timeout_ms),
            stop_timeout: Duration::from_millis(args.limits.stop_timeout_ms),
            snapshots: args.snapshots,
            idle_poll: idle_poll(args.limits.idle_poll_us, cores()),
            log_memory_bytes_max: usize::try_from(u64::from(args.limits.log_memory_mib) << 20)
                .unwrap_or(usize::MAX),
            log_disk: LogDisk::from_args(&args.limits)?,
            disk_mode: args.limits.disk_mode,
            clients_max: usize::try_from(args.limits.clients_max).unwrap_or(usize::MAX),
            client_idle: unless_never(args.limits.client_idle_ms),
            access: Access::from_args(&args.clients)?,
            data_dir: args.data_dir,
            exit_with_stdin: args.exit_with_stdin,
        })
    }

    /// What listens beyond loopback, one line each (rule 35).
    pub(crate) fn exposed(&self) -> Vec<String> {
        let doors = [
            ("--client-addr", &self.client),
            ("--peer-addr", &self.peer),
            ("--admin-addr", &self.admin),
        ];
        doors
            .into_iter()
            .filter(|(_, door)| !door.socket.ip().is_loopback())
            .map(|(flag, door)| {
                format!(
                    "{flag} {} is open to other machines, unencrypted and to everybody; keep them \
                     off by a firewall or a network you trust",
                    door.text
                )
            })
            .collect()
    }

    /// Four of the log's largest segments lie between two snapshots, so that each
    /// of these sets files free that are used again before the next (D63).
    pub(crate) fn log_options(&self) -> LogOptions {
        let default = LogOptions::default();
        let (least, most) = (default.segment_bytes_first, default.segment_bytes_max);
        LogOptions {
            segment_bytes_max: (self.snapshots.snapshot_log_bytes / 4).clamp(least, most),
            log_bytes_soft: self.log_disk.bytes_soft,
            log_bytes_hard: self.log_disk.bytes_max,
            ..default
        }
    }
}

/// Those listed, or the node alone; of one who joins, others tell.
fn first_members(
    args: &ServeArgs,
    listed: Option<Vec<InitialMember>>,
    own: InitialMember,
) -> Result<Vec<InitialMember>, Failure> {
    let Some(members) = listed else {
        return Ok(if args.join.is_some() { Vec::new() } else { vec![own] });
    };
    if members.iter().any(|(id, _)| *id == own.0) || has_identity(&args.data_dir) {
        return Ok(members);
    }
    Err(Failure::config(format!(
        "--initial-members does not list node {0}, which is this one; add {0}=HOST:PORT to the \
         list of every member, or correct --node-id",
        own.0.get()
    )))
}

fn node_id(number: u64) -> Result<NodeId, Failure> {
    if number == 0 {
        return Err(Failure::config(
            "--node-id 0 names nobody; ids start at 1 and are never reused",
        ));
    }
    Ok(NodeId::new(number))
}

/// Checks the name of a cluster.
///
/// # Errors
/// It cannot stand.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    let printable = name.chars().all(|char| !char.is_control() && !char.is_whitespace());
    if name.is_empty() || name.len() > CLUSTER_NAME_BYTES_MAX || !printable {
        return Err(Failure::config(format!(
            "--cluster-name must have 1 to {CLUSTER_NAME_BYTES_MAX} bytes and no blanks, \
             it has {}: choose a short word",
            name.len()
        )));
    }
    Ok(())
}

/// 0 is never.
fn unless_never(ms: u64) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(ms))
}

impl LogDisk {
    /// Between the two limits snapshots have time to be written.
    fn from_args(limits: &LimitArgs) -> Result<Self, Failure> {
        let (soft, hard) = (limits.log_disk_mib, limits.log_disk_max_mib);
        let bytes_soft = u64::from(soft) << 20;
        match hard {
            0 => Ok(Self { bytes_soft, bytes_max: bytes_soft * 4 }),
            hard if hard / 2 >= soft => Ok(Self { bytes_soft, bytes_max: u64::from(hard) << 20 }),
            hard => Err(Failure::config(format!(
                "--log-disk-max-mib {hard} is less than twice --log-disk-mib {soft}: writes would \
                 be refused whenever a snapshot is due; raise the one or lower the other"
            ))),
        }
    }
}

/// As asked for. Otherwise only where CPU is to spare: a node that looks on a
/// share of one core, of a machine or of a container's quota, uses up what it
/// needs for its answers.
fn idle_poll(choice: IdlePollChoice, cores: usize) -> Duration {
    const AUTO_US: u32 = 100;
    let us = match choice {
        IdlePollChoice::Us(us) => us,
        IdlePollChoice::Auto if cores > 1 => AUTO_US,
        IdlePollChoice::Auto => 0,
    };
    Duration::from_micros(us.into())
}

/// Cores that this process may use, by affinity and by quota; 1 where it cannot
/// be told.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn group_options(args: &ServeArgs) -> Result<Options, Failure> {
    let election_timeout = Duration::from_millis(args.limits.election_timeout_ms);
    let options = Options {
        election_timeout,
        // No flag of its own: a cluster that is patient with leaders is so
        // with disks.
        stall_limit: Options::default().stall_limit.max(election_timeout),
        heartbeat_interval: Duration::from_millis(args.limits.heartbeat_interval_ms),
        lease: match args.limits.lease_clock_drift_us {
            0 => None,
            clock_drift_us => Some(LeaseOptions { clock_drift_us }),
        },
        command_bytes_max: raftlet::core::PAYLOAD_BYTES_MAX,
        ..Options::default()
    };
    if options.heartbeat_interval.saturating_mul(3) > election_timeout {
        return Err(Failure::config(format!(
            "--heartbeat-interval-ms {} is more than a third of --election-timeout-ms {}; lower \
             the one or raise the other",
            args.limits.heartbeat_interval_ms, args.limits.election_timeout_ms
        )));
    }
    Settings::try_from(options.clone())
        .map_err(|error| Failure::caused(Exit::Config, "options do not fit together", &error))?;
    Ok(options)
}

/// The first members as listed. One that joins learns them from there; the list
/// may be a variable that was set for others.
fn listed(args: &ServeArgs) -> Result<Option<Vec<InitialMember>>, Failure> {
    let listed = args.initial_members.as_deref().filter(|_| args.join.is_none());
    listed.map(parse_members).transpose()
}

/// `1=host:port,2=host:port`, any order; in order of id afterwards.
pub(crate) fn parse_members(list: &str) -> Result<Vec<InitialMember>, Failure> {
    let refuse = |part: &str, why: &str| {
        Err(Failure::config(format!(
            "--initial-members has '{part}': {why}; write 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT"
        )))
    };
    let mut members: Vec<InitialMember> = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((id, address)) = part.split_once('=') else {
            return refuse(part, "a member is an id, '=', and its peer address");
        };
        let Ok(id) = id.trim().parse::<u64>() else {
            return refuse(part, "an id is a whole number");
        };
        let address = address.trim();
        if !has_port(address) {
            return refuse(part, "an address is a host, ':' and a port");
        }
        let node = node_id(id)?;
        if members.iter().any(|(other, _)| *other == node) {
            return refuse(part, "this id is listed twice");
        }
        if members.iter().any(|(_, other)| other == address) {
            return refuse(part, "this address is listed twice");
        }
        members.push((node, address.to_owned()));
    }
    if members.is_empty() || members.len() > MEMBERS_MAX {
        let why = format!("a cluster has 1 to {MEMBERS_MAX} members");
        return refuse(list, &why);
    }
    members.sort();
    Ok(members)
}

fn has_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && host.len() <= raftlet::core::ADDRESS_BYTES_MAX - 6
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Where others are told that a door is.
fn advertised(flag: &str, said: Option<&String>, door: &ListenAddr) -> Result<String, Failure> {
    match said {
        None => Ok(door.text.clone()),
        Some(address) if has_port(address) => Ok(address.clone()),
        Some(address) => Err(Failure::config(format!(
            "{flag} {address} is no address; write the HOST:PORT that others reach this node under"
        ))),
    }
}

fn listen_addr(flag: &str, address: &str, insecure_bind: bool) -> Result<ListenAddr, Failure> {
    let socket = address
        .to_socket_addrs()
        .map_err(|error| {
            Failure::config(format!(
                "{flag} {address} is no address to listen on: {error}; write HOST:PORT of this machine"
            ))
        })?
        .next()
        .ok_or_else(|| {
            Failure::config(format!(
                "{flag} {address} resolves to no address; write HOST:PORT of this machine"
            ))
        })?;
    if !socket.ip().is_loopback() && !insecure_bind {
        return Err(Failure::config(format!(
            "{flag} {address} is reachable from other machines, and nothing is encrypted, \
             nor are nodes and operators authenticated; listen on loopback, or say --insecure-bind \
             on a network you trust"
        )));
    }
    Ok(ListenAddr { text: address.to_owned(), socket })
}

#[cfg(test)]
mod tests;
