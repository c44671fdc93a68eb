//! The roles that users have on a drawing.

use std::collections::HashMap;

use async_trait::async_trait;

use super::StoreError;
use crate::model::{DrawingId, Role, UserId};

/// The members of drawings. A drawing has one owner at least.
#[async_trait]
pub trait Members: Send + Sync + 'static {
    /// Reads the role of `user` on a drawing.
    async fn role(&self, id: DrawingId, user: &UserId) -> Result<Option<Role>, StoreError>;

    /// Reads the roles of many users in one query; pairs without a role are absent.
    async fn roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<HashMap<(DrawingId, UserId), Role>, StoreError>;

    /// Lists the members of a drawing by user id.
    async fn members(&self, id: DrawingId) -> Result<Vec<Member>, StoreError>;

    /// Gives `user` a role, or takes it away with `None`. The last owner stays owner.
    async fn set_member(
        &self,
        id: DrawingId,
        user: &UserId,
        role: Option<Role>,
        now_ms: i64,
    ) -> Result<MemberOutcome, StoreError>;
}

/// A user with a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user_id: UserId,
    /// Their role.
    pub role: Role,
}

/// The outcome of a change to the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberOutcome {
    /// It was done.
    Changed {
        /// The role that the user had.
        before: Option<Role>,
    },
    /// There is no such drawing, or no such member to remove.
    NotFound,
    /// It would have left the drawing without an owner.
    LastOwner,
}
