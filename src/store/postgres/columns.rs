//! A batch as columns: the arguments of the Postgres function `append_ops`.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use crate::{
    model::{OpId, Revision},
    store::{AppendOutcome, AppendRequest, OpOutcome, unit_to_sql},
};

/// The arguments of `append_ops`, built together so that their lengths agree.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    pub drawings: Vec<Uuid>,
    pub counts: Vec<i64>,
    pub sizes: Vec<i64>,
    pub guarded: Vec<bool>,
    pub op_drawing: Vec<i32>,
    pub op_nth: Vec<i64>,
    pub op_ids: Vec<Uuid>,
    pub op_units: Vec<Uuid>,
    pub op_actors: Vec<&'a str>,
    pub op_bodies: Vec<&'a str>,
    pub named_drawing: Vec<i32>,
    pub named_units: Vec<Uuid>,
    /// `None` where anyone's unit will do.
    pub named_actors: Vec<Option<&'a str>>,
    /// Those that requests insist on, each once.
    pub epochs: Vec<Uuid>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(batch: &'a [AppendRequest]) -> Self {
        // Ascending by id: heads are locked in this order on every node, so that none waits in a ring.
        let mut places: BTreeMap<Uuid, usize> = batch.iter().map(|r| (r.drawing_id.0, 0)).collect();
        for (nth, place) in places.values_mut().enumerate() {
            *place = nth;
        }
        let mut columns = Self {
            drawings: places.keys().copied().collect(),
            counts: vec![0; places.len()],
            sizes: vec![0; places.len()],
            guarded: vec![false; places.len()],
            ..Self::default()
        };
        for request in batch {
            columns.add(request, places[&request.drawing_id.0]);
        }
        columns
    }

    fn add(&mut self, request: &'a AppendRequest, place: usize) {
        if let Some(epoch) = request.epoch.filter(|epoch| !self.epochs.contains(&epoch.0)) {
            self.epochs.push(epoch.0);
        }
        // Arrays count from 1 in SQL; a batch holds far fewer drawings than an i32 counts.
        let sql_place = i32::try_from(place + 1).unwrap_or(i32::MAX);
        let mut begun: HashSet<OpId> = HashSet::new();
        let mut named: HashSet<(OpId, bool)> = HashSet::new();
        for op in &request.ops {
            self.counts[place] += 1;
            self.sizes[place] += i64::try_from(op.body.len()).unwrap_or(i64::MAX);
            self.guarded[place] |= !request.role.may_touch_fog() && !op.touches.is_empty();
            self.op_drawing.push(sql_place);
            self.op_nth.push(self.counts[place]);
            self.op_ids.push(op.op_id.0);
            self.op_units.push(unit_to_sql(op.unit));
            self.op_actors.push(request.actor.as_str());
            self.op_bodies.push(&op.body);
            if op.begins_unit() {
                begun.insert(op.op_id);
            }
            if let Some(unit) = op.named_unit()
                && !begun.contains(&unit)
                && named.insert((unit, op.is_undo_redo))
            {
                let is_anyones = op.is_undo_redo && request.role.may_undo_others();
                self.named_drawing.push(sql_place);
                self.named_units.push(unit.0);
                self.named_actors.push((!is_anyones).then(|| request.actor.as_str()));
            }
        }
    }

    /// Tells each op its revision, counting as the function does.
    pub(super) fn number(&self, batch: &[AppendRequest], heads_before: &[Revision]) -> Vec<AppendOutcome> {
        let mut numbers = self.op_drawing.iter().zip(&self.op_nth).map(|(drawing, nth)| {
            let place = usize::try_from(drawing - 1).unwrap_or_default();
            let before = heads_before[place].0;
            let head = Revision(before + self.counts[place].unsigned_abs());
            (head, OpOutcome::Committed(Revision(before + nth.unsigned_abs())))
        });
        batch
            .iter()
            .map(|request| {
                let (heads, ops): (Vec<_>, Vec<_>) = numbers.by_ref().take(request.ops.len()).unzip();
                AppendOutcome::Accepted { head: heads.first().copied().unwrap_or_default(), ops }
            })
            .collect()
    }
}
