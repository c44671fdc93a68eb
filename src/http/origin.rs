//! Where a request came from: its id, and the address of its client, behind proxies too.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{Extensions, HeaderMap, header, request::Parts},
};
use ipnet::IpNet;

use crate::{
    audit::{Actor, Origin},
    identity::Identity,
    trace::RequestId,
};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The other end of the connection; an extension of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The networks whose word is taken for where a request came from.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// These networks; with none, the client is the peer.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Where a request came from; unknown without a connection.
    pub(super) fn client_of(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        extensions.get::<Peer>().map(|peer| self.client(peer.0.ip(), headers))
    }

    /// The nearest address on the way to the client that is no trusted proxy. Anything beyond it may be made
    /// up.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut address = peer.to_canonical();
        if self.0.is_empty() || !self.contains(address) {
            return address;
        }
        // The last proxy has added the last one.
        for next in forwarded(headers).into_iter().rev() {
            // A proxy may hide whom it speaks for.
            let Some(next) = next else { break };
            address = next;
            if !self.contains(address) {
                break;
            }
        }
        address
    }
}

/// The addresses of `X-Forwarded-For`, or else those of `Forwarded`, in the order in which they were added; `None` for what
/// is none.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = |name: &str| {
        let values = headers.get_all(name).into_iter();
        values.map(|value| value.to_str().unwrap_or_default().to_owned()).collect::<Vec<_>>().join(",")
    };
    if headers.contains_key(FORWARDED_FOR) {
        return values(FORWARDED_FOR).split(',').map(address).collect();
    }
    if !headers.contains_key(header::FORWARDED) {
        return Vec::new();
    }
    let hop = |hop: &str| {
        hop.split(';').find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            name.eq_ignore_ascii_case("for").then(|| address(value.trim_matches('"'))).flatten()
        })
    };
    values("forwarded").split(',').map(hop).collect()
}

/// An address, perhaps with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip()));
    parsed.ok().map(|address: IpAddr| address.to_canonical())
}

impl<S> FromRequestParts<S> for Origin
where
    S: Send + Sync,
    TrustedProxies: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let address = TrustedProxies::from_ref(state).client_of(&parts.extensions, &parts.headers);
        Ok(Self { address, request: RequestId::of(&parts.headers) })
    }
}

impl Identity {
    /// The user as the one who does what the request asks for.
    pub(crate) fn acting_from(&self, origin: Origin) -> Actor {
        Actor::User(self.user_id.clone(), origin)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    /// The layer around all routes has seen to it that the request bears one.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn client(networks: &[&str], peer: &str, sent: &[(&'static str, &str)]) -> String {
        let networks: Vec<IpNet> = networks.iter().map(|network| network.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        TrustedProxies::new(&networks).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn without_a_trusted_proxy_the_peer_is_the_client_whatever_it_says() {
        let sent = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9")];
        assert_eq!(client(&[], "10.0.0.1", &sent), "10.0.0.1");
        assert_eq!(client(&["192.168.0.0/16"], "10.0.0.1", &sent), "10.0.0.1");
        assert_eq!(client(&[], "::ffff:10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn behind_trusted_proxies_the_client_is_the_nearest_address_that_is_none() {
        let of = |value| client(&["10.0.0.0/8", "fd00::/8"], "10.0.0.1", &[("x-forwarded-for", value)]);
        assert_eq!(of("203.0.113.9"), "203.0.113.9");
        // Addresses that the client has put in front are not believed.
        assert_eq!(of("198.51.100.1, 203.0.113.9"), "203.0.113.9");
        assert_eq!(of("198.51.100.1, 203.0.113.9,10.2.0.1 , fd00::7"), "203.0.113.9");
        assert_eq!(of("10.3.0.1, 10.2.0.1"), "10.3.0.1");
        assert_eq!(of("203.0.113.9:4711"), "203.0.113.9");
        assert_eq!(of("2001:db8::1"), "2001:db8::1");
        assert_eq!(of("[2001:db8::1]:443"), "2001:db8::1");
        assert_eq!(of("::ffff:203.0.113.9"), "203.0.113.9");
        for odd in ["", "unknown", "203.0.113.9, unknown", "203.0.113.9, _hidden"] {
            assert_eq!(of(odd), "10.0.0.1", "{odd}");
        }
        let twice = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &twice), "203.0.113.9");
    }

    #[test]
    fn forwarded_is_read_where_the_other_header_is_missing() {
        let of = |value| client(&["10.0.0.0/8"], "10.0.0.1", &[("forwarded", value)]);
        assert_eq!(of("for=203.0.113.9"), "203.0.113.9");
        assert_eq!(of("for=198.51.100.1, For=203.0.113.9;proto=https;by=10.0.0.1"), "203.0.113.9");
        assert_eq!(of(r#"proto=https;for="[2001:db8::1]:443""#), "2001:db8::1");
        assert_eq!(of("for=203.0.113.9, for=unknown"), "10.0.0.1");
        assert_eq!(of("by=203.0.113.9"), "10.0.0.1");
        let both = [("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &both), "203.0.113.9");
    }
}
