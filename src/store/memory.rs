//! The store in memory: for tests and for the simulation, where nothing may take time or a thread of its own.
//!
//! Owns one state behind one lock, so that each call shows one moment. The rules of appending are those of `resolve`.
//! Nothing of it outlives the process, and no server is started on it.

mod append;
mod directory;
mod imports;
mod snapshots;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    AppendRequest, Appended, CreateOutcome, Drawing, DrawingCursor, Heads, Health, JoinedLink, Link, LogPage,
    Member, MemberOutcome, Meta, Probe, ReadRange, Snapshot, Stand, Store, StoreError, StoredOp,
};
use crate::model::{Branch, DrawingId, Epoch, ObjectId, OpId, Revision, Role, Trunk, UserId};

/// A store in memory. Clones share it, as nodes share a database.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    /// Held for one call, never across an await.
    state: Arc<Mutex<State>>,
    health: Arc<Health>,
    is_closed: Arc<AtomicBool>,
}

/// What a standby had when it was copied: see [`MemoryStore::fail_over_to`].
#[derive(Debug)]
pub struct Standby(BTreeMap<DrawingId, (Vec<Op>, Option<Head>)>);

/// Everything that is stored.
#[derive(Debug)]
struct State {
    epoch: Epoch,
    /// The epoch with which this one goes on.
    previous: Option<Epoch>,
    server_key: Uuid,
    drawings: BTreeMap<DrawingId, Row>,
    /// Links by the hash of their token.
    links: BTreeMap<String, Link>,
    /// Ids whose blobs are to be removed.
    waste: BTreeMap<Uuid, DrawingId>,
}

/// Where a drawing is between its beginning and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// It is being imported, since then.
    Importing(i64),
    /// Its import is being undone.
    Aborting,
    Whole,
    Deleted,
}

/// One drawing.
#[derive(Debug)]
struct Row {
    title: String,
    created_by: UserId,
    created_at: i64,
    updated_at: i64,
    life: Life,
    /// Absent while it is imported, and once it is deleted.
    head: Option<Head>,
    /// The log, from revision 1 on.
    ops: Vec<Op>,
    /// Places in `ops`.
    by_id: HashMap<OpId, usize>,
    fog: BTreeSet<ObjectId>,
    members: BTreeMap<UserId, Role>,
    snapshots: BTreeMap<Revision, Snapshot>,
    /// The id that is claimed, and until when.
    claim: Option<(Uuid, i64)>,
}

/// Where a log stands.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    revision: Revision,
    floor: Revision,
    ts: i64,
    bytes: i64,
    /// The epoch of its latest op, and the head before the first one in that epoch.
    epoch: Option<Epoch>,
    base: Revision,
}

/// One op of a log.
#[derive(Clone, Debug)]
struct Op {
    op_id: OpId,
    unit: Option<OpId>,
    actor: UserId,
    ts: i64,
    body: Box<str>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            epoch: Epoch(Uuid::new_v4()),
            previous: None,
            server_key: Uuid::new_v4(),
            drawings: BTreeMap::new(),
            links: BTreeMap::new(),
            waste: BTreeMap::new(),
        }
    }
}

impl State {
    /// How the log of a drawing goes on from the epoch before.
    fn branch(&self, head: &Head) -> Branch {
        let base = if head.epoch == Some(self.epoch) { head.base } else { head.revision };
        Branch { epoch: self.epoch, trunk: self.previous.map(|epoch| Trunk { epoch, base }) }
    }

    /// A drawing that is there for its members.
    fn whole(&mut self, id: DrawingId) -> Option<&mut Row> {
        self.drawings.get_mut(&id).filter(|row| row.life == Life::Whole)
    }

    /// The head of a drawing, and its row.
    fn headed(&self, id: DrawingId) -> Option<(Head, &Row)> {
        let row = self.drawings.get(&id)?;
        Some((row.head?, row))
    }
}

impl Row {
    fn new(title: &str, owner: &UserId, now_ms: i64, life: Life) -> Self {
        Self {
            title: title.to_owned(),
            created_by: owner.clone(),
            created_at: now_ms,
            updated_at: now_ms,
            life,
            head: None,
            ops: Vec::new(),
            by_id: HashMap::new(),
            fog: BTreeSet::new(),
            members: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            claim: None,
        }
    }

    fn push(&mut self, op: Op) {
        self.by_id.insert(op.op_id, self.ops.len());
        self.ops.push(op);
    }

    /// The revision of the op with this id, and the op.
    fn find(&self, id: OpId) -> Option<(Revision, &Op)> {
        let place = *self.by_id.get(&id)?;
        Some((Revision(place as u64 + 1), self.ops.get(place)?))
    }

    /// The ops in `(after, until]`, each with its revision.
    fn range(&self, after: Revision, until: Revision) -> impl DoubleEndedIterator<Item = (Revision, &Op)> {
        let place =
            |revision: Revision| usize::try_from(revision.0).unwrap_or(usize::MAX).min(self.ops.len());
        let (after, until) = (place(after), place(until));
        let ops = self.ops.get(after..until).unwrap_or_default();
        ops.iter().enumerate().map(move |(nth, op)| (Revision((after + nth) as u64 + 1), op))
    }

    fn stored(revision: Revision, op: &Op) -> StoredOp {
        StoredOp { revision, actor: op.actor.as_str().to_owned(), ts: op.ts, body: op.body.to_string() }
    }
}

impl MemoryStore {
    /// A store without drawings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The logs as they are now, as a standby has them that follows no further.
    #[must_use]
    pub fn standby(&self) -> Standby {
        let logs = |(id, row): (&DrawingId, &Row)| (*id, (row.ops.clone(), row.head));
        Standby(self.state().drawings.iter().map(logs).collect())
    }

    /// Promotes a standby: its logs are the truth from now on, in an epoch that goes on with the one before. Drawings of
    /// which it had heard nothing lose all their ops; what else is stored stays, which a standby would lose as well.
    pub fn fail_over_to(&self, Standby(mut logs): Standby) {
        let mut state = self.state();
        for (id, row) in &mut state.drawings {
            let is_headless = row.head.is_none();
            if is_headless {
                continue;
            }
            let (ops, head) = logs.remove(id).unwrap_or_default();
            row.head = Some(head.unwrap_or_default());
            (row.ops, row.by_id) = (Vec::new(), HashMap::new());
            ops.into_iter().for_each(|op| row.push(op));
        }
        state.previous = Some(state.epoch);
        state.epoch = Epoch(Uuid::new_v4());
    }

    /// The same store as another node has it, which is closed by itself.
    #[must_use]
    pub fn of_another_node(&self) -> Self {
        Self { is_closed: Arc::default(), ..self.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless the store is closed.
    fn lock(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        if self.is_closed.load(Ordering::Relaxed) { Err(StoreError::stopped()) } else { Ok(self.state()) }
    }

    /// The state, to write to it.
    fn write(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        self.health.proved();
        self.lock()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, batch: &[AppendRequest], now_ms: i64) -> Result<Appended, StoreError> {
        Ok(self.write()?.append(batch, now_ms))
    }

    async fn read(&self, range: &ReadRange) -> Result<Option<LogPage>, StoreError> {
        Ok(self.lock()?.read(range))
    }

    async fn find_op(&self, drawing: DrawingId, op_id: OpId) -> Result<Option<StoredOp>, StoreError> {
        let state = self.lock()?;
        let found = state.headed(drawing).and_then(|(_, row)| row.find(op_id));
        Ok(found.map(|(revision, op)| Row::stored(revision, op)))
    }

    async fn revision_at(&self, drawing: DrawingId, at_ms: i64) -> Result<Option<Revision>, StoreError> {
        let state = self.lock()?;
        let last = |row: &Row| row.ops.partition_point(|op| op.ts <= at_ms) as u64;
        Ok(state.headed(drawing).map(|(_, row)| Revision(last(row))))
    }

    async fn heads(&self, drawings: &[DrawingId]) -> Result<Heads, StoreError> {
        let state = self.lock()?;
        let stand = |id: &DrawingId| {
            let (head, _) = state.headed(*id)?;
            Some((*id, Stand { branch: state.branch(&head), head: head.revision, floor: head.floor }))
        };
        Ok(Heads { epoch: state.epoch, stands: drawings.iter().filter_map(stand).collect() })
    }

    async fn meta(&self) -> Result<Meta, StoreError> {
        let state = self.lock()?;
        Ok(Meta { epoch: state.epoch, server_key: state.server_key })
    }

    async fn new_epoch(&self) -> Result<Epoch, StoreError> {
        let mut state = self.write()?;
        (state.epoch, state.previous) = (Epoch(Uuid::new_v4()), None);
        Ok(state.epoch)
    }

    async fn create_drawing(
        &self,
        id: DrawingId,
        title: &str,
        owner: &UserId,
        now_ms: i64,
    ) -> Result<CreateOutcome, StoreError> {
        Ok(self.write()?.create(id, title, owner, now_ms))
    }

    async fn count_created(&self, user: &UserId, most: u32) -> Result<u32, StoreError> {
        let state = self.lock()?;
        let is_theirs = |row: &&Row| row.created_by == *user && row.life != Life::Deleted;
        let count = state.drawings.values().filter(is_theirs).count();
        Ok(u32::try_from(count).unwrap_or(u32::MAX).min(most))
    }

    async fn drawing(&self, id: DrawingId, user: &UserId) -> Result<Option<Drawing>, StoreError> {
        Ok(self.lock()?.shown(id, user))
    }

    async fn drawings(
        &self,
        user: &UserId,
        cursor: Option<DrawingCursor>,
        limit: u32,
    ) -> Result<Vec<Drawing>, StoreError> {
        Ok(self.lock()?.list(user, cursor, limit))
    }

    async fn rename_drawing(&self, id: DrawingId, title: &str, now_ms: i64) -> Result<bool, StoreError> {
        let mut state = self.write()?;
        let Some(row) = state.whole(id) else { return Ok(false) };
        (row.title, row.updated_at) = (title.to_owned(), now_ms);
        Ok(true)
    }

    async fn confirm(&self, _: DrawingId) -> Result<(), StoreError> {
        drop(self.write()?);
        Ok(())
    }

    async fn delete_drawing(&self, id: DrawingId, _: i64) -> Result<bool, StoreError> {
        Ok(self.write()?.delete(id))
    }

    async fn purge_deleted(&self, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.write()?;
        let has_ops = |row: &&mut Row| row.life == Life::Deleted && !row.ops.is_empty();
        let Some(row) = state.drawings.values_mut().find(has_ops) else { return Ok(0) };
        let removed = row.ops.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        row.ops.drain(..removed);
        Ok(removed as u64)
    }

    async fn role(&self, id: DrawingId, user: &UserId) -> Result<Option<Role>, StoreError> {
        let state = self.lock()?;
        Ok(state.drawings.get(&id).and_then(|row| row.members.get(user).copied()))
    }

    async fn roles(
        &self,
        pairs: &[(DrawingId, UserId)],
    ) -> Result<HashMap<(DrawingId, UserId), Role>, StoreError> {
        let state = self.lock()?;
        let role = |(id, user): &(DrawingId, UserId)| {
            let role = *state.drawings.get(id)?.members.get(user)?;
            Some(((*id, user.clone()), role))
        };
        Ok(pairs.iter().filter_map(role).collect())
    }

    async fn members(&self, id: DrawingId) -> Result<Vec<Member>, StoreError> {
        let state = self.lock()?;
        let members = state.drawings.get(&id).into_iter().flat_map(|row| &row.members);
        Ok(members.map(|(user, role)| Member { user_id: user.clone(), role: *role }).collect())
    }

    async fn set_member(
        &self,
        id: DrawingId,
        user: &UserId,
        role: Option<Role>,
        now_ms: i64,
    ) -> Result<MemberOutcome, StoreError> {
        Ok(self.write()?.set_member(id, user, role, now_ms))
    }

    async fn create_link(&self, link: &Link, token_hash: &str) -> Result<(), StoreError> {
        self.write()?.add_link(link, token_hash)
    }

    async fn links(&self, id: DrawingId) -> Result<Vec<Link>, StoreError> {
        let state = self.lock()?;
        let mut links: Vec<_> = state.links.values().filter(|link| link.drawing_id == id).cloned().collect();
        links.sort_by_key(|link| (link.created_at, link.link_id));
        Ok(links)
    }

    async fn delete_link(&self, id: DrawingId, link_id: Uuid) -> Result<bool, StoreError> {
        let mut state = self.write()?;
        let before = state.links.len();
        state.links.retain(|_, link| link.drawing_id != id || link.link_id != link_id);
        Ok(state.links.len() < before)
    }

    async fn join_link(
        &self,
        token_hash: &str,
        user: &UserId,
        now_ms: i64,
    ) -> Result<Option<JoinedLink>, StoreError> {
        Ok(self.write()?.join(token_hash, user, now_ms))
    }

    async fn probe(&self, _: Probe) -> Result<(), StoreError> {
        drop(self.write()?);
        Ok(())
    }

    fn health(&self) -> &Health {
        &self.health
    }

    async fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}
