//! `GET /v1/drawings/{id}/ops`: ranges, pages, caching, positions, forms, and the long-poll.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

use crate::support::{Answer, App, Client, new_id, op, revisions};

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const MSGPACK: &str = "application/msgpack";
/// The time for which a reader is watched to be still waiting.
const STILL_WAITING: Duration = Duration::from_millis(300);
/// Far less than the wait that readers ask for, far more than anything takes.
const PROMPT: Duration = Duration::from_secs(10);

fn ops(drawing: &str, query: &str) -> String {
    format!("/v1/drawings/{drawing}/ops?{query}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_tells_where_it_starts_and_ends_and_whether_there_is_more() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        alice.commit_some(&id, 5).await;
        // (query, from, to, complete)
        let rows = [
            ("", 1, 5, true),
            ("after=0", 1, 5, true),
            ("after=2", 3, 5, true),
            ("after=5", 6, 5, true),
            ("after=0&limit=2", 1, 2, false),
            ("after=3&limit=2", 4, 5, true),
            ("after=1&until=3", 2, 3, true),
            ("after=1&until=4&limit=2", 2, 3, false),
            ("after=1&until=3&limit=2", 2, 3, true),
            ("after=3&until=3", 4, 3, true),
            ("after=3&until=9", 4, 5, true),
            ("after=3&until=9007199254740992", 4, 5, true),
            ("after=0&limit=1000", 1, 5, true),
            ("after=5&wait=0", 6, 5, true),
        ];
        for (query, from, to, complete) in rows {
            let answer = alice.get(&ops(&id, query)).await.expect(200);
            let mut page = answer.json();
            let read = page["ops"].take();
            assert_eq!(revisions(read.as_array().unwrap()), (from..=to).collect::<Vec<_>>(), "{query}");
            let epoch = page["epoch"].clone();
            assert_eq!(
                page,
                json!({"epoch": epoch, "from": from, "to": to, "latest_revision": 5, "complete": complete, "ops": null}),
                "{query}"
            );
            let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
            assert_eq!(header("revcast-epoch"), epoch.as_str().unwrap());
            assert_eq!(header("revcast-from"), from.to_string());
            assert_eq!(header("revcast-to"), to.to_string());
            assert_eq!(header("revcast-latest-revision"), "5");
            assert_eq!(header("revcast-complete"), complete.to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_do_not_fit_are_malformed() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let faulty = [
        "after=-1",
        "after=1.5",
        "after=x",
        "after=+1",
        "after=%2B1",
        "after=",
        "after=9007199254740993",
        "after=18446744073709551616",
        "after=0&after=0",
        "until=-1",
        "after=2&until=1",
        "until=9007199254740993",
        "limit=0",
        "limit=-1",
        "limit=1001",
        "limit=4294967296",
        "limit=1&limit=1",
        "wait=-1",
        "wait=1s",
        "wait=31",
        "wait=18446744073709551616",
        "wait=1&wait=1",
        "epoch=x",
        "since=0",
    ];
    for query in faulty {
        let refused = alice.get(&ops(&id, query)).await;
        assert_eq!((refused.status, &*refused.code()), (400, "invalid_request"), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_at_1000_ops() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        alice.commit_some(&id, 1_001).await;
        for query in ["after=0", "after=0&limit=1000", "after=0&until=1001"] {
            let page = alice.get(&ops(&id, query)).await.expect(200).json();
            assert_eq!((&page["to"], &page["complete"]), (&json!(1_000), &json!(false)), "{query}");
        }
        assert_eq!(alice.get(&ops(&id, "after=1")).await.json()["complete"], true);
        assert_eq!(revisions(&alice.read_all(&id, 0).await), (1..=1_001).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_before_1_mib() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let large = || {
            let text = "x".repeat(60_000);
            json!({"op_id": new_id(), "type": "custom.note", "data": text})
        };
        for _ in 0..3 {
            let ops: Vec<Value> = (0..8).map(|_| large()).collect();
            alice.commit(&id, &ops).await.expect(200);
        }
        let answer = alice.get(&ops(&id, "after=0")).await.expect(200);
        let page = answer.json();
        // Eighteen of them would cross the line.
        assert_eq!((&page["to"], &page["complete"]), (&json!(17), &json!(false)));
        assert!(((1 << 20) - 70_000..=1 << 20).contains(&answer.bytes.len()), "{}", answer.bytes.len());
        assert_eq!(revisions(&alice.read_all(&id, 0).await), (1..=24).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_many_small_ops_counts_what_the_server_adds() {
    let app = App::sqlite().await;
    // Bodies alone would be within the bound.
    let alice = app.client(&"\"a".repeat(64)).await;
    let id = alice.create_drawing().await;
    let sized = || json!({"op_id": new_id(), "type": "custom.a", "data": "x".repeat(930)});
    for _ in 0..2 {
        let ops: Vec<Value> = (0..500).map(|_| sized()).collect();
        alice.commit(&id, &ops).await.expect(200);
    }
    let answer = alice.get(&ops(&id, "after=0")).await.expect(200);
    let length = answer.bytes.len();
    assert!(((1 << 20) - 2_000..=1 << 20).contains(&length), "{length}");
    assert_eq!(revisions(&alice.read_all(&id, 0).await), (1..=1_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_page_may_be_kept_for_ever_and_an_open_one_not_at_all() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    alice.commit_some(&id, 5).await;
    let epoch = alice.get(&ops(&id, "")).await.expect(200).json()["epoch"].as_str().unwrap().to_owned();
    // In another epoch another page may stand at an address that does not name this one.
    let of_epoch = format!("&epoch={epoch}");
    let suffixes = [(&*of_epoch, "private, max-age=31536000, immutable"), ("", "private, no-cache")];
    let queries = ["after=0&until=5", "after=1&until=3", "after=3&until=3", "after=0&until=2&limit=2"];
    for (query, (suffix, cache)) in
        queries.into_iter().flat_map(|query| suffixes.map(|suffix| (query, suffix)))
    {
        for form in ["application/json", NDJSON, MSGPACK] {
            let path = ops(&id, &format!("{query}{suffix}"));
            let first = alice.get_with(&path, &[("accept", form)]).await.expect(200);
            assert_eq!(first.headers["cache-control"], cache, "{path}");
            assert_eq!(first.headers["content-type"], form);
            let etag = first.headers["etag"].to_str().unwrap();
            for known in [etag.to_owned(), format!("\"other\", {etag}"), "*".to_owned()] {
                let again = alice.get_with(&path, &[("accept", form), ("if-none-match", &known)]).await;
                let again = again.expect(304);
                assert!(again.bytes.is_empty());
                assert_eq!(again.headers["etag"], etag);
                assert_eq!(again.headers["cache-control"], first.headers["cache-control"]);
            }
            let other = [("accept", form), ("if-none-match", "\"other\"")];
            assert_eq!(alice.get_with(&path, &other).await.expect(200).bytes, first.bytes);
        }
    }
    for query in ["after=0", "after=5", "after=0&until=6", "after=0&until=3&limit=2"] {
        let path = ops(&id, &format!("{query}{of_epoch}"));
        let open = alice.get_with(&path, &[("if-none-match", "*")]).await.expect(200);
        assert_eq!(open.headers["cache-control"], "no-store", "{query}");
        assert!(!open.headers.contains_key("etag"), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_page_has_a_tag_of_its_own_and_reads_the_same_for_ever() {
    let app = App::sqlite().await;
    let (alice, eve) = (app.client("alice").await, app.client("eve").await);
    let (id, other) = (alice.create_drawing().await, alice.create_drawing().await);
    alice.commit_some(&id, 3).await;
    alice.commit_some(&other, 3).await;
    let path = ops(&id, "after=0&until=3");
    let first = alice.get(&path).await.expect(200);
    let ndjson = alice.get_with(&path, &[("accept", NDJSON)]).await.expect(200);
    assert_ne!(first.headers["etag"], ndjson.headers["etag"], "each form has its own");
    assert!(first.headers.get_all("vary").iter().any(|v| v.to_str().unwrap().contains("accept")));
    alice.commit_some(&id, 1).await;
    let (mut before, mut now) = (first.json(), alice.get(&path).await.expect(200).json());
    assert_eq!(before["ops"].take(), now["ops"].take());
    // A reader without a role is refused before its tag is looked at.
    let etag = first.headers["etag"].to_str().unwrap();
    eve.get_with(&path, &[("if-none-match", etag)]).await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_another_epoch_or_ahead_of_the_head_is_refused() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        alice.commit_some(&id, 3).await;
        let epoch = alice.get(&ops(&id, "after=0")).await.json()["epoch"].as_str().unwrap().to_owned();
        let other = new_id();
        let rows = [
            (format!("after=1&epoch={other}"), "epoch_changed"),
            (format!("after=0&epoch={other}"), "epoch_changed"),
            (format!("after=9&epoch={other}"), "epoch_changed"),
            (format!("after=1&until=2&epoch={other}"), "epoch_changed"),
            (format!("after=3&wait=20&epoch={other}"), "epoch_changed"),
            ("after=4".to_owned(), "revision_ahead"),
            ("after=4&wait=20".to_owned(), "revision_ahead"),
            (format!("after=4&epoch={epoch}"), "revision_ahead"),
            ("after=9007199254740992".to_owned(), "revision_ahead"),
        ];
        for (query, code) in rows {
            let started = Instant::now();
            let refused = alice.get(&ops(&id, &query)).await.expect_problem(410, code).json();
            assert_eq!(
                (&refused["epoch"], &refused["latest_revision"]),
                (&json!(epoch), &json!(3)),
                "{query}"
            );
            assert!(started.elapsed() < PROMPT, "{query}");
        }
        alice.get(&ops(&id, &format!("after=3&epoch={epoch}"))).await.expect(200);
        alice.get(&ops(&id, &format!("after=3&epoch={}", epoch.to_uppercase()))).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ndjson_and_message_pack_say_what_json_says() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let data = json!({"n": [0, -1, 1.5, 1e300, 9_007_199_254_740_992_u64, -9_007_199_254_740_992_i64],
        "s": ["", "ä😀\u{0}\"\\\n"], "null": null, "deep": [[[[{}]]]], "t": [true, false]});
    alice.commit(&id, &[json!({"op_id": new_id(), "type": "custom.all", "data": data})]).await.expect(200);
    alice.commit_some(&id, 20).await;
    for query in ["after=0", "after=0&limit=7", "after=2&until=9", "after=21"] {
        let path = ops(&id, query);
        let json = alice.get(&path).await.expect(200);
        let packed = alice.get_with(&path, &[("accept", MSGPACK)]).await.expect(200);
        assert_eq!(rmp_serde::from_slice::<Value>(&packed.bytes).unwrap(), json.json(), "{query}");
        let lines = alice.get_with(&path, &[("accept", NDJSON)]).await.expect(200);
        let text = String::from_utf8(lines.bytes.clone()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        let read: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(Value::from(read), json.json()["ops"], "{query}");
        for name in
            ["revcast-epoch", "revcast-from", "revcast-to", "revcast-latest-revision", "revcast-complete"]
        {
            assert_eq!(lines.headers[name], json.headers[name]);
            assert_eq!(packed.headers[name], json.headers[name]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_is_the_one_accepted_most_and_json_among_equals() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let rows = [
        ("*/*", JSON),
        ("text/html, application/x-ndjson;q=0.9, application/json", JSON),
        ("text/html, application/json;q=0.5, application/x-ndjson;q=0.9", NDJSON),
        ("application/json;q=0.5, application/msgpack;q=0.501, application/ndjson;q=0.5", MSGPACK),
        ("application/x-ndjson, application/json, application/msgpack", JSON),
        ("application/msgpack, application/x-ndjson", NDJSON),
        ("application/msgpack", MSGPACK),
        ("APPLICATION/MsgPack", MSGPACK),
        ("Application/X-NDJSON ; charset=utf-8 ; Q=0.3", NDJSON),
        ("application/x-ndjson;q=0, application/json;q=0.1", JSON),
        ("application/msgpack;q=0", JSON),
        ("application/json;q=0, */*;q=0.1", NDJSON),
        ("application/json;q=0, application/x-ndjson;q=0.0, application/*", MSGPACK),
        ("application/json;q=0.2, */*;q=0.1, application/msgpack;q=0.3", MSGPACK),
        ("*/*;q=0.1, application/msgpack;q=0.2", MSGPACK),
        ("application/json;q=2, application/msgpack;q=0.5", JSON),
        ("text/html", JSON),
        ("", JSON),
    ];
    for (accept, form) in rows {
        let page = alice.get_with(&ops(&id, "after=0"), &[("accept", accept)]).await.expect(200);
        assert_eq!(page.headers["content-type"], form, "{accept}");
    }
}

/// A read that waits, in a task of its own, and how long it took.
fn long_poll(client: &Client, path: &str) -> JoinHandle<(Answer, Duration)> {
    let (client, path) = (client.clone(), path.to_owned());
    tokio::spawn(async move {
        let started = Instant::now();
        let answer = client.call(Method::GET, &path, None).await;
        (answer, started.elapsed())
    })
}

/// Panics if the read ends while it is watched.
async fn expect_waiting(poll: &mut JoinHandle<(Answer, Duration)>) {
    assert!(tokio::time::timeout(STILL_WAITING, poll).await.is_err(), "the read does not wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_returns_at_once_when_there_are_ops_or_can_be_none() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    alice.commit_some(&id, 3).await;
    for (query, to) in [("after=0&wait=20", 3), ("after=2&wait=20", 3), ("after=3&until=3&wait=20", 3)] {
        let (answer, took) = long_poll(&alice, &ops(&id, query)).await.unwrap();
        assert_eq!(answer.expect(200).json()["to"], to, "{query}");
        assert!(took < PROMPT, "{query}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_is_woken_by_a_commit() {
    for app in [App::sqlite().await, App::clustered().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "viewer").await;
        alice.commit_some(&id, 2).await;
        let mut poll = long_poll(&bob, &ops(&id, "after=2&wait=30"));
        expect_waiting(&mut poll).await;
        alice.commit(&id, &[op(1)]).await.expect(200);
        let (answer, took) = poll.await.unwrap();
        let page = answer.expect(200).json();
        assert_eq!(revisions(page["ops"].as_array().unwrap()), [3]);
        assert!(took < PROMPT, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_is_woken_by_a_commit_at_another_node() {
    let app = App::clustered().await;
    let second = app.second_node().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let mut poll = long_poll(&alice.at(&second.base), &ops(&id, "after=0&wait=30"));
    expect_waiting(&mut poll).await;
    alice.commit(&id, &[op(1)]).await.expect(200);
    let (answer, took) = poll.await.unwrap();
    assert_eq!(answer.expect(200).json()["to"], 1);
    assert!(took < PROMPT, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_ends_empty_after_its_wait() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    alice.commit_some(&id, 2).await;
    let (answer, took) = long_poll(&alice, &ops(&id, "after=2&wait=1")).await.unwrap();
    let page = answer.expect(200).json();
    assert_eq!((&page["from"], &page["to"], &page["complete"]), (&json!(3), &json!(2), &json!(true)));
    assert_eq!(page["ops"], json!([]));
    assert!((Duration::from_secs(1)..PROMPT).contains(&took), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_is_refused_when_its_role_is_revoked_or_the_drawing_deleted() {
    for app in [App::sqlite().await, App::clustered().await] {
        let (alice, bob) = (app.client("alice").await, app.client("bob").await);
        let id = alice.create_drawing().await;
        alice.grant(&id, "bob", "viewer").await;
        let path = ops(&id, "after=0&wait=30");
        let (mut hers, mut his) = (long_poll(&alice, &path), long_poll(&bob, &path));
        expect_waiting(&mut his).await;
        expect_waiting(&mut hers).await;
        alice.revoke(&id, "bob").await;
        let (answer, took) = his.await.unwrap();
        answer.expect_problem(404, "not_found");
        assert!(took < PROMPT, "{took:?}");
        expect_waiting(&mut hers).await;
        alice.delete(&format!("/v1/drawings/{id}")).await.expect(204);
        let (answer, took) = hers.await.unwrap();
        answer.expect_problem(404, "not_found");
        assert!(took < PROMPT, "{took:?}");
    }
}
