//! With a synchronous standby, what is acknowledged has reached it: also when the answer is "it is in the log already".

use loadtest::services::{PostgresPair, Replication};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    failover::setup::{commit_patiently, pair, post_patiently, read_patiently, settle},
    http::history::{begin, path, rect, seen},
    support::{Answer, App, Client, new_id, op},
};

/// A node that does nothing on its own, on a pair whose commits wait for the standby.
struct Setup {
    postgres: PostgresPair,
    app: App,
    alice: Client,
    drawing: String,
}

impl Setup {
    async fn start() -> Self {
        let (postgres, database_url) = pair(Replication::Synchronous).await;
        let app = App::start(&database_url, &["--roles", "api"]).await;
        let alice = app.client("alice").await;
        let drawing = alice.create_drawing().await;
        Self { postgres, app, alice, drawing }
    }

    /// A request whose commit the standby does not get and whose connection breaks, which is a 503; then the same again,
    /// which must not be acknowledged before the standby has it. Returns the answer that comes when it is back.
    async fn acknowledged_with_the_standby(&self, request: impl Fn() -> RequestBuilder) -> Answer {
        self.postgres.part().await.unwrap();
        let first = send(request());
        self.postgres.wait_for_waiting_commit().await.unwrap();
        // A server that tries again by itself is broken off again.
        while !first.is_finished() {
            self.postgres.break_waiting_commits().await.unwrap();
        }
        first.await.unwrap().expect(503);
        // It waits as well, or is refused, since nothing can be written.
        let mut again = send(request());
        for _ in 0..REFUSALS {
            tokio::select! {
                answer = &mut again => {
                    answer.unwrap().expect(503);
                    again = send(request());
                }
                waiting = self.postgres.wait_for_waiting_commit() => {
                    waiting.unwrap();
                    break;
                }
            }
        }
        self.postgres.rejoin().await.unwrap();
        loop {
            let answer = again.await.unwrap();
            if answer.status != 503 {
                return answer;
            }
            again = send(request());
        }
    }

    async fn fail_over(&mut self) {
        self.postgres.fail_over().await.unwrap();
        settle(&self.alice, &self.drawing).await;
    }
}

/// The number of times that a retry may be refused while there is no standby.
const REFUSALS: usize = 20;

fn send(request: RequestBuilder) -> JoinHandle<Answer> {
    tokio::spawn(async move { Client::send(request).await.expect("the server answers") })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_undo_is_not_lost() {
    let mut setup = Setup::start().await;
    let (alice, drawing) = (setup.alice.clone(), setup.drawing.clone());
    begin(&alice, &drawing, rect("a")).await;
    let op_id = new_id();
    let undo = || alice.request(Method::POST, &path(&drawing, "undo")).json(&json!({"op_id": op_id}));
    let answer = setup.acknowledged_with_the_standby(undo).await.expect(200).json();
    let result = json!([{"op_id": op_id, "revision": 2, "duplicate": true}]);
    assert_eq!(answer["results"], result);
    setup.fail_over().await;
    let again = post_patiently(&alice, &path(&drawing, "undo"), &json!({"op_id": op_id})).await.expect(200);
    assert_eq!(again.json()["results"], result);
    assert_eq!(seen(&alice, &drawing).await, Vec::<String>::new());
    assert_eq!(alice.head(&drawing).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_ops_are_not_lost() {
    let mut setup = Setup::start().await;
    let (alice, drawing) = (setup.alice.clone(), setup.drawing.clone());
    let ops = [op(1), op(2)];
    let post = || alice.request(Method::POST, &path(&drawing, "ops")).json(&json!({"ops": ops}));
    let answer = setup.acknowledged_with_the_standby(post).await.expect(200).json();
    let results: Vec<Value> = (1..=2)
        .zip(&ops)
        .map(|(revision, op)| json!({"op_id": op["op_id"], "revision": revision, "duplicate": true}))
        .collect();
    assert_eq!(answer["results"], json!(results));
    setup.fail_over().await;
    let again = commit_patiently(&alice, &drawing, &ops).await.expect(200).json();
    assert_eq!(again["results"], json!(results));
    assert_eq!(alice.head(&drawing).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_drawing_is_not_lost() {
    let mut setup = Setup::start().await;
    let (alice, id) = (setup.alice.clone(), new_id());
    let post = || alice.request(Method::POST, "/v1/drawings").json(&json!({"drawing_id": id}));
    let answer = setup.acknowledged_with_the_standby(post).await;
    assert!([200, 201].contains(&answer.status), "{answer:?}");
    setup.fail_over().await;
    let found = read_patiently(&alice, &format!("/v1/drawings/{id}")).await.expect(200).json();
    assert_eq!(found["role"], "owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_roles_are_not_lost() {
    let mut setup = Setup::start().await;
    let (alice, drawing) = (setup.alice.clone(), setup.drawing.clone());
    let (bob, carol) = (setup.app.client("bob").await, setup.app.client("carol").await);
    let member = path(&drawing, "members/bob");
    let put = || alice.request(Method::PUT, &member).json(&json!({"role": "editor"}));
    setup.acknowledged_with_the_standby(put).await.expect(200);
    let link = alice.post(&path(&drawing, "links"), &json!({"role": "viewer"})).await.expect(201).json();
    let join = format!("/v1/links/{}/join", link["token"].as_str().unwrap());
    setup.acknowledged_with_the_standby(|| carol.request(Method::POST, &join)).await.expect(200);
    setup.fail_over().await;
    for (client, role) in [(&bob, "editor"), (&carol, "viewer")] {
        let found = read_patiently(client, &format!("/v1/drawings/{drawing}")).await.expect(200).json();
        assert_eq!(found["role"], role);
    }
}
