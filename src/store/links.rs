//! Share links.

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use crate::model::{DrawingId, Role, UserId};

/// The share links of drawings. Their tokens are known by their hashes alone.
#[async_trait]
pub trait Links: Send + Sync + 'static {
    /// Stores a share link.
    async fn create_link(&self, link: &Link, token_hash: &str) -> Result<(), StoreError>;

    /// Lists the share links of a drawing, oldest first.
    async fn links(&self, id: DrawingId) -> Result<Vec<Link>, StoreError>;

    /// Removes a share link; false when there is no such link.
    async fn delete_link(&self, id: DrawingId, link_id: Uuid) -> Result<bool, StoreError>;

    /// Makes `user` a member through a link that has not expired; a role is raised, never lowered. `None` for an
    /// unknown link.
    async fn join_link(
        &self,
        token_hash: &str,
        user: &UserId,
        now_ms: i64,
    ) -> Result<Option<JoinedLink>, StoreError>;
}

/// A share link, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Names the link to its owners; opens nothing.
    pub link_id: Uuid,
    /// The drawing it opens.
    pub drawing_id: DrawingId,
    /// The role it gives.
    pub role: Role,
    /// The user who made it.
    pub created_by: UserId,
    /// When, in milliseconds since 1970.
    pub created_at: i64,
    /// When it stops working, in milliseconds since 1970.
    pub expires_at: Option<i64>,
}

/// The result of joining through a share link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinedLink {
    /// The drawing.
    pub drawing_id: DrawingId,
    /// The link.
    pub link_id: Uuid,
    /// The role that the user had.
    pub before: Option<Role>,
    /// The role that the user has now.
    pub role: Role,
}
