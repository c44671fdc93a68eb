//! Props of clients, read as what they are meant to be.
//!
//! Owns what a number, a colour or a list of places is. A prop of another type is one that is not
//! there; nothing here fails.

use serde_json::{Map, Value};

use super::{
    colour,
    geometry::{Bounds, Vector},
    markup::Element,
};

/// Farthest coordinate and longest side, in the client's units; what is beyond it stands there.
pub(super) const MAX_MAGNITUDE: f64 = 1e7;
/// The colour of lines and text that have none.
pub(super) const INK: &str = "#1e1e1e";
/// Width of the lines of shapes, in the client's units.
const LINE_WIDTH: f64 = 2.0;

/// The props of one object, or the keys of a canvas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Props<'a>(pub(super) &'a Map<String, Value>);

/// The paint of a shape: its filling and its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint<'a> {
    /// The colour inside.
    pub(super) fill: &'a str,
    /// The colour of the line.
    pub(super) stroke: &'a str,
    /// The width of the line, in the client's units.
    pub(super) width: f64,
}

impl<'a> Props<'a> {
    /// The result of `read` for the first of `names` for which it has one.
    fn first<T>(self, names: &[&str], read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        names.iter().find_map(|name| self.0.get(*name).and_then(&read))
    }

    pub(super) fn value(self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    pub(super) fn number(self, names: &[&str]) -> Option<f64> {
        self.first(names, number)
    }

    /// A number over 0.
    pub(super) fn positive(self, names: &[&str]) -> Option<f64> {
        self.first(names, |value| number(value).filter(|number| *number > 0.0))
    }

    pub(super) fn text(self, names: &[&str]) -> Option<&'a str> {
        self.first(names, Value::as_str)
    }

    pub(super) fn colour(self, names: &[&str]) -> Option<&'a str> {
        self.first(names, |value| value.as_str().and_then(colour::parse))
    }

    /// The items of an array that are places, `[x, y]` or `{"x": …, "y": …}`; others are left out.
    pub(super) fn places(self, name: &str) -> Vec<Vector> {
        let items = self.value(name).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(|item| pair(item, ["x", "y"])).collect()
    }

    /// The distance by which the object as a whole has been moved: `x` and `y` of kinds that have places of
    /// their own.
    pub(super) fn shift(self) -> Vector {
        let coordinate = |name| self.number(&[name]).unwrap_or(0.0);
        Vector { x: coordinate("x"), y: coordinate("y") }
    }

    /// The factors by which the points of a stroke have been spread: `scaleX` and `scaleY`.
    pub(super) fn scale(self) -> Vector {
        let factor = |name| self.positive(&[name]).unwrap_or(1.0);
        Vector { x: factor("scaleX"), y: factor("scaleY") }
    }

    /// The box of `x`, `y`, `width` and `height`; `side` is the length of a side that is not given.
    pub(super) fn frame(self, side: f64) -> Bounds {
        let side = |names: &[&str]| self.number(names).unwrap_or(side);
        Bounds::of_box(self.shift(), Vector { x: side(&["width", "w"]), y: side(&["height", "h"]) })
    }

    /// Returns `true` if each of `x`, `y`, `width` and `height` is given.
    pub(super) fn has_frame(self) -> bool {
        [&["x"][..], &["y"], &["width", "w"], &["height", "h"]]
            .iter()
            .all(|names| self.number(names).is_some())
    }

    /// The opacity, from 0, unseen, to 1.
    pub(super) fn opacity(self) -> Option<f64> {
        self.number(&["opacity"]).map(|opacity| opacity.clamp(0.0, 1.0))
    }

    /// The rotation in degrees clockwise, from 0 to 360.
    pub(super) fn rotation(self) -> f64 {
        self.number(&["rotation"]).map_or(0.0, |degrees| degrees.rem_euclid(360.0))
    }

    /// The paint of a shape. A shape without any colour gets a line, so that it is seen.
    pub(super) fn paint(self) -> Paint<'a> {
        let fill = self.colour(&["fill"]).unwrap_or("none");
        let stroke = self.colour(&["stroke", "color"]);
        Paint {
            fill,
            stroke: stroke.unwrap_or(if colour::is_unseen(fill) { INK } else { "none" }),
            width: self.number(&["strokeWidth"]).filter(|width| *width >= 0.0).unwrap_or(LINE_WIDTH),
        }
    }
}

impl Paint<'_> {
    /// `element` in these colours, and its box `bounds` with room for the line.
    pub(super) fn on(self, element: Element, bounds: Bounds) -> (Element, Bounds) {
        let filled = element.attribute("fill", self.fill);
        if self.stroke == "none" {
            return (filled, bounds);
        }
        let lined = filled.attribute("stroke", self.stroke).number("stroke-width", self.width);
        (lined, bounds.grown(self.width / 2.0))
    }
}

/// The number, no farther from 0 than [`MAX_MAGNITUDE`].
pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_f64().and_then(clamped)
}

/// The number, no farther from 0 than [`MAX_MAGNITUDE`]; none if it is none.
pub(super) fn clamped(number: f64) -> Option<f64> {
    number.is_finite().then(|| number.clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE))
}

/// Two numbers, in an array or by these keys of an object.
pub(super) fn pair(value: &Value, keys: [&str; 2]) -> Option<Vector> {
    let [x, y] = match value {
        Value::Array(items) => [items.first()?, items.get(1)?],
        Value::Object(fields) => [fields.get(keys[0])?, fields.get(keys[1])?],
        _ => return None,
    };
    Some(Vector { x: number(x)?, y: number(y)? })
}

/// `count` as a number to reckon with.
pub(super) fn real(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T>(value: Value, read: impl Fn(Props<'_>) -> T) -> T {
        let Value::Object(map) = value else { panic!("{value}") };
        read(Props(&map))
    }

    #[test]
    fn a_prop_of_another_type_is_not_there() {
        for value in [json!("1"), json!(null), json!([1]), json!({}), json!(true)] {
            let props = json!({"x": value, "fill": [value], "points": value, "opacity": value});
            read(props, |props| {
                assert_eq!(props.number(&["x"]), None, "{props:?}");
                assert_eq!(props.colour(&["fill"]), None, "{props:?}");
                assert_eq!(props.opacity(), None, "{props:?}");
                assert!(props.places("points").is_empty(), "{props:?}");
            });
        }
    }

    #[test]
    fn the_first_name_with_a_fitting_value_counts() {
        let props = json!({"width": "wide", "w": 3, "stroke": "url(#a)", "color": "red"});
        read(props, |props| {
            assert_eq!(props.number(&["width", "w"]), Some(3.0));
            assert_eq!(props.paint().stroke, "red");
        });
    }

    #[test]
    fn numbers_end_at_the_largest_magnitude() {
        read(json!({"x": 1e300, "y": -1e300, "opacity": 7, "rotation": -90}), |props| {
            assert_eq!(props.shift(), Vector { x: MAX_MAGNITUDE, y: -MAX_MAGNITUDE });
            assert_eq!(props.opacity(), Some(1.0));
            assert!((props.rotation() - 270.0).abs() < 1e-9);
        });
        assert_eq!(clamped(f64::NAN), None);
        assert_eq!(clamped(f64::INFINITY), None);
    }

    #[test]
    fn places_stand_in_both_forms_and_others_are_left_out() {
        read(json!({"points": [[1, 2], {"x": 3, "y": 4}, [5], "6", [7, 8, 0.5]]}), |props| {
            let places = [(1.0, 2.0), (3.0, 4.0), (7.0, 8.0)].map(|(x, y)| Vector { x, y });
            assert_eq!(props.places("points"), places);
        });
    }
}
