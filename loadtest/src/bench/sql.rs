//! The limits: what the databases do without the service.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use sqlx::{
    Executor, PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use uuid::Uuid;

/// Runs `clients` loops for `seconds` after a second of warming up; returns ops a second. Each
/// call of `step` does `ops` ops.
pub async fn rate<F, Fut>(clients: usize, seconds: u64, ops: u64, make: F) -> anyhow::Result<f64>
where
    F: Fn(usize, Arc<AtomicU64>, Instant) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let done = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(seconds + 1);
    let loops = (0..clients).map(|client| make(client, done.clone(), end));
    let warm = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        (done.load(Ordering::Relaxed), Instant::now())
    };
    let (outcome, (before, started)) = tokio::join!(futures_util::future::try_join_all(loops), warm);
    outcome?;
    let elapsed = started.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "a count of ops")]
    Ok(((done.load(Ordering::Relaxed) - before) * ops) as f64 / elapsed)
}

/// A pool of `connections` to Postgres.
pub async fn postgres_pool(url: &str, connections: u32) -> anyhow::Result<PgPool> {
    let pool =
        PgPoolOptions::new().max_connections(connections).test_before_acquire(false).connect(url).await?;
    Ok(pool)
}

/// Makes drawings, and members who may write to them; `members(n)` are those of the nth.
pub async fn make_drawings(
    pool: &PgPool,
    count: usize,
    members: impl Fn(usize) -> Vec<String>,
) -> anyhow::Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    sqlx::query("INSERT INTO drawings (drawing_id, title, created_by, created_at, updated_at) SELECT id, '', 'bench', 0, 0 FROM unnest($1) AS id")
        .bind(&ids)
        .execute(pool)
        .await?;
    sqlx::query("INSERT INTO heads (drawing_id) SELECT id FROM unnest($1) AS id")
        .bind(&ids)
        .execute(pool)
        .await?;
    let (mut drawings, mut users) = (Vec::new(), Vec::new());
    for (nth, id) in ids.iter().enumerate() {
        for user in members(nth) {
            drawings.push(*id);
            users.push(user);
        }
    }
    sqlx::query("INSERT INTO members (drawing_id, user_id, role) SELECT d, u, 'editor' FROM unnest($1::uuid[], $2::text[]) AS m (d, u) ON CONFLICT DO NOTHING")
        .bind(&drawings)
        .bind(&users)
        .execute(pool)
        .await?;
    Ok(ids)
}

/// The least that numbers and stores one op, in one round trip.
const ONE_OP: &str =
    "WITH h AS (UPDATE heads SET revision = revision + 1 WHERE drawing_id = $1 RETURNING revision)
     INSERT INTO ops (drawing_id, revision, op_id, unit, actor, ts, body)
     SELECT $1, h.revision, $2, $2, $3, $4, $5 FROM h";

/// One transaction an op.
pub async fn one_op_a_transaction(
    pool: &PgPool,
    drawings: &[Uuid],
    connections: usize,
    seconds: u64,
) -> anyhow::Result<f64> {
    rate(connections, seconds, 1, |client, done, end| async move {
        let mut connection = pool.acquire().await?;
        let mut nth = client;
        while Instant::now() < end {
            let op_id = Uuid::now_v7();
            sqlx::query(ONE_OP)
                .bind(drawings[nth % drawings.len()])
                .bind(op_id)
                .bind("bench")
                .bind(0_i64)
                .bind(super::load::op_json(op_id, nth))
                .execute(&mut *connection)
                .await?;
            nth += connections;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })
    .await
}

/// A plain multi-row insert of `rows` rows a transaction, numbered by the client: no lock, no head.
pub async fn plain_insert(
    pool: &PgPool,
    connections: usize,
    rows: usize,
    seconds: u64,
) -> anyhow::Result<f64> {
    rate(connections, seconds, rows as u64, |_, done, end| async move {
        let mut connection = pool.acquire().await?;
        let drawing = Uuid::now_v7();
        let mut next = 1_i64;
        while Instant::now() < end {
            let ids: Vec<Uuid> = (0..rows).map(|_| Uuid::now_v7()).collect();
            let revisions: Vec<i64> = (next..).take(rows).collect();
            let bodies: Vec<String> =
                ids.iter().enumerate().map(|(n, id)| super::load::op_json(*id, n)).collect();
            next += i64::try_from(rows)?;
            sqlx::query(
                "INSERT INTO ops (drawing_id, revision, op_id, unit, actor, ts, body)
                 SELECT $1, n.revision, n.op_id, n.op_id, 'bench', 0, n.body
                   FROM unnest($2::bigint[], $3::uuid[], $4::text[]) AS n (revision, op_id, body)",
            )
            .bind(drawing)
            .bind(&revisions)
            .bind(&ids)
            .bind(&bodies)
            .execute(&mut *connection)
            .await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })
    .await
}

/// Fills a drawing with `count` ops.
pub async fn fill(pool: &PgPool, drawing: Uuid, count: usize) -> anyhow::Result<()> {
    let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    let bodies: Vec<String> = ids.iter().enumerate().map(|(n, id)| super::load::op_json(*id, n)).collect();
    sqlx::query(
        "INSERT INTO ops (drawing_id, revision, op_id, unit, actor, ts, body)
         SELECT $1, n.nth, n.op_id, n.op_id, 'bench', 0, n.body
           FROM unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS n (op_id, body, nth)",
    )
    .bind(drawing)
    .bind(&ids)
    .bind(&bodies)
    .execute(pool)
    .await?;
    sqlx::query("UPDATE heads SET revision = $2 WHERE drawing_id = $1")
        .bind(drawing)
        .bind(i64::try_from(count)?)
        .execute(pool)
        .await?;
    pool.execute("VACUUM ANALYZE ops").await?;
    Ok(())
}

/// Has a drawing say that very much has been drawn since its snapshot, so that the next one falls due by the number of ops
/// alone: of a large one, pens would not draw half its bytes in hours.
pub async fn weigh_down(pool: &PgPool, drawing: Uuid) -> anyhow::Result<()> {
    sqlx::query("UPDATE heads SET bytes = bytes + (1::bigint << 40) WHERE drawing_id = $1")
        .bind(drawing)
        .execute(pool)
        .await?;
    Ok(())
}

/// Seconds to copy the ops of a drawing out, in order.
pub async fn copy_out(pool: &PgPool, drawing: Uuid) -> anyhow::Result<f64> {
    use futures_util::StreamExt;
    let mut connection = pool.acquire().await?;
    let statement = format!(
        "COPY (SELECT revision, actor, ts, body FROM ops WHERE drawing_id = '{drawing}' ORDER BY revision) TO STDOUT"
    );
    let started = Instant::now();
    let mut rows = connection.copy_out_raw(&statement).await?;
    let mut bytes = 0;
    while let Some(chunk) = rows.next().await {
        bytes += chunk?.len();
    }
    anyhow::ensure!(bytes > 0, "nothing was copied");
    Ok(started.elapsed().as_secs_f64())
}

/// One transaction an op in SQLite, one writer after the other, as safely as the service writes.
pub async fn sqlite_one_op(file: &std::path::Path, drawings: usize, seconds: u64) -> anyhow::Result<f64> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool: SqlitePool =
        SqlitePoolOptions::new().max_connections(1).test_before_acquire(false).connect_with(options).await?;
    let ids: Vec<Uuid> = (0..drawings).map(|_| Uuid::now_v7()).collect();
    for id in &ids {
        sqlx::query("INSERT INTO drawings (drawing_id, title, created_by, created_at, updated_at) VALUES ($1, '', 'bench', 0, 0)")
            .bind(id)
            .execute(&pool)
            .await?;
        sqlx::query("INSERT INTO heads (drawing_id) VALUES ($1)").bind(id).execute(&pool).await?;
    }
    let ids = &ids;
    let rate = rate(1, seconds, 1, |_, done, end| {
        let pool = pool.clone();
        async move {
            let mut nth = 0;
            while Instant::now() < end {
                let (drawing, op_id) = (ids[nth % ids.len()], Uuid::now_v7());
                let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
                let revision = sqlx::query_scalar::<_, i64>("UPDATE heads SET revision = revision + 1 WHERE drawing_id = $1 RETURNING revision")
                    .bind(drawing)
                    .fetch_one(&mut *tx)
                    .await?;
                sqlx::query("INSERT INTO ops (drawing_id, revision, op_id, unit, actor, ts, body) VALUES ($1, $2, $3, $3, 'bench', 0, $4)")
                    .bind(drawing)
                    .bind(revision)
                    .bind(op_id)
                    .bind(super::load::op_json(op_id, nth))
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                nth += 1;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    })
    .await
    .context("SQLite")?;
    pool.close().await;
    Ok(rate)
}
