//! The state that one connection shows to the others: its cursor, its selection, whatever fits.
//!
//! Owns the rules of a state, and the two fields of it that the server understands. A state is never
//! stored; the rest of it means nothing here.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, value::RawValue};

use super::json::{Sound, compact};
use crate::limits;

/// The state of one connection: a JSON object, compact. Cheap to clone.
#[derive(Clone)]
pub struct PresenceState {
    /// The object as it came, less white space.
    json: Arc<RawValue>,
    /// Its field `cursor`, where it is understood.
    cursor: Option<CanvasPoint>,
    /// Its field `viewport`, where it is understood.
    viewport: Option<Viewport>,
}

/// A place on the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CanvasPoint {
    /// The distance to the right.
    pub x: f64,
    /// The distance downwards.
    pub y: f64,
}

/// The part of the canvas that somebody sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewport {
    /// The left edge.
    pub x: f64,
    /// The upper edge.
    pub y: f64,
    /// At least 0.
    pub width: f64,
    /// At least 0.
    pub height: f64,
}

/// Why a state is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPresence {
    /// Something else than an object.
    #[error("must be an object")]
    NotObject,
    /// Over `MAX_PRESENCE_STATE_BYTES`.
    #[error("must be at most {} bytes of compact JSON", limits::MAX_PRESENCE_STATE_BYTES)]
    TooLarge,
    /// Some readers could not read it.
    #[error("must be JSON with each key once in an object, and strings that are Unicode")]
    Unsound,
    /// A rule that holds for every JSON value that is passed on.
    #[error("{0}")]
    Json(&'static str),
}

impl PresenceState {
    /// Checks the text of a state.
    ///
    /// # Errors
    /// The rule that is broken. A `cursor` or `viewport` of another form than expected breaks none: it
    /// is passed on and not understood.
    pub fn parse(json: &str) -> Result<Self, InvalidPresence> {
        if json.trim_ascii_start().as_bytes().first() != Some(&b'{') {
            return Err(InvalidPresence::NotObject);
        }
        serde_json::from_str::<Sound>(json).map_err(|_| InvalidPresence::Unsound)?;
        let json = compact(json).map_err(InvalidPresence::Json)?;
        if json.len() > limits::MAX_PRESENCE_STATE_BYTES {
            return Err(InvalidPresence::TooLarge);
        }
        let Understood { cursor, viewport } =
            serde_json::from_str(&json).map_err(|_| InvalidPresence::Unsound)?;
        let json = RawValue::from_string(json.into()).map_err(|_| InvalidPresence::Unsound)?;
        Ok(Self {
            json: json.into(),
            cursor: cursor.as_ref().and_then(CanvasPoint::read),
            viewport: viewport.as_ref().and_then(Viewport::read),
        })
    }

    /// The object as compact JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.json.get()
    }

    /// The object as JSON that is passed on unparsed.
    pub(crate) fn as_raw(&self) -> &RawValue {
        &self.json
    }

    /// Where the cursor is: `state.cursor` as `{x, y}` or `[x, y]`.
    #[must_use]
    pub fn cursor(&self) -> Option<CanvasPoint> {
        self.cursor
    }

    /// The part of the canvas that its owner sees: `state.viewport` as `{x, y, width, height}` or `[x, y,
    /// width, height]`.
    #[must_use]
    pub fn viewport(&self) -> Option<Viewport> {
        self.viewport
    }
}

impl PartialEq for PresenceState {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for PresenceState {}

impl fmt::Debug for PresenceState {
    /// The content is its owner's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresenceState({} bytes)", self.as_str().len())
    }
}

impl Serialize for PresenceState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

/// The fields that may mean something to the server.
#[derive(Deserialize)]
struct Understood {
    cursor: Option<Value>,
    viewport: Option<Value>,
}

/// The numbers of `value`, which stands as an object with these keys or as an array in their order.
fn numbers<const N: usize>(value: &Value, keys: [&str; N]) -> Option<[f64; N]> {
    let mut numbers = [0.0; N];
    for (nth, (number, key)) in numbers.iter_mut().zip(keys).enumerate() {
        *number = match value {
            Value::Array(items) if items.len() == N => items.get(nth)?.as_f64()?,
            Value::Object(fields) => fields.get(key)?.as_f64()?,
            _ => return None,
        };
    }
    numbers.iter().all(|number| number.is_finite()).then_some(numbers)
}

impl CanvasPoint {
    fn read(value: &Value) -> Option<Self> {
        numbers(value, ["x", "y"]).map(|[x, y]| Self { x, y })
    }
}

impl Viewport {
    fn read(value: &Value) -> Option<Self> {
        let [x, y, width, height] = numbers(value, ["x", "y", "width", "height"])?;
        let is_rectangle = width >= 0.0 && height >= 0.0;
        is_rectangle.then_some(Self { x, y, width, height })
    }

    /// Returns `true` if `place` is in view; the edges are.
    #[must_use]
    pub fn contains(&self, place: CanvasPoint) -> bool {
        let is_in = |at: f64, start: f64, length: f64| at >= start && at <= start + length;
        is_in(place.x, self.x, self.width) && is_in(place.y, self.y, self.height)
    }

    /// The square of the distance from `place` to the nearest point in view. From the edge and not from
    /// the middle: what is just out of view is what the next small move reveals.
    #[must_use]
    pub fn distance_squared(&self, place: CanvasPoint) -> f64 {
        let beyond = |at: f64, start: f64, length: f64| (start - at).max(at - (start + length)).max(0.0);
        let x = beyond(place.x, self.x, self.width);
        let y = beyond(place.y, self.y, self.height);
        x * x + y * y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_an_object_of_a_kibibyte_at_most_however_it_is_spaced() {
        let state = |fill: usize| format!("{{ \"a\" : \"{}\" }}", "x".repeat(fill));
        let largest = limits::MAX_PRESENCE_STATE_BYTES - r#"{"a":""}"#.len();
        let parsed = PresenceState::parse(&state(largest)).unwrap();
        assert_eq!(parsed.as_str().len(), limits::MAX_PRESENCE_STATE_BYTES);
        assert_eq!(PresenceState::parse(&state(largest + 1)), Err(InvalidPresence::TooLarge));
        for other in ["null", "[]", "1", "\"{}\"", "", " "] {
            assert_eq!(PresenceState::parse(other), Err(InvalidPresence::NotObject), "{other}");
        }
    }

    #[test]
    fn what_some_reader_could_not_read_is_refused() {
        let deep = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(PresenceState::parse(&deep(limits::MAX_JSON_DEPTH - 1)).is_ok());
        let unsound = [
            deep(limits::MAX_JSON_DEPTH),
            r#"{"a":1,"a":2}"#.to_owned(),
            r#"{"a":"\ud800"}"#.to_owned(),
            r#"{"a":1e999}"#.to_owned(),
            r#"{"a":9007199254740993}"#.to_owned(),
            r#"{"a":1} {}"#.to_owned(),
            r#"{"a":"#.to_owned(),
        ];
        for json in unsound {
            assert!(PresenceState::parse(&json).is_err(), "{json}");
        }
    }

    #[test]
    fn cursor_and_viewport_are_understood_in_both_forms_and_ignored_in_others() {
        let parse = |json: &str| PresenceState::parse(json).unwrap();
        for json in [r#"{"cursor":{"x":1,"y":-2.5,"tool":"pen"}}"#, r#"{"cursor":[1,-2.5]}"#] {
            assert_eq!(parse(json).cursor(), Some(CanvasPoint { x: 1.0, y: -2.5 }), "{json}");
        }
        let seen = Some(Viewport { x: 0.0, y: 1.0, width: 2.0, height: 3.0 });
        for json in
            [r#"{"viewport":{"x":0,"y":1,"width":2,"height":3}}"#, r#"{"viewport":[0,1,2,3],"cursor":null}"#]
        {
            assert_eq!(parse(json).viewport(), seen, "{json}");
            assert_eq!(parse(json).cursor(), None);
        }
        for json in [
            r#"{"cursor":[1],"viewport":[0,1,2]}"#,
            r#"{"cursor":"1,2","viewport":{"x":0,"y":1,"width":2}}"#,
            r#"{"cursor":{"x":"1","y":2},"viewport":[0,1,-2,3]}"#,
            r#"{"cursor":[1,2,3],"viewport":7}"#,
        ] {
            let state = parse(json);
            assert_eq!((state.cursor(), state.viewport()), (None, None), "{json}");
        }
    }

    #[test]
    fn distance_is_counted_from_the_edge_of_what_is_in_view() {
        let view = Viewport { x: 0.0, y: 0.0, width: 10.0, height: 10.0 };
        for (x, y, distance) in
            [(5.0, 5.0, 0.0), (10.0, 0.0, 0.0), (13.0, 14.0, 25.0), (-3.0, 5.0, 9.0), (5.0, 12.0, 4.0)]
        {
            let place = CanvasPoint { x, y };
            assert!((view.distance_squared(place) - distance).abs() < 1e-9, "{x}, {y}");
            assert_eq!(view.contains(place), distance == 0.0, "{x}, {y}");
        }
    }
}
