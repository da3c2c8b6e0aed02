//! `raftlet status`: fetches a node's status and shows it.
//!
//! Not here: what it says (`status.rs`), who answers (`admin.rs`).

use crate::cli::status::StatusArgs;
use crate::http;
use crate::process::failure::{Exit, Failure};
use crate::process::print;
use crate::status::NodeStatus;

/// Runs the command.
///
/// # Errors
/// Nobody answers; or, with `--check`, a group has no leader.
pub(crate) async fn status(args: &StatusArgs) -> Result<(), Failure> {
    let ask = &args.ask;
    let (_, body) = http::get(&ask.admin, "/status", ask.timeout()).await?;
    let node: NodeStatus = serde_json::from_str(&body).map_err(|error| {
        Failure::unreachable(format!(
            "{} answers, and not with a status ({error}); is this a node's --admin-addr?",
            ask.admin
        ))
    })?;
    if ask.json {
        // As the node said it: a newer node's fields are passed on.
        print::result(&body);
    } else {
        print::result(&node.table());
    }
    if args.check && !node.is_ready() {
        return Err(Failure::new(
            Exit::Unhealthy,
            match &node.waiting {
                Some(waiting) => format!("node {} is not ready: {waiting}", node.node_id),
                None => format!("node {} is not ready: {}", node.node_id, reasons(&node)),
            },
        ));
    }
    Ok(())
}

/// What keeps a node from being ready.
fn reasons(node: &NodeStatus) -> String {
    let failed: Vec<String> = node.readiness().into_iter().filter_map(|(_, why)| why).collect();
    failed.join("; ")
}
