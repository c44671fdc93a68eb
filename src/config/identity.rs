//! Flags by which tokens are verified.

use clap::Args;

use super::ConfigError;
use crate::identity::Secret;

/// The settings by which tokens are verified.
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
