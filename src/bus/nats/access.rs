//! The way to NATS, and into it: addresses, credentials, certificates.
//!
//! Owns the options that an operator may set for it, and reads the files that they name. It opens no
//! connection.

mod addresses;
mod files;
mod options;

use std::path::{Path, PathBuf};

use async_nats::{Auth, AuthError, ConnectOptions, ServerAddr};
use nkeys::KeyPair;

use addresses::{Login, Logins, read_addresses};
use files::{check_certificates, check_file, read_credentials, read_seed};

pub use options::{InvalidNatsOptions, NatsOptions};

/// The options, checked.
pub(super) struct NatsAccess {
    /// Where NATS is, without the credentials: these addresses may be logged.
    addresses: Vec<ServerAddr>,
    identity: NatsIdentity,
    /// `true` if the connection is encrypted even where NATS does not ask for it.
    requires_tls: bool,
    options: NatsOptions,
}

/// The identity of this server for NATS.
enum NatsIdentity {
    /// The credentials in the addresses.
    Logins(Logins),
    /// A file with credentials, read anew for each connection: it may have been renewed meanwhile.
    Credentials(PathBuf),
    /// A file with an NKey, read in the same way.
    Nkey(PathBuf),
}

impl NatsAccess {
    pub(super) fn new(options: &NatsOptions) -> Result<Self, InvalidNatsOptions> {
        let (addresses, logins) = read_addresses(&options.url)?;
        let identity = match (&options.credentials, &options.nkey) {
            (None, None) => NatsIdentity::Logins(logins),
            (Some(_), Some(_)) => return Err(InvalidNatsOptions::TwoIdentities),
            _ if logins.first.is_some() => return Err(InvalidNatsOptions::TwoIdentities),
            (Some(path), None) => {
                check_file("--nats-credentials", path, |text| read_credentials(text).map(drop))?;
                NatsIdentity::Credentials(path.clone())
            }
            (None, Some(path)) => {
                check_file("--nats-nkey", path, |text| read_seed(text).map(drop))?;
                NatsIdentity::Nkey(path.clone())
            }
        };
        check_certificates(options)?;
        let requires_tls = options.tls_ca.is_some()
            || options.tls_cert.is_some()
            || addresses.iter().any(ServerAddr::tls_required);
        Ok(Self { addresses, identity, requires_tls, options: options.clone() })
    }

    /// Where NATS is.
    pub(super) fn addresses(&self) -> Vec<ServerAddr> {
        self.addresses.clone()
    }

    /// Adds what TLS takes. Its files are read for each connection, so that they may be renewed.
    pub(super) fn with_tls(&self, mut connect: ConnectOptions) -> ConnectOptions {
        if let Some(authority) = &self.options.tls_ca {
            connect = connect.add_root_certificates(authority.clone());
        }
        if let (Some(certificate), Some(key)) = (&self.options.tls_cert, &self.options.tls_key) {
            connect = connect.add_client_certificate(certificate.clone(), key.clone());
        }
        connect.require_tls(self.requires_tls)
    }

    /// The answer to the nonce of a server; `address` is that of the server, as far as it is known.
    pub(super) fn answer(&self, address: Option<&ServerAddr>, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        match &self.identity {
            NatsIdentity::Logins(logins) => match logins.at(address) {
                Some(Login::Password { user, password }) => {
                    auth.username = Some(user.clone());
                    auth.password = Some(password.clone());
                }
                Some(Login::Token(token)) => auth.token = Some(token.clone()),
                None => (),
            },
            NatsIdentity::Credentials(path) => {
                let (jwt, key) = reread("--nats-credentials", path, read_credentials)?;
                auth.jwt = Some(jwt);
                auth.signature = Some(sign(&key, nonce)?);
            }
            NatsIdentity::Nkey(path) => {
                let key = reread("--nats-nkey", path, read_seed)?;
                auth.nkey = Some(key.public_key());
                auth.signature = Some(sign(&key, nonce)?);
            }
        }
        Ok(auth)
    }
}

fn sign(key: &KeyPair, nonce: &[u8]) -> Result<Vec<u8>, AuthError> {
    key.sign(nonce).map_err(AuthError::new)
}

fn reread<T>(
    flag: &'static str,
    path: &Path,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, AuthError> {
    check_file(flag, path, read).map_err(AuthError::new)
}

#[cfg(test)]
mod tests;
