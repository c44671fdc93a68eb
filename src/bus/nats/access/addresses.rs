//! Addresses of NATS, and the credentials that stand in them.

use std::collections::HashMap;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use url::Url;

use super::InvalidNatsOptions;

/// The credentials in the addresses. An address without any, and a server that NATS itself names, take the
/// first.
pub(super) struct Logins {
    pub(super) first: Option<Login>,
    of: HashMap<ServerAddr, Login>,
}

impl Logins {
    /// The credentials for a server; `address` is that of the server, as far as it is known.
    pub(super) fn at(&self, address: Option<&ServerAddr>) -> Option<&Login> {
        address.and_then(|address| self.of.get(address)).or(self.first.as_ref())
    }
}

/// The credentials in one address.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    Password { user: String, password: String },
    Token(String),
}

/// Takes the credentials out of the addresses.
pub(super) fn read_addresses(url: &str) -> Result<(Vec<ServerAddr>, Logins), InvalidNatsOptions> {
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
    Ok((addresses, Logins { first, of }))
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
