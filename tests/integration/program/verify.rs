//! `revcast verify`: every kind of damage is found where it is, and nothing is found where there is none.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use loadtest::services::TempFolder;
use serde_json::{Value, json};

use crate::{
    store::contract::Database,
    store::damage::{on_both, tamper},
    support::{
        App, Client, eventually, new_id, op,
        program::{self, Run},
    },
};

on_both! {
    a_sound_database_has_no_findings,
    every_kind_of_damage_to_a_log_is_found_where_it_is,
    every_kind_of_damage_to_a_snapshot_is_found_where_it_is,
    what_others_write_and_delete_meanwhile_is_no_finding,
}

/// A server with the folder of its blobs, and its database.
struct Setup {
    app: App,
    alice: Client,
    folder: TempFolder,
}

impl Setup {
    async fn new(database: &Database) -> Self {
        let folder = TempFolder::new("verify").unwrap();
        let blobs = format!("file:{}", folder.path().display());
        let app = App::start(database.url(), &["--blob-url", &blobs, "--snapshot-every", "20"]).await;
        let alice = app.client("alice").await;
        Self { app, alice, folder }
    }

    /// A drawing with 50 ops and a snapshot at 25.
    async fn drawing(&self) -> String {
        let drawing = self.alice.create_drawing().await;
        self.alice.commit_some(&drawing, 25).await;
        self.until_snapshot(&drawing, 25).await;
        // Too few for another one.
        self.alice.commit_some(&drawing, 15).await;
        drawing
    }

    async fn until_snapshot(&self, drawing: &str, revision: u64) {
        let path = format!("/v1/drawings/{drawing}");
        let (alice, path) = (&self.alice, &path);
        eventually("a snapshot is built", move || async move {
            (alice.get(path).await.json()["snapshot_revision"] == revision).then_some(())
        })
        .await;
    }

    async fn tamper(&self, sql: &'static str, drawing: &str) -> u64 {
        tamper(&self.app.database_url, sql, drawing.parse().unwrap()).await
    }

    /// The blob of the only snapshot of a drawing.
    fn blob(&self, drawing: &str) -> PathBuf {
        let folder = self.folder.path().join(drawing);
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        files[0].clone()
    }

    /// Verifies one drawing, or all of them.
    async fn verify(&self, drawing: Option<&str>) -> Verified {
        let blobs = format!("file:{}", self.folder.path().display());
        let mut line = vec!["verify", "--database-url", &self.app.database_url, "--blob-url", &blobs];
        line.extend(["--format", "json"]);
        if let Some(drawing) = drawing {
            line.extend(["--drawing-id", drawing]);
        }
        Verified::of(&program::run(&line).await)
    }
}

/// The findings of one run.
#[derive(Debug)]
struct Verified {
    code: i32,
    findings: Vec<Value>,
    summary: Value,
}

impl Verified {
    fn of(run: &Run) -> Self {
        let mut lines: Vec<Value> =
            run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let last = lines.pop().unwrap_or_else(|| panic!("{run:?}"));
        Self { code: run.code.unwrap(), findings: lines, summary: last["summary"].clone() }
    }

    /// The findings as kind and revision.
    fn told(&self) -> Vec<(&str, u64)> {
        self.findings.iter().map(|f| (f["kind"].as_str().unwrap(), f["revision"].as_u64().unwrap())).collect()
    }
}

async fn a_sound_database_has_no_findings(database: Database) {
    let setup = Setup::new(&database).await;
    let Setup { app, alice, .. } = &setup;
    let empty = alice.create_drawing().await;
    let drawing = setup.drawing().await;
    let path = format!("/v1/drawings/{drawing}");
    // Strokes, units of several ops, undo and redo, a fold, a clear, and fog.
    let (first, object) = (new_id(), "s1");
    let stroke = json!([
        {"op_id": first, "type": "stroke.begin", "object_id": object, "tool": "pen", "props": {}, "points": [[0, 0]]},
        {"op_id": new_id(), "unit": first, "type": "stroke.append", "object_id": object, "index": 1, "points": [[1, 1]]},
        {"op_id": new_id(), "unit": first, "type": "stroke.end", "object_id": object, "count": 1},
        {"op_id": new_id().to_uppercase(), "type": "object.create", "object_id": "f", "kind": "fog", "props": {}},
        {"op_id": new_id(), "type": "canvas.set", "set": {"background": "#fff"}},
    ]);
    alice.post(&format!("{path}/ops"), &json!({"ops": stroke})).await.expect(200);
    for step in ["undo", "undo", "redo"] {
        alice.post(&format!("{path}/{step}"), &json!({})).await.expect(200);
    }
    app.fold(&drawing, 0, 10).await;
    alice.commit(&drawing, &[op(1), json!({"op_id": new_id(), "type": "canvas.clear"})]).await.expect(200);
    alice.commit_some(&drawing, 30).await;
    let head = alice.head(&drawing).await;
    setup.until_snapshot(&drawing, head).await;
    // The same log again, as an import of this server.
    let log = alice.get(&format!("{path}/export?format=ndjson")).await.expect(200);
    let file = setup.folder.path().join("log.ndjson");
    fs::write(&file, &log.bytes).unwrap();
    let import = ["import", "--database-url", &app.database_url, "--owner", "alice", path_of(&file)];
    let imported = program::run(&import).await;
    assert!(imported.succeeded, "{imported:?}");
    alice.commit_some(&imported.stdout, 30).await;
    // One that is gone, with its ops still there for a while.
    let deleted = setup.drawing().await;
    alice.delete(&format!("/v1/drawings/{deleted}")).await.expect(204);
    let verified = setup.verify(None).await;
    assert_eq!((verified.code, &verified.findings[..]), (0, &[][..]), "{verified:?}");
    assert_eq!(verified.summary["drawings"], 3);
    assert_eq!(verified.summary["ops"].as_u64().unwrap(), 2 * head + 30);
    assert!(verified.summary["snapshots"].as_u64().unwrap() >= 2, "{verified:?}");
    assert_eq!(setup.verify(Some(&empty)).await.summary["drawings"], 1);
}

fn path_of(file: &Path) -> &str {
    file.to_str().unwrap()
}

async fn every_kind_of_damage_to_a_log_is_found_where_it_is(database: Database) {
    let setup = Setup::new(&database).await;
    let cases: [(&'static str, &[(&str, u64)]); 14] = [
        ("DELETE FROM ops WHERE drawing_id = $1 AND revision <= 2", &[("hole", 1)]),
        ("DELETE FROM ops WHERE drawing_id = $1 AND revision IN (5, 6, 30)", &[("hole", 5), ("hole", 30)]),
        ("DELETE FROM ops WHERE drawing_id = $1 AND revision > 37", &[("hole", 38)]),
        ("UPDATE heads SET revision = 38 WHERE drawing_id = $1", &[("op_outside", 39), ("head_bytes", 38)]),
        ("UPDATE heads SET revision = 41 WHERE drawing_id = $1", &[("hole", 41)]),
        ("DELETE FROM heads WHERE drawing_id = $1", &[("head_missing", 40)]),
        ("UPDATE heads SET floor = 3 WHERE drawing_id = $1", &[("head_floor", 40)]),
        ("UPDATE heads SET bytes = bytes + 1 WHERE drawing_id = $1", &[("head_bytes", 40)]),
        ("UPDATE heads SET ts = ts - 1 WHERE drawing_id = $1", &[("head_time", 40)]),
        ("UPDATE ops SET body = 'no JSON' WHERE drawing_id = $1 AND revision = 33", &[("op_unreadable", 33)]),
        (
            "UPDATE ops SET body = replace(body, '\"set\"', '\"sot\"') WHERE drawing_id = $1 AND revision = 33",
            &[("op_invalid", 33)],
        ),
        (
            "UPDATE ops SET op_id = (SELECT epoch FROM meta) WHERE drawing_id = $1 AND revision = 33",
            &[("op_id_differs", 33)],
        ),
        (
            "UPDATE ops SET unit = (SELECT epoch FROM meta) WHERE drawing_id = $1 AND revision = 33",
            &[("unit_differs", 33)],
        ),
        ("UPDATE ops SET actor = '' WHERE drawing_id = $1 AND revision = 33", &[("op_unreadable", 33)]),
    ];
    for (sql, expected) in cases {
        let drawing = setup.drawing().await;
        assert!(setup.tamper(sql, &drawing).await > 0, "{sql}");
        let verified = setup.verify(Some(&drawing)).await;
        assert_eq!((verified.code, &verified.told()[..]), (1, expected), "{sql}: {verified:?}");
        assert!(verified.findings.iter().all(|finding| finding["drawing_id"] == drawing));
    }
    let verified = setup.verify(None).await;
    assert_eq!((verified.code, verified.summary["findings"].as_u64()), (1, Some(16)), "{verified:?}");
    a_doubled_op_id_is_found(&setup).await;
    a_unit_that_does_not_fit_is_found(&setup).await;
}

async fn a_doubled_op_id_is_found(setup: &Setup) {
    let drawing = setup.drawing().await;
    // Neither database lets it in while its index is there.
    if setup.app.database_url.starts_with("sqlite:") {
        // The constraint is part of the table: a copy without it takes its place.
        for sql in
            ["CREATE TABLE loose AS SELECT * FROM ops", "DROP TABLE ops", "ALTER TABLE loose RENAME TO ops"]
        {
            let pool = sqlx::SqlitePool::connect(&setup.app.database_url).await.unwrap();
            sqlx::query(sql).execute(&pool).await.unwrap();
            pool.close().await;
        }
    } else {
        let pool = sqlx::PgPool::connect(&setup.app.database_url).await.unwrap();
        sqlx::query("ALTER TABLE ops DROP CONSTRAINT ops_op_id_key").execute(&pool).await.unwrap();
    }
    let sql = "UPDATE ops SET (op_id, unit, body) = (SELECT op_id, unit, body FROM ops WHERE drawing_id = $1 AND revision = 30)
                WHERE drawing_id = $1 AND revision = 36";
    assert_eq!(setup.tamper(sql, &drawing).await, 1);
    assert_eq!(setup.verify(Some(&drawing)).await.told()[0], ("op_repeated", 36));
}

async fn a_unit_that_does_not_fit_is_found(setup: &Setup) {
    let drawing = setup.drawing().await;
    setup.alice.grant(&drawing, "bob", "editor").await;
    let (bob, first) = (setup.app.client("bob").await, new_id());
    let begin = json!({"op_id": first, "type": "canvas.set", "set": {"a": 1}});
    let join = json!({"op_id": new_id(), "unit": first, "type": "canvas.set", "set": {"a": 2}});
    setup.alice.commit(&drawing, &[begin, join]).await.expect(200);
    bob.commit(&drawing, &[op(1)]).await.expect(200);
    let sql = "UPDATE ops SET actor = 'bob' WHERE drawing_id = $1 AND revision = 42";
    assert_eq!(setup.tamper(sql, &drawing).await, 1);
    assert_eq!(setup.verify(Some(&drawing)).await.told(), [("unit_unfit", 42)]);
}

async fn every_kind_of_damage_to_a_snapshot_is_found_where_it_is(database: Database) {
    let setup = Setup::new(&database).await;
    type Harm = fn(&Path);
    let to_blobs: [(&str, Harm); 3] = [
        ("snapshot_missing", |blob| fs::remove_file(blob).unwrap()),
        ("snapshot_damaged", |blob| fs::write(blob, "ruined").unwrap()),
        ("snapshot_damaged", |blob| {
            let mut bytes = fs::read(blob).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(blob, bytes).unwrap();
        }),
    ];
    for (kind, harm) in to_blobs {
        let drawing = setup.drawing().await;
        harm(&setup.blob(&drawing));
        let verified = setup.verify(Some(&drawing)).await;
        assert_eq!((verified.code, &verified.told()[..]), (1, &[(kind, 25)][..]), "{verified:?}");
        assert!(verified.findings[0]["snapshot_id"].is_string(), "{verified:?}");
    }
    let to_rows: [(&'static str, &[(&str, u64)]); 4] = [
        // As long as before: an object that is somewhere else.
        (
            "UPDATE ops SET body = replace(body, '\"x\":24', '\"x\":25') WHERE drawing_id = $1 AND revision = 25",
            &[("snapshot_differs", 25)],
        ),
        ("UPDATE snapshots SET checksum = 'other' WHERE drawing_id = $1", &[("snapshot_damaged", 25)]),
        ("UPDATE snapshots SET log_bytes = 1 WHERE drawing_id = $1", &[("snapshot_bytes", 25)]),
        ("UPDATE snapshots SET revision = 90 WHERE drawing_id = $1", &[("snapshot_beyond_head", 90)]),
    ];
    for (sql, expected) in to_rows {
        let drawing = setup.drawing().await;
        assert_eq!(setup.tamper(sql, &drawing).await, 1, "{sql}");
        assert_eq!(setup.verify(Some(&drawing)).await.told(), expected, "{sql}");
    }
    // Behind a hole the snapshots go on being held against the log.
    let drawing = setup.drawing().await;
    setup.tamper("DELETE FROM ops WHERE drawing_id = $1 AND revision = 3", &drawing).await;
    assert_eq!(setup.verify(Some(&drawing)).await.told(), [("hole", 3)]);
    // Without snapshots nothing is said of them.
    let drawing = setup.drawing().await;
    fs::remove_file(setup.blob(&drawing)).unwrap();
    let url = &setup.app.database_url;
    let line = ["verify", "--database-url", url, "--skip-snapshots", "--drawing-id", &drawing];
    let run = program::run(&line).await;
    assert_eq!((run.code, &*run.stdout), (Some(0), "1 drawings, 40 ops, 0 snapshots: 0 findings"), "{run:?}");
}

async fn what_others_write_and_delete_meanwhile_is_no_finding(database: Database) {
    let setup = Setup::new(&database).await;
    let lasting = setup.drawing().await;
    let is_done = AtomicBool::new(false);
    let churn = async {
        while !is_done.load(Ordering::Relaxed) {
            let passing = setup.alice.create_drawing().await;
            setup.alice.commit_some(&passing, 60).await;
            setup.alice.commit_some(&lasting, 30).await;
            setup.alice.delete(&format!("/v1/drawings/{passing}")).await.expect(204);
        }
    };
    let verify = async {
        for _ in 0..5 {
            let verified = setup.verify(None).await;
            assert_eq!((verified.code, &verified.findings[..]), (0, &[][..]), "{verified:?}");
        }
        is_done.store(true, Ordering::Relaxed);
    };
    tokio::join!(churn, verify);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_checked_is_told_apart_and_nothing_is_made() {
    let folder = TempFolder::new("unchecked").unwrap();
    let path = folder.path().display();
    let (nowhere, blobs) = (format!("sqlite://{path}/none/revcast.db"), format!("file:{path}/blobs"));
    let app = App::sqlite().await;
    let unknown = new_id();
    let cases: [&[&str]; 6] = [
        &["--database-url", &nowhere, "--skip-snapshots"],
        &["--database-url", "postgres://nobody@127.0.0.1:9/none", "--skip-snapshots"],
        &["--database-url", &app.database_url, "--blob-url", &blobs],
        &["--database-url", &app.database_url, "--skip-snapshots", "--drawing-id", &unknown],
        &["--database-url", "mysql://nobody@127.0.0.1/none"],
        &["--no-such-flag"],
    ];
    for flags in cases {
        let run = program::run(&[&["verify"], flags].concat()).await;
        assert_eq!(run.code, Some(2), "{flags:?}: {run:?}");
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{run:?}");
    }
    assert!(!folder.path().join("none").exists() && !folder.path().join("blobs").exists());
    let line = ["verify", "--database-url", &app.database_url, "--skip-snapshots"];
    let run = program::run(&line).await;
    assert_eq!((run.code, &*run.stdout), (Some(0), "0 drawings, 0 ops, 0 snapshots: 0 findings"), "{run:?}");
}
