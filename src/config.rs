//! The command line and its environment names.
//!
//! Owns parsing and the rules between flags. It connects nothing: `server` does.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use axum::http::HeaderValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::{
    bus::{InvalidNatsOptions, NatsOptions},
    http::CorsOrigins,
    identity::Secret,
    limits,
    model::{DrawingId, Title, UserId},
    snapshot::{BlobUrl, InvalidBlobUrl},
    telemetry::{self, LogFormat},
    trace,
};

/// Where snapshots lie unless somebody says otherwise.
pub const DEFAULT_BLOB_URL: &str = "file:data/blobs";

/// REST commits the truth. The socket broadcasts the truth.
#[derive(Debug, Parser)]
#[command(name = "revcast", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    Serve(Box<ServeArgs>),
    /// Print a bearer token signed with the configured secret.
    Token(TokenArgs),
    /// Print the OpenAPI document.
    Openapi,
    /// Print the AsyncAPI document.
    Asyncapi,
    /// Bring the schema of the database up to date, and end.
    Migrate(StoreArgs),
    /// Make a drawing of the log of another server, as `GET …/export?format=ndjson` gives it; prints its id.
    Import(ImportArgs),
    /// Give the database a new epoch, after a backup was restored; prints it.
    NewEpoch(StoreArgs),
    /// Read all logs and snapshots, and print what is wrong with them. Ends with 0 if nothing is, with 1 if something is,
    /// and with 2 if that could not be told. Writes nothing, and may run beside a server.
    Verify(VerifyArgs),
}

/// A part of the server's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NodeRole {
    /// REST.
    Api,
    /// Sockets.
    Gateway,
    /// Work in the background.
    Worker,
}

/// Where the truth is.
#[derive(Clone, Args)]
pub struct StoreArgs {
    /// `sqlite://path` or `postgres://user:password@host/database`.
    #[arg(
        long,
        env = "REVCAST_DATABASE_URL",
        default_value = "sqlite://data/revcast.db",
        hide_env_values = true
    )]
    pub database_url: String,
    /// Connections to the database, at most.
    #[arg(long, env = "REVCAST_DATABASE_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub database_connections: u32,
    /// How logs look.
    #[arg(long, env = "REVCAST_LOG_FORMAT", value_enum, default_value = "pretty")]
    pub log_format: LogFormat,
    /// What is logged, in the syntax of RUST_LOG.
    #[arg(long, env = "REVCAST_LOG", default_value = telemetry::LOG_FILTER)]
    pub log: String,
}

/// How tokens are verified.
#[derive(Clone, Debug, Args)]
pub struct IdentityArgs {
    /// Secret for HS256 tokens, 32 bytes or more.
    #[arg(long, env = "REVCAST_JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<Secret>,
    /// The `iss` that a token must have.
    #[arg(long, env = "REVCAST_JWT_ISSUER")]
    pub jwt_issuer: Option<String>,
    /// The `aud` that a token must have.
    #[arg(long, env = "REVCAST_JWT_AUDIENCE")]
    pub jwt_audience: Option<String>,
}

/// Where NATS is, and how it lets this server in.
#[derive(Clone, Args)]
pub struct NatsArgs {
    /// Addresses of NATS, separated by commas; without it the bus is inside the process. Each is `nats://host:port` or
    /// `tls://host:port`, with `user:password@` or `token@` before the host if need be, percent-encoded.
    #[arg(long, env = "REVCAST_NATS_URL", hide_env_values = true)]
    pub nats_url: Option<String>,
    /// File with the credentials of a NATS user: a JWT and its seed.
    #[arg(long, env = "REVCAST_NATS_CREDENTIALS", hide_env_values = true)]
    pub nats_credentials: Option<PathBuf>,
    /// File with the seed of the NKey of a NATS user.
    #[arg(long, env = "REVCAST_NATS_NKEY", hide_env_values = true)]
    pub nats_nkey: Option<PathBuf>,
    /// File with the certificates that may vouch for NATS (PEM), in place of those that the system trusts.
    #[arg(long, env = "REVCAST_NATS_TLS_CA", hide_env_values = true)]
    pub nats_tls_ca: Option<PathBuf>,
    /// File with the certificate that this server shows to NATS (PEM).
    #[arg(long, env = "REVCAST_NATS_TLS_CERT", hide_env_values = true)]
    pub nats_tls_cert: Option<PathBuf>,
    /// File with the key that belongs to it (PEM).
    #[arg(long, env = "REVCAST_NATS_TLS_KEY", hide_env_values = true)]
    pub nats_tls_key: Option<PathBuf>,
}

/// Flags of `serve`.
#[derive(Clone, Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, env = "REVCAST_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// Address of a listener of its own for `/healthz`, `/readyz` and `/metrics`, the last of which is then there alone.
    #[arg(long, env = "REVCAST_ADMIN_LISTEN")]
    pub admin_listen: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub store: StoreArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub nats: NatsArgs,
    /// Where snapshots lie: `file:path` or `s3://bucket/prefix`, whose settings stand in the environment
    /// (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL` and so on) or after a `?`.
    #[arg(long, env = "REVCAST_BLOB_URL", default_value = DEFAULT_BLOB_URL, hide_env_values = true)]
    pub blob_url: String,
    /// What this node is called in logs; that of the machine with a random ending by default.
    #[arg(long, env = "REVCAST_NODE_NAME", value_parser = parse_node_name)]
    pub node_name: Option<String>,
    /// Networks of the proxies in front, separated by commas, as in `10.0.0.0/8`: their `X-Forwarded-For`, or else their
    /// `Forwarded`, says where a request came from.
    #[arg(long, env = "REVCAST_TRUSTED_PROXIES", value_delimiter = ',', value_parser = parse_network)]
    pub trusted_proxies: Vec<IpNet>,
    /// What this node does.
    #[arg(
        long,
        env = "REVCAST_ROLES",
        value_enum,
        value_delimiter = ',',
        default_value = "api,gateway,worker"
    )]
    pub roles: Vec<NodeRole>,
    /// Hand out guest tokens to anyone, and let any web page call. Never in production.
    #[arg(long, env = "REVCAST_DEV", value_parser = clap::builder::BoolishValueParser::new())]
    pub dev: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub identity: IdentityArgs,
    /// URL of the issuer's JWKS document, for RS256, ES256 and EdDSA tokens and their like.
    #[arg(long, env = "REVCAST_JWKS_URL")]
    pub jwks_url: Option<String>,
    /// Web origins that may call, separated by commas, or `*`; any with `--dev`, none otherwise.
    #[arg(long, env = "REVCAST_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
    /// How often the heads of live rooms are read, and readers told.
    #[arg(long, env = "REVCAST_HEARTBEAT", default_value = "2s", value_parser = parse_period)]
    pub heartbeat: Duration,
    /// Open sockets, event streams and waiting long-polls a user may have on this node; 0 for any number.
    #[arg(long, env = "REVCAST_CONNECTIONS_PER_USER", default_value_t = limits::CONNECTIONS_PER_USER)]
    pub connections_per_user: u32,
    /// Drawings that this node follows at once; 0 for any number.
    #[arg(long, env = "REVCAST_MAX_ROOMS", default_value_t = limits::MAX_ROOMS)]
    pub max_rooms: u32,
    /// Drawings that a user may have made and not deleted; 0 for any number.
    #[arg(long, env = "REVCAST_DRAWINGS_PER_USER", default_value_t = limits::DRAWINGS_PER_USER)]
    pub drawings_per_user: u32,
    /// Limits each client address to so many requests that write each second, to a fourth as many new sockets and event
    /// streams, and to a twentieth as many new drawings and tokens that are not valid; 200 without a number, 0 for no limit.
    /// Off by default: many people may share an address.
    #[arg(long, env = "REVCAST_LIMIT_BY_ADDRESS", value_name = "RATE", num_args = 0..=1,
        default_value = "0", default_missing_value = "200", value_parser = parse_address_rate)]
    pub limit_by_address: u32,
    /// How long a connection may rest between two requests; longer than a load balancer in front lets it rest.
    #[arg(long, env = "REVCAST_KEEP_ALIVE", default_value = "75s", value_parser = parse_keep_alive)]
    pub keep_alive: Duration,
    /// Sockets that may be opened on this node each second; 0 for any number.
    #[arg(long, env = "REVCAST_HANDSHAKES_PER_SECOND", default_value_t = limits::HANDSHAKES_PER_SECOND)]
    pub handshakes_per_second: u32,
    /// How long this node says on `/readyz` that it will stop, and serves everything, before it stops; 0 for no time.
    #[arg(long, env = "REVCAST_DRAIN_NOTICE", default_value = "5s", value_parser = parse_window)]
    pub drain_notice: Duration,
    /// Over how long the clients of this node are asked to leave when it stops.
    #[arg(long, env = "REVCAST_DRAIN_WINDOW", default_value = "5s", value_parser = parse_window)]
    pub drain_window: Duration,
    /// Batches that may be written at the same time.
    #[arg(long, env = "REVCAST_WRITERS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub writers: u8,
    /// Ops by which a drawing grows before the next snapshot of it is built.
    #[arg(long, env = "REVCAST_SNAPSHOT_EVERY", default_value_t = limits::SNAPSHOT_EVERY, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub snapshot_every: u64,
    /// Memory for canvases, in bytes: those that are kept, those being loaded, and answers made of them.
    #[arg(long, env = "REVCAST_CANVAS_MEMORY", default_value_t = limits::CANVAS_MEMORY, value_parser = clap::value_parser!(u64).range(limits::MIN_CANVAS_MEMORY..=1 << 40))]
    pub canvas_memory: u64,
    /// What can be undone in a drawing may weigh so many bytes before what is older is folded.
    #[arg(long, env = "REVCAST_UNDO_BUDGET", default_value_t = limits::UNDO_BUDGET, value_parser = clap::value_parser!(u64).range(1_024..=1 << 30))]
    pub undo_budget: u64,
    /// Bytes of ops that a drawing takes each second from all its users; 0 for any number.
    #[arg(long, env = "REVCAST_DRAWING_BYTES_PER_SECOND", default_value_t = limits::DRAWING_BYTES_PER_SECOND, value_parser = clap::value_parser!(u32).range(0..=limits::MAX_DRAWING_RATE))]
    pub drawing_bytes_per_second: u32,
    /// Undo units that may begin in a drawing each second, of all its users; 0 for any number.
    #[arg(long, env = "REVCAST_DRAWING_UNITS_PER_SECOND", default_value_t = limits::DRAWING_UNITS_PER_SECOND, value_parser = clap::value_parser!(u32).range(0..=limits::MAX_DRAWING_RATE))]
    pub drawing_units_per_second: u32,
    /// Requests a user may write each second; 0 for any number.
    #[arg(long, env = "REVCAST_WRITE_REQUESTS_PER_SECOND", default_value_t = limits::WRITE_REQUESTS_PER_SECOND)]
    pub write_requests_per_second: u32,
    /// Ops a user may write each second; 0 for any number.
    #[arg(long, env = "REVCAST_WRITE_OPS_PER_SECOND", default_value_t = limits::WRITE_OPS_PER_SECOND)]
    pub write_ops_per_second: u32,
}

/// Flags of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub store: StoreArgs,
    /// The user who will own the drawing.
    #[arg(long, value_parser = parse_user)]
    pub owner: UserId,
    /// The id of the drawing; a new one by default. To go on with an import that was cut off, the same as then.
    #[arg(long)]
    pub drawing_id: Option<DrawingId>,
    /// The title of the drawing.
    #[arg(long, default_value = "")]
    pub title: Title,
    /// The log, one op a line; `-` for standard input.
    #[arg(default_value = "-")]
    pub file: PathBuf,
}

/// Flags of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub store: StoreArgs,
    /// Where snapshots lie, as for `serve`.
    #[arg(long, env = "REVCAST_BLOB_URL", default_value = DEFAULT_BLOB_URL, hide_env_values = true)]
    pub blob_url: String,
    /// Look at the logs alone.
    #[arg(long)]
    pub skip_snapshots: bool,
    /// Look at this drawing alone.
    #[arg(long)]
    pub drawing_id: Option<DrawingId>,
    /// How findings are printed.
    #[arg(long, value_enum, default_value = "text")]
    pub format: FindingFormat,
}

/// How findings look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FindingFormat {
    /// One line a finding, for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Flags of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The user id.
    #[arg(long, value_parser = parse_user)]
    pub sub: UserId,
    /// The name to show to others.
    #[arg(long)]
    pub name: Option<String>,
    /// How long the token lasts.
    #[arg(long, default_value = "1h", value_parser = parse_period)]
    pub ttl: Duration,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub identity: IdentityArgs,
}

/// Why the flags do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// An issuer that nobody can ask. Its address may bear a secret, so it is not shown.
    #[error("--jwks-url must read https://host/path or http://host/path")]
    JwksUrl,
    /// Nobody could be let in.
    #[error("no key is configured: give --jwt-secret or --jwks-url, or --dev for development")]
    NoKey,
    /// Too easy to guess.
    #[error(
        "the secret of --jwt-secret must have at least {} bytes (RFC 7518, 3.2)",
        limits::MIN_SECRET_BYTES
    )]
    ShortSecret,
    /// No database of a known kind, or one that is not durable.
    #[error("the database URL must read sqlite://path or postgres://user:password@host/database")]
    DatabaseUrl,
    /// A bus inside one process beside a database for many.
    #[error("an SQLite file has one server: --nats-url goes with a postgres:// database")]
    NatsWithSqlite,
    /// Somebody who would be let in, and nowhere to go.
    #[error("the other flags of NATS, such as --nats-credentials, need --nats-url")]
    NatsWithoutUrl,
    /// No way to reach NATS.
    #[error(transparent)]
    Nats(#[from] InvalidNatsOptions),
    /// No place for snapshots of a known kind.
    #[error(transparent)]
    BlobUrl(#[from] InvalidBlobUrl),
    /// An origin that no header can hold.
    #[error("an origin of --cors-origins is malformed")]
    Origin,
}

fn is_web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

impl ServeArgs {
    /// Checks what clap cannot.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        self.identity.check()?;
        self.store.check()?;
        self.blob_url.parse::<BlobUrl>()?;
        if self.identity.jwt_secret.is_none() && self.jwks_url.is_none() && !self.dev {
            return Err(ConfigError::NoKey);
        }
        if self.jwks_url.as_deref().is_some_and(|url| !is_web_address(url)) {
            return Err(ConfigError::JwksUrl);
        }
        if let Some(nats) = self.nats.options()? {
            if self.store.is_sqlite() {
                return Err(ConfigError::NatsWithSqlite);
            }
            nats.check()?;
        }
        self.cors().map(|_| ())
    }

    /// Descriptors that connections of clients must leave to the rest of the process.
    #[must_use]
    pub fn reserved_descriptors(&self) -> usize {
        // SQLite has one connection more, for writing.
        let database = self.store.database_connections as usize + 1;
        let admin = if self.admin_listen.is_some() { limits::ADMIN_CONNECTIONS } else { 0 };
        limits::RESERVED_DESCRIPTORS
            + database * limits::DESCRIPTORS_PER_DATABASE_CONNECTION
            + limits::SPARE_CONNECTIONS
            + admin
    }

    /// Which web pages may call.
    ///
    /// # Errors
    /// When an origin is malformed.
    pub fn cors(&self) -> Result<CorsOrigins, ConfigError> {
        if self.cors_origins.iter().any(|origin| origin == "*") || (self.cors_origins.is_empty() && self.dev)
        {
            return Ok(CorsOrigins::Any);
        }
        if self.cors_origins.is_empty() {
            return Ok(CorsOrigins::None);
        }
        let list = self.cors_origins.iter().map(|origin| HeaderValue::from_str(origin.trim_end_matches('/')));
        list.collect::<Result<_, _>>().map(CorsOrigins::List).map_err(|_| ConfigError::Origin)
    }
}

impl NatsArgs {
    /// Where NATS is, if the bus is to be there. Their own rules are theirs to check.
    ///
    /// # Errors
    /// When there are flags of NATS without an address of it.
    pub fn options(&self) -> Result<Option<NatsOptions>, ConfigError> {
        let files = [
            &self.nats_credentials,
            &self.nats_nkey,
            &self.nats_tls_ca,
            &self.nats_tls_cert,
            &self.nats_tls_key,
        ];
        match &self.nats_url {
            Some(url) => Ok(Some(NatsOptions {
                url: url.clone(),
                credentials: self.nats_credentials.clone(),
                nkey: self.nats_nkey.clone(),
                tls_ca: self.nats_tls_ca.clone(),
                tls_cert: self.nats_tls_cert.clone(),
                tls_key: self.nats_tls_key.clone(),
            })),
            None if files.iter().any(|file| file.is_some()) => Err(ConfigError::NatsWithoutUrl),
            None => Ok(None),
        }
    }
}

impl IdentityArgs {
    /// Checks the secret, if there is one.
    ///
    /// # Errors
    /// When it is too short.
    pub fn check(&self) -> Result<(), ConfigError> {
        match &self.jwt_secret {
            Some(secret) if !secret.is_long_enough() => Err(ConfigError::ShortSecret),
            _ => Ok(()),
        }
    }
}

impl StoreArgs {
    /// Checks the URL as far as its kind.
    ///
    /// # Errors
    /// When it is of no known kind, or names no file.
    pub fn check(&self) -> Result<(), ConfigError> {
        let url = self.database_url.as_str();
        let is_file =
            url.strip_prefix("sqlite://").is_some_and(|path| !path.is_empty() && !path.starts_with(':'));
        let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if is_file || is_postgres { Ok(()) } else { Err(ConfigError::DatabaseUrl) }
    }

    /// Whether the database is an SQLite file.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.database_url.starts_with("sqlite:")
    }
}

/// The id of a user, and no name of the server.
fn parse_user(text: &str) -> Result<UserId, String> {
    match text.parse::<UserId>() {
        Ok(user) if user.is_reserved() => Err("is a name of the server".to_owned()),
        Ok(user) => Ok(user),
        Err(error) => Err(error.to_string()),
    }
}

/// A name that stands in each line of the logs.
fn parse_node_name(text: &str) -> Result<String, String> {
    let rule = || format!("must be 1 to {} characters of A-Z a-z 0-9 . _ -", limits::MAX_NODE_NAME_CHARS);
    trace::is_node_name(text).then(|| text.to_owned()).ok_or_else(rule)
}

/// A network, or one address.
fn parse_network(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| alone()).map_err(|_| "must read as 10.0.0.0/8 or as an address".to_owned())
}

/// A period as people write it: `500ms`, `2s`, `1h`.
fn parse_period(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(period) if (limits::MIN_PERIOD..=limits::MAX_PERIOD).contains(&period) => Ok(period),
        Ok(_) => Err("must be 10ms to 10 years".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A notice or a window of at most `MAX_DRAIN_WINDOW`; zero too.
fn parse_keep_alive(text: &str) -> Result<Duration, String> {
    match parse_period(text)? {
        // The head of a request has its time within that.
        rest if (limits::HEADER_READ_TIMEOUT..=limits::MAX_KEEP_ALIVE).contains(&rest) => Ok(rest),
        _ => Err("must be from 10s to 1h".to_owned()),
    }
}

/// An empty text is that of an environment variable that says nothing.
fn parse_address_rate(text: &str) -> Result<u32, String> {
    let rate = if text.is_empty() { Ok(0) } else { text.parse() };
    let rate = rate.ok().filter(|rate| *rate <= limits::MAX_ADDRESS_RATE);
    rate.ok_or_else(|| format!("must be a number from 0 to {}", limits::MAX_ADDRESS_RATE))
}

fn parse_window(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(window) if window <= limits::MAX_DRAIN_WINDOW => Ok(window),
        Ok(_) => Err("must be at most 60s".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl std::fmt::Debug for StoreArgs {
    /// The address may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreArgs").field("is_sqlite", &self.is_sqlite()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NatsArgs {
    /// The address may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsArgs").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ServeArgs {
    /// Addresses may hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeArgs")
            .field("listen", &self.listen)
            .field("store", &self.store)
            .field("roles", &self.roles)
            .field("dev", &self.dev)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(flags: &[&str]) -> Result<Box<ServeArgs>, String> {
        let cli = Cli::try_parse_from([&["revcast", "serve", "--dev"], flags].concat());
        match cli.map_err(|error| error.to_string())?.command {
            Command::Serve(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn connections_rest_longer_than_load_balancers_let_them() {
        let rest = |flags: &[&str]| serve(flags).map(|args| args.keep_alive.as_secs());
        assert_eq!(rest(&[]), Ok(75));
        assert_eq!(rest(&["--keep-alive", "10m"]), Ok(600));
        for odd in ["9s", "0s", "2h", "x"] {
            assert!(rest(&["--keep-alive", odd]).is_err(), "{odd}");
        }
    }

    #[test]
    fn addresses_are_limited_if_somebody_says_so() {
        let rate = |flags: &[&str]| serve(flags).map(|args| args.limit_by_address);
        assert_eq!(rate(&[]), Ok(0));
        assert_eq!(rate(&["--limit-by-address"]), Ok(200));
        assert_eq!(rate(&["--limit-by-address", "--max-rooms", "5"]), Ok(200));
        assert_eq!(rate(&["--limit-by-address", "30"]), Ok(30));
        assert_eq!(rate(&["--limit-by-address="]), Ok(0), "as an empty variable of the environment");
        assert!(rate(&["--limit-by-address", "many"]).is_err());
    }
}
