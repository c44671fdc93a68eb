//! The headers of a page of a log: they tell what NDJSON has no place for.

use axum::http::HeaderName;

/// The epoch of the log.
pub(crate) const EPOCH: HeaderName = HeaderName::from_static("revcast-epoch");
/// The position after which the page begins.
pub(crate) const FROM: HeaderName = HeaderName::from_static("revcast-from");
/// The epoch before, if this one goes on with it.
pub(crate) const PREVIOUS_EPOCH: HeaderName = HeaderName::from_static("revcast-previous-epoch");
/// The revision up to which the logs of both epochs are equal.
pub(crate) const BASE: HeaderName = HeaderName::from_static("revcast-base");
/// The position at which the page ends.
pub(crate) const TO: HeaderName = HeaderName::from_static("revcast-to");
/// The head of the log.
pub(crate) const LATEST: HeaderName = HeaderName::from_static("revcast-latest-revision");
/// `true` if the page reaches the head.
pub(crate) const COMPLETE: HeaderName = HeaderName::from_static("revcast-complete");
/// All of them.
pub(crate) const ALL: [HeaderName; 7] = [EPOCH, PREVIOUS_EPOCH, BASE, FROM, TO, LATEST, COMPLETE];
