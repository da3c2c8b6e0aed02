//! What the tests of the log share: a node's claims, small segments, batches
//! in the words of a group, and a model to compare with.

use std::collections::BTreeMap;

use raftlet::core::{
    Arena, Chunk, Configuration, Entries, EntryKind, Generation, GroupId, HardState, Incarnation,
    Index, LogId, NewEntry, NodeId, Seal, Term,
};
use raftlet::{
    Compaction, GroupInfo, GroupWrite, LoadedLog, SnapshotInfo, SnapshotMeta, SnapshotReader,
    SnapshotWriter, Storage, StorageError, WriteBatch,
};
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
        groups: None,
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
        reserve_file_bytes: 0,
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
    /// Index and term of the entry before the first.
    pub(crate) base: (u64, u64),
    /// Term and payload of the entries behind the base.
    pub(crate) entries: Vec<(u64, Vec<u8>)>,
    /// Index and term of the snapshot in use.
    pub(crate) snapshot: Option<(u64, u64)>,
}

impl GroupModel {
    pub(crate) fn last(&self) -> u64 {
        self.base.0 + self.entries.len() as u64
    }
}

pub(crate) type Model = BTreeMap<u64, GroupModel>;

/// A change of one group, in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) group: u64,
    pub(crate) generation: u64,
    pub(crate) vote: Option<(u64, u64)>,
    pub(crate) truncate_from: Option<u64>,
    /// Index and term of the base.
    pub(crate) compact: Option<(u64, u64)>,
    /// Index and term of the snapshot that comes into use with it.
    pub(crate) snapshot: Option<(u64, u64)>,
    /// First index, term, payloads.
    pub(crate) entries: Option<(u64, u64, Vec<Vec<u8>>)>,
    /// They are no commands: each opens a term.
    pub(crate) are_noops: bool,
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

    pub(crate) fn compact(mut self, index: u64, term: u64) -> Self {
        self.compact = Some((index, term));
        self
    }

    /// A snapshot of this log id comes into use with the compaction.
    pub(crate) fn snapshot(mut self, index: u64, term: u64) -> Self {
        self.snapshot = Some((index, term));
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
            group.entries.truncate(usize::try_from(from - group.base.0).unwrap() - 1);
        }
        if let Some(base) = self.compact.filter(|base| base.0 > group.base.0) {
            let gone = group.entries.len().min(usize::try_from(base.0 - group.base.0).unwrap());
            group.entries.drain(..gone);
            group.base = base;
        }
        group.snapshot = self.snapshot.or(group.snapshot);
        if let Some((first, term, payloads)) = &self.entries {
            assert_eq!(group.last() + 1, *first, "a script with a gap");
            group.entries.extend(payloads.iter().map(|payload| (*term, payload.clone())));
        }
    }

    fn write(&self) -> GroupWrite {
        let (group, generation) = (GroupId::new(self.group), Generation::new(self.generation));
        let entries = self.entries.as_ref().map_or(Entries::none(), |(first, term, payloads)| {
            let first = LogId { term: Term::new(*term), index: Index::new(*first) };
            let entries = payloads.iter().map(|payload| NewEntry {
                kind: if self.are_noops { EntryKind::Noop } else { EntryKind::Command },
                log_time_ms: 1000 + term,
                origin: None,
                payload,
            });
            let seal = Seal::new(group, generation);
            Entries::from(Chunk::encode(&mut Arena::default(), seal, first, entries))
        });
        GroupWrite {
            hard_state: self.vote.map(|(term, vote)| HardState {
                term: Term::new(term),
                vote: (vote != 0).then(|| NodeId::new(vote)),
            }),
            truncate_from: self.truncate_from.map(Index::new),
            compact: self
                .compact
                .map(|base| Compaction { base: log_id(base), snapshot: self.snapshot.map(log_id) }),
            entries,
            ..GroupWrite::new(group, generation)
        }
    }
}

pub(crate) fn batch(changes: &[Change]) -> WriteBatch {
    WriteBatch { writes: changes.iter().map(Change::write).collect() }
}

pub(crate) fn log_id((index, term): (u64, u64)) -> LogId {
    LogId { term: Term::new(term), index: Index::new(index) }
}

/// Writes changes; the snapshots that they bring into use are made before.
pub(crate) async fn write<D: Disk>(
    log: &ShardLog<D>,
    changes: &[Change],
) -> Result<(), StorageError> {
    for change in changes {
        if let Some(last) = change.snapshot {
            make_snapshot(log, (change.group, change.generation), last).await?;
        }
    }
    log.write(batch(changes)).await.1
}

/// Chunks of a snapshot as the tests make them, of different lengths.
pub(crate) fn snapshot_chunks(group: u64, last: (u64, u64)) -> Vec<Vec<u8>> {
    let text = format!("group {group} at {last:?} ");
    let chunk = |len: usize| text.bytes().cycle().take(len).collect();
    [0, 100, BLOCK - 32, 5000].into_iter().map(chunk).collect()
}

pub(crate) fn snapshot_meta(group: u64, last: (u64, u64)) -> SnapshotMeta {
    SnapshotMeta {
        last: log_id(last),
        configuration_index: Index::new(1),
        configuration: format!("members of {group}").into_bytes().into(),
        log_time_ms: 1000 + last.1,
        library: vec![7; usize::try_from(group).unwrap() * 100].into(),
    }
}

pub(crate) async fn make_snapshot<D: Disk>(
    log: &ShardLog<D>,
    (group, generation): (u64, u64),
    last: (u64, u64),
) -> Result<SnapshotInfo, StorageError> {
    let of = GroupInfo { group: GroupId::new(group), generation: Generation::new(generation) };
    let mut writer = log.create_snapshot(of, &snapshot_meta(group, last)).await?;
    for chunk in snapshot_chunks(group, last) {
        writer.write(chunk.into()).await?;
    }
    writer.finish().await
}

/// Reads all of the group's snapshot; checks that it is what was written.
pub(crate) async fn held_snapshot<D: Disk>(
    log: &ShardLog<D>,
    group: GroupId,
) -> Result<Option<(u64, u64)>, StorageError> {
    let Some(reader) = log.open_snapshot(group).await? else {
        assert_eq!(log.load_snapshot(group).await?, None);
        return Ok(None);
    };
    // As a restore does.
    reader.read_ahead();
    let last = (reader.meta().last.index.get(), reader.meta().last.term.get());
    let wanted = snapshot_chunks(group.get(), last);
    assert_eq!(*reader.meta(), snapshot_meta(group.get(), last));
    assert_eq!(usize::try_from(reader.info().chunks).unwrap(), wanted.len());
    for (number, wanted) in (0..).zip(&wanted) {
        assert_eq!(reader.read_chunk(number).await?, wanted);
    }
    Ok(Some(last))
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
    let mut next = loaded.base.index.next();
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
            base: (loaded.base.index.get(), loaded.base.term.get()),
            snapshot: held_snapshot(log, info.group).await?,
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

/// What a start made of a spoilt log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// All that was acknowledged is there, and nothing else.
    Whole,
    /// So it is, and damage was told that hit nothing that counts.
    Told,
    /// Groups are named as harmed; all else is there.
    Harmed,
    Refused,
}

/// Compares a log that was opened with what was acknowledged: each group is as
/// it was or is named, and a named one holds nothing wrong.
pub(crate) async fn verdict_of<D: Disk>(
    log: &ShardLog<D>,
    report: &RecoveryReport,
    model: &Model,
    what: &str,
) -> Verdict {
    for info in log.groups().await.unwrap() {
        assert!(model.contains_key(&info.group.get()), "{what}: group {} is news", info.group);
    }
    for (group, wanted) in model {
        let id = GroupId::new(*group);
        let harm = report.harmed.iter().find(|harmed| harmed.group == id);
        let state = log.load_term_and_vote(id).await;
        let is_named = harm.is_some_and(|harm| harm.is_lost) || report.has_unknown_losses;
        match state {
            Ok(state) => {
                let found = (state.term.get(), state.vote.map_or(0, NodeId::get));
                assert_eq!(found, (wanted.term, wanted.vote), "{what}: group {group}");
            }
            Err(StorageError::Damaged { .. }) if is_named => continue,
            Err(error) => panic!("{what}: {error}"),
        }
        let loaded = log.load_log(id).await.unwrap();
        let mut found = entries_of(log, id, &loaded, 3000).await.unwrap();
        let mut base = (loaded.base.index.get(), loaded.base.term.get());
        if base.0 < wanted.base.0 && harm.is_some_and(|harm| harm.entries.is_some()) {
            // The frame that told of the compaction is lost, too: what it took away
            // may be there again, and counts for as little as what is missing.
            let stale = usize::try_from(wanted.base.0 - base.0).unwrap();
            base.0 += u64::try_from(found.drain(..stale.min(found.len())).len()).unwrap();
        }
        let gone = usize::try_from(base.0.saturating_sub(wanted.base.0)).unwrap();
        let known = wanted.entries.get(gone..).unwrap_or_default();
        match harm.and_then(|harm| harm.entries) {
            None if gone > 0 => {
                // Its snapshot stands in for what is lost.
                assert_eq!(Some(base), wanted.snapshot, "{what}: group {group}");
                assert_eq!(found, known, "{what}: group {group}");
            }
            None => assert_eq!((base, &found[..]), (wanted.base, known), "{what}: group {group}"),
            Some((first, last)) => {
                assert!(last.get() >= wanted.last(), "{what}: group {group} up to {last}");
                assert!(first.get() > base.0 && found.len() as u64 == first.get() - 1 - base.0);
                assert_eq!(&known[..found.len()], &found[..], "{what}: group {group}");
                assert!(loaded.damage.is_some(), "{what}: group {group}");
            }
        }
        match held_snapshot(log, id).await {
            Ok(found) => assert_eq!(found, wanted.snapshot, "{what}: group {group}"),
            Err(error) => assert!(matches!(error, StorageError::Damaged { .. }), "{what}: {error}"),
        }
    }
    if !report.harmed.is_empty() || report.has_unknown_losses {
        assert!(!report.damage.is_empty(), "{what}: harm without damage");
        return Verdict::Harmed;
    }
    if report.damage.is_empty() { Verdict::Whole } else { Verdict::Told }
}

/// The segments.
pub(crate) fn logs(disk: &MemoryDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.starts_with("log-")).collect()
}

/// Spoils the block that holds this text, in whichever segment.
pub(crate) fn rot(disk: &MemoryDisk, text: &str) {
    for name in logs(disk) {
        let bytes = disk.bytes(&name).unwrap();
        if let Some(at) = bytes.windows(text.len()).position(|it| it == text.as_bytes()) {
            disk.edit(&name, |bytes| bytes[at] ^= 1).unwrap();
            return;
        }
    }
    panic!("{text} stands nowhere");
}

/// A configuration entry of a group's first index.
pub(crate) fn configuration_write(group: u64) -> (GroupWrite, Vec<u8>) {
    let member = raftlet::core::Member {
        node: NodeId::new(1),
        incarnation: Incarnation(9),
        role: raftlet::core::MemberRole::Voter,
        priority: raftlet::core::PRIORITY_DEFAULT,
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
        entries: Entries::from(chunk),
        ..GroupWrite::new(GroupId::new(group), Generation::new(1))
    };
    (write, payload)
}
