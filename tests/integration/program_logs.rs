//! What the program writes to standard output while it serves.

use loadtest::services::TempFolder;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{eventually, program, within};

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

/// How a JWT begins.
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
