//! One op: parsed from the client's JSON into types, with every rule of its type checked.
//!
//! Owns the shape of ops. It borrows from the JSON it was parsed from, so that the bytes that
//! came are the bytes that are stored, but for ids that `spelling` spells anew.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::{
    Fault, ObjectId, OpId, Revision,
    json::Sound,
    spelling::{SpelledId, respell},
};
use crate::limits;

/// A client's change, valid in itself.
#[derive(Debug)]
pub struct Op<'a> {
    /// The idempotency key.
    pub op_id: OpId,
    /// The undo unit: the first op of the gesture, this op itself by default; for `undo` and
    /// `redo` the unit they act on. `None` for a type that has no unit.
    pub unit: Option<OpId>,
    /// What changes.
    pub change: Change<'a>,
    /// Whether its JSON has these ids as a log has them.
    is_canonical: bool,
}

/// The payload of an op, by its `type`.
#[derive(Debug)]
#[allow(missing_docs, reason = "each field is documented in the OpenAPI document")]
pub enum Change<'a> {
    ObjectCreate {
        object_id: ObjectId,
        kind: Cow<'a, str>,
        z: Option<Cow<'a, str>>,
        props: RawObject<'a>,
    },
    ObjectUpdate {
        object_id: ObjectId,
        z: Option<Cow<'a, str>>,
        set: Option<RawObject<'a>>,
        unset: Vec<Cow<'a, str>>,
    },
    ObjectDelete {
        object_ids: Vec<ObjectId>,
    },
    StrokeBegin {
        object_id: ObjectId,
        z: Option<Cow<'a, str>>,
        tool: Cow<'a, str>,
        props: RawObject<'a>,
        points: Vec<Point>,
    },
    StrokeAppend {
        object_id: ObjectId,
        index: u64,
        points: Vec<Point>,
    },
    StrokeEnd {
        object_id: ObjectId,
        count: u64,
    },
    CanvasSet {
        set: RawObject<'a>,
    },
    CanvasClear,
    Undo,
    Redo,
    Fold {
        floor: Revision,
    },
    Custom {
        name: Cow<'a, str>,
        data: &'a RawValue,
    },
}

/// A free-form JSON object as it came: each key once, sound strings.
#[derive(Clone, Copy, Debug)]
pub struct RawObject<'a>(pub &'a RawValue);

/// One sample of a stroke.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Horizontal position, in the client's units.
    pub x: f64,
    /// Vertical position, in the client's units.
    pub y: f64,
    /// Pressure, where the device tells it.
    pub pressure: Option<f64>,
}

/// Whether this version knows ops of a type.
#[must_use]
pub fn knows_type(name: &str) -> bool {
    let known = [
        "object.create",
        "object.update",
        "object.delete",
        "stroke.begin",
        "stroke.append",
        "stroke.end",
        "canvas.set",
        "canvas.clear",
        "undo",
        "redo",
        "fold",
    ];
    known.contains(&name) || name.starts_with("custom.")
}

/// The points of one op, as they stand in its JSON.
#[derive(Debug, Default)]
struct Points(Vec<Point>);

impl<'a> Op<'a> {
    /// Parses and checks one op from its compact JSON (see [`super::compact`]).
    ///
    /// # Errors
    /// The first broken rule, with a pointer relative to the op.
    pub fn parse(json: &'a str) -> Result<Self, Fault> {
        // serde would take an array as the fields in their order, and readers would get broken JSON.
        if !json.starts_with('{') {
            return Err(Fault::new("", "must be an object"));
        }
        let fields: Fields<'a> =
            serde_json::from_str(json).map_err(|error| Fault::new("", without_position(&error)))?;
        fields.into_op()
    }

    /// The op as a log has it, with its ids in lower case; `None` when `json`, from which it was parsed, is
    /// that already.
    #[must_use]
    pub fn respelled(&self, json: &str) -> Option<Box<str>> {
        (!self.is_canonical).then(|| respell(json, self.op_id, self.unit.unwrap_or(self.op_id)))
    }

    /// Whether the op creates an object of kind `fog`, which only owners may touch.
    #[must_use]
    pub fn creates_fog(&self) -> bool {
        matches!(&self.change, Change::ObjectCreate { kind, .. } if kind == "fog")
    }

    /// Whether the op undoes or redoes its unit rather than joining it.
    #[must_use]
    pub fn is_undo_redo(&self) -> bool {
        matches!(self.change, Change::Undo | Change::Redo)
    }

    /// Whether only the server writes ops of this type.
    #[must_use]
    pub fn is_server_only(&self) -> bool {
        matches!(self.change, Change::Fold { .. })
    }

    /// The objects that the op names.
    #[must_use]
    pub fn touches(&self) -> &[ObjectId] {
        match &self.change {
            Change::ObjectCreate { object_id, .. }
            | Change::ObjectUpdate { object_id, .. }
            | Change::StrokeBegin { object_id, .. }
            | Change::StrokeAppend { object_id, .. }
            | Change::StrokeEnd { object_id, .. } => std::slice::from_ref(object_id),
            Change::ObjectDelete { object_ids } => object_ids,
            _ => &[],
        }
    }
}

/// Every field an op may have. One flat struct, so that an op is parsed in one pass whatever the
/// place of its `type`; unknown and repeated fields are refused by serde.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an op, which is an object")]
struct Fields<'a> {
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
    fn into_op(mut self) -> Result<Op<'a>, Fault> {
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

/// serde's message without its position, which counts in the compacted text the client never saw.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// A field that may be absent but not `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A string, borrowed where the JSON has no escapes in it.
#[derive(Debug)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<'a>(PhantomData<&'a str>);
        impl<'de: 'a, 'a> de::Visitor<'de> for TextVisitor<'a> {
            type Value = Text<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

impl Change<'_> {
    /// Whether it may change the canvas. What is of one's own making, undo, redo and the server's folds are no drawing.
    #[must_use]
    pub fn draws(&self) -> bool {
        !matches!(self, Self::Custom { .. } | Self::Undo | Self::Redo | Self::Fold { .. })
    }
}

impl RawObject<'_> {
    /// Calls `each` with every key and the JSON of its value, in the order in which they came.
    pub fn for_each(self, each: impl FnMut(&str, &str)) {
        // It was parsed when it was taken in.
        let _ = serde_json::Deserializer::from_str(self.0.get()).deserialize_map(EntriesVisitor(each));
    }

    /// Whether it has no entries.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.get().trim_matches(['{', '}']).trim_ascii().is_empty()
    }

    fn has_any_key(self, keys: &[Cow<'_, str>]) -> bool {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(self.0.get())
            .is_ok_and(|map| keys.iter().any(|key| map.contains_key(&**key)))
    }
}

/// Hands over the entries of an object, one by one.
struct EntriesVisitor<F>(F);

impl<'de, F: FnMut(&str, &str)> de::Visitor<'de> for EntriesVisitor<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some((key, value)) = entries.next_entry::<Text<'de>, &'de RawValue>()? {
            (self.0)(&key.0, value.get());
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'a RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Err(de::Error::custom("invalid type: expected an object"));
        }
        serde_json::from_str::<Sound>(raw.get())
            .map_err(|error| de::Error::custom(without_position(&error)))?;
        Ok(Self(raw))
    }
}

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PointsVisitor;
        impl<'de> de::Visitor<'de> for PointsVisitor {
            type Value = Points;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of points")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Points, A::Error> {
                let mut points = Vec::new();
                while let Some(point) = items.next_element::<Point>()? {
                    if points.len() == limits::MAX_POINTS_PER_OP {
                        let rule = format!("an op holds at most {} points", limits::MAX_POINTS_PER_OP);
                        return Err(de::Error::custom(rule));
                    }
                    points.push(point);
                }
                Ok(Points(points))
            }
        }
        deserializer.deserialize_seq(PointsVisitor)
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PointVisitor;
        impl<'de> de::Visitor<'de> for PointVisitor {
            type Value = Point;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a point [x,y] or [x,y,pressure]")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Point, A::Error> {
                let short = |len| de::Error::invalid_length(len, &self);
                let x = items.next_element()?.ok_or_else(|| short(0))?;
                let y = items.next_element()?.ok_or_else(|| short(1))?;
                let pressure = items.next_element()?;
                if items.next_element::<de::IgnoredAny>()?.is_some() {
                    return Err(short(4));
                }
                Ok(Point { x, y, pressure })
            }
        }
        deserializer.deserialize_seq(PointVisitor)
    }
}

/// Types of ops that have no unit and begin none, whether or not this version can read them.
const TYPES_WITHOUT_UNIT: [&str; 5] = ["fold", "lesson.start", "score.update", "step.change", "step.submit"];

/// Whether ops of a type have no unit.
pub(super) fn is_without_unit(type_name: &str) -> bool {
    TYPES_WITHOUT_UNIT.contains(&type_name)
}

/// Types of ops that only the server writes, whether or not this version can read them.
const SERVER_TYPES: [&str; 3] = ["fold", "lesson.start", "score.update"];

/// Whether the JSON of an op, valid or not, names a type that only the server writes.
#[must_use]
pub fn names_server_type(json: &str) -> bool {
    #[derive(Deserialize)]
    struct Frame<'a> {
        #[serde(borrow, rename = "type")]
        type_name: Cow<'a, str>,
    }
    serde_json::from_str::<Frame<'_>>(json).is_ok_and(|frame| SERVER_TYPES.contains(&&*frame.type_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0198f0a0-7d2c-7aaa-8bbb-0123456789ab";

    fn fault(fields: &str) -> Option<Fault> {
        Op::parse(&format!(r#"{{"op_id":"{ID}",{fields}}}"#)).err()
    }

    #[test]
    fn a_unit_is_the_op_itself_by_default() {
        let json = format!(r#"{{"type":"canvas.clear","op_id":"{ID}"}}"#);
        let op = Op::parse(&json).unwrap();
        assert_eq!(op.unit, Some(op.op_id));
        assert!(fault(r#""type":"undo""#).is_some_and(|f| f.pointer == "/unit"));
    }

    #[test]
    fn a_fold_has_a_floor_and_no_unit() {
        let json = format!(r#"{{"type":"fold","op_id":"{ID}","floor":7}}"#);
        let op = Op::parse(&json).unwrap();
        assert!(matches!(op.change, Change::Fold { floor: Revision(7) }));
        assert!(op.unit.is_none() && op.is_server_only() && !op.change.draws());
        for (fields, pointer) in [
            (r#""type":"fold""#.to_owned(), "/floor"),
            (r#""type":"fold","floor":0"#.to_owned(), "/floor"),
            (r#""type":"fold","floor":9007199254740993"#.to_owned(), "/floor"),
            (r#""type":"fold","floor":-1"#.to_owned(), ""),
            (format!(r#""type":"fold","floor":1,"unit":"{ID}""#), "/unit"),
            (r#""type":"canvas.clear","floor":1"#.to_owned(), "/floor"),
        ] {
            assert_eq!(fault(&fields).expect(&fields).pointer, pointer, "{fields}");
        }
    }

    #[test]
    fn fields_are_required_known_of_their_type_and_never_null() {
        let rows = [
            (r#""type":"object.create","object_id":"a","props":{}"#, "/kind"),
            (r#""type":"stroke.end","object_id":"a","count":1,"index":1"#, "/index"),
            (r#""type":"canvas.clear","tool":"pen"""#, ""),
            (r#""type":"canvas.clear","colour":1"#, ""),
            (r#""type":"canvas.clear","type":"canvas.clear""#, ""),
            (r#""type":"object.update","object_id":"a","z":null"#, ""),
            (r#""type":"object.update","object_id":"a","set":[]"#, ""),
            (r#""type":"object.update","object_id":"a","set":{"x":1,"x":2}"#, ""),
            (r#""type":"object.update","object_id":"a","set":{"x":1},"unset":["x"]"#, "/unset"),
            (r#""type":"object.create","object_id":"a b","kind":"rect","props":{}"#, ""),
            (r#""type":"stroke.append","object_id":"a","index":0,"points":[]"#, "/index"),
            (r#""type":"stroke.append","object_id":"a","index":-1,"points":[]"#, ""),
            (r#""type":"stroke.append","object_id":"a","index":1.5,"points":[]"#, ""),
            (r#""type":"stroke.append","object_id":"a","index":1,"points":[[1]]"#, ""),
            (r#""type":"stroke.append","object_id":"a","index":1,"points":[[1,2,3,4]]"#, ""),
            (r#""type":"stroke.append","object_id":"a","index":1,"points":[["1",2]]"#, ""),
            (r#""type":"custom.","data":1"#, "/type"),
            (r#""type":"custom.a b","data":1"#, "/type"),
            (r#""type":"custom.a","data":{"x":1,"x":1}"#, "/data"),
            (r#""type":"draw""#, "/type"),
        ];
        for (fields, pointer) in rows {
            assert_eq!(fault(fields).expect(fields).pointer, pointer, "{fields}");
        }
    }

    #[test]
    fn every_limit_of_an_op_holds_and_breaks_at_one_more() {
        let points = |n: usize| vec!["[0,0]"; n].join(",");
        let stroke =
            |n| format!(r#""type":"stroke.append","object_id":"a","index":1,"points":[{}]"#, points(n));
        let kind =
            |n| format!(r#""type":"object.create","object_id":"a","kind":"{}","props":{{}}"#, "k".repeat(n));
        let z = |n| format!(r#""type":"object.update","object_id":"a","z":"{}""#, "z".repeat(n));
        let meta = |n: usize| format!(r#""type":"canvas.clear","meta":{{"a":"{}"}}"#, "m".repeat(n - 8));
        let client = |n| format!(r#""type":"canvas.clear","client_id":"{}""#, "c".repeat(n));
        let custom = |n| format!(r#""type":"custom.{}","data":0"#, "n".repeat(n));
        let delete =
            |n: usize| format!(r#""type":"object.delete","object_ids":[{}]"#, vec![r#""a""#; n].join(","));
        let rows: [(&dyn Fn(usize) -> String, usize); 7] = [
            (&delete, limits::MAX_OBJECT_IDS_PER_OP),
            (&stroke, limits::MAX_POINTS_PER_OP),
            (&kind, limits::MAX_NAME_CHARS),
            (&z, limits::MAX_Z_CHARS),
            (&meta, limits::MAX_META_BYTES),
            (&client, limits::MAX_CLIENT_ID_CHARS),
            (&custom, limits::MAX_NAME_CHARS),
        ];
        for (fields, limit) in rows {
            assert_eq!(fault(&fields(limit)), None);
            assert!(fault(&fields(limit + 1)).is_some(), "{}", fields(8));
        }
    }
}
