//! The `log` commands: what stands in a data directory whose node is stopped.
//!
//! Read only: the directory is opened by `raftlet_log::inspect`, which cannot
//! write. Code 4 says that something that counts is damaged, foreign or in use;
//! findings that the next start repairs by itself are shown and end with 0.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::{Value, json};

use crate::cli::log::{DumpArgs, LogArgs, LogCommand};
use crate::process::bar::Bar;
use crate::process::failure::{Exit, Failure, chain};
use crate::process::print;
use raftlet_log::inspect::{
    Depth, DumpLine, InspectError, ReadOnlyDir, Severity, Survey, dump, inspect, inspect_refused,
};
use raftlet_log::{LogOptions, block_on};

/// Does what was asked.
pub(crate) fn run(command: &LogCommand) -> Result<(), Failure> {
    match command {
        LogCommand::Verify(args) => verify(args),
        LogCommand::Dump(args) => show(args),
        LogCommand::Stat(args) => stat(args),
    }
}

fn open(args: &LogArgs) -> Result<ReadOnlyDir, Failure> {
    ReadOnlyDir::open(&args.dir).map_err(|error| refused(&error))
}

fn refused(error: &InspectError) -> Failure {
    Failure::new(Exit::Data, chain(error))
}

fn verify(args: &LogArgs) -> Result<(), Failure> {
    let dir = open(args)?;
    let total = dir.bytes().unwrap_or(0);
    let bar = Bar::start(dir.bytes_read(), Arc::new(AtomicU64::new(total)));
    let surveyed = block_on(inspect(&dir, &LogOptions::default(), Depth::All));
    drop(bar);
    let surveyed = surveyed.map_err(|error| refused(&error));
    let survey = match surveyed {
        Ok(survey) => survey,
        Err(failure) => {
            tell_beyond(&dir, args, &failure);
            return Err(failure);
        }
    };
    if args.json {
        print::result(&verdict(&survey).to_string());
    } else {
        for finding in &survey.findings {
            print::result(&format!("{}: {}", word(finding.severity), finding.text));
        }
        print::result(&summary(&survey));
    }
    if survey.is_damaged() {
        let place = args.dir.display();
        let message = format!("{place} is damaged; what a leader can send again is named above");
        return Err(Failure::new(Exit::Data, message));
    }
    Ok(())
}

/// What is wrong beside that for which a start would be refused.
fn tell_beyond(dir: &ReadOnlyDir, args: &LogArgs, refusal: &Failure) {
    let found = block_on(inspect_refused(dir, &LogOptions::default())).unwrap_or_default();
    if args.json {
        let refusal = json!({"severity": "damage", "text": refusal.to_string()});
        let found = found.iter();
        let found = found.map(|it| json!({"severity": word(it.severity), "text": it.text}));
        let findings: Vec<Value> = std::iter::once(refusal).chain(found).collect();
        print::result(&json!({"sound": false, "findings": findings}).to_string());
        return;
    }
    for finding in &found {
        print::result(&format!("{}: {}", word(finding.severity), finding.text));
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "notice",
        Severity::Damage => "damage",
    }
}

fn summary(survey: &Survey) -> String {
    let report = &survey.report;
    let verdict = if survey.is_damaged() { "damaged" } else { "sound" };
    format!(
        "{verdict}: {} segments, {} frames, {} groups, {} snapshots; the log ended {}",
        report.segments,
        report.frames,
        report.groups,
        survey.snapshots.len(),
        format!("{:?}", report.tail).to_lowercase()
    )
}

fn verdict(survey: &Survey) -> Value {
    let findings = survey.findings.iter();
    let findings: Vec<Value> = findings
        .map(|finding| json!({"severity": word(finding.severity), "text": finding.text}))
        .collect();
    json!({
        "sound": !survey.is_damaged(),
        "segments": survey.report.segments,
        "frames": survey.report.frames,
        "groups": survey.report.groups,
        "snapshots": survey.snapshots.len(),
        "bytes_read": survey.report.bytes_read,
        "tail": format!("{:?}", survey.report.tail).to_lowercase(),
        "findings": findings,
    })
}

fn stat(args: &LogArgs) -> Result<(), Failure> {
    let dir = open(args)?;
    let survey = block_on(inspect(&dir, &LogOptions::default(), Depth::Log));
    let survey = survey.map_err(|error| refused(&error))?;
    if args.json {
        print::result(&holdings(&survey).to_string());
        return Ok(());
    }
    let identity = &survey.identity;
    print::result(&format!(
        "node {} of cluster {}, directory {}, start {}",
        identity.node, identity.cluster, identity.incarnation, identity.run
    ));
    for segment in &survey.segments {
        print::result(&format!("{}  {} bytes", segment.file, segment.bytes));
    }
    for group in &survey.groups {
        let vote = group.hard_state.vote.map_or("nobody".to_owned(), |node| node.to_string());
        let snapshot = group.snapshot.map_or("none".to_owned(), |last| last.to_string());
        print::result(&format!(
            "group {}  term {}, vote {vote}, entries {} to {}, {} bytes, snapshot {snapshot}",
            group.group,
            group.hard_state.term,
            group.base.index.next(),
            group.last,
            group.bytes
        ));
    }
    print::result(&summary(&survey));
    Ok(())
}

fn holdings(survey: &Survey) -> Value {
    let identity = &survey.identity;
    let segments = survey.segments.iter();
    let segments: Vec<Value> =
        segments.map(|it| json!({"file": it.file, "bytes": it.bytes})).collect();
    let groups = survey.groups.iter();
    let groups: Vec<Value> = groups
        .map(|group| {
            json!({
                "group": group.group.get(),
                "generation": group.generation.get(),
                "term": group.hard_state.term.get(),
                "vote": group.hard_state.vote.map(raftlet::core::NodeId::get),
                "base": group.base.index.get(),
                "last": group.last.get(),
                "bytes": group.bytes,
                "snapshot": group.snapshot.map(|last| last.index.get()),
            })
        })
        .collect();
    let snapshots = survey.snapshots.iter();
    let snapshots: Vec<Value> = snapshots
        .map(|snapshot| {
            json!({
                "group": snapshot.group.get(),
                "last": snapshot.last.index.get(),
                "bytes": snapshot.info.map(|info| info.bytes),
                "chunks": snapshot.info.map(|info| info.chunks),
            })
        })
        .collect();
    json!({
        "node": identity.node.get(),
        "cluster": identity.cluster.to_string(),
        "incarnation": identity.incarnation.to_string(),
        "run": identity.run.get(),
        "segments": segments,
        "groups": groups,
        "snapshots": snapshots,
    })
}

fn show(args: &DumpArgs) -> Result<(), Failure> {
    let dir = open(&args.log)?;
    let dumped = block_on(dump(&dir, &LogOptions::default(), |line| {
        let is_wanted = |wanted: u64| line.group.is_some_and(|group| group.get() == wanted);
        if args.group.is_none_or(is_wanted) {
            print::result(&if args.log.json { object(&line) } else { text(&line) });
        }
        true
    }));
    dumped.map_err(|error| refused(&error))
}

fn text(line: &DumpLine) -> String {
    let whose = line.group.map_or(String::new(), |group| format!("group {group} "));
    format!("{} {:>9} frame {}: {whose}{}", line.file, line.offset, line.frame, line.text)
}

fn object(line: &DumpLine) -> String {
    json!({
        "file": line.file,
        "offset": line.offset,
        "frame": line.frame,
        "group": line.group.map(raftlet::core::GroupId::get),
        "text": line.text,
    })
    .to_string()
}
