//! Three nodes on the production parts: the shard log on a real disk, TCP
//! between them, tokio underneath; each node a thread of its own.
//!
//! ```sh
//! cargo run -p raftlet --example on_tokio -- /tmp/tally   # and again: it goes on counting
//! ```
//!
//! A program of your own runs one [`node`] a process. Nothing of a shard leaves
//! its thread; what other threads want of it comes as messages through a
//! channel ([`Job`]). Stopping is no more than ending: the next start recovers
//! from what is on the disk.
//!
//! Not here: changing members (`changing_members.rs`), snapshots.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]
#![expect(clippy::disallowed_methods, reason = "a program of its own reads the clock")]

use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};

use raftlet::core::{
    Configuration, Generation, GroupId, Liveness, Member, MemberRole, NodeId, Now, Sender, Time,
    WallMs,
};
use raftlet::{
    ApplyError, Clock, Command, Inbox, Incoming, NodeSeat, PortSet, Ports, Shard, ShardOptions,
    Spawn, StateMachine, Storage,
};
use raftlet_log::{Claims, DiskMode, Home, LogOptions, RealDisk, ShardLog, open_data_dir};
use raftlet_net::{
    Disowned, Identity, Net, NetDetector, NetEvent, NetHandle, NetListener, NetOptions, NetRpc,
    PeerOptions, RollCallMember, RollCallStart, Sink,
};

type Failure = Box<dyn Error + Send + Sync>;

const GROUP: GroupId = GroupId::new(1);
const GENERATION: Generation = Generation::new(1);

/// The state that is kept on all nodes.
#[derive(Default)]
struct Tally(u64);

impl StateMachine for Tally {
    type Command = u64;
    type Response = u64;

    fn encode(add: &u64, into: &mut Vec<u8>) {
        into.extend_from_slice(&add.to_le_bytes());
    }

    async fn apply(
        &mut self,
        commands: &[Command<'_>],
        responses: &mut Vec<u64>,
    ) -> Result<(), ApplyError> {
        for command in commands {
            // What cannot be decoded is a broken log: halt, never guess.
            let Ok(add) = command.payload.try_into() else {
                let detail = "not eight bytes".to_owned();
                return Err(ApplyError { index: command.index, detail });
            };
            self.0 = self.0.wrapping_add(u64::from_le_bytes(add));
            responses.push(self.0);
        }
        Ok(())
    }
}

/// The machine's clocks, waiting on tokio's timer.
#[derive(Clone, Copy)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let ns = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let calendar = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = WallMs(u64::try_from(calendar.as_millis()).unwrap_or(u64::MAX));
        Now { time: Time::from_ns(ns), wall }
    }

    // Behind a look at the sockets, so that `idle_poll` finds what arrived.
    async fn pause(&self) {
        tokio::task::yield_now().await;
    }

    fn lend_core(&self) {
        std::thread::yield_now();
    }

    async fn sleep_until(&self, deadline: Time) {
        match self.0.checked_add(Duration::from_nanos(deadline.ns())) {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }
}

/// Tasks on the thread's own runtime.
struct LocalSpawn;

impl Spawn for LocalSpawn {
    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        spawn_local(task);
    }
}

/// Which implementations the shard runs on.
enum Production {}

impl Ports for Production {
    type Rpc = NetRpc;
    type Storage = ShardLog<RealDisk>;
    type Machine = Tally;
    type Clock = TokioClock;
    type Spawn = LocalSpawn;
    type Detector = NetDetector;
}

/// Passes on what the transport receives and notices.
struct Receiver {
    seat: Sender,
    shard: Rc<Shard<Production>>,
    inbox: Inbox<Production>,
    home: Home<RealDisk>,
}

impl Sink for Receiver {
    fn deliver(&self, from: Sender, messages: &mut Vec<Incoming>) {
        self.inbox.deliver(from, messages);
    }

    fn liveness(&self, node: NodeId, liveness: Liveness) {
        self.inbox.liveness(node, liveness);
    }

    fn disowned(&self, from: Sender, disowned: Disowned) {
        self.inbox.disowned(from, disowned.group, disowned.generation, disowned.term);
    }

    async fn remember(&self, peer: Sender) -> std::io::Result<()> {
        self.home.remember_run(peer).await.map_err(std::io::Error::other)
    }

    fn shard_turns(&self, turns: &mut Vec<u64>) {
        turns.push(self.shard.status().counters.turns);
        // Makes an idle loop turn, so that the next heartbeat can tell.
        self.inbox.deliver(self.seat, &mut Vec::new());
    }

    fn event(&self, _event: NetEvent) {}
}

/// What another thread wants of a node: a number to add, and where to say what
/// came of it.
type Job = (u64, oneshot::Sender<Result<u64, String>>);

/// A node from start to stop: it ends when nobody can send jobs any more.
async fn node(
    directory: PathBuf,
    id: NodeId,
    members: Arc<Vec<(NodeId, String)>>,
    mut jobs: mpsc::Receiver<Job>,
) -> Result<(), Failure> {
    let clock = TokioClock(Instant::now());
    let claims = Claims {
        cluster_name: "on_tokio".to_owned(),
        node: id,
        initial_members: members.to_vec(),
        groups: None,
    };
    // Locked, checked to be this node's, and this run made durable (rule 1).
    let (disk, home) = open_data_dir(&directory, &claims, DiskMode::Probe).await?;
    let (log, _report) = ShardLog::open(disk, home.clone(), &LogOptions::default()).await?;
    spawn_local(log.maintain(clock));

    let known = members_on_disk(&log).await?;
    let seat = seat(&home);
    let net = transport(&home, seat, &members, known.as_deref(), clock).await?;
    let handle = net.handle();
    let ports = PortSet::<Production> {
        rpc: net.rpc(),
        detector: net.detector(),
        storage: log,
        clock,
        spawn: LocalSpawn,
    };
    let Sender { node, incarnation, run } = seat;
    let idle_poll = Duration::from_micros(100);
    let options = ShardOptions { idle_poll, seed: node.get(), ..ShardOptions::default() };
    let shard = Rc::new(Shard::new(options, NodeSeat { node, incarnation, run }, ports)?);
    let receiver = Receiver { seat, inbox: shard.inbox(), shard: Rc::clone(&shard), home };
    spawn_local(net.run(Rc::new(receiver)));

    if known.is_none() {
        let founders = roll_call(&handle).await;
        shard.bootstrap(GROUP, GENERATION, &founders).await?;
        handle.roll_call_written();
    }
    let tally = shard.open(GROUP, GENERATION, Tally::default()).await?;
    let looping = Rc::clone(&shard);
    let mut running = spawn_local(async move { looping.run().await });
    loop {
        tokio::select! {
            // The disk failed, or a part broke: a node must not live on half.
            ended = &mut running => return Ok(ended??),
            job = jobs.recv() => match job {
                None => break,
                Some((add, reply)) => {
                    let proposal = tally.propose(add);
                    spawn_local(async move {
                        // Who asked may be gone.
                        let _ = reply.send(proposal.await.map_err(|error| error.to_string()));
                    });
                }
            },
        }
    }
    shard.stop();
    Ok(running.await??)
}

fn seat(home: &Home<RealDisk>) -> Sender {
    let identity = home.identity();
    Sender { node: identity.node, incarnation: identity.incarnation, run: identity.run }
}

/// The members as of the last configuration on the disk; `None` at the first
/// start.
async fn members_on_disk(log: &ShardLog<RealDisk>) -> Result<Option<Vec<Member>>, Failure> {
    let loaded = log.load_log(GROUP).await?;
    let Some((_, bytes)) = loaded.configurations.last() else { return Ok(None) };
    Ok(Some(Configuration::decode(bytes)?.members().to_vec()))
}

/// TCP to the other members: those on the disk, else those who are to found the
/// cluster.
async fn transport(
    home: &Home<RealDisk>,
    seat: Sender,
    founders: &[(NodeId, String)],
    known: Option<&[Member]>,
    clock: TokioClock,
) -> Result<Net, Failure> {
    let peer = |node: NodeId, address: &String, expected| PeerOptions {
        node,
        address: address.clone(),
        expected,
        remembered: home
            .remembered_runs()
            .iter()
            .find(|met| met.node == node && Some(met.incarnation) == expected)
            .map(|met| (met.incarnation, met.run)),
    };
    let (roll_call, peers) = match known {
        None => {
            let peers = founders.iter().map(|(node, address)| peer(*node, address, None)).collect();
            (RollCallStart::Begins(founders.to_vec()), peers)
        }
        Some(members) => {
            let met = members.iter().map(|member| RollCallMember {
                node: member.node,
                incarnation: member.incarnation,
                address: member.address.clone(),
            });
            let expected = members
                .iter()
                .map(|member| peer(member.node, &member.address, Some(member.incarnation)));
            (RollCallStart::Written(met.collect()), expected.collect())
        }
    };
    let mine = founders.iter().find(|(node, _)| *node == seat.node);
    let (_, address) = mine.ok_or("this node is not among the founders")?;
    let listener = NetListener::bind(address).await?;
    let identity = Identity { cluster: home.identity().cluster, seat };
    let seed = seat.node.get() ^ seat.run.get() << 32;
    let options = NetOptions::new(identity, peers, roll_call, seed);
    Ok(Net::new(listener, options, Rc::new(move || clock.now().time))?)
}

/// Waits until all founders have met, and returns the first configuration
/// (rule 5).
async fn roll_call(net: &NetHandle) -> Configuration {
    let list = loop {
        match net.close_roll_call() {
            Some(list) => break list,
            None => net.roll_call_changed().await,
        }
    };
    let members = list.into_iter().map(|met| Member {
        node: met.node,
        incarnation: met.incarnation,
        role: MemberRole::Voter,
        priority: raftlet::core::PRIORITY_DEFAULT,
        address: met.address,
    });
    Configuration::new(members.collect()).expect("a roll call has no doubles and no empty list")
}

/// A thread with a runtime of its own, and a node on it.
fn start(
    directory: &Path,
    id: NodeId,
    members: &Arc<Vec<(NodeId, String)>>,
) -> (mpsc::Sender<Job>, std::thread::JoinHandle<Result<(), Failure>>) {
    let (send, receive) = mpsc::channel(64);
    let (directory, members) = (directory.join(id.get().to_string()), Arc::clone(members));
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, node(directory, id, members, receive))
    });
    (send, thread)
}

fn main() -> Result<(), Failure> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err("say in which directory the nodes keep their logs".into());
    };
    let members: Vec<(NodeId, String)> =
        (1..=3).map(|id| (NodeId::new(id), format!("127.0.0.1:{}", 7180 + id))).collect();
    let members = Arc::new(members);
    let (nodes, threads): (Vec<_>, Vec<_>) =
        members.iter().map(|(id, _)| start(&directory, *id, &members)).unzip();

    // Any node takes any job; whoever leads carries it out.
    for node in nodes.iter().cycle().take(9) {
        let (reply, replied) = oneshot::channel();
        node.blocking_send((1, reply))?;
        println!("added one: the tally is {}", replied.blocking_recv()??);
    }
    drop(nodes);
    for thread in threads {
        thread.join().map_err(|_| "a node panicked")??;
    }
    Ok(())
}
