//! Random clients of one drawing: what they send, and a book of what the server answered to it.
//!
//! Owns which request is right and which is wrong, and what may be answered to each; it panics at any other answer.
//! Its users say what the log then has to hold.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::future::join_all;
use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use super::{
    Answer, Client, new_id,
    random_log::{Move, is_of_owner, turn},
};

/// Most ops in one request.
const MAX_OPS: usize = 20;
/// Units that are joined, undone and redone by name: the latest. They are always open.
const LATEST: usize = 12;

/// The next action of one client.
#[derive(Clone, Debug)]
enum Action {
    /// Commits ops; `twice` sends the same request again while the first is under way.
    Commit { moves: Vec<Move>, condition: Condition, twice: bool },
    /// Presses undo or redo.
    Press { press: &'static str, scope: &'static str, twice: bool },
    /// Sends ops of which one is wrong.
    Err { moves: Vec<Move>, wrong: Wrong, at: usize },
}

/// The `if_revision` of a request.
#[derive(Clone, Copy, Debug)]
enum Condition {
    None,
    /// The head as the client knows it.
    Head,
    /// The one below it, from which only folds may part it.
    Past,
}

/// The fault of an op.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Type,
    UnknownUnit,
    JoinsUnitOfAnother,
    UndoesUnitOfAnother,
    Forbidden,
    TakenId,
}

/// The answers that the server has given to its clients about one drawing.
#[derive(Default)]
pub struct Book(Mutex<BookState>);

/// See [`Book`].
#[derive(Default)]
pub struct BookState {
    /// The highest revision of any answer.
    pub head: u64,
    /// The ops that were accepted as they were sent, with their actors, by their revisions.
    pub accepted: BTreeMap<u64, (String, Value)>,
    /// The folds of the server, their floors by their revisions.
    pub folds: BTreeMap<u64, u64>,
    /// For each request that was accepted with an `if_revision`: that, and the revision of the first op.
    pub conditional: Vec<(u64, u64)>,
    /// The presses that undid or redid something.
    pub presses: Vec<Press>,
    /// The units that were begun, and by whom, in the order of the answers.
    units: Vec<(String, String)>,
    /// Requests that were refused as they had to be.
    pub refused: usize,
}

/// One press of undo or redo that found a unit.
#[derive(Clone, Debug)]
pub struct Press {
    pub actor: String,
    /// `undo` or `redo`.
    pub press: &'static str,
    /// `mine` or `all`.
    pub scope: &'static str,
    pub unit: String,
    /// A head that the server had told to somebody before the press: what it looked at was not older.
    pub asked_at: u64,
    pub revision: u64,
}

impl Book {
    pub fn told(&self) -> MutexGuard<'_, BookState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits, presses and errs so often, in turn at each node: `user` is the same one at all of them. Its actions
/// follow from the seed, as far as they do not depend on others.
pub async fn scribble(user: &[Client], actor: &str, drawing: &str, book: &Book, seed: u64, actions: usize) {
    let is_owner = actor == super::random_log::OWNER;
    let scribbler = Scribbler { user, actor, is_owner, drawing, book };
    for (nth, action) in plan(seed, actions).into_iter().enumerate() {
        match action {
            Action::Commit { moves, condition, twice } => {
                scribbler.commit(nth, &moves, condition, twice).await;
            }
            Action::Press { press, scope, twice } => scribbler.press(nth, press, scope, twice).await,
            Action::Err { moves, wrong, at } => scribbler.err(nth, &moves, wrong, at).await,
        }
    }
}

struct Scribbler<'a> {
    user: &'a [Client],
    actor: &'a str,
    is_owner: bool,
    drawing: &'a str,
    book: &'a Book,
}

impl Scribbler<'_> {
    async fn commit(&self, nth: usize, moves: &[Move], condition: Condition, twice: bool) {
        let ops = self.ops(moves);
        if ops.is_empty() {
            return;
        }
        let mut body = json!({"ops": ops});
        let head = self.book.told().head;
        match condition {
            Condition::None => {}
            Condition::Head => body["if_revision"] = head.into(),
            Condition::Past if head > 0 => body["if_revision"] = (head - 1).into(),
            Condition::Past => return,
        }
        let answers = self.post(nth, "ops", &body, twice).await;
        if !matches!(condition, Condition::None) && answers[0].status == 409 {
            for answer in answers {
                answer.expect_problem(409, "revision_conflict");
            }
            self.book.told().refused += 1;
            return;
        }
        let bodies: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200).json()).collect();
        let told = &mut *self.book.told();
        for (index, op) in ops.into_iter().enumerate() {
            let results: Vec<&Value> = bodies.iter().map(|body| &body["results"][index]).collect();
            let revision = told.note(self.actor, op, &results);
            if let Some(insisted) = body["if_revision"].as_u64() {
                told.conditional.push((insisted, revision - index as u64));
            }
        }
        bodies.iter().for_each(|body| told.advance(body));
    }

    async fn press(&self, nth: usize, press: &'static str, scope: &'static str, twice: bool) {
        let asked_at = self.book.told().head;
        let op_id = new_id();
        let answers = self.post(nth, press, &json!({"op_id": op_id, "scope": scope}), twice).await;
        if scope == "all" && !self.is_owner {
            for answer in answers {
                answer.expect_problem(403, "forbidden");
            }
            self.book.told().refused += 1;
            return;
        }
        // When a request is sent twice, the second may find something where the first found nothing.
        let (found, nothing): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        for answer in nothing {
            answer.expect_problem(409, &format!("nothing_to_{press}"));
        }
        let bodies: Vec<Value> = found.iter().map(Answer::json).collect();
        let Some(body) = bodies.first() else { return };
        let unit = body["unit"].as_str().unwrap().to_owned();
        assert!(bodies.iter().all(|body| body["unit"] == *unit), "{bodies:?}");
        let results: Vec<&Value> = bodies.iter().map(|body| &body["results"][0]).collect();
        let told = &mut *self.book.told();
        let op = json!({"op_id": op_id, "type": press, "unit": unit});
        let revision = told.note(self.actor, op, &results);
        told.presses.push(Press { actor: self.actor.to_owned(), press, scope, unit, asked_at, revision });
        told.advance(body);
    }

    async fn err(&self, nth: usize, moves: &[Move], wrong: Wrong, at: usize) {
        let mut ops = self.ops(moves);
        let (op, status, code) = self.wrong_op(wrong, at);
        ops.insert(at % (ops.len() + 1), op);
        for answer in self.post(nth, "ops", &json!({"ops": ops}), false).await {
            answer.expect_problem(status, code);
        }
        self.book.told().refused += 1;
    }

    /// An op that is wrong in this way, as far as one can be made; and the problem that it is.
    fn wrong_op(&self, wrong: Wrong, which: usize) -> (Value, u16, &'static str) {
        let told = self.book.told();
        let of_another = told.latest(|actor| actor != self.actor);
        let of_another = of_another.get(which % of_another.len().max(1));
        let update = json!({"op_id": new_id(), "type": "object.update", "object_id": "o1", "set": {"x": 1}});
        let with = |mut op: Value, field: &str, value: &str| {
            op[field] = value.into();
            op
        };
        match (wrong, of_another, told.accepted.values().next()) {
            (Wrong::Type, ..) => (with(update, "type", "object.paint"), 422, "invalid_op"),
            (Wrong::JoinsUnitOfAnother, Some(unit), _) => (with(update, "unit", unit), 403, "unit_forbidden"),
            (Wrong::UndoesUnitOfAnother, Some(unit), _) if !self.is_owner => {
                (json!({"op_id": new_id(), "type": "undo", "unit": unit}), 403, "unit_forbidden")
            }
            (Wrong::Forbidden, ..) if !self.is_owner => {
                (json!({"op_id": new_id(), "type": "canvas.clear"}), 403, "forbidden")
            }
            (Wrong::TakenId, _, Some((_, taken))) => {
                let id = taken["op_id"].as_str().unwrap();
                (json!({"op_id": id, "type": "custom.other", "data": "another body"}), 409, "op_id_conflict")
            }
            _ => (with(update, "unit", &new_id()), 422, "unknown_unit"),
        }
    }

    /// The ops of these moves that the user may make.
    fn ops(&self, moves: &[Move]) -> Vec<Value> {
        let told = self.book.told();
        let mut own = told.latest(|actor| actor == self.actor);
        let any = if self.is_owner { told.latest(|_| true) } else { own.clone() };
        let mut ops = Vec::new();
        for a_move in moves {
            match a_move {
                Move::Draw { join, payload, .. } if self.is_owner || !is_of_owner(payload) => {
                    let mut op = payload.clone();
                    let op_id = new_id();
                    op["op_id"] = op_id.as_str().into();
                    // Whoever is no owner may not touch it again.
                    if op["kind"] == "fog" {
                        op["object_id"] = "fog".into();
                    }
                    match join.and_then(|join| pick(&own, join)) {
                        Some(unit) => op["unit"] = unit.into(),
                        // Later ops of the request may join it.
                        None => own.insert(0, op_id),
                    }
                    ops.push(op);
                }
                Move::Toggle { undo, which, .. } => {
                    let press = if *undo { "undo" } else { "redo" };
                    let unit = pick(&any, *which).map(str::to_owned);
                    ops.extend(unit.map(|unit| json!({"op_id": new_id(), "type": press, "unit": unit})));
                }
                Move::Draw { .. } | Move::Fill { .. } => {}
            }
        }
        ops
    }

    /// Sends a request to one node; `twice`, also to the next one at the same time.
    async fn post(&self, nth: usize, what: &str, body: &Value, twice: bool) -> Vec<Answer> {
        let path = format!("/v1/drawings/{}/{what}", self.drawing);
        let nodes = self.user.iter().cycle().skip(nth % self.user.len()).take(1 + usize::from(twice));
        join_all(nodes.map(|node| node.post(&path, body))).await
    }
}

impl BookState {
    /// Notes that an op was accepted, by what the answers to the same request say of it; returns its revision.
    fn note(&mut self, actor: &str, op: Value, results: &[&Value]) -> u64 {
        let revision = results[0]["revision"].as_u64().unwrap();
        let is_same = |result: &&Value| result["revision"] == revision && result["op_id"] == op["op_id"];
        assert!(results.iter().all(is_same), "{op} is at {results:?}");
        let fresh = results.iter().filter(|result| result["duplicate"] == false).count();
        assert_eq!(fresh, 1, "{op} was committed once: {results:?}");
        if op.get("unit").is_none() {
            self.units.push((op["op_id"].as_str().unwrap().to_owned(), actor.to_owned()));
        }
        let before = self.accepted.insert(revision, (actor.to_owned(), op));
        assert!(before.is_none(), "two ops at {revision}: {before:?}");
        revision
    }

    fn advance(&mut self, body: &Value) {
        self.head = self.head.max(body["latest_revision"].as_u64().unwrap());
    }

    /// The latest units of such actors, the last one first.
    fn latest(&self, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
        let meant = self.units.iter().rev().filter(|(_, actor)| is_meant(actor));
        meant.take(LATEST).map(|(unit, _)| unit.clone()).collect()
    }
}

fn pick(units: &[String], which: usize) -> Option<&str> {
    Some(&units[which.checked_rem(units.len())?])
}

fn plan(seed: u64, actions: usize) -> Vec<Action> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let tree = vec(action(), actions).new_tree(&mut TestRunner::new_with_rng(Config::default(), rng));
    tree.expect("nothing is ever rejected").current()
}

fn action() -> impl Strategy<Value = Action> {
    let condition =
        prop_oneof![8 => Just(Condition::None), 2 => Just(Condition::Head), 1 => Just(Condition::Past)];
    let twice = || prop::bool::weighted(0.2);
    let commit = (vec(turn(), 1..=MAX_OPS), condition, twice())
        .prop_map(|(moves, condition, twice)| Action::Commit { moves, condition, twice });
    let press = prop_oneof![3 => Just("undo"), 2 => Just("redo")];
    let scope = prop_oneof![3 => Just("mine"), 1 => Just("all")];
    let press =
        (press, scope, twice()).prop_map(|(press, scope, twice)| Action::Press { press, scope, twice });
    let wrong = prop::sample::select(vec![
        Wrong::Type,
        Wrong::UnknownUnit,
        Wrong::JoinsUnitOfAnother,
        Wrong::UndoesUnitOfAnother,
        Wrong::Forbidden,
        Wrong::TakenId,
    ]);
    let err = (vec(turn(), 0..5), wrong, any::<usize>()).prop_map(|(moves, wrong, at)| Action::Err {
        moves,
        wrong,
        at,
    });
    prop_oneof![6 => commit, 5 => press, 1 => err]
}
