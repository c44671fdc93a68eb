//! The server under load: one that runs, or one that is started for the run.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow, bail, ensure};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use loadtest::{
    bench::probe::Memory,
    services::{Durability, Nats, Postgres, Revcast, TempFolder, cpu_seconds},
};
use reqwest::{Client, Method, StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};
use url::Url;

use crate::{
    cli::TargetFlags,
    scenario::{Scenario, Start, Store},
};

/// The time that a request of the preparation may take.
const REQUEST_PATIENCE: Duration = Duration::from_secs(30);
/// The most attempts at a request of the preparation that is answered 429 or 503.
const ATTEMPTS: u32 = 20;
/// Longest pause before a request is sent again, whatever `Retry-After` says.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(5);
/// The time for which a token outlasts the run.
const TOKEN_RESERVE: Duration = Duration::from_secs(3_600);
/// The secret of started servers.
const SECRET: &str = "a secret of revcast-load, long enough for HS256";
/// Limits a user and node that would stand in the way of one machine being thousands of people.
const FAR_LIMITS: [&str; 4] = ["--connections-per-user", "0", "--handshakes-per-second", "0"];

/// The server under load.
pub(crate) struct Target {
    /// Addresses of the nodes, without a slash at the end.
    pub(crate) nodes: Vec<String>,
    /// The addresses of the same nodes, for sockets.
    pub(crate) addresses: Vec<SocketAddr>,
    identity: Identity,
    client: Client,
    started: Option<Started>,
}

/// The way in which the people come by their tokens.
enum Identity {
    /// From a server with `--dev`.
    Guests,
    /// Signed here.
    Signed(String),
    /// One for all.
    One(String),
}

/// The processes that were started for the run; they end with it.
struct Started {
    nodes: Vec<Revcast>,
    postgres: Option<Postgres>,
    nats: Option<Nats>,
    _folder: TempFolder,
}

/// CPU seconds so far, and memory now, of what was started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// CPU of all nodes.
    pub(crate) server_cpu: f64,
    /// CPU of the database.
    pub(crate) database_cpu: f64,
    /// Memory of the node that has most, in KiB.
    pub(crate) server_rss: u64,
}

impl Target {
    /// Finds or starts it.
    pub(crate) async fn new(flags: &TargetFlags, scenario: &Scenario) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(REQUEST_PATIENCE).build()?;
        let is_started = flags.start.is_some();
        ensure!(
            is_started || !flags.url.is_empty(),
            "say where the server is (--url http://127.0.0.1:8080), or --start one"
        );
        let (nodes, started, identity) = if is_started {
            let started = Started::new(&flags.binary, &scenario.start)?;
            let nodes = started.nodes.iter().map(|node| node.base.clone()).collect();
            (nodes, Some(started), Identity::Signed(SECRET.to_owned()))
        } else {
            let identity = match (&flags.token, &flags.jwt_secret) {
                (Some(token), _) => Identity::One(token.clone()),
                (None, Some(secret)) => Identity::Signed(secret.clone()),
                (None, None) => Identity::Guests,
            };
            (flags.url.clone(), None, identity)
        };
        let mut target = Self { nodes: Vec::new(), addresses: Vec::new(), identity, client, started };
        for node in nodes {
            let (base, address) = resolve(&node).await?;
            let answer = target.client.get(format!("{base}/healthz")).send().await;
            answer.map_err(|error| anyhow!("no server answers at {base}: {}", root_cause(&error)))?;
            target.nodes.push(base);
            target.addresses.push(address);
        }
        Ok(target)
    }

    /// True if all people are one user.
    pub(crate) fn is_one_user(&self) -> bool {
        matches!(self.identity, Identity::One(_))
    }

    /// A token for each name.
    pub(crate) async fn token(&self, name: &str, scenario: &Scenario) -> anyhow::Result<String> {
        match &self.identity {
            Identity::One(token) => Ok(token.clone()),
            Identity::Signed(secret) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
                let expires = now + scenario.duration + scenario.ramp * 2 + TOKEN_RESERVE;
                let claims =
                    json!({"sub": name, "name": name, "iat": now.as_secs(), "exp": expires.as_secs()});
                let key = EncodingKey::from_secret(secret.as_bytes());
                Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
            }
            Identity::Guests => {
                let answer =
                    self.call(Method::POST, "/v1/dev/tokens", None, Some(json!({"sub": name}))).await;
                let answer = answer.context(
                    "the server hands out no guest tokens (it would with --dev): give --jwt-secret or --token",
                )?;
                Ok(answer["token"].as_str().context("the answer has no token")?.to_owned())
            }
        }
    }

    /// A request of the preparation, or of the checks after the run: it may be slow, and is sent again when the server
    /// says that it is busy.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.call_raw(method, path, token, body).await?)?)
    }

    /// The same; the body as it came.
    pub(crate) async fn call_raw(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}{path}", self.nodes.first().context("there is no node")?);
        let mut attempt = 1;
        loop {
            let mut request = self.client.request(method.clone(), &url);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            let response = request.send().await.with_context(|| format!("{method} {path} got no answer"))?;
            let status = response.status();
            let pause =
                response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let body = response.bytes().await?;
            let is_busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            if status.is_success() {
                return Ok(body.to_vec());
            }
            if !is_busy || attempt == ATTEMPTS {
                bail!("{method} {path} was answered {}", problem(status.as_u16(), &body));
            }
            attempt += 1;
            tokio::time::sleep(Duration::from_secs(pause.unwrap_or(1)).min(MAX_PAUSE)).await;
        }
    }

    /// The resources that the started servers use; `None` for a server that ran already.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let started = self.started.as_ref()?;
        Some(Usage {
            server_cpu: started.nodes.iter().map(|node| cpu_seconds(node.pid())).sum(),
            database_cpu: started.postgres.as_ref().map_or(0.0, Postgres::cpu_seconds)
                + started.nats.as_ref().map_or(0.0, Nats::cpu_seconds),
            server_rss: started
                .nodes
                .iter()
                .filter_map(|node| Memory::of(node.pid()).ok())
                .map(|memory| memory.rss)
                .max()
                .unwrap_or(0),
        })
    }
}

impl Started {
    fn new(binary: &Path, start: &Start) -> anyhow::Result<Self> {
        ensure!(
            binary.exists(),
            "there is no program {}: build it (cargo build --release), or name it (--binary)",
            binary.display()
        );
        let folder = TempFolder::new("load")?;
        let mut flags = vec!["--jwt-secret".to_owned(), SECRET.to_owned()];
        flags.extend(FAR_LIMITS.iter().map(ToString::to_string));
        let (mut postgres, mut nats) = (None, None);
        match start.store {
            Store::Sqlite => {
                let path = folder.path().join("load.db");
                flags.extend(["--database-url".to_owned(), format!("sqlite://{}", path.display())]);
            }
            Store::Postgres => {
                let database = Postgres::start(Durability::Full)?;
                let bus = Nats::start()?;
                flags.extend(["--database-url".to_owned(), database.create_database()?]);
                flags.extend(["--nats-url".to_owned(), bus.url()]);
                (postgres, nats) = (Some(database), Some(bus));
            }
        }
        flags.extend(start.flags.iter().cloned());
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let nodes = (0..start.nodes).map(|_| Revcast::start(binary, &flags)).collect::<Result<_, _>>()?;
        Ok(Self { nodes, postgres, nats, _folder: folder })
    }
}

/// The innermost cause of an error: the part that says what happened.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// The address of a node as requests and sockets need it.
async fn resolve(node: &str) -> anyhow::Result<(String, SocketAddr)> {
    let url =
        Url::parse(node).with_context(|| format!("{node:?} is no URL such as http://127.0.0.1:8080"))?;
    ensure!(
        url.scheme() == "http",
        "{node} is not http://: revcast-load measures the nodes themselves, without TLS; behind a proxy use k6 or Artillery"
    );
    ensure!(url.path() == "/" && url.query().is_none(), "{node} must be an address alone, without a path");
    let host = url.host_str().with_context(|| format!("{node} names no host"))?;
    let port = url.port_or_known_default().unwrap_or(80);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut found =
        tokio::net::lookup_host((bare, port)).await.with_context(|| format!("{host} is not known"))?;
    let address = found.next().with_context(|| format!("{host} has no address"))?;
    Ok((format!("http://{host}:{port}"), address))
}

/// A problem body in words.
pub(crate) fn problem(status: u16, body: &[u8]) -> String {
    let fields: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| fields[name].as_str().unwrap_or_default();
    match (text("code"), text("detail")) {
        ("", _) => format!("{status} {}", String::from_utf8_lossy(&body[..body.len().min(200)])),
        (code, detail) => format!("{status} {code}: {detail}{}", hint(code)),
    }
}

/// Advice on a limit.
fn hint(code: &str) -> &'static str {
    match code {
        "rate_limited" => {
            ". A limit of the server was reached: spread the load over more users or drawings, or raise the limit \
             (--write-requests-per-second, --write-ops-per-second, --drawing-bytes-per-second, \
             --drawing-units-per-second, --limit-by-address)"
        }
        "too_many_drawings" => ". Delete drawings of this user, or raise --drawings-per-user",
        "unauthenticated" => ". The server does not take this token or secret",
        _ => "",
    }
}
