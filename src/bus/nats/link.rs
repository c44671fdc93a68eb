//! The link to NATS: which server is tried next, who this server is to it, and what is said of all that in the logs.
//!
//! Owns the difference between an outage, which ends by itself, and a refusal, which does not. It carries no messages.

use std::sync::{Mutex, PoisonError};

use async_nats::{
    Auth, AuthError, ConnectOptions, Event, ReconnectToServer, Server, ServerAddr, ServerError,
};
use uuid::Uuid;

use super::access::NatsAccess;

/// The state that the callbacks of the client share.
pub(super) struct NatsLink {
    access: NatsAccess,
    /// The locks are held for a few comparisons.
    state: Mutex<LinkState>,
    turn: Mutex<Turn>,
}

/// The server whose turn it is to be tried.
struct Turn {
    /// The place in the pool. It begins anywhere, so that nodes that start together spread over the servers.
    next: usize,
    /// The server that is being tried.
    current: Option<ServerAddr>,
}

/// The state of the way to NATS, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkState {
    /// Nothing yet.
    Unknown,
    /// Messages are carried.
    Connected,
    /// NATS is away, and will be back.
    Away,
    /// NATS is there, and somebody has to do something.
    Refused(Denial),
}

/// Why NATS does not carry our messages, though it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denial {
    /// It does not know us, or not any more.
    Credentials,
    /// The file with our credentials cannot be read.
    File,
    /// One side does not trust the certificate of the other.
    Certificate,
    /// It knows us, and does not let us speak of what we have to.
    Subjects,
}

impl NatsLink {
    pub(super) fn new(access: NatsAccess) -> Self {
        let next = usize::from(Uuid::new_v4().as_bytes()[0]);
        Self { access, state: Mutex::new(LinkState::Unknown), turn: Mutex::new(Turn { next, current: None }) }
    }

    /// Adds what TLS takes.
    pub(super) fn with_tls(&self, connect: ConnectOptions) -> ConnectOptions {
        self.access.with_tls(connect)
    }

    /// Picks the server to be tried next: each in its turn. The time to wait for it is that of the client.
    pub(super) fn next_server(&self, pool: &[Server]) -> Option<ReconnectToServer> {
        self.hear_of(pool);
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        turn.next = turn.next.wrapping_add(1);
        let server = pool.get(turn.next % pool.len().max(1))?;
        turn.current = Some(server.addr.clone());
        Some(ReconnectToServer { addr: server.addr.clone(), delay: None })
    }

    /// Tells the server that is being tried who we are.
    pub(super) fn answer(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let current = self.turn.lock().unwrap_or_else(PoisonError::into_inner).current.clone();
        self.access.answer(current.as_ref(), nonce)
    }

    /// Returns `false` if NATS is known to refuse a subject that we need.
    pub(super) fn is_allowed(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state != LinkState::Refused(Denial::Subjects)
    }

    /// Takes in what the client reports.
    pub(super) fn hear(&self, event: &Event) {
        match event {
            Event::Connected => {
                if self.becomes(LinkState::Connected) {
                    tracing::info!("the bus is connected");
                }
            }
            Event::Disconnected => {
                if self.becomes(LinkState::Away) {
                    tracing::warn!("the bus is cut; rooms read the store until it is back");
                }
            }
            Event::SlowConsumer(_) => tracing::warn!("a subscription was too slow; its room reads the store"),
            Event::ServerError(ServerError::Other(error)) if is_about_subjects(error) => {
                self.refuse(Denial::Subjects, None, error);
            }
            // A failed attempt. The pool says more of it, save where the name of a server is unknown.
            Event::ClientError(error) if !error.to_string().ends_with("DNS error") => (),
            Event::ClientError(error) => self.miss(None, &error.to_string()),
            // The cut that follows is told.
            Event::ServerError(ServerError::AuthorizationViolation) => (),
            other => tracing::warn!(event = %other, "the bus reports"),
        }
    }

    /// Takes in what became of the attempts so far. One server that refuses us weighs more than others that are away.
    fn hear_of(&self, pool: &[Server]) {
        let failures =
            || pool.iter().filter_map(|server| Some((&server.addr, server.last_error.as_deref()?)));
        let refused = failures().find_map(|(server, error)| Some((server, error, refusal_in(error)?)));
        if let Some((server, error, refusal)) = refused {
            self.refuse(refusal, Some(server), error);
        } else if let Some((server, error)) = failures().next() {
            self.miss(Some(server), error);
        }
    }

    fn miss(&self, server: Option<&ServerAddr>, error: &str) {
        if self.becomes(LinkState::Away) {
            let server = server.map(ServerAddr::as_url_str);
            tracing::warn!(server, error, "NATS cannot be reached; rooms read the store until it can");
        }
    }

    fn refuse(&self, refusal: Denial, server: Option<&ServerAddr>, error: &str) {
        if self.becomes(LinkState::Refused(refusal)) {
            let server = server.map(ServerAddr::as_url_str);
            tracing::error!(server, error, "{}", refusal.advice());
        }
    }

    /// Takes the new state, and returns `true` if it differs from the one before.
    fn becomes(&self, state: LinkState) -> bool {
        let mut known = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *known, state) != state
    }
}

impl Denial {
    /// The fault, and the way to mend it.
    fn advice(self) -> &'static str {
        match self {
            Self::Credentials => {
                "NATS refuses the credentials of this server, and will until somebody corrects them here (in --nats-url, \
                 --nats-credentials or --nats-nkey) or in NATS; rooms read the store meanwhile"
            }
            Self::File => {
                "the credentials for NATS cannot be read any more, until somebody restores the file; rooms read the store \
                 meanwhile"
            }
            Self::Certificate => {
                "TLS with NATS fails, and will until somebody corrects the certificates here (--nats-tls-ca for who may \
                 vouch for NATS, --nats-tls-cert and --nats-tls-key for this server) or in NATS; rooms read the store \
                 meanwhile"
            }
            Self::Subjects => {
                "NATS does not allow this server to publish and subscribe as it must: allow its user revcast.> and \
                 _INBOX.revcast.>, then restart this server; rooms read the store meanwhile"
            }
        }
    }
}

/// The client has only texts for us.
fn refusal_in(error: &str) -> Option<Denial> {
    let error = error.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| error.contains(part));
    if has(&["authorization violation", "authentication expired", "authentication revoked"]) {
        Some(Denial::Credentials)
    } else if has(&["failed signing nonce"]) {
        Some(Denial::File)
    } else if has(&["certificate", "fatal alert", "tls error", "corrupt message", "unknown ca"]) {
        Some(Denial::Certificate)
    } else {
        None
    }
}

fn is_about_subjects(error: &str) -> bool {
    error.to_ascii_lowercase().contains("permissions violation")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::NatsOptions;

    fn link(url: &str) -> NatsLink {
        NatsLink::new(
            NatsAccess::new(&NatsOptions { url: url.to_owned(), ..NatsOptions::default() }).unwrap(),
        )
    }

    fn server(address: &str, last_error: Option<&str>) -> Server {
        Server {
            addr: address.parse().unwrap(),
            failed_attempts: 0,
            did_connect: false,
            is_discovered: false,
            last_error: last_error.map(str::to_owned),
        }
    }

    fn state(link: &NatsLink) -> LinkState {
        *link.state.lock().unwrap()
    }

    #[test]
    fn each_server_is_tried_in_its_turn_and_told_its_own_credentials() {
        let link = link("nats://alice:one@a:1,nats://bob:two@b:1");
        let pool = [server("nats://a:1", None), server("nats://b:1", None), server("found:1", None)];
        for _ in 0..6 {
            let tried = link.next_server(&pool).unwrap().addr;
            let user = if tried.host() == "b" { "bob" } else { "alice" };
            assert_eq!(link.answer(b"").unwrap().username.as_deref(), Some(user));
        }
        let tried: std::collections::HashSet<_> =
            (0..3).map(|_| link.next_server(&pool).unwrap().addr).collect();
        assert_eq!(tried.len(), 3);
    }

    #[test]
    fn a_refusal_weighs_more_than_an_outage_and_each_state_is_news_once() {
        let link = link("nats://a:1");
        let away = server("nats://b:1", Some("IO error: Connection refused (os error 111)"));
        let refused = server("nats://a:1", Some("authorization violation: nats: authorization violation"));
        link.next_server(std::slice::from_ref(&away));
        assert_eq!(state(&link), LinkState::Away);
        link.next_server(&[away, refused]);
        assert_eq!(state(&link), LinkState::Refused(Denial::Credentials));
        assert!(!link.becomes(LinkState::Refused(Denial::Credentials)));
        assert!(link.becomes(LinkState::Connected));
        assert!(link.becomes(LinkState::Refused(Denial::Credentials)));
    }

    #[test]
    fn what_ends_by_itself_is_no_refusal() {
        for (error, refusal) in [
            ("IO error: nats: Authentication Timeout", None),
            ("IO error: Connection reset by peer (os error 104)", None),
            ("timed out", None),
            ("IO error: nats: User Authentication Expired", Some(Denial::Credentials)),
            ("failed signing nonce: AuthError(gone)", Some(Denial::File)),
            ("IO error: invalid peer certificate: UnknownIssuer", Some(Denial::Certificate)),
            ("IO error: received fatal alert: BadCertificate", Some(Denial::Certificate)),
        ] {
            assert_eq!(refusal_in(error), refusal, "{error}");
        }
    }
}
