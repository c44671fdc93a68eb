//! The rules of appending, by topic, and what their tests are made of.

mod duplicates;
mod fog;
mod folds;
mod guarded_undo;
mod guards;
mod numbering;
mod units;

use OpOutcome::{Committed, Duplicate};
use uuid::Uuid;

use super::*;
use crate::{
    model::{Branch, CheckedOp, DrawingId, Epoch, Revision, Role, Trunk, UserId},
    store::FoldPlan,
};

const DRAWING: DrawingId = DrawingId(Uuid::from_u128(1));

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn id(n: u128) -> OpId {
    OpId(Uuid::from_u128(n))
}

/// Op `n`, which begins a unit.
fn op(n: u128) -> CheckedOp {
    let body = format!(r#"{{"op":{n}}}"#).into();
    CheckedOp {
        op_id: id(n),
        unit: Some(id(n)),
        is_undo_redo: false,
        creates_fog: false,
        touches: Vec::new(),
        body,
    }
}

fn joining(unit: u128, n: u128) -> CheckedOp {
    CheckedOp { unit: Some(id(unit)), ..op(n) }
}

fn undoing(unit: u128, n: u128) -> CheckedOp {
    CheckedOp { is_undo_redo: true, ..joining(unit, n) }
}

fn touching(object: &str, n: u128) -> CheckedOp {
    CheckedOp { touches: vec![object.parse().unwrap()], ..op(n) }
}

fn fog(object: &str, n: u128) -> CheckedOp {
    CheckedOp { creates_fog: true, ..touching(object, n) }
}

/// A request of bob, who is an editor.
fn request(ops: &[CheckedOp]) -> AppendRequest {
    AppendRequest::new(DRAWING, user("bob"), Role::Editor, ops.to_vec())
}

const EPOCH: Epoch = Epoch(Uuid::from_u128(0xe2));
const BEFORE: Epoch = Epoch(Uuid::from_u128(0xe1));
const NOW: i64 = 1_000;

/// A head in this epoch, which has ten revisions in common with the one before.
fn head(revision: u64, floor: u64) -> KnownHead {
    let trunk = Some(Trunk { epoch: BEFORE, base: Revision(10) });
    let branch = Branch { epoch: EPOCH, trunk };
    KnownHead { revision: Revision(revision), floor: Revision(floor), ts: 0, branch }
}

/// A fold to `floor`, planned at `planned_at` on the floor `from`.
fn fold(floor: u64, from: u64, planned_at: u64, n: u128) -> AppendRequest {
    let op = CheckedOp { unit: None, body: format!(r#"{{"fold":{floor}}}"#).into(), ..op(n) };
    let (floor, from, planned_at) = (Revision(floor), Revision(from), Revision(planned_at));
    let fold = Some(FoldPlan { floor, from, planned_at, yields: true });
    AppendRequest {
        fold,
        epoch: Some(EPOCH),
        ..AppendRequest::new(DRAWING, UserId::folder(), Role::Owner, vec![op])
    }
}

fn by_owner(ops: &[CheckedOp]) -> AppendRequest {
    AppendRequest { actor: user("alice"), role: Role::Owner, ..request(ops) }
}

fn only_at(head: u64, ops: &[CheckedOp]) -> AppendRequest {
    AppendRequest { if_revision: Some(Revision(head)), ..request(ops) }
}

/// A log with this head, of which these ops are known: number, revision, unit, actor.
fn log(revision: u64, ops: &[(u128, u64, u128, &str)]) -> Known {
    folded(revision, 0, ops)
}

/// The same, folded to `floor`.
fn folded(revision: u64, floor: u64, ops: &[(u128, u64, u128, &str)]) -> Known {
    let mut known = Known::default();
    known.heads.insert(DRAWING, head(revision, floor));
    // As if the latest op were no fold.
    known.unfolded.insert(DRAWING, Revision(revision));
    for (n, revision, unit, actor) in ops {
        let body = op(*n).body;
        let unit = Some(id(*unit));
        let op = KnownOp { revision: Revision(*revision), unit, actor: user(actor), body };
        known.ops.insert((DRAWING, id(*n)), op);
    }
    known
}

fn outcomes(batch: &[AppendRequest], known: Known) -> Vec<AppendOutcome> {
    resolve(batch, known, NOW).outcomes
}

/// The outcome of a batch of one request.
fn outcome(request: AppendRequest, known: Known) -> AppendOutcome {
    outcomes(&[request], known).remove(0)
}

fn accepted(head: u64, ops: &[OpOutcome]) -> AppendOutcome {
    AppendOutcome::Accepted { head: Revision(head), ops: ops.to_vec() }
}

fn refused(refusal: Refusal) -> AppendOutcome {
    AppendOutcome::Refused(refusal)
}

fn committed(revision: u64) -> OpOutcome {
    Committed(Revision(revision))
}

fn duplicate(revision: u64) -> OpOutcome {
    Duplicate(Revision(revision))
}
