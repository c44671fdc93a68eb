//! Canvases while the database is promoted: what is read in several steps is of one branch.

use revcast::{
    model::{Applied, Canvas, DrawingId, LoggedOp},
    snapshot::{Blobs, Canvases, Extent, Loader},
};
use sqlx::{PgPool, SqlitePool};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    snapshot::setup::{EVERY, Setup, on_both_stores},
    store::contract::log,
    store::lineage::promote,
    support::scripted::{Fault, Script},
};

on_both_stores! {
    a_canvas_is_never_made_of_two_branches,
    a_failover_that_shows_twice_is_no_error,
}

/// Fails the database over to one that has seen all but the last ops of a drawing, to which others are committed then.
async fn fail_over(setup: &Setup, drawing: DrawingId) {
    lose_the_end(setup, drawing).await;
    begin_epoch(setup, drawing).await;
}

/// Others are committed to a drawing after a failover: that begins the epoch.
async fn begin_epoch(setup: &Setup, drawing: DrawingId) {
    promote(&setup.database).await;
    setup.grow(drawing, EVERY).await;
}

/// The log of a drawing has become shorter, and nothing was committed since.
async fn lose_the_end(setup: &Setup, drawing: DrawingId) {
    let url = setup.database.url();
    for sql in [
        "DELETE FROM ops WHERE drawing_id = $1 AND revision > 7",
        "DELETE FROM snapshots WHERE drawing_id = $1",
        "UPDATE heads SET revision = 7 WHERE drawing_id = $1",
    ] {
        if url.starts_with("sqlite:") {
            sqlx::query(sql).bind(drawing.0).execute(&SqlitePool::connect(url).await.unwrap()).await.unwrap();
        } else {
            sqlx::query(sql).bind(drawing.0).execute(&PgPool::connect(url).await.unwrap()).await.unwrap();
        }
    }
}

async fn replay(setup: &Setup, drawing: DrawingId) -> Canvas {
    let mut replayed = Canvas::new();
    for op in log(&*setup.store, drawing).await {
        let op = LoggedOp::read(op.revision, &op.actor, op.ts, &op.body);
        assert_eq!(replayed.apply(&op), Applied::Next);
    }
    replayed
}

async fn a_canvas_is_never_made_of_two_branches(setup: Setup) {
    let mut interrupted = 0;
    for nth in 1.. {
        // There is a snapshot at 10, of which what came after 7 will be lost.
        let drawing = setup.drawing_with_snapshots(1).await;
        let script = Script::at(nth, Fault::Pauses);
        let blobs = Blobs::new(script.objects(&setup.objects));
        let loader = Loader::new(&script.store(&setup.store), &blobs, &setup.metrics);
        let canvases = Canvases::new(loader, TaskTracker::new(), CancellationToken::new());
        let asking = canvases.clone();
        let mut asked = tokio::spawn(async move { asking.picture(drawing, Extent::Whole).await.unwrap() });
        let lost = replay(&setup, drawing).await;
        let first = tokio::select! {
            // All calls have been interrupted once.
            outcome = &mut asked => {
                outcome.unwrap();
                break;
            }
            () = script.is_reached() => {
                interrupted += 1;
                fail_over(&setup, drawing).await;
                script.go_on();
                asked.await.unwrap()
            }
        };
        let (epoch, replayed) = (setup.store.meta().await.unwrap().epoch, replay(&setup, drawing).await);
        // A picture that was asked for before may still be of the lost branch, and says so.
        let expected = if first.branch.epoch == epoch { &replayed } else { &lost };
        assert_eq!(first.revision, expected.revision(), "at call {nth}");
        assert!(first.view().unwrap() == expected.view(), "at call {nth} it was made of two branches");
        let picture = canvases.picture(drawing, Extent::Whole).await.unwrap();
        assert_eq!(picture.revision, replayed.revision());
        assert_eq!(picture.branch.epoch, epoch);
        assert!(picture.view().unwrap() == replayed.view(), "at call {nth} it was made of two branches");
    }
    assert!(interrupted >= 4, "{interrupted} calls were interrupted");
}

async fn a_failover_that_shows_twice_is_no_error(setup: Setup) {
    let mut interrupted = 0;
    for nth in 1.. {
        let drawing = setup.drawing_with_snapshots(1).await;
        let script = Script::at(nth, Fault::Pauses);
        let blobs = Blobs::new(script.objects(&setup.objects));
        let loader = Loader::new(&script.store(&setup.store), &blobs, &setup.metrics);
        let canvases = Canvases::new(loader, TaskTracker::new(), CancellationToken::new());
        let ask = || {
            let canvases = canvases.clone();
            tokio::spawn(async move { canvases.picture(drawing, Extent::Whole).await })
        };
        let mut asked = ask();
        tokio::select! {
            outcome = &mut asked => drop(outcome.unwrap().unwrap()),
            // The picture before the failover is not what this is about.
            () = script.is_reached() => {
                script.go_on();
                asked.await.unwrap().unwrap();
                continue;
            }
        }
        // The canvas that is kept is ahead of the log, and while it is read anew the epoch begins.
        lose_the_end(&setup, drawing).await;
        let mut asked = ask();
        let picture = tokio::select! {
            outcome = &mut asked => {
                outcome.unwrap().unwrap();
                break;
            }
            () = script.is_reached() => {
                interrupted += 1;
                begin_epoch(&setup, drawing).await;
                script.go_on();
                asked.await.unwrap().unwrap_or_else(|error| panic!("at call {nth}: {error}"))
            }
        };
        let lies_on_the_log =
            picture.branch.epoch == setup.store.meta().await.unwrap().epoch || picture.revision.0 == 7;
        assert!(lies_on_the_log, "at call {nth} revision {}", picture.revision.0);
    }
    assert!(interrupted >= 4, "{interrupted} calls were interrupted");
}
