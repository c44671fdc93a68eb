//! SQLite when the power fails: what was acknowledged is there, whatever was written of what was not.
//!
//! A load is recorded on a disk that writes down each write and sync (`tests/disk`). From that come crashes at random
//! moments, each with some of what was not synced; the store opens what is left. All choices follow from a seed, which is
//! printed when a test fails: `REVCAST_SEED` gives another one, and `REVCAST_CRASHES` another number of crashes.

use std::{env, sync::Arc};

use futures_util::{StreamExt, stream};
use loadtest::services::TempFolder;
use lossy_disk::{Change, Disk, Files, Honesty, Random, Recorder, Unsynced};
use revcast::{
    limits,
    model::{CheckedOp, Op, Revision, Role},
    store::{AppendRequest, OpOutcome, PoolOptions, SqliteStore, Store, StoredOp},
    verify::Verifier,
};
use sqlx::{Connection, SqliteConnection};

use crate::{
    sqlite::load::{FILE, Imports, Load, Shown, drawing_op, shown, url_in},
    store::contract::{NOW, accepted, append, user},
};

/// The steps of a load.
const STEPS: usize = 120;
/// Crashes of one load.
const CRASHES: usize = 200;
/// Crashes on the disk that lies.
const LIES: usize = 20;
/// One crash in so many is followed by another while the store recovers and goes on.
const TWICE_EVERY: usize = 4;
/// Crashes that are looked at at once.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_any_crash() {
    let seed = number("REVCAST_SEED", 1);
    println!("REVCAST_SEED={seed}");
    let crashes = usize::try_from(number("REVCAST_CRASHES", CRASHES as u64)).unwrap();
    let recorded = Load::run(seed, STEPS).await;
    println!("{} changes in {} steps", recorded.changes.len(), recorded.states.len());
    let failed = look_at(&recorded, crashes, seed, |_| Honesty::Honest).await;
    assert!(failed.is_empty(), "{} of {crashes} crashes; the first: {:#?}", failed.len(), failed[0]);
}

/// A test of the test: it sees what is lost where syncs do nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_lies_about_syncs_is_found_out() {
    let seed = number("REVCAST_SEED", 2);
    println!("REVCAST_SEED={seed}");
    let recorded = Load::run(seed, STEPS).await;
    // The database is sound by then: what is lost later are commits.
    let honest_until = STEPS / 2;
    let lies = |mark| if mark < honest_until { Honesty::Honest } else { Honesty::Lying };
    let failed = look_at(&recorded, LIES, seed, lies).await;
    let lost = failed.iter().filter(|failed| matches!(failed.why, Failure::Lost(_))).count();
    assert!(lost > 0, "{failed:#?}");
    let too_early = failed.iter().find(|failed| failed.mark < honest_until);
    assert!(too_early.is_none(), "{too_early:#?}");
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |number| number.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The recording of a load.
pub struct Recorded {
    pub changes: Vec<Change>,
    /// The state that is to be seen once so many steps were acknowledged. A mark in `changes` is the number of one.
    pub states: Vec<Shown>,
    /// The logs that were imported, or were to be.
    pub imports: Imports,
}

/// A crash that was not survived.
#[derive(Debug)]
#[allow(dead_code, reason = "shown when a test fails")]
struct Failed {
    nth: usize,
    /// The number of the change before which the power failed.
    at: usize,
    /// The number of steps that were acknowledged.
    mark: usize,
    why: Failure,
}

#[derive(Debug)]
#[allow(dead_code, reason = "shown when a test fails")]
enum Failure {
    /// Something that was acknowledged is not there, or something is there that was never sent.
    Lost(String),
    /// The store does not open it or go on with it, or something is wrong with it.
    Broken(String),
}

fn broken(what: &'static str) -> impl Fn(anyhow::Error) -> Failure {
    move |error| Failure::Broken(format!("{what}: {error:#}"))
}

/// Crashes at so many moments, and those that were not survived.
async fn look_at(
    recorded: &Recorded,
    crashes: usize,
    seed: u64,
    honesty: impl Fn(usize) -> Honesty,
) -> Vec<Failed> {
    let mut random = Random::new(seed);
    let mut moments: Vec<usize> = (0..crashes).map(|_| random.below(recorded.changes.len() + 1)).collect();
    moments.sort_unstable();
    let (mut disk, mut mark, mut done) = (Disk::new(Honesty::Honest), 0, 0);
    let crashes = moments.into_iter().enumerate().map(|(nth, at)| {
        for change in &recorded.changes[done..at] {
            if let Change::Marked(acknowledged) = change {
                mark = *acknowledged;
                disk.be(honesty(mark));
            }
            disk.apply(change);
        }
        done = at;
        (nth, at, mark, disk.crash(&mut random), Random::new(random.next()))
    });
    let looks = crashes.map(|(nth, at, mark, files, random)| async move {
        let expected = [Some(&recorded.states[mark]), recorded.states.get(mark + 1)];
        let expected: Vec<_> = expected.into_iter().flatten().cloned().collect();
        let outcome = if nth % TWICE_EVERY == 0 {
            survive_twice(&files, expected, random).await
        } else {
            survive(&files, &expected, &recorded.imports).await
        };
        outcome.err().map(|why| Failed { nth, at, mark, why })
    });
    stream::iter(looks).buffer_unordered(AT_ONCE).filter_map(|failed| async move { failed }).collect().await
}

/// Opens what a crash has left: what is to be seen is one of `expected`, nothing is wrong with it, and all goes on.
async fn survive(files: &Files, expected: &[Shown], imports: &Imports) -> Result<(), Failure> {
    let folder = TempFolder::new("crash").unwrap();
    files.lay(folder.path()).unwrap();
    let _unsynced = Unsynced::new(folder.path()).unwrap();
    let store = open(&folder).await?;
    let found = find(&*store, expected).await?;
    let mut now = go_on(&*store, found).await?;
    for id in store.stale_imports(i64::MAX).await.map_err(|error| broken("imports")(error.into()))? {
        imports.go_on(&*store, id, &mut now).await.map_err(broken("an import does not go on"))?;
    }
    find(&*store, &[now]).await?;
    verify(&*store).await?;
    store.close().await;
    check_integrity(&folder).await
}

/// The same, with a second crash on the way.
async fn survive_twice(files: &Files, expected: Vec<Shown>, mut random: Random) -> Result<(), Failure> {
    let folder = TempFolder::new("crash").unwrap();
    files.lay(folder.path()).unwrap();
    let recorder = Recorder::new(folder.path()).unwrap();
    let store = open(&folder).await?;
    let found = find(&*store, &expected).await?;
    recorder.mark(1);
    let now = go_on(&*store, found.clone()).await?;
    recorder.mark(2);
    store.close().await;
    let states = [expected, vec![found, now.clone()], vec![now]];
    let changes = recorder.changes();
    // The files that were there before are none that is being written.
    let first =
        changes.iter().position(|change| matches!(change, Change::FolderSynced)).map_or(0, |at| at + 1);
    let (mut disk, mut mark) = (Disk::new(Honesty::Honest), 0);
    for change in &changes[..first + random.below(changes.len() - first + 1)] {
        if let Change::Marked(reached) = change {
            mark = *reached;
        }
        disk.apply(change);
    }
    let folder = TempFolder::new("crash").unwrap();
    disk.crash(&mut random).lay(folder.path()).unwrap();
    let _unsynced = Unsynced::new(folder.path()).unwrap();
    let store = open(&folder).await?;
    let found = find(&*store, &states[mark]).await?;
    go_on(&*store, found).await?;
    verify(&*store).await?;
    store.close().await;
    check_integrity(&folder).await
}

async fn open(folder: &TempFolder) -> Result<Box<dyn Store>, Failure> {
    let options = PoolOptions { max_connections: 2, start_timeout: limits::STORE_START_TIMEOUT };
    let store = SqliteStore::connect(&url_in(folder.path()), options).await;
    match store {
        Ok(store) => Ok(Box::new(store)),
        Err(error) => Err(broken("it does not open")(error.into())),
    }
}

/// Returns the state that is seen, which has to be one of these.
async fn find(store: &dyn Store, expected: &[Shown]) -> Result<Shown, Failure> {
    let found = shown(store).await.map_err(broken("it cannot be read"))?;
    if expected.iter().any(|expected| expected.is(&found)) {
        return Ok(found);
    }
    Err(Failure::Lost(format!("found {found}, and not {}", expected[0])))
}

async fn verify(store: &dyn Store) -> Result<(), Failure> {
    let mut findings = Vec::new();
    let mut tell = |finding: &revcast::verify::Finding| {
        findings.push(finding.to_string());
        Ok(())
    };
    let verified = Verifier::new(store, None).run(None, &mut tell).await;
    verified.map_err(|error| broken("it cannot be verified")(error.into()))?;
    if findings.is_empty() { Ok(()) } else { Err(Failure::Broken(format!("verify: {findings:?}"))) }
}

/// Appends an op to each drawing, with the last one of its log once more; what is to be seen then.
async fn go_on(store: &dyn Store, mut now: Shown) -> Result<Shown, Failure> {
    let (mut batch, mut expected) = (Vec::new(), Vec::new());
    for (id, drawn) in &now.drawings {
        let head = Revision(drawn.log.len() as u64);
        let mut ops = vec![drawing_op(None, 10)];
        let mut outcomes = vec![OpOutcome::Committed(head.next())];
        if let Some(last) = drawn.log.last().filter(|last| last.actor == "alice") {
            ops.insert(0, again(last));
            outcomes.insert(0, OpOutcome::Duplicate(head));
        }
        batch.push(AppendRequest::new(*id, user("alice"), Role::Owner, ops));
        expected.push(accepted(head.0 + 1, outcomes));
    }
    if batch.is_empty() {
        return Ok(now);
    }
    let outcomes = append(store, &batch).await;
    if outcomes != expected {
        return Err(Failure::Broken(format!("appending gives {outcomes:?}, and not {expected:?}")));
    }
    for request in &batch {
        let (Some(drawn), Some(op)) = (now.drawings.get_mut(&request.drawing_id), request.ops.last()) else {
            continue;
        };
        let (revision, ts) = (Revision(drawn.log.len() as u64 + 1), drawn.time().max(NOW));
        let body = op.body.to_string();
        drawn.log.push(Arc::new(StoredOp { revision, actor: "alice".to_owned(), ts, body }));
    }
    Ok(now)
}

/// The op of a row, as its client sends it again.
fn again(row: &StoredOp) -> CheckedOp {
    let op = Op::parse(&row.body).unwrap();
    CheckedOp {
        op_id: op.op_id,
        unit: op.unit,
        is_undo_redo: op.is_undo_redo(),
        creates_fog: op.creates_fog(),
        touches: op.touches().to_vec(),
        body: row.body.as_str().into(),
    }
}

/// Fails if SQLite finds a fault in its file.
async fn check_integrity(folder: &TempFolder) -> Result<(), Failure> {
    let said = async {
        let mut connection =
            SqliteConnection::connect(&format!("sqlite://{}/{FILE}", folder.path().display())).await?;
        let said: Vec<String> =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut connection).await?;
        let strays = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection).await?.len();
        connection.close().await?;
        anyhow::Ok((said, strays))
    };
    let (said, strays) = said.await.map_err(broken("SQLite cannot check it"))?;
    if said == ["ok"] && strays == 0 { Ok(()) } else { Err(Failure::Broken(format!("{said:?}, {strays}"))) }
}
