//! The beginning of a request, byte by byte: hosts, targets, and how a body is framed.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{App, Client, eventually, program::Serving};

/// Time to wait for an answer and the end of its connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns all that comes back until the connection ends.
async fn all_that_comes(app: &App, request: &str) -> String {
    let mut stream = TcpStream::connect(app.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("the connection ends").unwrap();
    String::from_utf8(answer).unwrap()
}

/// The statuses of all answers.
fn statuses(answers: &str) -> Vec<u16> {
    let lines = answers.lines().filter_map(|line| line.split("HTTP/1.").nth(1));
    lines.filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect()
}

/// A request that is the last one of its connection.
fn request(line: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{line}\r\n{headers}connection: close\r\n\r\n")
}

#[track_caller]
fn expect_problem(answer: &str, what: &str) {
    assert_eq!(statuses(answer), [400], "{what}: {answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-type: application/problem+json"), "{what}: {answer}");
    assert!(head.contains("x-request-id: "), "{what}: {answer}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["code"], "invalid_request", "{what}: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_one_host() {
    // Preflights are answered before a request reaches its path.
    for flags in [&["--dev"][..], &["--jwt-secret", "0123456789abcdef0123456789abcdef"]] {
        let app = App::sqlite_without_dev(flags).await;
        for line in ["GET /healthz", "GET /nowhere", "OPTIONS /v1/drawings", "POST /v1/drawings", "HEAD /"] {
            for hosts in
                [&[][..], &["host: a", "host: a"], &["host: a", "host: b"], &["host:"], &["host: a b"]]
            {
                if line.starts_with("HEAD") {
                    let answer = all_that_comes(&app, &request(&format!("{line} HTTP/1.1"), hosts)).await;
                    assert_eq!(statuses(&answer), [400], "{line} {hosts:?}: {answer}");
                    continue;
                }
                let answer = all_that_comes(&app, &request(&format!("{line} HTTP/1.1"), hosts)).await;
                expect_problem(&answer, &format!("{line} {hosts:?}"));
            }
        }
        for host in ["a@b", "http://a", "a/b", "[::1", "a:b", "a:80:80", "\u{e4}"] {
            let header = format!("host: {host}");
            let answer = all_that_comes(&app, &request("GET /healthz HTTP/1.1", &[&header])).await;
            expect_problem(&answer, host);
        }
        for host in ["a", "a:80", "A.example:", "[::1]:80", "127.0.0.1", "my_service"] {
            let header = format!("Host: {host}");
            let answer = all_that_comes(&app, &request("GET /healthz HTTP/1.1", &[&header])).await;
            assert_eq!(statuses(&answer), [200], "{host}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_request_may_do_without_a_host_but_not_with_two() {
    let app = App::sqlite().await;
    let answer = all_that_comes(&app, &request("GET /healthz HTTP/1.0", &[])).await;
    assert_eq!(statuses(&answer), [200], "{answer}");
    for hosts in [&["host: a", "host: b"][..], &["host: a b"]] {
        expect_problem(&all_that_comes(&app, &request("GET /healthz HTTP/1.0", hosts)).await, "1.0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_a_path_or_the_address_of_one() {
    let app = App::sqlite().await;
    let ask = async |line: &str| all_that_comes(&app, &request(line, &["host: here"])).await;
    // The address counts, whatever Host says.
    for target in ["http://elsewhere/healthz", "https://elsewhere:8443/healthz", "HTTP://elsewhere/healthz"] {
        let answer = ask(&format!("GET {target} HTTP/1.1")).await;
        assert_eq!(statuses(&answer), [200], "{target}: {answer}");
    }
    let odd = [
        "GET ftp://elsewhere/healthz",
        "GET http://user@elsewhere/healthz",
        "GET http://user:secret@elsewhere/healthz",
        "GET *",
        "OPTIONS *",
        "CONNECT here:80",
        "CONNECT /healthz",
        "GET here:80",
    ];
    for line in odd {
        expect_problem(&ask(&format!("{line} HTTP/1.1")).await, line);
    }
}

/// A body that would be a request by itself.
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nhost: hidden\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_framed_in_one_way() {
    let app = App::sqlite().await;
    let post = |headers: &str, body: &str| {
        format!(
            "POST /v1/dev/tokens HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
        )
    };
    // Chunks count, and what may be another request to somebody else is none: the connection ends.
    let both = [
        "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 99\r\n",
    ];
    for headers in both {
        let answer = all_that_comes(&app, &post(headers, &format!("2\r\n{{}}\r\n0\r\n\r\n{HIDDEN}"))).await;
        assert_eq!(statuses(&answer), [200], "{headers}: {answer}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{headers}: {answer}");
    }
    let malformed = [
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 2, 3\r\n",
        "content-length: 2,2\r\n",
        "content-length: +2\r\n",
        "content-length: -2\r\n",
        "content-length: 0x2\r\n",
        "content-length: 2 2\r\n",
        "content-length:\r\n",
        "content-length: 99999999999999999999\r\n",
        "content-length : 2\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
        "x-folded: a\r\n b\r\n",
        "x-folded: a\r\n\ttransfer-encoding: chunked\r\n",
        " content-length: 2\r\n",
        "no colon\r\n",
        "x-nul: a\0b\r\n",
        "x-return: a\rb\r\n",
    ];
    for headers in malformed {
        let answer = all_that_comes(&app, &post(headers, &format!("{{}}{HIDDEN}"))).await;
        assert_eq!(statuses(&answer), [400], "{headers:?}: {answer}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{headers:?}: {answer}");
    }
    // The same length twice is one length.
    let twice = post("content-length: 2\r\ncontent-length: 2\r\nconnection: close\r\n", "{}");
    assert_eq!(statuses(&all_that_comes(&app, &twice).await), [200]);
    let chunks = [
        "2;a=b\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}x\r\n0\r\n\r\n",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
    ];
    for (nth, chunk) in chunks.into_iter().enumerate() {
        let headers = "transfer-encoding: chunked\r\nconnection: close\r\n";
        let answer = all_that_comes(&app, &post(headers, chunk)).await;
        assert_eq!(statuses(&answer), [if nth == 0 { 200 } else { 400 }], "{chunk:?}: {answer}");
    }
    let old = "POST /v1/dev/tokens HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    assert_eq!(statuses(&all_that_comes(&app, old).await), [400]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_is_answered_and_ended() {
    let app = App::sqlite().await;
    // Whoever speaks HTTP/2 from the start could not read an answer.
    for (bytes, expected) in [
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[][..]),
        ("GET /healthz\r\n\r\n", &[400]),
        ("GET /healthz HTTP/3.0\r\n\r\n", &[400]),
        ("\u{16}\u{3}\u{1}\r\n\r\n", &[400]),
    ] {
        let answer = all_that_comes(&app, bytes).await;
        assert_eq!(statuses(&answer), expected, "{bytes:?}: {answer}");
    }
}

/// In a process of its own: within one, what is logged depends on who listens in other tests.
#[tokio::test]
async fn parameters_that_an_operation_does_not_have_are_logged_by_name() {
    let server = Serving::start(&["--log", "info,revcast=debug"]).await;
    let alice = Client::new(&server.base, "alice").await;
    let id = alice.create_drawing().await;
    let server = &server;
    let answered = async |path: &str| {
        eventually("the request is logged", || async {
            let lines = server.lines("DEBUG").into_iter();
            lines.filter(|line| line["message"] == "answered").rfind(|line| line["path"] == path)
        })
        .await
    };
    alice.get(&format!("/v1/drawings/{id}/members?after=1&token=hush-hush")).await.expect(200);
    let line = answered("/v1/drawings/{drawing_id}/members").await;
    assert_eq!(line["unknown_parameters"], "after token", "{line}");
    let refused = alice.get(&format!("/v1/drawings/{id}/ops?after=0&wiat=hush-hush")).await;
    refused.expect_problem(400, "invalid_request");
    let line = answered("/v1/drawings/{drawing_id}/ops").await;
    assert_eq!(line["unknown_parameters"], "wiat", "{line}");
    alice.get(&format!("/v1/drawings/{id}/events?ticket=hush-hush")).await.expect(401);
    let line = answered("/v1/drawings/{drawing_id}/events").await;
    assert_eq!(line["unknown_parameters"], Value::Null, "{line}");
    alice.get(&format!("/v1/drawings/{id}?hush-hush-hush-hush-hush-hush-hush-hush")).await.expect(200);
    let line = answered("/v1/drawings/{drawing_id}").await;
    assert_eq!(line["unknown_parameters"], "?", "{line}");
    alice.get(&format!("/v1/drawings/{id}?%0a=1&%1b[31m=1")).await.expect(200);
    alice.get("/v2/nowhere?page=hush-hush").await.expect(404);
    let line = answered("-").await;
    assert_eq!(line["unknown_parameters"], "page", "{line}");
    for level in ["ERROR", "WARN", "INFO", "DEBUG"] {
        for line in server.lines(level) {
            let line = line.to_string();
            assert!(!line.contains("hush") && !line.contains("\\u001b"), "{line}");
        }
    }
}
