//! The options for NATS that an operator sets, and the reasons why they may not do.

use std::{fmt, path::PathBuf};

use super::NatsAccess;

/// Where NATS is, and how to be let in.
#[derive(Clone, Default)]
pub struct NatsOptions {
    /// Addresses separated by commas; user and password, or a token, may stand in each.
    pub url: String,
    /// The file of a user's credentials: a JWT and the seed that belongs to it.
    pub credentials: Option<PathBuf>,
    /// The file with the seed of an NKey.
    pub nkey: Option<PathBuf>,
    /// Certificates that may vouch for NATS, in place of those that the system trusts.
    pub tls_ca: Option<PathBuf>,
    /// The certificate of this server.
    pub tls_cert: Option<PathBuf>,
    /// The key that belongs to it.
    pub tls_key: Option<PathBuf>,
}

/// Why NATS cannot be reached with these options. None of them shows a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNatsOptions {
    /// No address at all.
    #[error("--nats-url has no address")]
    NoAddress,
    /// An address that is none; they are counted from 1.
    #[error(
        "address {0} of --nats-url must read nats://host:port or tls://host:port, with user:password@ or token@ before the host if need be, percent-encoded"
    )]
    Address(usize),
    /// One address with two sets of credentials.
    #[error("address {0} of --nats-url is there twice, with different credentials")]
    AddressTwice(usize),
    /// Two ways to be let in.
    #[error(
        "only one may say who this server is to NATS: credentials in --nats-url, --nats-credentials or --nats-nkey"
    )]
    TwoIdentities,
    /// Half of what mutual TLS takes.
    #[error("--nats-tls-cert and --nats-tls-key go together")]
    HalfACertificate,
    /// A file that cannot be read, or is not what it should be.
    #[error("the file of {flag}, {}, {reason}", path.display())]
    File {
        /// The flag that names it.
        flag: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
}

impl NatsOptions {
    /// Checks that the options go together and that the files can be used.
    ///
    /// # Errors
    /// See [`InvalidNatsOptions`].
    pub fn check(&self) -> Result<(), InvalidNatsOptions> {
        NatsAccess::new(self).map(drop)
    }
}

impl fmt::Debug for NatsOptions {
    /// The address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions").finish_non_exhaustive()
    }
}
