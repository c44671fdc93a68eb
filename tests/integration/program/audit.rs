//! The audit log: changes of rights, and a request on its way through two nodes.

use std::sync::{Arc, Mutex, PoisonError};

use loadtest::services::TempFolder;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use crate::support::{Client, eventually, nats_url, new_database, new_id, op, program};

/// A server as an operator starts it, and all that it logs.
struct Program {
    base: String,
    lines: Arc<Mutex<Vec<Value>>>,
    _child: Child,
}

impl Program {
    /// With JSON logs, for development, and these flags.
    async fn start(flags: &[&str]) -> Self {
        let line = ["serve", "--dev", "--listen", "127.0.0.1:0", "--log-format", "json"];
        let mut child = program::spawn(&[&line, flags].concat());
        let (lines, mut output) = (Arc::default(), BufReader::new(child.stdout.take().unwrap()).lines());
        let kept: Arc<Mutex<Vec<Value>>> = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                let line = serde_json::from_str(&line).expect("every line is JSON");
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let program = Self { base: String::new(), lines, _child: child };
        let listening = program.line(|line| line["message"] == "listening").await;
        Self { base: format!("http://{}", listening["address"].as_str().unwrap()), ..program }
    }

    fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first line that fits, once it is there.
    async fn line(&self, fits: impl Fn(&Value) -> bool) -> Value {
        eventually("a line of the log", || async { self.lines().into_iter().find(|line| fits(line)) }).await
    }

    /// The audit lines so far, each without what differs from run to run.
    fn audit(&self) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["target"] == "audit");
        for line in &mut lines {
            let line = line.as_object_mut().unwrap();
            line.remove("timestamp");
        }
        lines
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_of_rights_leaves_one_line_that_says_who_did_what_from_where() {
    let folder = TempFolder::new("audit").unwrap();
    let database = format!("sqlite://{}/revcast.db", folder.path().display());
    let blobs = format!("file:{}/blobs", folder.path().display());
    let flags = ["--database-url", &database, "--blob-url", &blobs, "--node-name", "node-7"];
    let server = Program::start(&[&flags[..], &["--trusted-proxies", "127.0.0.0/8,10.0.0.1"]].concat()).await;
    let (alice, bob) = (Client::new(&server.base, "alice").await, Client::new(&server.base, "bob").await);
    let drawing = alice.create_drawing().await;
    let path = format!("/v1/drawings/{drawing}");
    let role = |role: &str| json!({ "role": role });
    alice.put(&format!("{path}/members/carol"), &role("viewer")).await.expect(200);
    alice.put(&format!("{path}/members/carol"), &role("editor")).await.expect(200);
    alice.delete(&format!("{path}/members/carol")).await.expect(204);
    let link = alice.post(&format!("{path}/links"), &role("editor")).await.expect(201).json();
    let (link_id, token) = (link["link_id"].as_str().unwrap(), link["token"].as_str().unwrap());
    bob.post(&format!("/v1/links/{token}/join"), &json!({})).await.expect(200);
    alice.delete(&format!("{path}/links/{link_id}")).await.expect(204);
    // A change that was refused, or that was in force already, has changed nothing.
    bob.put(&format!("{path}/members/dave"), &role("owner")).await.expect(403);
    alice.delete(&format!("{path}/members/carol")).await.expect(404);
    alice.delete(&format!("{path}/links/{link_id}")).await.expect(404);
    bob.post(&format!("/v1/links/{token}/join"), &json!({})).await.expect(404);
    let deletion = alice.request(reqwest::Method::DELETE, &path);
    let deletion = deletion.header("x-forwarded-for", "198.51.100.1, 203.0.113.9, 10.0.0.1");
    let answer = Client::send(deletion.header("x-request-id", "req-1")).await.unwrap().expect(204);
    assert_eq!(answer.headers["x-request-id"], "req-1");
    server.line(|line| line["action"] == "drawing.delete").await;
    let audit = server.audit();
    for line in &audit {
        let is_id = |id: &Value| id.as_str().is_some_and(|id| !id.is_empty());
        assert!(line["node"] == "node-7" && line["level"] == "INFO" && is_id(&line["request"]), "{line}");
        assert_eq!(line["drawing"], drawing, "{line}");
        assert!(!line.to_string().contains(token), "{line}");
    }
    let told: Vec<_> = audit
        .iter()
        .map(|line| {
            let fields = ["action", "actor", "user", "from", "to", "link", "address"];
            fields.map(|field| line[field].as_str().unwrap_or("-")).join(" ")
        })
        .collect();
    let expected = [
        "member.set alice carol - viewer - 127.0.0.1".to_owned(),
        "member.set alice carol viewer editor - 127.0.0.1".to_owned(),
        "member.remove alice carol editor - - 127.0.0.1".to_owned(),
        format!("link.create alice - - editor {link_id} 127.0.0.1"),
        format!("link.join bob - - editor {link_id} 127.0.0.1"),
        format!("link.revoke alice - - - {link_id} 127.0.0.1"),
        "drawing.delete alice - - - - 203.0.113.9".to_owned(),
    ];
    assert_eq!(told, expected);
    assert_eq!(audit.last().unwrap()["request"], "req-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_does_is_in_the_audit_log_too_which_can_be_turned_off() {
    let folder = TempFolder::new("audit").unwrap();
    let database = format!("sqlite://{}/revcast.db", folder.path().display());
    let file = folder.path().join("log.ndjson");
    let line = json!({"revision": 1, "actor": "eve", "ts": 5, "op_id": new_id(), "type": "canvas.clear"});
    std::fs::write(&file, line.to_string()).unwrap();
    let json = ["--database-url", &database, "--log-format", "json"];
    let import = ["import", "--owner", "alice", file.to_str().unwrap()];
    let imported = program::run(&[&import[..], &json].concat()).await;
    let begun = program::run(&[&["new-epoch"], &json[..]].concat()).await;
    let audit = |stderr: &str| -> Vec<Value> {
        let lines = stderr.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["target"] == "audit").collect()
    };
    let [import] = &audit(&imported.stderr)[..] else { panic!("{imported:?}") };
    assert_eq!((&import["action"], &import["actor"]), (&json!("drawing.import"), &json!("operator")));
    assert_eq!((&import["drawing"], &import["user"]), (&json!(imported.stdout), &json!("alice")));
    let [epoch] = &audit(&begun.stderr)[..] else { panic!("{begun:?}") };
    assert_eq!((&epoch["action"], &epoch["epoch"]), (&json!("epoch.new"), &json!(begun.stdout)));
    let quiet = program::run(&[&["new-epoch", "--log", "info,audit=off"], &json[..]].concat()).await;
    assert!(quiet.succeeded && audit(&quiet.stderr).is_empty(), "{quiet:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_can_be_followed_from_the_node_that_took_it_to_the_readers_of_another() {
    let (folder, database, nats) = (TempFolder::new("traced").unwrap(), new_database(), nats_url());
    let blobs = format!("file:{}/blobs", folder.path().display());
    let flags = ["--database-url", &database, "--blob-url", &blobs, "--nats-url", &nats];
    let node = async |name| {
        let flags = [&flags[..], &["--log", "revcast=debug", "--node-name", name]].concat();
        Program::start(&flags).await
    };
    let (one, other) = tokio::join!(node("one"), node("other"));
    let alice = Client::new(&one.base, "alice").await;
    let drawing = alice.create_drawing().await;
    alice.commit_some(&drawing, 3).await;
    let mut reader = alice.at(&other.base).socket().await;
    reader.subscribe(&drawing, Some(3)).await.unwrap();
    let secret = "a secret in a payload";
    let ops = [op(1), json!({"op_id": new_id(), "type": "custom.a", "data": secret})];
    let post = alice.request(reqwest::Method::POST, &format!("/v1/drawings/{drawing}/ops"));
    let post = post.header("x-request-id", "trace-me").json(&json!({ "ops": ops }));
    let answer = Client::send(post).await.unwrap().expect(200);
    assert_eq!(answer.headers["x-request-id"], "trace-me");
    while reader.receive_ops().await.unwrap().last().unwrap()["revision"] != 5 {}

    let is = |line: &Value, message: &str| line["message"] == message && line["drawing"] == drawing;
    let accepted = one.line(|line| is(line, "accepted") && line["request"] == "trace-me").await;
    assert_eq!(
        (&accepted["user"], &accepted["ops"], &accepted["node"]),
        (&json!("alice"), &json!(2), &json!("one"))
    );
    let committed = one.line(|line| is(line, "committed") && line["requests"] == "trace-me").await;
    let (first, last, batch) = (&committed["first"], &committed["last"], &committed["batch"]);
    assert_eq!((first, last, &committed["node"]), (&json!(4), &json!(5), &json!("one")));
    let published = one.line(|line| is(line, "published") && line["batch"] == *batch).await;
    assert_eq!((&published["first"], &published["last"]), (first, last));
    let answered = one.line(|line| line["message"] == "answered" && line["request"] == "trace-me").await;
    assert_eq!((&answered["status"], &answered["node"]), (&json!(200), &json!("one")));
    // The other node knows the same revisions.
    let same = |line: &Value, message| is(line, message) && line["first"] == *first && line["last"] == *last;
    let received = other.line(|line| same(line, "received")).await;
    let delivered = other.line(|line| same(line, "delivered")).await;
    assert_eq!((&received["node"], &delivered["node"]), (&json!("other"), &json!("other")));
    assert_eq!(delivered["readers"], 1);
    for line in one.lines().into_iter().chain(other.lines()) {
        let line = line.to_string();
        assert!(!line.contains(secret) && !line.contains(&alice.token), "{line}");
    }
}
