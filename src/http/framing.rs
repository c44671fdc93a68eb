//! The beginning of a request: the host and the target that it names, and the framing of its body.
//!
//! Owns those rules of RFC 9112 for servers that go beyond the syntax, which the HTTP library checks. An
//! intermediary and a server that disagree where a request ends can be played off against each other.

use std::net::Ipv6Addr;

use axum::{
    extract::Request,
    http::{HeaderMap, Method, Uri, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    error::{Error, ErrorCode},
    limits,
};

/// Answers what does not begin as it must.
pub(super) async fn check(request: Request, next: Next) -> Response {
    match examine(request.method(), request.uri(), request.version(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(detail) => Error::new(ErrorCode::InvalidRequest, detail).into_response(),
    }
}

/// Checks that a request begins as it must; the error says what is wrong with it.
fn examine(method: &Method, uri: &Uri, version: Version, headers: &HeaderMap) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => (),
        (Some(_), None) => return Err("the header Host must name a host, with or without a port"),
        (Some(_), Some(_)) => return Err("the header Host must come once"),
        (None, _) if version < Version::HTTP_11 => (),
        (None, _) => return Err("the header Host is missing"),
    }
    // The other two forms, `host:port` and `*`, are for proxies and for no resource (RFC 9112 §3.2).
    if *method == Method::CONNECT || !uri.path().starts_with('/') {
        return Err("the target of the request must be a path");
    }
    // In the absolute form, it is the target that counts, not Host (§3.2.2).
    let is_http = uri.scheme_str().is_none_or(|scheme| matches!(scheme, "http" | "https"));
    if !is_http || uri.authority().is_some_and(|authority| !is_host(authority.as_str().as_bytes())) {
        return Err("the target of the request must be a path, or the http address of one");
    }
    // Nobody would unpack any other coding of the body (§6.1).
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_plain = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !is_plain || codings.next().is_some() {
        return Err("the only transfer coding that is understood is chunked, once");
    }
    Ok(())
}

/// Returns `true` for a host, with or without a port (RFC 9110 §7.2, RFC 3986 §3.2.2). A host without a name is
/// refused: every target is an http address.
fn is_host(text: &[u8]) -> bool {
    let Some(text) = str::from_utf8(text).ok().filter(|text| text.len() <= limits::MAX_HOST_BYTES) else {
        return false;
    };
    let (is_name, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(None) => return false,
        Some(Some((address, port))) => (address.parse::<Ipv6Addr>().is_ok(), port),
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (is_name(name), port)
        }
    };
    let is_number = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok())
    };
    is_name && (port.is_empty() || port.strip_prefix(':').is_some_and(is_number))
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => {
                [bytes.next(), bytes.next()].iter().all(|hex| hex.is_some_and(|hex| hex.is_ascii_hexdigit()))
            }
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_name_or_an_address_and_perhaps_a_port() {
        let hosts = [
            "example.com",
            "example.com:8080",
            "example.com:",
            "localhost",
            "my_service",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:8080",
            "%C3%A4.example",
            "EXAMPLE.com.",
        ];
        for host in hosts {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        let long = "x".repeat(limits::MAX_HOST_BYTES + 1);
        let odd = [
            "",
            ":80",
            "a b",
            "a/b",
            "a,b",
            "user@example.com",
            "example.com:80:80",
            "example.com:x",
            "example.com:65536",
            "::1",
            "[::1",
            "[::1]x",
            "[127.0.0.1]",
            "[]",
            "a%2",
            "a%zz",
            "http://example.com",
            "ä.example",
            &long,
        ];
        for host in odd {
            assert_eq!(is_host(host.as_bytes()), host == "a,b", "{host}");
        }
        assert!(!is_host(b"a\xff"));
    }
}
