//! The rates at which one client address may write, open sockets, make drawings, and guess tokens.
//!
//! For servers that anybody can reach: users have limits of their own, but someone without an account, or with
//! one new account after the other, has none. Off unless an operator asks for it, since a school may be one
//! address.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{MatchedPath, Query, Request, State},
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use ipnet::IpNet;
use quick_cache::sync::Cache;
use serde::Deserialize;

use super::{extract::bearer, origin::TrustedProxies, rate::refused};
use crate::{
    error::Error,
    identity::{Authenticator, NotValid},
    limits,
    telemetry::Metrics,
};

/// The limits of each address. Cheap to clone.
#[derive(Clone)]
pub struct AddressLimits(Arc<Shared>);

struct Shared {
    /// Holds as many addresses as there is room for. The one that has been quiet longest goes, and is new when
    /// it returns.
    addresses: Cache<IpAddr, Arc<Allowances>>,
    /// Requests a second that write.
    rate: NonZeroU32,
    proxies: TrustedProxies,
    authenticator: Arc<Authenticator>,
    metrics: Arc<Metrics>,
    started: Instant,
}

/// The allowances of one address at present.
struct Allowances {
    writes: DefaultDirectRateLimiter,
    connections: DefaultDirectRateLimiter,
    drawings: DefaultDirectRateLimiter,
    failures: DefaultDirectRateLimiter,
    /// The time before which no token from the address is looked at, in milliseconds since the start.
    locked_until: AtomicU64,
}

impl AddressLimits {
    /// So many requests that write each second, and in proportion what else is counted.
    #[must_use]
    pub fn new(
        rate: NonZeroU32,
        proxies: TrustedProxies,
        authenticator: Arc<Authenticator>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let addresses = Cache::new(limits::ADDRESSES);
        Self(Arc::new(Shared { addresses, rate, proxies, authenticator, metrics, started: Instant::now() }))
    }

    /// Puts the limits in front of all routes.
    pub fn in_front_of(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self, admit))
    }

    fn of(&self, request: &Request) -> Option<Arc<Allowances>> {
        let address = network(self.0.proxies.client_of(request.extensions(), request.headers())?);
        let made = self.0.addresses.get_or_insert_with(&address, || {
            Ok::<_, std::convert::Infallible>(Arc::new(Allowances::new(self.0.rate)))
        });
        made.ok()
    }

    fn take(&self, limiter: &DefaultDirectRateLimiter, detail: &'static str) -> Result<(), Error> {
        limiter.check().map_err(|until| {
            self.0.metrics.addresses_limited.increment(1);
            refused(detail, until.wait_time_from(DefaultClock::default().now()))
        })
    }

    /// Takes what a request is going to do.
    fn take_request(&self, allowances: &Allowances, request: &Request) -> Result<(), Error> {
        let locked = Duration::from_millis(allowances.locked_until.load(Ordering::Relaxed))
            .saturating_sub(self.0.started.elapsed());
        if !locked.is_zero() && self.is_to_be_verified(request) {
            self.0.metrics.addresses_limited.increment(1);
            return Err(refused("this address sends too many tokens that are not valid", locked));
        }
        let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
        let is_connection = path == "/v1/ws" || path.ends_with("/events");
        if is_connection {
            return self.take(&allowances.connections, "this address opens too many connections a second");
        }
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        self.take(&allowances.writes, "this address sends too many requests a second")?;
        if path == "/v1/drawings" {
            self.take(&allowances.drawings, "this address makes too many drawings a second")?;
        }
        Ok(())
    }

    /// Returns `true` if the request bears a token or a ticket that nobody has verified yet. A known user goes
    /// on, whoever else sits at the address.
    fn is_to_be_verified(&self, request: &Request) -> bool {
        match request.headers().get(header::AUTHORIZATION).map(bearer) {
            Some(token) => !token.is_some_and(|token| self.0.authenticator.knows(token)),
            None => bears_ticket(request),
        }
    }

    /// Counts a token that was not valid; after too many, none is looked at for a while.
    fn note_failure(&self, allowances: &Allowances) {
        if let Err(until) = allowances.failures.check() {
            let pause = until.wait_time_from(DefaultClock::default().now());
            let locked_until = self.0.started.elapsed() + pause;
            let millis = u64::try_from(locked_until.as_millis()).unwrap_or(u64::MAX);
            allowances.locked_until.fetch_max(millis, Ordering::Relaxed);
        }
    }
}

impl Allowances {
    fn new(rate: NonZeroU32) -> Self {
        let part = |of: u32| {
            let rate = NonZeroU32::new(rate.get() / of).unwrap_or(NonZeroU32::MIN);
            RateLimiter::direct(Quota::per_second(rate))
        };
        Self {
            writes: part(1),
            connections: part(limits::ADDRESS_WRITES_PER_CONNECTION),
            drawings: part(limits::ADDRESS_WRITES_PER_DRAWING),
            failures: part(limits::ADDRESS_WRITES_PER_FAILURE),
            locked_until: AtomicU64::new(0),
        }
    }
}

/// The range that counts as one address: for IPv6 the network, since a customer has all of it.
fn network(address: IpAddr) -> IpAddr {
    let address = address.to_canonical();
    let bits = if address.is_ipv6() { limits::ADDRESS_IPV6_BITS } else { 32 };
    IpNet::new(address, bits).map_or(address, |network| network.network())
}

fn bears_ticket(request: &Request) -> bool {
    #[derive(Deserialize)]
    struct Ticket {
        #[allow(dead_code, reason = "that it is there is enough")]
        ticket: String,
    }
    request.uri().query().is_some() && Query::<Ticket>::try_from_uri(request.uri()).is_ok()
}

async fn admit(State(limits): State<AddressLimits>, request: Request, next: Next) -> Response {
    let Some(allowances) = limits.of(&request) else { return next.run(request).await };
    if let Err(error) = limits.take_request(&allowances, &request) {
        return error.into_response();
    }
    let bears_token = request.headers().contains_key(header::AUTHORIZATION) || bears_ticket(&request);
    let response = next.run(request).await;
    let is_refused = bears_token && response.status() == StatusCode::UNAUTHORIZED;
    if is_refused || response.extensions().get::<NotValid>().is_some() {
        limits.note_failure(&allowances);
    }
    response
}

impl std::fmt::Debug for AddressLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddressLimits").field("addresses", &self.0.addresses.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ipv6_the_network_counts() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2::"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(of("203.0.113.9"), "203.0.113.9");
    }
}
