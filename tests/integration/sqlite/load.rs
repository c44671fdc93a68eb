//! A random load of the store on an SQLite file, recorded, and what is to be seen after each step that was acknowledged.
//!
//! The state that is to be seen is computed from the answers, not read from the store.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::Path,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use loadtest::services::TempFolder;
use lossy_disk::{Random, Recorder, VFS};
use revcast::{
    limits,
    model::{CheckedOp, DrawingId, Epoch, OpId, Revision, Role},
    store::{
        AppendOutcome, AppendRequest, CreateOutcome, ImportedLog, ImportedOp, Link, OpOutcome, PoolOptions,
        Probe, ReadRange, SqliteStore, Store, StoredOp,
    },
};
use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};
use uuid::Uuid;

use crate::{
    sqlite::crash::Recorded,
    store::contract::{NOW, folding, new_drawing_id, user},
};

/// The name of the database in its folder.
pub const FILE: &str = "revcast.db";
/// Drawings at one time, at most.
const DRAWINGS: usize = 6;
/// The users who have a role beside alice, who owns all.
const OTHERS: [&str; 3] = ["bob", "carol", "dave"];

/// The URL of the database in a folder, on the disk that records.
pub fn url_in(folder: &Path) -> String {
    format!("sqlite://{}/{FILE}?vfs={VFS}", folder.display())
}

/// The state that is to be seen in a database.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// `None` before the first one is known.
    pub epoch: Option<Epoch>,
    pub drawings: BTreeMap<DrawingId, Drawn>,
}

/// The state that is to be seen of a drawing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn {
    pub title: String,
    pub members: BTreeMap<String, Role>,
    pub links: Vec<Link>,
    pub log: Vec<Arc<StoredOp>>,
}

impl Drawn {
    /// The time of the latest op.
    pub fn time(&self) -> i64 {
        self.log.iter().map(|op| op.ts).max().unwrap_or(0)
    }
}

impl Shown {
    /// True if this is what was found.
    pub fn is(&self, found: &Self) -> bool {
        (self.epoch.is_none() || self.epoch == found.epoch) && self.drawings == found.drawings
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.epoch)?;
        for (id, Drawn { title, members, links, log }) in &self.drawings {
            let head = log.last().map(|op| &*op.body);
            let (links, revisions) = (links.len(), log.len());
            write!(f, "\n{id} {title:?} {members:?}, {links} links, head {revisions}: {head:.100?}")?;
        }
        Ok(())
    }
}

/// Reads all that is to be seen.
pub async fn shown(store: &dyn Store) -> anyhow::Result<Shown> {
    let mut shown = Shown { epoch: Some(store.meta().await?.epoch), ..Shown::default() };
    for id in store.list_drawings(None, u32::MAX).await? {
        let drawing = store.drawing(id, &user("alice")).await?.context("a drawing has lost its owner")?;
        let range = ReadRange {
            drawing_id: id,
            after: Revision(0),
            until: None,
            limit: u32::MAX,
            max_bytes: usize::MAX,
        };
        let page = store.read(&range).await?.context("a drawing has no log")?;
        ensure!(page.ops.iter().map(|op| op.revision.0).eq(1..=page.head.0), "a log has a hole");
        ensure!(page.head == drawing.head, "there are two heads");
        let members = store.members(id).await?;
        let drawn = Drawn {
            title: drawing.title,
            members: members.into_iter().map(|m| (m.user_id.to_string(), m.role)).collect(),
            links: store.links(id).await?,
            log: page.ops.into_iter().map(Arc::new).collect(),
        };
        shown.drawings.insert(id, drawn);
    }
    Ok(shown)
}

/// An op that draws, or joins a unit, with so many bytes that cannot be compressed.
pub fn drawing_op(unit: Option<OpId>, bytes: usize) -> CheckedOp {
    let op_id = OpId(Uuid::now_v7());
    let named = unit.map_or_else(String::new, |unit| format!(r#""unit":"{unit}","#));
    let data: String = (0..=bytes / 32).map(|_| Uuid::new_v4().simple().to_string()).collect();
    let data = &data[..bytes];
    let body = format!(r#"{{"op_id":"{op_id}",{named}"type":"custom.test","data":"{data}"}}"#).into();
    let unit = Some(unit.unwrap_or(op_id));
    CheckedOp { op_id, unit, is_undo_redo: false, creates_fog: false, touches: Vec::new(), body }
}

fn undo(unit: OpId) -> CheckedOp {
    let op_id = OpId(Uuid::now_v7());
    let body = format!(r#"{{"op_id":"{op_id}","type":"undo","unit":"{unit}"}}"#).into();
    CheckedOp { op_id, body, unit: Some(unit), is_undo_redo: true, ..drawing_op(None, 0) }
}

/// The logs of imports, by drawing.
#[derive(Clone, Default)]
pub struct Imports(HashMap<DrawingId, (Vec<ImportedOp>, ImportedLog)>);

impl Imports {
    /// A log of so many ops.
    fn add(&mut self, id: DrawingId, count: usize) {
        let mut log = ImportedLog::default();
        let ops = (1_u64..).take(count).map(|revision| {
            let op = drawing_op(None, 200);
            let ts = NOW - 1_000 + i64::try_from(revision).unwrap();
            log =
                ImportedLog { head: Revision(revision), ts, bytes: log.bytes + op.body.len() as u64, ..log };
            ImportedOp { op, revision: Revision(revision), actor: user("carol"), ts }
        });
        let ops = ops.collect();
        self.0.insert(id, (ops, log));
    }

    /// Takes up an import that a crash has interrupted, or removes it if it was being removed.
    pub async fn go_on(&self, store: &dyn Store, id: DrawingId, now: &mut Shown) -> anyhow::Result<()> {
        let (ops, log) = self.0.get(&id).context("nobody has begun it")?;
        let begun = store.begin_import(id, "imported", &user("alice"), NOW).await?;
        if store.import_ops(id, ops).await? {
            ensure!(begun == CreateOutcome::Exists, "it is not there any more");
            ensure!(store.finish_import(id, &user("alice"), log).await?, "it is not finished");
            now.drawings.insert(id, self.drawn(id));
        } else {
            while !store.abort_import(id, 10).await? {}
        }
        Ok(())
    }

    /// The state that is to be seen of a drawing once it is imported.
    fn drawn(&self, id: DrawingId) -> Drawn {
        let row = |op: &ImportedOp| StoredOp {
            revision: op.revision,
            actor: op.actor.to_string(),
            ts: op.ts,
            body: op.op.body.to_string(),
        };
        Drawn {
            title: "imported".to_owned(),
            members: [("alice".to_owned(), Role::Owner)].into(),
            links: Vec::new(),
            log: self.0[&id].0.iter().map(row).map(Arc::new).collect(),
        }
    }
}

/// An import that is under way.
struct Importing {
    id: DrawingId,
    /// The number of its ops that are in the store.
    sent: usize,
}

/// A load, as far as it has come.
pub struct Load {
    folder: TempFolder,
    recorder: Recorder,
    random: Random,
    store: Box<dyn Store>,
    states: Vec<Shown>,
    now: Shown,
    /// Open units of alice's, and the floor, by drawing.
    open: BTreeMap<DrawingId, (Vec<(Revision, OpId)>, Revision)>,
    importing: Option<Importing>,
    imports: Imports,
    /// Sees the database as it was when it was opened, so that the write-ahead log has to be kept.
    reader: Option<SqliteConnection>,
    ts: i64,
}

impl Load {
    /// Does so many steps on a new file, one after the other.
    pub async fn run(seed: u64, steps: usize) -> Recorded {
        let folder = TempFolder::new("recorded").unwrap();
        let recorder = Recorder::new(folder.path()).unwrap();
        let store = open(folder.path()).await;
        let mut load = Self {
            folder,
            recorder,
            random: Random::new(seed),
            store,
            states: vec![Shown::default()],
            now: Shown::default(),
            open: BTreeMap::new(),
            importing: None,
            imports: Imports::default(),
            reader: None,
            ts: NOW,
        };
        load.now.epoch = Some(load.store.meta().await.unwrap().epoch);
        load.acknowledged();
        for _ in 0..steps {
            load.step().await;
            load.acknowledged();
        }
        load.stop_reading().await;
        load.store.close().await;
        load.acknowledged();
        Recorded { changes: load.recorder.changes(), states: load.states, imports: load.imports }
    }

    fn acknowledged(&mut self) {
        self.recorder.mark(self.states.len());
        self.states.push(self.now.clone());
    }

    async fn step(&mut self) {
        self.ts += 1;
        let drawing = self.some_drawing();
        match (self.random.below(100), drawing) {
            (_, None) | (0..6, _) => self.create().await,
            (6..60, _) => self.append().await,
            (60..64, Some(id)) => self.fold(id).await,
            (64..68, Some(id)) => self.rename(id).await,
            (68..73, Some(id)) => self.set_member(id).await,
            (73..77, Some(id)) => self.link(id).await,
            (77..79, Some(id)) => self.delete(id).await,
            (79..80, _) => drop(self.store.purge_deleted(7).await.unwrap()),
            (80..88, _) => self.import().await,
            (88..94, _) => self.checkpoint().await,
            (94..96, _) => self.read_or_stop().await,
            (96..97, _) => self.new_epoch().await,
            (97..98, _) => self.reopen().await,
            _ => self.store.probe(Probe::WithRoom).await.unwrap(),
        }
    }

    fn some_drawing(&mut self) -> Option<DrawingId> {
        let nth = self.random.below(self.now.drawings.len());
        self.now.drawings.keys().nth(nth).copied()
    }

    fn drawn(&mut self, id: DrawingId) -> &mut Drawn {
        self.now.drawings.get_mut(&id).unwrap()
    }

    async fn create(&mut self) {
        if self.now.drawings.len() >= DRAWINGS {
            return;
        }
        let id = new_drawing_id();
        let created = self.store.create_drawing(id, "new", &user("alice"), self.ts).await.unwrap();
        assert_eq!(created, CreateOutcome::Created);
        let members = [("alice".to_owned(), Role::Owner)].into();
        self.now.drawings.insert(id, Drawn { title: "new".to_owned(), members, ..Drawn::default() });
    }

    /// One batch of several drawings: one transaction.
    async fn append(&mut self) {
        let mut batch: Vec<AppendRequest> = Vec::new();
        for _ in 0..=self.random.below(3) {
            let Some(id) = self.some_drawing() else { continue };
            if batch.iter().all(|request| request.drawing_id != id) {
                let ops = (0..=self.random.below(3)).map(|_| self.op(id)).collect();
                batch.push(AppendRequest::new(id, user("alice"), Role::Owner, ops));
            }
        }
        self.commit(&batch).await;
    }

    fn op(&mut self, id: DrawingId) -> CheckedOp {
        let units = self.open.get(&id).map_or(&[][..], |(units, _)| units);
        let unit = units.get(self.random.below(units.len())).map(|(_, unit)| *unit);
        // Some are larger than a page.
        let bytes = if self.random.is(3) { 9_000 } else { self.random.below(400) };
        match (self.random.below(10), unit) {
            (0, Some(unit)) => undo(unit),
            (1, Some(unit)) => drawing_op(Some(unit), bytes),
            _ => drawing_op(None, bytes),
        }
    }

    async fn commit(&mut self, batch: &[AppendRequest]) {
        let appended = self.store.append(batch, self.ts).await.unwrap();
        for (request, outcome) in batch.iter().zip(appended.outcomes) {
            let id = request.drawing_id;
            let AppendOutcome::Accepted { ops, .. } = outcome else { panic!("{outcome:?}") };
            for (op, outcome) in request.ops.iter().zip(ops) {
                let OpOutcome::Committed(revision) = outcome else { panic!("{outcome:?}") };
                let (actor, ts) = (request.actor.to_string(), appended.heads[&id].ts);
                let row = StoredOp { revision, actor, ts, body: op.body.to_string() };
                self.drawn(id).log.push(Arc::new(row));
                if op.begins_unit() {
                    self.open.entry(id).or_default().0.push((revision, op.op_id));
                }
            }
        }
    }

    async fn fold(&mut self, id: DrawingId) {
        let head = self.drawn(id).log.len();
        let from = self.open.entry(id).or_default().1;
        let floor = from.0 + 1 + self.random.below(8) as u64;
        if floor <= head as u64 {
            self.commit(&[folding(id, from.0, floor)]).await;
            let (units, of_drawing) = self.open.entry(id).or_default();
            *of_drawing = Revision(floor);
            units.retain(|(first, _)| first.0 > floor);
        }
    }

    async fn rename(&mut self, id: DrawingId) {
        let title = format!("at {}", self.ts);
        assert!(self.store.rename_drawing(id, &title, self.ts).await.unwrap());
        self.drawn(id).title = title;
    }

    async fn set_member(&mut self, id: DrawingId) {
        let name = OTHERS[self.random.below(OTHERS.len())];
        let role = [Some(Role::Editor), Some(Role::Viewer), None][self.random.below(3)];
        if role.is_none() && !self.drawn(id).members.contains_key(name) {
            return;
        }
        self.store.set_member(id, &user(name), role, self.ts).await.unwrap();
        match role {
            Some(role) => drop(self.drawn(id).members.insert(name.to_owned(), role)),
            None => drop(self.drawn(id).members.remove(name)),
        }
    }

    async fn link(&mut self, id: DrawingId) {
        if let Some(link) = self.drawn(id).links.first().map(|link| link.link_id)
            && self.random.is(50)
        {
            assert!(self.store.delete_link(id, link).await.unwrap());
            self.drawn(id).links.retain(|other| other.link_id != link);
            return;
        }
        let link = Link {
            link_id: Uuid::now_v7(),
            drawing_id: id,
            role: Role::Viewer,
            created_by: user("alice"),
            created_at: self.ts,
            expires_at: None,
        };
        self.store.create_link(&link, &link.link_id.to_string()).await.unwrap();
        self.drawn(id).links.push(link);
    }

    async fn delete(&mut self, id: DrawingId) {
        assert!(self.store.delete_drawing(id, self.ts).await.unwrap());
        self.now.drawings.remove(&id);
        self.open.remove(&id);
    }

    /// The next part of an import, which is several transactions.
    async fn import(&mut self) {
        let Some(Importing { id, sent }) = self.importing.take() else {
            let id = new_drawing_id();
            let begun = self.store.begin_import(id, "imported", &user("alice"), self.ts).await.unwrap();
            assert_eq!(begun, CreateOutcome::Created);
            self.imports.add(id, 5 + self.random.below(20));
            self.importing = Some(Importing { id, sent: 0 });
            return;
        };
        let (ops, log) = &self.imports.0[&id];
        if sent < ops.len() {
            let until = (sent + 1 + self.random.below(15)).min(ops.len());
            assert!(self.store.import_ops(id, &ops[sent..until]).await.unwrap());
            self.importing = Some(Importing { id, sent: until });
        } else if self.random.is(25) {
            // In parts, if there is much of it.
            if !self.store.abort_import(id, 10).await.unwrap() {
                self.store.abort_import(id, u32::MAX).await.unwrap();
            }
        } else {
            assert!(self.store.finish_import(id, &user("alice"), log).await.unwrap());
            let drawn = self.imports.drawn(id);
            self.now.drawings.insert(id, drawn);
        }
    }

    /// A connection beside the store; checkpoints of SQLite's own come too seldom.
    async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::from_str(&url_in(self.folder.path())).unwrap();
        let options = options.synchronous(SqliteSynchronous::Full).busy_timeout(Duration::from_millis(5));
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    async fn checkpoint(&mut self) {
        let mut connection = self.connect().await;
        let checkpoint = [
            "PRAGMA wal_checkpoint(PASSIVE)",
            "PRAGMA wal_checkpoint(FULL)",
            "PRAGMA wal_checkpoint(RESTART)",
            "PRAGMA wal_checkpoint(TRUNCATE)",
        ][self.random.below(4)];
        // One that does not come to its end, because of the reader, says so in its row.
        sqlx::query(checkpoint).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn read_or_stop(&mut self) {
        if self.reader.is_some() {
            return self.stop_reading().await;
        }
        let mut connection = self.connect().await;
        sqlx::query("BEGIN").execute(&mut connection).await.unwrap();
        sqlx::query("SELECT count(*) FROM ops").fetch_one(&mut connection).await.unwrap();
        self.reader = Some(connection);
    }

    async fn stop_reading(&mut self) {
        if let Some(connection) = self.reader.take() {
            connection.close().await.unwrap();
        }
    }

    async fn new_epoch(&mut self) {
        self.now.epoch = Some(self.store.new_epoch().await.unwrap());
    }

    /// Whoever closes last makes a checkpoint and removes the write-ahead log.
    async fn reopen(&mut self) {
        self.stop_reading().await;
        self.store.close().await;
        self.store = open(self.folder.path()).await;
    }
}

async fn open(folder: &Path) -> Box<dyn Store> {
    let options = PoolOptions { max_connections: 2, start_timeout: limits::STORE_START_TIMEOUT };
    Box::new(SqliteStore::connect(&url_in(folder), options).await.unwrap())
}
