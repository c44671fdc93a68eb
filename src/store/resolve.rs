//! Decides what becomes of each op of a batch, once the log has been asked what it knows.
//!
//! Owns the rules of appending: duplicates, guards, units, the floor, fog, numbering.
//! Pure; the back ends lock and look up before, and write what it says after.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::{
    AppendOutcome, AppendRequest, AppendedTo, FoldPlan, OpOutcome, Refusal, StoreError,
    directory::user_from_sql, revision_from_sql, revision_to_sql, unit_to_sql,
};
use crate::model::{Branch, CheckedOp, DrawingId, ObjectId, Op, OpId, Revision, UserId, same_op};

/// What the log knows of the drawings, ops, units and objects that a batch names.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The locked heads; a drawing that is absent does not exist.
    pub heads: BTreeMap<DrawingId, KnownHead>,
    /// The ops in the log whose id is that of an op or of a unit in the batch.
    pub ops: HashMap<(DrawingId, OpId), KnownOp>,
    /// The objects of kind fog.
    pub fog: HashSet<(DrawingId, ObjectId)>,
    /// The latest undo or redo of units on which guarded requests act.
    pub toggles: HashMap<(DrawingId, OpId), Revision>,
    /// The latest op that is no fold, of drawings whose head somebody insists on; absent where there is none.
    pub unfolded: HashMap<DrawingId, Revision>,
    /// The lowest unit that was named since a fold was planned, by its first revision; absent where none was.
    pub named: HashMap<DrawingId, Revision>,
}

/// The head of a drawing, locked.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownHead {
    /// The head.
    pub revision: Revision,
    /// The floor of the latest fold.
    pub floor: Revision,
    /// The time of the latest op.
    pub ts: i64,
    /// The epoch now, and how the log goes on from the one before.
    pub branch: Branch,
}

/// One op in the log.
#[derive(Clone, Debug)]
pub(super) struct KnownOp {
    pub revision: Revision,
    /// `None` for an op without a unit, which is the nil UUID in the tables.
    pub unit: Option<OpId>,
    pub actor: UserId,
    pub body: Box<str>,
}

impl Known {
    /// Takes in a row of the log.
    pub(super) fn add_op(
        &mut self,
        (drawing_id, op_id, revision, unit, actor, body): (Uuid, Uuid, i64, Uuid, String, String),
    ) -> Result<(), StoreError> {
        let revision = revision_from_sql(revision)?;
        let actor =
            user_from_sql(&actor).map_err(|_| StoreError::damaged(DrawingId(drawing_id), revision))?;
        // An op may have the nil UUID itself, and then it is its own unit.
        let unit = (!unit.is_nil() || op_id.is_nil()).then_some(OpId(unit));
        let op = KnownOp { revision, unit, actor, body: body.into() };
        self.ops.insert((DrawingId(drawing_id), OpId(op_id)), op);
        Ok(())
    }

    /// Takes in a row of the table of fog.
    pub(super) fn add_fog(&mut self, (drawing_id, object): (Uuid, String)) -> Result<(), StoreError> {
        let object = object.parse().map_err(|_| StoreError::Corrupt("object id"))?;
        self.fog.insert((DrawingId(drawing_id), object));
        Ok(())
    }

    /// Takes in an op of a unit that did not begin it; one that joined it changes nothing. Nor does one
    /// of a type that this version does not know, since undo and redo it knows.
    pub(super) fn add_of_unit(
        &mut self,
        drawing_id: DrawingId,
        unit: OpId,
        (revision, body): (i64, String),
    ) -> Result<(), StoreError> {
        self.add_toggle(drawing_id, unit, revision_from_sql(revision)?, &body);
        Ok(())
    }

    /// The same for an op that was never a row.
    pub(super) fn add_toggle(&mut self, drawing_id: DrawingId, unit: OpId, revision: Revision, body: &str) {
        if Op::parse(body).is_ok_and(|op| op.is_undo_redo()) {
            let last = self.toggles.entry((drawing_id, unit)).or_default();
            *last = revision.max(*last);
        }
    }
}

/// An op to insert: `batch[request].ops[op]` at `revision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Insert {
    pub request: usize,
    pub op: usize,
    pub revision: Revision,
}

/// What the head of a drawing becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewHead {
    pub revision: Revision,
    pub floor: Revision,
    /// The time of the new ops.
    pub ts: i64,
    /// What the new ops add to the bytes of the log.
    pub bytes: i64,
}

/// What to write, and what to answer.
#[derive(Debug)]
pub(super) struct Resolution {
    pub outcomes: Vec<AppendOutcome>,
    pub inserts: Vec<Insert>,
    /// The new heads of the drawings that got ops.
    pub heads: BTreeMap<DrawingId, NewHead>,
    /// Objects of kind fog that the batch creates.
    pub fog: Vec<(DrawingId, ObjectId)>,
}

impl Resolution {
    /// The rows to insert, in order.
    pub(super) fn rows<'a>(&self, batch: &'a [AppendRequest]) -> Vec<LogRow<'a>> {
        let row = |insert: &Insert| {
            let request = &batch[insert.request];
            let op = &request.ops[insert.op];
            LogRow {
                drawing_id: request.drawing_id.0,
                revision: revision_to_sql(insert.revision),
                op_id: op.op_id.0,
                unit: unit_to_sql(op.unit),
                actor: request.actor.as_str(),
                ts: self.heads.get(&request.drawing_id).map_or(0, |head| head.ts),
                body: &op.body,
            }
        };
        self.inserts.iter().map(row).collect()
    }

    /// Where the logs stand that got ops.
    pub(super) fn appended_to(&self) -> HashMap<DrawingId, AppendedTo> {
        self.heads.iter().map(|(id, head)| (*id, AppendedTo { ts: head.ts, floor: head.floor })).collect()
    }

    /// The drawings of which something was found in the log that was sent again.
    pub(super) fn drawings_with_duplicates(&self, batch: &[AppendRequest]) -> Vec<Uuid> {
        let has_duplicate = |outcome: &AppendOutcome| match outcome {
            AppendOutcome::Accepted { ops, .. } => ops.iter().any(|op| matches!(op, OpOutcome::Duplicate(_))),
            AppendOutcome::Refused(_) => false,
        };
        let answered = batch.iter().zip(&self.outcomes).filter(|(_, outcome)| has_duplicate(outcome));
        let drawings: std::collections::BTreeSet<Uuid> =
            answered.map(|(request, _)| request.drawing_id.0).collect();
        drawings.into_iter().collect()
    }
}

/// One row of the table of ops.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogRow<'a> {
    pub drawing_id: Uuid,
    pub revision: i64,
    pub op_id: Uuid,
    pub unit: Uuid,
    pub actor: &'a str,
    pub ts: i64,
    pub body: &'a str,
}

/// The objects of which it must be known whether they are fog, in the drawings that have some: those
/// that someone names who may not touch fog, and those that are made fog again.
pub(super) fn fog_candidates<'a>(
    batch: &'a [AppendRequest],
    foggy: &'a [Uuid],
) -> impl Iterator<Item = (Uuid, &'a str)> {
    let requests = batch.iter().filter(|request| foggy.contains(&request.drawing_id.0));
    requests.flat_map(|request| {
        let matters = |op: &&CheckedOp| op.creates_fog || !request.role.may_touch_fog();
        let objects = request.ops.iter().filter(matters).flat_map(|op| &op.touches);
        objects.map(|object| (request.drawing_id.0, object.as_str()))
    })
}

/// Decides on every request of `batch`, in order.
pub(super) fn resolve(batch: &[AppendRequest], mut known: Known, now_ms: i64) -> Resolution {
    let mut resolution =
        Resolution { outcomes: Vec::new(), inserts: Vec::new(), heads: BTreeMap::new(), fog: Vec::new() };
    for (index, request) in batch.iter().enumerate() {
        let outcome = match resolve_request(request, &known) {
            Err(refusal) => AppendOutcome::Refused(refusal),
            Ok(accepted) => accept(index, request, accepted, &mut known, &mut resolution, now_ms),
        };
        resolution.outcomes.push(outcome);
    }
    // A request is told the head after the whole batch: that is what the store then holds.
    for (request, outcome) in batch.iter().zip(&mut resolution.outcomes) {
        if let AppendOutcome::Accepted { head, .. } = outcome {
            *head = known.heads.get(&request.drawing_id).map_or(*head, |known| known.revision);
        }
    }
    resolution
}

/// Makes an accepted request part of what is known and of what is written.
fn accept(
    index: usize,
    request: &AppendRequest,
    ops: Vec<OpOutcome>,
    known: &mut Known,
    resolution: &mut Resolution,
    now_ms: i64,
) -> AppendOutcome {
    let drawing = request.drawing_id;
    let Some(mut head) = known.heads.get(&drawing).copied() else {
        return AppendOutcome::Refused(Refusal::NoDrawing);
    };
    let mut bytes = 0;
    for (nth, (op, outcome)) in request.ops.iter().zip(&ops).enumerate() {
        let OpOutcome::Committed(revision) = *outcome else { continue };
        head.revision = revision;
        bytes += i64::try_from(op.body.len()).unwrap_or(i64::MAX);
        resolution.inserts.push(Insert { request: index, op: nth, revision });
        if let Some(first) = op.named_unit().and_then(|unit| known.ops.get(&(drawing, unit))) {
            let first = first.revision;
            known.named.entry(drawing).and_modify(|lowest| *lowest = first.min(*lowest)).or_insert(first);
        }
        known.ops.insert((drawing, op.op_id), known_op(request, op, revision));
        if let Some(unit) = op.unit.filter(|_| op.is_undo_redo) {
            known.toggles.insert((drawing, unit), revision);
        }
        match request.fold {
            Some(plan) => head.floor = plan.floor,
            None => drop(known.unfolded.insert(drawing, revision)),
        }
        if op.creates_fog {
            for object in &op.touches {
                if known.fog.insert((drawing, object.clone())) {
                    resolution.fog.push((drawing, object.clone()));
                }
            }
        }
    }
    if bytes > 0 {
        head.ts = head.ts.max(now_ms);
        let KnownHead { revision, floor, ts, .. } = head;
        let new = NewHead { revision, floor, ts, bytes };
        let merge = |before: &mut NewHead| *before = NewHead { bytes: before.bytes + bytes, ..new };
        resolution.heads.entry(drawing).and_modify(merge).or_insert(new);
        known.heads.insert(drawing, head);
    }
    AppendOutcome::Accepted { head: head.revision, ops }
}

fn known_op(request: &AppendRequest, op: &CheckedOp, revision: Revision) -> KnownOp {
    KnownOp { revision, unit: op.unit, actor: request.actor.clone(), body: op.body.clone() }
}

fn resolve_request(request: &AppendRequest, known: &Known) -> Result<Vec<OpOutcome>, Refusal> {
    let drawing = request.drawing_id;
    let first_head = *known.heads.get(&drawing).ok_or(Refusal::NoDrawing)?;
    let mut head = first_head.revision;
    // Ops of this request, seen by those after them; they count only once the request is accepted.
    let mut staged: HashMap<OpId, KnownOp> = HashMap::new();
    let mut outcomes = Vec::with_capacity(request.ops.len());
    for (index, op) in request.ops.iter().enumerate() {
        let find = |id: OpId| staged.get(&id).or_else(|| known.ops.get(&(drawing, id)));
        if let Some(first) = find(op.op_id) {
            if !same_op(&first.body, &op.body) {
                return Err(Refusal::OpIdConflict { index, revision: first.revision });
            }
            outcomes.push(OpOutcome::Duplicate(first.revision));
            continue;
        }
        // A retry of a conditional request is whole already, wherever the head is now. Of any other one the log on which it
        // insists is looked at first: in another one its units may be missing.
        if head == first_head.revision {
            check_guards(request, known, first_head)?;
        }
        if let Some(unit) = op.named_unit() {
            check_unit(request, op, find(unit).filter(|first| first.unit == Some(unit)), first_head.floor)
                .map_err(|fault| match fault {
                    UnitFault::Unknown => Refusal::UnknownUnit { index },
                    UnitFault::OfAnother => Refusal::UnitOfAnother { index },
                    UnitFault::Closed => {
                        Refusal::UnitClosed { indexes: closed_from(request, known, index, first_head.floor) }
                    }
                })?;
            if op.is_undo_redo && !is_untoggled(request, known, first_head, unit) {
                return Err(Refusal::UnitToggled { index });
            }
        }
        let touches_fog = || op.touches.iter().any(|id| known.fog.contains(&(drawing, id.clone())));
        if !known.fog.is_empty() && !request.role.may_touch_fog() && touches_fog() {
            return Err(Refusal::FogForbidden { index });
        }
        head = head.next();
        staged.insert(op.op_id, known_op(request, op, head));
        outcomes.push(OpOutcome::Committed(head));
    }
    Ok(outcomes)
}

/// Checks what a request with new ops insists on besides its units.
fn check_guards(request: &AppendRequest, known: &Known, head: KnownHead) -> Result<(), Refusal> {
    match (request.if_revision, request.epoch) {
        (Some(expected), epoch) => {
            let is_here = head.branch.check(epoch, Some(expected), head.revision).is_ok();
            let unfolded = known.unfolded.get(&request.drawing_id).copied().unwrap_or_default();
            if !is_here || expected < unfolded {
                return Err(Refusal::RevisionConflict { head: head.revision });
            }
        }
        (None, Some(epoch)) if request.untoggled_since.is_none() && epoch != head.branch.epoch => {
            return Err(Refusal::EpochChanged { head: head.revision });
        }
        _ => (),
    }
    match request.fold {
        Some(plan) if !is_foldable(plan, known, request.drawing_id, head) => Err(Refusal::FoldDropped),
        _ => Ok(()),
    }
}

/// Whether the log is as a fold was planned on.
fn is_foldable(plan: FoldPlan, known: &Known, drawing: DrawingId, head: KnownHead) -> bool {
    let is_named = known.named.get(&drawing).is_some_and(|lowest| *lowest <= plan.floor);
    plan.from == head.floor
        && plan.from < plan.floor
        && plan.floor <= head.revision
        && !(plan.yields && is_named)
}

/// Whether nobody has undone or redone the unit since the sender looked, as far as it insists on that.
fn is_untoggled(request: &AppendRequest, known: &Known, head: KnownHead, unit: OpId) -> bool {
    let Some(since) = request.untoggled_since else { return true };
    let is_here = request.epoch.is_none_or(|epoch| head.branch.goes_on_from(epoch, since));
    is_here && known.toggles.get(&(request.drawing_id, unit)).is_none_or(|last| *last <= since)
}

/// Why an op may not join, undo or redo a unit.
enum UnitFault {
    Unknown,
    OfAnother,
    Closed,
}

/// Checks that `op` may join, undo or redo the unit it names, which began with the op `unit`.
fn check_unit(
    request: &AppendRequest,
    op: &CheckedOp,
    unit: Option<&KnownOp>,
    floor: Revision,
) -> Result<(), UnitFault> {
    let unit = unit.ok_or(UnitFault::Unknown)?;
    let may_act_for_others = op.is_undo_redo && request.role.may_undo_others();
    if unit.actor != request.actor && !may_act_for_others {
        return Err(UnitFault::OfAnother);
    }
    if unit.revision <= floor {
        return Err(UnitFault::Closed);
    }
    Ok(())
}

/// The new ops from `first` on whose units are at or below `floor`: whoever sends them can give all of them other units
/// at once. A unit that begins in the request itself is not.
fn closed_from(request: &AppendRequest, known: &Known, first: usize, floor: Revision) -> Vec<usize> {
    let find = |id: OpId| known.ops.get(&(request.drawing_id, id));
    let is_closed = |op: &CheckedOp| {
        let unit = op.named_unit().and_then(find);
        find(op.op_id).is_none() && unit.is_some_and(|unit| unit.revision <= floor)
    };
    let ops = request.ops.iter().enumerate().skip(first);
    ops.filter(|(_, op)| is_closed(op)).map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use OpOutcome::{Committed, Duplicate};

    use super::*;
    use crate::model::{Epoch, Role, Trunk};

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

    #[test]
    fn ops_are_numbered_from_the_head_across_the_requests_of_a_batch() {
        let resolution = resolve(&[request(&[op(1), op(2)]), by_owner(&[op(3)])], log(7, &[]), NOW);
        assert_eq!(
            resolution.outcomes,
            [accepted(10, &[committed(8), committed(9)]), accepted(10, &[committed(10)])]
        );
        let insert = |request, op, revision| Insert { request, op, revision: Revision(revision) };
        assert_eq!(resolution.inserts, [insert(0, 0, 8), insert(0, 1, 9), insert(1, 0, 10)]);
        let bytes = resolution.rows(&[request(&[op(1), op(2)]), by_owner(&[op(3)])]).len() as i64 * 8;
        let new = NewHead { revision: Revision(10), floor: Revision(0), ts: NOW, bytes };
        assert_eq!(resolution.heads, BTreeMap::from([(DRAWING, new)]));
        assert!(resolution.fog.is_empty());
    }

    #[test]
    fn a_drawing_without_a_head_refuses_and_others_go_on() {
        let elsewhere = AppendRequest { drawing_id: DrawingId(Uuid::from_u128(2)), ..request(&[op(1)]) };
        let resolution = resolve(&[elsewhere, request(&[op(1)])], log(0, &[]), NOW);
        assert_eq!(resolution.outcomes, [refused(Refusal::NoDrawing), accepted(1, &[committed(1)])]);
        assert_eq!(resolution.inserts.len(), 1);
    }

    #[test]
    fn an_op_of_the_log_is_a_duplicate_and_nothing_is_written_for_it() {
        let resolution = resolve(&[request(&[op(1)])], log(9, &[(1, 4, 1, "bob")]), NOW);
        assert_eq!(resolution.outcomes, [accepted(9, &[duplicate(4)])]);
        assert!(resolution.inserts.is_empty() && resolution.heads.is_empty());
    }

    #[test]
    fn a_retry_is_known_by_its_value_and_not_by_its_spelling() {
        let spelled = |body: &str| CheckedOp { body: body.into(), ..op(1) };
        let mut known = log(1, &[(1, 1, 1, "bob")]);
        known.ops.get_mut(&(DRAWING, id(1))).unwrap().body = r#"{"a":1,"b":[2]}"#.into();
        let attempt = |body| {
            let mut again = Known::default();
            again.heads.clone_from(&known.heads);
            again.ops.clone_from(&known.ops);
            outcome(request(&[spelled(body)]), again)
        };
        assert_eq!(attempt(r#"{"b":[2.0],"a":1e0}"#), accepted(1, &[duplicate(1)]));
        let conflict = Refusal::OpIdConflict { index: 0, revision: Revision(1) };
        assert_eq!(attempt(r#"{"a":1,"b":[3]}"#), refused(conflict));
    }

    #[test]
    fn an_op_repeated_within_one_request_stands_once() {
        let resolution = resolve(&[request(&[op(1), op(2), op(1)])], log(0, &[]), NOW);
        assert_eq!(resolution.outcomes, [accepted(2, &[committed(1), committed(2), duplicate(1)])]);
        assert_eq!(resolution.inserts.len(), 2);
    }

    #[test]
    fn an_op_repeated_across_the_requests_of_a_batch_stands_once() {
        let resolution = resolve(&[request(&[op(1)]), request(&[op(1), op(2)])], log(0, &[]), NOW);
        let expected = [accepted(2, &[committed(1)]), accepted(2, &[duplicate(1), committed(2)])];
        assert_eq!(resolution.outcomes, expected);
        assert_eq!(resolution.inserts.len(), 2);
    }

    #[test]
    fn another_body_under_the_same_id_is_a_conflict_wherever_the_first_one_stands() {
        let other = CheckedOp { body: r#"{"op":"other"}"#.into(), ..op(1) };
        let conflict =
            |index, revision| refused(Refusal::OpIdConflict { index, revision: Revision(revision) });
        assert_eq!(outcome(request(&[op(2), other.clone()]), log(5, &[(1, 3, 1, "bob")])), conflict(1, 3));
        assert_eq!(outcome(request(&[op(1), other.clone()]), log(5, &[])), conflict(1, 6));
        let batch = [request(&[op(1)]), request(&[other])];
        assert_eq!(outcomes(&batch, log(5, &[])), [accepted(6, &[committed(6)]), conflict(0, 6)]);
    }

    #[test]
    fn a_refused_request_leaves_nothing_behind_for_its_neighbours() {
        let bad = request(&[op(1), joining(99, 2)]);
        let resolution = resolve(&[request(&[op(3)]), bad, request(&[op(1)])], log(0, &[]), NOW);
        assert_eq!(
            resolution.outcomes,
            [
                accepted(2, &[committed(1)]),
                refused(Refusal::UnknownUnit { index: 1 }),
                // Op 1 is new here: the refused request did not commit it.
                accepted(2, &[committed(2)]),
            ]
        );
        let requests: Vec<_> = resolution.inserts.iter().map(|insert| insert.request).collect();
        assert_eq!(requests, [0, 2]);
    }

    #[test]
    fn a_refused_request_creates_no_fog() {
        let bad = by_owner(&[fog("f", 1), joining(99, 2)]);
        let resolution = resolve(&[bad, request(&[touching("f", 3)])], log(0, &[]), NOW);
        assert_eq!(resolution.outcomes[1], accepted(1, &[committed(1)]));
        assert!(resolution.fog.is_empty());
    }

    #[test]
    fn if_revision_is_compared_with_the_head_before_the_request() {
        let at = |head| outcome(only_at(head, &[op(1), op(2)]), log(5, &[]));
        assert_eq!(at(5), accepted(7, &[committed(6), committed(7)]));
        assert_eq!(at(4), refused(Refusal::RevisionConflict { head: Revision(5) }));
        assert_eq!(at(6), refused(Refusal::RevisionConflict { head: Revision(5) }));
    }

    #[test]
    fn of_two_with_the_same_if_revision_in_one_batch_the_first_wins() {
        let batch = [only_at(5, &[op(1)]), only_at(5, &[op(2)]), only_at(6, &[op(3)])];
        let conflict = refused(Refusal::RevisionConflict { head: Revision(6) });
        let expected = [accepted(7, &[committed(6)]), conflict, accepted(7, &[committed(7)])];
        assert_eq!(outcomes(&batch, log(5, &[])), expected);
    }

    #[test]
    fn a_retry_is_whole_whatever_its_if_revision_but_a_new_op_beside_it_is_not() {
        let known = || log(9, &[(1, 6, 1, "bob")]);
        assert_eq!(outcome(only_at(5, &[op(1)]), known()), accepted(9, &[duplicate(6)]));
        let conflict = Refusal::RevisionConflict { head: Revision(9) };
        assert_eq!(outcome(only_at(5, &[op(1), op(2)]), known()), refused(conflict));
    }

    #[test]
    fn a_unit_is_known_from_the_log_the_batch_or_the_request() {
        let batch =
            [request(&[joining(1, 2), op(3), joining(3, 4)]), request(&[joining(3, 5), undoing(1, 6)])];
        let expected = [
            accepted(6, &[committed(2), committed(3), committed(4)]),
            accepted(6, &[committed(5), committed(6)]),
        ];
        assert_eq!(outcomes(&batch, log(1, &[(1, 1, 1, "bob")])), expected);
    }

    #[test]
    fn a_unit_that_is_not_there_or_no_unit_is_unknown() {
        let unknown = |index| refused(Refusal::UnknownUnit { index });
        // Op 2 joined unit 1, so it is no unit itself.
        let known = || log(2, &[(1, 1, 1, "bob"), (2, 2, 1, "bob")]);
        for named in [2, 99] {
            assert_eq!(outcome(request(&[joining(named, 5)]), known()), unknown(0), "{named}");
            assert_eq!(outcome(by_owner(&[undoing(named, 5)]), known()), unknown(0), "{named}");
        }
        // Neither is an undo, even of itself, nor an op that comes only later.
        assert_eq!(outcome(request(&[undoing(5, 5)]), known()), unknown(0));
        assert_eq!(outcome(request(&[undoing(1, 5), undoing(5, 6)]), known()), unknown(1));
        assert_eq!(outcome(request(&[joining(6, 5), op(6)]), known()), unknown(0));
    }

    #[test]
    fn a_unit_of_another_drawing_is_unknown() {
        let mut known = log(1, &[]);
        known.heads.insert(DrawingId(Uuid::from_u128(2)), head(1, 0));
        let unit = Some(id(1));
        let elsewhere = KnownOp { revision: Revision(1), unit, actor: user("bob"), body: op(1).body };
        known.ops.insert((DrawingId(Uuid::from_u128(2)), id(1)), elsewhere);
        assert_eq!(outcome(request(&[joining(1, 2)]), known), refused(Refusal::UnknownUnit { index: 0 }));
    }

    #[test]
    fn only_an_owner_undoes_units_of_others_and_nobody_joins_them() {
        let known = || log(2, &[(1, 1, 1, "alice"), (2, 2, 2, "bob")]);
        let of_another = refused(Refusal::UnitOfAnother { index: 0 });
        assert_eq!(outcome(request(&[undoing(1, 5)]), known()), of_another);
        assert_eq!(outcome(request(&[joining(1, 5)]), known()), of_another);
        assert_eq!(outcome(by_owner(&[joining(2, 5)]), known()), of_another);
        assert_eq!(outcome(by_owner(&[undoing(2, 5)]), known()), accepted(3, &[committed(3)]));
        assert_eq!(outcome(request(&[undoing(2, 5)]), known()), accepted(3, &[committed(3)]));
    }

    #[test]
    fn a_unit_is_closed_exactly_at_the_floor() {
        let closed = refused(Refusal::UnitClosed { indexes: vec![0] });
        let at = |floor, revision| {
            let known = || folded(9, floor, &[(1, revision, 1, "bob")]);
            let outcomes = [joining(1, 5), undoing(1, 5)].map(|op| outcome(request(&[op]), known()));
            assert_eq!(outcomes[0], outcomes[1]);
            let [outcome, _] = outcomes;
            outcome
        };
        assert_eq!(at(4, 3), closed);
        assert_eq!(at(4, 4), closed);
        assert_eq!(at(4, 5), accepted(10, &[committed(10)]));
        assert_eq!(at(0, 1), accepted(10, &[committed(10)]));
    }

    #[test]
    fn a_fold_moves_the_floor_for_what_comes_after_it_in_the_batch() {
        let known = || log(9, &[(1, 1, 1, "bob"), (2, 7, 2, "bob")]);
        let batch = [
            fold(4, 0, 9, 100),
            request(&[joining(1, 5)]),
            request(&[joining(2, 6), undoing(1, 7)]),
            request(&[undoing(2, 8)]),
        ];
        let closed = |index| refused(Refusal::UnitClosed { indexes: vec![index] });
        let expected = [accepted(11, &[committed(10)]), closed(0), closed(1), accepted(11, &[committed(11)])];
        let resolution = resolve(&batch, known(), NOW);
        assert_eq!(resolution.outcomes, expected);
        assert_eq!(resolution.heads[&DRAWING].floor, Revision(4));
        assert_eq!(resolution.appended_to()[&DRAWING], AppendedTo { ts: NOW, floor: Revision(4) });
        assert_eq!(resolution.rows(&batch)[0].unit, Uuid::nil());
    }

    #[test]
    fn a_fold_is_dropped_where_the_log_is_another_one_than_it_was_planned_on() {
        let at = |floor, request: AppendRequest| outcome(request, folded(9, floor, &[]));
        let dropped = || refused(Refusal::FoldDropped);
        assert_eq!(at(2, fold(4, 2, 9, 100)), accepted(10, &[committed(10)]));
        assert_eq!(at(3, fold(4, 2, 9, 100)), dropped(), "somebody has folded since");
        assert_eq!(at(2, fold(2, 2, 9, 100)), dropped());
        assert_eq!(at(2, fold(10, 2, 9, 100)), dropped(), "not below itself");
        let elsewhere = AppendRequest { epoch: Some(BEFORE), ..fold(4, 2, 9, 100) };
        assert_eq!(at(2, elsewhere), refused(Refusal::EpochChanged { head: Revision(9) }));
        // Two workers plan the same, and one of them comes second.
        let batch = [fold(4, 2, 9, 100), fold(4, 2, 9, 100), fold(5, 2, 9, 100)];
        let conflict = refused(Refusal::OpIdConflict { index: 0, revision: Revision(10) });
        let expected = [accepted(10, &[committed(10)]), accepted(10, &[duplicate(10)]), conflict];
        assert_eq!(outcomes(&batch, folded(9, 2, &[])), expected);
    }

    #[test]
    fn a_fold_gives_way_to_who_named_one_of_its_units_since_it_was_planned() {
        let known = |named: Option<u64>| {
            let mut known = log(9, &[(1, 3, 1, "bob"), (2, 6, 2, "bob")]);
            known.named.extend(named.map(|named| (DRAWING, Revision(named))));
            known
        };
        let dropped = refused(Refusal::FoldDropped);
        for (named, is_dropped) in [(None, false), (Some(5), false), (Some(4), true), (Some(1), true)] {
            let outcome = outcome(fold(4, 0, 7, 100), known(named));
            assert_eq!(outcome == dropped, is_dropped, "{named:?}");
        }
        // Or in the same batch, before it.
        for (unit, is_dropped) in [(1, true), (2, false)] {
            for op in [joining(unit, 5), undoing(unit, 5)] {
                let outcomes = outcomes(&[request(&[op]), fold(4, 0, 9, 100)], known(None));
                assert_eq!(outcomes[1] == dropped, is_dropped, "{unit}");
            }
        }
        // At the hard bound it does not.
        let plan = fold(4, 0, 7, 100).fold.map(|plan| FoldPlan { yields: false, ..plan });
        let hard = AppendRequest { fold: plan, ..fold(4, 0, 7, 100) };
        assert_eq!(outcome(hard, known(Some(1))), accepted(10, &[committed(10)]));
    }

    #[test]
    fn a_fold_is_no_unit() {
        let fold = KnownOp { unit: None, actor: UserId::folder(), revision: Revision(1), body: "{}".into() };
        let known = || {
            let mut known = log(1, &[]);
            known.ops.insert((DRAWING, id(100)), fold.clone());
            known
        };
        let unknown = refused(Refusal::UnknownUnit { index: 0 });
        assert_eq!(outcome(by_owner(&[undoing(100, 5)]), known()), unknown);
        assert_eq!(outcome(by_owner(&[joining(100, 5)]), known()), unknown);
        let mut read = Known::default();
        let row = |op_id: u128, unit: u128| {
            (DRAWING.0, Uuid::from_u128(op_id), 1, Uuid::from_u128(unit), "bob".to_owned(), String::new())
        };
        for (op_id, unit, expected) in [(5, 0, None), (5, 5, Some(5)), (5, 4, Some(4)), (0, 0, Some(0))] {
            read.add_op(row(op_id, unit)).unwrap();
            assert_eq!(read.ops[&(DRAWING, id(op_id))].unit, expected.map(id));
        }
    }

    #[test]
    fn if_revision_is_met_where_only_folds_came_after_it() {
        let known = |unfolded: u64| {
            let mut known = log(9, &[]);
            known.unfolded.insert(DRAWING, Revision(unfolded));
            known
        };
        let conflict = refused(Refusal::RevisionConflict { head: Revision(9) });
        for expected in 0..12 {
            let outcome = outcome(only_at(expected, &[op(1)]), known(7));
            let is_met = (7..=9).contains(&expected);
            assert_eq!(outcome, if is_met { accepted(10, &[committed(10)]) } else { conflict.clone() });
        }
        // A fold of the same batch is one, too, and an op is none.
        let batch = [fold(4, 0, 9, 100), only_at(9, &[op(1)]), only_at(10, &[op(2)])];
        let conflict = refused(Refusal::RevisionConflict { head: Revision(11) });
        let expected = [accepted(11, &[committed(10)]), accepted(11, &[committed(11)]), conflict];
        assert_eq!(outcomes(&batch, known(9)), expected);
    }

    #[test]
    fn if_revision_with_an_epoch_is_a_position() {
        let at = |epoch, revision| {
            let request = AppendRequest { epoch: Some(epoch), ..only_at(revision, &[op(1)]) };
            outcome(request, log(revision, &[]))
        };
        let conflict = |head| refused(Refusal::RevisionConflict { head: Revision(head) });
        assert_eq!(at(EPOCH, 12), accepted(13, &[committed(13)]));
        assert_eq!(at(BEFORE, 10), accepted(11, &[committed(11)]));
        assert_eq!(at(BEFORE, 11), conflict(11));
        assert_eq!(at(Epoch(Uuid::nil()), 10), conflict(10));
    }

    #[test]
    fn an_epoch_alone_has_to_be_the_present_one_unless_all_is_there() {
        let at = |epoch| AppendRequest { epoch: Some(epoch), ..request(&[op(1)]) };
        assert_eq!(outcome(at(EPOCH), log(5, &[])), accepted(6, &[committed(6)]));
        let changed = refused(Refusal::EpochChanged { head: Revision(5) });
        assert_eq!(outcome(at(BEFORE), log(5, &[])), changed);
        assert_eq!(outcome(at(BEFORE), log(5, &[(1, 3, 1, "bob")])), accepted(5, &[duplicate(3)]));
    }

    #[test]
    fn times_never_fall() {
        let at = |last, now| {
            let mut known = log(5, &[]);
            known.heads.get_mut(&DRAWING).unwrap().ts = last;
            let batch = [request(&[op(1)])];
            let resolution = resolve(&batch, known, now);
            assert_eq!(resolution.rows(&batch)[0].ts, resolution.heads[&DRAWING].ts);
            resolution.heads[&DRAWING].ts
        };
        assert_eq!((at(7, 8), at(7, 7), at(7, 2)), (8, 7, 7));
    }

    #[test]
    fn all_new_ops_of_closed_units_are_named_at_once() {
        // Ops 1 and 2 begin closed units, op 3 joined one of them, and op 4 begins one that is open.
        let known =
            || folded(9, 5, &[(1, 1, 1, "bob"), (2, 2, 2, "bob"), (3, 3, 1, "bob"), (4, 6, 4, "bob")]);
        let ops =
            [op(9), joining(1, 10), joining(4, 11), joining(1, 3), undoing(2, 12), op(13), joining(13, 14)];
        let closed = |indexes: &[usize]| refused(Refusal::UnitClosed { indexes: indexes.to_vec() });
        assert_eq!(outcome(request(&ops), known()), closed(&[1, 4]));
        // What comes first is told first.
        assert_eq!(
            outcome(request(&[joining(99, 20), joining(1, 10)]), known()),
            refused(Refusal::UnknownUnit { index: 0 })
        );
    }

    #[test]
    fn a_retry_of_an_op_whose_unit_is_closed_is_still_a_duplicate() {
        let known = folded(9, 5, &[(1, 1, 1, "bob"), (2, 2, 1, "bob")]);
        assert_eq!(outcome(request(&[joining(1, 2)]), known), accepted(9, &[duplicate(2)]));
    }

    /// A request that wants its unit as it was at `revision`.
    fn untoggled_since(revision: u64, op: CheckedOp) -> AppendRequest {
        AppendRequest { untoggled_since: Some(Revision(revision)), ..request(&[op]) }
    }

    fn op_of_unit_5(known: &mut Known, revision: i64, kind: &str) {
        let (op_id, unit) = (Uuid::from_u128(9), Uuid::from_u128(5));
        let body = format!(r#"{{"op_id":"{op_id}","type":"{kind}","unit":"{unit}"}}"#);
        known.add_of_unit(DRAWING, OpId(unit), (revision, body)).unwrap();
    }

    #[test]
    fn a_guarded_undo_is_refused_if_its_unit_was_toggled_after_the_revision() {
        for (kind, refuses) in [("undo", true), ("redo", true), ("canvas.clear", false), ("later", false)] {
            for since in 0..9 {
                let mut known = log(8, &[(5, 1, 5, "bob"), (6, 2, 6, "bob")]);
                op_of_unit_5(&mut known, 7, kind);
                op_of_unit_5(&mut known, 4, kind);
                let batch = [untoggled_since(since, undoing(5, 11)), untoggled_since(since, undoing(6, 12))];
                let outcomes = outcomes(&batch, known);
                let is_refused = outcomes[0] == refused(Refusal::UnitToggled { index: 0 });
                assert_eq!(is_refused, refuses && since < 7, "{kind} at 7, untoggled since {since}");
                assert!(matches!(outcomes[1], AppendOutcome::Accepted { .. }), "another unit");
            }
        }
    }

    #[test]
    fn a_guarded_undo_is_refused_if_the_look_was_on_a_lost_branch() {
        let known = || log(12, &[(5, 1, 5, "bob")]);
        let at = |epoch, revision| {
            let request = AppendRequest { epoch: Some(epoch), ..untoggled_since(revision, undoing(5, 11)) };
            outcome(request, known())
        };
        let toggled = refused(Refusal::UnitToggled { index: 0 });
        assert_eq!(at(EPOCH, 12), accepted(13, &[committed(13)]));
        assert_eq!(at(BEFORE, 10), accepted(13, &[committed(13)]));
        assert_eq!(at(BEFORE, 11), toggled);
        assert_eq!(at(Epoch(Uuid::nil()), 1), toggled);
    }

    #[test]
    fn what_a_request_insists_on_goes_before_what_its_ops_name() {
        // The unit was lost with the end of the epoch before.
        let undo = || request(&[undoing(5, 11)]);
        let of_before = AppendRequest { epoch: Some(BEFORE), ..undo() };
        assert_eq!(outcome(of_before, log(12, &[])), refused(Refusal::EpochChanged { head: Revision(12) }));
        let at_3 = AppendRequest { if_revision: Some(Revision(3)), ..undo() };
        assert_eq!(outcome(at_3, log(12, &[])), refused(Refusal::RevisionConflict { head: Revision(12) }));
        assert_eq!(outcome(undo(), log(12, &[])), refused(Refusal::UnknownUnit { index: 0 }));
    }

    #[test]
    fn a_guarded_undo_sees_those_before_it_in_the_batch() {
        let known = || log(8, &[(5, 1, 5, "bob")]);
        let toggled = || refused(Refusal::UnitToggled { index: 0 });
        let guarded = |n| untoggled_since(8, undoing(5, n));
        assert_eq!(
            outcomes(&[guarded(11), guarded(12), request(&[undoing(5, 13)]), guarded(11)], known()),
            [
                accepted(10, &[committed(9)]),
                toggled(),
                accepted(10, &[committed(10)]),
                accepted(10, &[duplicate(9)])
            ]
        );
        // One that was refused toggles nothing.
        let refused = [only_at(1, &[undoing(5, 11)]), guarded(12)];
        assert_eq!(outcomes(&refused, known())[1], accepted(9, &[committed(9)]));
        // What the unit is comes first.
        let closed = folded(8, 1, &[(5, 1, 5, "bob")]);
        assert_eq!(
            outcome(guarded(11), closed),
            AppendOutcome::Refused(Refusal::UnitClosed { indexes: vec![0] })
        );
    }

    #[test]
    fn fog_is_for_owners_from_the_batch_that_creates_it() {
        let forbidden = |index| refused(Refusal::FogForbidden { index });
        let mut known = log(0, &[]);
        known.fog.insert((DRAWING, "old".parse().unwrap()));
        let batch = [
            request(&[touching("new", 1)]),
            by_owner(&[fog("new", 2), touching("old", 3)]),
            request(&[op(4), touching("new", 5)]),
            request(&[touching("old", 6)]),
            request(&[touching("other", 7)]),
        ];
        let resolution = resolve(&batch, known, NOW);
        assert_eq!(
            resolution.outcomes,
            [
                accepted(4, &[committed(1)]),
                accepted(4, &[committed(2), committed(3)]),
                forbidden(1),
                forbidden(0),
                accepted(4, &[committed(4)]),
            ]
        );
        assert_eq!(resolution.fog, [(DRAWING, "new".parse().unwrap())]);
    }

    #[test]
    fn any_of_the_objects_of_an_op_may_be_the_fog() {
        let mut known = log(0, &[]);
        known.fog.insert((DRAWING, "b".parse().unwrap()));
        let touches = ["a", "b"].map(|object| object.parse().unwrap()).to_vec();
        let both = CheckedOp { touches, ..op(1) };
        assert_eq!(outcome(request(&[both]), known), refused(Refusal::FogForbidden { index: 0 }));
    }

    #[test]
    fn fog_that_is_created_twice_is_written_once() {
        let mut known = log(0, &[]);
        known.fog.insert((DRAWING, "old".parse().unwrap()));
        let batch = [by_owner(&[fog("new", 1), fog("old", 2)]), by_owner(&[fog("new", 3)])];
        assert_eq!(resolve(&batch, known, NOW).fog, [(DRAWING, "new".parse().unwrap())]);
    }

    #[test]
    fn fog_of_one_drawing_is_nothing_in_another() {
        let elsewhere = DrawingId(Uuid::from_u128(2));
        let mut known = log(0, &[]);
        known.heads.insert(elsewhere, head(0, 0));
        known.fog.insert((DRAWING, "f".parse().unwrap()));
        let there = AppendRequest { drawing_id: elsewhere, ..request(&[touching("f", 1)]) };
        assert_eq!(outcome(there, known), accepted(1, &[committed(1)]));
    }
}
