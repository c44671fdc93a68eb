//! Presence over HTTP, on one node and across nodes.

use serde_json::{Value, json};

use crate::support::{Answer, App, Client, eventually, new_id};

fn path(drawing: &str) -> String {
    format!("/v1/drawings/{drawing}/presence")
}

/// Posts a state; to a new connection without `connection_id`.
async fn show(client: &Client, drawing: &str, connection_id: Option<&str>, state: Value) -> Answer {
    let mut body = json!({"state": state});
    if let Some(connection_id) = connection_id {
        body["connection_id"] = connection_id.into();
    }
    client.post(&path(drawing), &body).await
}

/// Posts a state to a new connection, and returns its id.
async fn join(client: &Client, drawing: &str, state: Value) -> String {
    let posted = show(client, drawing, None, state).await.expect(200).json();
    posted["connection_id"].as_str().unwrap().to_owned()
}

async fn roster(client: &Client, drawing: &str) -> Value {
    client.get(&path(drawing)).await.expect(200).json()
}

/// Waits until the `set` of the roster is this one.
async fn expect_set(client: &Client, drawing: &str, set: &Value) {
    eventually("the roster", async || {
        let roster = roster(client, drawing).await;
        assert_eq!(roster["count"], roster["set"].as_object().unwrap().len(), "{roster}");
        (roster["set"] == *set).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_posts_is_in_the_roster_at_once_with_the_last_state_until_they_leave() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let empty = alice.get(&path(&id)).await.expect(200);
    assert_eq!(empty.headers["content-type"], "application/json");
    assert_eq!(empty.headers["cache-control"], "no-store");
    assert_eq!(empty.json(), json!({"drawing_id": id, "count": 0, "set": {}}));
    let now = i64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis(),
    )
    .unwrap();
    let posted = show(&alice, &id, None, json!({"cursor": [1.5, 2]})).await.expect(200).json();
    let connection = posted["connection_id"].as_str().unwrap().to_owned();
    assert_eq!(posted["count"], 1);
    assert!((now + 30_000..now + 60_000).contains(&posted["expires_at"].as_i64().unwrap()), "{posted}");
    let set = |state: Value| json!({&connection: {"user_id": "alice", "name": null, "state": state}});
    assert_eq!(roster(&alice, &id).await["set"], set(json!({"cursor": [1.5, 2]})));
    show(&alice, &id, Some(&connection), json!({})).await.expect(200);
    assert_eq!(roster(&alice, &id).await, json!({"drawing_id": id, "count": 1, "set": set(json!({}))}));
    let left = show(&alice, &id, Some(&connection), json!(null)).await.expect(200).json();
    assert_eq!(left, json!({"connection_id": connection, "count": 0, "expires_at": null}));
    assert_eq!(roster(&alice, &id).await["set"], json!({}));
    // Leaving twice does no harm.
    show(&alice, &id, Some(&connection), json!(null)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_role_may_be_present_and_nobody_else_learns_of_it() {
    let app = App::sqlite().await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let id = alice.create_drawing().await;
    show(&bob, &id, None, json!({})).await.expect_problem(404, "not_found");
    bob.get(&path(&id)).await.expect_problem(404, "not_found");
    show(&alice, &new_id(), None, json!({})).await.expect_problem(404, "not_found");
    alice.grant(&id, "bob", "viewer").await;
    let connection = join(&bob, &id, json!({"n": 1})).await;
    assert_eq!(roster(&alice, &id).await["set"][&connection]["user_id"], "bob");
    alice.revoke(&id, "bob").await;
    show(&bob, &id, Some(&connection), json!({})).await.expect_problem(404, "not_found");
    assert_eq!(roster(&alice, &id).await["set"], json!({}), "who has no role is not here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_breaks_a_rule_changes_nothing_and_is_named() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let connection = join(&alice, &id, json!({"n": 1})).await;
    let post = async |state: &str| {
        let body = format!(r#"{{"connection_id":"{connection}","state":{state}}}"#);
        alice.post_bytes(&path(&id), body).await
    };
    let sized = |fill: usize| format!(r#"{{ "a" : "{}" }}"#, "x".repeat(fill));
    post(&sized(1_024 - 8)).await.expect(200);
    show(&alice, &id, Some(&connection), json!({"n": 1})).await.expect(200);
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(32), "]".repeat(32));
    let bad = [&sized(1_024 - 7), &deep, "1", "[]", "\"a\"", r#"{"a":1,"a":2}"#, r#"{"a":9007199254740993}"#];
    for state in bad {
        let refused = post(state).await.expect_problem(422, "invalid_field").json();
        assert_eq!(refused["errors"][0]["pointer"], "/state", "{refused}");
    }
    for body in [
        "{}",
        r#"{"connection_id":null}"#,
        r#"{"state":{},"connection_id":"1"}"#,
        r#"{"state":{},"later":1}"#,
        r#"{"state":"#,
        "[{}]",
    ] {
        alice.post_bytes(&path(&id), body).await.expect_problem(400, "invalid_request");
    }
    let refused = show(&alice, &id, None, json!(null)).await.expect_problem(422, "invalid_field").json();
    assert_eq!(refused["errors"][0]["pointer"], "/connection_id", "{refused}");
    assert_eq!(roster(&alice, &id).await["set"][&connection]["state"], json!({"n": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_belongs_to_its_user() {
    let app = App::sqlite().await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let id = alice.create_drawing().await;
    alice.grant(&id, "bob", "editor").await;
    let connection = join(&alice, &id, json!({"n": 1})).await;
    for state in [json!({"n": 2}), json!(null)] {
        let refused = show(&bob, &id, Some(&connection), state).await;
        let refused = refused.expect_problem(422, "invalid_field").json();
        assert_eq!(refused["errors"][0]["pointer"], "/connection_id", "{refused}");
    }
    let kept = json!({&connection: {"user_id": "alice", "name": null, "state": {"n": 1}}});
    assert_eq!(roster(&bob, &id).await["set"], kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_post_sixty_states_a_second() {
    let app = App::sqlite().await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let id = alice.create_drawing().await;
    alice.grant(&id, "bob", "viewer").await;
    let connection = new_id();
    let limited = eventually("a refusal", async || {
        // Together, so that they take less time than the allowance to grow again.
        let posts = (0..100).map(|n| show(&alice, &id, Some(&connection), json!({"n": n})));
        let answers = futures_util::future::join_all(posts).await;
        answers.into_iter().find(|answer| answer.status == 429)
    })
    .await;
    assert!(limited.headers.contains_key("retry-after"));
    limited.expect_problem(429, "rate_limited");
    show(&bob, &id, None, json!({})).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_writes_nothing() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let before = alice.get(&format!("/v1/drawings/{id}")).await.expect(200).json();
    join(&alice, &id, json!({"n": 1})).await;
    assert_eq!(alice.get(&format!("/v1/drawings/{id}")).await.expect(200).json(), before);
    assert_eq!(alice.head(&id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_has_the_same_roster() {
    let app = App::clustered().await;
    let other = app.second_node().await;
    let (alice, bob) = (app.client("alice").await, other.client("bob").await);
    let id = alice.create_drawing().await;
    alice.grant(&id, "bob", "viewer").await;
    let first = join(&alice, &id, json!({"n": 1})).await;
    // The second node learns on its first use who is at the first.
    let mut set = json!({&first: {"user_id": "alice", "name": null, "state": {"n": 1}}});
    expect_set(&bob, &id, &set).await;
    let second = join(&bob, &id, json!({"n": 2})).await;
    set[&second] = json!({"user_id": "bob", "name": null, "state": {"n": 2}});
    expect_set(&alice, &id, &set).await;
    // A client goes on at the other node, and ends there.
    show(&alice.at(&other.base), &id, Some(&first), json!({"n": 3})).await.expect(200);
    set[&first]["state"] = json!({"n": 3});
    expect_set(&alice, &id, &set).await;
    expect_set(&bob, &id, &set).await;
    show(&alice, &id, Some(&first), json!(null)).await.expect(200);
    set.as_object_mut().unwrap().remove(&first);
    expect_set(&alice, &id, &set).await;
    expect_set(&bob, &id, &set).await;
    // A revoked role ends presence wherever it is.
    alice.revoke(&id, "bob").await;
    expect_set(&alice, &id, &json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_takes_its_presences_along() {
    let app = App::clustered().await;
    let other = app.second_node().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let here = join(&alice, &id, json!({})).await;
    join(&alice.at(&other.base), &id, json!({})).await;
    eventually("both", async || (roster(&alice, &id).await["count"] == 2).then_some(())).await;
    drop(other);
    let mine = json!({&here: {"user_id": "alice", "name": null, "state": {}}});
    expect_set(&alice, &id, &mine).await;
}
