//! The program against real servers, some of which are behind a proxy that lies.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there and then")]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use loadtest::services::{Revcast, TempFolder};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_revcast-load");

/// A server with guests, and its folder.
struct Server {
    revcast: Revcast,
    _folder: TempFolder,
}

impl Server {
    fn start(flags: &[&str]) -> Self {
        let binary = Path::new(PROGRAM).with_file_name("revcast");
        assert!(binary.exists(), "build the server first: cargo test --workspace does");
        let folder = TempFolder::new("load-test").unwrap();
        let database = format!("sqlite://{}", folder.path().join("load.db").display());
        let flags = [&["--dev", "--database-url", &database], flags].concat();
        Self { revcast: Revcast::start(&binary, &flags).unwrap(), _folder: folder }
    }

    fn base(&self) -> &str {
        &self.revcast.base
    }
}

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name)
}

fn run(url: &str, flags: &[&str]) -> Output {
    Command::new(PROGRAM).args(["--url", url, "--quiet"]).args(flags).output().unwrap()
}

/// A run that has to end with this code; what it says, all of it.
fn ends_with(code: i32, url: &str, flags: &[&str]) -> String {
    let output = run(url, flags);
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// The checks that a run through a lying proxy fails.
fn failed(lie: impl FnMut(&mut [u8]) + Send + 'static) -> Vec<String> {
    let server = Server::start(&[]);
    let proxy = lying_proxy(server.base(), lie);
    let flags = ["--readers", "3", "--writers", "1", "--ops-per-second", "20", "--duration", "3s"];
    let said = ends_with(1, &proxy, &flags);
    said.lines().filter_map(|line| line.strip_prefix("FAIL  ")).map(ToOwned::to_owned).collect()
}

/// Passes everything on, and shows what the server says to `lie`, which may change it in place.
fn lying_proxy(base: &str, lie: impl FnMut(&mut [u8]) + Send + 'static) -> String {
    let server = base.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let lie = Arc::new(Mutex::new(lie));
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut upstream) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            let (mut to_client, mut to_server) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            // Either side may have gone; then the other one is told so by the end of its stream.
            thread::spawn(move || {
                let _ = std::io::copy(&mut client, &mut to_server);
                let _ = to_server.shutdown(std::net::Shutdown::Write);
            });
            let lie = lie.clone();
            thread::spawn(move || {
                let mut buffer = vec![0; 256 * 1024];
                while let Ok(read @ 1..) = upstream.read(&mut buffer) {
                    lie.lock().unwrap()(&mut buffer[..read]);
                    if to_client.write_all(&buffer[..read]).is_err() {
                        return;
                    }
                }
                let _ = to_client.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    format!("http://{address}")
}

/// The index at which `text` first stands.
fn find(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text.as_bytes())
}

#[test]
fn a_good_server_passes_and_the_result_is_told_in_all_three_forms() {
    let server = Server::start(&[]);
    let folder = TempFolder::new("load-result").unwrap();
    let (json, html) = (folder.path().join("r.json"), folder.path().join("r.html"));
    let smoke = scenario("smoke.toml");
    let flags = [
        smoke.to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
        "--html",
        html.to_str().unwrap(),
        "--deflate",
    ];
    let said = ends_with(0, server.base(), &flags);
    assert!(!said.contains("FAIL"), "{said}");
    let result: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    // 120 ops a second for five seconds, and half as many during the ramp.
    assert_eq!(result["totals"]["offered"], 660);
    assert_eq!(result["totals"]["acknowledged"], 660);
    assert_eq!(result["totals"]["delivered"], 6_600);
    assert!(result["totals"]["presence_frames"].as_u64().unwrap() > 0);
    // Those of the ramp are not in the summary, and undos do not bear a time.
    assert_eq!(result["answer"]["count"], 600);
    let delivered = result["delivery"]["count"].as_u64().unwrap();
    assert!((4_000..6_000).contains(&delivered), "{delivered}");
    let seconds = result["seconds"].as_array().unwrap();
    let by_second = |name: &str| seconds.iter().map(|second| second[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((by_second("acknowledged"), by_second("delivered")), (660, 6_600));
    let page = std::fs::read_to_string(html).unwrap();
    assert_eq!(page.matches("<svg").count(), 5);
    assert!(page.contains("acknowledged ops are in the log, at their revision"), "{page}");
}

#[test]
fn an_answer_with_another_revision_is_found() {
    let mut lies = 0;
    let checks = failed(move |bytes| {
        // One digit of one answer, once there are two digits.
        let Some(at) = find(bytes, "\"results\":[{") else { return };
        let Some(revision) = find(&bytes[at..], "\"revision\":1") else { return };
        let digit = at + revision + "\"revision\":1".len();
        if lies == 0 && bytes[digit].is_ascii_digit() {
            bytes[digit] = if bytes[digit] == b'9' { b'0' } else { bytes[digit] + 1 };
            lies += 1;
        }
    });
    assert!(checks.iter().any(|check| check.starts_with("acknowledged ops are in the log")), "{checks:?}");
}

#[test]
fn a_frame_that_is_lost_on_its_way_is_found() {
    let mut lies = 0;
    let checks = failed(move |bytes| {
        // A message of a type that no reader knows.
        if lies == 0
            && let Some(at) = find(bytes, "{\"type\":\"ops\"")
        {
            bytes[at + "{\"type\":\"op".len()] = b'x';
            lies += 1;
        }
    });
    assert!(checks.iter().any(|check| check.starts_with("no reader saw a gap")), "{checks:?}");
}

#[test]
fn an_op_that_readers_are_told_under_another_id_is_found() {
    let checks = failed(|bytes| {
        if find(bytes, "\"type\":\"ops\"").is_none() {
            return;
        }
        // The same lie to all readers: none of them sees anything odd.
        let mut from = 0;
        while let Some(at) = find(&bytes[from..], "\"op_id\":\"") {
            let last = from + at + "\"op_id\":\"".len() + 35;
            let Some(digit) = bytes.get_mut(last) else { return };
            *digit = if *digit == b'a' { b'b' } else { b'a' };
            from = last;
        }
    });
    assert_eq!(checks.len(), 1, "{checks:?}");
    assert!(checks[0].starts_with("readers were told what the logs hold"), "{checks:?}");
}

#[test]
fn no_server_no_token_and_no_sense_are_said_in_a_sentence() {
    let nobody = format!("http://127.0.0.1:{}", loadtest::services::free_port().unwrap());
    let said = ends_with(2, &nobody, &[]);
    assert!(said.contains("no server answers at") && said.contains("refused"), "{said}");
    let server = Server::start(&[]);
    let said = ends_with(2, server.base(), &["--token", "nonsense"]);
    assert!(said.contains("401 unauthenticated"), "{said}");
    let said = ends_with(2, server.base(), &["--readers", "0"]);
    assert!(said.contains("readers must be 1 to"), "{said}");
    let said = ends_with(2, "https://127.0.0.1", &[]);
    assert!(said.contains("is not http://"), "{said}");
    let said = ends_with(2, server.base(), &["missing.toml"]);
    assert!(said.contains("missing.toml cannot be read"), "{said}");
}

#[test]
fn a_limit_that_is_reached_is_said_with_what_to_do() {
    let server = Server::start(&["--write-ops-per-second", "20"]);
    let said =
        ends_with(1, server.base(), &["--writers", "1", "--ops-per-second", "200", "--duration", "3s"]);
    assert!(said.contains("429 rate_limited") && said.contains("--write-ops-per-second"), "{said}");
    let server = Server::start(&["--connections-per-user", "2"]);
    let said = ends_with(2, server.base(), &["--users", "1"]);
    assert!(said.contains("--connections-per-user"), "{said}");
}

#[test]
fn what_was_promised_and_not_kept_fails_the_run() {
    let server = Server::start(&[]);
    let said = ends_with(1, server.base(), &["--duration", "3s", "--expect-delivery-p99-ms", "0.001"]);
    assert!(said.contains("FAIL  op due → reader, p99 at most 0.001 ms"), "{said}");
}

#[test]
fn a_server_that_dies_breaks_its_promise_and_what_is_known_is_told() {
    let mut server = Server::start(&[]);
    let url = server.base().to_owned();
    let folder = TempFolder::new("load-broken-off").unwrap();
    let json = folder.path().join("result.json");
    let child = thread::spawn({
        let json = json.clone();
        move || run(&url, &["--duration", "60s", "--json", json.to_str().unwrap()])
    });
    wait_until_somebody_draws(server.base());
    server.revcast.kill().unwrap();
    let output = child.join().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("the load was broken off: a request was not answered within"), "{said}");
    assert!(said.contains("FAIL  the logs can be read again"), "{said}");
    let result: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert!(
        result["totals"]["acknowledged"].as_u64().is_some_and(|acknowledged| acknowledged > 0),
        "{result}"
    );
}

#[test]
fn a_load_that_is_broken_off_is_audited_all_the_same() {
    let server = Server::start(&[]);
    // From the twenty-first answer on, none can be understood.
    let mut answers = 0;
    let proxy = lying_proxy(server.base(), move |bytes| {
        if let Some(at) = find(bytes, "\"results\"") {
            answers += 1;
            if answers > 20 {
                bytes[at + 1] = b'R';
            }
        }
    });
    let said = ends_with(1, &proxy, &["--duration", "60s"]);
    assert!(said.contains("the load was broken off: an answer cannot be read"), "{said}");
    assert!(said.contains("that got no answer"), "{said}");
    assert!(said.contains("ok    acknowledged ops are in the log, at their revision"), "{said}");
}

/// Waits until ops are committed, as the server's own counter says.
fn wait_until_somebody_draws(base: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_written_to(base) {
        assert!(Instant::now() < deadline, "nobody draws");
        thread::sleep(Duration::from_millis(50));
    }
}

/// True if ops have been committed, as the server's own counter says.
fn is_written_to(base: &str) -> bool {
    let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("revcast_ops_total "));
    count.is_some_and(|count| count != "0")
}
