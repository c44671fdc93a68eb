//! The way from the fields of an op to the op: the fields that each type takes, and what they may hold.
//!
//! Owns every rule of a type.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{
    Change, Op,
    points::Points,
    raw::{RawObject, Text, without_position},
    spelling::SpelledId,
};
use crate::{
    limits,
    model::{Fault, ObjectId, Revision, json::Sound},
};

/// Every field an op may have. One flat struct, so that an op is parsed in one pass whatever the
/// place of its `type`; unknown and repeated fields are refused by serde.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an op, which is an object")]
pub(super) struct Fields<'a> {
    op_id: SpelledId,
    #[serde(borrow, rename = "type")]
    type_name: Text<'a>,
    #[serde(default, deserialize_with = "present")]
    unit: Option<SpelledId>,
    #[serde(borrow, default, deserialize_with = "present")]
    client_id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    meta: Option<RawObject<'a>>,
    #[serde(default, deserialize_with = "present")]
    object_id: Option<ObjectId>,
    #[serde(borrow, default, deserialize_with = "present")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    z: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    props: Option<RawObject<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    set: Option<RawObject<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    unset: Option<Vec<Text<'a>>>,
    #[serde(default, deserialize_with = "present")]
    object_ids: Option<Vec<ObjectId>>,
    #[serde(borrow, default, deserialize_with = "present")]
    tool: Option<Text<'a>>,
    #[serde(default, deserialize_with = "present")]
    points: Option<Points>,
    #[serde(default, deserialize_with = "present")]
    index: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    count: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    floor: Option<u64>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    /// Checks every rule of the type, and takes the fields into their places.
    pub(super) fn into_op(mut self) -> Result<Op<'a>, Fault> {
        self.check_common()?;
        let op_id = self.op_id.id;
        let is_canonical = self.op_id.is_canonical && self.unit.is_none_or(|unit| unit.is_canonical);
        let named_unit = self.unit.map(|unit| unit.id);
        let type_name = self.type_name.0.clone();
        let (change, unit) = match &*type_name {
            "undo" | "redo" => {
                let unit = named_unit.ok_or_else(|| missing("unit"))?;
                (if type_name == "undo" { Change::Undo } else { Change::Redo }, Some(unit))
            }
            "fold" if named_unit.is_some() => return Err(not_of("unit", "fold")),
            "fold" => (self.take_fold()?, None),
            _ => (self.take_change(&type_name)?, Some(named_unit.unwrap_or(op_id))),
        };
        self.refuse_rest(&type_name)?;
        Ok(Op { op_id, unit, change, is_canonical })
    }

    fn take_change(&mut self, type_name: &Cow<'a, str>) -> Result<Change<'a>, Fault> {
        Ok(match &**type_name {
            "object.create" => Change::ObjectCreate {
                object_id: take(&mut self.object_id, "object_id")?,
                kind: name("kind", take(&mut self.kind, "kind")?)?,
                z: self.take_z()?,
                props: take(&mut self.props, "props")?,
            },
            "object.update" => self.take_update()?,
            "object.delete" => self.take_delete()?,
            "stroke.begin" => Change::StrokeBegin {
                object_id: take(&mut self.object_id, "object_id")?,
                z: self.take_z()?,
                tool: name("tool", take(&mut self.tool, "tool")?)?,
                props: take(&mut self.props, "props")?,
                points: take(&mut self.points, "points")?.0,
            },
            "stroke.append" => Change::StrokeAppend {
                object_id: take(&mut self.object_id, "object_id")?,
                index: match take(&mut self.index, "index")? {
                    0 => return Err(Fault::new("/index", "counts from 1")),
                    index => index,
                },
                points: take(&mut self.points, "points")?.0,
            },
            "stroke.end" => Change::StrokeEnd {
                object_id: take(&mut self.object_id, "object_id")?,
                count: take(&mut self.count, "count")?,
            },
            "canvas.set" => Change::CanvasSet { set: take(&mut self.set, "set")? },
            "canvas.clear" => Change::CanvasClear,
            _ => Change::Custom { name: custom_name(type_name)?, data: take(&mut self.data, "data")? },
        })
    }

    fn take_update(&mut self) -> Result<Change<'a>, Fault> {
        let object_id = take(&mut self.object_id, "object_id")?;
        let z = self.take_z()?;
        let set = self.set.take();
        let unset: Vec<_> = self.unset.take().unwrap_or_default().into_iter().map(|key| key.0).collect();
        if let (Some(set), false) = (set, unset.is_empty())
            && set.has_any_key(&unset)
        {
            return Err(Fault::new("/unset", "names a property that is also in set"));
        }
        Ok(Change::ObjectUpdate { object_id, z, set, unset })
    }

    fn take_delete(&mut self) -> Result<Change<'a>, Fault> {
        let object_ids = take(&mut self.object_ids, "object_ids")?;
        if object_ids.len() > limits::MAX_OBJECT_IDS_PER_OP {
            let rule = format!("must be at most {} objects", limits::MAX_OBJECT_IDS_PER_OP);
            return Err(Fault::new("/object_ids", rule));
        }
        Ok(Change::ObjectDelete { object_ids })
    }

    fn take_fold(&mut self) -> Result<Change<'a>, Fault> {
        match take(&mut self.floor, "floor")? {
            0 => Err(Fault::new("/floor", "is a revision, from 1")),
            floor if floor > limits::MAX_INTEGER => Err(Fault::new("/floor", "is at most 2^53")),
            floor => Ok(Change::Fold { floor: Revision(floor) }),
        }
    }

    fn take_z(&mut self) -> Result<Option<Cow<'a, str>>, Fault> {
        match self.z.take() {
            Some(z) if z.0.chars().count() > limits::MAX_Z_CHARS => {
                Err(Fault::new("/z", format!("must be at most {} characters", limits::MAX_Z_CHARS)))
            }
            z => Ok(z.map(|z| z.0)),
        }
    }

    /// Checks the fields that any op may carry.
    fn check_common(&self) -> Result<(), Fault> {
        if let Some(client_id) = &self.client_id
            && !(1..=limits::MAX_CLIENT_ID_CHARS).contains(&client_id.0.chars().count())
        {
            let rule = format!("must be 1 to {} characters", limits::MAX_CLIENT_ID_CHARS);
            return Err(Fault::new("/client_id", rule));
        }
        if let Some(meta) = self.meta
            && meta.0.get().len() > limits::MAX_META_BYTES
        {
            return Err(Fault::new("/meta", format!("must be at most {} bytes", limits::MAX_META_BYTES)));
        }
        if let Some(data) = self.data {
            serde_json::from_str::<Sound>(data.get())
                .map_err(|error| Fault::new("/data", without_position(&error)))?;
        }
        Ok(())
    }

    /// Refuses fields that belong to other types: a log is for ever, and so would be a typo.
    fn refuse_rest(&self, type_name: &str) -> Result<(), Fault> {
        let left = [
            ("object_id", self.object_id.is_some()),
            ("kind", self.kind.is_some()),
            ("z", self.z.is_some()),
            ("props", self.props.is_some()),
            ("set", self.set.is_some()),
            ("unset", self.unset.is_some()),
            ("object_ids", self.object_ids.is_some()),
            ("tool", self.tool.is_some()),
            ("points", self.points.is_some()),
            ("index", self.index.is_some()),
            ("count", self.count.is_some()),
            ("floor", self.floor.is_some()),
            ("data", self.data.is_some()),
        ];
        match left.iter().find(|(_, is_left)| *is_left) {
            Some((field, _)) => Err(not_of(field, type_name)),
            None => Ok(()),
        }
    }
}

fn take<T>(field: &mut Option<T>, name: &str) -> Result<T, Fault> {
    field.take().ok_or_else(|| missing(name))
}

fn not_of(field: &str, type_name: &str) -> Fault {
    Fault::new(format!("/{field}"), format!("is not a field of {type_name}"))
}

fn missing(field: &str) -> Fault {
    Fault::new(format!("/{field}"), "is required")
}

fn name<'a>(field: &str, text: Text<'a>) -> Result<Cow<'a, str>, Fault> {
    if (1..=limits::MAX_NAME_CHARS).contains(&text.0.chars().count()) {
        return Ok(text.0);
    }
    Err(Fault::new(format!("/{field}"), format!("must be 1 to {} characters", limits::MAX_NAME_CHARS)))
}

fn custom_name<'a>(type_name: &Cow<'a, str>) -> Result<Cow<'a, str>, Fault> {
    let Some(name) = type_name.strip_prefix("custom.") else {
        return Err(Fault::new("/type", "is unknown; types of your own are named custom.<name>"));
    };
    let fits = (1..=limits::MAX_NAME_CHARS).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if fits {
        return Ok(Cow::Owned(name.to_owned()));
    }
    let rule = format!("the name must be 1 to {} characters of A-Z a-z 0-9 _ - .", limits::MAX_NAME_CHARS);
    Err(Fault::new("/type", rule))
}

/// A field that may be absent but not `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
