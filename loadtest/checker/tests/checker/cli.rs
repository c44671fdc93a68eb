//! The program: what it prints, and with which status it ends.

use std::process::{Command, Output};

use crate::{
    doctor::{Doctor, logs},
    support::Scratch,
};
use revcast_checker::generate::{Plan, history};

const CLIENT: &str = r#"{"event":"client","client":"a","user":"alice"}"#;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_revcast-checker")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_correct_history_ends_with_0_and_a_table() {
    let scratch = Scratch::new();
    let path = scratch.file("history.ndjson", &history(Plan { seed: 2, events: 2_000, drawings: 2 }));
    let output = run(&[path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let table = text(&output.stdout);
    assert!(table.contains("2 drawings, 7 clients"), "{table}");
    for (name, _) in revcast_checker::checks() {
        assert!(table.contains(name), "{name} is missing: {table}");
    }
}

#[test]
fn a_check_that_has_examined_nothing_says_so() {
    let scratch = Scratch::new();
    let path = scratch.text("history.ndjson", &format!("{CLIENT}\n"));
    let output = run(&[path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let table = text(&output.stdout);
    let checks = revcast_checker::checks().count();
    assert_eq!(table.matches("nothing").count(), checks, "{table}");
}

#[test]
fn findings_end_with_1_also_as_json() {
    let scratch = Scratch::new();
    let mut doctor = Doctor::new(5);
    logs::hole(&mut doctor);
    let path = scratch.file("history.ndjson", &doctor.lines);
    let output = run(&["--json", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["events"], doctor.lines.len());
    assert_eq!(report["findings"][0]["check"], "log_contiguous");
    assert_eq!(report["findings"][0]["where"][0]["line"], doctor.lines.len());
    let counted =
        report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "log_contiguous");
    assert_eq!(counted.unwrap()["findings"], 1);
}

#[test]
fn bad_input_ends_with_2_and_names_line_and_column() {
    let invoke = r#"{"event":"invoke","client":"a","t":5,"drawing":"d","id":1,"call":"append","ops":[]}"#;
    let cases = [
        ("{\"event\":", "line 2, column 9: EOF"),
        (
            r#"{"event":"nothing","client":"a","t":1,"drawing":"d"}"#,
            "line 2, column 1: there is no event `nothing`",
        ),
        (
            r#"{"event":"live","client":"b","t":1,"drawing":"d"}"#,
            "line 2, column 1: no line `client` introduces `b`",
        ),
        (&invoke.replace("\"id\":1", "\"id\":true"), "line 2, column 60: invalid type: boolean `true`"),
        (&invoke.replace("call", "calls"), ": unknown field `calls`"),
        (&invoke.replace(",\"ops\":[]", ""), "line 2, column 1: `append` has no `ops`"),
        (
            &format!("{invoke}\n{}", invoke.replace(":5", ":4")),
            "line 3, column 1: the clock of `a` goes back",
        ),
        (&format!("{invoke}\n{invoke}"), "line 3, column 1: the request 1 of this client has begun already"),
        (
            r#"{"event":"ok","client":"a","t":1,"drawing":"d","id":9}"#,
            "line 2, column 1: no `invoke` of this client",
        ),
    ];
    let scratch = Scratch::new();
    for (line, wanted) in cases {
        let path = scratch.text("history.ndjson", &format!("{CLIENT}\n{line}\n"));
        let output = run(&[path.to_str().unwrap()]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(error.contains(wanted), "{line}: {error}");
    }
    let path = scratch.text("history.ndjson", CLIENT);
    let output = run(&[path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("line 1, column 46: the line is cut off"),
        "{}",
        text(&output.stderr)
    );
    for arguments in [&["missing.ndjson"][..], &["--grace-ms", "soon", "a"], &["--what"], &[]] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn what_is_generated_is_judged_to_be_correct() {
    let scratch = Scratch::new();
    let output = run(&["generate", "--seed", "9", "--events", "1000", "--drawings", "2"]);
    assert_eq!(output.status.code(), Some(0));
    let path = scratch.text("history.ndjson", &text(&output.stdout));
    assert_eq!(run(&[path.to_str().unwrap()]).status.code(), Some(0));
}
