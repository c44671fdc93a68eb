//! Event streams: the same rooms and the same messages as on a socket.

use serde_json::{Value, json};

use crate::support::{App, Client, events::Events, new_id, op, revisions, within};

/// A server, an owner, and a drawing of hers with so many ops.
async fn setup(count: u64) -> (App, Client, String) {
    let app = App::sqlite_with(&["--heartbeat", "200ms"]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, count).await;
    (app, alice, drawing)
}

async fn ticket(client: &Client) -> String {
    let ticket = client.post("/v1/tickets", &Value::Null).await.expect(200).json();
    ticket["ticket"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_its_place_and_bears_a_position_with_every_event() {
    let (_app, alice, drawing) = setup(3).await;
    let mut events = Events::open(&alice, &drawing, "", &[]).await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    assert_eq!(events.header("cache-control"), "no-store, no-transform");
    assert_eq!(events.header("x-accel-buffering"), "no");
    assert_eq!(events.header("content-encoding"), "", "a compressor would hold events back");
    let first = events.next().await.unwrap();
    let epoch = first.data["epoch"].as_str().unwrap().to_owned();
    let expected = json!({
        "type": "subscribed", "drawing_id": drawing, "epoch": epoch, "revision": 3, "role": "owner", "presence": {},
        "heartbeat_ms": 200
    });
    assert_eq!((first.name.as_str(), &first.data), ("subscribed", &expected));
    assert_eq!((first.id, first.retry), (Some(format!("{epoch}/3")), Some(1_000)));
    alice.commit(&drawing, &[op(1), op(2)]).await.expect(200);
    let ops = events.next_of("ops").await;
    assert_eq!((ops.id, &ops.data["revision"]), (Some(format!("{epoch}/5")), &json!(5)));
    assert_eq!(ops.data["ops"], json!(alice.read_all(&drawing, 3).await));
    let head = events.next_of("head").await;
    assert_eq!((head.id, &head.data["revision"]), (Some(format!("{epoch}/5")), &json!(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_and_a_socket_tell_the_same_ops() {
    let (_app, alice, drawing) = setup(5).await;
    let mut events = Events::open(&alice, &drawing, "?after=2", &[]).await;
    let mut socket = alice.socket().await;
    socket.subscribe(&drawing, Some(2)).await.unwrap();
    for x in 0..20 {
        alice.commit(&drawing, &[op(x), op(x)]).await.expect(200);
    }
    let log = alice.read_all(&drawing, 2).await;
    assert_eq!(events.ops(43).await, log);
    let mut received = Vec::new();
    while received.len() < 43 {
        received.extend(socket.receive_ops().await.unwrap());
    }
    assert_eq!(received, log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_resumes_from_its_last_event_id_which_goes_before_the_query() {
    let (_app, alice, drawing) = setup(6).await;
    let mut events = Events::open(&alice, &drawing, "?after=0", &[]).await;
    let last = events.next_of("ops").await.id.unwrap();
    let epoch = last.split_once('/').unwrap().0.to_owned();
    drop(events);
    alice.commit_some(&drawing, 2).await;
    let mut events = Events::open(&alice, &drawing, "?after=0", &[("last-event-id", &last)]).await;
    assert_eq!(events.next().await.unwrap().data["revision"], 6);
    assert_eq!(revisions(&events.ops(2).await), [7, 8]);
    let query = format!("?after=4&epoch={epoch}");
    let mut events = Events::open(&alice, &drawing, &query, &[("last-event-id", "")]).await;
    assert_eq!(revisions(&events.ops(4).await), [5, 6, 7, 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_cannot_be_served_is_reset_and_the_stream_ends() {
    let (_app, alice, drawing) = setup(1_001).await;
    let mut probe = Events::open(&alice, &drawing, "", &[]).await;
    let epoch = probe.next().await.unwrap().data["epoch"].as_str().unwrap().to_owned();
    for (query, reason) in [
        ("?after=0".to_owned(), "too_far_behind"),
        ("?after=1002".to_owned(), "revision_ahead"),
        (format!("?after=5&epoch={}", new_id()), "epoch_changed"),
    ] {
        let mut events = Events::open(&alice, &drawing, &query, &[]).await;
        let reset = events.next().await.unwrap();
        assert_eq!((reset.name.as_str(), &reset.data["reason"]), ("reset", &json!(reason)));
        assert_eq!(reset.id, Some(format!("{epoch}/1001")));
        assert_eq!(events.next().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_makes_no_sense_opens_nothing() {
    let (app, alice, drawing) = setup(1).await;
    for id in
        ["1", "x/1", "/", "0198f0a0-7d2c-7aaa-8bbb-0123456789ab/-1", "0198f0a0-7d2c-7aaa-8bbb-0123456789ab/"]
    {
        let refused = Events::refused(&alice, &drawing, "", &[("last-event-id", id)]).await;
        refused.expect_problem(400, "invalid_request");
    }
    for query in ["?after=x", "?after=-1", "?epoch=1", "?presence=maybe", "?unknown=1"] {
        Events::refused(&alice, &drawing, query, &[]).await.expect_problem(400, "invalid_request");
    }
    Events::refused(&alice, &new_id(), "", &[]).await.expect_problem(404, "not_found");
    let mallory = app.client("mallory").await;
    Events::refused(&mallory, &drawing, "", &[]).await.expect_problem(404, "not_found");
    let nobody = Client::with_token(&app.base, "");
    Events::refused(&nobody, &drawing, "", &[]).await.expect_problem(401, "unauthenticated");
    Events::refused(&nobody, &drawing, "?ticket=x", &[]).await.expect_problem(401, "unauthenticated");
    let query = format!("?ticket={}", ticket(&alice).await);
    let mut events = Events::open(&nobody, &drawing, &query, &[]).await;
    assert_eq!(events.next().await.unwrap().data["role"], "owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_role_is_told_once_and_its_loss_ends_the_stream() {
    let (app, alice, drawing) = setup(1).await;
    let bob = app.client("bob").await;
    alice.grant(&drawing, "bob", "editor").await;
    let mut events = Events::open(&bob, &drawing, "", &[]).await;
    assert_eq!(events.next().await.unwrap().data["role"], "editor");
    alice.grant(&drawing, "bob", "viewer").await;
    let told = events.next_of("role").await;
    assert_eq!(told.data, json!({"type": "role", "drawing_id": drawing, "role": "viewer"}));
    // By the time of twelve heartbeats the roles have been looked at again.
    for _ in 0..12 {
        assert_eq!(events.next().await.unwrap().name, "head");
    }
    alice.revoke(&drawing, "bob").await;
    assert_eq!(events.next_of("role").await.data["role"], Value::Null);
    assert_eq!(events.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_drawing_ends_its_streams() {
    let (_app, alice, drawing) = setup(1).await;
    let mut events = Events::open(&alice, &drawing, "", &[]).await;
    events.next().await.unwrap();
    alice.delete(&format!("/v1/drawings/{drawing}")).await.expect(204);
    assert_eq!(events.next_of("role").await.data["role"], Value::Null);
    assert_eq!(events.next().await, None);
    Events::refused(&alice, &drawing, "", &[]).await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_who_is_present_unless_it_is_not_wanted() {
    let (_app, alice, drawing) = setup(1).await;
    let path = format!("/v1/drawings/{drawing}/presence");
    let here = new_id();
    alice.post(&path, &json!({"connection_id": here, "state": {"n": 1}})).await.expect(200);
    // Answered when the roster holds what was posted.
    alice.get(&path).await.expect(200);
    let mut events = Events::open(&alice, &drawing, "", &[]).await;
    let mut without = Events::open(&alice, &drawing, "?presence=false", &[]).await;
    let entry = |n: u32| json!({"user_id": "alice", "name": null, "state": {"n": n}});
    assert_eq!(events.next().await.unwrap().data["presence"], json!({&here: entry(1)}));
    assert!(without.next().await.unwrap().data.get("presence").is_none());
    alice.post(&path, &json!({"connection_id": here, "state": {"n": 2}})).await.expect(200);
    let told = events.next_of("presence").await;
    assert_eq!((told.id, &told.data["set"]), (None, &json!({&here: entry(2)})));
    alice.post(&path, &json!({"connection_id": here, "state": null})).await.expect(200);
    let told = events.next_of("presence").await.data;
    assert_eq!((&told["count"], &told["gone"]), (&json!(0), &json!([here])));
    for _ in 0..3 {
        assert_eq!(without.next().await.unwrap().name, "head");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_identity_that_opened_it() {
    let (_app, alice, drawing) = setup(1).await;
    let short = alice.post("/v1/dev/tokens", &json!({"sub": "alice", "ttl": 3})).await.expect(200).json();
    let short = Client::with_token(&alice.base, short["token"].as_str().unwrap());
    let mut ending = Events::open(&short, &drawing, "", &[]).await;
    let mut lasting = Events::open(&alice, &drawing, "", &[]).await;
    let to_the_end = async {
        while let Some(event) = ending.next().await {
            assert!(["subscribed", "head"].contains(&event.name.as_str()), "{event:?}");
        }
    };
    within("the end of the stream", to_the_end).await;
    lasting.next_of("head").await;
    alice.commit(&drawing, &[op(1)]).await.expect(200);
    assert_eq!(lasting.ops(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_bears_a_comment_now_and_then() {
    let app = App::sqlite_with(&["--heartbeat", "1h"]).await;
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let mut events = Events::open(&alice, &drawing, "", &[]).await;
    assert_eq!(events.next().await.unwrap().name, "subscribed");
    // The room may tell its first head, once.
    let mut next = events.next().await.unwrap();
    if next.name == "head" {
        next = events.next().await.unwrap();
    }
    assert_eq!((next.name.as_str(), next.data), ("", Value::Null));
}
