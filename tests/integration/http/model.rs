//! Random clients at a real server, with snapshots built while they draw; then all that was answered is held
//! against the log, and the log against the reference.
//!
//! The actions of the clients follow from a seed, which is printed when a test fails; `REVCAST_SEED` gives another
//! one.

use std::{
    collections::BTreeMap,
    env,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::{
    store::contract::connect,
    support::{
        App, Client, eventually,
        naive::{Naive, canonical, unit_of},
        nats_url, new_database, op,
        random_log::{ACTORS, OWNER},
        replica::{Replica, SnapshotBody},
        scribblers::{Book, Press, scribble},
    },
};

/// The actions of each client; two clients serve one user at a time.
const ACTIONS: usize = 120;
/// The most looks of a looker.
const LOOKS: usize = 60;
/// Revisions whose history is asked of the reference, which takes its time.
const ASKED_OF_REFERENCE: usize = 4;
/// Revisions after which the drawing is folded again …
const FOLD_EVERY: u64 = 500;
/// … and how many of them stay open: far more than whoever draws goes back.
const FOLD_KEEPS: u64 = 600;
/// The number of ops that make a snapshot due.
const SNAPSHOT_EVERY: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_clients_do_the_server_tells_what_the_log_says() {
    let seed = seed(1);
    let app = App::sqlite_with(&["--snapshot-every", &SNAPSHOT_EVERY.to_string()]).await;
    check(&[&app], seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_clients_do_at_two_nodes_both_tell_what_the_log_says() {
    let seed = seed(2);
    let flags = ["--nats-url", &nats_url(), "--snapshot-every", &SNAPSHOT_EVERY.to_string()];
    let one = App::start(&new_database(), &flags).await;
    let other = App::start(&one.database_url, &flags).await;
    check(&[&one, &other], seed).await;
}

fn seed(default: u64) -> u64 {
    let seed =
        env::var("REVCAST_SEED").map_or(default, |seed| seed.parse().expect("REVCAST_SEED is a number"));
    println!("REVCAST_SEED={seed}");
    seed
}

/// A user at each node.
struct User {
    name: &'static str,
    at: Vec<Client>,
}

/// Something a server said of a revision, to be held against the log.
enum Look {
    Snapshot(Vec<u8>),
    /// The history of one actor or of all.
    History(Option<&'static str>, Value),
}

async fn check(nodes: &[&App], seed: u64) {
    let users = join_all(ACTORS.map(|name| async move {
        User { name, at: join_all(nodes.iter().map(|node| node.client(name))).await }
    }));
    let users = users.await;
    let owner = &users[0].at[0];
    let drawing = owner.create_drawing().await;
    for user in users.iter().filter(|user| user.name != OWNER) {
        owner.grant(&drawing, user.name, "editor").await;
    }

    let (book, is_done) = (Book::default(), AtomicBool::new(false));
    let scribblers = users.iter().chain(&users).zip(0..);
    let scribbling = scribblers.map(|(user, nth)| {
        let seed = seed.wrapping_mul(1_000).wrapping_add(nth);
        scribble(&user.at, user.name, &drawing, &book, seed, ACTIONS)
    });
    let scribbling = async {
        join_all(scribbling).await;
        is_done.store(true, Ordering::Relaxed);
    };
    let looking = look_about(nodes[0], &users, &drawing, &book, &is_done);
    let ((), mut looks) = join(scribbling, looking).await;

    let head = owner.head(&drawing).await;
    let mut log = owner.read_all(&drawing, 0).await;
    looks.extend(look_back(&users, &drawing, &log).await);
    assert_eq!(log.len() as u64, head);
    assert_log_is_what_was_accepted(&log, &book);
    assert_presses_found_what_they_had_to(&log, &book.told().presses);
    assert_looks_are_true(&log, &looks);
    for user in &users {
        assert_presses_alone_are_exact(user, &drawing, &mut log).await;
    }
    assert_closed_units_stay_closed(owner, &drawing, &log).await;
    let store = connect(&nodes[0].database_url).await;
    eventually("the worker has kept up", || async {
        let page = store.due_snapshots(None, SNAPSHOT_EVERY, 10).await.unwrap();
        page.due.is_empty().then_some(())
    })
    .await;
}

/// Looks at the present and the past while others draw, and folds now and then.
async fn look_about(
    app: &App,
    users: &[User],
    drawing: &str,
    book: &Book,
    is_done: &AtomicBool,
) -> Vec<Look> {
    let (mut looks, mut floor) = (Vec::new(), 0);
    while !is_done.load(Ordering::Relaxed) {
        let head = book.told().head;
        if head >= floor + FOLD_EVERY + FOLD_KEEPS {
            let before = std::mem::replace(&mut floor, head - FOLD_KEEPS);
            let revision = app.fold(drawing, before, floor).await;
            book.told().folds.insert(revision, floor);
        }
        let nth = looks.len();
        let user = &users[nth % users.len()];
        let client = &user.at[nth / 2 % user.at.len()];
        // Wherever it goes, the head and what lies close to it come first.
        let head = book.told().head;
        let at = [head, head.saturating_sub(nth as u64 % 50), head * (nth as u64 % 7) / 7][nth % 3];
        let look = if nth.is_multiple_of(2) {
            snapshot(client, drawing, &format!("?at={at}")).await
        } else if nth.is_multiple_of(3) {
            snapshot(client, drawing, "").await
        } else {
            history(user, client, drawing, nth.is_multiple_of(5)).await
        };
        looks.push(look);
        if looks.len() > LOOKS {
            looks.remove(nth % LOOKS);
        }
    }
    looks
}

/// Looks at the head and at places of the whole log.
async fn look_back(users: &[User], drawing: &str, log: &[Value]) -> Vec<Look> {
    let (mut looks, head) = (Vec::new(), log.len() as u64);
    let folds = log.iter().filter(|op| op["type"] == "fold").map(|op| op["revision"].as_u64().unwrap());
    let around_folds = folds.flat_map(|revision| revision - 1..=revision + 1);
    let places = (0..=8).map(|nth| head * nth / 8).chain(around_folds);
    for (nth, at) in places.filter(|at| *at <= head).enumerate() {
        let client = &users[0].at[nth % users[0].at.len()];
        looks.push(snapshot(client, drawing, &format!("?at={at}")).await);
    }
    for user in users {
        for client in &user.at {
            looks.push(snapshot(client, drawing, "").await);
            looks.push(history(user, client, drawing, false).await);
            looks.push(history(user, client, drawing, true).await);
        }
    }
    looks
}

async fn snapshot(client: &Client, drawing: &str, query: &str) -> Look {
    Look::Snapshot(client.get(&format!("/v1/drawings/{drawing}/snapshot{query}")).await.expect(200).bytes)
}

/// The history of all where the user may see that, and of the user otherwise.
async fn history(user: &User, client: &Client, drawing: &str, of_all: bool) -> Look {
    let of_all = of_all && user.name == OWNER;
    let scope = if of_all { "all" } else { "mine" };
    let answer = client.get(&format!("/v1/drawings/{drawing}/history?scope={scope}")).await.expect(200);
    Look::History((!of_all).then_some(user.name), answer.json())
}

/// The log holds what was accepted, where that was said, and nothing else.
fn assert_log_is_what_was_accepted(log: &[Value], book: &Book) {
    let told = book.told();
    assert!(log.len() > 2_048, "only {} ops", log.len());
    assert!(told.refused > 10 && told.presses.len() > 20, "{} and {}", told.refused, told.presses.len());
    let mut is_fold = vec![false];
    for (op, next) in log.iter().zip(1..) {
        assert_eq!(op["revision"], next);
        is_fold.push(op["type"] == "fold");
        if let Some(floor) = told.folds.get(&next) {
            let [kind, actor] = [&op["type"], &op["actor"]];
            assert_eq!((kind, actor, &op["floor"]), (&json!("fold"), &json!("revcast:fold"), &json!(floor)));
            continue;
        }
        let Some((actor, sent)) = told.accepted.get(&next) else { panic!("nobody was told of {op}") };
        let mut expected = sent.clone();
        expected["revision"] = next.into();
        expected["actor"] = actor.as_str().into();
        expected["ts"] = op["ts"].clone();
        assert_eq!(*op, expected);
    }
    assert_eq!(log.len(), told.accepted.len() + told.folds.len());
    assert!(told.folds.len() > 1, "{} folds", told.folds.len());
    for (insisted, revision) in &told.conditional {
        let between = *insisted + 1..*revision;
        assert!(
            between.clone().all(|at| is_fold[usize::try_from(at).unwrap()]),
            "what came {between:?} is not folds alone"
        );
    }
}

/// Each press found what the history had named at some revision since it was asked for, nobody had been faster,
/// and it was not in vain.
fn assert_presses_found_what_they_had_to(log: &[Value], presses: &[Press]) {
    let mut presses: BTreeMap<u64, &Press> = presses.iter().map(|press| (press.revision, press)).collect();
    // Those that may have looked at the present revision, each with whether the unit has been named.
    let mut open: Vec<(&Press, bool)> = Vec::new();
    let mut is_undone: BTreeMap<String, bool> = BTreeMap::new();
    let mut replica = Replica::default();
    for op in log {
        let revision = replica.revision();
        open.extend(presses.values().filter(|press| press.asked_at == revision).map(|press| (*press, false)));
        for (press, is_named) in open.iter_mut().filter(|(_, is_named)| !is_named) {
            let history = replica.history((press.scope == "mine").then_some(&press.actor));
            *is_named |= history[format!("{}_unit", press.press)] == *press.unit;
        }
        if let Some(press) = presses.remove(&(revision + 1)) {
            let place = open.iter().position(|(open, _)| open.revision == press.revision);
            let (_, is_named) = open.swap_remove(place.expect("it was asked for before"));
            assert!(is_named, "no history named the unit of {press:?}");
            let was_undone = is_undone.get(&press.unit).copied().unwrap_or_default();
            assert_eq!(was_undone, press.press == "redo", "{press:?} changed nothing");
        }
        if let Some(toggle @ ("undo" | "redo")) = op["type"].as_str() {
            let unit = unit_of(op);
            // Whatever was named before may be so no more.
            open.iter_mut()
                .filter(|(press, _)| press.unit == unit)
                .for_each(|(_, is_named)| *is_named = false);
            is_undone.insert(unit, toggle == "undo");
        }
        replica.follow(std::slice::from_ref(op));
    }
    assert!(presses.is_empty() && open.is_empty());
}

/// Whatever was looked at was so at its revision: by the reducer and, as far as there is time, by the reference.
fn assert_looks_are_true(log: &[Value], looks: &[Look]) {
    let mut by_revision: BTreeMap<u64, Vec<&Look>> = BTreeMap::new();
    for look in looks {
        let revision = match look {
            Look::Snapshot(body) => SnapshotBody::read(body).revision,
            Look::History(_, body) => body["revision"].as_u64().unwrap(),
        };
        by_revision.entry(revision).or_default().push(look);
    }
    let at_head = Replica::replay(log).canvas.registers();
    let (mut replica, mut naive, mut done) = (Replica::default(), Naive::default(), 0);
    let step = by_revision.len().div_ceil(ASKED_OF_REFERENCE);
    for (nth, (revision, looks)) in by_revision.into_iter().enumerate() {
        let (past, tail) = log.split_at(usize::try_from(revision).unwrap());
        replica.follow(&past[done..]);
        past[done..].iter().for_each(|op| naive.push(op));
        done = past.len();
        assert_eq!(replica.canvas.view(), canonical(&naive.view()), "at {revision}");
        if nth % step == 0 {
            assert_eq!(replica.history(None), naive.history_all(), "at {revision}");
            for actor in ACTORS {
                assert_eq!(replica.history(Some(actor)), naive.history_mine(actor), "at {revision}");
            }
        }
        for look in looks {
            match look {
                Look::Snapshot(body) => assert_snapshot_is(body, &replica, tail, &at_head),
                Look::History(actor, body) => {
                    let mut expected = replica.history(*actor);
                    expected["revision"] = revision.into();
                    expected["epoch"] = body["epoch"].clone();
                    expected["undo_floor"] = replica.canvas.floor().0.into();
                    assert_eq!(*body, expected, "of {actor:?}");
                }
            }
        }
    }
}

fn assert_snapshot_is(body: &[u8], replica: &Replica, tail: &[Value], at_head: &str) {
    let body = SnapshotBody::read(body);
    let place = format!("at {}", body.revision);
    assert_eq!(body.view.get(), replica.canvas.view(), "{place}");
    assert_eq!(body.state_hash, replica.state_hash(), "{place}");
    assert_eq!(body.registers.get(), replica.canvas.registers(), "{place}");
    let mut loaded = body.replica();
    loaded.follow(tail);
    assert_eq!(loaded.canvas.registers(), at_head, "gone on from {place}");
}

/// While nobody else writes, undo and redo pick what the reference picks at the revision before.
async fn assert_presses_alone_are_exact(user: &User, drawing: &str, log: &mut Vec<Value>) {
    let presses = ["undo", "undo", "undo", "redo", "undo", "redo", "redo"];
    let mut replica = Replica::replay(log);
    for (nth, press) in presses.into_iter().enumerate() {
        let client = &user.at[nth % user.at.len()];
        let expected = replica.history(Some(user.name))[format!("{press}_unit")].take();
        if nth == 0 && user.name == OWNER {
            assert_eq!(expected, Naive::replay(log).history_mine(user.name)["undo_unit"]);
        }
        let answer = client.post(&format!("/v1/drawings/{drawing}/{press}"), &json!({})).await;
        if expected.is_null() {
            answer.expect_problem(409, &format!("nothing_to_{press}"));
            continue;
        }
        let answer = answer.expect(200).json();
        assert_eq!((&answer["unit"], &answer["latest_revision"]), (&expected, &(log.len() + 1).into()));
        let tail = client.read_all(drawing, log.len() as u64).await;
        replica.follow(&tail);
        log.extend(tail);
    }
}

async fn assert_closed_units_stay_closed(owner: &Client, drawing: &str, log: &[Value]) {
    let floor = usize::try_from(Replica::replay(log).canvas.floor().0).unwrap();
    assert!(floor > 0, "no unit has closed");
    let first = |op: &&Value| op.get("unit").is_none() && op["actor"] == OWNER;
    let closed = log[..floor].iter().rfind(first).unwrap();
    for press in ["undo", "redo", "object.update"] {
        let mut op = op(1);
        if press != "object.update" {
            op = json!({"op_id": op["op_id"], "type": press});
        }
        op["unit"] = closed["op_id"].clone();
        owner.commit(drawing, &[op]).await.expect_problem(409, "unit_closed");
    }
    assert_eq!(owner.head(drawing).await, log.len() as u64);
}
