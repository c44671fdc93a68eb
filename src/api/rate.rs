//! How fast one user may write, and post presence.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use crate::{
    error::{Error, ErrorCode},
    limits,
    model::UserId,
    telemetry::Metrics,
};

/// Limits the writes of each user; 0 lifts a limit.
pub struct WriteLimits {
    requests: Option<DefaultKeyedRateLimiter<UserId>>,
    ops: Option<DefaultKeyedRateLimiter<UserId>>,
    /// Not an operator's choice: clients are told the rate of presence as part of the protocol.
    presence: Option<DefaultKeyedRateLimiter<UserId>>,
    metrics: Arc<Metrics>,
}

impl WriteLimits {
    /// Limits of requests and ops a second; a second's worth may come at once.
    #[must_use]
    pub fn new(requests_per_second: u32, ops_per_second: u32, metrics: Arc<Metrics>) -> Self {
        let limiter = |rate| NonZeroU32::new(rate).map(|rate| RateLimiter::keyed(Quota::per_second(rate)));
        Self {
            requests: limiter(requests_per_second),
            ops: limiter(ops_per_second),
            presence: limiter(limits::PRESENCE_POSTS_PER_SECOND),
            metrics,
        }
    }

    /// Takes one request from the user's allowance.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn take_request(&self, user: &UserId) -> Result<(), Error> {
        self.take(self.requests.as_ref(), user, 1, "requests")
    }

    /// Takes ops from the user's allowance.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn take_ops(&self, user: &UserId, count: usize) -> Result<(), Error> {
        self.take(self.ops.as_ref(), user, u32::try_from(count).unwrap_or(u32::MAX), "ops")
    }

    /// Takes one state of presence from the user's allowance.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn take_presence(&self, user: &UserId) -> Result<(), Error> {
        self.take(self.presence.as_ref(), user, 1, "presence states")
    }

    fn take(
        &self,
        limiter: Option<&DefaultKeyedRateLimiter<UserId>>,
        user: &UserId,
        count: u32,
        what: &str,
    ) -> Result<(), Error> {
        let (Some(limiter), Some(count)) = (limiter, NonZeroU32::new(count)) else { return Ok(()) };
        let pause = match limiter.check_key_n(user, count) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(not_until)) => not_until.wait_time_from(limiter.clock().now()),
            // More at once than a second allows: it can never pass, but smaller requests can.
            Err(_) => Duration::from_secs(1),
        };
        self.metrics.rate_limited.increment(1);
        let detail = format!("this user sends too many {what} a second");
        // Rounded up to whole seconds, the unit of Retry-After.
        let pause = Duration::from_secs(pause.as_secs() + u64::from(pause.subsec_nanos() > 0));
        Err(Error::new(ErrorCode::RateLimited, detail).with_retry_after(pause))
    }

    /// Forgets users who have not written for a while.
    pub fn tidy(&self) {
        for limiter in [&self.requests, &self.ops, &self.presence].into_iter().flatten() {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

impl std::fmt::Debug for WriteLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteLimits").finish_non_exhaustive()
    }
}
