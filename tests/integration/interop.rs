//! Other people's clients: Chromium, Python's `websockets`, npm's `ws`, tungstenite and curl, with both subprotocols,
//! compressed and not. All that they receive is compared with the log.

use loadtest::{
    proxy::Proxy,
    socket::{Direction, JSON, MESSAGE_PACK, Socket},
};
use serde_json::{Value, json};

use crate::support::{
    App, Client,
    asyncapi::check_message,
    interop::{Process, file, python},
    new_id, op,
};

/// Ops of the first commit, and of both.
const FEW: u64 = 3;
const ALL: u64 = 23;
/// A close handshake within one machine takes milliseconds; what waits for a timeout takes seconds.
const CLOSED_WITHIN_MS: f64 = 1_500.0;

/// A program that follows a drawing.
#[derive(Clone, Copy, Debug)]
enum Program {
    Python,
    Ws,
    Chromium,
}

impl Program {
    fn start(self, parameters: &Value) -> Process {
        let script = |name| file(name).display().to_string();
        let parameters = parameters.to_string();
        match self {
            Self::Python => Process::start(python(), &[&script("python.py"), &parameters]),
            Self::Ws => Process::start("node", &[&script("ws.mjs"), &parameters]),
            Self::Chromium => Process::start("node", &[&script("browser.mjs"), "socket", &parameters]),
        }
    }
}

/// A server, a drawing, and its owner.
struct Scene {
    app: App,
    alice: Client,
    drawing: String,
}

impl Scene {
    async fn new() -> Self {
        let app = App::sqlite().await;
        let alice = app.client("alice").await;
        let drawing = alice.create_drawing().await;
        Self { app, alice, drawing }
    }

    async fn ticket(&self) -> String {
        let ticket = self.alice.post("/v1/tickets", &Value::Null).await.expect(200).json();
        ticket["ticket"].as_str().unwrap().to_owned()
    }

    /// Small ops, and then large ones at once, which share frames worth compressing.
    async fn commit(&self) {
        self.alice.commit_some(&self.drawing, FEW).await;
        let large: Vec<_> = (FEW..ALL).map(large_op).collect();
        self.alice.commit(&self.drawing, &large).await.expect(200);
    }

    fn parameters(&self, ticket: &str, subprotocol: &str, compressed: bool) -> Value {
        json!({
            "base": self.app.base,
            "url": format!("{}/v1/ws?ticket={ticket}", self.app.base.replacen("http", "ws", 1)),
            "subprotocol": subprotocol,
            "compressed": compressed,
            "drawing_id": self.drawing,
            "last": ALL,
            "words": words(),
        })
    }
}

/// 10 KB that a client sends and wants back.
fn words() -> String {
    "draw a line ".repeat(10 * 1_024 / 12)
}

fn large_op(nth: u64) -> Value {
    let text = format!("the {nth}th note, ä → 🖍 ").repeat(200);
    json!({"op_id": new_id(), "type": "object.create", "object_id": format!("note-{nth}"), "kind": "text",
           "props": {"text": text, "at": [nth, -1.5, null, true]}})
}

/// A program follows a drawing from its head to the last op, with both subprotocols.
async fn follows(program: Program, compressed: bool) {
    for subprotocol in [JSON, MESSAGE_PACK] {
        let scene = Scene::new().await;
        let parameters = scene.parameters(&scene.ticket().await, subprotocol, compressed);
        let mut client = program.start(&parameters);
        let open = client.expect("open").await;
        assert_eq!(open["subprotocol"], subprotocol, "{program:?}: {open}");
        let agreed = open["extensions"].as_str().unwrap();
        assert_eq!(agreed.contains("permessage-deflate"), compressed, "{program:?}: {open}");
        let mut received = Vec::new();
        loop {
            let mut event = client.expect("message").await;
            check_message(Direction::Received, &event["message"]);
            match event["message"]["type"].as_str().unwrap() {
                "subscribed" => scene.commit().await,
                "ops" => match event["message"]["ops"].take() {
                    Value::Array(ops) => received.extend(ops),
                    other => panic!("{other}"),
                },
                "pong" => {
                    assert_eq!(event["message"]["t"], words(), "{program:?}");
                    break;
                }
                _ => (),
            }
        }
        let log = scene.alice.read_all(&scene.drawing, 0).await;
        assert_eq!(log.len() as u64, ALL);
        assert!(received == log, "{program:?} {subprotocol}: {received:?}\n{log:?}");
        expect_closed(&mut client, 1000).await;
        match program {
            Program::Python => {
                let wire = client.expect("wire").await;
                for direction in ["received", "sent"] {
                    let count = wire["compressed"][direction].as_u64().unwrap();
                    assert_eq!(count > 0, compressed, "{subprotocol}: {wire}");
                }
            }
            Program::Ws => {
                let wire = client.expect("wire").await["bytes"].as_u64().unwrap();
                let bytes: usize = log.iter().map(|op| op.to_string().len()).sum();
                assert_eq!(wire < bytes as u64 / 2, compressed, "{subprotocol}: {wire} of {bytes} bytes");
            }
            // Nothing in a page tells more than the agreement.
            Program::Chromium => (),
        }
        client.expect_end().await;
    }
}

/// The client has sent a close frame and got one, and the connection has ended with it. A heartbeat may have
/// been under way.
async fn expect_closed(client: &mut Process, code: u16) {
    let closed = loop {
        let event = client.event().await;
        if event["event"] == "closed" {
            break event;
        }
        assert_eq!(event["message"]["type"], "head", "{event}");
    };
    assert_eq!((&closed["code"], &closed["clean"]), (&json!(code), &json!(true)), "{closed}");
    assert!(closed["ms"].as_f64().unwrap() < CLOSED_WITHIN_MS, "{closed}");
}

/// A program whose ticket does not do sees why.
async fn is_turned_away(program: Program) {
    let scene = Scene::new().await;
    for subprotocol in [JSON, MESSAGE_PACK] {
        let mut client = program.start(&scene.parameters("forged", subprotocol, true));
        client.expect("open").await;
        expect_closed(&mut client, 4101).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_websockets_follows_a_drawing() {
    follows(Program::Python, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_websockets_follows_a_drawing_compressed() {
    follows(Program::Python, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_websockets_sees_why_it_is_turned_away() {
    is_turned_away(Program::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_ws_follows_a_drawing() {
    follows(Program::Ws, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_ws_follows_a_drawing_compressed() {
    follows(Program::Ws, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_ws_sees_why_it_is_turned_away() {
    is_turned_away(Program::Ws).await;
}

/// Chromium offers permessage-deflate always, so that there is no test without.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_follows_a_drawing_compressed() {
    follows(Program::Chromium, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_sees_why_it_is_turned_away() {
    is_turned_away(Program::Chromium).await;
}

/// tungstenite knows no extensions, so that there is no test with compression.
#[tokio::test(flavor = "multi_thread")]
async fn tungstenite_follows_a_drawing() {
    for subprotocol in [JSON, MESSAGE_PACK] {
        let scene = Scene::new().await;
        let mut socket = Socket::open_with(&scene.app.base, &scene.alice.token, subprotocol).await.unwrap();
        socket.subscribe(&scene.drawing, None).await.unwrap();
        scene.commit().await;
        let mut received = Vec::new();
        while received.len() < usize::try_from(ALL).unwrap() {
            received.extend(socket.receive_ops().await.unwrap());
        }
        assert_eq!(received, scene.alice.read_all(&scene.drawing, 0).await);
        socket.send(&json!({"type": "ping", "t": words()})).await.unwrap();
        assert_eq!(socket.receive_type("pong").await.unwrap()["t"], words());
        let answer = socket.close().await.unwrap().expect("the server closes too");
        assert_eq!(u16::from(answer.code), 1000);
    }
}

/// One event of a stream as curl prints it: its name, its id and its data.
async fn next_event(curl: &mut Process) -> (String, Option<String>, Value) {
    let (mut name, mut id, mut data) = (String::new(), None, Value::Null);
    loop {
        let line = curl.line().await.expect("the stream goes on");
        match line.split_once(": ") {
            Some(("event", value)) => value.clone_into(&mut name),
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("data", value)) => data = serde_json::from_str(value).unwrap(),
            None if line.is_empty() && !data.is_null() => {
                check_message(Direction::Received, &data);
                assert_eq!(data["type"], *name);
                return (name, id, data);
            }
            Some(("retry", value)) => assert!(value.parse::<u32>().is_ok(), "{line}"),
            // The blank line after a comment.
            None if line.is_empty() || line == ":" => (),
            other => panic!("{other:?}"),
        }
    }
}

/// Reads ops from a stream up to a revision; returns them, and the last id.
async fn ops_up_to(curl: &mut Process, last: u64) -> (Vec<Value>, String) {
    let mut ops = Vec::new();
    loop {
        let (name, id, data) = next_event(curl).await;
        if name == "ops" {
            ops.extend(data["ops"].as_array().unwrap().iter().cloned());
            if data["revision"] == last {
                return (ops, id.expect("ops have a position"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_follows_events_and_goes_on_from_its_last_id() {
    let scene = Scene::new().await;
    let url = format!("{}/v1/drawings/{}/events", scene.app.base, scene.drawing);
    let bearer = format!("Authorization: Bearer {}", scene.alice.token);
    let mut curl = Process::start("curl", &["-sSNf", "-H", &bearer, &url]);
    assert_eq!(next_event(&mut curl).await.0, "subscribed");
    scene.commit().await;
    let (received, id) = ops_up_to(&mut curl, ALL).await;
    assert_eq!(received, scene.alice.read_all(&scene.drawing, 0).await);
    drop(curl);
    scene.alice.commit(&scene.drawing, &[op(1), large_op(1)]).await.expect(200);
    let resume = format!("Last-Event-ID: {id}");
    let mut curl = Process::start("curl", &["-sSNf", "-H", &bearer, "-H", &resume, &url]);
    assert_eq!(next_event(&mut curl).await.0, "subscribed");
    let (received, _) = ops_up_to(&mut curl, ALL + 2).await;
    assert_eq!(received, scene.alice.read_all(&scene.drawing, ALL).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_resumes_events_by_itself_without_loss_or_repeat() {
    let scene = Scene::new().await;
    let port = scene.app.base.rsplit(':').next().unwrap().parse().unwrap();
    let proxy = Proxy::start(port).await.unwrap();
    let base = format!("http://127.0.0.1:{}", proxy.port);
    let url = format!("{base}/v1/drawings/{}/events?ticket={}", scene.drawing, scene.ticket().await);
    let parameters = json!({"base": base, "url": url, "last": ALL + 3}).to_string();
    let script = file("browser.mjs").display().to_string();
    let mut browser = Process::start("node", &[&script, "events", &parameters]);
    let (mut received, mut errors, mut opened) = (Vec::<Value>::new(), 0, 0);
    while received.len() < usize::try_from(ALL + 3).unwrap() {
        let event: Value = serde_json::from_str(&browser.line().await.expect("it goes on")).unwrap();
        match event["event"].as_str().unwrap() {
            "open" => opened += 1,
            "error" => {
                assert_eq!(event["reconnects"], true);
                if errors == 0 {
                    // While nobody can come in, the drawing goes on.
                    scene.alice.commit(&scene.drawing, &[op(1), op(2)]).await.expect(200);
                    proxy.restore();
                }
                errors += 1;
            }
            _ => {
                let message = &event["message"];
                check_message(Direction::Received, message);
                match event["name"].as_str().unwrap() {
                    "subscribed" if received.is_empty() => scene.commit().await,
                    "subscribed" => {
                        scene.alice.commit(&scene.drawing, &[op(3)]).await.expect(200);
                    }
                    "ops" => received.extend(message["ops"].as_array().unwrap().iter().cloned()),
                    _ => (),
                }
                if received.len() as u64 == ALL && errors == 0 {
                    proxy.cut();
                }
            }
        }
    }
    assert_eq!(received, scene.alice.read_all(&scene.drawing, 0).await);
    assert!(errors > 0 && opened == 2, "{errors} errors, opened {opened} times");
    browser.expect_end().await;
}
