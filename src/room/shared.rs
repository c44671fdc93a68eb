//! The parts that all rooms of a node share.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{map::RoomMap, presence::PresenceRooms};
use crate::{bus::Bus, model::Epoch, store::Store, telemetry::Metrics};

/// The parts that rooms work with.
pub(super) struct RoomServices {
    pub(super) store: Arc<dyn Store>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) presence: PresenceRooms,
    pub(super) metrics: Arc<Metrics>,
    pub(super) heartbeat: Duration,
    /// The epoch as of the last heartbeat.
    pub(super) epoch: watch::Sender<Epoch>,
    /// Ends all rooms.
    pub(super) stop: CancellationToken,
    pub(super) rooms: RoomMap,
}
