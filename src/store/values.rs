//! Values as the tables have them.

use uuid::Uuid;

use super::StoreError;
use crate::model::{Branch, Epoch, OpId, Revision, Role, Trunk, UserId};

/// Revisions are positive and far below `i64::MAX`; a negative one in a row is damage.
pub(super) fn revision_from_sql(value: i64) -> Result<Revision, StoreError> {
    u64::try_from(value).map(Revision).map_err(|_| StoreError::Corrupt("revision"))
}

/// Positions from clients may exceed what a `bigint` holds; beyond it there is no op anyway.
pub(super) fn revision_to_sql(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// Ops without a unit have the nil UUID in its place, which begins none: it is the id of no op without a unit.
pub(super) fn unit_to_sql(unit: Option<OpId>) -> Uuid {
    unit.map_or(Uuid::nil(), |unit| unit.0)
}

/// A branch as the tables have it.
pub(super) fn branch_from_sql(epoch: Uuid, previous: Option<Uuid>, base: i64) -> Result<Branch, StoreError> {
    let base = revision_from_sql(base)?;
    let trunk = previous.map(|previous| Trunk { epoch: Epoch(previous), base });
    Ok(Branch { epoch: Epoch(epoch), trunk })
}

pub(super) fn role_from_sql(text: &str) -> Result<Role, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt("role"))
}

pub(super) fn user_from_sql(text: &str) -> Result<UserId, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt("user id"))
}
