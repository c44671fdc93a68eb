//! The lines that the program writes to standard output while it serves, and when it cannot.

use loadtest::services::TempFolder;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{App, eventually, program, within};

/// All lines of a server for development that logs in this form, up to where it serves.
async fn first_lines(format: &str) -> Vec<String> {
    let folder = TempFolder::new("program").unwrap();
    let path = folder.path().display();
    let (database, blobs) = (format!("sqlite://{path}/revcast.db"), format!("file:{path}/blobs"));
    let mut arguments = vec!["serve", "--dev", "--listen", "127.0.0.1:0", "--log-format", format];
    arguments.extend(["--database-url", &database, "--blob-url", &blobs]);
    let mut child = program::spawn(&arguments);
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = Vec::new();
    let address = within("the line listening", async {
        loop {
            let line = output.next_line().await.unwrap().expect("the server runs");
            let address = line.contains("listening").then(|| address_in(&line));
            lines.push(line);
            if let Some(address) = address {
                break address;
            }
        }
    })
    .await;
    // Whatever it says first is said before it serves.
    eventually("the server serves", || async {
        reqwest::get(format!("http://{address}/healthz")).await.ok()
    })
    .await;
    child.kill().await.unwrap();
    while let Some(line) = output.next_line().await.unwrap() {
        lines.push(line);
    }
    lines
}

fn address_in(line: &str) -> String {
    let from = line.find("127.0.0.1:").expect("the line bears the address");
    line[from..].chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect()
}

/// The beginning of a JWT.
const TOKEN: &str = "eyJ";

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_json_logs_is_json_and_none_has_a_token() {
    let lines = first_lines("json").await;
    for line in &lines {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "{line}");
        assert!(!line.contains(TOKEN), "{line}");
    }
    // A person gets the first steps.
    assert!(first_lines("pretty").await.iter().any(|line| line.contains(TOKEN)));
}

/// The only line of a run that fails, which must be JSON and an error.
async fn fatal(arguments: &[&str]) -> Value {
    let run = within("it fails", program::run(arguments)).await;
    assert!(!run.succeeded, "{run:?}");
    // Servers log to standard output, commands that print a result to standard error.
    let (log, other) =
        if arguments[0] == "serve" { (run.stdout, run.stderr) } else { (run.stderr, run.stdout) };
    assert_eq!(other, "", "{log}");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let errors: Vec<&Value> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(errors.len(), 1, "{log}");
    assert_eq!(lines.last(), errors.last().copied(), "{log}");
    errors[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ends_the_program_is_a_line_of_the_log() {
    let json = ["--log-format", "json"];
    let folder = TempFolder::new("fatal").unwrap();
    let path = folder.path().display();
    let database = format!("sqlite://{path}/revcast.db");
    let blob_url = format!("file:{path}/blobs");
    let serve = ["serve", "--dev", "--database-url", &database, "--blob-url", &blob_url];
    let nowhere = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database-url", "sqlite:///proc/none/a.db"];
    let taken_app = App::sqlite().await;
    let taken = taken_app.base.trim_start_matches("http://");
    for (arguments, cause) in [
        ([&serve[..], &json, &["--listen", taken]].concat(), "Address already in use"),
        ([&nowhere[..], &json].concat(), "/proc/none/a.db"),
        ([&["serve", "--listen", "127.0.0.1:0"], &json[..]].concat(), "no key is configured"),
        (
            [&serve[..], &json, &["--nats-url", "nats://127.0.0.1:1"]].concat(),
            "an SQLite file has one server",
        ),
        (
            [&["migrate", "--database-url", "sqlite:///proc/none/a.db"], &json[..]].concat(),
            "opening the SQLite",
        ),
        ([&["import", "--owner", "alice", "/proc/none"], &json[..]].concat(), "opening /proc/none"),
    ] {
        let error = fatal(&arguments).await;
        let told = error["error"].as_str().unwrap();
        assert!(told.contains(cause) && !told.contains('\n'), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_told_in_one_sentence_why_the_program_cannot_start() {
    let folder = TempFolder::new("sentence").unwrap();
    let path = folder.path().display();
    let database = format!("sqlite://{path}/revcast.db");
    let taken_app = App::sqlite().await;
    let taken = taken_app.base.trim_start_matches("http://");
    let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database-url", &database];
    let elsewhere = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database-url"];
    for (arguments, cause) in [
        (vec!["serve"], "no key is configured"),
        (vec!["serve", "--dev", "--listen", taken], "Address already in use"),
        ([&serve[..], &["--admin-listen", taken]].concat(), "Address already in use"),
        (vec!["serve", "--dev", "--listen", "nonsense"], "resolving nonsense"),
        ([&serve[..], &["--jwks-url", "nonsense"]].concat(), "--jwks-url must read"),
        ([&serve[..], &["--jwks-url", "ftp://a.example/keys"]].concat(), "--jwks-url must read"),
        ([&elsewhere[..], &["mysql://a.example/b"]].concat(), "the database URL must read"),
        ([&elsewhere[..], &["sqlite:///proc/none/a.db"]].concat(), "/proc/none"),
        ([&serve[..], &["--blob-url", "ftp://a.example/b"]].concat(), "the blob URL must read"),
        (vec!["import", "--owner", "a", "--database-url", &database, "/proc"], "Is a directory"),
        (vec!["verify", "--database-url", "sqlite:///proc/none.db"], "there is no folder data/blobs"),
        (vec!["verify", "--database-url", "sqlite:///proc/none.db", "--skip-snapshots"], "unable to open"),
        (vec!["token", "--sub", "a"], "no secret is configured"),
    ] {
        let mut command = tokio::process::Command::new(program::binary());
        // The default files are looked for where a program starts.
        command.args(&arguments).current_dir(folder.path()).env("RUST_BACKTRACE", "full").kill_on_drop(true);
        let ended = within("it ends", command.output()).await.unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success(), "{arguments:?}");
        assert_eq!(told.lines().count(), 1, "{arguments:?}: {told}");
        assert!(told.starts_with("error: ") && told.contains(cause), "{arguments:?}: {told}");
        // A cause is not told again by what it caused.
        let parts: Vec<&str> = told.trim_end().split(": ").collect();
        assert!(parts.windows(2).all(|pair| pair[0] != pair[1]), "{told}");
        let log = String::from_utf8(ended.stdout).unwrap();
        assert!(!log.contains("ERROR") && !log.contains("panicked"), "{arguments:?}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_address_that_a_person_reads_is_that_of_the_whiteboard() {
    let lines = first_lines("pretty").await;
    let first = lines.iter().find(|line| line.contains("127.0.0.1:")).unwrap();
    let address = first.strip_prefix("The whiteboard: ").expect(first);
    assert!(address.starts_with("http://127.0.0.1:") && address.ends_with('/'), "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_knows_its_version() {
    let run = program::run(&["--version"]).await;
    assert_eq!(run.stdout, concat!("revcast ", env!("CARGO_PKG_VERSION")));
}
