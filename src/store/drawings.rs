//! Drawings: making, naming, listing and deleting them.

use async_trait::async_trait;

use super::StoreError;
use crate::model::{Branch, DrawingId, Revision, Role, UserId};

/// The drawings, apart from what is in their logs. Times are milliseconds since 1970.
#[async_trait]
pub trait Drawings: Send + Sync + 'static {
    /// Creates a drawing with `owner` as its first owner.
    async fn create_drawing(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError>;

    /// Counts the drawings that a user has made and that are not deleted; it counts no further than `most`.
    async fn count_created(&self, user: &UserId, most: u32) -> Result<u32, StoreError>;

    /// Reads the metadata of a drawing as `user` may see it; `None` without a role.
    async fn drawing(&self, id: DrawingId, user: &UserId) -> Result<Option<Drawing>, StoreError>;

    /// Lists the drawings on which `user` has a role, newest first, after `cursor`.
    async fn drawings(
        &self,
        user: &UserId,
        cursor: Option<DrawingCursor>,
        limit: u32,
    ) -> Result<Vec<Drawing>, StoreError>;

    /// Renames a drawing; false when there is no such drawing.
    async fn rename_drawing(&self, id: DrawingId, title: &str, now_ms: i64) -> Result<bool, StoreError>;

    /// Writes nothing to the row of a drawing, deleted or not: when this returns, what was committed to it before is durable.
    /// For answers that tell of something that is gone.
    async fn confirm(&self, id: DrawingId) -> Result<(), StoreError>;

    /// Deletes a drawing for good, and makes its snapshots and its claim waste; false when there is no
    /// such drawing.
    async fn delete_drawing(&self, id: DrawingId, now_ms: i64) -> Result<bool, StoreError>;
}

/// The metadata of a drawing, as one user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// Its id.
    pub drawing_id: DrawingId,
    /// Its title; may be empty.
    pub title: String,
    /// The user who created it.
    pub created_by: UserId,
    /// When, in milliseconds since 1970.
    pub created_at: i64,
    /// When its metadata last changed, in milliseconds since 1970.
    pub updated_at: i64,
    /// The epoch of its log, and how it goes on from the one before.
    pub branch: Branch,
    /// The head of its log.
    pub head: Revision,
    /// The revision of its newest snapshot.
    pub snapshot_revision: Option<Revision>,
    /// The role of the user who asks.
    pub role: Role,
}

/// A place in the list of drawings: that of the last one seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawingCursor {
    /// When it was created.
    pub created_at: i64,
    /// Its id.
    pub drawing_id: DrawingId,
}

/// The outcome of a wish to create a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// It is new.
    Created,
    /// The same user created it before.
    Exists,
    /// The id belongs to another user's drawing, or to a deleted one.
    Taken,
}
