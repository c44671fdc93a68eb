//! The order in which the parts of a node end.

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The signals by which parts of the server end, in this order.
#[derive(Clone, Debug, Default)]
pub(super) struct Stops {
    /// Whoever sends requests here is asked to send them elsewhere; all of them are still served.
    pub notice: CancellationToken,
    /// Nothing new is taken in.
    pub draining: CancellationToken,
    /// The writers, once no request can reach them any more.
    pub writers: CancellationToken,
    pub writer_tasks: TaskTracker,
    /// The rest, once the sockets have left.
    pub all: CancellationToken,
    pub tasks: TaskTracker,
}
