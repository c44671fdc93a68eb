//! Flags of `serve`, and the rules between them.

use std::time::Duration;

use axum::http::HeaderValue;
use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::{
    ConfigError, DEFAULT_BLOB_URL, IdentityArgs, NatsArgs, StoreArgs,
    values::{
        parse_address_rate, parse_keep_alive, parse_network, parse_node_name, parse_period, parse_window,
    },
};
use crate::{http::CorsOrigins, limits, snapshot::BlobUrl};

/// Descriptors that a connection to the database takes, at most: SQLite's has the file and its log.
const DESCRIPTORS_PER_DATABASE_CONNECTION: usize = 2;

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

/// Flags of `serve`.
#[derive(Clone, Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks a free one, which the line `listening` of the log tells.
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
    /// Name of this node in logs; that of the machine with a random ending by default.
    #[arg(long, env = "REVCAST_NODE_NAME", value_parser = parse_node_name)]
    pub node_name: Option<String>,
    /// Networks of the proxies in front, separated by commas, as in `10.0.0.0/8`: their `X-Forwarded-For`, or else their
    /// `Forwarded`, says where a request came from.
    #[arg(long, env = "REVCAST_TRUSTED_PROXIES", value_delimiter = ',', value_parser = parse_network)]
    pub trusted_proxies: Vec<IpNet>,
    /// Roles of this node.
    #[arg(
        long,
        env = "REVCAST_ROLES",
        value_enum,
        value_delimiter = ',',
        default_value = "api,gateway,worker"
    )]
    pub roles: Vec<NodeRole>,
    /// Hand out guest tokens to anyone, and let any web page call. Never in production. In the environment: `1` or `true`.
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
    /// Time between two looks at the heads of live rooms, of which readers are told.
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
    /// Rest of a connection between two requests (10s to 1h); longer than a load balancer in front lets it rest.
    #[arg(long, env = "REVCAST_KEEP_ALIVE", default_value = "75s", value_parser = parse_keep_alive)]
    pub keep_alive: Duration,
    /// Sockets that may be opened on this node each second; 0 for any number.
    #[arg(long, env = "REVCAST_HANDSHAKES_PER_SECOND", default_value_t = limits::HANDSHAKES_PER_SECOND)]
    pub handshakes_per_second: u32,
    /// Time for which this node says on `/readyz` that it will stop, and serves everything, before it stops (0 to 60s).
    #[arg(long, env = "REVCAST_DRAIN_NOTICE", default_value = "5s", value_parser = parse_window)]
    pub drain_notice: Duration,
    /// Time over which the clients of this node are asked to leave when it stops (0 to 60s).
    #[arg(long, env = "REVCAST_DRAIN_WINDOW", default_value = "5s", value_parser = parse_window)]
    pub drain_window: Duration,
    /// Batches that may be written at the same time (1 to 16).
    #[arg(long, env = "REVCAST_WRITERS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub writers: u8,
    /// Ops by which a drawing grows, at least, before the next snapshot of it is built (1 to 1,000,000); the same on all nodes.
    #[arg(long, env = "REVCAST_SNAPSHOT_EVERY", default_value_t = limits::SNAPSHOT_EVERY, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub snapshot_every: u64,
    /// Memory for canvases, in bytes (16 MiB or more): those that are kept, those being loaded, and answers made of them.
    #[arg(long, env = "REVCAST_CANVAS_MEMORY", default_value_t = limits::CANVAS_MEMORY, value_parser = clap::value_parser!(u64).range(limits::MIN_CANVAS_MEMORY..=1 << 40))]
    pub canvas_memory: u64,
    /// Bytes that what can be undone in a drawing may weigh before the oldest of it is folded (1,024 to 1 GiB).
    #[arg(long, env = "REVCAST_UNDO_BUDGET", default_value_t = limits::UNDO_BUDGET, value_parser = clap::value_parser!(u64).range(1_024..=1 << 30))]
    pub undo_budget: u64,
    /// Bytes of ops that a drawing takes on this node each second from all its users, of which 16 seconds' worth may come at
    /// once; 0 for any number.
    #[arg(long, env = "REVCAST_DRAWING_BYTES_PER_SECOND", default_value_t = limits::DRAWING_BYTES_PER_SECOND, value_parser = clap::value_parser!(u32).range(0..=limits::MAX_DRAWING_RATE))]
    pub drawing_bytes_per_second: u32,
    /// Undo units that may begin in a drawing on this node each second, of which 30 seconds' worth may begin at once; 0 for
    /// any number.
    #[arg(long, env = "REVCAST_DRAWING_UNITS_PER_SECOND", default_value_t = limits::DRAWING_UNITS_PER_SECOND, value_parser = clap::value_parser!(u32).range(0..=limits::MAX_DRAWING_RATE))]
    pub drawing_units_per_second: u32,
    /// Requests that a user may write on this node each second; 0 for any number.
    #[arg(long, env = "REVCAST_WRITE_REQUESTS_PER_SECOND", default_value_t = limits::WRITE_REQUESTS_PER_SECOND)]
    pub write_requests_per_second: u32,
    /// Ops that a user may write on this node each second; 0 for any number.
    #[arg(long, env = "REVCAST_WRITE_OPS_PER_SECOND", default_value_t = limits::WRITE_OPS_PER_SECOND)]
    pub write_ops_per_second: u32,
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
            + database * DESCRIPTORS_PER_DATABASE_CONNECTION
            + limits::SPARE_CONNECTIONS
            + admin
    }

    /// Returns the web pages that may call.
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

fn is_web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
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
    use clap::Parser;

    use super::*;
    use crate::config::{Cli, Command};

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
