//! `POST /leader/transfer`: another node is to lead.
//!
//! ```text
//! {"group": 3, "to": 2}        both may be left out
//! [{"group": 3, "from": 1, "to": 2, "error": null, "leader": null, "leader_admin": null}]
//! ```
//!
//! 200 when every group meant is led by another node now, else 409: the same
//! list says which is not, why, and whom to ask where another node leads.
//!
//! Not here: the work (`handover.rs`), who asks (`lead.rs`).

use std::rc::Rc;

use crate::admin::Router;
use crate::http::{Request, Response, Status};
use crate::shard::handover::{HandsOver, Order, Outcome};

pub(super) fn routes<N: HandsOver>() -> Router<N> {
    Router::new().post(
        "/leader/transfer",
        "hands leadership over: {\"group\": G, \"to\": N}, both optional",
        async |node: Rc<N>, request: Request| match request.json() {
            Ok(order) => answer(&node.hand_over(order).await, order),
            Err(refusal) => refusal,
        },
    )
}

fn answer(outcomes: &[Outcome], order: Order) -> Response {
    if outcomes.is_empty() {
        return match order.group {
            Some(group) => Response::text(
                Status::NOT_FOUND,
                format!("there is no group {group} on this node; /status lists them"),
            ),
            None => {
                Response::text(Status::CONFLICT, "this node leads no group; /status tells who does")
            }
        };
    }
    let is_done = outcomes.iter().all(|outcome| outcome.error.is_none());
    Response::json(if is_done { Status::OK } else { Status::CONFLICT }, &outcomes)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::routes;
    use crate::http::{Method, Request};
    use crate::shard::handover::{HandsOver, Order, Outcome};

    /// Hands groups 1 and 2 over, to node 2 alone.
    struct Fake;

    impl HandsOver for Fake {
        async fn hand_over(&self, order: Order) -> Vec<Outcome> {
            let meant = (1..=2).filter(|group| order.group.is_none_or(|it| it == *group));
            let is_done = order.to.is_none_or(|to| to == 2);
            let outcome = |group| Outcome {
                group,
                from: 1,
                to: is_done.then_some(2),
                error: (!is_done).then(|| "no voter".to_owned()),
                leader: None,
                leader_admin: None,
            };
            meant.map(outcome).collect()
        }
    }

    async fn answer(body: &str) -> (u16, String) {
        let request = Request::new(Method::Post, "/leader/transfer", body);
        let response = routes().answer(&Rc::new(Fake), request).await;
        (response.status.0, response.body_text())
    }

    #[tokio::test]
    async fn the_answer_tells_of_each_group_meant_and_whether_all_went_well() {
        let (status, text) = answer("{}").await;
        let outcomes: Vec<Outcome> = serde_json::from_str(&text).unwrap();
        assert_eq!((status, outcomes.len()), (200, 2), "{text}");
        assert_eq!(answer("{\"group\":2,\"to\":2}").await.0, 200);
        let (status, text) = answer("{\"to\":3}").await;
        assert!(status == 409 && text.contains("no voter"), "{text}");
        assert_eq!(answer("{\"group\":9}").await.0, 404);
        assert_eq!(answer("{\"node\":9}").await.0, 400, "a word that is not known");
    }
}
