//! Connections after an answer: a client must be told whether one goes on before it sends its next request.

use std::{collections::HashMap, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::support::{App, Client, new_id};

/// Time to wait for bytes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names and values.
type Headers<'a> = &'a [(&'a str, &'a str)];

/// A connection on which a test writes by itself.
struct Wire {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Wire {
    async fn open(app: &App) -> Self {
        let host = app.base.strip_prefix("http://").unwrap().to_owned();
        let stream = TcpStream::connect(&host).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), host }
    }

    /// Sends the head of a request.
    async fn send_head(&mut self, method: &str, path: &str, headers: Headers<'_>) {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n{lines}\r\n", self.host);
        self.send(&head).await;
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads an answer to its end: its status, and what its header `Connection` says.
    async fn answer(&mut self) -> (u16, Option<String>) {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            timeout(PATIENCE, self.stream.read_line(&mut line)).await.expect("an answer").unwrap();
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_ascii_lowercase()),
            }
        }
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HashMap<_, _> = lines[1..].iter().filter_map(|line| line.split_once(": ")).collect();
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        self.stream.read_exact(&mut body).await.unwrap();
        (status, headers.get("connection").map(|value| (*value).to_owned()))
    }

    /// Waits for the end of the connection, however it ends.
    async fn ends(&mut self) {
        let mut rest = Vec::new();
        let end = timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await;
        // Bytes that nobody has read may reset it.
        drop(end.expect("the connection ends"));
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
}

fn bearer(client: &Client) -> String {
    format!("Bearer {}", client.token)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_body_was_read_says_that_the_connection_ends() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let (ops, authorization) = (format!("/v1/drawings/{id}/ops"), bearer(&alice));
    let auth = ("authorization", &*authorization);
    let json = ("content-type", "application/json");
    let lengths = [("content-length", "11"), ("transfer-encoding", "chunked")];
    let bodies = [r#"{"ops":[{}]"#, "b\r\n{\"ops\":[{}]\r\n0\r\n\r\n"];
    for (length, body) in lengths.into_iter().zip(bodies) {
        let rows: [(u16, &str, &str, Headers<'_>); 6] = [
            (401, "POST", &ops, &[json, length]),
            (401, "POST", "/v1/tickets", &[length]),
            (400, "POST", "/v1/drawings/7/ops", &[auth, json, length]),
            (415, "POST", &ops, &[auth, ("content-type", "text/plain"), length]),
            (404, "POST", "/v2/drawings", &[auth, json, length]),
            (405, "PUT", &ops, &[auth, json, length]),
        ];
        for (status, method, path, headers) in rows {
            let mut wire = Wire::open(&app).await;
            wire.send_head(method, path, headers).await;
            let answer = wire.answer().await;
            assert_eq!(answer, (status, Some("close".to_owned())), "{method} {path} {length:?}");
            // The rest of the request comes too late, or finds the connection closed.
            let _ = wire.stream.write_all(body.as_bytes()).await;
            wire.ends().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_ends_the_connection() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let mut wire = Wire::open(&app).await;
    let authorization = bearer(&alice);
    let headers = [
        ("authorization", &*authorization),
        ("content-type", "application/json"),
        ("content-length", "9000000"),
    ];
    wire.send_head("POST", &format!("/v1/drawings/{id}/ops"), &headers).await;
    wire.send(&" ".repeat((1 << 20) + 1)).await;
    assert_eq!(wire.answer().await, (413, Some("close".to_owned())));
    wire.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_goes_on_after_answers_to_what_was_read() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let (ops, authorization) = (format!("/v1/drawings/{id}/ops"), bearer(&alice));
    let auth = ("authorization", &*authorization);
    let json = ("content-type", "application/json");
    let op = format!(r#"{{"ops":[{{"op_id":"{}","type":"canvas.clear"}}]}}"#, new_id());
    let elsewhere = format!("/v1/drawings/{}/ops", new_id());
    let rows: [(u16, &str, &str, Headers<'_>, &str); 9] = [
        (200, "POST", &ops, &[auth, json], &op),
        (422, "POST", &ops, &[auth, json], r#"{"ops":[{}]}"#),
        (400, "POST", &ops, &[auth, json], "{"),
        (404, "POST", &elsewhere, &[auth, json], &op),
        (401, "POST", &ops, &[json], ""),
        (415, "POST", &ops, &[auth], ""),
        (404, "GET", "/nowhere", &[], ""),
        (405, "PUT", "/healthz", &[], ""),
        (200, "GET", "/healthz", &[], ""),
    ];
    // All on one connection.
    let mut wire = Wire::open(&app).await;
    for is_chunked in [false, true] {
        for (status, method, path, headers, body) in rows {
            let mut headers = headers.to_vec();
            let length = body.len().to_string();
            let is_chunked = is_chunked && !body.is_empty();
            headers.push(if is_chunked {
                ("transfer-encoding", "chunked")
            } else {
                ("content-length", &length)
            });
            wire.send_head(method, path, &headers).await;
            if is_chunked {
                wire.send(&format!("{:x}\r\n{body}\r\n", body.len())).await;
                wire.send("0\r\n\r\n").await;
            } else {
                wire.send(body).await;
            }
            assert_eq!(wire.answer().await, (status, None), "{method} {path} {body}");
        }
    }
}
