//! A store with a watch around each of its calls, to count, record or spoil them.

use std::{collections::HashMap, future::Future, sync::Arc};

use async_trait::async_trait;
use revcast::{
    model::{DrawingId, Epoch, OpId, Revision, Role, UserId},
    store::{
        AppendRequest, Appended, Claim, CreateOutcome, Drawing, DrawingCursor, Drawings, DuePage, Heads,
        ImportedLog, ImportedOp, Imports, InspectedDrawing, InspectedOps, Inspection, JoinedLink, Link,
        Links, Log, LogPage, Member, MemberOutcome, Members, Meta, Probe, ReadRange, Snapshot, Snapshots,
        Store, StoreError, StoreHealth, StoredOp, Upkeep,
    },
};
use uuid::Uuid;

/// A call of the store, as far as watches tell them apart.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    Read(&'a ReadRange),
    Heads,
    Roles,
    DueSnapshots,
    Other,
}

/// Stands around every call but `close`.
pub trait Watch: Send + Sync + 'static {
    /// Gives the answer of the store, or another one.
    fn around<T: Send>(
        &self,
        call: Call<'_>,
        answer: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}

/// Passes everything on to another store, by way of a watch.
pub struct WatchedStore<W> {
    pub inner: Arc<dyn Store>,
    pub watch: W,
}

#[async_trait]
impl<W: Watch> Log for WatchedStore<W> {
    async fn append(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        self.watch.around(Call::Other, self.inner.append(batch, now_ms)).await
    }
    async fn read(&self, range: &ReadRange) -> Result<Option<LogPage>, StoreError> {
        self.watch.around(Call::Read(range), self.inner.read(range)).await
    }
    async fn find_op(&self, drawing: DrawingId, op_id: OpId) -> Result<Option<StoredOp>, StoreError> {
        self.watch.around(Call::Other, self.inner.find_op(drawing, op_id)).await
    }
    async fn revision_at(&self, drawing: DrawingId, at_ms: i64) -> Result<Option<Revision>, StoreError> {
        self.watch.around(Call::Other, self.inner.revision_at(drawing, at_ms)).await
    }
    async fn heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError> {
        self.watch.around(Call::Heads, self.inner.heads(drawings)).await
    }
    async fn meta(&self) -> Result<Meta, StoreError> {
        self.watch.around(Call::Other, self.inner.meta()).await
    }
    async fn new_epoch(&self) -> Result<Epoch, StoreError> {
        self.watch.around(Call::Other, self.inner.new_epoch()).await
    }
}

#[async_trait]
impl<W: Watch> Drawings for WatchedStore<W> {
    async fn create_drawing(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError> {
        self.watch.around(Call::Other, self.inner.create_drawing(id, title, owner, now_ms)).await
    }
    async fn count_created(&self, user: &UserId, most: u32) -> Result<u32, StoreError> {
        self.watch.around(Call::Other, self.inner.count_created(user, most)).await
    }
    async fn drawing(&self, id: DrawingId, user: &UserId) -> Result<Option<Drawing>, StoreError> {
        self.watch.around(Call::Other, self.inner.drawing(id, user)).await
    }
    async fn drawings(
        &self,
        user: &UserId,
        cursor: Option<DrawingCursor>,
        limit: u32,
    ) -> Result<Vec<Drawing>, StoreError> {
        self.watch.around(Call::Other, self.inner.drawings(user, cursor, limit)).await
    }
    async fn rename_drawing(&self, id: DrawingId, title: &str, now_ms: i64) -> Result<bool, StoreError> {
        self.watch.around(Call::Other, self.inner.rename_drawing(id, title, now_ms)).await
    }
    async fn confirm(&self, id: DrawingId) -> Result<(), StoreError> {
        self.watch.around(Call::Other, self.inner.confirm(id)).await
    }
    async fn delete_drawing(&self, id: DrawingId, now_ms: i64) -> Result<bool, StoreError> {
        self.watch.around(Call::Other, self.inner.delete_drawing(id, now_ms)).await
    }
}

#[async_trait]
impl<W: Watch> Members for WatchedStore<W> {
    async fn role(&self, id: DrawingId, user: &UserId) -> Result<Option<Role>, StoreError> {
        self.watch.around(Call::Other, self.inner.role(id, user)).await
    }
    async fn roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<HashMap<(DrawingId, UserId), Role>, StoreError> {
        self.watch.around(Call::Roles, self.inner.roles(pairs)).await
    }
    async fn members(&self, id: DrawingId) -> Result<Vec<Member>, StoreError> {
        self.watch.around(Call::Other, self.inner.members(id)).await
    }
    async fn set_member(
        &self,
        id: DrawingId,
        user: &UserId,
        role: Option<Role>,
        now_ms: i64,
    ) -> Result<MemberOutcome, StoreError> {
        self.watch.around(Call::Other, self.inner.set_member(id, user, role, now_ms)).await
    }
}

#[async_trait]
impl<W: Watch> Links for WatchedStore<W> {
    async fn create_link(&self, link: &Link, token_hash: &str) -> Result<(), StoreError> {
        self.watch.around(Call::Other, self.inner.create_link(link, token_hash)).await
    }
    async fn links(&self, id: DrawingId) -> Result<Vec<Link>, StoreError> {
        self.watch.around(Call::Other, self.inner.links(id)).await
    }
    async fn delete_link(&self, id: DrawingId, link_id: Uuid) -> Result<bool, StoreError> {
        self.watch.around(Call::Other, self.inner.delete_link(id, link_id)).await
    }
    async fn join_link(
        &self,
        token_hash: &str,
        user: &UserId,
        now_ms: i64,
    ) -> Result<Option<JoinedLink>, StoreError> {
        self.watch.around(Call::Other, self.inner.join_link(token_hash, user, now_ms)).await
    }
}

#[async_trait]
impl<W: Watch> Upkeep for WatchedStore<W> {
    async fn purge_deleted(&self, limit: u32) -> Result<u64, StoreError> {
        self.watch.around(Call::Other, self.inner.purge_deleted(limit)).await
    }
    async fn probe(&self, probe: Probe) -> Result<(), StoreError> {
        self.watch.around(Call::Other, self.inner.probe(probe)).await
    }
    fn health(&self) -> &StoreHealth {
        self.inner.health()
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl<W: Watch> Snapshots for WatchedStore<W> {
    async fn snapshots(
        &self,
        drawing: DrawingId,
        at: Revision,
        limit: u32,
    ) -> Result<Vec<Snapshot>, StoreError> {
        self.watch.around(Call::Other, self.inner.snapshots(drawing, at, limit)).await
    }
    async fn due_snapshots(
        &self,
        after: Option<DrawingId>,
        every: u64,
        limit: u32,
    ) -> Result<DuePage, StoreError> {
        self.watch.around(Call::DueSnapshots, self.inner.due_snapshots(after, every, limit)).await
    }
    async fn claim_snapshot(
        &self,
        drawing: DrawingId,
        snapshot_id: Uuid,
        every: u64,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<Claim, StoreError> {
        let claim = self.inner.claim_snapshot(drawing, snapshot_id, every, now_ms, until_ms);
        self.watch.around(Call::Other, claim).await
    }
    async fn renew_claim(
        &self,
        drawing: DrawingId,
        snapshot_id: Uuid,
        until_ms: i64,
    ) -> Result<bool, StoreError> {
        self.watch.around(Call::Other, self.inner.renew_claim(drawing, snapshot_id, until_ms)).await
    }
    async fn add_snapshot(
        &self,
        drawing: DrawingId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<bool, StoreError> {
        self.watch.around(Call::Other, self.inner.add_snapshot(drawing, epoch, snapshot)).await
    }
    async fn drop_claim(&self, drawing: DrawingId, snapshot_id: Uuid) -> Result<(), StoreError> {
        self.watch.around(Call::Other, self.inner.drop_claim(drawing, snapshot_id)).await
    }
    async fn expire_claims(&self, now_ms: i64, limit: u32) -> Result<u64, StoreError> {
        self.watch.around(Call::Other, self.inner.expire_claims(now_ms, limit)).await
    }
    async fn retire_snapshots(&self, drawing: DrawingId, ids: &[Uuid]) -> Result<u64, StoreError> {
        self.watch.around(Call::Other, self.inner.retire_snapshots(drawing, ids)).await
    }
    async fn snapshot_waste(&self, after: Uuid, limit: u32) -> Result<Vec<(DrawingId, Uuid)>, StoreError> {
        self.watch.around(Call::Other, self.inner.snapshot_waste(after, limit)).await
    }
    async fn forget_waste(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        self.watch.around(Call::Other, self.inner.forget_waste(ids)).await
    }
}

#[async_trait]
impl<W: Watch> Inspection for WatchedStore<W> {
    async fn list_drawings(
        &self,
        after: Option<DrawingId>,
        limit: u32,
    ) -> Result<Vec<DrawingId>, StoreError> {
        self.watch.around(Call::Other, self.inner.list_drawings(after, limit)).await
    }
    async fn inspect_drawing(&self, id: DrawingId) -> Result<Option<InspectedDrawing>, StoreError> {
        self.watch.around(Call::Other, self.inner.inspect_drawing(id)).await
    }
    async fn inspect_ops(
        &self,
        id: DrawingId,
        after: Revision,
        until: Revision,
        limit: u32,
    ) -> Result<Option<InspectedOps>, StoreError> {
        self.watch.around(Call::Other, self.inner.inspect_ops(id, after, until, limit)).await
    }
}

#[async_trait]
impl<W: Watch> Imports for WatchedStore<W> {
    async fn begin_import(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError> {
        self.watch.around(Call::Other, self.inner.begin_import(id, title, owner, now_ms)).await
    }
    async fn import_ops(&self, id: DrawingId, ops: &[ImportedOp]) -> Result<bool, StoreError> {
        self.watch.around(Call::Other, self.inner.import_ops(id, ops)).await
    }
    async fn finish_import(
        &self,
        id: DrawingId,
        owner: &UserId,
        log: &ImportedLog,
    ) -> Result<bool, StoreError> {
        self.watch.around(Call::Other, self.inner.finish_import(id, owner, log)).await
    }
    async fn abort_import(&self, id: DrawingId, limit: u32) -> Result<bool, StoreError> {
        self.watch.around(Call::Other, self.inner.abort_import(id, limit)).await
    }
    async fn stale_imports(&self, before_ms: i64) -> Result<Vec<DrawingId>, StoreError> {
        self.watch.around(Call::Other, self.inner.stale_imports(before_ms)).await
    }
}
