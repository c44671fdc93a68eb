//! The writes of the ops of a log, and the registers they go to.
//!
//! Owns how an op is read. It never asks what else is in the log.

use serde_json::Value;

/// One thing that one op writes.
#[derive(Debug)]
pub struct Write {
    pub revision: u64,
    /// Index of the unit that wrote it.
    pub unit: usize,
    pub to: Register,
    /// Nothing for an unset, a clear and an end.
    pub value: Option<Value>,
    /// True if a fold took it away.
    pub is_gone: bool,
}

/// A register, which is written to, and read as one value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Register {
    Canvas(String),
    Clear,
    Object(String, Field),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// `"create"` or `"delete"`.
    Exists,
    Kind,
    Z,
    Tool,
    Prop(String),
    /// The points of `stroke.begin` at 0, those of each append at its index.
    Points(u64),
    /// The end with this count, if there is one.
    End(u64),
}

impl Write {
    pub fn is_delete(&self) -> bool {
        self.value.as_ref().is_some_and(|value| value == "delete")
    }

    /// The object that is written to; none where it is the canvas itself.
    pub fn object(&self) -> Option<&str> {
        match &self.to {
            Register::Object(id, _) => Some(id),
            Register::Canvas(_) | Register::Clear => None,
        }
    }

    pub fn value(&self) -> &Value {
        self.value.as_ref().expect("only an unset, a clear and an end are without a value")
    }
}

/// The unit that an op belongs to or, if it is an undo or redo, acts on. UUIDs are the same in either case.
/// A fold has none, and must not be asked for it.
pub fn unit_of(op: &Value) -> String {
    assert_ne!(op["type"], "fold", "a fold has no unit");
    text(op.get("unit").unwrap_or(&op["op_id"])).to_ascii_lowercase()
}

/// True if ops of this type can change the canvas by themselves.
pub fn is_drawing(type_name: &str) -> bool {
    matches!(
        type_name,
        "object.create"
            | "object.update"
            | "object.delete"
            | "stroke.begin"
            | "stroke.append"
            | "stroke.end"
            | "canvas.set"
            | "canvas.clear"
    )
}

/// Returns the writes of an op.
pub fn writes_of(op: &Value) -> Vec<(Register, Option<Value>)> {
    let object = |field| Register::Object(text(&op["object_id"]).to_owned(), field);
    let mut writes = Vec::new();
    match text(&op["type"]) {
        "object.create" => {
            writes.push((object(Field::Exists), Some("create".into())));
            writes.push((object(Field::Kind), Some(op["kind"].clone())));
            writes.extend(op.get("z").map(|z| (object(Field::Z), Some(z.clone()))));
            writes.extend(entries(&op["props"]).map(|(key, value)| (object(Field::Prop(key)), Some(value))));
        }
        "object.update" => {
            writes.extend(op.get("z").map(|z| (object(Field::Z), Some(z.clone()))));
            writes.extend(entries(&op["set"]).map(|(key, value)| (object(Field::Prop(key)), Some(value))));
            writes.extend(items(&op["unset"]).map(|key| (object(Field::Prop(text(key).to_owned())), None)));
        }
        "object.delete" => {
            let exists = |id| Register::Object(text(id).to_owned(), Field::Exists);
            writes.extend(items(&op["object_ids"]).map(|id| (exists(id), Some("delete".into()))));
        }
        "stroke.begin" => {
            writes.push((object(Field::Exists), Some("create".into())));
            writes.push((object(Field::Kind), Some("stroke".into())));
            writes.extend(op.get("z").map(|z| (object(Field::Z), Some(z.clone()))));
            writes.push((object(Field::Tool), Some(op["tool"].clone())));
            writes.extend(entries(&op["props"]).map(|(key, value)| (object(Field::Prop(key)), Some(value))));
            writes.push((object(Field::Points(0)), Some(op["points"].clone())));
        }
        "stroke.append" => {
            let index = op["index"].as_u64().expect("an append has an index");
            writes.push((object(Field::Points(index)), Some(op["points"].clone())));
        }
        "stroke.end" => {
            let count = op["count"].as_u64().expect("an end has a count");
            writes.push((object(Field::End(count)), None));
        }
        "canvas.set" => {
            writes.extend(entries(&op["set"]).map(|(key, value)| (Register::Canvas(key), Some(value))));
        }
        "canvas.clear" => writes.push((Register::Clear, None)),
        _ => {}
    }
    writes
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}"))
}

/// The keys and values of an object; none if it is absent.
fn entries(object: &Value) -> impl Iterator<Item = (String, Value)> {
    object.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()))
}

/// The items of an array; none if it is absent.
pub fn items(array: &Value) -> impl Iterator<Item = &Value> {
    array.as_array().into_iter().flatten()
}
