//! Random bodies: ten thousand valid requests, most of them damaged at random, on every writing path.
//!
//! Whatever comes, the server answers with its own problem bodies, commits what it says it
//! commits and nothing else, and hands out a log that is JSON.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{App, Client, new_id, op, revisions};

const REQUESTS: u64 = 10_000;
const CONNECTIONS: u64 = 8;
/// Decides on every body; change it to see others.
const SEED: u64 = 0x5eed_0001;

/// The pieces that are put into bodies: the seams of JSON, of numbers and of strings.
const PIECES: [&[u8]; 30] = [
    b"null",
    b"{}",
    b"[]",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"\0",
    b"\xff",
    b"\xc3\xa4",
    b"\xf0\x9f\x98\x80",
    b"1e400",
    b"-0",
    b"9007199254740993",
    b"1.50",
    b"-",
    b"e9",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"\"ops\":",
    b"\"op_id\":",
    b"\"type\":\"canvas.clear\"",
    b" \n\t",
    b"\"a\":1,\"a\":1",
];

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    /// Damages a body in place, once.
    fn damage(&mut self, body: &mut Vec<u8>) {
        let at = self.below(body.len() + 1);
        let end = (at + self.below(24)).min(body.len());
        match self.below(10) {
            0 if at < body.len() => body[at] ^= 1 << self.below(8),
            1 if at < body.len() => body[at] = self.next().to_le_bytes()[0],
            2 => drop(body.drain(at..end)),
            3 => {
                let piece = PIECES[self.below(PIECES.len())];
                body.splice(at..at, piece.iter().copied());
            }
            4 => {
                let piece = PIECES[self.below(PIECES.len())];
                body.splice(at..end, piece.iter().copied());
            }
            5 => {
                let copy = body[at..end].to_vec();
                let to = self.below(body.len() + 1);
                body.splice(to..to, copy);
            }
            6 => body.truncate(at),
            _ => self.replace_value(body),
        }
    }

    /// Puts a piece in the place of a value, so that the body often stays JSON.
    fn replace_value(&mut self, body: &mut Vec<u8>) {
        let colons: Vec<usize> = (0..body.len()).filter(|at| body[*at] == b':').collect();
        let Some(start) = colons.get(self.below(colons.len())).map(|at| at + 1) else { return };
        let length = body[start..].iter().position(|b| matches!(b, b',' | b'}')).unwrap_or_default();
        let values: [&[u8]; 9] = [
            b"null",
            b"{}",
            b"[]",
            b"\"\"",
            b"\"\\u0000\"",
            b"0",
            b"-1.5e3",
            b"[[1,2],[3,4,5]]",
            b"{\"x\":{}}",
        ];
        body.splice(start..start + length, values[self.below(values.len())].iter().copied());
    }
}

/// Valid ops of every type, each with an id of its own.
fn valid_ops(random: &mut Random) -> Value {
    let one = |random: &mut Random| {
        let mut op = match random.below(9) {
            0 => {
                json!({"type": "object.create", "object_id": "a", "kind": "rect", "z": "a", "props": {"x": 1.5}})
            }
            1 => json!({"type": "object.update", "object_id": "a", "set": {"x": [1, "ä"]}, "unset": ["y"]}),
            2 => json!({"type": "object.delete", "object_ids": ["a", "b"]}),
            3 => {
                json!({"type": "stroke.begin", "object_id": "s", "tool": "pen", "props": {}, "points": [[1, 2]]})
            }
            4 => json!({"type": "stroke.append", "object_id": "s", "index": 1, "points": [[1, 2, 0.5]]}),
            5 => json!({"type": "stroke.end", "object_id": "s", "count": 1}),
            6 => json!({"type": "canvas.set", "set": {"background": "#fff"}}),
            7 => json!({"type": "canvas.clear", "meta": {"k": null}, "client_id": "tab"}),
            _ => json!({"type": "custom.a", "data": {"x": [true, {"y": "\u{0}"}]}}),
        };
        op["op_id"] = new_id().into();
        op
    };
    let count = 1 + random.below(3);
    json!({"ops": (0..count).map(|_| one(random)).collect::<Vec<_>>()})
}

/// A writing path with a body that it takes.
fn valid_request(random: &mut Random, drawing: &str) -> (Method, String, Value) {
    let path = |rest: &str| format!("/v1/drawings/{drawing}{rest}");
    match random.below(10) {
        0 => (Method::POST, "/v1/drawings".to_owned(), json!({"drawing_id": new_id(), "title": "Cave"})),
        1 => (Method::PUT, path("/members/bob"), json!({"role": "editor"})),
        2 => (Method::POST, path("/links"), json!({"role": "viewer", "expires_at": 4_102_444_800_000_u64})),
        3 => (Method::PATCH, path(""), json!({"title": "Crypt"})),
        4 => {
            let what = ["/undo", "/redo"][random.below(2)];
            (Method::POST, path(what), json!({"scope": "all", "op_id": new_id()}))
        }
        _ => (Method::POST, path("/ops"), valid_ops(random)),
    }
}

/// Sends one connection's share of bodies; returns how many ops were committed.
async fn damage_and_send(client: Client, drawing: String, mut random: Random, served: Arc<AtomicU64>) -> u64 {
    let mut committed = 0;
    for _ in 0..REQUESTS / CONNECTIONS {
        let (method, path, body) = valid_request(&mut random, &drawing);
        let mut body = body.to_string().into_bytes();
        for _ in 0..random.below(4) {
            random.damage(&mut body);
        }
        let request = client.request(method, &path).header("content-type", "application/json");
        let answer = Client::send(request.body(body.clone())).await.expect("the server answers");
        let shown = String::from_utf8_lossy(&body);
        match answer.status {
            200 | 201 => {
                served.fetch_add(1, Ordering::Relaxed);
                if let Some(results) = answer.json()["results"].as_array() {
                    committed += results.iter().filter(|result| result["duplicate"] == false).count() as u64;
                }
            }
            400..500 => drop(answer.code()),
            status => panic!("{status} for {path} {shown}"),
        }
    }
    committed
}

/// Requests that ended in a panic so far.
async fn panics(client: &Client) -> f64 {
    let text = String::from_utf8(client.get("/metrics").await.expect(200).bytes).unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("revcast_panics_total "));
    count.expect("the metric is there").parse().unwrap()
}

async fn survives_random_bodies(app: App) {
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    let panics_before = panics(&alice).await;
    let served = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|nth| {
            let random = Random(SEED.wrapping_mul(nth + 1));
            tokio::spawn(damage_and_send(alice.clone(), drawing.clone(), random, served.clone()))
        })
        .collect();
    let mut committed = 0;
    for task in tasks {
        committed += task.await.unwrap();
    }
    let served = served.load(Ordering::Relaxed);
    assert!((REQUESTS / 5..REQUESTS / 2).contains(&served), "most damage does harm, some does not: {served}");
    assert_eq!(alice.head(&drawing).await, committed, "what was refused is not in the log");
    let log = alice.read_all(&drawing, 0).await;
    assert_eq!(revisions(&log), (1..=committed).collect::<Vec<_>>());
    assert!(log.iter().all(|op| op["op_id"].is_string() && op["type"].is_string() && op["actor"] == "alice"));
    assert!((panics(&alice).await - panics_before).abs() < f64::EPSILON, "a handler panicked");
    alice.commit(&drawing, &[op(1)]).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bodies_do_no_harm_on_sqlite() {
    survives_random_bodies(App::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bodies_do_no_harm_on_postgres() {
    survives_random_bodies(App::postgres().await).await;
}
