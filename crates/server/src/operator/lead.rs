//! `raftlet leader transfer`: asks a node to hand leadership over, and where it
//! does not lead, the node that does.
//!
//! Not here: who answers (`admin/leader.rs`).

use crate::cli::leader::TransferArgs;
use crate::http;
use crate::process::failure::{Exit, Failure};
use crate::process::print;
use crate::shard::handover::{Order, Outcome};

/// Runs the command.
///
/// # Errors
/// Nobody answers; or a group is not led by another node now.
pub(crate) async fn transfer(args: &TransferArgs) -> Result<(), Failure> {
    let order = Order { group: args.ask.group, to: args.to };
    let mut outcomes = ask(&args.ask.node.admin, order, args).await?;
    for outcome in &mut outcomes {
        // Asked once more, not for ever: leadership may move again meanwhile.
        if let Some(admin) = outcome.leader_admin.take() {
            let order = Order { group: Some(outcome.group), to: args.to };
            if let Some(again) = ask(&admin, order, args).await?.pop() {
                *outcome = again;
            }
        }
    }
    if args.ask.node.json {
        let text = serde_json::to_string(&outcomes).unwrap_or_default();
        print::result(&text);
    } else {
        print::result(&table(&outcomes));
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    if failed > 0 {
        let text = format!("{failed} of {} groups did not change their leader", outcomes.len());
        return Err(Failure::new(Exit::Unhealthy, text));
    }
    Ok(())
}

async fn ask(admin: &str, order: Order, args: &TransferArgs) -> Result<Vec<Outcome>, Failure> {
    let timeout = args.ask.node.timeout();
    let body = serde_json::to_string(&order).unwrap_or_default();
    let (_, text) = http::post(admin, "/leader/transfer", &body, timeout).await?;
    // Whatever is no list says in words why nothing was done.
    serde_json::from_str(&text)
        .map_err(|_| Failure::new(Exit::Unhealthy, format!("{admin}: {}", text.trim())))
}

fn table(outcomes: &[Outcome]) -> String {
    let line = |outcome: &Outcome| match (outcome.to, &outcome.error) {
        (Some(to), _) if to == outcome.from => {
            format!("group {}: node {to} leads already", outcome.group)
        }
        (Some(to), _) => format!("group {}: node {to} leads, not {}", outcome.group, outcome.from),
        (None, error) => {
            let why = error.as_deref().unwrap_or("it did not say why");
            format!("group {}: node {}: {why}", outcome.group, outcome.from)
        }
    };
    outcomes.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::shard::handover::Outcome;

    #[test]
    fn an_operator_reads_a_line_for_each_group() {
        let moved = Outcome {
            group: 1,
            from: 1,
            to: Some(2),
            error: None,
            leader: None,
            leader_admin: None,
        };
        let stayed = Outcome {
            group: 2,
            to: None,
            error: Some("nobody took over in time".to_owned()),
            ..moved.clone()
        };
        let already = Outcome { group: 3, from: 2, ..moved.clone() };
        let text = table(&[moved, stayed, already]);
        assert_eq!(
            text,
            "group 1: node 2 leads, not 1\ngroup 2: node 1: nobody took over in time\ngroup 3: node 2 leads already"
        );
    }
}
