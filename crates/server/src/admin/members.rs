//! `GET /members`, `POST /members`: who belongs to the cluster.
//!
//! ```text
//! {"op": "add", "node": 4, "address": "h:1", "incarnation": "…"}
//! {"op": "promote", "node": 4}           demote, remove, cancel; "group": G
//! {"op": "update", "node": 4, "address": "h:2", "priority": 200}   either or both
//! [{"group": 1, "index": 17, "error": null}]
//! ```
//!
//! 200 when every group meant has it so and that is committed, else 409: the
//! same list says where it is not, and why. The answer may take as long as a
//! member needs to catch up; who does not wait for it changes nothing.
//!
//! Not here: the work (`members.rs`), who asks (`member.rs`, `roster.rs`).

use std::rc::Rc;

use crate::admin::Router;
use crate::http::{Request, Response, Status};
use crate::shard::members::{HasMembers, Order};

pub(super) fn routes<N: HasMembers>() -> Router<N> {
    Router::new()
        .get("/members", "the members of every group", async |node: Rc<N>, _| {
            Response::json(Status::OK, &node.roster())
        })
        .post(
            "/members",
            "changes members: {\"op\": \"promote\", \"node\": N}",
            async |node: Rc<N>, request: Request| match request.json::<Order>() {
                Ok(order) => answer(node.change(order).await),
                Err(refusal) => refusal,
            },
        )
}

fn answer(changed: Result<Vec<crate::shard::members::Outcome>, String>) -> Response {
    match changed {
        Err(why) => Response::text(Status::BAD_REQUEST, why),
        Ok(outcomes) => {
            let is_done = outcomes.iter().all(|outcome| outcome.error.is_none());
            Response::json(if is_done { Status::OK } else { Status::CONFLICT }, &outcomes)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::routes;
    use crate::http::{Method, Request};
    use crate::shard::members::{HasMembers, Op, Order, Outcome, Roster};

    /// Promotes node 4 and nobody else.
    struct Fake;

    impl HasMembers for Fake {
        fn roster(&self) -> Roster {
            Roster {
                cluster_id: "c".to_owned(),
                cluster_name: "raftlet".to_owned(),
                founders: "1=h:1".to_owned(),
                groups: Vec::new(),
            }
        }

        async fn change(&self, order: Order) -> Result<Vec<Outcome>, String> {
            if order.op != Op::Promote {
                return Err("it cannot".to_owned());
            }
            let is_done = order.node == 4;
            let error = (!is_done).then(|| "no member".to_owned());
            Ok(vec![Outcome { group: 1, index: is_done.then_some(9), error }])
        }
    }

    async fn answer(method: Method, body: &str) -> (u16, String) {
        let request = Request::new(method, "/members", body);
        let response = routes().answer(&Rc::new(Fake), request).await;
        (response.status.0, response.body_text())
    }

    #[tokio::test]
    async fn the_answer_tells_whether_all_groups_have_it_so() {
        let (status, text) = answer(Method::Get, "").await;
        assert!(status == 200 && text.contains("\"founders\":\"1=h:1\""), "{text}");
        assert_eq!(answer(Method::Post, "{\"op\":\"promote\",\"node\":4}").await.0, 200);
        let (status, text) = answer(Method::Post, "{\"op\":\"promote\",\"node\":5}").await;
        assert!(status == 409 && text.contains("no member"), "{text}");
        assert_eq!(answer(Method::Post, "{\"op\":\"demote\",\"node\":4}").await.0, 400);
        assert_eq!(answer(Method::Post, "{\"op\":\"destroy\"}").await.0, 400);
    }
}
