//! The rates at which one user may write and post presence, and at which one drawing takes writes of all its
//! users.

use std::{hash::Hash, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use crate::{
    error::{Error, ErrorCode},
    limits,
    model::{CheckedOp, DrawingId, UserId},
    telemetry::Metrics,
};

/// The rates of [`WriteLimits`], each a second; 0 for any.
#[derive(Clone, Copy, Debug)]
pub struct WriteRates {
    /// Requests of one user.
    pub requests: u32,
    /// Ops of one user.
    pub ops: u32,
    /// Bytes of ops in one drawing.
    pub drawing_bytes: u32,
    /// Undo units that begin in one drawing.
    pub drawing_units: u32,
}

/// Limits the writes of each user and to each drawing; 0 lifts a limit.
pub struct WriteLimits {
    requests: Option<DefaultKeyedRateLimiter<UserId>>,
    ops: Option<DefaultKeyedRateLimiter<UserId>>,
    /// The limit of presence is not an operator's choice: clients are told the rate as part of the protocol.
    presence: Option<DefaultKeyedRateLimiter<UserId>>,
    /// These two keep the open history of a drawing bounded: it is folded no earlier than people may still want
    /// to undo.
    drawing_bytes: Option<DefaultKeyedRateLimiter<DrawingId>>,
    drawing_units: Option<DefaultKeyedRateLimiter<DrawingId>>,
    metrics: Arc<Metrics>,
}

/// A limit for each key, of which `burst` may come at once.
fn limiter<K: Hash + Eq + Clone>(rate: u32, burst: u32) -> Option<DefaultKeyedRateLimiter<K>> {
    let burst = NonZeroU32::new(burst)?;
    let quota = Quota::per_second(NonZeroU32::new(rate)?).allow_burst(burst);
    Some(RateLimiter::keyed(quota))
}

impl WriteLimits {
    /// Limits writes to `rates`.
    #[must_use]
    pub fn new(rates: WriteRates, metrics: Arc<Metrics>) -> Self {
        let of_user = |rate| limiter(rate, rate);
        Self {
            requests: of_user(rates.requests),
            ops: of_user(rates.ops),
            presence: of_user(limits::PRESENCE_POSTS_PER_SECOND),
            drawing_bytes: limiter(
                rates.drawing_bytes,
                rates.drawing_bytes.saturating_mul(limits::DRAWING_BYTES_BURST),
            ),
            drawing_units: limiter(
                rates.drawing_units,
                rates.drawing_units.saturating_mul(limits::DRAWING_UNITS_BURST),
            ),
            metrics,
        }
    }

    /// Takes one request from the user's allowance.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn take_request(&self, user: &UserId) -> Result<(), Error> {
        self.take(self.requests.as_ref(), user, 1, "this user sends too many requests a second")
    }

    /// Takes ops from the user's allowance.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn take_ops(&self, user: &UserId, count: usize) -> Result<(), Error> {
        self.take(self.ops.as_ref(), user, count, "this user sends too many ops a second")
    }

    /// Takes ops from what the drawing takes of all its users.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn take_drawing(&self, drawing: DrawingId, ops: &[CheckedOp]) -> Result<(), Error> {
        let bytes = ops.iter().map(|op| op.body.len()).sum();
        let units = ops.iter().filter(|op| op.begins_unit()).count();
        let (too_large, too_many) = (
            "all users together send more bytes a second than this drawing takes",
            "all users together begin more undo units a second than this drawing takes",
        );
        // Units first: what is taken is not given back, and they are the lesser loss.
        self.take(self.drawing_units.as_ref(), &drawing, units, too_many)?;
        self.take(self.drawing_bytes.as_ref(), &drawing, bytes, too_large)
    }

    /// Takes one state of presence from the user's allowance.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn take_presence(&self, user: &UserId) -> Result<(), Error> {
        self.take(self.presence.as_ref(), user, 1, "this user sends too many presence states a second")
    }

    fn take<K: Hash + Eq + Clone>(
        &self,
        limiter: Option<&DefaultKeyedRateLimiter<K>>,
        key: &K,
        count: usize,
        detail: &'static str,
    ) -> Result<(), Error> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let (Some(limiter), Some(count)) = (limiter, NonZeroU32::new(count)) else { return Ok(()) };
        let pause = match limiter.check_key_n(key, count) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(not_until)) => not_until.wait_time_from(limiter.clock().now()),
            // More at once than a second allows: it can never pass, but smaller requests can.
            Err(_) => Duration::from_secs(1),
        };
        self.metrics.rate_limited.increment(1);
        Err(refused(detail, pause))
    }

    /// Forgets users who have not written for a while, and drawings to which nobody has.
    pub fn tidy(&self) {
        [&self.requests, &self.ops, &self.presence].into_iter().flatten().for_each(forget_idle);
        [&self.drawing_bytes, &self.drawing_units].into_iter().flatten().for_each(forget_idle);
    }
}

/// `rate_limited`, until `pause` is over.
pub(super) fn refused(detail: &'static str, pause: Duration) -> Error {
    // Rounded up to whole seconds, the unit of Retry-After.
    let pause = Duration::from_secs(pause.as_secs() + u64::from(pause.subsec_nanos() > 0));
    Error::new(ErrorCode::RateLimited, detail).with_retry_after(pause)
}

fn forget_idle<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>) {
    limiter.retain_recent();
    limiter.shrink_to_fit();
}

impl std::fmt::Debug for WriteLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteLimits").finish_non_exhaustive()
    }
}
