//! The command line and its environment names.
//!
//! Owns parsing and the rules between flags. It connects nothing: `server` does.

mod identity;
mod nats;
mod serve;
mod store;
mod values;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    bus::InvalidNatsOptions,
    limits,
    model::{DrawingId, Title, UserId},
    snapshot::InvalidBlobUrl,
};
use values::{parse_period, parse_user};

pub use identity::IdentityArgs;
pub use nats::NatsArgs;
pub use serve::{NodeRole, ServeArgs};
pub use store::StoreArgs;

/// Where snapshots lie unless somebody says otherwise.
pub const DEFAULT_BLOB_URL: &str = "file:data/blobs";

/// REST commits the truth. The socket broadcasts the truth.
#[derive(Debug, Parser)]
#[command(name = "revcast", version)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of the program.
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
    /// Print the reference of codes, limits, flags, metrics and roles, as Markdown.
    Reference,
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
    /// Form of the findings.
    #[arg(long, value_enum, default_value = "text")]
    pub format: FindingFormat,
}

/// The form of findings.
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
    /// Life of the token.
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
