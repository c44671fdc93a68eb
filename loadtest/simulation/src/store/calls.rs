//! The calls of the store, each behind what may befall it.

use std::collections::HashMap;

use async_trait::async_trait;
use revcast::{
    model::{DrawingId, Epoch, OpId, Revision, Role, UserId},
    store::{
        AppendRequest, Appended, Claim, CreateOutcome, Drawing, DrawingCursor, Drawings, DuePage, Heads,
        ImportedLog, ImportedOp, Imports, InspectedDrawing, InspectedOps, Inspection, JoinedLink, Link,
        Links, Log, LogPage, Member, MemberOutcome, Members, Meta, Probe, ReadRange, Snapshot, Snapshots,
        StoreError, StoreHealth, StoredOp, Upkeep,
    },
};
use uuid::Uuid;

use super::NodeStore;

#[async_trait]
impl Log for NodeStore {
    async fn append(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        let batch = batch.to_vec();
        self.call(move |store| async move { store.append(&batch, now_ms).await }).await
    }

    async fn read(&self, range: &ReadRange) -> Result<Option<LogPage>, StoreError> {
        let range = *range;
        self.call(move |store| async move { store.read(&range).await }).await
    }

    async fn find_op(&self, drawing: DrawingId, op_id: OpId) -> Result<Option<StoredOp>, StoreError> {
        self.call(move |store| async move { store.find_op(drawing, op_id).await }).await
    }

    async fn revision_at(&self, drawing: DrawingId, at_ms: i64) -> Result<Option<Revision>, StoreError> {
        self.call(move |store| async move { store.revision_at(drawing, at_ms).await }).await
    }

    async fn heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError> {
        let drawings = drawings.to_vec();
        self.call(move |store| async move { store.heads(&drawings).await }).await
    }

    async fn meta(&self) -> Result<Meta, StoreError> {
        self.call(move |store| async move { store.meta().await }).await
    }

    async fn new_epoch(&self) -> Result<Epoch, StoreError> {
        self.call(move |store| async move { store.new_epoch().await }).await
    }
}

#[async_trait]
impl Drawings for NodeStore {
    async fn create_drawing(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError> {
        let (title, owner) = (title.to_owned(), owner.clone());
        self.call(move |store| async move { store.create_drawing(id, &title, &owner, now_ms).await }).await
    }

    async fn count_created(&self, user: &UserId, most: u32) -> Result<u32, StoreError> {
        let user = user.clone();
        self.call(move |store| async move { store.count_created(&user, most).await }).await
    }

    async fn drawing(&self, id: DrawingId, user: &UserId) -> Result<Option<Drawing>, StoreError> {
        let user = user.clone();
        self.call(move |store| async move { store.drawing(id, &user).await }).await
    }

    async fn drawings(
        &self,
        user: &UserId,
        cursor: Option<DrawingCursor>,
        limit: u32,
    ) -> Result<Vec<Drawing>, StoreError> {
        let user = user.clone();
        self.call(move |store| async move { store.drawings(&user, cursor, limit).await }).await
    }

    async fn rename_drawing(&self, id: DrawingId, title: &str, now_ms: i64) -> Result<bool, StoreError> {
        let title = title.to_owned();
        self.call(move |store| async move { store.rename_drawing(id, &title, now_ms).await }).await
    }

    async fn confirm(&self, id: DrawingId) -> Result<(), StoreError> {
        self.call(move |store| async move { store.confirm(id).await }).await
    }

    async fn delete_drawing(&self, id: DrawingId, now_ms: i64) -> Result<bool, StoreError> {
        self.call(move |store| async move { store.delete_drawing(id, now_ms).await }).await
    }
}

#[async_trait]
impl Members for NodeStore {
    async fn role(&self, id: DrawingId, user: &UserId) -> Result<Option<Role>, StoreError> {
        let user = user.clone();
        self.call(move |store| async move { store.role(id, &user).await }).await
    }

    async fn roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<HashMap<(DrawingId, UserId), Role>, StoreError> {
        let pairs = pairs.to_vec();
        self.call(move |store| async move { store.roles(&pairs).await }).await
    }

    async fn members(&self, id: DrawingId) -> Result<Vec<Member>, StoreError> {
        self.call(move |store| async move { store.members(id).await }).await
    }

    async fn set_member(
        &self,
        id: DrawingId,
        user: &UserId,
        role: Option<Role>,
        now_ms: i64,
    ) -> Result<MemberOutcome, StoreError> {
        let user = user.clone();
        self.call(move |store| async move { store.set_member(id, &user, role, now_ms).await }).await
    }
}

#[async_trait]
impl Links for NodeStore {
    async fn create_link(&self, link: &Link, token_hash: &str) -> Result<(), StoreError> {
        let (link, token_hash) = (link.clone(), token_hash.to_owned());
        self.call(move |store| async move { store.create_link(&link, &token_hash).await }).await
    }

    async fn links(&self, id: DrawingId) -> Result<Vec<Link>, StoreError> {
        self.call(move |store| async move { store.links(id).await }).await
    }

    async fn delete_link(&self, id: DrawingId, link_id: Uuid) -> Result<bool, StoreError> {
        self.call(move |store| async move { store.delete_link(id, link_id).await }).await
    }

    async fn join_link(
        &self,
        token_hash: &str,
        user: &UserId,
        now_ms: i64,
    ) -> Result<Option<JoinedLink>, StoreError> {
        let (token_hash, user) = (token_hash.to_owned(), user.clone());
        self.call(move |store| async move { store.join_link(&token_hash, &user, now_ms).await }).await
    }
}

#[async_trait]
impl Upkeep for NodeStore {
    async fn purge_deleted(&self, limit: u32) -> Result<u64, StoreError> {
        self.call(move |store| async move { store.purge_deleted(limit).await }).await
    }

    async fn probe(&self, probe: Probe) -> Result<(), StoreError> {
        self.call(move |store| async move { store.probe(probe).await }).await
    }

    fn health(&self) -> &StoreHealth {
        &self.health
    }

    async fn close(&self) {}
}

/// No node of a simulation is a worker, which alone builds snapshots.
#[async_trait]
impl Snapshots for NodeStore {
    async fn snapshots(
        &self,
        drawing: DrawingId,
        at: Revision,
        limit: u32,
    ) -> Result<Vec<Snapshot>, StoreError> {
        self.call(move |store| async move { store.snapshots(drawing, at, limit).await }).await
    }

    async fn due_snapshots(
        &self,
        after: Option<DrawingId>,
        every: u64,
        limit: u32,
    ) -> Result<DuePage, StoreError> {
        self.call(move |store| async move { store.due_snapshots(after, every, limit).await }).await
    }

    async fn claim_snapshot(
        &self,
        drawing: DrawingId,
        snapshot_id: Uuid,
        every: u64,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<Claim, StoreError> {
        self.call(move |store| async move {
            store.claim_snapshot(drawing, snapshot_id, every, now_ms, until_ms).await
        })
        .await
    }

    async fn renew_claim(
        &self,
        drawing: DrawingId,
        snapshot_id: Uuid,
        until_ms: i64,
    ) -> Result<bool, StoreError> {
        self.call(move |store| async move { store.renew_claim(drawing, snapshot_id, until_ms).await }).await
    }

    async fn add_snapshot(
        &self,
        drawing: DrawingId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<bool, StoreError> {
        let snapshot = snapshot.clone();
        self.call(move |store| async move { store.add_snapshot(drawing, epoch, &snapshot).await }).await
    }

    async fn drop_claim(&self, drawing: DrawingId, snapshot_id: Uuid) -> Result<(), StoreError> {
        self.call(move |store| async move { store.drop_claim(drawing, snapshot_id).await }).await
    }

    async fn expire_claims(&self, now_ms: i64, limit: u32) -> Result<u64, StoreError> {
        self.call(move |store| async move { store.expire_claims(now_ms, limit).await }).await
    }

    async fn retire_snapshots(&self, drawing: DrawingId, ids: &[Uuid]) -> Result<u64, StoreError> {
        let ids = ids.to_vec();
        self.call(move |store| async move { store.retire_snapshots(drawing, &ids).await }).await
    }

    async fn snapshot_waste(&self, after: Uuid, limit: u32) -> Result<Vec<(DrawingId, Uuid)>, StoreError> {
        self.call(move |store| async move { store.snapshot_waste(after, limit).await }).await
    }

    async fn forget_waste(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.call(move |store| async move { store.forget_waste(&ids).await }).await
    }
}

/// Imports are made by a program of their own, which has the store to itself.
#[async_trait]
impl Imports for NodeStore {
    async fn begin_import(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError> {
        self.store.begin_import(id, title, owner, now_ms).await
    }

    async fn import_ops(&self, id: DrawingId, ops: &[ImportedOp]) -> Result<bool, StoreError> {
        self.store.import_ops(id, ops).await
    }

    async fn finish_import(
        &self,
        id: DrawingId,
        owner: &UserId,
        log: &ImportedLog,
    ) -> Result<bool, StoreError> {
        self.store.finish_import(id, owner, log).await
    }

    async fn abort_import(&self, id: DrawingId, limit: u32) -> Result<bool, StoreError> {
        self.store.abort_import(id, limit).await
    }

    async fn stale_imports(&self, before_ms: i64) -> Result<Vec<DrawingId>, StoreError> {
        self.store.stale_imports(before_ms).await
    }
}

/// Nor does a node look at rows.
#[async_trait]
impl Inspection for NodeStore {
    async fn list_drawings(
        &self,
        after: Option<DrawingId>,
        limit: u32,
    ) -> Result<Vec<DrawingId>, StoreError> {
        self.store.list_drawings(after, limit).await
    }

    async fn inspect_drawing(&self, id: DrawingId) -> Result<Option<InspectedDrawing>, StoreError> {
        self.store.inspect_drawing(id).await
    }

    async fn inspect_ops(
        &self,
        id: DrawingId,
        after: Revision,
        until: Revision,
        limit: u32,
    ) -> Result<Option<InspectedOps>, StoreError> {
        self.store.inspect_ops(id, after, until, limit).await
    }
}
