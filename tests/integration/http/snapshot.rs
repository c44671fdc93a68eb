//! `GET /v1/drawings/{id}/snapshot`: what it tells, at the head and at any revision or time, and to whom.

use reqwest::Method;
use revcast::model::{Canvas, state_hash};
use serde_json::{Value, json};

use crate::support::{
    Answer, App, Client, eventually, new_database, new_id, op, program,
    replica::{Replica, SnapshotBody},
};

pub fn snapshot(drawing: &str, query: &str) -> String {
    format!("/v1/drawings/{drawing}/snapshot{query}")
}

/// The canvas after each revision of a log, the empty one first.
fn canvases(log: &[Value]) -> Vec<Canvas> {
    let mut replica = Replica::default();
    let mut canvases = vec![replica.canvas.clone()];
    for op in log {
        replica.follow(std::slice::from_ref(op));
        canvases.push(replica.canvas.clone());
    }
    canvases
}

/// The body that a snapshot of this canvas is to have.
fn told(epoch: &Value, canvas: &Canvas) -> Value {
    let parse = |json: &str| serde_json::from_str::<Value>(json).unwrap();
    json!({
        "epoch": epoch,
        "revision": canvas.revision(),
        "state_hash": state_hash(&canvas.view()),
        "view": parse(&canvas.view()),
        "registers": parse(&canvas.registers()),
    })
}

/// A drawing of alice's with a little of everything, one op a request; returns its log, too.
pub async fn scribbled(alice: &Client) -> (String, Vec<Value>) {
    let id = alice.create_drawing().await;
    let units: Vec<String> = (0..9).map(|_| new_id()).collect();
    let ops = [
        json!({"op_id": units[0], "type": "canvas.set", "set": {"background": "#fff"}}),
        json!({"op_id": units[1], "type": "object.create", "object_id": "a", "kind": "rect", "z": "a1", "props": {"x": 1.50}}),
        json!({"op_id": units[2], "type": "stroke.begin", "object_id": "s", "tool": "pen", "props": {}, "points": [[0, 0]]}),
        json!({"op_id": new_id(), "type": "stroke.append", "unit": units[2], "object_id": "s", "index": 1, "points": [[1, 2, 0.5]]}),
        json!({"op_id": new_id(), "type": "stroke.end", "unit": units[2], "object_id": "s", "count": 1}),
        json!({"op_id": units[3], "type": "object.update", "object_id": "a", "z": "Z", "set": {"x": 2, "\u{e4}": null}}),
        json!({"op_id": new_id(), "type": "undo", "unit": units[3]}),
        json!({"op_id": units[4], "type": "custom.roll", "data": 6}),
        json!({"op_id": units[5], "type": "canvas.clear"}),
        json!({"op_id": units[6], "type": "object.create", "object_id": "b", "kind": "token", "props": {}}),
        json!({"op_id": new_id(), "type": "undo", "unit": units[5]}),
        json!({"op_id": units[7], "type": "object.delete", "object_ids": ["b", "s"]}),
        json!({"op_id": new_id(), "type": "redo", "unit": units[3]}),
    ];
    for op in ops {
        alice.commit(&id, &[op]).await.expect(200);
    }
    let log = alice.read_all(&id, 0).await;
    (id, log)
}

async fn epoch_of(client: &Client, drawing: &str) -> Value {
    client.get(&format!("/v1/drawings/{drawing}")).await.expect(200).json()["epoch"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_epoch_revision_hash_view_and_registers_in_this_order() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let epoch = epoch_of(&alice, &id).await;
        let epoch = epoch.as_str().unwrap();
        let expect = async |query: &str, body: String| {
            let answer = alice.get(&snapshot(&id, query)).await.expect(200);
            assert_eq!(answer.headers["content-type"], "application/json");
            assert_eq!(String::from_utf8(answer.bytes).unwrap(), body, "{query}");
        };
        let empty = r#"{"canvas":{},"objects":[]}"#;
        let head = |revision: u64, view: &str| {
            let hash = state_hash(view);
            format!(r#"{{"epoch":"{epoch}","revision":{revision},"state_hash":"{hash}","view":{view}"#)
        };
        let registers =
            r#","registers":{"format":2,"floor":0,"canvas":{},"clear":[],"objects":{},"units":{}}}"#;
        expect("", head(0, empty) + registers).await;
        expect("?view=only", head(0, empty) + "}").await;
        let unit = new_id();
        let create = json!({"op_id": unit, "type": "object.create", "object_id": "a", "kind": "rect", "props": {"y": 1.0, "x": "\u{e4}"}});
        alice.commit(&id, &[create]).await.expect(200);
        let view =
            r#"{"canvas":{},"objects":[{"kind":"rect","object_id":"a","props":{"x":"ä","y":1},"z":""}]}"#;
        let registers = [
            r#","registers":{"format":2,"floor":0,"canvas":{},"clear":[],"objects":{"a":{"exists":[[1,"UNIT","create"]],"#,
            r#""kind":[[1,"UNIT","rect"]],"props":{"x":[[1,"UNIT","ä"]],"y":[[1,"UNIT",1]]}}},"#,
            r#""units":{"UNIT":{"actor":"alice","draws":true,"first":1,"touched":TS}}}}"#,
        ];
        let answer = alice.get(&snapshot(&id, "")).await.expect(200);
        let ts = alice.read_all(&id, 0).await[0]["ts"].to_string();
        let registers = registers.concat().replace("UNIT", &unit).replace("TS", &ts);
        let told: Value = serde_json::from_str(&(head(1, view) + &registers)).unwrap();
        assert_eq!(answer.json(), told);
        let text = String::from_utf8(answer.bytes).unwrap();
        assert!(text.starts_with(&(head(1, view) + r#","registers":{"#)), "{text}");
        expect("?view=only", head(1, view) + "}").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_canvas_at_every_revision_is_that_of_the_log_up_to_there() {
    let few = ["--snapshot-every", "4"];
    let apps = [App::sqlite().await, App::sqlite_with(&few).await, App::postgres().await];
    for app in apps {
        let alice = app.client("alice").await;
        let (id, log) = scribbled(&alice).await;
        let epoch = epoch_of(&alice, &id).await;
        let canvases = canvases(&log);
        assert_eq!(
            alice.get(&snapshot(&id, "")).await.expect(200).json(),
            told(&epoch, &canvases[log.len()])
        );
        // From the last one down, so that none is at hand for the next.
        for (at, canvas) in canvases.iter().enumerate().rev() {
            let whole = told(&epoch, canvas);
            assert_eq!(alice.get(&snapshot(&id, &format!("?at={at}"))).await.expect(200).json(), whole);
            let query = format!("?at={at}&epoch={}&view=only", epoch.as_str().unwrap());
            let mut view = alice.get(&snapshot(&id, &query)).await.expect(200).json();
            assert_eq!(view["registers"].take(), Value::Null);
            for field in ["epoch", "revision", "state_hash", "view"] {
                assert_eq!(view[field], whole[field], "{field} at {at}");
            }
        }
        // A later op leaves the past as it was.
        alice.commit(&id, &[op(1)]).await.expect(200);
        let before = alice.get(&snapshot(&id, &format!("?at={}", log.len()))).await.expect(200).json();
        assert_eq!(before, told(&epoch, &canvases[log.len()]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_goes_on_with_the_ops_after_it() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let (id, log) = scribbled(&alice).await;
    let canvases = canvases(&log);
    let epoch = epoch_of(&alice, &id).await;
    for at in 0..log.len() {
        let answer = alice.get(&snapshot(&id, &format!("?at={at}"))).await.expect(200);
        let body = SnapshotBody::read(&answer.bytes);
        assert_eq!((json!(body.epoch), body.revision), (epoch.clone(), at as u64));
        assert_eq!(body.state_hash, state_hash(body.view.get()), "the hash is that of the bytes");
        let mut replica = body.replica();
        replica.follow(&alice.read_all(&id, body.revision).await);
        assert_eq!(replica.canvas.registers(), canvases[log.len()].registers());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_ahead_and_another_epoch_are_gone_and_tell_where_the_log_is() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        alice.commit_some(&id, 3).await;
        let epoch = epoch_of(&alice, &id).await;
        let (same, other) = (epoch.as_str().unwrap(), new_id());
        let rows = [
            ("at=4".to_owned(), "revision_ahead"),
            (format!("at=4&epoch={same}"), "revision_ahead"),
            ("at=9007199254740992&view=only".to_owned(), "revision_ahead"),
            (format!("epoch={other}"), "epoch_changed"),
            (format!("at=2&epoch={other}"), "epoch_changed"),
            (format!("at=4&epoch={other}"), "epoch_changed"),
            (format!("at_time=0&epoch={other}"), "epoch_changed"),
        ];
        for (query, code) in rows {
            for path in
                [snapshot(&id, &format!("?{query}")), format!("/v1/drawings/{id}/export?format=json&{query}")]
            {
                // The path of an export knows no view.
                let path = if path.contains("/export") { path.replace("&view=only", "") } else { path };
                let refused = alice.get(&path).await;
                assert_eq!((refused.status, &*refused.code()), (410, code), "{path}");
                let problem = refused.json();
                assert_eq!((&problem["epoch"], &problem["latest_revision"]), (&epoch, &json!(3)), "{path}");
                assert_eq!(refused.headers["cache-control"], "no-store");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_do_not_fit_are_malformed() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let faulty = [
        "at=0&at_time=0",
        "at=-1",
        "at=1.5",
        "at=x",
        "at=",
        "at=0&at=0",
        "at=9007199254740993",
        "at=18446744073709551616",
        "at_time=x",
        "at_time=1.5",
        "at_time=-1",
        "at_time=9007199254740993",
        "at_time=9223372036854775808",
        "at_time=2026-01-01T00:00:00Z",
        "epoch=x",
        "epoch=",
        "view=",
        "view=all",
        "view=Only",
        "view=only&view=only",
        "after=0",
        "format=json",
        "At=0",
    ];
    for query in faulty {
        let refused = alice.get(&snapshot(&id, &format!("?{query}"))).await;
        assert_eq!((refused.status, &*refused.code()), (400, "invalid_request"), "{query}");
    }
    alice.get("/v1/drawings/x/snapshot").await.expect_problem(400, "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_means_the_last_op_by_then() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        for x in 0..3 {
            alice.commit(&id, &[op(x), op(x)]).await.expect(200);
            // The clock of the server moves on.
            let done = revcast::clock::now_ms();
            eventually("the next millisecond", || async { (revcast::clock::now_ms() > done).then_some(()) })
                .await;
        }
        let times: Vec<i64> =
            alice.read_all(&id, 0).await.iter().map(|op| op["ts"].as_i64().unwrap()).collect();
        let rows = [
            (0, 0),
            (times[0] - 1, 0),
            (times[0], 2),
            (times[2] - 1, 2),
            (times[2], 4),
            (times[4] - 1, 4),
            (times[4], 6),
            (times[4] + 1, 6),
            (1_i64 << 53, 6),
        ];
        for (time, revision) in rows {
            let by_time = alice.get(&snapshot(&id, &format!("?at_time={time}"))).await.expect(200);
            let by_revision = alice.get(&snapshot(&id, &format!("?at={revision}"))).await.expect(200);
            assert_eq!(by_time.json(), by_revision.json(), "at {time} of {times:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canvas_is_for_members_alone() {
    for app in [App::sqlite().await, App::postgres().await] {
        let (alice, vera, eve) =
            (app.client("alice").await, app.client("vera").await, app.client("eve").await);
        let (id, _) = scribbled(&alice).await;
        alice.grant(&id, "vera", "viewer").await;
        let whole = alice.get(&snapshot(&id, "")).await.expect(200);
        let etag = whole.headers["etag"].to_str().unwrap().to_owned();
        for path in [snapshot(&id, ""), snapshot(&id, "?at=3"), snapshot(&id, "?at_time=0&view=only")] {
            vera.get(&path).await.expect(200);
            eve.get(&path).await.expect_problem(404, "not_found");
            eve.get_with(&path, &[("if-none-match", "*")]).await.expect_problem(404, "not_found");
            Client::with_token(&app.base, "").get(&path).await.expect_problem(401, "unauthenticated");
        }
        assert_eq!(vera.get(&snapshot(&id, "")).await.expect(200).bytes, whole.bytes);
        alice.revoke(&id, "vera").await;
        for query in ["", "?at=3"] {
            vera.get(&snapshot(&id, query)).await.expect_problem(404, "not_found");
            let known = [("if-none-match", &*etag)];
            vera.get_with(&snapshot(&id, query), &known).await.expect_problem(404, "not_found");
        }
        // The server still has it in its memory.
        alice.delete(&format!("/v1/drawings/{id}")).await.expect(204);
        for query in ["", "?view=only", "?at=3", "?at_time=0"] {
            alice.get(&snapshot(&id, query)).await.expect_problem(404, "not_found");
        }
        alice.get(&snapshot(&new_id(), "")).await.expect_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_is_told_at_once() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let (id, log) = scribbled(&alice).await;
    let before = alice.get(&snapshot(&id, "")).await.expect(200);
    let old = before.json()["epoch"].as_str().unwrap().to_owned();
    let new = program::new_epoch(&app.database_url).await;
    assert_ne!(old, new);
    let etag = before.headers["etag"].to_str().unwrap();
    let now = alice.get_with(&snapshot(&id, ""), &[("if-none-match", etag)]).await.expect(200);
    assert_eq!(now.json(), told(&json!(new), canvases(&log).last().unwrap()));
    assert_eq!(alice.get(&snapshot(&id, "?at=3")).await.expect(200).json()["epoch"], json!(new));
    let of_old = alice.get(&snapshot(&id, &format!("?at=3&epoch={old}"))).await;
    assert_eq!(of_old.expect_problem(410, "epoch_changed").json()["epoch"], json!(new));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawing_tells_its_newest_snapshot() {
    let few = ["--snapshot-every", "5"];
    for app in [App::sqlite_with(&few).await, App::start(&new_database(), &few).await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        alice.commit_some(&id, 4).await;
        let path = format!("/v1/drawings/{id}");
        assert_eq!(alice.get(&path).await.expect(200).json()["snapshot_revision"], Value::Null);
        alice.commit_some(&id, 8).await;
        let is_built = || async {
            let revision = alice.get(&path).await.expect(200).json()["snapshot_revision"].as_u64()?;
            // Built at the head, of one batch or the other.
            (5..=12).contains(&revision).then_some(())
        };
        eventually("a snapshot", is_built).await;
        let listed = alice.get("/v1/drawings").await.expect(200).json();
        assert!(listed["drawings"][0]["snapshot_revision"].is_u64(), "{listed}");
        // The canvas is the same with it as without.
        let log = alice.read_all(&id, 0).await;
        let body = alice.get(&snapshot(&id, "?at=12")).await.expect(200).json();
        assert_eq!(body, told(&body["epoch"], canvases(&log).last().unwrap()));
    }
}

/// The headers of an answer that do not tell when or for which request it was made.
fn lasting(answer: &Answer) -> Vec<(String, String)> {
    let headers =
        answer.headers.iter().filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
    headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_request_tells_the_headers_of_the_answer_alone() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let (id, _) = scribbled(&alice).await;
    for query in ["", "?view=only", "?at=3"] {
        for accepted in ["identity", "gzip"] {
            let path = snapshot(&id, query);
            let get = alice.get_with(&path, &[("accept-encoding", accepted)]).await.expect(200);
            let head = alice.request(Method::HEAD, &path).header("accept-encoding", accepted);
            let head = Client::send(head).await.unwrap().expect(200);
            assert_eq!((lasting(&head), head.bytes.len()), (lasting(&get), 0), "{query} {accepted}");
            assert_eq!(get.headers["content-length"], get.bytes.len().to_string());
        }
    }
    let ahead = Client::send(alice.request(Method::HEAD, &snapshot(&id, "?at=99"))).await.unwrap();
    assert_eq!((ahead.status, ahead.bytes.len()), (410, 0));
}
