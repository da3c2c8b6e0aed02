//! Nodes of one process, and what can happen to them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use raftlet::core::{
    Configuration, Generation, GroupId, Incarnation, Index, Liveness, Member, MemberRole, NodeId,
    PRIORITY_DEFAULT, Role, Run, Sender,
};
use raftlet::memory::{Executor, ManualDetector, MemoryPorts, MemoryStorage, Network, Owner};
use raftlet::{
    ApplyError, ChunkError, ChunkSource, Clock, Command, Group, NodeSeat, OpenError, PortSet,
    ProposeError, Proposing, Shard, ShardError, ShardOptions, Spawn, StateMachine,
};

pub(crate) const GROUP: GroupId = GroupId::new(1);
pub(crate) const GENERATION: Generation = Generation::new(1);

/// Remembers every command in order; answers with its place.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) lines: Vec<String>,
    pub(crate) switches: Rc<Switches>,
    /// Where it keeps its state over a restart, if it does.
    pub(crate) kept: Option<Rc<Kept>>,
}

/// Durable state of a machine's own: what it applied is here at once, the worst
/// that a loss of power can meet.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) lines: RefCell<Vec<String>>,
    pub(crate) applied: Cell<Index>,
}

/// Virtual time in which every proposal of these tests must have ended: without
/// it a test of a group that is stuck would never fail.
const OUTCOME_WITHIN: Duration = Duration::from_secs(600);

/// Lines of a ledger in one chunk of its snapshot.
pub(crate) const LINES_PER_CHUNK: usize = 10;

/// The pages of a ledger; one that keeps its state says first how far it is.
struct Pages(std::vec::IntoIter<Bytes>);

impl ChunkSource for Pages {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ChunkError> {
        Ok(self.0.next())
    }
}

/// What a test may do to a machine.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    /// While set, apply does not get on.
    pub(crate) is_stuck: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// The next apply fails.
    pub(crate) fails: Cell<bool>,
    /// The next apply gives one response too few.
    pub(crate) keeps_one: Cell<bool>,
    /// It cannot be reset.
    pub(crate) stays: Cell<bool>,
    /// What is applied is not what is kept.
    pub(crate) twists: Cell<bool>,
}

impl Switches {
    pub(crate) fn release(&self) {
        self.is_stuck.set(false);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl StateMachine for Ledger {
    type Command = String;
    type Response = usize;

    fn encode(command: &String, into: &mut Vec<u8>) {
        into.extend_from_slice(command.as_bytes());
    }

    async fn apply(
        &mut self,
        commands: &[Command<'_>],
        responses: &mut Vec<usize>,
    ) -> Result<(), ApplyError> {
        poll_fn(|cx| {
            if !self.switches.is_stuck.get() {
                return Poll::Ready(());
            }
            self.switches.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
        for command in commands {
            if self.switches.fails.get() {
                let detail = "told to fail".to_owned();
                return Err(ApplyError { index: command.index, detail });
            }
            let mut line = String::from_utf8_lossy(command.payload).into_owned();
            if self.switches.twists.get() {
                line.push('?');
            }
            if let Some(kept) = &self.kept {
                assert!(command.index > kept.applied.get(), "applied once already");
                kept.lines.borrow_mut().push(line.clone());
                kept.applied.set(command.index);
            }
            self.lines.push(line);
            responses.push(self.lines.len());
        }
        if self.switches.keeps_one.get() {
            responses.pop();
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Option<impl ChunkSource + use<>> {
        let place = self.kept.iter().map(|kept| kept.applied.get().get().to_string().into());
        let pages = self.lines.chunks(LINES_PER_CHUNK).map(|lines| {
            Bytes::from(lines.iter().map(|line| format!("{line}\n")).collect::<String>())
        });
        Some(Pages(place.chain(pages).collect::<Vec<Bytes>>().into_iter()))
    }

    async fn restore(&mut self, chunks: &mut impl ChunkSource) -> Result<(), ChunkError> {
        let mut lines = Vec::new();
        let mut place = Bytes::new();
        if self.kept.is_some() {
            place = chunks.next_chunk().await?.unwrap_or_default();
        }
        while let Some(chunk) = chunks.next_chunk().await? {
            lines.extend(String::from_utf8_lossy(&chunk).lines().map(str::to_owned));
        }
        if let Some(kept) = &self.kept {
            let index = String::from_utf8_lossy(&place).parse().expect("its own form");
            kept.applied.set(Index::new(index));
            kept.lines.replace(lines.clone());
        }
        self.lines = lines;
        Ok(())
    }

    async fn reset(&mut self) -> bool {
        self.lines = self.kept.as_ref().map_or(Vec::new(), |kept| kept.lines.borrow().clone());
        !self.switches.stays.get()
    }

    fn durable_index(&self) -> Option<Index> {
        self.kept.as_ref().map(|kept| kept.applied.get())
    }

    fn digest(&self) -> u64 {
        self.lines
            .iter()
            .flat_map(|line| line.bytes())
            .fold(7, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

pub(crate) type Ports = MemoryPorts<Ledger>;
type Ended = Rc<RefCell<Option<Result<(), ShardError>>>>;

/// One run of a node.
pub(crate) struct Live {
    pub(crate) shard: Rc<Shard<Ports>>,
    pub(crate) group: Group<Ports>,
    pub(crate) switches: Rc<Switches>,
    detector: ManualDetector,
    pub(crate) ended: Ended,
}

struct Node {
    storage: MemoryStorage,
    run: u64,
    live: Option<Live>,
    kept: Option<Rc<Kept>>,
}

impl Node {
    fn new(storage: MemoryStorage, kept: Option<Rc<Kept>>) -> Self {
        storage.set_latency(Duration::from_micros(300));
        Self { storage, run: 0, live: None, kept }
    }

    /// The machine as a start finds it.
    fn ledger(&self) -> Ledger {
        let lines = self.kept.as_ref().map(|kept| kept.lines.borrow().clone());
        Ledger { lines: lines.unwrap_or_default(), kept: self.kept.clone(), ..Ledger::default() }
    }
}

pub(crate) struct Cluster {
    pub(crate) executor: Executor,
    pub(crate) network: Network,
    nodes: BTreeMap<u64, Node>,
    options: ShardOptions,
}

impl Cluster {
    /// Voters 1 to `voters`, bootstrapped and running.
    pub(crate) fn voters(voters: u64) -> Self {
        Self::with(voters, 1, |_| {})
    }

    pub(crate) fn with(voters: u64, seed: u64, tune: impl Fn(&mut ShardOptions)) -> Self {
        Self::made(voters, seed, tune, || None)
    }

    /// The same, with machines that keep their state over a restart.
    pub(crate) fn keeping(voters: u64, seed: u64, tune: impl Fn(&mut ShardOptions)) -> Self {
        Self::made(voters, seed, tune, || Some(Rc::default()))
    }

    fn made(
        voters: u64,
        seed: u64,
        tune: impl Fn(&mut ShardOptions),
        kept: impl Fn() -> Option<Rc<Kept>>,
    ) -> Self {
        let executor = Executor::new(seed);
        let network = Network::new(&executor, seed);
        network.set_delay(Duration::from_micros(100), Duration::from_micros(50));
        let mut options = ShardOptions { seed, ..ShardOptions::default() };
        tune(&mut options);
        let mut cluster = Self { executor, network, nodes: BTreeMap::new(), options };
        for id in 1..=voters {
            let storage = MemoryStorage::new(cluster.executor.clock());
            cluster.nodes.insert(id, Node::new(storage, kept()));
        }
        let configuration = configuration(voters);
        for id in 1..=voters {
            let shard = cluster.new_shard(id, ManualDetector::new());
            let made = shard.bootstrap(GROUP, GENERATION, &configuration);
            cluster.executor.block_on(made).unwrap();
            cluster.start(id);
        }
        cluster
    }

    fn new_shard(&mut self, id: u64, detector: ManualDetector) -> Rc<Shard<Ports>> {
        let node = self.nodes.get_mut(&id).unwrap();
        node.run += 1;
        let run = Run::new(node.run);
        let seat = NodeSeat { node: NodeId::new(id), incarnation: incarnation(id), run };
        let sender = Sender { node: seat.node, incarnation: seat.incarnation, run };
        let ports = PortSet {
            rpc: self.network.rpc(sender),
            storage: node.storage.clone(),
            clock: self.executor.clock(),
            spawn: self.executor.spawner(Owner(id)),
            detector,
        };
        Rc::new(Shard::new(self.options.clone(), seat, ports).unwrap())
    }

    /// A new node with empty storage, which knows no member.
    pub(crate) fn join(&mut self, id: u64) {
        let storage = MemoryStorage::new(self.executor.clock());
        self.nodes.insert(id, Node::new(storage, None));
        self.start(id);
    }

    /// Starts a node on what its storage and its machine hold.
    pub(crate) fn start(&mut self, id: u64) {
        let ledger = self.nodes[&id].ledger();
        self.start_with(id, ledger);
    }

    /// The same, with a machine that has something of its own.
    pub(crate) fn start_with(&mut self, id: u64, ledger: Ledger) {
        let detector = ManualDetector::new();
        let shard = self.new_shard(id, detector.clone());
        let switches = Rc::new(Switches::default());
        let machine = Ledger { switches: Rc::clone(&switches), ..ledger };
        let group = self.executor.block_on(shard.open(GROUP, GENERATION, machine)).unwrap();
        let inbox = shard.inbox();
        self.network.join(NodeId::new(id), move |from, messages| inbox.deliver(from, messages));
        let ended = Ended::default();
        let (running, end) = (Rc::clone(&shard), Rc::clone(&ended));
        self.executor.spawner(Owner(id)).spawn(async move {
            let result = running.run().await;
            end.replace(Some(result));
        });
        self.nodes.get_mut(&id).unwrap().live =
            Some(Live { shard, group, switches, detector, ended });
    }

    /// Opens the group on what its storage holds, and no more.
    pub(crate) fn try_open(&mut self, id: u64, ledger: Ledger) -> Result<(), OpenError> {
        let shard = self.new_shard(id, ManualDetector::new());
        self.executor.block_on(shard.open(GROUP, GENERATION, ledger)).map(drop)
    }

    /// SIGKILL: nothing of the run survives but the storage.
    pub(crate) fn kill(&mut self, id: u64) {
        self.network.leave(NodeId::new(id));
        self.executor.kill(Owner(id));
        self.nodes.get_mut(&id).unwrap().live = None;
    }

    pub(crate) fn live(&self, id: u64) -> &Live {
        self.nodes[&id].live.as_ref().expect("the node is down")
    }

    pub(crate) fn group(&self, id: u64) -> Group<Ports> {
        self.live(id).group.clone()
    }

    pub(crate) fn storage(&self, id: u64) -> &MemoryStorage {
        &self.nodes[&id].storage
    }

    /// Up to here a node's machine has applied durably.
    pub(crate) fn kept(&self, id: u64) -> Index {
        self.nodes[&id].kept.as_ref().expect("it keeps nothing").applied.get()
    }

    /// Every detector vouches for every node that is up.
    pub(crate) fn vouch(&self) {
        for (id, node) in self.nodes.iter().filter(|(_, node)| node.live.is_some()) {
            let alive = Liveness::Alive { run: Run::new(node.run) };
            for (_, live) in self.up() {
                live.detector.set(NodeId::new(*id), alive);
                live.shard.inbox().liveness(NodeId::new(*id), alive);
            }
        }
    }

    /// Every detector suspects a node.
    pub(crate) fn suspect(&self, id: u64) {
        for (_, live) in self.up() {
            live.detector.set(NodeId::new(id), Liveness::Suspected);
            live.shard.inbox().liveness(NodeId::new(id), Liveness::Suspected);
        }
    }

    /// Detectors pass on what the node's shard has disowned.
    pub(crate) fn pass_on_disowned(&self, from: u64) {
        let node = &self.nodes[&from];
        let sender = Sender {
            node: NodeId::new(from),
            incarnation: incarnation(from),
            run: Run::new(node.run),
        };
        for (group, generation, term) in self.live(from).detector.take_disowned() {
            for (_, live) in self.up().filter(|(id, _)| *id != from) {
                live.shard.inbox().disowned(sender, group, generation, term);
            }
        }
    }

    pub(crate) fn run_ms(&self, ms: u64) {
        self.executor.run_for(Duration::from_millis(ms));
    }

    fn up(&self) -> impl Iterator<Item = (u64, &Live)> {
        self.nodes.iter().filter_map(|(id, node)| Some((*id, node.live.as_ref()?)))
    }

    /// Who leads the highest term, once somebody does.
    pub(crate) fn leader(&self) -> u64 {
        for _ in 0..2_000 {
            let leads = |(id, live): (u64, &Live)| {
                let status = live.group.status().core;
                (status.role == Role::Leader).then_some((status.term, id))
            };
            if let Some((_, id)) = self.up().filter_map(leads).max() {
                return id;
            }
            self.run_ms(5);
        }
        panic!("nobody leads after ten seconds");
    }

    /// The leader and the two others.
    pub(crate) fn leader_and_followers(&self) -> (u64, u64, u64) {
        let leader = self.leader();
        let mut others = self.nodes.keys().copied().filter(|id| *id != leader);
        (leader, others.next().unwrap(), others.next().unwrap())
    }

    pub(crate) fn propose(&self, id: u64, line: &str) -> Proposing<usize> {
        self.group(id).propose(line.to_owned())
    }

    /// Proposes and waits for the outcome.
    pub(crate) fn outcome(&self, id: u64, line: &str) -> Result<usize, ProposeError> {
        let clock = self.executor.clock();
        let end = clock.now().time.after(OUTCOME_WITHIN);
        let mut proposing = Box::pin(self.propose(id, line));
        let mut giving_up = pin!(clock.sleep_until(end));
        self.executor.block_on(poll_fn(|context| {
            let outcome = proposing.as_mut().poll(context);
            let is_late = giving_up.as_mut().poll(context).is_ready();
            assert!(outcome.is_ready() || !is_late, "no outcome in {OUTCOME_WITHIN:?}");
            outcome
        }))
    }

    /// What a node's machine has applied, by a linearizable read.
    pub(crate) fn applied(&self, id: u64) -> Vec<String> {
        let read = self.group(id).read(|ledger: &Ledger| ledger.lines.clone());
        self.executor.block_on(read).unwrap()
    }

    /// All nodes that are up reach one state, which is returned.
    pub(crate) fn settled(&self) -> Vec<String> {
        for _ in 0..400 {
            self.run_ms(50);
            let states: Vec<_> = self
                .up()
                .map(|(_, live)| live.group.status())
                .map(|status| (status.digest, status.core.commit_index))
                .collect();
            let first = states[0];
            let is_applied = first.0.is_some_and(|digest| digest.index == first.1);
            if is_applied && states.iter().all(|state| *state == first) {
                let id = self.up().next().unwrap().0;
                return self.applied(id);
            }
        }
        let status = |(id, live): (u64, &Live)| (id, live.group.status());
        panic!("the nodes do not converge: {:#?}", self.up().map(status).collect::<Vec<_>>());
    }

    pub(crate) fn heal(&self) {
        self.network.heal();
    }

    pub(crate) fn isolate(&self, id: u64) {
        self.network.isolate(NodeId::new(id));
    }

    pub(crate) fn applied_index(&self, id: u64) -> Index {
        self.group(id).status().applied_index
    }
}

pub(crate) fn configuration(voters: u64) -> Configuration {
    let member = |id| Member {
        node: NodeId::new(id),
        incarnation: incarnation(id),
        role: MemberRole::Voter,
        priority: PRIORITY_DEFAULT,
        address: format!("node-{id}:1"),
    };
    Configuration::new((1..=voters).map(member).collect()).unwrap()
}

pub(crate) fn incarnation(id: u64) -> Incarnation {
    Incarnation(u128::from(id) << 64 | 5)
}

/// Polls once; `None` while it is not decided.
pub(crate) fn now_or_never<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    let pinned = std::pin::Pin::new(future);
    match pinned.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
