//! The OpenAPI document and the server, held against each other by Schemathesis: what fits the document is taken, what
//! does not is refused, and every answer is one that the document has.
//!
//! `tests/interop/schemathesis` has what it is told besides. The events and the socket never end, and are left out.

use std::{process::Stdio, time::Duration};

use loadtest::services::TempFolder;
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use crate::support::{App, LIFTED_LIMITS, interop};

/// Time for one run, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// The findings of a run.
struct Verdict {
    is_sound: bool,
    report: String,
}

/// Asks the server all that a document suggests. The seed makes it the same each time, as far as the server is.
async fn examine(app: &App, document: &Value, arguments: &[&str]) -> Verdict {
    let alice = app.client("alice").await;
    // The notes that it keeps from run to run go with the folder.
    let folder = TempFolder::new("schemathesis").unwrap();
    std::fs::write(folder.path().join("openapi.json"), document.to_string()).unwrap();
    let told = interop::file("schemathesis");
    let program = interop::python().with_file_name("schemathesis");
    let mut command = Command::new(&program);
    command.current_dir(folder.path()).arg("--config-file").arg(told.join("schemathesis.toml"));
    command.args(["run", "openapi.json", "--url", &app.base, "--no-color", "--seed", "1"]).args(arguments);
    command.env("PYTHONPATH", &told).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("REVCAST_BASE", &app.base).env("REVCAST_USER", "alice").env("REVCAST_TOKEN", &alice.token);
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(PATIENCE, run).await.expect("it ends");
    let output = output.unwrap_or_else(|error| panic!("{program:?} does not start, run make setup: {error}"));
    let text = [output.stdout, output.stderr].concat();
    Verdict { is_sound: output.status.success(), report: String::from_utf8_lossy(&text).into_owned() }
}

fn document() -> Value {
    serde_json::to_value(revcast::server::openapi_document()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_answers_as_the_document_says_whatever_it_is_asked() {
    let app = App::sqlite_with(&[&["--connections-per-user", "0"][..], &LIFTED_LIMITS].concat()).await;
    let live = ["--exclude-path", "/v1/ws", "--exclude-path", "/v1/drawings/{drawing_id}/events"];
    let verdict = examine(&app, &document(), &[&live[..], &["--max-examples", "6"]].concat()).await;
    assert!(verdict.is_sound, "{}", verdict.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_wrong_is_found_out() {
    let app = App::sqlite_with(&LIFTED_LIMITS).await;
    let only = ["--include-name", "GET /v1/drawings", "--phases", "coverage"];
    let sound = examine(&app, &document(), &only).await;
    assert!(sound.is_sound, "{}", sound.report);
    let list = "/paths/~1v1~1drawings/get";
    // An answer that is missing, a bound that is too wide, a body of another type.
    let wrong: [(&str, Value, &str); 3] = [
        ("/responses/400", json!(null), "Undocumented status code"),
        ("/parameters/0/schema/maximum", json!(1_000), "Schema-valid request rejected"),
        (
            "/responses/200/content/application~1json/schema",
            json!({"type": "array"}),
            "Response violates schema",
        ),
    ];
    for (place, value, complaint) in wrong {
        let mut document = document();
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(&format!("{list}{parent}")).unwrap().as_object_mut().unwrap();
        assert!(parent.remove(name).is_some(), "{place}");
        if !value.is_null() {
            parent.insert(name.to_owned(), value);
        }
        let verdict = examine(&app, &document, &only).await;
        assert!(!verdict.is_sound && verdict.report.contains(complaint), "{place}: {}", verdict.report);
    }
}
