//! A node put together: data directory, transport, shard, ports for clients
//! and for operators.
//!
//! Order of a start (rule 1): the directory is locked and the ports are taken;
//! the identity is checked and this run made durable; the log is recovered;
//! then the transport speaks. On a first start the roll call follows
//! (`bootstrap.rs`), then the groups open and clients are served.
//!
//! Everything is one task set on one thread; when a part of it ends unasked or
//! panics, the node ends with it (rule 44): peers see the closed connections,
//! and clients are still told how what they asked for ended (rules 9, 33).
//!
//! Not here: what any of the parts does; the orderly end (`stop.rs`).

mod bootstrap;
mod disk;
mod groups;
mod ring;
mod roster;
mod sink;
mod stop;

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tracing::{error, info, warn};

use crate::admin;
use crate::backup::founding::Founding;
use crate::client;
use crate::client::keyspace::Keyspace;
use crate::config::{self, Config, ListenAddr};
use crate::logging::Logging;
use crate::node::bootstrap::Stored;
use crate::node::roster::{Follower, Told};
use crate::node::sink::ShardSink;
use crate::node::stop::{Ending, Orders};
use crate::observe::view::{NodeView, Seen};
use crate::process::clock::TokioClock;
use crate::process::descriptors;
use crate::process::ended::{part_failure, shard_failure};
use crate::process::failure::{Exit, Failure, chain};
use crate::process::signal::Shutdown;
use crate::process::supervisor;
use crate::shard::expiry;
use crate::shard::neighbours::Neighbours;
use crate::shard::ports::{LocalSpawn, NodePorts, Shard, SharedLog, WriteTimes};
use raftlet::core::{NodeId, Sender, Time};
use raftlet::{NodeSeat, PortSet, ShardOptions};
use raftlet_kv::{NodeInfo, SlotMap};
use raftlet_log::{
    Claims, DirLock, Home, Identity, RealDisk, RecoveryReport, ShardLog, random_incarnation,
};
use raftlet_net::{
    Identity as NetIdentity, Net, NetHandle, NetListener, NetOptions, NodeAddresses, PeerOptions,
    RollCallMember, RollCallStart,
};

/// The last answers of a node that broke. They wait for nothing but clients.
const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// Runs a node until it is told to stop.
///
/// # Errors
/// Why it could not start, or could not go on.
pub(crate) async fn serve(mut config: Config, logging: Logging) -> Result<(), Failure> {
    for warning in config.exposed() {
        warn!("{warning}");
    }
    let mut shutdown = Shutdown::listen()?;
    config.clients_max = descriptors::clients_max(config.clients_max);
    let clock = TokioClock::start();
    let lock = DirLock::acquire(&config.data_dir).map_err(|error| data_failure(&error))?;
    let doors = Doors::open(&config).await?;
    let disk = disk::disk(lock, config.disk_mode).map_err(|error| data_failure(&error))?;
    let waiting = RefCell::default();
    let told = tokio::select! {
        told = roster::learn(&mut config, &waiting) => told?,
        () = client::refuse_all(&doors.clients, || waiting.borrow().clone()) => Told::new(),
        () = shutdown.asked() => return Ok(()),
    };
    let parts = Parts::assemble((config, told), clock, disk, doors.peers, logging).await?;
    let local = LocalSet::new();
    // A task as well, or it would be polled with every other one that wakes.
    let run = parts.run(doors.clients, doors.admin, shutdown);
    let ended = local.run_until(async { spawn_local(run).await }).await;
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        // Nobody cancels it.
        Err(error) => Err(Failure::caused(Exit::Runtime, "the node's task", &error)),
    })
}

/// The listening sockets, taken before anything is written.
struct Doors {
    clients: TcpListener,
    admin: TcpListener,
    peers: NetListener,
}

impl Doors {
    async fn open(config: &Config) -> Result<Self, Failure> {
        let clients = listen("--client-addr", &config.client).await?;
        let admin = listen("--admin-addr", &config.admin).await?;
        let peers = NetListener::bind(&config.peer.socket.to_string())
            .await
            .map_err(|error| taken("--peer-addr", &config.peer, &error.source))?;
        Ok(Self { clients, admin, peers })
    }
}

async fn listen(flag: &str, address: &ListenAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address.socket).await.map_err(|error| taken(flag, address, &error))
}

fn taken(flag: &str, address: &ListenAddr, why: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Bind,
        format!(
            "cannot listen on {flag} {}: {why}; stop whoever has the port, or choose another",
            address.text
        ),
    )
}

/// What recovery found. Of `report`, what an operator may act on.
fn tell(report: &RecoveryReport) {
    for warning in &report.warnings {
        warn!("{warning}");
    }
    for damage in &report.damage {
        error!("{damage}");
    }
    for harmed in &report.harmed {
        error!("{harmed}");
    }
    if report.has_unknown_losses {
        error!(
            "frames of the log were lost that may have held groups which nothing else names: no \
             group that this node does not know is taken for new; a member under a new node id on \
             an empty directory takes any"
        );
    }
    info!(
        segments = report.segments,
        groups = report.groups,
        bytes_read = report.bytes_read,
        tail = ?report.tail,
        trimmed_blocks = report.trimmed_blocks,
        "the log is open"
    );
}

fn data_failure(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Data, chain(error))
}

/// Everything that needs no task yet.
struct Parts {
    config: Config,
    clock: TokioClock,
    identity: Identity,
    log: SharedLog,
    shard: Rc<Shard>,
    net: Net,
    sink: ShardSink,
    view: Rc<NodeView>,
    /// Tells that peers refuse this node's identity.
    refused: oneshot::Receiver<Failure>,
    home: Home<RealDisk>,
    founding: Founding,
    disk: RealDisk,
    /// Members that the data directory knows, or that another node has told of.
    known: Told,
    is_first_start: bool,
}

impl Parts {
    async fn assemble(
        (mut config, told): (Config, Told),
        clock: TokioClock,
        disk: RealDisk,
        peers: NetListener,
        logging: Logging,
    ) -> Result<Self, Failure> {
        let home = open_home(&mut config, &told, &disk).await?;
        let (log, report) = ShardLog::open(disk.clone(), home.clone(), &config.log_options())
            .await
            .map_err(|error| data_failure(&error))?;
        tell(&report);
        let log = SharedLog(Rc::new(log), Rc::new(WriteTimes::new(clock)));
        let identity = home.identity();
        let founders = config::parse_members(&home.founders())?;
        let is_founder = founders.iter().any(|(node, _)| *node == identity.node);
        let mut founding = Founding::look(&config.data_dir)?;
        let met = bootstrap::met(identity.node, &founders, &home.remembered_runs());
        let stored = bootstrap::stored(&log, &config, (is_founder, &founding), &met).await?;
        let known = stored.known_or(&told);
        bootstrap::check_list(&config, &founders, &stored)?;
        if is_founder && stored != Stored::Nothing || !told.is_empty() {
            note_groups(&home, config.slots).await?;
        }
        let options = net_options(&config, identity, &stored, (&home, &told, is_founder));
        let time: raftlet_net::TimeSource = Rc::new(move || Time::from_ns(clock.elapsed_ns()));
        let net = Net::new(peers, options, time)
            .map_err(|error| Failure::caused(Exit::Config, "--initial-members", &error))?;
        let shard = Rc::new(new_shard(&config, identity, clock, &log, &net)?);
        if let Stored::Some { first: Some(list), missing, .. } = &stored {
            bootstrap::begin((&shard, &log), &mut founding, missing, list).await?;
        }
        let seen = Seen {
            log: log.clone(),
            shard: Rc::clone(&shard),
            net: net.handle(),
            logging,
            founding: (home.cluster_name(), home.founders()),
            damage_found: report.damage.len(),
        };
        let view = NodeView::new(identity, clock, seen);
        let (sink, refused) = ShardSink::new(seat(identity), Rc::clone(&shard), home.clone());
        Ok(Self {
            config,
            clock,
            identity,
            log,
            shard,
            net,
            sink,
            view: Rc::new(view),
            refused,
            home,
            founding,
            disk,
            known,
            is_first_start: stored == Stored::Nothing && is_founder,
        })
    }

    async fn run(
        self,
        clients: TcpListener,
        admin_door: TcpListener,
        shutdown: Shutdown,
    ) -> Result<(), Failure> {
        let view = self.view;
        let net = self.net.handle();
        let mut orders = Orders::new(shutdown, &self.config, self.refused);
        let mut tasks = Tasks {
            admin: spawn_local(admin::serve(admin_door, Rc::clone(&view), admin::routes())),
            net: spawn_local(self.net.run(Rc::new(self.sink))),
            log: spawn_local(self.log.0.maintain(self.clock)),
            roster: spawn_local(std::future::pending()),
            storage: self.log.clone(),
        };
        if self.is_first_start {
            let list = tokio::select! {
                list = bootstrap::roll_call(&net, &view) => list,
                () = client::refuse_all(&clients, || view.waiting()) => Vec::new(),
                ended = tasks.ended() => return Err(ended),
                order = orders.next() => return order,
            };
            let groups: Vec<_> = bootstrap::group_ids(self.config.slots).collect();
            let (places, mut founding) = ((&*self.shard, &self.log), self.founding);
            bootstrap::begin(places, &mut founding, &groups, &list).await?;
            net.roll_call_written();
            info!(members = list.len(), "a new cluster begins");
        }
        let keyspace =
            open_groups(&self.config, self.identity, (self.clock, net.clone()), &self.shard)
                .await?;
        let keyspace = Rc::new(keyspace);
        view.opened(&keyspace);
        let places = (self.home, self.known);
        let follower = follower(&self.config, places, &self.shard, (&keyspace, &net));
        tasks.roster = spawn_local(follower.run());
        let offices = Rc::clone(&keyspace);
        keep_times(&keyspace);
        let shard = Rc::clone(&self.shard);
        let mut shard_loop = spawn_local(async move { shard.run().await });
        let (stop, stopped) = watch::channel(false);
        let mut serving = spawn_local(client::serve(clients, keyspace, stopped));
        tell_serving(&self.config);
        let end = tokio::select! {
            ended = &mut shard_loop => Err(shard_failure(ended)),
            ended = tasks.ended() => Err(ended),
            ended = &mut serving => return Err(part_failure("client port", ended)),
            order = orders.next() => order,
        };
        view.stopping();
        supervisor::stopping();
        if let Err(failure) = end {
            // A closed connection would make clients repeat what may be done.
            tasks.net.abort();
            self.shard.stop();
            let _ = stop.send(true);
            let _ = tokio::time::timeout(LAST_ANSWERS_WITHIN, serving).await;
            return Err(failure);
        }
        let within = self.config.stop_timeout;
        let (keyspace, shard, log, disk) = (offices, self.shard, self.log, self.disk);
        let ending = Ending { keyspace, shard, log, disk, stop, within };
        ending.run(serving, shard_loop, &mut orders).await
    }
}

fn tell_serving(config: &Config) {
    info!(
        node = config.node.get(),
        clients = config.advertised_client,
        peers = config.peer.text,
        admin = config.admin.text,
        data_dir = %config.data_dir.display(),
        "serving"
    );
    supervisor::ready();
}

fn follower(
    config: &Config,
    (home, known): (Home<RealDisk>, Told),
    shard: &Rc<Shard>,
    (keyspace, net): (&Keyspace, &NetHandle),
) -> Follower {
    Follower {
        known,
        shard: Rc::clone(shard),
        groups: keyspace.groups().to_vec(),
        net: net.clone(),
        home,
        address: config.peer.text.clone(),
        join: config.join.clone(),
    }
}

/// Tasks that bring the log's time to deadlines. They end with the node.
fn keep_times(keyspace: &Keyspace) {
    for (group, timing) in keyspace.timings() {
        let draw = || groups::hash_seed().ok();
        spawn_local(expiry::keep_time(group.clone(), Rc::clone(timing), draw));
    }
}

/// Tasks that never end by themselves.
struct Tasks {
    admin: JoinHandle<()>,
    net: JoinHandle<()>,
    log: JoinHandle<()>,
    /// Follows the configuration, once there is one.
    roster: JoinHandle<()>,
    /// Tells why the log's maintenance ended.
    storage: SharedLog,
}

impl Tasks {
    /// Waits until one of them ends all the same.
    async fn ended(&mut self) -> Failure {
        tokio::select! {
            ended = &mut self.admin => part_failure("admin port", ended),
            ended = &mut self.net => part_failure("transport", ended),
            ended = &mut self.roster => part_failure("roster", ended),
            ended = &mut self.log => match self.storage.0.poison() {
                Some(cause) => Failure::runtime(format!(
                    "the log failed: {cause}; start the node again on a healthy disk"
                )),
                None => part_failure("log's maintenance", ended),
            },
        }
    }
}

/// The data directory, as this node's. How many groups there are it knows itself,
/// from its first start on.
async fn open_home(
    config: &mut Config,
    told: &Told,
    disk: &RealDisk,
) -> Result<Home<RealDisk>, Failure> {
    // Where --join tells nothing, --groups says nothing either.
    let is_said = config.join.is_none() || !told.is_empty();
    let claims = Claims {
        cluster_name: config.cluster_name.clone(),
        node: config.node,
        initial_members: config.initial_members.clone(),
        groups: is_said.then(|| u64::from(config.slots.groups_len())),
    };
    let home = Home::open_in(disk.clone(), &claims, config.cluster, random_incarnation)
        .await
        .map_err(|error| bootstrap::refusal(config, &error))?;
    for warning in home.warnings() {
        warn!("{warning}");
    }
    if let Some(groups) = home.groups() {
        config.slots = SlotMap::new(groups)
            .map_err(|error| Failure::caused(Exit::Data, "the data directory", &error))?;
    }
    Ok(home)
}

/// Of a directory that a release founded which did not note it: it fits what is there.
async fn note_groups(home: &Home<RealDisk>, slots: SlotMap) -> Result<(), Failure> {
    let noted = home.note_groups(u64::from(slots.groups_len())).await;
    noted.map_err(|error| data_failure(&error))
}

fn seat(identity: Identity) -> Sender {
    Sender { node: identity.node, incarnation: identity.incarnation, run: identity.run }
}

fn net_options(
    config: &Config,
    identity: Identity,
    stored: &Stored,
    (home, told, is_founder): (&Home<RealDisk>, &Told, bool),
) -> NetOptions {
    let remembered = home.remembered_runs();
    let peer = |node: NodeId, address: &str, expected| PeerOptions {
        node,
        address: address.to_owned(),
        expected,
        // Only the life that the configuration names can be let in.
        remembered: remembered
            .iter()
            .find(|met| met.node == node && Some(met.incarnation) == expected)
            .map(|met| (met.incarnation, met.run)),
    };
    let (roll_call, peers) = match stored {
        Stored::Nothing if !is_founder => {
            let known = told.iter().map(|(node, of, address)| (*node, *of, address));
            (RollCallStart::Over, roster::peers(known, home))
        }
        Stored::Nothing => {
            let initial = &config.initial_members;
            let peers = initial.iter().map(|(node, address)| peer(*node, address, None));
            (RollCallStart::Begins(initial.clone()), peers.collect())
        }
        Stored::Some { first, latest, .. } => {
            let known = |member: &RollCallMember| {
                peer(member.node, &member.address, Some(member.incarnation))
            };
            let roll_call = match first {
                Some(list) if is_founder => RollCallStart::Written(list.clone()),
                _ => RollCallStart::Over,
            };
            (roll_call, latest.iter().map(known).collect())
        }
    };
    let identity = NetIdentity { cluster: identity.cluster, seat: seat(identity) };
    let options = NetOptions::new(identity, peers, roll_call, seed(&identity.seat));
    // A node is suspected as late as a silent leader would be replaced.
    let suspect_after = config.group.election_timeout;
    let addresses = NodeAddresses {
        client: config.advertised_client.clone(),
        admin: config.advertised_admin.clone(),
    };
    NetOptions {
        addresses,
        heartbeat_interval: config.group.heartbeat_interval,
        suspect_after,
        idle_after: options.idle_after.max(suspect_after.saturating_mul(4)),
        ..options
    }
}

fn new_shard(
    config: &Config,
    identity: Identity,
    clock: TokioClock,
    log: &SharedLog,
    net: &Net,
) -> Result<Shard, Failure> {
    let bytes = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
    let options = ShardOptions {
        group: config.group.clone(),
        log_memory_bytes_max: config.log_memory_bytes_max,
        propose_timeout: config.propose_timeout,
        read_timeout: config.propose_timeout,
        snapshot_log_bytes: bytes(config.snapshots.snapshot_log_bytes),
        snapshot_log_entries: config.snapshots.snapshot_log_entries,
        snapshot_tail_bytes: bytes(config.snapshots.snapshot_tail_bytes),
        snapshot_tail_entries: config.snapshots.snapshot_tail_entries,
        snapshot_hold_bytes_max: bytes(config.snapshots.snapshot_hold_bytes),
        snapshot_bytes_per_second: config.snapshots.snapshot_bytes_per_second,
        idle_poll: config.idle_poll,
        seed: seed(&seat(identity)),
        ..ShardOptions::default()
    };
    let node_seat =
        NodeSeat { node: identity.node, incarnation: identity.incarnation, run: identity.run };
    let ports = PortSet::<NodePorts> {
        rpc: net.rpc(),
        storage: log.clone(),
        clock,
        spawn: LocalSpawn,
        detector: net.detector(),
    };
    Shard::new(options, node_seat, ports)
        .map_err(|error| Failure::caused(Exit::Config, "options that do not fit together", &error))
}

async fn open_groups(
    config: &Config,
    identity: Identity,
    (clock, net): (TokioClock, NetHandle),
    shard: &Shard,
) -> Result<Keyspace, Failure> {
    let (groups, sizes) = groups::open(config.slots, clock, shard).await?;
    let info = NodeInfo {
        node_id: identity.node.get(),
        process_id: std::process::id(),
        run_id: format!("{:032x}{:08x}", identity.incarnation.0, identity.run.get()),
        tcp_port: port(&config.advertised_client).unwrap_or(config.client.socket.port()),
        clients_len_max: u64::try_from(config.clients_max).unwrap_or(u64::MAX),
        groups_len: u64::from(config.slots.groups_len()),
        ..NodeInfo::default()
    };
    let client_addr = config.advertised_client.clone();
    let neighbours = Neighbours { identity, client_addr, net };
    Ok(Keyspace::new(config, (groups, sizes), clock, (info, neighbours)))
}

fn port(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok()
}

/// Different on every node and start; not secret.
fn seed(seat: &Sender) -> u64 {
    let low = seat.incarnation.0 ^ (seat.incarnation.0 >> 64);
    let low = u64::try_from(low & u128::from(u64::MAX)).unwrap_or_default();
    low ^ seat.run.get().rotate_left(40) ^ seat.node.get().rotate_left(20)
}
