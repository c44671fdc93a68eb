//! A canvas to the JSON of its registers.

use super::REGISTERS_FORMAT;
use crate::model::{
    OpId,
    canonical::write_string,
    canvas::{
        Canvas,
        chain::Chain,
        chains::Chains,
        object::{Existence, Json, Object},
        render::in_pieces,
        units::{Unit, Units},
    },
};

impl Canvas {
    /// The registers as JSON.
    #[must_use]
    pub fn registers(&self) -> String {
        let mut out = String::new();
        self.spell(&mut out, &mut |_| ());
        out
    }

    /// The same, handed over piece by piece, so that they are never in memory as a whole.
    pub fn write_registers(&self, take: &mut dyn FnMut(&str)) {
        in_pieces(take, |out, full| self.spell(out, full));
    }

    /// Writes the registers to `out`, which `full` may empty between two objects or units.
    fn spell(&self, out: &mut String, full: &mut dyn FnMut(&mut String)) {
        let mut out = Writer { out, units: &self.units };
        out.out.push_str(r#"{"format":"#);
        out.number(REGISTERS_FORMAT);
        out.out.push_str(r#","floor":"#);
        out.number(self.floor);
        out.out.push_str(r#","canvas":"#);
        out.map(self.props.iter().map(|(key, chain)| (&*key.0, chain)), |out, chain| {
            out.chain(chain, write_json)
        });
        out.out.push_str(r#","clear":"#);
        out.chain(&self.clear, |_, ()| false);
        out.out.push_str(r#","objects":"#);
        // They are written in the order of their ids, so that one state has one spelling.
        let mut objects: Vec<_> = self.objects.iter().collect();
        objects.sort_unstable_by_key(|(id, _)| *id);
        out.map(objects.into_iter().map(|(id, object)| (id.as_str(), object)), |out, object| {
            out.object(object);
            full(out.out);
        });
        out.out.push_str(r#","units":{"#);
        for (nth, unit) in self.units.iter().enumerate() {
            out.unit(unit, nth > 0);
            full(out.out);
        }
        out.out.push_str("}}");
    }
}

struct Writer<'a> {
    out: &'a mut String,
    units: &'a Units,
}

impl Writer<'_> {
    fn map<'k, T>(
        &mut self,
        entries: impl Iterator<Item = (&'k str, T)>,
        mut value: impl FnMut(&mut Self, T),
    ) {
        self.out.push('{');
        for (nth, (key, entry)) in entries.enumerate() {
            if nth > 0 {
                self.out.push(',');
            }
            write_string(self.out, key);
            self.out.push(':');
            value(self, entry);
        }
        self.out.push('}');
    }

    /// `value` writes what a write has, after a comma, and tells whether it has any.
    fn chain<T>(&mut self, chain: &Chain<T>, value: impl Fn(&mut String, &T) -> bool) {
        self.out.push('[');
        for (nth, write) in chain.iter().enumerate() {
            self.out.push_str(if nth > 0 { ",[" } else { "[" });
            self.number(write.revision);
            self.out.push(',');
            match self.units.get(write.unit) {
                Some(unit) => self.id(unit.id),
                None => self.out.push_str("null"),
            }
            self.out.push(',');
            if !value(self.out, &write.value) {
                self.out.pop();
            }
            self.out.push(']');
        }
        self.out.push(']');
    }

    fn object(&mut self, object: &Object) {
        self.out.push('{');
        let start = self.out.len();
        let name = |out: &mut Self, name: &str| {
            if out.out.len() > start {
                out.out.push(',');
            }
            write_string(out.out, name);
            out.out.push(':');
        };
        if !object.exists.is_empty() {
            name(self, "exists");
            self.chain(&object.exists, write_existence);
        }
        for (field, chain) in [("kind", &object.kind), ("z", &object.z), ("tool", &object.tool)] {
            if !chain.is_empty() {
                name(self, field);
                self.chain(chain, |out, text| {
                    write_string(out, text);
                    true
                });
            }
        }
        if !object.props.is_empty() {
            name(self, "props");
            let props = object.props.iter().map(|(key, chain)| (&*key.0, chain));
            self.map(props, |out, chain| out.chain(chain, write_json));
        }
        if !object.points.is_empty() {
            name(self, "points");
            self.numbered(&object.points, |out, points| {
                out.push('[');
                out.push_str(points);
                out.push(']');
                true
            });
        }
        if !object.ends.is_empty() {
            name(self, "ends");
            self.numbered(&object.ends, |_, ()| false);
        }
        self.out.push('}');
    }

    fn numbered<T>(&mut self, chains: &Chains<u64, T>, value: impl Fn(&mut String, &T) -> bool) {
        self.out.push('{');
        for (nth, (index, chain)) in chains.iter().enumerate() {
            self.out.push_str(if nth > 0 { ",\"" } else { "\"" });
            self.number(*index);
            self.out.push_str("\":");
            self.chain(chain, &value);
        }
        self.out.push('}');
    }

    fn unit(&mut self, unit: &Unit, is_next: bool) {
        if is_next {
            self.out.push(',');
        }
        self.id(unit.id);
        self.out.push_str(r#":{"first":"#);
        self.number(unit.first);
        self.out.push_str(r#","actor":"#);
        write_string(self.out, &unit.actor);
        self.out.push_str(if unit.draws { r#","draws":true"# } else { r#","draws":false"# });
        self.out.push_str(r#","touched":"#);
        self.out.push_str(itoa::Buffer::new().format(unit.touched));
        if let Some((revision, is_undone)) = unit.toggled {
            self.out.push_str(r#","undone":["#);
            self.number(revision);
            self.out.push_str(if is_undone { ",true]" } else { ",false]" });
        }
        self.out.push('}');
    }

    fn number(&mut self, number: u64) {
        self.out.push_str(itoa::Buffer::new().format(number));
    }

    fn id(&mut self, id: OpId) {
        self.out.push('"');
        self.out.push_str(id.0.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
        self.out.push('"');
    }
}

fn write_json(out: &mut String, value: &Json) -> bool {
    out.push_str(value.as_deref().unwrap_or_default());
    value.is_some()
}

fn write_existence(out: &mut String, value: &Existence) -> bool {
    out.push_str(match value {
        Existence::Created => r#""create""#,
        Existence::Deleted => r#""delete""#,
    });
    true
}
