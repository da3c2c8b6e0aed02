//! `POST /snapshot`: groups are to be written down now.
//!
//! ```text
//! {"group": 3}                 may be left out: all
//! [{"group": 3, "index": 4711, "error": null}]
//! ```
//!
//! 200 when every group meant is written down, else 409 with the same list;
//! answered when the files are durable.
//!
//! Not here: the work and who asks (`snapshots.rs`).

use std::rc::Rc;

use crate::admin::Router;
use crate::http::{Request, Response, Status};
use crate::shard::snapshots::{Order, Outcome, TakesSnapshots};

pub(super) fn routes<N: TakesSnapshots>() -> Router<N> {
    Router::new().post(
        "/snapshot",
        "writes groups down and lets their logs go: {\"group\": G}, optional",
        async |node: Rc<N>, request: Request| match request.json() {
            Ok(order) => answer(&node.take_snapshots(order).await, order),
            Err(refusal) => refusal,
        },
    )
}

fn answer(outcomes: &[Outcome], order: Order) -> Response {
    if outcomes.is_empty() {
        let what =
            order.group.map_or("no groups yet".to_owned(), |group| format!("no group {group}"));
        return Response::text(Status::NOT_FOUND, format!("there is {what}; /status lists them"));
    }
    let is_done = outcomes.iter().all(|outcome| outcome.error.is_none());
    Response::json(if is_done { Status::OK } else { Status::CONFLICT }, &outcomes)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::routes;
    use crate::http::{Method, Request};
    use crate::shard::snapshots::{Order, Outcome, TakesSnapshots};

    /// Has group 1, which can be written down, and group 2, which cannot.
    struct Fake;

    impl TakesSnapshots for Fake {
        async fn take_snapshots(&self, order: Order) -> Vec<Outcome> {
            let meant = (1..=2).filter(|group| order.group.is_none_or(|it| it == *group));
            let outcome = |group| Outcome {
                group,
                index: (group == 1).then_some(40),
                error: (group == 2).then(|| "the disk is full".to_owned()),
            };
            meant.map(outcome).collect()
        }
    }

    async fn answer(body: &str) -> (u16, String) {
        let request = Request::new(Method::Post, "/snapshot", body);
        let response = routes().answer(&Rc::new(Fake), request).await;
        (response.status.0, response.body_text())
    }

    #[tokio::test]
    async fn the_answer_tells_of_each_group_meant_and_whether_all_went_well() {
        assert_eq!(answer("{\"group\":1}").await.0, 200);
        let (status, text) = answer("{}").await;
        assert!(status == 409 && text.contains("the disk is full"), "{text}");
        assert_eq!(answer("{\"group\":9}").await.0, 404);
        assert_eq!(answer("{\"node\":9}").await.0, 400, "a word that is not known");
    }
}
