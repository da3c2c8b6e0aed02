//! `raftlet backup restore`: the data directory of one member of a new cluster.
//!
//! All of the backup is checked first, so that a damaged one leaves nothing
//! behind. Then it is copied into the directory, checked again on the way, and
//! the directory gets an identity: an incarnation of its own, and the id of a
//! cluster that is made of the backup's number, the name and the first members.
//! So all members restored alike find each other, and nobody else.
//!
//! The order is that of `raftlet_log`'s `identity/restore.rs`: killed before its
//! end it leaves a directory that no node starts on.
//!
//! Not here: groups; the first start makes them (`founding.rs`).

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::backup::draft::Draft;
use crate::backup::format::BackupId;
use crate::backup::reading::Reading;
use crate::backup::verify::{self, Checked, READ_BYTES, damaged};
use crate::cli::backup::RestoreArgs;
use crate::config;
use crate::process::bar::Bar;
use crate::process::failure::{Exit, Failure, chain};
use crate::process::print;
use raftlet::core::{ClusterId, NodeId};
use raftlet_log::{
    Claims, DirLock, DiskMode, Home, Identity, RESTORE_NAME, RealDisk, random_incarnation,
};

/// Runs the command.
///
/// # Errors
/// The backup is damaged or not whole, the directory is not empty, or the
/// members cannot stand.
pub(super) async fn run(args: &RestoreArgs) -> Result<(), Failure> {
    let mut claims = claims(args)?;
    let from = source(&args.from)?;
    check_empty(&args.data_dir)?;
    let bytes = from.metadata().map_or(0, |about| about.len());
    let (done, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(2 * bytes)));
    let bar = Bar::start(Arc::clone(&done), total);
    let checked = verify::check(&from, &done)?;
    check_whole(&from, &checked)?;
    if args.cluster_name.is_none() {
        claims.cluster_name.clone_from(&checked.manifest.cluster_name);
    }
    claims.groups = Some(u64::from(checked.manifest.groups_len));
    let identity = make(&args.data_dir, &claims, &from, (checked.backup, &done)).await?;
    drop(bar);
    tell(args, &claims, identity, &checked);
    if identity.cluster == checked.manifest.cluster {
        return Err(Failure::runtime("the new cluster has the old one's id; report this"));
    }
    Ok(())
}

/// Who the new member says that it is.
fn claims(args: &RestoreArgs) -> Result<Claims, Failure> {
    let node = NodeId::new(args.node_id);
    let initial_members = config::parse_members(&args.initial_members)?;
    if args.node_id == 0 || initial_members.iter().all(|(listed, _)| *listed != node) {
        return Err(Failure::config(format!(
            "--initial-members does not list node {node}, which this directory is for; say the \
             same list for every member, and the --node-id of one of them"
        )));
    }
    let cluster_name = args.cluster_name.clone().unwrap_or_default();
    if args.cluster_name.is_some() {
        config::check_name(&cluster_name)?;
    }
    Ok(Claims { cluster_name, node, initial_members, groups: None })
}

/// The one backup that a path means.
fn source(from: &Path) -> Result<PathBuf, Failure> {
    let mut files = verify::files(from)?;
    match (files.pop(), files.len()) {
        (Some(only), 0) => Ok(only),
        (_, others) => Err(Failure::config(format!(
            "there are {} backups in {}; name the one to restore",
            others + 1,
            from.display()
        ))),
    }
}

fn check_whole(from: &Path, checked: &Checked) -> Result<(), Failure> {
    let (here, all) = (checked.manifest.groups.len(), checked.manifest.groups_len);
    if u32::try_from(here) == Ok(all) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Data,
        format!(
            "{} holds {here} of the cluster's {all} groups, and a cluster begins with all of its \
             groups; use a backup that was taken without --group",
            from.display()
        ),
    ))
}

/// Refuses a directory in which there is anything.
fn check_empty(dir: &Path) -> Result<(), Failure> {
    let Ok(listed) = fs::read_dir(dir) else {
        // Not there, or not readable: then it cannot be locked either.
        return Ok(());
    };
    // An empty one may have been locked before, or be the root of a file system.
    let is_nothing = |name: &str| ["LOCK", "lost+found"].contains(&name) || name.starts_with('.');
    let names = listed.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    match names.filter(|name| !is_nothing(name)).min() {
        None => Ok(()),
        Some(name) => Err(Failure::new(
            Exit::Data,
            format!(
                "{} is not empty, it holds {name}; a restore makes a data directory of its own: \
                 give one that is not there, or empty this one",
                dir.display()
            ),
        )),
    }
}

/// Makes the directory.
async fn make(
    dir: &Path,
    claims: &Claims,
    from: &Path,
    (backup, done): (BackupId, &AtomicU64),
) -> Result<Identity, Failure> {
    let refused = |error: &dyn std::error::Error| Failure::new(Exit::Data, chain(error));
    let lock = DirLock::acquire(dir).map_err(|error| refused(&error))?;
    // Somebody may have been faster before the lock was taken.
    check_empty(dir)?;
    let disk = RealDisk::open(lock, DiskMode::Probe).map_err(|error| refused(&error))?;
    copy(from, &dir.join(RESTORE_NAME), (backup, done))?;
    let made = Home::restore(disk, claims, backup.0, random_incarnation).await;
    made.map(|home| home.identity()).map_err(|error| refused(&error))
}

/// Copies a backup that was found sound, and checks what is copied.
fn copy(from: &Path, to: &Path, (backup, done): (BackupId, &AtomicU64)) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| damaged(from, &error);
    let mut file = File::open(from).map_err(unreadable)?;
    let (mut draft, mut reading) = (Draft::begin(to)?, Reading::of_file());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(unreadable)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            break;
        };
        reading.push(piece);
        while reading.next().map_err(|broken| damaged(from, &broken))?.is_some() {}
        draft.write(piece)?;
        done.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    let is_same = reading.backup() == Some(backup);
    reading.finish().map_err(|broken| damaged(from, &broken))?;
    if !is_same {
        return Err(damaged(from, &"it was replaced while it was read"));
    }
    draft.finish()
}

/// Says what was made and how to go on.
fn tell(args: &RestoreArgs, claims: &Claims, identity: Identity, checked: &Checked) {
    let Identity { cluster, node, .. } = identity;
    if args.json {
        print::result(&told(args, claims, (cluster, node), checked).to_string());
        return;
    }
    print::result(&format!(
        "{} is the data directory of node {node} of the new cluster {} ({cluster})\nwhen every \
         member has one, start each with the flags that it had, and these:\n  raftlet serve \
         --node-id {node} --data-dir {0} --cluster-name {1} --groups {} --initial-members {}",
        args.data_dir.display(),
        claims.cluster_name,
        checked.manifest.groups_len,
        args.initial_members,
    ));
}

fn told(
    args: &RestoreArgs,
    claims: &Claims,
    (cluster, node): (ClusterId, NodeId),
    checked: &Checked,
) -> serde_json::Value {
    json!({
        "data_dir": args.data_dir.display().to_string(),
        "node_id": node.get(),
        "cluster_id": cluster.to_string(),
        "cluster_name": claims.cluster_name,
        "backup_id": checked.backup.to_string(),
        "backup_cluster_id": checked.manifest.cluster.to_string(),
        "groups_len": checked.manifest.groups_len,
    })
}
