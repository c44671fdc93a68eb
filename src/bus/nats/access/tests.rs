//! Options that do, and options that do not.

use super::*;

/// The credentials that the server at an address gets: user, password, token.
fn told(url: &str, address: &str) -> [Option<String>; 3] {
    let access = NatsAccess::new(&NatsOptions { url: url.to_owned(), ..NatsOptions::default() }).unwrap();
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
    let access = NatsAccess::new(&at("nats://alice:s3cret@a:1,tls://t0ken@b:1")).unwrap();
    let shown = format!("{:?}", access.addresses());
    assert!(!shown.contains("s3cret") && !shown.contains("t0ken") && !shown.contains("alice"), "{shown}");
    assert!(access.requires_tls);
}

#[test]
fn what_is_no_address_is_refused_and_not_shown() {
    for url in ["", " , "] {
        assert_eq!(refusal(&at(url)), InvalidNatsOptions::NoAddress);
    }
    for url in ["not an address", "http://a:1", "ws://a:1", "nats://", "nats://a:99999", "nats://u:%ff@a:1"] {
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
    for half in
        [NatsOptions { tls_cert: file(), ..at("tls://a") }, NatsOptions { tls_key: file(), ..at("tls://a") }]
    {
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
        (NatsOptions { tls_cert: here(), tls_key: here(), ..at("a") }, "--nats-tls-cert, Cargo.toml, has no"),
    ] {
        let refusal = refusal(&options).to_string();
        assert!(refusal.contains(sentence), "{refusal}");
    }
}
