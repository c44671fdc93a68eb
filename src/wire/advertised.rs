//! The limits as `hello` advertises them. The figures themselves belong to `limits`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::limits;

/// The limits, as `hello` advertises them.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Limits {
    body_bytes: usize,
    ops_per_request: usize,
    op_bytes: usize,
    points_per_op: usize,
    drawings_per_socket: usize,
    client_frame_bytes: usize,
    client_messages_per_second: u32,
    presence_state_bytes: usize,
    presence_per_second: u32,
    #[schema(value_type = Vec<PresenceInterval>)]
    presence_intervals: [PresenceInterval; limits::PRESENCE_INTERVALS.len()],
    page_ops: u32,
    page_bytes: usize,
    resume_limit: u64,
}

/// The interval at which presence is told in rooms of a size.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct PresenceInterval {
    /// Up to so many present connections or readers of a node, whichever are more; null in the last, which
    /// holds for all that are larger.
    #[schema(required)]
    up_to: Option<usize>,
    #[schema(value_type = u64)]
    interval_ms: u128,
}

const fn presence_intervals() -> [PresenceInterval; limits::PRESENCE_INTERVALS.len()] {
    let mut intervals = [PresenceInterval { up_to: None, interval_ms: 0 }; limits::PRESENCE_INTERVALS.len()];
    let mut nth = 0;
    while nth < intervals.len() {
        let (up_to, interval) = limits::PRESENCE_INTERVALS[nth];
        let up_to = if nth + 1 == intervals.len() { None } else { Some(up_to) };
        intervals[nth] = PresenceInterval { up_to, interval_ms: interval.as_millis() };
        nth += 1;
    }
    intervals
}

impl Limits {
    pub(crate) const ADVERTISED: Self = Self {
        body_bytes: limits::MAX_BODY_BYTES,
        ops_per_request: limits::MAX_OPS_PER_REQUEST,
        op_bytes: limits::MAX_OP_BYTES,
        points_per_op: limits::MAX_POINTS_PER_OP,
        drawings_per_socket: limits::MAX_SUBSCRIPTIONS,
        client_frame_bytes: limits::MAX_CLIENT_FRAME_BYTES,
        client_messages_per_second: limits::CLIENT_MESSAGES_PER_SECOND,
        presence_state_bytes: limits::MAX_PRESENCE_STATE_BYTES,
        presence_per_second: limits::PRESENCE_PER_SECOND,
        presence_intervals: presence_intervals(),
        page_ops: limits::MAX_PAGE_OPS,
        page_bytes: limits::MAX_PAGE_BYTES,
        resume_limit: limits::RESUME_LIMIT,
    };
}
