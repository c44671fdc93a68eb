//! Flags of NATS.

use std::path::PathBuf;

use clap::Args;

use super::ConfigError;
use crate::bus::NatsOptions;

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

impl std::fmt::Debug for NatsArgs {
    /// The address may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsArgs").finish_non_exhaustive()
    }
}
