//! What one run is: who is asked to do what, and how much of it.
//!
//! Not here: doing it (`probe.rs`, `peers.rs`).

use clap::{Args, ValueEnum};

use crate::load::Load;

/// Who is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum System {
    Raftlet,
    Null,
    RaftRs,
    Omnipaxos,
    Openraft,
}

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raftlet => "raftlet",
            Self::Null => "null core (floor)",
            Self::RaftRs => "raft 0.7.0, tuned",
            Self::Omnipaxos => "omnipaxos 0.2.4",
            Self::Openraft => "openraft 0.9.25",
        }
    }
}

/// What a run does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    /// Commits entries.
    Commit,
    /// Elects, then lets `entries` times 100 ms pass over idle groups.
    Idle,
    /// The same, with nobody vouching for anybody: groups remind each other.
    IdleUnvouched,
    /// Live bytes per member, fresh and elected.
    Memory,
    /// One client's requests without sockets or consensus; `batch` at a time.
    RespGet,
    /// The same, of writes.
    RespSet,
}

impl Kind {
    /// Whether a run's unit is what it committed or answered, and not time.
    pub(crate) fn counts_entries(self) -> bool {
        matches!(self, Self::Commit | Self::RespGet | Self::RespSet)
    }
}

/// One run.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Job {
    #[arg(value_enum)]
    pub(crate) system: System,
    #[arg(long, value_enum, default_value_t = Kind::Commit)]
    pub(crate) kind: Kind,
    #[arg(long, default_value_t = 3)]
    pub(crate) members: u64,
    #[arg(long, default_value_t = 1)]
    pub(crate) groups: u64,
    #[arg(long, default_value_t = 1)]
    pub(crate) batch: u64,
    #[arg(long, default_value_t = 1000)]
    pub(crate) entries: u64,
    #[arg(long)]
    pub(crate) wire: bool,
    /// Measure only once logs have reached what they keep.
    #[arg(long)]
    pub(crate) warm: bool,
}

impl Job {
    /// A run of three members that commits in batches.
    pub(crate) fn commit(system: System, batch: u64) -> Self {
        let entries = batch * (2000 / batch).clamp(200, 1000);
        let (kind, members, groups) = (Kind::Commit, 3, 1);
        Self { system, kind, members, groups, batch, entries, wire: false, warm: false }
    }

    pub(crate) fn load(self) -> Load {
        let Self { members, groups, batch, entries, wire, warm, .. } = self;
        Load { members, groups, batch, entries, wire, warm }
    }

    /// What makes this program do it.
    pub(crate) fn arguments(self) -> Vec<String> {
        let value = |value: &dyn ToString| value.to_string();
        let name = |possible: Option<clap::builder::PossibleValue>| {
            possible.map(|possible| possible.get_name().to_owned()).unwrap_or_default()
        };
        let mut arguments = vec!["work".to_owned(), name(self.system.to_possible_value())];
        arguments.extend(["--kind".to_owned(), name(self.kind.to_possible_value())]);
        arguments.extend(["--members".to_owned(), value(&self.members)]);
        arguments.extend(["--groups".to_owned(), value(&self.groups)]);
        arguments.extend(["--batch".to_owned(), value(&self.batch)]);
        arguments.extend(["--entries".to_owned(), value(&self.entries)]);
        if self.wire {
            arguments.push("--wire".to_owned());
        }
        if self.warm {
            arguments.push("--warm".to_owned());
        }
        arguments
    }

    pub(crate) fn times(self, factor: u64) -> Self {
        Self { entries: self.entries * factor, ..self }
    }
}
