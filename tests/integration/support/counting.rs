//! A store that counts what is asked of it, and that can be told to answer slowly.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use revcast::{
    model::{DrawingId, Epoch, Role, UserId},
    store::{
        AppendRequest, Appended, CreateOutcome, Drawing, DrawingCursor, Heads, Link, LogPage, Member,
        MemberOutcome, Meta, ReadRange, Store, StoreError,
    },
};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Passes everything on to another store.
pub struct CountingStore {
    inner: Arc<dyn Store>,
    reads: Mutex<HashMap<DrawingId, u64>>,
    calls: AtomicU64,
    heads: AtomicU64,
    /// Each read of a log needs a permit and gives it back; none is there while reads are held.
    gate: Semaphore,
}

impl CountingStore {
    pub fn new(inner: Arc<dyn Store>) -> Self {
        let (calls, heads, gate) = (AtomicU64::new(0), AtomicU64::new(0), Semaphore::new(1_000));
        Self { inner, reads: Mutex::default(), calls, heads, gate }
    }

    /// How often the log of a drawing was read.
    pub fn reads(&self, drawing: DrawingId) -> u64 {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).get(&drawing).copied().unwrap_or(0)
    }

    /// How often the store was called, besides for heads and roles, which rooms look at as time passes.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How often heads were read.
    pub fn heads(&self) -> u64 {
        self.heads.load(Ordering::Relaxed)
    }

    /// Lets reads of logs wait until [`release`](Self::release).
    pub fn hold(&self) {
        assert_eq!(self.gate.forget_permits(1_000), 1_000);
    }

    pub fn release(&self) {
        self.gate.add_permits(1_000);
    }

    fn count(&self) -> &dyn Store {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &*self.inner
    }
}

#[async_trait]
impl Store for CountingStore {
    async fn read(&self, range: &ReadRange) -> Result<Option<LogPage>, StoreError> {
        *self.reads.lock().unwrap_or_else(PoisonError::into_inner).entry(range.drawing_id).or_default() += 1;
        let _permit = self.gate.acquire().await.unwrap();
        self.count().read(range).await
    }

    async fn append(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        self.count().append(batch, now_ms).await
    }
    async fn heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError> {
        self.heads.fetch_add(1, Ordering::Relaxed);
        self.inner.heads(drawings).await
    }
    async fn meta(&self) -> Result<Meta, StoreError> {
        self.count().meta().await
    }
    async fn new_epoch(&self) -> Result<Epoch, StoreError> {
        self.count().new_epoch().await
    }
    async fn create_drawing(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError> {
        self.count().create_drawing(id, title, owner, now_ms).await
    }
    async fn drawing(&self, id: DrawingId, user: &UserId) -> Result<Option<Drawing>, StoreError> {
        self.count().drawing(id, user).await
    }
    async fn drawings(
        &self,
        user: &UserId,
        cursor: Option<DrawingCursor>,
        limit: u32,
    ) -> Result<Vec<Drawing>, StoreError> {
        self.count().drawings(user, cursor, limit).await
    }
    async fn rename_drawing(&self, id: DrawingId, title: &str, now_ms: i64) -> Result<bool, StoreError> {
        self.count().rename_drawing(id, title, now_ms).await
    }
    async fn delete_drawing(&self, id: DrawingId, now_ms: i64) -> Result<bool, StoreError> {
        self.count().delete_drawing(id, now_ms).await
    }
    async fn purge_deleted(&self, limit: u32) -> Result<u64, StoreError> {
        self.count().purge_deleted(limit).await
    }
    async fn role(&self, id: DrawingId, user: &UserId) -> Result<Option<Role>, StoreError> {
        self.count().role(id, user).await
    }
    async fn roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<HashMap<(DrawingId, UserId), Role>, StoreError> {
        self.inner.roles(pairs).await
    }
    async fn members(&self, id: DrawingId) -> Result<Vec<Member>, StoreError> {
        self.count().members(id).await
    }
    async fn set_member(
        &self,
        id: DrawingId,
        user: &UserId,
        role: Option<Role>,
        now_ms: i64,
    ) -> Result<MemberOutcome, StoreError> {
        self.count().set_member(id, user, role, now_ms).await
    }
    async fn create_link(&self, link: &Link, token_hash: &str) -> Result<(), StoreError> {
        self.count().create_link(link, token_hash).await
    }
    async fn links(&self, id: DrawingId) -> Result<Vec<Link>, StoreError> {
        self.count().links(id).await
    }
    async fn delete_link(&self, id: DrawingId, link_id: Uuid) -> Result<bool, StoreError> {
        self.count().delete_link(id, link_id).await
    }
    async fn join_link(
        &self,
        token_hash: &str,
        user: &UserId,
        now_ms: i64,
    ) -> Result<Option<(DrawingId, Role)>, StoreError> {
        self.count().join_link(token_hash, user, now_ms).await
    }
    async fn close(&self) {
        self.count().close().await;
    }
}
