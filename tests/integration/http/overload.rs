//! A node that is out of places for connections, and the listener for operators.

use std::{process::Stdio, time::Duration};

use loadtest::{http::Connection, services::TempFolder};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
};

use crate::support::{App, Client, eventually, program, within};

/// Open files of a node that runs out of them.
const OPEN_FILES: usize = 128;

/// The program under a small limit of open files.
struct Node {
    child: Child,
    /// `host:port`.
    address: String,
    /// The same for operators.
    admin: Option<String>,
    lines: Lines<BufReader<ChildStdout>>,
    _folder: TempFolder,
}

impl Node {
    async fn start(flags: &[&str]) -> Self {
        let folder = TempFolder::new("overload").unwrap();
        let path = folder.path().display();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {OPEN_FILES}; exec \"$0\" \"$@\"")]).arg(program::binary());
        command.args(["serve", "--dev", "--log-format", "json", "--listen", "127.0.0.1:0"]).args(flags);
        command.args(["--database-url", &format!("sqlite://{path}/revcast.db")]);
        command.args(["--blob-url", &format!("file:{path}/blobs"), "--drain-window", "0s"]);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut admin = None;
        let address = within("it listens", async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the node runs");
                let line: Value = serde_json::from_str(&line).unwrap();
                let address = || line["address"].as_str().unwrap().to_owned();
                match line["message"].as_str() {
                    Some("listening for operators") => admin = Some(address()),
                    Some("listening") => break address(),
                    _ => (),
                }
            }
        })
        .await;
        Self { child, address, admin, lines, _folder: folder }
    }

    async fn get(&self, path: &str) -> Response {
        get(&self.address, path).await
    }

    /// Opens connections until one of them is turned away without an answer, since it says nothing.
    async fn fill(&self) -> Vec<TcpStream> {
        let mut open = Vec::new();
        for _ in 0..2 * OPEN_FILES {
            open.push(TcpStream::connect(&self.address).await.unwrap());
        }
        within("there is no place left", async {
            loop {
                let mut byte = [0];
                let last = open.last_mut().unwrap();
                // Those with a place are waited for longer than this.
                if tokio::time::timeout(Duration::from_secs(5), last.read(&mut byte)).await.is_ok() {
                    return;
                }
                open.push(TcpStream::connect(&self.address).await.unwrap());
            }
        })
        .await;
        open
    }
}

/// A request on a connection of its own, which is answered soon.
async fn get(address: &str, path: &str) -> Response {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    client
        .get(format!("http://{address}{path}"))
        .send()
        .await
        .unwrap_or_else(|error| panic!("{path}: {error:?}"))
}

async fn expect_overloaded(response: Response) {
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "overloaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_places_tells_how_it_is_and_turns_the_others_away() {
    let node = Node::start(&[]).await;
    let idle = node.fill().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(node.get(path).await.status(), StatusCode::OK, "{path}");
    }
    expect_overloaded(node.get("/openapi.json").await).await;
    // So is one with a body, whatever becomes of that.
    let request = "POST /v1/dev/tokens HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n{";
    let mut writing = TcpStream::connect(&node.address).await.unwrap();
    writing.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("it is answered", writing.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("overloaded"), "{answer}");
    let metrics = node.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("revcast_connections_refused_total"), "{metrics}");
    drop(idle);
    eventually("it takes requests again", || async {
        (node.get("/openapi.json").await.status() == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_places_works_on_for_those_who_have_one() {
    let mut node = Node::start(&[]).await;
    let base = format!("http://{}", node.address);
    let alice = Client::new(&base, "alice").await;
    let mut held = Connection::open(&base, &alice.token).await.unwrap();
    assert_eq!(held.post("/v1/drawings", b"{}").await.unwrap(), 201);
    let _idle = node.fill().await;
    // The store opens the files that it needs.
    for _ in 0..20 {
        assert_eq!(held.post("/v1/drawings", b"{}").await.unwrap(), 201);
    }
    node.child.kill().await.unwrap();
    while let Some(line) = node.lines.next_line().await.unwrap() {
        assert!(!line.contains("could not be accepted"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_have_a_listener_of_their_own() {
    let node = Node::start(&["--admin-listen", "127.0.0.1:0"]).await;
    let admin = node.admin.clone().expect("it tells where it listens for operators");
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(&admin, path).await.status(), StatusCode::OK, "{path}");
    }
    assert_eq!(get(&admin, "/openapi.json").await.status(), StatusCode::NOT_FOUND);
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 404)] {
        assert_eq!(node.get(path).await.status(), status, "{path}");
    }
    let idle = node.fill().await;
    assert_eq!(get(&admin, "/metrics").await.status(), StatusCode::OK);
    assert_eq!(node.get("/readyz").await.status(), StatusCode::OK);
    assert_eq!(node.get("/metrics").await.status(), StatusCode::NOT_FOUND);
    expect_overloaded(node.get("/openapi.json").await).await;
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_answered_until_a_node_has_stopped() {
    let mut app = App::sqlite_with(&["--admin-listen", "127.0.0.1:0", "--drain-window", "2s"]).await;
    let admin = app.admin.clone().expect("it listens for operators");
    let alice = app.client("alice").await;
    let drawing = alice.create_drawing().await;
    // It leaves at some moment of the window.
    let mut sockets = Vec::new();
    for _ in 0..8 {
        let mut socket = alice.socket().await;
        socket.subscribe(&drawing, None).await.unwrap();
        sockets.push(socket);
    }
    assert_eq!(get(&admin, "/readyz").await.status(), StatusCode::OK);
    app.stop();
    let told = eventually("it tells that it stops", || async {
        let told = get(&admin, "/readyz").await;
        (told.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(told)
    })
    .await;
    assert_eq!(told.json::<Value>().await.unwrap()["status"], "draining");
    assert_eq!(get(&admin, "/metrics").await.status(), StatusCode::OK);
    drop(sockets);
    within("it stops", app.stopped()).await;
    // Another test may have taken the port; what it says there is something else.
    let patience = Duration::from_secs(1);
    let client = reqwest::Client::builder().timeout(patience).build().unwrap();
    let told = client.get(format!("http://{admin}/readyz")).send().await;
    let is_told = told.is_ok_and(|told| told.status() == StatusCode::SERVICE_UNAVAILABLE);
    assert!(!is_told, "nobody listens any more");
}
