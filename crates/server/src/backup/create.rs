//! `raftlet backup create`: asks a node for one group after the other, checks
//! what comes, and makes a file of it.
//!
//! Memory: a piece of the answer and a frame, however large the state.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::backup::calendar::compact;
use crate::backup::draft::Draft;
use crate::backup::format::{self, BackupId, GroupSummary, Kind, MAGIC, Manifest};
use crate::backup::give::Order;
use crate::backup::reading::{Broken, Piece, Reading};
use crate::backup::report::{self, MemberReport, Report};
use crate::backup::verify::EXTENSION;
use crate::cli::backup::CreateArgs;
use crate::http::{self, Answer, Download};
use crate::operator::member;
use crate::process::bar::Bar;
use crate::process::clock;
use crate::process::failure::{Exit, Failure};
use crate::process::print;
use crate::shard::members::Roster;
use crate::status::NodeStatus;
use raftlet::core::ClusterId;
use raftlet_log::random_incarnation;

/// For the questions before the first group.
const ABOUT_WITHIN: Duration = Duration::from_secs(60);

/// Runs the command.
///
/// # Errors
/// Nobody answers, a group is not given, or the file cannot be made: there is
/// none then.
pub(super) async fn run(args: &CreateArgs) -> Result<(), Failure> {
    let roster = member::fetch(&args.ask.admin, ABOUT_WITHIN).await?;
    let status = status(&args.ask.admin).await?;
    let groups = wanted(&roster, &args.group, &args.ask.admin)?;
    let backup = random_incarnation()
        .map_err(|error| Failure::caused(Exit::Runtime, "a new backup needs a number", &error))?;
    let mut making = Making {
        draft: Draft::begin(&target(args, &roster))?,
        backup: BackupId(backup.0),
        groups: Vec::new(),
        members: Vec::new(),
        wanted: groups.len(),
        done: Arc::default(),
        total: Arc::default(),
    };
    making.write(MAGIC)?;
    let bar = Bar::start(Arc::clone(&making.done), Arc::clone(&making.total));
    for group in groups {
        making.take(args, group).await?;
    }
    drop(bar);
    let file = making.draft.target().to_owned();
    let report = making.end(&roster, &status, &file)?;
    print::result(&if args.ask.json { report.json() } else { report.text() });
    Ok(())
}

async fn status(admin: &str) -> Result<NodeStatus, Failure> {
    let (_, body) = http::get(admin, "/status", ABOUT_WITHIN).await?;
    serde_json::from_str(&body).map_err(|error| {
        Failure::unreachable(format!(
            "{admin} answers, and not with a status ({error}); is this a node's --admin-addr?"
        ))
    })
}

/// The groups to take, in order.
fn wanted(roster: &Roster, asked: &[u64], admin: &str) -> Result<Vec<u64>, Failure> {
    let mut there: Vec<u64> = roster.groups.iter().map(|group| group.group).collect();
    there.sort_unstable();
    if there.is_empty() {
        let text = format!("{admin} does not serve yet; try again when its cluster has begun");
        return Err(Failure::new(Exit::Unhealthy, text));
    }
    if let Some(missing) = asked.iter().find(|group| !there.contains(group)) {
        let text = format!("there is no group {missing} at {admin}; `raftlet status` lists them");
        return Err(Failure::config(text));
    }
    there.retain(|group| asked.is_empty() || asked.contains(group));
    Ok(there)
}

/// The file to make.
fn target(args: &CreateArgs, roster: &Roster) -> PathBuf {
    if !args.out.is_dir() {
        return args.out.clone();
    }
    let safe = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
    let name: String = roster.cluster_name.chars().map(safe).collect();
    args.out.join(format!("{name}-{}.{EXTENSION}", compact(clock::wall().0)))
}

/// A backup in the making.
struct Making {
    draft: Draft,
    backup: BackupId,
    groups: Vec<GroupSummary>,
    members: Vec<Vec<MemberReport>>,
    /// How many groups there will be.
    wanted: usize,
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
}

impl Making {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.draft.write(bytes)?;
        self.done.store(self.draft.bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// Takes one group.
    async fn take(&mut self, args: &CreateArgs, group: u64) -> Result<(), Failure> {
        let order = Order { group, backup: self.backup.to_string(), stale: args.stale };
        let body = serde_json::to_string(&order).unwrap_or_default();
        let patience = args.ask.timeout();
        match http::download(&args.ask.admin, "/backup", &body, patience).await? {
            Answer::Words(words) => {
                let text = format!("{}: group {group}: {words}", args.ask.admin);
                Err(Failure::new(Exit::Unhealthy, text))
            }
            Answer::Pieces(pieces) => self.take_pieces(pieces, &args.ask.admin, group).await,
        }
    }

    async fn take_pieces(
        &mut self,
        mut pieces: Download,
        admin: &str,
        group: u64,
    ) -> Result<(), Failure> {
        let broken = |broken: Broken| {
            let text = format!("{admin}: group {group}: {broken}; take the backup again");
            Failure::new(Exit::Runtime, text)
        };
        let offset = self.draft.bytes();
        let mut reading = Reading::of_stream(self.backup);
        while let Some(bytes) = pieces.next().await? {
            reading.push(&bytes);
            while let Some((piece, frame)) = reading.next().map_err(broken)? {
                if let Piece::Group(head) = &piece {
                    self.members.push(report::members(head));
                    self.expect(head.info.bytes);
                }
                self.write(&frame)?;
            }
        }
        let taken = reading.groups().first().copied();
        reading.finish().map_err(broken)?;
        let taken = taken.filter(|taken| taken.group == group).ok_or_else(|| {
            Failure::runtime(format!("{admin} sent another group than {group}; report this"))
        })?;
        self.groups.push(GroupSummary { offset, ..taken });
        Ok(())
    }

    /// Guesses the bytes of all groups from those that are known.
    fn expect(&self, bytes: u64) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let left = count(self.wanted.saturating_sub(self.members.len()));
        let known = self.draft.bytes().saturating_add(bytes);
        let others = known / count(self.members.len()).max(1);
        self.total.store(known.saturating_add(others.saturating_mul(left)), Ordering::Relaxed);
    }

    /// Writes the manifest and gives the file its name.
    fn end(
        mut self,
        roster: &Roster,
        status: &NodeStatus,
        file: &std::path::Path,
    ) -> Result<Report, Failure> {
        let cluster = u128::from_str_radix(&roster.cluster_id, 16).unwrap_or_default();
        let manifest = Manifest {
            created_ms: clock::wall().0,
            cluster: ClusterId(cluster),
            node: status.node_id,
            groups_len: u32::try_from(roster.groups.len()).unwrap_or(u32::MAX),
            cluster_name: roster.cluster_name.clone(),
            founders: roster.founders.clone(),
            program: status.version.clone(),
            groups: std::mem::take(&mut self.groups),
        };
        let frame = format::encode(self.backup, (Kind::Manifest, 0, 0), &manifest.encode());
        self.write(&frame)?;
        let bytes = self.draft.bytes();
        self.draft.finish()?;
        Ok(Report::new(file, (self.backup, bytes), &manifest, self.members))
    }
}

#[cfg(test)]
mod tests {
    use super::wanted;
    use crate::shard::members::{GroupMembers, Roster};

    #[test]
    fn groups_are_taken_in_order_and_one_that_is_not_there_is_refused() {
        let group = |group| GroupMembers {
            group,
            leader: None,
            index: 1,
            is_committed: true,
            members: vec![],
            outgoing: vec![],
            catching_up: vec![],
        };
        let roster = Roster {
            cluster_id: String::new(),
            cluster_name: String::new(),
            founders: String::new(),
            groups: vec![group(3), group(1), group(2)],
        };
        let wanted = |asked: &[u64]| wanted(&roster, asked, "h:1");
        assert_eq!(wanted(&[]).unwrap(), [1, 2, 3]);
        assert_eq!(wanted(&[3, 1, 3]).unwrap(), [1, 3]);
        assert!(wanted(&[1, 4]).unwrap_err().message.contains("no group 4"));
    }
}
