//! What the tests of the log share: a node's claims, small segments, batches
//! in the words of a group, and a model to compare with.

use std::collections::BTreeMap;

use raftlet::core::{
    Arena, Chunk, Configuration, Entries, EntryKind, Generation, GroupId, HardState, Incarnation,
    Index, LogId, NewEntry, NodeId, Seal, Term,
};
use raftlet::{GroupWrite, LoadedLog, Storage, StorageError, WriteBatch};
use raftlet_log::{
    Claims, Disk, Home, IdentityError, LogOptions, MemoryDisk, OpenError, RecoveryReport, ShardLog,
    block_on,
};

pub(crate) const BLOCK: usize = 4096;

pub(crate) fn claims() -> Claims {
    let member = |id: u64| (NodeId::new(id), format!("host-{id}:7000"));
    Claims {
        cluster_name: "test".to_owned(),
        node: NodeId::new(1),
        initial_members: vec![member(1), member(2), member(3)],
    }
}

/// Segments of 16 blocks, so that a few writes fill one.
pub(crate) fn small() -> LogOptions {
    let block = BLOCK as u64;
    LogOptions {
        segment_bytes_first: 16 * block,
        segment_bytes_max: 32 * block,
        prepare_bytes: 12 * block,
        throttle_bytes: 2 * block,
        reserve_bytes: block,
        ..LogOptions::default()
    }
}

/// Why a start ended.
#[derive(Debug)]
pub(crate) enum StartError {
    Identity(IdentityError),
    Open(OpenError),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Identity(error) => error.fmt(f),
            Self::Open(error) => error.fmt(f),
        }
    }
}

/// One start of the process.
pub(crate) async fn start<D: Disk>(
    disk: &D,
    options: &LogOptions,
) -> Result<(ShardLog<D>, RecoveryReport), StartError> {
    let home = Home::open(disk.clone(), &claims(), || Ok(Incarnation(0x1234_5678_9abc_def0)))
        .await
        .map_err(StartError::Identity)?;
    ShardLog::open(disk.clone(), home, options).await.map_err(StartError::Open)
}

pub(crate) fn started(disk: &MemoryDisk) -> (ShardLog<MemoryDisk>, RecoveryReport) {
    block_on(start(disk, &small())).expect("a log that opens")
}

/// What one group's log is thought to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupModel {
    pub(crate) generation: u64,
    pub(crate) term: u64,
    pub(crate) vote: u64,
    /// Term and payload of entries 1 and following.
    pub(crate) entries: Vec<(u64, Vec<u8>)>,
}

pub(crate) type Model = BTreeMap<u64, GroupModel>;

/// A change of one group, in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) group: u64,
    pub(crate) generation: u64,
    pub(crate) vote: Option<(u64, u64)>,
    pub(crate) truncate_from: Option<u64>,
    /// First index, term, payloads.
    pub(crate) entries: Option<(u64, u64, Vec<Vec<u8>>)>,
}

impl Change {
    pub(crate) fn of(group: u64) -> Self {
        Self { group, generation: 1, ..Self::default() }
    }

    pub(crate) fn vote(mut self, term: u64, node: u64) -> Self {
        self.vote = Some((term, node));
        self
    }

    pub(crate) fn truncate(mut self, from: u64) -> Self {
        self.truncate_from = Some(from);
        self
    }

    /// `count` entries of `bytes` bytes each.
    pub(crate) fn append(mut self, first: u64, term: u64, count: u64, bytes: usize) -> Self {
        let payload = |index: u64| {
            let text = format!("g{} e{index} t{term} ", self.group);
            text.into_bytes().into_iter().cycle().take(bytes).collect()
        };
        self.entries = Some((first, term, (first..first + count).map(payload).collect()));
        self
    }

    pub(crate) fn apply(&self, model: &mut Model) {
        let group = model.entry(self.group).or_default();
        if group.generation != self.generation {
            *group = GroupModel { generation: self.generation, ..GroupModel::default() };
        }
        if let Some((term, vote)) = self.vote {
            group.term = term;
            group.vote = vote;
        }
        if let Some(from) = self.truncate_from {
            group.entries.truncate(usize::try_from(from).unwrap() - 1);
        }
        if let Some((first, term, payloads)) = &self.entries {
            assert_eq!(group.entries.len() as u64 + 1, *first, "a script with a gap");
            group.entries.extend(payloads.iter().map(|payload| (*term, payload.clone())));
        }
    }

    fn write(&self) -> GroupWrite {
        let (group, generation) = (GroupId::new(self.group), Generation::new(self.generation));
        let entries = self.entries.as_ref().map_or(Entries::none(), |(first, term, payloads)| {
            let first = LogId { term: Term::new(*term), index: Index::new(*first) };
            let entries = payloads.iter().map(|payload| NewEntry {
                kind: EntryKind::Command,
                log_time_ms: 1000 + term,
                origin: None,
                payload,
            });
            let seal = Seal::new(group, generation);
            Entries::from(Chunk::encode(&mut Arena::default(), seal, first, entries))
        });
        GroupWrite {
            group,
            generation,
            hard_state: self.vote.map(|(term, vote)| HardState {
                term: Term::new(term),
                vote: (vote != 0).then(|| NodeId::new(vote)),
            }),
            truncate_from: self.truncate_from.map(Index::new),
            entries,
        }
    }
}

pub(crate) fn batch(changes: &[Change]) -> WriteBatch {
    WriteBatch { writes: changes.iter().map(Change::write).collect() }
}

pub(crate) async fn write<D: Disk>(
    log: &ShardLog<D>,
    changes: &[Change],
) -> Result<(), StorageError> {
    log.write(batch(changes)).await.1
}

pub(crate) fn apply(model: &mut Model, changes: &[Change]) {
    changes.iter().for_each(|change| change.apply(model));
}

/// All entries of a group as term and payload, read `bytes_max` at a time.
async fn entries_of<D: Disk>(
    log: &ShardLog<D>,
    group: GroupId,
    loaded: &LoadedLog,
    bytes_max: usize,
) -> Result<Vec<(u64, Vec<u8>)>, StorageError> {
    let mut found = Vec::new();
    let mut next = Index::FIRST;
    while next <= loaded.last {
        let entries = log.read(group, next, loaded.last, bytes_max).await?;
        for entry in entries.iter() {
            assert_eq!(entry.index, next);
            let run = loaded.runs.iter().rev().find(|run| run.index <= entry.index);
            assert_eq!(run.map(|run| run.term), Some(entry.term));
            found.push((entry.term.get(), entry.payload.to_vec()));
            next = next.next();
        }
    }
    Ok(found)
}

/// What the log says it holds, entries read from disk.
pub(crate) async fn held<D: Disk>(log: &ShardLog<D>) -> Result<Model, StorageError> {
    let mut model = Model::new();
    for info in log.groups().await? {
        let state = log.load_term_and_vote(info.group).await?;
        let loaded = log.load_log(info.group).await?;
        let group = GroupModel {
            generation: info.generation.get(),
            term: state.term.get(),
            vote: state.vote.map_or(0, NodeId::get),
            entries: entries_of(log, info.group, &loaded, 3000).await?,
        };
        // In one large read across spans it is the same.
        let at_once = entries_of(log, info.group, &loaded, usize::MAX).await?;
        assert!(at_once == group.entries, "large reads and small ones differ");
        let log_time = group.entries.last().map_or(0, |(term, _)| 1000 + term);
        assert_eq!(loaded.last_log_time_ms, log_time);
        model.insert(info.group.get(), group);
    }
    Ok(model)
}

/// A configuration entry of a group's first index.
pub(crate) fn configuration_write(group: u64) -> (GroupWrite, Vec<u8>) {
    let member = raftlet::core::Member {
        node: NodeId::new(1),
        incarnation: Incarnation(9),
        role: raftlet::core::MemberRole::Voter,
        address: "host-1:7000".to_owned(),
    };
    let mut payload = Vec::new();
    Configuration::new(vec![member]).unwrap().encode(&mut payload);
    let seal = Seal::new(GroupId::new(group), Generation::new(1));
    let entry = NewEntry {
        kind: EntryKind::Configuration,
        log_time_ms: 0,
        origin: None,
        payload: &payload,
    };
    let first = LogId { term: Term::BOOTSTRAP, index: Index::FIRST };
    let chunk = Chunk::encode(&mut Arena::default(), seal, first, std::iter::once(entry));
    let write = GroupWrite {
        group: GroupId::new(group),
        generation: Generation::new(1),
        hard_state: None,
        truncate_from: None,
        entries: Entries::from(chunk),
    };
    (write, payload)
}
