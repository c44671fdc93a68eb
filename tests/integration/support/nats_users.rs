//! The credentials that NATS servers let in: certificates, NKeys, and the JWTs of an operator, an account and a user.

use std::{fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use loadtest::services::TempFolder;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyUsagePurpose};
use serde_json::{Value, json};

/// A user of a server in operator mode.
pub struct Operator {
    /// The configuration that the server has to be started with.
    pub configuration: String,
    /// The file that the user is let in with, as `nsc` writes it.
    pub credentials: String,
}

impl Operator {
    /// An operator with one account and one user, all of them new.
    pub fn new() -> Self {
        let (operator, account, user) =
            (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
        let everything = json!({"subs": -1, "data": -1, "payload": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1});
        let of_operator = sign(&operator, &operator, &json!({"type": "operator", "version": 2}));
        let of_account =
            sign(&operator, &account, &json!({"type": "account", "version": 2, "limits": everything}));
        let no_limits = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let of_user = sign(&account, &user, &no_limits);
        Self {
            configuration: format!(
                "operator: {of_operator}\nresolver: MEMORY\nresolver_preload: {{ {}: {of_account} }}\n",
                account.public_key()
            ),
            credentials: format!(
                "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
                 ************************* IMPORTANT *************************\n\
                 NKEY Seed printed below can be used to sign and prove identity.\n\n\
                 -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
                user.seed().unwrap()
            ),
        }
    }
}

/// A JWT of `issuer` about `subject`.
fn sign(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = encode(&json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let claims = encode(&json!({
        "jti": "test", "iat": 1_700_000_000, "name": "test", "nats": nats,
        "iss": issuer.public_key(), "sub": subject.public_key(),
    }));
    let signed = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

/// Certificates and keys in files.
pub struct Certificates {
    folder: TempFolder,
    authority: CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Certificates {
    /// An authority of its own; its certificate is in the file `ca`.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority = CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let folder = TempFolder::new("certificates").unwrap();
        fs::write(folder.path().join("ca"), authority.pem()).unwrap();
        Self { folder, authority }
    }

    /// Writes a certificate for `127.0.0.1` and its key to the files `<name>.cert` and `<name>.key`.
    pub fn issue(&self, name: &str) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        fs::write(self.file(&format!("{name}.cert")), certificate.pem()).unwrap();
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The part of a server's configuration that has it speak TLS; `verify: true` in `more` has it ask clients for
    /// certificates.
    pub fn configuration(&self, more: &str) -> String {
        let file = |name| self.file(name).display().to_string();
        format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", {more} }}\n",
            file("server.cert"),
            file("server.key"),
            file("ca")
        )
    }
}
