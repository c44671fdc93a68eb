//! How NATS is reached, and how it lets this server in: addresses, credentials, certificates.
//!
//! Owns what an operator may say about it, and reads the files that are named there. It opens no connection.

use std::{collections::HashMap, fmt, fs, path::Path, path::PathBuf, sync::Arc};

use async_nats::{Auth, AuthError, ConnectOptions, ServerAddr};
use nkeys::{KeyPair, KeyPairType};
use percent_encoding::percent_decode_str;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use url::Url;

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
        /// What is wrong with it.
        reason: String,
    },
}

/// The options, checked.
pub(super) struct Access {
    /// Where NATS is, without the credentials: these addresses may be logged.
    addresses: Vec<ServerAddr>,
    identity: Identity,
    /// Whether the connection is encrypted even where NATS does not ask for it.
    requires_tls: bool,
    options: NatsOptions,
}

/// Who this server is to NATS.
enum Identity {
    /// What stands in the addresses. Those without, and servers that NATS tells of, take the first.
    Logins { first: Option<Login>, of: HashMap<ServerAddr, Login> },
    /// What stands in a file, which is read for each connection: it may be renewed meanwhile.
    Credentials(PathBuf),
    /// The same for an NKey.
    Nkey(PathBuf),
}

#[derive(Clone, PartialEq, Eq)]
enum Login {
    Password { user: String, password: String },
    Token(String),
}

impl NatsOptions {
    /// Checks that the options go together and that the files can be used.
    ///
    /// # Errors
    /// See [`InvalidNatsOptions`].
    pub fn check(&self) -> Result<(), InvalidNatsOptions> {
        Access::new(self).map(drop)
    }
}

impl Access {
    pub(super) fn new(options: &NatsOptions) -> Result<Self, InvalidNatsOptions> {
        let (addresses, logins) = read_addresses(&options.url)?;
        let identity = match (&options.credentials, &options.nkey) {
            (None, None) => logins,
            (Some(_), Some(_)) => return Err(InvalidNatsOptions::TwoIdentities),
            _ if matches!(logins, Identity::Logins { first: Some(_), .. }) => {
                return Err(InvalidNatsOptions::TwoIdentities);
            }
            (Some(path), None) => {
                check_file("--nats-credentials", path, |text| read_credentials(text).map(drop))?;
                Identity::Credentials(path.clone())
            }
            (None, Some(path)) => {
                check_file("--nats-nkey", path, |text| read_seed(text).map(drop))?;
                Identity::Nkey(path.clone())
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

    /// What to answer to the nonce of a server; `address` is that of the server, as far as that is known.
    pub(super) fn answer(&self, address: Option<&ServerAddr>, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        match &self.identity {
            Identity::Logins { first, of } => {
                match address.and_then(|address| of.get(address)).or(first.as_ref()) {
                    Some(Login::Password { user, password }) => {
                        auth.username = Some(user.clone());
                        auth.password = Some(password.clone());
                    }
                    Some(Login::Token(token)) => auth.token = Some(token.clone()),
                    None => (),
                }
            }
            Identity::Credentials(path) => {
                let (jwt, key) = reread("--nats-credentials", path, read_credentials)?;
                auth.jwt = Some(jwt);
                auth.signature = Some(sign(&key, nonce)?);
            }
            Identity::Nkey(path) => {
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

/// Takes the credentials out of the addresses.
fn read_addresses(url: &str) -> Result<(Vec<ServerAddr>, Identity), InvalidNatsOptions> {
    let (mut addresses, mut first, mut of) = (Vec::new(), None, HashMap::new());
    let given = url.split(',').map(str::trim).filter(|address| !address.is_empty());
    for (number, given) in (1..).zip(given) {
        let (address, login) = read_address(given).ok_or(InvalidNatsOptions::Address(number))?;
        let known = of.get(&address);
        if addresses.contains(&address) {
            if known != login.as_ref() {
                return Err(InvalidNatsOptions::AddressTwice(number));
            }
            continue;
        }
        if let Some(login) = login {
            first.get_or_insert_with(|| login.clone());
            of.insert(address.clone(), login);
        }
        addresses.push(address);
    }
    if addresses.is_empty() {
        // The client would look for an address for ever, without a pause.
        return Err(InvalidNatsOptions::NoAddress);
    }
    Ok((addresses, Identity::Logins { first, of }))
}

/// One address, and the credentials in it.
fn read_address(text: &str) -> Option<(ServerAddr, Option<Login>)> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    let mut url: Url = with_scheme.parse().ok()?;
    let has_host = url.host_str().is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace));
    if !has_host || !matches!(url.scheme(), "nats" | "tls") {
        return None;
    }
    let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
    let user = decoded(url.username())?;
    let login = match url.password() {
        Some(password) => Some(Login::Password { user, password: decoded(password)? }),
        None if user.is_empty() => None,
        None => Some(Login::Token(user)),
    };
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some((ServerAddr::from_url(url).ok()?, login))
}

/// The JWT and the key of a user, as `nsc` writes them into one file.
fn read_credentials(text: &str) -> Result<(String, KeyPair), String> {
    // That is how the JSON of the header begins in base64.
    let jwt = text.lines().map(str::trim).find(|line| line.starts_with("eyJ"));
    Ok((jwt.ok_or("has no JWT of a user")?.to_owned(), read_seed(text)?))
}

/// The first seed of a user in a text; other lines are explanations.
fn read_seed(text: &str) -> Result<KeyPair, String> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with('S'));
    let mut keys = lines.filter_map(|line| KeyPair::from_seed(line).ok());
    let key = keys.find(|key| key.key_pair_type() == KeyPairType::User);
    key.ok_or_else(|| "has no seed of a user's NKey (SU…)".to_owned())
}

fn check_certificates(options: &NatsOptions) -> Result<(), InvalidNatsOptions> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &options.tls_ca {
        check_file("--nats-tls-ca", path, |text| {
            read_certificates(text)?
                .into_iter()
                .try_for_each(|certificate| roots.add(certificate))
                .map_err(describe)
        })?;
    }
    let (cert, key) = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) => return Ok(()),
        _ => return Err(InvalidNatsOptions::HalfACertificate),
    };
    let chain = check_file("--nats-tls-cert", cert, read_certificates)?;
    check_file("--nats-tls-key", key, |text| {
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| "has no private key in PEM".to_owned())?;
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(describe)?;
        let client = builder.with_root_certificates(roots).with_client_auth_cert(chain, key);
        client.map(drop).map_err(|error| format!("does not go with that of --nats-tls-cert: {error}"))
    })
}

fn read_certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("has no certificate in PEM".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("is no PEM: {error}")),
    }
}

fn describe(error: impl fmt::Display) -> String {
    format!("cannot be used: {error}")
}

/// Reads a file and what is in it.
fn check_file<T>(
    flag: &'static str,
    path: &Path,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, InvalidNatsOptions> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"));
    text.and_then(|text| read(&text)).map_err(|reason| InvalidNatsOptions::File {
        flag,
        path: path.to_owned(),
        reason,
    })
}

impl fmt::Debug for NatsOptions {
    /// The address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told to the server at an address, as `user password token`.
    fn told(url: &str, address: &str) -> [Option<String>; 3] {
        let access = Access::new(&NatsOptions { url: url.to_owned(), ..NatsOptions::default() }).unwrap();
        let auth = access.answer(Some(&address.parse().unwrap()), b"").unwrap();
        [auth.username, auth.password, auth.token]
    }

    fn password(user: &str, password: &str) -> [Option<String>; 3] {
        [Some(user.to_owned()), Some(password.to_owned()), None]
    }

    fn refusal(options: &NatsOptions) -> InvalidNatsOptions {
        options.check().unwrap_err()
    }

    fn at(url: &str) -> NatsOptions {
        NatsOptions { url: url.to_owned(), ..NatsOptions::default() }
    }

    #[test]
    fn credentials_of_an_address_are_decoded_and_told_to_its_server() {
        let address = "nats://a:4222";
        assert_eq!(told("nats://alice:p%40ss%2C%3A%25w@a:4222", address), password("alice", "p@ss,:%w"));
        assert_eq!(told("alice:s3cret@a:4222", address), password("alice", "s3cret"));
        assert_eq!(told("nats://t%2Fk@a:4222", address), [None, None, Some("t/k".to_owned())]);
        assert_eq!(told("nats://a:4222", address), [None, None, None]);
    }

    #[test]
    fn each_server_is_told_its_own_credentials_and_others_the_first() {
        let url = "nats://a:1, nats://alice:one@b:1,tls://bob:two@c:1";
        assert_eq!(told(url, "nats://b:1"), password("alice", "one"));
        assert_eq!(told(url, "tls://c:1"), password("bob", "two"));
        assert_eq!(told(url, "nats://a:1"), password("alice", "one"));
        assert_eq!(told(url, "nats://found:1"), password("alice", "one"));
    }

    #[test]
    fn no_address_keeps_its_credentials() {
        let access = Access::new(&at("nats://alice:s3cret@a:1,tls://t0ken@b:1")).unwrap();
        let shown = format!("{:?}", access.addresses());
        assert!(!shown.contains("s3cret") && !shown.contains("t0ken") && !shown.contains("alice"), "{shown}");
        assert!(access.requires_tls);
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_shown() {
        for url in ["", " , "] {
            assert_eq!(refusal(&at(url)), InvalidNatsOptions::NoAddress);
        }
        for url in
            ["not an address", "http://a:1", "ws://a:1", "nats://", "nats://a:99999", "nats://u:%ff@a:1"]
        {
            assert_eq!(refusal(&at(&format!("nats://b:1,{url}"))), InvalidNatsOptions::Address(2), "{url}");
        }
        let twice = refusal(&at("nats://alice:s3cret@a:1,nats://alice:0ther@a:1"));
        assert_eq!(twice, InvalidNatsOptions::AddressTwice(2));
        assert!(at("nats://alice:s3cret@a:1,nats://alice:s3cret@a:1").check().is_ok());
    }

    #[test]
    fn only_one_way_to_be_let_in_is_taken() {
        let file = || Some(PathBuf::from("/nowhere"));
        let both = NatsOptions { credentials: file(), nkey: file(), ..at("nats://a") };
        let with_url = NatsOptions { nkey: file(), ..at("nats://alice:s3cret@a") };
        let with_token = NatsOptions { credentials: file(), ..at("nats://t0ken@a") };
        for options in [both, with_url, with_token] {
            assert_eq!(refusal(&options), InvalidNatsOptions::TwoIdentities);
        }
        for half in [
            NatsOptions { tls_cert: file(), ..at("tls://a") },
            NatsOptions { tls_key: file(), ..at("tls://a") },
        ] {
            assert_eq!(refusal(&half), InvalidNatsOptions::HalfACertificate);
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_flag() {
        let here = || Some(PathBuf::from("Cargo.toml"));
        let nowhere = || Some(PathBuf::from("/nowhere/at/all"));
        for (options, sentence) in [
            (
                NatsOptions { credentials: nowhere(), ..at("a") },
                "--nats-credentials, /nowhere/at/all, cannot be read",
            ),
            (NatsOptions { credentials: here(), ..at("a") }, "--nats-credentials, Cargo.toml, has no JWT"),
            (NatsOptions { nkey: nowhere(), ..at("a") }, "--nats-nkey, /nowhere/at/all, cannot be read"),
            (NatsOptions { nkey: here(), ..at("a") }, "--nats-nkey, Cargo.toml, has no seed"),
            (NatsOptions { tls_ca: nowhere(), ..at("a") }, "--nats-tls-ca, /nowhere/at/all, cannot be read"),
            (NatsOptions { tls_ca: here(), ..at("a") }, "--nats-tls-ca, Cargo.toml, has no certificate"),
            (
                NatsOptions { tls_cert: here(), tls_key: here(), ..at("a") },
                "--nats-tls-cert, Cargo.toml, has no",
            ),
        ] {
            let refusal = refusal(&options).to_string();
            assert!(refusal.contains(sentence), "{refusal}");
        }
    }
}
