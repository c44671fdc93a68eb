//! The readers of a room as it sees them: somebody to whom things are offered.

use std::{fmt, sync::Arc};

use super::ring::Batch;
use crate::model::Role;

/// Where the items of a reader go.
pub trait Outlet: Send + Sync + fmt::Debug {
    /// There are items: perhaps these, perhaps others, perhaps none. Must not wait. Returns false when
    /// `reader` is gone.
    fn offer(&self, reader: u64, batch: &Batch) -> bool;

    /// There is another version of presence. Must not wait.
    fn offer_presence(&self, reader: u64);

    /// The role of the reader's user changed; without one nothing more may be sent to it.
    fn change_role(&self, reader: u64, role: Option<Role>);
}

/// A reader as its broadcaster knows it.
#[derive(Clone, Debug)]
pub(super) struct Recipient {
    pub(super) outlet: Arc<dyn Outlet>,
    /// The number of the reader among those of the outlet.
    pub(super) reader: u64,
}
