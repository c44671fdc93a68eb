//! The promises of every back end of the store: one suite of plain functions, run on each of them.
//!
//! Owns the macro that turns rules into tests, the helpers of the rules, and the rules of starting.
//! The other rules stand in `store::append`, `store::refusals`, `store::undo`, `store::read`,
//! `store::directory`, `store::members`, `store::snapshots`, `store::claims`, `store::import` and `store::inspect`.

use futures_util::future::join_all;
use loadtest::services::TempFolder;
use revcast::{
    limits,
    model::{CheckedOp, DrawingId, OpId, Revision, Role, UserId},
    store::{
        AppendOutcome, AppendRequest, CreateOutcome, FoldPlan, MemoryStore, OpOutcome, PoolOptions,
        PostgresStore, ReadRange, Refusal, SqliteStore, Store, StoredOp,
    },
};
use uuid::Uuid;

use crate::support::new_database;

/// Makes one test a rule and back end: `contract! { a_rule(store), another(one, other) }`. Each name
/// between the parentheses is a store of its own on the same new database, as two nodes have them.
macro_rules! contract {
    ($($rule:ident($($store:ident),+)),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                let database = $crate::store::contract::Database::sqlite();
                $(let $store = database.connect().await;)+
                super::$rule($(&*$store),+).await;
            })+
        }
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                let database = $crate::store::contract::Database::memory();
                $(let $store = database.connect().await;)+
                super::$rule($(&*$store),+).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                let database = $crate::store::contract::Database::postgres();
                $(let $store = database.connect().await;)+
                super::$rule($(&*$store),+).await;
            })+
        }
    };
}
pub(crate) use contract;

/// A database without a schema; it goes with the handle.
pub struct Database {
    url: String,
    /// The store itself, where it is in memory.
    memory: Option<MemoryStore>,
    _folder: Option<TempFolder>,
}

impl Database {
    /// A file that is not there yet.
    pub fn sqlite() -> Self {
        let folder = TempFolder::new("store").unwrap();
        let url = format!("sqlite://{}/revcast.db", folder.path().display());
        Self { url, memory: None, _folder: Some(folder) }
    }

    /// One that is nowhere else.
    pub fn memory() -> Self {
        Self { url: String::new(), memory: Some(MemoryStore::new()), _folder: None }
    }

    /// A database in the shared cluster.
    pub fn postgres() -> Self {
        Self { url: new_database(), memory: None, _folder: None }
    }

    /// One that somebody else keeps.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), memory: None, _folder: None }
    }

    /// The URL at which a server finds it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A store on it, with connections of its own.
    pub async fn connect(&self) -> Box<dyn Store> {
        match &self.memory {
            Some(store) => Box::new(store.of_another_node()),
            None => connect(&self.url).await,
        }
    }
}

/// A store on a database, with connections of its own.
pub async fn connect(url: &str) -> Box<dyn Store> {
    let options = PoolOptions { max_connections: 8, start_timeout: limits::STORE_START_TIMEOUT };
    if url.starts_with("sqlite:") {
        Box::new(SqliteStore::connect(url, options).await.unwrap())
    } else {
        Box::new(PostgresStore::connect(url, options).await.unwrap())
    }
}

// --- What rules are made of -----------------------------------------------------------------------

/// The time at which tests happen, in milliseconds since 1970.
pub const NOW: i64 = 1_700_000_000_000;

pub fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

/// An id that no drawing has.
pub fn new_drawing_id() -> DrawingId {
    DrawingId(Uuid::now_v7())
}

/// Creates a drawing of alice's.
pub async fn new_drawing(store: &dyn Store) -> DrawingId {
    let id = new_drawing_id();
    let created = store.create_drawing(id, "a drawing", &user("alice"), NOW).await.unwrap();
    assert_eq!(created, CreateOutcome::Created);
    id
}

/// An op that begins a unit.
pub fn op() -> CheckedOp {
    let op_id = OpId(Uuid::now_v7());
    let body = format!(r#"{{"op_id":"{op_id}","type":"custom.test","data":1}}"#).into();
    CheckedOp { op_id, unit: Some(op_id), is_undo_redo: false, creates_fog: false, touches: Vec::new(), body }
}

pub fn ops(count: usize) -> Vec<CheckedOp> {
    (0..count).map(|_| op()).collect()
}

/// The same op as sent with another body.
pub fn with_body(op: &CheckedOp, body: &str) -> CheckedOp {
    CheckedOp { body: body.into(), ..op.clone() }
}

/// An op that belongs to the unit of `first`.
pub fn joining(first: &CheckedOp) -> CheckedOp {
    CheckedOp { unit: Some(first.op_id), ..op() }
}

/// An undo or redo of the unit of `first`; the store makes no difference.
pub fn undoing(first: &CheckedOp) -> CheckedOp {
    CheckedOp { is_undo_redo: true, ..joining(first) }
}

/// An op that names an object.
pub fn touching(object: &str) -> CheckedOp {
    CheckedOp { touches: vec![object.parse().unwrap()], ..op() }
}

/// An op that creates an object of kind fog.
pub fn fog(object: &str) -> CheckedOp {
    CheckedOp { creates_fog: true, ..touching(object) }
}

/// A request of alice's, who is an owner.
pub fn by_alice(drawing: DrawingId, ops: &[CheckedOp]) -> AppendRequest {
    AppendRequest::new(drawing, user("alice"), Role::Owner, ops.to_vec())
}

/// A request of bob's, who is an editor.
pub fn by_bob(drawing: DrawingId, ops: &[CheckedOp]) -> AppendRequest {
    AppendRequest { actor: user("bob"), role: Role::Editor, ..by_alice(drawing, ops) }
}

/// A fold of the server's that moves the floor `from` one revision to another, whatever was named meanwhile.
pub fn folding(drawing: DrawingId, from: u64, floor: u64) -> AppendRequest {
    let op_id = OpId(Uuid::new_v4());
    let body = format!(r#"{{"op_id":"{op_id}","type":"fold","floor":{floor}}}"#).into();
    let op =
        CheckedOp { op_id, unit: None, is_undo_redo: false, creates_fog: false, touches: Vec::new(), body };
    let (floor, from) = (Revision(floor), Revision(from));
    let plan = FoldPlan { floor, from, planned_at: floor, yields: false };
    let request = AppendRequest::new(drawing, UserId::folder(), Role::Owner, vec![op]);
    AppendRequest { fold: Some(plan), ..request }
}

/// Appends a batch.
pub async fn append(store: &dyn Store, batch: &[AppendRequest]) -> Vec<AppendOutcome> {
    let appended = store.append(batch, NOW).await.unwrap();
    assert_eq!(appended.outcomes.len(), batch.len(), "one outcome a request");
    appended.outcomes
}

/// Appends a batch of one request.
pub async fn append_one(store: &dyn Store, request: AppendRequest) -> AppendOutcome {
    append(store, &[request]).await.remove(0)
}

pub fn accepted(head: u64, ops: impl IntoIterator<Item = OpOutcome>) -> AppendOutcome {
    AppendOutcome::Accepted { head: Revision(head), ops: ops.into_iter().collect() }
}

pub fn refused(refusal: Refusal) -> AppendOutcome {
    AppendOutcome::Refused(refusal)
}

pub fn committed(revision: u64) -> OpOutcome {
    OpOutcome::Committed(Revision(revision))
}

pub fn duplicate(revision: u64) -> OpOutcome {
    OpOutcome::Duplicate(Revision(revision))
}

/// The whole log of a drawing, whose revisions must be 1, 2, 3 … up to its head.
pub async fn log(store: &dyn Store, drawing: DrawingId) -> Vec<StoredOp> {
    let range = ReadRange {
        drawing_id: drawing,
        after: Revision(0),
        until: None,
        limit: u32::MAX,
        max_bytes: usize::MAX,
    };
    let page = store.read(&range).await.unwrap().expect("the drawing exists");
    let revisions: Vec<u64> = page.ops.iter().map(|op| op.revision.0).collect();
    assert_eq!(revisions, (1..=page.head.0).collect::<Vec<_>>());
    page.ops
}

/// The bodies of the log of a drawing must be those of these ops, in this order.
pub async fn assert_log(store: &dyn Store, drawing: DrawingId, expected: &[&CheckedOp]) {
    let log = log(store, drawing).await;
    let bodies: Vec<&str> = log.iter().map(|op| &*op.body).collect();
    assert_eq!(bodies, expected.iter().map(|op| &*op.body).collect::<Vec<_>>());
}

// --- Starting ---------------------------------------------------------------------------------------

/// Ten nodes that start on one new database must all be there in the end, and share its epoch.
async fn ten_start_at_once_on(database: &Database) {
    let stores = join_all((0..10).map(|_| database.connect())).await;
    let metas = join_all(stores.iter().map(|store| store.meta())).await;
    let metas: Vec<_> = metas.into_iter().map(Result::unwrap).collect();
    assert!(metas.iter().all(|meta| meta.epoch == metas[0].epoch));
    assert!(metas.iter().all(|meta| meta.server_key == metas[0].server_key));
    let drawing = new_drawing(&*stores[0]).await;
    for (nth, store) in (1..).zip(&stores) {
        let outcome = append_one(&**store, by_alice(drawing, &[op()])).await;
        assert_eq!(outcome, accepted(nth, [committed(nth)]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_nodes_may_start_at_once_on_a_new_file() {
    ten_start_at_once_on(&Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_nodes_may_start_at_once_on_a_new_postgres_database() {
    ten_start_at_once_on(&Database::postgres()).await;
}

contract! {
    what_was_committed_is_there_for_the_next_process(first, second),
    a_closed_store_answers_that_it_is_unavailable(store),
}

async fn what_was_committed_is_there_for_the_next_process(first: &dyn Store, second: &dyn Store) {
    let drawing = new_drawing(first).await;
    let op = op();
    append_one(first, by_alice(drawing, std::slice::from_ref(&op))).await;
    first.close().await;
    assert_log(second, drawing, &[&op]).await;
    assert_eq!(append_one(second, by_alice(drawing, &[op])).await, accepted(1, [duplicate(1)]));
}

async fn a_closed_store_answers_that_it_is_unavailable(store: &dyn Store) {
    use revcast::store::StoreError;
    let drawing = new_drawing(store).await;
    store.close().await;
    let appended = store.append(&[by_alice(drawing, &[op()])], NOW).await;
    assert!(matches!(appended, Err(StoreError::Unavailable(_))), "{appended:?}");
    assert!(matches!(store.heads(&[drawing]).await, Err(StoreError::Unavailable(_))));
}
