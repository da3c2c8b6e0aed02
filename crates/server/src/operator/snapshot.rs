//! `raftlet snapshot`: asks a node to write groups down now.
//!
//! Not here: who answers (`admin/snapshot.rs`).

use crate::cli::ask::GroupsAskArgs;
use crate::cli::snapshot::TakeSnapshotArgs;
use crate::http;
use crate::process::failure::{Exit, Failure};
use crate::process::print;
use crate::shard::snapshots::{Order, Outcome};

/// Runs `raftlet snapshot`.
///
/// # Errors
/// Nobody answers; or a group has no newer snapshot.
pub(crate) async fn ask(args: &TakeSnapshotArgs) -> Result<(), Failure> {
    let GroupsAskArgs { group, node } = &args.ask;
    let body = serde_json::to_string(&Order { group: *group }).unwrap_or_default();
    let (_, text) = http::post(&node.admin, "/snapshot", &body, node.timeout()).await?;
    // Whatever is no list says in words why nothing was done.
    let outcomes: Vec<Outcome> = serde_json::from_str(&text)
        .map_err(|_| Failure::new(Exit::Unhealthy, format!("{}: {}", node.admin, text.trim())))?;
    if node.json {
        print::result(text.trim());
    } else {
        print::result(&table(&outcomes));
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    if failed > 0 {
        let text = format!("{failed} of {} groups were not written down", outcomes.len());
        return Err(Failure::new(Exit::Unhealthy, text));
    }
    Ok(())
}

fn table(outcomes: &[Outcome]) -> String {
    let line = |outcome: &Outcome| match (outcome.index, &outcome.error) {
        (Some(index), _) => format!("group {}: snapshot up to {index}", outcome.group),
        (None, error) => {
            let why = error.as_deref().unwrap_or("it did not say why");
            format!("group {}: {why}", outcome.group)
        }
    };
    outcomes.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Outcome, table};

    #[test]
    fn an_operator_reads_a_line_for_each_group() {
        let taken = Outcome { group: 1, index: Some(40), error: None };
        let failed = Outcome { group: 2, index: None, error: Some("the disk is full".to_owned()) };
        let text = table(&[taken, failed]);
        assert_eq!(text, "group 1: snapshot up to 40\ngroup 2: the disk is full");
    }
}
