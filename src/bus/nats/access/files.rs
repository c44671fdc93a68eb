//! The files that options name: credentials, seeds, certificates.
//!
//! Owns how each is read, and what is said when it does not do.

use std::{fmt, fs, path::Path, sync::Arc};

use nkeys::{KeyPair, KeyPairType};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{InvalidNatsOptions, NatsOptions};

/// The JWT and the key of a user, as `nsc` writes them into one file.
pub(super) fn read_credentials(text: &str) -> Result<(String, KeyPair), String> {
    // The JSON of the header begins like this in base64.
    let jwt = text.lines().map(str::trim).find(|line| line.starts_with("eyJ"));
    Ok((jwt.ok_or("has no JWT of a user")?.to_owned(), read_seed(text)?))
}

/// The first seed of a user in a text; other lines are explanations.
pub(super) fn read_seed(text: &str) -> Result<KeyPair, String> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with('S'));
    let mut keys = lines.filter_map(|line| KeyPair::from_seed(line).ok());
    let key = keys.find(|key| key.key_pair_type() == KeyPairType::User);
    key.ok_or_else(|| "has no seed of a user's NKey (SU…)".to_owned())
}

/// Checks the certificates and the key, alone and with one another.
pub(super) fn check_certificates(options: &NatsOptions) -> Result<(), InvalidNatsOptions> {
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
pub(super) fn check_file<T>(
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
