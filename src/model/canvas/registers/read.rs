//! The way from the JSON of registers back to the canvas, and no further than they make sense.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    marker::PhantomData,
};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess},
};
use serde_json::value::RawValue;

use super::{InvalidRegisters, REGISTERS_FORMAT};
use crate::model::{
    ObjectId, OpId, Revision,
    canonical::Key,
    canvas::{
        Canvas,
        chain::{CLOSED, Chain, Write},
        chains::Chains,
        object::{Existence, Json, Object},
        units::{Unit, Units},
    },
};

impl Canvas {
    /// The canvas at `revision`, of which these are the registers.
    ///
    /// # Errors
    /// When they are no registers, or contradict themselves.
    pub fn from_registers(revision: Revision, registers: &str) -> Result<Self, InvalidRegisters> {
        let parts: Parts<'_> = serde_json::from_str(registers)?;
        if parts.format != REGISTERS_FORMAT {
            return Err(InvalidRegisters::Format(parts.format));
        }
        let floor = part(parts.floor)?;
        // A fold closes what lies before it.
        if floor > 0 && floor >= revision.0 {
            return Err(InvalidRegisters::Contradiction);
        }
        let units: BTreeMap<OpId, UnitIn<'_>> = part(parts.units)?;
        let mut units: Vec<_> = units.into_iter().collect();
        units.sort_unstable_by_key(|(_, unit)| unit.first);
        let mut canvas = Self { revision, floor, ..Self::default() };
        for (id, UnitIn { first, actor, draws, touched, undone }) in units {
            let is_open = first > floor && first <= revision.0;
            let is_toggled_later = undone.is_none_or(|(at, _)| at > first && at <= revision.0);
            if !is_open || !is_toggled_later || canvas.units.get(first).is_some() {
                return Err(InvalidRegisters::Contradiction);
            }
            canvas.units.add(Unit { id, first, actor: (&*actor).into(), draws, touched, toggled: undone });
        }
        let reader = Reader { units: &canvas.units, revision: revision.0 };
        canvas.props =
            reader.chains(part(parts.canvas)?, |key: Cow<'_, str>| Key((&*key).into()), json_value)?;
        canvas.clear = reader.chain(part(parts.clear)?, |value| value.is_none().then_some(()))?;
        canvas.objects = reader.objects(parts.objects)?;
        let listed = canvas.objects.iter_mut().filter(|(_, object)| object.is_open());
        canvas.listed = listed
            .map(|(id, object)| {
                object.is_listed = true;
                id.clone()
            })
            .collect();
        Ok(canvas)
    }
}

/// The members of registers, each to be read by itself; those of another format are others.
#[derive(Deserialize)]
struct Parts<'a> {
    format: u64,
    #[serde(borrow, default)]
    floor: Option<&'a RawValue>,
    #[serde(borrow, default)]
    canvas: Option<&'a RawValue>,
    #[serde(borrow, default)]
    clear: Option<&'a RawValue>,
    #[serde(borrow, default)]
    objects: Option<&'a RawValue>,
    #[serde(borrow, default)]
    units: Option<&'a RawValue>,
}

/// Reads a member, which has to be there.
fn part<'a, T: Deserialize<'a>>(member: Option<&'a RawValue>) -> Result<T, serde_json::Error> {
    serde_json::from_str(member.map_or("", RawValue::get))
}

#[derive(Deserialize)]
struct UnitIn<'a> {
    first: u64,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    draws: bool,
    touched: i64,
    #[serde(default)]
    undone: Option<(u64, bool)>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct ObjectIn<'a> {
    exists: Vec<WriteIn<'a>>,
    kind: Vec<WriteIn<'a>>,
    z: Vec<WriteIn<'a>>,
    tool: Vec<WriteIn<'a>>,
    props: BTreeMap<Cow<'a, str>, Vec<WriteIn<'a>>>,
    points: BTreeMap<u64, Vec<WriteIn<'a>>>,
    ends: BTreeMap<u64, Vec<WriteIn<'a>>>,
}

/// `[revision, unit, value]`.
struct WriteIn<'a> {
    revision: u64,
    unit: Option<OpId>,
    value: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for WriteIn<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WriteVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> de::Visitor<'de> for WriteVisitor<'a> {
            type Value = WriteIn<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[revision, unit, value]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<WriteIn<'a>, A::Error> {
                let short = |len| de::Error::invalid_length(len, &self);
                let revision = items.next_element()?.ok_or_else(|| short(0))?;
                let unit = items.next_element()?.ok_or_else(|| short(1))?;
                let value = items.next_element()?;
                if items.next_element::<IgnoredAny>()?.is_some() {
                    return Err(short(4));
                }
                Ok(WriteIn { revision, unit, value })
            }
        }
        deserializer.deserialize_seq(WriteVisitor(PhantomData))
    }
}

/// Knows the units that writes may name.
struct Reader<'a> {
    units: &'a Units,
    /// No write is newer.
    revision: u64,
}

impl Reader<'_> {
    fn chain<T>(
        &self,
        writes: Vec<WriteIn<'_>>,
        value: impl Fn(Option<&RawValue>) -> Option<T>,
    ) -> Result<Chain<T>, InvalidRegisters> {
        let mut last = 0;
        let write = |WriteIn { revision, unit, value: json }| {
            let unit = match unit {
                // Only the first may be folded.
                None if last == 0 => Some(CLOSED),
                None => None,
                Some(id) => self.units.find(id).filter(|first| *first <= revision),
            };
            let ascends = revision > last && revision <= self.revision;
            last = revision;
            match (unit, value(json)) {
                (Some(unit), Some(value)) if ascends => Ok(Write { revision, unit, value }),
                _ => Err(InvalidRegisters::Contradiction),
            }
        };
        let writes = writes.into_iter().map(write).collect::<Result<Vec<_>, _>>()?;
        if !is_each_unit_once(&writes) {
            return Err(InvalidRegisters::Contradiction);
        }
        Ok(Chain::from_writes(writes))
    }

    fn chains<K, L: Ord, T>(
        &self,
        chains: BTreeMap<K, Vec<WriteIn<'_>>>,
        key: impl Fn(K) -> L,
        value: impl Fn(Option<&RawValue>) -> Option<T>,
    ) -> Result<Chains<L, T>, InvalidRegisters> {
        let chain = |(name, writes)| match self.chain(writes, &value)? {
            chain if chain.is_empty() => Err(InvalidRegisters::Contradiction),
            chain => Ok((key(name), chain)),
        };
        chains.into_iter().map(chain).collect()
    }

    fn objects(&self, json: Option<&RawValue>) -> Result<HashMap<ObjectId, Object>, InvalidRegisters> {
        let mut objects = Objects { reader: self, objects: HashMap::new(), contradicts: false };
        let mut json = serde_json::Deserializer::from_str(json.map_or("", RawValue::get));
        json.deserialize_map(&mut objects)?;
        if objects.contradicts { Err(InvalidRegisters::Contradiction) } else { Ok(objects.objects) }
    }

    fn object(&self, object: ObjectIn<'_>) -> Result<Object, InvalidRegisters> {
        let object = Object {
            exists: self.chain(object.exists, existence)?,
            kind: self.chain(object.kind, text)?,
            z: self.chain(object.z, text)?,
            tool: self.chain(object.tool, text)?,
            props: self.chains(object.props, |key| Key((&*key).into()), json_value)?,
            points: self.chains(object.points, |index| index, points)?,
            ends: self.chains(object.ends, |count| count, |value| value.is_none().then_some(()))?,
            is_listed: false,
        };
        if object.is_empty() { Err(InvalidRegisters::Contradiction) } else { Ok(object) }
    }
}

/// Reads objects one by one, so that no more than one of them is there in two forms.
struct Objects<'r, 'u> {
    reader: &'r Reader<'u>,
    objects: HashMap<ObjectId, Object>,
    contradicts: bool,
}

impl<'de> de::Visitor<'de> for &mut Objects<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects by their ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some((id, object)) = entries.next_entry::<ObjectId, ObjectIn<'de>>()? {
            match self.reader.object(object) {
                Ok(object) => drop(self.objects.insert(id, object)),
                Err(_) => self.contradicts = true,
            }
        }
        Ok(())
    }
}

fn is_each_unit_once<T>(writes: &[Write<T>]) -> bool {
    if writes.len() < 2 {
        return true;
    }
    let mut units: Vec<_> = writes.iter().map(|write| write.unit).collect();
    units.sort_unstable();
    units.is_sorted_by(|a, b| a < b)
}

/// Values were canonical when they were written.
#[allow(clippy::unnecessary_wraps, reason = "has the form of the others")]
fn json_value(value: Option<&RawValue>) -> Option<Json> {
    Some(value.map(|json| json.get().into()))
}

fn existence(value: Option<&RawValue>) -> Option<Existence> {
    match value?.get() {
        r#""create""# => Some(Existence::Created),
        r#""delete""# => Some(Existence::Deleted),
        _ => None,
    }
}

fn text(value: Option<&RawValue>) -> Option<Box<str>> {
    serde_json::from_str::<Cow<'_, str>>(value?.get()).ok().map(|text| (&*text).into())
}

fn points(value: Option<&RawValue>) -> Option<Box<str>> {
    value?.get().strip_prefix('[')?.strip_suffix(']').map(Into::into)
}
