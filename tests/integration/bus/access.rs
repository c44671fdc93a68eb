//! The ways in which NATS lets a node in: credentials of every kind against real servers, and what is said where it
//! does not.

use std::{fs, path::PathBuf, sync::Arc};

use clap::Parser;
use loadtest::services::{Nats, TempFolder, free_port};
use revcast::{
    bus::{Bus, InvalidNatsOptions, NatsBus, NatsOptions},
    config::{Cli, Command, ConfigError, ServeArgs},
    telemetry::Metrics,
};
use serde_json::json;

use crate::{
    bus::contract::{commit, connect, new_drawing, next_message},
    support::{
        App, Logs, eventually, nats_url,
        nats_users::{Certificates, Operator},
        new_database, program, within,
    },
};

/// Options for a server that listens on `port`.
fn at(port: u16) -> NatsOptions {
    NatsOptions { url: format!("nats://127.0.0.1:{port}"), ..NatsOptions::default() }
}

async fn connect_with(options: &NatsOptions) -> NatsBus {
    NatsBus::connect(options, Arc::new(Metrics::new())).await.unwrap()
}

/// Waits until a bus carries messages to itself.
async fn expect_carried(options: &NatsOptions) -> NatsBus {
    let bus = connect_with(options).await;
    until_connected(&bus).await;
    let drawing = new_drawing();
    let mut subscription = bus.subscribe_ops(drawing).await;
    bus.publish_ops(commit(drawing, 1));
    assert_eq!(next_message(&mut subscription).await, commit(drawing, 1));
    bus
}

async fn until_connected(bus: &NatsBus) {
    eventually("the bus is connected", || async { bus.is_connected().then_some(()) }).await;
}

/// A file with a text, in a folder that goes with the handle.
fn file(text: &str) -> (TempFolder, PathBuf) {
    let folder = TempFolder::new("secret").unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// A server that knows one user with a password, and tells on a port of its own how many connections it has had.
struct Guarded {
    nats: Nats,
    monitor: u16,
}

impl Guarded {
    fn start(password: &str) -> Self {
        let monitor = free_port().unwrap();
        Self { nats: Nats::start_with(&Self::configuration(monitor, password)).unwrap(), monitor }
    }

    fn configuration(monitor: u16, password: &str) -> String {
        let user = json!({"user": "revcast", "password": password});
        format!("http: \"127.0.0.1:{monitor}\"\nauthorization {{ users: [{user}] }}\n")
    }

    /// Starts again with another password.
    fn change(&mut self, password: &str) {
        self.nats.stop().unwrap();
        self.nats.start_again_with(&Self::configuration(self.monitor, password)).unwrap();
    }

    /// Waits until somebody has tried to connect so often.
    async fn until_tried(&self, times: u64) {
        let url = format!("http://127.0.0.1:{}/varz", self.monitor);
        eventually("it is tried again and again", || async {
            let varz: serde_json::Value = reqwest::get(&url).await.ok()?.json().await.ok()?;
            (varz["total_connections"].as_u64()? >= times).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password_in_the_address_let_a_node_in() {
    let nats = Guarded::start("p@ss,w:rd/%").nats;
    let url = format!("nats://revcast:p%40ss%2Cw%3Ard%2F%25@127.0.0.1:{}", nats.port);
    expect_carried(&NatsOptions { url, ..NatsOptions::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_address_lets_a_node_in() {
    let nats = Nats::start_with("authorization { token: \"t0k/en\" }").unwrap();
    let url = format!("nats://t0k%2Fen@127.0.0.1:{}", nats.port);
    expect_carried(&NatsOptions { url, ..NatsOptions::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_addresses_has_its_own_credentials_and_the_first_are_for_all() {
    let (gone, first, second) = (free_port().unwrap(), Guarded::start("one"), Guarded::start("two"));
    let (first, mut second) = (first.nats, second.nats);
    // Whichever is tried first: one is away, one is guarded by another password, one takes the first credentials.
    let url = format!(
        "nats://127.0.0.1:{gone}, nats://revcast:one@127.0.0.1:{}, revcast:two@127.0.0.1:{}",
        first.port, second.port
    );
    let options = NatsOptions { url, ..NatsOptions::default() };
    for _ in 0..4 {
        expect_carried(&options).await;
    }
    second.stop().unwrap();
    expect_carried(&options).await;
    let url = format!("nats://revcast:one@127.0.0.1:{gone},nats://127.0.0.1:{}", first.port);
    expect_carried(&NatsOptions { url, ..NatsOptions::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nkey_lets_a_node_in_and_may_be_renewed_in_its_file() {
    let guarded_by =
        |key: &nkeys::KeyPair| format!("authorization {{ users: [{{ nkey: {} }}] }}", key.public_key());
    let (old, new) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    let mut nats = Nats::start_with(&guarded_by(&old)).unwrap();
    let (_folder, nkey) = file(&format!("{}\n", old.seed().unwrap()));
    let bus = expect_carried(&NatsOptions { nkey: Some(nkey.clone()), ..at(nats.port) }).await;
    nats.stop().unwrap();
    eventually("the bus notices", || async { (!bus.is_connected()).then_some(()) }).await;
    fs::write(&nkey, new.seed().unwrap()).unwrap();
    nats.start_again_with(&guarded_by(&new)).unwrap();
    until_connected(&bus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_credentials_lets_a_node_in() {
    let operator = Operator::new();
    let nats = Nats::start_with(&operator.configuration).unwrap();
    let (_folder, path) = file(&operator.credentials);
    expect_carried(&NatsOptions { credentials: Some(path), ..at(nats.port) }).await;
    let (_folder, path) = file(&Operator::new().credentials);
    let stranger = connect_with(&NatsOptions { credentials: Some(path), ..at(nats.port) }).await;
    assert!(!stranger.is_connected());
}

#[tokio::test]
async fn certificates_let_both_sides_know_each_other() {
    let logs = Logs::start();
    let certificates = Certificates::new();
    certificates.issue("server");
    certificates.issue("node");
    let file = |name| Some(certificates.file(name));
    let nats = Nats::start_with(&certificates.configuration("")).unwrap();
    let with_authority = |port| NatsOptions { tls_ca: file("ca"), ..at(port) };
    expect_carried(&with_authority(nats.port)).await;
    let tls = NatsOptions { url: format!("tls://127.0.0.1:{}", nats.port), ..with_authority(nats.port) };
    expect_carried(&tls).await;
    assert!(logs.with("ERROR").is_empty());

    // Whoever does not know the authority does not go on.
    let distrusting = connect_with(&at(nats.port)).await;
    eventually("it is told", || async { logs.with("ERROR").first().cloned() }).await;
    let told = logs.with("ERROR").join("\n");
    assert!(told.contains("--nats-tls-ca") && told.contains("UnknownIssuer"), "{told}");
    assert!(!distrusting.is_connected());

    let mutual = Nats::start_with(&certificates.configuration("verify: true")).unwrap();
    let (tls_cert, tls_key) = (file("node.cert"), file("node.key"));
    expect_carried(&NatsOptions { tls_cert, tls_key, ..with_authority(mutual.port) }).await;
    let before = logs.with("ERROR").len();
    let nameless = connect_with(&with_authority(mutual.port)).await;
    eventually("it is told", || async { (logs.with("ERROR").len() > before).then_some(()) }).await;
    assert!(!nameless.is_connected());

    // A key of another certificate is noticed before anything is connected.
    let mixed = NatsOptions { tls_cert: file("node.cert"), tls_key: file("server.key"), ..at(nats.port) };
    let refusal = mixed.check().unwrap_err().to_string();
    assert!(refusal.contains("--nats-tls-key") && refusal.contains("does not go with"), "{refusal}");
}

#[tokio::test]
async fn a_wrong_password_is_told_once_and_forgotten_when_nats_knows_it() {
    let logs = Logs::start();
    let mut guarded = Guarded::start("another");
    let url = format!("nats://revcast:s3cret@127.0.0.1:{}", guarded.nats.port);
    let app = App::start(&new_database(), &["--nats-url", &url]).await;
    let alice = app.client("alice").await;
    guarded.until_tried(4).await;
    let ready = alice.get("/readyz").await.expect(200).json();
    assert_eq!((&ready["status"], &ready["bus"]), (&json!("degraded"), &json!(false)));
    let told = logs.with("ERROR");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("--nats-url") && told[0].contains("authorization violation"), "{told:?}");
    guarded.change("s3cret");
    eventually("the node is ready", || async {
        (alice.get("/readyz").await.json()["status"] == "ready").then_some(())
    })
    .await;
    assert_eq!(logs.with("ERROR").len(), 1);
    assert!(logs.with("s3cret").is_empty());
    // The next time is news again.
    guarded.change("another");
    eventually("it is told again", || async { (logs.with("ERROR").len() == 2).then_some(()) }).await;
}

#[tokio::test]
async fn a_user_that_may_not_speak_of_drawings_is_told_as_an_error() {
    let logs = Logs::start();
    let permissions = "{ publish: \"other.>\", subscribe: \"other.>\" }";
    let user = format!("{{ user: revcast, password: s3cret, permissions: {permissions} }}");
    let nats = Nats::start_with(&format!("authorization {{ users: [{user}] }}")).unwrap();
    let bus = connect(&format!("nats://revcast:s3cret@127.0.0.1:{}", nats.port)).await;
    let _news = bus.subscribe_control().await;
    eventually("it is told", || async { logs.with("ERROR").first().cloned() }).await;
    let told = logs.with("ERROR");
    assert!(told.len() == 1 && told[0].contains("revcast.>"), "{told:?}");
    assert!(!bus.is_connected());
}

fn arguments(flags: &[&str]) -> Box<ServeArgs> {
    let line = ["revcast", "serve", "--dev"].iter().chain(flags);
    let Command::Serve(args) = Cli::try_parse_from(line).unwrap().command else { unreachable!() };
    args
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let postgres = ["--database-url", "postgres://db/revcast"];
    let check = |flags: &[&str]| arguments(&[&postgres[..], flags].concat()).check();
    assert_eq!(check(&["--nats-url", "nats://revcast:s3cret@a:4222,tls://t0ken@b"]), Ok(()));
    for flag in ["--nats-credentials", "--nats-nkey", "--nats-tls-ca", "--nats-tls-cert", "--nats-tls-key"] {
        assert_eq!(check(&[flag, "/nowhere"]), Err(ConfigError::NatsWithoutUrl), "{flag}");
        let refusal = check(&["--nats-url", "nats://a", flag, "/nowhere"]).unwrap_err().to_string();
        assert!(refusal.contains(flag), "{refusal}");
    }
    let both = ["--nats-url", "nats://revcast:s3cret@a", "--nats-nkey", "/nowhere"];
    assert_eq!(check(&both), Err(ConfigError::Nats(InvalidNatsOptions::TwoIdentities)));
    let sqlite = arguments(&["--nats-url", "nats://a"]).check();
    assert_eq!(sqlite, Err(ConfigError::NatsWithSqlite));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nats_must_not_hear_of_is_never_shown() {
    let url = "nats://revcast:s3cret@a:1,nats://t0ken@b:99999";
    let args = arguments(&["--database-url", "postgres://db/revcast", "--nats-url", url]);
    let shown = format!("{args:?} {:?} {:?}", args.nats, args.nats.options().unwrap());
    let refusal = args.check().unwrap_err().to_string();
    for shown in [&shown, &refusal] {
        assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
    }
    let mut help = tokio::process::Command::new(program::binary());
    help.args(["serve", "--help"]).env("REVCAST_NATS_URL", url).env("REVCAST_NATS_NKEY", "/secret/place");
    let help = String::from_utf8(help.output().await.unwrap().stdout).unwrap();
    assert!(help.contains("REVCAST_NATS_CREDENTIALS") && help.contains("REVCAST_NATS_TLS_CA"));
    assert!(!help.contains("s3cret") && !help.contains("t0ken") && !help.contains("/secret/place"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_read_its_credentials_does_not_start() {
    let (database, nats) = (new_database(), nats_url());
    let arguments = ["serve", "--dev", "--database-url", &database, "--nats-url", &nats];
    let arguments = [&arguments[..], &["--nats-credentials", "/nowhere"]].concat();
    let run = within("it ends", program::run(&arguments)).await;
    assert!(!run.succeeded && run.stderr.lines().count() == 1, "{run:?}");
    assert!(run.stderr.contains("--nats-credentials, /nowhere, cannot be read"), "{run:?}");
}
