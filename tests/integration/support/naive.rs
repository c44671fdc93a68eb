//! The rules of the canvas, read out one by one: what a log shows, who can undo what.
//!
//! Owns an answer of its own, with which every faster reducer is compared. It keeps all that was ever
//! written as one list and looks through all of it each time it is asked. It never keeps a register, a
//! rendered object or anything else that could go stale; the one thing it keeps besides the list is what
//! the folds, which are part of the rules, have made of it.

mod write;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use write::unit_of;
use write::{Field, Register, Write, is_drawing, items, text, writes_of};

/// A log, replayed from nothing.
#[derive(Debug, Default)]
pub struct Naive {
    /// Revision of the last op.
    head: u64,
    /// The floor of the latest valid fold: units that began at or below it are closed.
    floor: u64,
    /// Every unit that ever began, in that order; closed ones too.
    units: Vec<Unit>,
    /// The index in `units` of each known (begun, and not yet closed) unit.
    known: HashMap<String, usize>,
    /// All that was ever written, in the order of the log.
    writes: Vec<Write>,
}

#[derive(Debug)]
struct Unit {
    id: String,
    /// Revision of the op that began it.
    first: u64,
    /// The user who committed that op.
    actor: String,
    /// True if an op other than a custom or unknown one belongs to it.
    draws: bool,
    /// The last `undo` (true) or `redo` (false) that changed it, with its revision.
    undone: Option<(u64, bool)>,
    closed: bool,
}

/// Each register that has one, with its value's write.
type Values<'a> = BTreeMap<&'a Register, &'a Write>;

impl Naive {
    /// Replays a log of committed ops.
    pub fn replay(log: &[Value]) -> Self {
        let mut naive = Self::default();
        log.iter().for_each(|op| naive.push(op));
        naive
    }

    /// Applies the next committed op; one that was applied before changes nothing.
    pub fn push(&mut self, op: &Value) {
        let revision = op["revision"].as_u64().expect("an op has a revision");
        if revision <= self.head {
            return;
        }
        assert_eq!(revision, self.head + 1, "a log has no holes");
        self.head = revision;
        match text(&op["type"]) {
            "fold" => {
                // Whoever sent it. A floor that is no revision is no more valid than one out of bounds.
                let floor = op["floor"].as_u64().unwrap_or(0);
                if self.floor < floor && floor < revision {
                    self.fold(floor);
                }
            }
            type_name @ ("undo" | "redo") => {
                if let Some(&unit) = self.known.get(&unit_of(op)) {
                    let is_undo = type_name == "undo";
                    // Undoing what is undone changes nothing, nor does redoing what is live.
                    if self.units[unit].is_live() == is_undo {
                        self.units[unit].undone = Some((revision, is_undo));
                    }
                }
            }
            // Those of lessons have no unit either, and nothing else that is seen.
            "lesson.start" | "score.update" | "step.change" | "step.submit" => (),
            type_name => {
                let unit = self.join_unit(op);
                self.units[unit].draws |= is_drawing(type_name);
                let writes = writes_of(op).into_iter();
                self.writes.extend(writes.map(|(to, value)| Write {
                    revision,
                    unit,
                    to,
                    value,
                    is_gone: false,
                }));
            }
        }
    }

    /// The unit that the op belongs to, begun by it if it is not known.
    fn join_unit(&mut self, op: &Value) -> usize {
        let id = unit_of(op);
        *self.known.entry(id.clone()).or_insert_with(|| {
            let actor = text(&op["actor"]).to_owned();
            self.units.push(Unit { id, first: self.head, actor, draws: false, undone: None, closed: false });
            self.units.len() - 1
        })
    }

    /// Applies a valid fold.
    fn fold(&mut self, floor: u64) {
        self.floor = floor;
        // 1. Units that began at or below the floor are closed.
        for unit in self.units.iter_mut().filter(|unit| unit.first <= floor) {
            unit.closed = true;
        }
        self.known.retain(|_, unit| !self.units[*unit].closed);
        // A write that is undone while its unit closes is gone for good.
        let units = &self.units;
        for write in &mut self.writes {
            write.is_gone |= units[write.unit].closed && !units[write.unit].is_live();
        }
        // The highest of the other closed ones is the base; all that is beneath a base goes.
        let mut bases: BTreeMap<Register, u64> = BTreeMap::new();
        for write in self.writes.iter().filter(|write| !write.is_gone && units[write.unit].closed) {
            bases.insert(write.to.clone(), write.revision);
        }
        for write in &mut self.writes {
            write.is_gone |= bases.get(&write.to).is_some_and(|base| write.revision < *base);
        }
        // 2. The writes of closed units to objects that are gone or hidden for good are forgotten.
        let cleared = bases.get(&Register::Clear).copied().unwrap_or(0);
        let ids: BTreeSet<&str> = self.writes.iter().filter_map(Write::object).collect();
        let forgotten: BTreeSet<String> =
            ids.into_iter().filter(|id| self.is_forgotten(id, cleared)).map(str::to_owned).collect();
        for write in &mut self.writes {
            let is_of_forgotten = write.object().is_some_and(|id| forgotten.contains(id));
            write.is_gone |= is_of_forgotten && self.units[write.unit].closed;
        }
    }

    /// True if a fold forgets the object, the closed clear being that of revision `cleared` (0 if there is none).
    fn is_forgotten(&self, id: &str, cleared: u64) -> bool {
        let exists = self.existence(id);
        // Where nothing is left that was written to its existence, nothing but a later create can show it.
        let Some(last) = exists.last() else { return true };
        // No open write lies above the one that decides, be it live or undone.
        let deciding = exists.iter().rfind(|write| self.units[write.unit].is_live());
        let Some(deciding) = deciding.filter(|deciding| deciding.revision == last.revision) else {
            return false;
        };
        let is_closed = self.units[deciding.unit].closed;
        is_closed && (deciding.is_delete() || deciding.revision < cleared)
    }

    /// The writes to the existence of an object that are left, in the order of the log.
    fn existence(&self, id: &str) -> Vec<&Write> {
        let exists = |write: &&Write| matches!(&write.to, Register::Object(of, Field::Exists) if of == id);
        self.writes.iter().filter(|write| !write.is_gone).filter(exists).collect()
    }

    /// Revision of the last op.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Units that began at or below it are closed.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// True if a create of the object is its first, as far as anybody can tell.
    pub fn would_start_fresh(&self, id: &str) -> bool {
        self.existence(id).is_empty()
    }

    /// The canvas that readers see.
    pub fn view(&self) -> Value {
        self.render(|unit| self.units[unit].is_live())
    }

    /// The hash of what readers see.
    pub fn state_hash(&self) -> String {
        hash_of(&self.view())
    }

    /// The units that undo and redo would pick among those of everybody.
    pub fn history_all(&self) -> Value {
        self.history(|_| true)
    }

    /// The units that undo and redo would pick among those of one actor.
    pub fn history_mine(&self, actor: &str) -> Value {
        self.history(|unit| unit.actor == actor)
    }

    fn history(&self, is_in_scope: impl Fn(&Unit) -> bool) -> Value {
        let is_in_scope = |unit: usize| !self.units[unit].closed && is_in_scope(&self.units[unit]);
        let world = |is_live: &dyn Fn(usize) -> bool| canonical(&self.render(is_live));
        // A unit shows if it makes a difference to what is seen now, or would with all others in scope undone.
        let is_live = |unit: usize| self.units[unit].is_live();
        let is_live_out_of_scope = |unit: usize| is_live(unit) && !is_in_scope(unit);
        let now = world(&is_live);
        let alone = world(&is_live_out_of_scope);
        let shows = |toggled: usize| {
            now != world(&|unit| is_live(unit) != (unit == toggled))
                || alone != world(&|unit| is_live_out_of_scope(unit) || unit == toggled)
        };
        let mut live = Vec::new();
        let mut undone = Vec::new();
        for (index, unit) in self.units.iter().enumerate() {
            if !unit.draws || !is_in_scope(index) {
                continue;
            }
            match unit.undone {
                Some((at, true)) if !self.went_on(&unit.actor, at) => undone.push((at, index)),
                Some((_, true)) => {}
                _ => live.push((unit.first, index)),
            }
        }
        // The highest one that shows.
        let pick = |mut candidates: Vec<(u64, usize)>| {
            candidates.sort_unstable_by_key(|candidate| Reverse(*candidate));
            candidates.into_iter().map(|(_, unit)| unit).find(|unit| shows(*unit))
        };
        let (undo, redo) = (pick(live), pick(undone));
        let id = |unit: Option<usize>| unit.map(|unit| self.units[unit].id.as_str());
        json!({
            "can_undo": undo.is_some(),
            "can_redo": redo.is_some(),
            "undo_unit": id(undo),
            "redo_unit": id(redo),
        })
    }

    /// True if the actor has begun something new after that revision: then redo is over.
    fn went_on(&self, actor: &str, after: u64) -> bool {
        self.units.iter().any(|unit| unit.draws && unit.actor == actor && unit.first > after)
    }

    /// The value of each register: the last write whose unit is live.
    fn values(&self, is_live: impl Fn(usize) -> bool) -> Values<'_> {
        let seen = self.writes.iter().filter(|write| !write.is_gone && is_live(write.unit));
        // Later ones replace earlier ones.
        seen.map(|write| (&write.to, write)).collect()
    }

    fn render(&self, is_live: impl Fn(usize) -> bool) -> Value {
        let mut canvas = Map::new();
        let mut cleared = 0;
        let mut objects: BTreeMap<&str, BTreeMap<&Field, &Write>> = BTreeMap::new();
        for (register, write) in self.values(is_live) {
            match register {
                Register::Canvas(key) => drop(canvas.insert(key.clone(), write.value().clone())),
                Register::Clear => cleared = write.revision,
                Register::Object(id, field) => {
                    objects.entry(id).or_default().insert(field, write);
                }
            }
        }
        let mut visible: Vec<(Vec<u16>, u64, Value)> = Vec::new();
        for (id, fields) in objects {
            let Some(deciding) = fields.get(&Field::Exists) else { continue };
            if deciding.is_delete() || deciding.revision < cleared {
                continue;
            }
            let z = fields.get(&Field::Z).map_or("", |z| text(z.value()));
            visible.push((z.encode_utf16().collect(), deciding.revision, render_object(id, z, &fields)));
        }
        visible.sort_by(|(z, created, _), (other_z, other_created, _)| {
            z.cmp(other_z).then(created.cmp(other_created))
        });
        let objects: Vec<Value> = visible.into_iter().map(|(_, _, object)| object).collect();
        json!({"canvas": canvas, "objects": objects})
    }
}

impl Unit {
    fn is_live(&self) -> bool {
        !matches!(self.undone, Some((_, true)))
    }
}

/// The canonical JSON of RFC 8785.
pub fn canonical(value: &Value) -> String {
    serde_json_canonicalizer::to_string(value).expect("a JSON value has a canonical form")
}

/// The hash of a rendered view.
pub fn hash_of(view: &Value) -> String {
    Sha256::digest(canonical(view)).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A visible object, from the values of its registers.
fn render_object(id: &str, z: &str, fields: &BTreeMap<&Field, &Write>) -> Value {
    // An unset is a value of the register, and no property of the object.
    let props: Map<String, Value> = (fields.iter())
        .filter_map(|(field, write)| match field {
            Field::Prop(key) => write.value.clone().map(|value| (key.clone(), value)),
            _ => None,
        })
        .collect();
    let kind = fields.get(&Field::Kind).expect("whatever creates an object says its kind").value();
    let mut object = json!({"object_id": id, "kind": kind, "z": z, "props": props});
    if kind == "stroke" {
        if let Some(tool) = fields.get(&Field::Tool) {
            object["tool"] = tool.value().clone();
        }
        let parts: Vec<&Write> =
            (0..).map_while(|index| fields.get(&Field::Points(index)).copied()).collect();
        let points: Vec<Value> = parts.iter().flat_map(|part| items(part.value()).cloned()).collect();
        object["points"] = points.into();
        // The first part is of the begin, the others are the appends joined.
        let joined = parts.len().checked_sub(1);
        object["complete"] =
            joined.is_some_and(|joined| fields.contains_key(&Field::End(joined as u64))).into();
    }
    object
}
