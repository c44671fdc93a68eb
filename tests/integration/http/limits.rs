//! Every limit on what HTTP may carry: met exactly, and exceeded by one.

use serde_json::{Value, json};

use crate::support::{App, Client, new_id, op, revisions};

/// A limit: the thing that it bounds, the fields of one op of a given size, and the limit itself.
type Row = (&'static str, fn(usize) -> String, usize);

fn points(count: usize) -> String {
    vec!["[0,0]"; count].join(",")
}

/// Arrays in one another; the op around them is one level more.
fn nested(levels: usize) -> String {
    "[".repeat(levels - 1) + &"]".repeat(levels - 1)
}

/// Limits whose excess makes an op invalid.
const OP_LIMITS: [Row; 14] = [
    (
        "points of a begin",
        |n| {
            let points = points(n);
            format!(r#""type":"stroke.begin","object_id":"s","tool":"pen","props":{{}},"points":[{points}]"#)
        },
        2_000,
    ),
    (
        "points of an append",
        |n| format!(r#""type":"stroke.append","object_id":"s","index":1,"points":[{}]"#, points(n)),
        2_000,
    ),
    ("bytes of meta", |n| format!(r#""type":"canvas.clear","meta":{{"a":"{}"}}"#, "m".repeat(n - 8)), 1_024),
    (
        "bytes of meta, not characters",
        |n| format!(r#""type":"canvas.clear","meta":{{"ä":"{}"}}"#, "m".repeat(n - 9)),
        1_024,
    ),
    ("an object_id", |n| format!(r#""type":"object.update","object_id":"{}""#, "o".repeat(n)), 64),
    (
        "an object_id to delete",
        |n| format!(r#""type":"object.delete","object_ids":["{}"]"#, "o".repeat(n)),
        64,
    ),
    (
        "a kind",
        |n| format!(r#""type":"object.create","object_id":"a","kind":"{}","props":{{}}"#, "ä".repeat(n)),
        32,
    ),
    (
        "a tool",
        |n| {
            let tool = "ä".repeat(n);
            format!(r#""type":"stroke.begin","object_id":"s","tool":"{tool}","props":{{}},"points":[]"#)
        },
        32,
    ),
    ("the name of a custom op", |n| format!(r#""type":"custom.{}","data":0"#, "n".repeat(n)), 32),
    ("a client_id", |n| format!(r#""type":"canvas.clear","client_id":"{}""#, "ä".repeat(n)), 64),
    ("a z", |n| format!(r#""type":"object.update","object_id":"a","z":"{}""#, "ä".repeat(n)), 256),
    ("depth", |n| format!(r#""type":"custom.deep","data":{}"#, nested(n)), 32),
    (
        "depth of objects",
        |n| format!(r#""type":"custom.deep","data":{}0{}"#, r#"{"a":"#.repeat(n - 1), "}".repeat(n - 1)),
        32,
    ),
    ("an integer", |n| format!(r#""type":"custom.n","data":[{n},-{n}]"#), 9_007_199_254_740_992),
];

async fn post_op(client: &Client, drawing: &str, fields: &str) -> crate::support::Answer {
    let body = format!(r#"{{"ops":[{{"op_id":"{}",{fields}}}]}}"#, new_id());
    client.post_bytes(&format!("/v1/drawings/{drawing}/ops"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_may_reach_each_limit_and_not_pass_it() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        for (nth, (what, fields, limit)) in (1..).zip(OP_LIMITS) {
            let met = post_op(&alice, &id, &fields(limit)).await;
            assert_eq!(met.status, 200, "{what}: {}", String::from_utf8_lossy(&met.bytes));
            let exceeded = post_op(&alice, &id, &fields(limit + 1)).await;
            assert_eq!((exceeded.status, &*exceeded.code()), (422, "invalid_op"), "{what}");
            assert_eq!(alice.head(&id).await, nth, "{what}");
        }
        assert_eq!(alice.read_all(&id, 0).await.len(), OP_LIMITS.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_must_not_be_empty_are_refused_empty() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let rows = [
        r#""type":"object.update","object_id":"""#,
        r#""type":"object.create","object_id":"a","kind":"","props":{}"#,
        r#""type":"stroke.begin","object_id":"a","tool":"","props":{},"points":[]"#,
        r#""type":"custom.","data":0"#,
        r#""type":"","data":0"#,
        r#""type":"canvas.clear","client_id":"""#,
    ];
    for fields in rows {
        let answer = post_op(&alice, &id, fields).await;
        assert_eq!((answer.status, &*answer.code()), (422, "invalid_op"), "{fields}");
    }
    assert_eq!(alice.head(&id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_holds_500_ops_and_not_one_more() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let ops: Vec<Value> = (0..501).map(op).collect();
        alice.commit(&id, &ops).await.expect_problem(413, "too_large");
        alice.commit(&id, &[]).await.expect_problem(400, "invalid_request");
        assert_eq!(alice.head(&id).await, 0);
        let answer = alice.commit(&id, &ops[..500]).await.expect(200).json();
        assert_eq!(revisions(answer["results"].as_array().unwrap()), (1..=500).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_has_64_kib_of_compact_json_and_not_one_byte_more() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let path = format!("/v1/drawings/{id}/ops");
        let note = |size: usize, white: &str| {
            let empty = format!(r#"{{"op_id":"{}","type":"custom.note","data":""}}"#, new_id());
            let text = "x".repeat(size - empty.len());
            empty.replace(r#""data":"""#, &format!(r#""data":{white}"{text}""#))
        };
        let body = |op: &str| format!(r#"{{"ops":[{op}]}}"#);
        let refused = alice.post_bytes(&path, body(&note(65_537, ""))).await.expect_problem(413, "too_large");
        assert_eq!(refused.json()["pointer"], "/ops/0");
        assert_eq!(alice.head(&id).await, 0);
        alice.post_bytes(&path, body(&note(65_536, ""))).await.expect(200);
        // White space is not kept, and does not count.
        let white = " ".repeat(100_000);
        alice.post_bytes(&path, body(&note(65_536, &white))).await.expect(200);
        alice.post_bytes(&path, body(&note(65_537, &white))).await.expect_problem(413, "too_large");
        let read = alice.read_all(&id, 0).await;
        assert_eq!(revisions(&read), [1, 2]);
        assert_eq!(read[0]["data"], read[1]["data"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_1_mib_and_not_one_byte_more() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let padded = |body: &Value, size: usize| {
            let body = body.to_string();
            let white = " ".repeat(size - body.len());
            body + &white
        };
        let path = format!("/v1/drawings/{id}/ops");
        let ops = json!({"ops": [op(1)]});
        alice.post_bytes(&path, padded(&ops, (1 << 20) + 1)).await.expect_problem(413, "too_large");
        assert_eq!(alice.head(&id).await, 0);
        alice.post_bytes(&path, padded(&ops, 1 << 20)).await.expect(200);
        for (path, body) in [
            ("/v1/drawings".to_owned(), json!({})),
            (format!("/v1/drawings/{id}/links"), json!({"role": "viewer"})),
            ("/v1/dev/tokens".to_owned(), json!({"sub": "bob"})),
        ] {
            alice.post_bytes(&path, padded(&body, (1 << 20) + 1)).await.expect_problem(413, "too_large");
            let answer = alice.post_bytes(&path, padded(&body, 1 << 20)).await;
            assert!(matches!(answer.status, 200 | 201), "{path}: {answer:?}");
        }
    }
}
